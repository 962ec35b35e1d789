"""Trainings as they are handed in: the data, the model and the settings, made into one document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict
from uuid import uuid4

from intertwine.errors import InvalidSetting

from intertwine_api.client.blobs import upload_blob
from intertwine_api.client.datasets import GivenData, send_data
from intertwine_api.client.jobs import submit_job
from intertwine_api.client.lists import Document
from intertwine_api.client.retries import Retries
from intertwine_api.client.sent_reps import group_document
from intertwine_api.client.steps import Operation


class Training(TypedDict, total=False):
    """How a model is fitted; what is left out is the service's to say (see the documentation).

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
class Errand:
    """What a job is beside its training: its name, its labels, how soon, and how much it may take.

    `seconds` and `memory` (in bytes) are at most what the service allows. Under one
    `idempotency_key` the same request makes one job, however often it arrives.
    """

    name: str | None = None
    labels: Sequence[str] = ()
    priority: int = 0
    seconds: float | None = None
    memory: int | None = None
    attempts: int | None = None
    idempotency_key: str = field(default_factory=lambda: uuid4().hex)

    @property
    def document(self) -> Document:
        """What is said of it in a request."""
        limits = {"seconds": self.seconds, "memory": self.memory, "attempts": self.attempts}
        said = {
            "name": self.name,
            "labels": list(self.labels),
            "priority": self.priority,
            "limits": {name: value for name, value in limits.items() if value is not None},
        }
        return {name: value for name, value in said.items() if value}


def submit_training(
    model: Any, data: GivenData, training: Training, errand: Errand, retries: Retries
) -> Operation[Document]:
    """Send the data and the model, where the service does not have them, and hand in the job."""
    settings = dict(training)
    stopping = settings.get("early_stopping")
    if isinstance(stopping, int) and not isinstance(stopping, bool):
        settings["early_stopping"] = {"patience": stopping}
    data = data.completed_by(model)
    document = {
        "kind": "train",
        "dataset": (yield from send_data(data, retries)),
        "model": (yield from _send_model(model, data, retries)),
        "training": settings,
        **errand.document,
    }
    return (yield from submit_job(document, errand.idempotency_key, retries))


def _send_model(model: Any, data: GivenData, retries: Retries) -> Operation[Document]:
    """A description, with the reps of the data where it has none; or a network with its weights."""
    if isinstance(model, str):
        return {**data.reps, "type": model}
    if isinstance(model, Mapping):
        return {**data.reps, **{name: _as_json(value) for name, value in model.items()}}
    if isinstance(model, type) or not callable(model):
        raise InvalidSetting(
            f"a model is a network of intertwine.nn, or a description such as "
            f'{{"type": "EMLP", "ch": 384}}, not {model!r}'
        )
    from intertwine.nn.saving import to_config

    config, blob = to_config(model)
    return {"config": config, "weights": (yield from upload_blob((blob,), retries))}


def _as_json(value: Any) -> Any:
    """A part of a description: groups and reps as they are written."""
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool | Mapping):
        return value
    from intertwine.groups import Group
    from intertwine.reps import Rep

    if isinstance(value, Group):
        return group_document(value)
    return str(value) if isinstance(value, Rep) else value
