"""Whether a training can be done, found out before it waits: cheaply, and without training."""

from __future__ import annotations

from pathlib import Path

from intertwine.errors import InvalidSetting, MethodNotApplicable

from intertwine_api.objects import Objects
from intertwine_api.problems import Problem, ProblemError
from intertwine_api.schemas import Generators
from intertwine_api.training.action import Action
from intertwine_api.training.building import (
    action_of,
    build,
    dtype_of,
    layer_widths,
    load_saved,
    require_affordable,
)
from intertwine_api.training.description import ModelDescription, SavedModel, TrainRequest
from intertwine_api.training.stored import Stored

_SMALL = 2000  # channels of all layers together
_SMALL_GROUP = 8  # the size of its base representation


def validate(
    request: TrainRequest,
    stored: Stored,
    objects: Objects,
    memory: int = 8 * 10**9,
    *,
    thoroughly: bool = True,
) -> TrainRequest:
    """The request, with what the dataset says of its group and reps written into it.

    Raises what would end the training: the library's errors for groups, reps and settings that
    cannot be, that do not fit the samples, or whose network is constant, as far as that is seen at
    once; `TooLarge` for more than `memory` bytes; `ProblemError` with ``not-found`` for weights
    that were not uploaded. Not `thoroughly`, no network is built for it, which would take seconds
    and JAX: a service leaves that to the job.
    """
    if isinstance(request.model, SavedModel):
        weights = _weights(request.model, objects)
        if thoroughly:
            _check_saved(request, request.model, stored, weights)
        return request
    model = completed(request.model, stored)
    action = Action.of(_document(model.group), model.rep_in, model.rep_out)
    action.require_fit(stored, action.loss_for(stored, request.training.loss))
    training = request.training
    require_affordable(model, action, training.batch_size, stored.samples, training.dtype, memory)
    if thoroughly:
        _require_maps(model, action)
    return request.model_copy(update={"model": model})


def completed(model: ModelDescription, stored: Stored) -> ModelDescription:
    """The description with the group and reps of the dataset where it has none of its own."""
    group = stored.group if model.group is None else model.group
    return model.model_copy(
        update={
            "group": group if isinstance(group, str | None | Generators) else Generators(**group),
            "rep_in": model.rep_in or stored.rep_in,
            "rep_out": model.rep_out or stored.rep_out,
        }
    )


def action_for(model: ModelDescription, stored: Stored) -> Action:
    """How the group acts on the samples of a dataset, for a network that is to be made."""
    whole = completed(model, stored)
    return Action.of(_document(whole.group), whole.rep_in, whole.rep_out)


def _document(group: str | Generators | None) -> str | dict[str, object] | None:
    return group.model_dump(exclude_none=True) if isinstance(group, Generators) else group


def _weights(saved: SavedModel, objects: Objects) -> Path:
    weights = objects.path(saved.weights)
    if weights is None:
        raise ProblemError(
            Problem.of("not-found", f"there are no weights {saved.weights}: upload them first")
        )
    return weights


def _check_saved(request: TrainRequest, saved: SavedModel, stored: Stored, weights: Path) -> None:
    model = load_saved(saved, weights)
    action = action_of(model)
    action.require_fit(stored, action.loss_for(stored, request.training.loss))
    require_same_dtype(request, dtype_of(model))


def require_same_dtype(request: TrainRequest, dtype: str) -> None:
    """Raise where a precision is asked for that the weights of a saved model do not have."""
    training = request.training
    if "dtype" in training.model_fields_set and training.dtype != dtype:
        raise InvalidSetting(
            f"the saved model has weights in {dtype}, and dtype is {training.dtype}: leave it out"
        )


def _require_maps(model: ModelDescription, action: Action) -> None:
    """Raise where a network would be constant; one that takes long to make is not looked at."""
    small = sum(layer_widths(model, action)) <= _SMALL
    if model.type == "MLP" or model.bilinear == "paper" or not small:
        return
    if action.group is None or action.group.d > _SMALL_GROUP:
        return
    try:
        build(model.model_copy(update={"bilinear": "channelwise"}), action, "float32")
    except MethodNotApplicable:
        if model.bilinear is not None:
            raise
