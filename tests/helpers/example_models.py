"""Small models for tests of the registry and of inference."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jax
from intertwine.groups import SO, Group
from intertwine.nn import EMLP
from intertwine.nn.saving import to_config
from intertwine.reps import Rep, Scalar, V


@dataclass(frozen=True)
class TrainedModel:
    """The arguments of `Models.publish`."""

    config: dict[str, Any]
    blob: bytes
    metrics: dict[str, Any] = field(default_factory=lambda: {"test_loss": 0.25, "epochs": 3})
    equivariance_error: float | None = 3e-8
    is_equivariant: bool = True
    provenance: dict[str, Any] = field(default_factory=lambda: {"seed": 0})


def bytes_only(content: bytes) -> TrainedModel:
    """Invalid weights, for tests that do not load them."""
    return TrainedModel({"model_sha256": "0" * 64, "note": "V⁰"}, content)


@cache
def small_model(
    key: int = 0,
    rep_in: Rep = 2 * Scalar + 2 * V,
    rep_out: Rep = V,
    group: Group | None = None,
    dtype: str = "float32",
) -> Any:
    """A network that compiles quickly; equal arguments return the same object."""
    with jax.enable_x64(True):
        return EMLP(rep_in, rep_out, group or SO(3), ch=12, num_layers=1, key=key, dtype=dtype)


def trained(model: Any) -> TrainedModel:
    """A model as the result of a training."""
    return TrainedModel(*to_config(model))
