"""Validation of a request before it is queued: cheap, and without training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from intertwine.errors import InvalidSetting, MethodNotApplicable, NotFound
from intertwine.training.recipe.dataset_info import DatasetInfo
from intertwine.training.recipe.description import (
    Generators,
    ModelDescription,
    SavedModel,
    TrainRequest,
)
from intertwine.training.recipe.framework import Framework, framework_named
from intertwine.training.recipe.network import (
    build,
    dtype_of,
    layer_widths,
    load_saved,
    require_affordable,
    symmetry_of,
)
from intertwine.training.recipe.task_symmetry import TaskSymmetry

_Request = TypeVar("_Request", bound=TrainRequest)

#: Finds the file of weights with a digest, if there is one.
FindWeights = Callable[[str], Path | None]

_SMALL = 2000  # channels of all layers together
_SMALL_GROUP = 8  # the size of its base representation


def complete_request(
    request: _Request,
    info: DatasetInfo,
    find_weights: FindWeights,
    memory: int = 8 * 10**9,
    *,
    thoroughly: bool = True,
) -> _Request:
    """Return the request, completed with the group and reps of the dataset.

    Raises what would end the training: the library's errors for invalid groups, reps and settings,
    for those that do not fit the samples, and for a network that is seen at once to be constant;
    `TooLarge` for more than `memory` bytes; `NotFound` for missing weights. `thoroughly` also
    builds the network, which takes seconds and the framework: a service leaves that to the job.
    """
    if isinstance(request.model, SavedModel):
        framework_named(request.framework).require_layers(request.model.config)
        weights = _weights(request.model, find_weights)
        if thoroughly:
            _check_saved(request, request.model, info, weights)
        return request
    model = completed(request.model, info)
    symmetry = TaskSymmetry.of(_document(model.group), model.rep_in, model.rep_out)
    symmetry.require_fit(info, symmetry.loss_for(info, request.training.loss))
    training = request.training
    require_affordable(model, symmetry, training.batch_size, info.samples, training.dtype, memory)
    if thoroughly:
        _require_maps(model, symmetry, framework_named(request.framework))
    return request.model_copy(update={"model": model})


def completed(model: ModelDescription, info: DatasetInfo) -> ModelDescription:
    """Return the description, with the group and reps of the dataset if it has none."""
    group = info.group if model.group is None else model.group
    return model.model_copy(
        update={
            "group": group if isinstance(group, str | None | Generators) else Generators(**group),
            "rep_in": model.rep_in or info.rep_in,
            "rep_out": model.rep_out or info.rep_out,
        }
    )


def symmetry_for(model: ModelDescription, info: DatasetInfo) -> TaskSymmetry:
    """Return the symmetry of a new network on the samples of a dataset."""
    whole = completed(model, info)
    return TaskSymmetry.of(_document(whole.group), whole.rep_in, whole.rep_out)


def _document(group: str | Generators | None) -> str | dict[str, object] | None:
    return group.model_dump(exclude_none=True) if isinstance(group, Generators) else group


def _weights(saved: SavedModel, find_weights: FindWeights) -> Path:
    weights = find_weights(saved.weights)
    if weights is None:
        raise NotFound(f"there are no weights {saved.weights}: upload them first")
    return weights


def _check_saved(
    request: TrainRequest, saved: SavedModel, info: DatasetInfo, weights: Path
) -> None:
    model = load_saved(saved, weights, framework_named(request.framework))
    symmetry = symmetry_of(model)
    symmetry.require_fit(info, symmetry.loss_for(info, request.training.loss))
    require_same_dtype(request, dtype_of(model))


def require_same_dtype(request: TrainRequest, dtype: str) -> None:
    """Raise if the requested precision differs from that of a saved model's weights."""
    training = request.training
    if "dtype" in training.model_fields_set and training.dtype != dtype:
        raise InvalidSetting(
            f"the saved model has weights in {dtype}, and dtype is {training.dtype}: leave it out"
        )


def _require_maps(model: ModelDescription, symmetry: TaskSymmetry, framework: Framework) -> None:
    """Raise if the network would be constant; slow ones are not built."""
    small = sum(layer_widths(model, symmetry)) <= _SMALL
    if model.type == "MLP" or model.bilinear == "paper" or not small:
        return
    if symmetry.group is None or symmetry.group.d > _SMALL_GROUP:
        return
    try:
        channelwise = model.model_copy(update={"bilinear": "channelwise"})
        build(channelwise, symmetry, "float32", framework)
    except MethodNotApplicable:
        if model.bilinear is not None:
            raise
