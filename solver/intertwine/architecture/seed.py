"""Seeds of initial weights, which are drawn in NumPy.

The same seed gives the same numbers on every platform and device, in every framework.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from intertwine.arrays import is_concrete_jax, is_jax
from intertwine.errors import InvalidSetting

_WORD = 2**32 - 1


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
        return is_jax(self.words) and not is_concrete_jax(self.words)

    def generator(self) -> np.random.Generator:
        """Return a new generator, with the same random numbers in each call."""
        words = [int(word) for word in np.asarray(self.words)]
        sequence = np.random.SeedSequence(words, spawn_key=self.path)
        return np.random.Generator(np.random.Philox(sequence))


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
    if not is_jax(key):
        raise InvalidSetting(f"key is a seed, such as 0, or a key of jax.random, not {key!r}")
    import jax

    is_new = jax.numpy.issubdtype(key.dtype, jax.dtypes.prng_key)
    words = jax.random.key_data(key) if is_new else key
    if words.dtype != np.uint32 or words.ndim != 1:
        raise InvalidSetting(
            f"key is one key of jax.random, not an array of {key.dtype} of shape {key.shape}: "
            f"make an ensemble by eqx.filter_vmap over the keys"
        )
    return Seed(tuple(np.asarray(words).tolist()) if is_concrete_jax(words) else words)
