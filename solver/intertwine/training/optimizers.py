"""The optimiser of a fit, separated from its learning rate."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TypeAlias

import numpy as np
import optax

from intertwine.errors import InvalidSetting
from intertwine.training.identity import has_hash

#: An optax transformation with its own learning rate, or a function of the learning rate to one.
Optimizer: TypeAlias = optax.GradientTransformation | Callable[..., optax.GradientTransformation]

ELEMENTWISE: frozenset[Callable[..., optax.GradientTransformation]] = frozenset(
    (
        *(optax.adabelief, optax.adadelta, optax.adagrad, optax.adam, optax.adamax, optax.adamaxw),
        *(optax.adamw, optax.adan, optax.amsgrad, optax.lion, optax.nadam, optax.nadamw),
        *(optax.radam, optax.rmsprop, optax.rprop, optax.sgd, optax.yogi),
    )
)
"""The elementwise optimisers of optax: they update each number by its own gradients alone."""


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


def is_elementwise(optimizer: Optimizer) -> bool:
    """Return whether an optimiser is known to update each number by its own gradients alone.

    Known are the functions of `ELEMENTWISE`, with or without numbers for their arguments
    (`functools.partial`). The result of such a function, such as ``optax.adam(1e-3)``, is not: it
    does not show whether it treats each array as a unit, or selects arrays (``mask=``).
    """
    if isinstance(optimizer, partial):
        given = [*optimizer.args, *optimizer.keywords.values()]
        plain = (bool, int, float, np.generic, np.dtype, type(None))
        return all(isinstance(one, plain) for one in given) and is_elementwise(optimizer.func)
    return has_hash(optimizer) and optimizer in ELEMENTWISE


@lru_cache(maxsize=64)
def _unit(factory: Callable[..., optax.GradientTransformation]) -> optax.GradientTransformation:
    """Return the same object in each call: it is part of the key of compiled functions."""
    return factory(1.0)
