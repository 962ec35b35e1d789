"""Weights at the start."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Inexact, PRNGKeyArray

#: By name the shape of a weight and the variance of its entries.
Wanted = Mapping[str, tuple[tuple[int, ...], float]]

_FEWEST = 1 << 15


def draw(key: PRNGKeyArray, wanted: Wanted, dtype: Any) -> dict[str, Inexact[Array, "..."]]:
    """Normally distributed weights."""
    return as_weights(sampled(key, wanted, dtype), dtype)


def as_weights(arrays: Mapping[str, Any], dtype: Any) -> dict[str, Inexact[Array, "..."]]:
    """Arrays of JAX, in the dtype of weights."""
    return {name: jnp.asarray(array, dtype) for name, array in arrays.items()}


def sampled(key: PRNGKeyArray, wanted: Wanted, dtype: Any) -> dict[str, Any]:
    """Normally distributed numbers, of one draw: one of each shape would be compiled each. They are
    NumPy arrays, unless the key is traced.

    The draw is longer than it need be, a power of two, and not a small one: equal lengths are
    compiled once, for 0.2 s, and 32,768 numbers take less than a millisecond.
    """
    sizes = [prod(shape) for shape, _ in wanted.values()]
    numbers = jax.random.normal(key, (max(_FEWEST, 1 << sum(sizes).bit_length()),), dtype)
    parts = _parts(numbers, sizes)
    return {
        name: (part * np.sqrt(variance)).reshape(shape)
        for part, (name, (shape, variance)) in zip(parts, wanted.items(), strict=True)
    }


def _parts(numbers: Inexact[Array, " n"], sizes: list[int]) -> list[Any]:
    if isinstance(numbers, jax.core.Tracer):  # a whole ensemble, under vmap
        return list(lax.split(numbers, [*sizes, numbers.size - int(sum(sizes))]))[:-1]
    return np.split(np.asarray(numbers), np.cumsum(sizes))[:-1]
