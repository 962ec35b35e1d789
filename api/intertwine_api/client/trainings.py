"""Submit trainings: the document of a job from data, model, settings and options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, Literal, TypedDict

from intertwine.errors import InvalidSetting
from intertwine.training.recipe.framework import FrameworkName, framework_of_model

from intertwine_api.client.bases import upload_blob
from intertwine_api.client.connection import Session
from intertwine_api.client.datasets import GivenData, send_data
from intertwine_api.client.jobs import require_key, submit_job
from intertwine_api.client.messages import Document, encode_json


class Training(TypedDict, total=False):
    """The settings of a training. The service fills in the rest (see the documentation).

    `early_stopping` is the number of epochs without a lower validation loss after which the
    training ends, or {"patience": …, "fraction": …}.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    schedule: Literal["constant", "cosine", "warmup cosine"]
    optimizer: Literal["adam"]
    weight_decay: float
    seed: int
    test_fraction: float
    early_stopping: int | Mapping[str, Any]
    augment: bool
    dtype: Literal["float32", "float64"]
    standardize: bool
    loss: Literal["mse", "mae", "cross-entropy"]
    evaluate_every: int


@dataclass(frozen=True)
class JobOptions:
    """The name, labels, priority and limits of a job, and the framework that trains.

    `labels` is one label or several. The service caps `seconds` and `memory` (in bytes). Requests
    with the same `idempotency_key` make one job.
    """

    name: str | None = None
    labels: str | Sequence[str] = ()
    priority: int = 0
    seconds: float | None = None
    memory: int | None = None
    attempts: int | None = None
    idempotency_key: str | None = None
    framework: FrameworkName | None = None

    @property
    def document(self) -> Document:
        """Return the fields of these options in a request."""
        limits = {"seconds": self.seconds, "memory": self.memory, "attempts": self.attempts}
        fields = {
            "name": self.name,
            "labels": [self.labels] if isinstance(self.labels, str) else list(self.labels),
            "priority": self.priority,
            "limits": {name: value for name, value in limits.items() if value is not None},
            "framework": self.framework,
        }
        return {name: value for name, value in fields.items() if value}


async def submit_training(
    session: Session, model: Any, data: GivenData, training: Training, options: JobOptions
) -> Document:
    """Upload the data and weights that the service lacks, submit the job, and return its document.

    Local validation runs before the uploads. Raises `InvalidSetting` if it fails.
    """
    settings = dict(training)
    stopping = settings.get("early_stopping")
    if isinstance(stopping, Integral) and not isinstance(stopping, bool):
        settings["early_stopping"] = {"patience": stopping}
    description = _description(model, data)
    if description is None and options.framework is None:
        options = replace(options, framework=framework_of_model(model).name)
    fields = {"training": settings, **options.document}
    encode_json(fields)  # raises
    require_key(options.idempotency_key)
    document = {
        "kind": "train",
        "dataset": (await send_data(session, data.completed_by(model))),
        "model": (await _send_weights(session, model)) if description is None else description,
        **fields,
    }
    return await submit_job(session, document, options.idempotency_key)


def _description(model: Any, data: GivenData) -> Document | None:
    """Return a model's description with the given reps, else its own, else the data's.

    Returns None for a network. Raises `InvalidSetting` if other reps than a network's are given,
    or if `model` is neither a network nor a description.
    """
    if isinstance(model, str):
        return {**data.completed_by(None).reps, "type": model}
    if isinstance(model, Mapping):
        description = {name: _as_json(value) for name, value in model.items()}
        encode_json(description)  # raises
        if "config" in model:
            return {**description, **data.given_reps}
        own = GivenData(None).with_reps_of(model).given_reps
        return {**data.completed_by(model).reps, **description, **own, **data.given_reps}
    if isinstance(model, type) or not callable(model):
        raise InvalidSetting(
            f"the model is {model!r}: give a network of intertwine.nn or intertwine.torch, or a "
            f'description such as {{"type": "EMLP", "ch": 384}}'
        )
    data.require_reps_of(model)
    return None


async def _send_weights(session: Session, network: Any) -> Document:
    config, blob = framework_of_model(network).saving.to_config(network)
    return {"config": config, "weights": (await upload_blob(session, (blob,)))}


def _as_json(value: Any) -> Any:
    """Return a part of a description with its groups and reps in the wire format."""
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool | Mapping):
        return value
    from intertwine.groups import Group, group_document
    from intertwine.reps import Rep

    if isinstance(value, Group):
        return group_document(value)
    return str(value) if isinstance(value, Rep) else value
