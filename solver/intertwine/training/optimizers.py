"""The optimiser of a fit, separated from its learning rate."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import optax

from intertwine.errors import InvalidSetting
from intertwine.training.identity import has_hash

#: An optax transformation with its own learning rate, or a function of the learning rate to one.
Optimizer: TypeAlias = optax.GradientTransformation | Callable[..., optax.GradientTransformation]


def has_own_rate(optimizer: Optimizer) -> bool:
    """Return whether the optimiser has its own learning rate."""
    return isinstance(optimizer, optax.GradientTransformation)


def transformation(optimizer: Optimizer) -> optax.GradientTransformation:
    """Return the transformation of gradients into steps for a learning rate of 1.

    Its steps are multiplied by the learning rate, which for Adam, AdamW, SGD with momentum, Lion
    and the like is what optax does itself. The rate is data, so another rate compiles nothing.
    Raises `InvalidSetting` for anything but an optimiser.
    """
    if isinstance(optimizer, optax.GradientTransformation):
        return optimizer
    if not callable(optimizer):
        raise InvalidSetting(
            f"an optimizer is a function such as optax.adam, or its result, not {optimizer!r}"
        )
    return _unit(optimizer) if has_hash(optimizer) else optimizer(1.0)


@lru_cache(maxsize=64)
def _unit(factory: Callable[..., optax.GradientTransformation]) -> optax.GradientTransformation:
    """Return the same object in each call: it is part of the key of compiled functions."""
    return factory(1.0)
