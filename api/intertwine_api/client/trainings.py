"""Trainings as they are handed in: the data, the model and the settings, made into one document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, Literal, TypedDict
from uuid import uuid4

from intertwine.errors import InvalidSetting

from intertwine_api.client.bases import upload_blob
from intertwine_api.client.datasets import GivenData, send_data
from intertwine_api.client.jobs import require_key, submit_job
from intertwine_api.client.retries import Document, Retries
from intertwine_api.client.steps import Operation, encoded
from intertwine_api.wire.wire_format import group_document


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

    A text as `labels` is one label. `seconds` and `memory` (in bytes) are at most what the service
    allows. Under one `idempotency_key` the same request makes one job, however often it arrives.
    """

    name: str | None = None
    labels: str | Sequence[str] = ()
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
            "labels": [self.labels] if isinstance(self.labels, str) else list(self.labels),
            "priority": self.priority,
            "limits": {name: value for name, value in limits.items() if value is not None},
        }
        return {name: value for name, value in said.items() if value}


def submit_training(
    model: Any, data: GivenData, training: Training, errand: Errand, retries: Retries
) -> Operation[Document]:
    """Send the data and the model, where the service does not have them, and hand in the job.

    What can be refused here is refused before anything is sent.
    """
    settings = dict(training)
    stopping = settings.get("early_stopping")
    if isinstance(stopping, Integral) and not isinstance(stopping, bool):
        settings["early_stopping"] = {"patience": stopping}
    wishes = {"training": settings, **errand.document}
    encoded(wishes)  # raises
    require_key(errand.idempotency_key)
    described = _described(model, data)
    document = {
        "kind": "train",
        "dataset": (yield from send_data(data.completed_by(model), retries)),
        "model": (yield from _send_weights(model, retries)) if described is None else described,
        **wishes,
    }
    return (yield from submit_job(document, errand.idempotency_key, retries))


def _described(model: Any, data: GivenData) -> Document | None:
    """A description, with the reps that were given, else its own, else the data's.

    None for a network, which has its own. Raises `InvalidSetting` where others are given with it,
    and for what is no model.
    """
    if isinstance(model, str):
        return {**data.completed_by(None).reps, "type": model}
    if isinstance(model, Mapping):
        described = {name: _as_json(value) for name, value in model.items()}
        encoded(described)  # raises
        if "config" in model:
            return {**described, **data.given_reps}
        own = GivenData(None).with_reps_of(model).given_reps
        return {**data.completed_by(model).reps, **described, **own, **data.given_reps}
    if isinstance(model, type) or not callable(model):
        raise InvalidSetting(
            f"a model is a network of intertwine.nn, or a description such as "
            f'{{"type": "EMLP", "ch": 384}}, not {model!r}'
        )
    data.require_reps_of(model)
    return None


def _send_weights(network: Any, retries: Retries) -> Operation[Document]:
    from intertwine.nn.saving import to_config

    config, blob = to_config(network)
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
