"""Seeds of initial weights. They are drawn in NumPy, as JAX would compile a program for each shape.

The same seed gives the same numbers on every platform and device, in every framework.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray, Shaped

from intertwine.errors import InvalidSetting

_WORD = 2**32 - 1

#: NumPy arrays by name, or nested mappings and sequences of them.
Drawn = Mapping[str, Any]


@dataclass(frozen=True)
class Seed:
    """The words of a seed or key, and a path in the tree of independent seeds below it.

    The words are traced if the key is, as under `jax.vmap`.
    """

    words: Any
    path: tuple[int, ...] = ()

    def child(self, index: int) -> Seed:
        """Return a seed that is independent of this one and of its other children."""
        return replace(self, path=(*self.path, index))

    @property
    def is_traced(self) -> bool:
        """Whether the words are known only when the traced program runs."""
        return isinstance(self.words, jax.core.Tracer)

    def generator(self) -> np.random.Generator:
        """Return a new generator, with the same random numbers in each call."""
        words = [int(word) for word in np.asarray(self.words)]
        sequence = np.random.SeedSequence(words, spawn_key=self.path)
        return np.random.Generator(np.random.Philox(sequence))


#: The types of the argument `key` of layers.
Key = int | PRNGKeyArray | Seed


def as_seed(key: Any) -> Seed:
    """Return the seed of an integer or of a key of `jax.random`, new or old style. ``5`` and
    ``jax.random.key(5)`` have the same seed.

    Raises `InvalidSetting` for anything else.
    """
    if isinstance(key, Seed):
        return key
    if isinstance(key, int | np.integer):
        number = operator.index(key)
        if not -(2**63) <= number < 2**64:
            raise InvalidSetting(f"a seed has at most 64 bits, and {number} has more")
        return Seed((number >> 32 & _WORD, number & _WORD))
    if not isinstance(key, jax.Array):
        raise InvalidSetting(f"key is a seed, such as 0, or a key of jax.random, not {key!r}")
    is_new = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    words = jax.random.key_data(key) if is_new else key
    if words.dtype != jnp.uint32 or words.ndim != 1:
        raise InvalidSetting(
            f"key is one key of jax.random, not an array of {key.dtype} of shape {key.shape}: "
            f"make an ensemble by eqx.filter_vmap over the keys"
        )
    return Seed(words if isinstance(words, jax.core.Tracer) else tuple(np.asarray(words).tolist()))


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
