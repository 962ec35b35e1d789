"""The batches of an epoch, and the order of its samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float, Int32

from intertwine.errors import InvalidSetting

#: The purposes of random numbers, each with its own stream.
SHUFFLING, SLOTS, ELEMENTS, DROPOUT = range(4)

MICROBATCH = 512
"""The largest number of samples of a microbatch.

The intermediate results of a network of width 384 then take 13 MiB: they stay in the processor's
cache, and the C library can keep their memory from one step to the next. Those of 4,096 samples
take 78 to 103 MiB, and a step takes twice as long. Smaller microbatches gain nothing.
"""


@dataclass(frozen=True)
class Batches:
    """n samples in ⌈n / batch_size⌉ batches, whose sizes differ by at most one.

    Every sample is in exactly one batch of an epoch, and the mean over an epoch is the mean of its
    batches weighted by their `sizes`. There is no small last batch, whose gradient would be noise.
    At most two sizes occur, the larger first.
    """

    samples: int
    count: int

    @classmethod
    def of(cls, samples: int, batch_size: int) -> Batches:
        """Return the batches of at most `batch_size` samples."""
        if batch_size < 1:
            raise InvalidSetting(f"a batch has at least one sample, not {batch_size}")
        return cls(samples, -(-samples // batch_size))

    @classmethod
    def micro(cls, samples: int, size: int) -> Batches:
        """Return the fewest microbatches of at most `size` samples. If up to twice as many have
        equal sizes, return those: each size is compiled separately.
        """
        fewest = max(1, -(-samples // size))
        counts = range(fewest, 2 * fewest + 1)
        return cls(samples, next((n for n in counts if samples % n == 0), fewest))

    @property
    def sizes(self) -> Int32[np.ndarray, " count"]:
        """The size of each batch."""
        size, larger = divmod(self.samples, self.count)
        return size + (np.arange(self.count) < larger).astype(np.int32)

    @property
    def rows(self) -> list[slice]:
        """The samples of each batch, in the order of the epoch."""
        ends = [0, *map(int, np.cumsum(self.sizes))]
        return [slice(start, end) for start, end in pairwise(ends)]

    def mean(self, losses: Float[np.ndarray, " batches"]) -> float:
        """Return the mean over samples, computed in float64 from the means over batches."""
        return float(losses.astype(float) @ self.sizes / self.samples)

    def scan(
        self, step: Callable[[Any, Any, Any], Any], carry: Any, by_sample: Any, by_batch: Any
    ) -> Any:
        """Run ``carry, out = step(carry, samples, batch)`` for every batch, compiled by JAX.

        `by_sample` is a tree of arrays with n rows, in their order, `by_batch` one of arrays with
        `count` rows. Returns the last carry and the outs, stacked.
        """
        import jax
        import jax.numpy as jnp
        from jax import lax

        size, larger = divmod(self.samples, self.count)
        outs, row, batch = [], 0, 0
        for count, length in ((larger, size + 1), (self.count - larger, size)):
            if count == 0:
                continue
            rows, batches = slice(row, row + count * length), slice(batch, batch + count)
            cut = jax.tree.map(
                lambda a, rows=rows, shape=(count, length): a[rows].reshape(*shape, *a.shape[1:]),
                by_sample,
            )
            rest = jax.tree.map(lambda a, batches=batches: a[batches], by_batch)
            carry, out = lax.scan(lambda c, both: step(c, *both), carry, (cut, rest))
            outs.append(out)
            row, batch = rows.stop, batches.stop
        return carry, jax.tree.map(lambda *parts: jnp.concatenate(parts), *outs)


def random_numbers(seed: int, purpose: int, index: int) -> np.random.Generator:
    """Return the random generator of one epoch (or pool), the same in a resumed run."""
    return np.random.default_rng([seed, purpose, index])


def order_of(epoch: int, samples: int, seed: int) -> Int32[np.ndarray, " n"]:
    """Return the order of the samples in an epoch, by NumPy and so the same on every device."""
    return random_numbers(seed, SHUFFLING, epoch).permutation(samples).astype(np.int32)
