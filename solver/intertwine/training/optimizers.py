"""The optimiser of a fit, with the learning rate taken out of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import optax

#: An optax transformation with its own learning rate, or a function of the learning rate to one.
Optimizer: TypeAlias = optax.GradientTransformation | Callable[..., optax.GradientTransformation]


def has_own_rate(optimizer: Optimizer) -> bool:
    """Whether the learning rate is in the optimiser already."""
    return isinstance(optimizer, optax.GradientTransformation)


def transformation(optimizer: Optimizer) -> optax.GradientTransformation:
    """What turns gradients into steps, for a learning rate of 1.

    Its steps are multiplied by the learning rate, which for Adam, AdamW, SGD with momentum, Lion
    and the like is what optax does itself; as the rate is then data, another one compiles nothing.
    """
    return optimizer if isinstance(optimizer, optax.GradientTransformation) else _unit(optimizer)


@lru_cache(maxsize=64)
def _unit(factory: Callable[..., optax.GradientTransformation]) -> optax.GradientTransformation:
    """The same object each time: compiled functions are found again by it."""
    return factory(1.0)
