"""Initial weights as JAX arrays. They are drawn in NumPy, as JAX would compile a program for each
shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Inexact, PRNGKeyArray, Shaped

from intertwine.architecture.initialization import WeightSpec, sampled
from intertwine.architecture.seed import Seed

#: The types of the argument `key` of layers.
Key = int | PRNGKeyArray | Seed
#: NumPy arrays by name, or nested mappings and sequences of them.
Drawn = Mapping[str, Any]


def draw(seed: Seed, specs: WeightSpec, dtype: Any) -> dict[str, Inexact[jax.Array, "..."]]:
    """Return normally distributed weights as JAX arrays."""

    def make(seed: Seed) -> Drawn:
        return rounded(sampled(seed, specs, dtype), dtype)

    found: dict[str, Inexact[jax.Array, "..."]] = drawn(make, seed)
    return found


def drawn(make: Callable[[Seed], Drawn], seed: Seed) -> Any:
    """Return make(seed), with its NumPy arrays as JAX arrays.

    If the seed is traced, the program calls `make` when it runs. `make` must not use JAX.
    """
    if not seed.is_traced:
        return jax.device_put(make(seed))  # `jnp.asarray` would compile a program for each shape
    example = make(replace(seed, words=(0, 0)))  # the shapes, and the errors
    struct: Any = jax.ShapeDtypeStruct
    shapes = jax.tree.map(lambda array: struct(array.shape, array.dtype), example)
    call = partial(_call, make, seed.path)
    return jax.pure_callback(call, shapes, seed.words, vmap_method="sequential")


def _call(make: Callable[[Seed], Drawn], path: tuple[int, ...], words: Any) -> Drawn:
    return make(Seed(np.asarray(words), path))


def rounded(arrays: Drawn, dtype: Any) -> Drawn:
    """Return the arrays in the precision of `dtype`."""
    found: Drawn = jax.tree.map(lambda array: array.astype(dtype), arrays)
    return found


def zeros(shape: int | tuple[int, ...], dtype: Any) -> Shaped[jax.Array, "..."]:
    """Return zeros, without the program that JAX would compile for each shape."""
    found: Shaped[jax.Array, "..."] = jax.device_put(np.zeros(shape, dtype))
    return found
