"""Augmentation of samples by random group elements: x ↦ ρ_in(g)x, y ↦ ρ_out(g)y."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Inexact, Int32, Shaped

from intertwine.arrays import namespace
from intertwine.errors import InvalidSetting, TooLarge
from intertwine.reps import Rep
from intertwine.reps.syntax import Element, groups_of
from intertwine.training.batches import ELEMENTS, SLOTS, random_numbers
from intertwine.training.data import DeviceSamples, are_labels
from intertwine.verify import sampled_elements

_LARGEST = 1024
_FEWEST = 16
_BYTES = 2**26
_USES = 64
"""How often an element is used before a new pool is drawn, which costs about 50 μs an element."""


class Pool(NamedTuple):
    """Matrices ρ_in(g) and ρ_out(g) of group elements; `rho_out` is None for labels."""

    rho_in: Inexact[Any, "k n n"]
    rho_out: Inexact[Any, "k m m"] | None

    def move(
        self, x: Shaped[Any, "b n"], y: Shaped[Any, "b ..."], slots: Int32[Any, " b"]
    ) -> tuple[Shaped[Any, "b n"], Shaped[Any, "b ..."]]:
        """Return each sample transformed by the element at its slot."""
        xp = namespace(x)
        x = xp.einsum("bij,bj->bi", self.rho_in[slots], x)
        if self.rho_out is not None:
            y = xp.einsum("bij,bj->bi", self.rho_out[slots], y)
        return x, y


@dataclass(frozen=True)
class Augmentation:
    """A random group element for every sample of every batch, determined by the seed.

    Elements come from a pool of `size`, drawn by ``G.samples`` (1024, or as many as fit in 64 MB),
    each sample of each epoch choosing its own. After `period` epochs, when every element was used
    some 64 times, a new pool is drawn: no finite subset of a continuous group is ever fitted.
    """

    rep_in: Rep
    rep_out: Rep
    samples: int
    seed: int

    def check(self, samples: DeviceSamples) -> None:
        """Raise if the reps do not fit the samples, or are too large for augmentation."""
        is_label = are_labels(samples.y)
        if is_label and groups_of(self.rep_out):
            raise InvalidSetting(
                f"the targets are integers, which {self.rep_out!r} would move: give them as "
                f"floating-point numbers to augment them"
            )
        for rep, array in ((self.rep_in, samples.x), (self.rep_out, samples.y)):
            if array.shape[1:] != (rep.size(),) and not (is_label and array is samples.y):
                raise InvalidSetting(
                    f"{rep!r} has size {rep.size()}, and cannot act on an array of shape "
                    f"{tuple(array.shape)}"
                )
        if self.size < _FEWEST:
            raise TooLarge(
                f"the matrices of {_FEWEST} elements on {self.rep_in!r} and {self.rep_out!r} take "
                f"more than {_BYTES / 1e6:.0f} MB: this is too large to augment with"
            )

    @property
    def size(self) -> int:
        """Return the number of elements in a pool."""
        entries = self.rep_in.size() ** 2 + self.rep_out.size() ** 2
        return min(_LARGEST, _BYTES // (8 * max(entries, 1)))

    @property
    def period(self) -> int:
        """Return the number of epochs that use a pool."""
        return max(1, _USES * self.size // self.samples)

    def pool(self, epoch: int, samples: DeviceSamples) -> Pool:
        """Return the pool of an epoch, in the dtypes and on the device of inputs and targets."""
        seed = int(random_numbers(self.seed, ELEMENTS, epoch // self.period).integers(2**31))
        drawn = sampled_elements((self.rep_in, self.rep_out), self.size, seed)
        return Pool(
            _images(self.rep_in, drawn, samples.x),
            None if are_labels(samples.y) else _images(self.rep_out, drawn, samples.y),
        )

    def slots(self, epoch: int) -> Int32[np.ndarray, " n"]:
        """Return the index of the element that transforms each sample of an epoch."""
        numbers = random_numbers(self.seed, SLOTS, epoch)
        return numbers.integers(self.size, size=self.samples, dtype=np.int32)


class Pools:
    """The current pool: drawn on first use, and kept until the next one is due."""

    def __init__(self, augmentation: Augmentation | None, samples: DeviceSamples) -> None:
        self._augmentation, self._samples = augmentation, samples
        self._number = -1
        self._pool: Pool | None = None

    def at(self, epoch: int) -> Pool | None:
        """Return the pool of an epoch; None without augmentation."""
        if self._augmentation is None:
            return None
        number = epoch // self._augmentation.period
        if number != self._number:
            self._number, self._pool = number, self._augmentation.pool(epoch, self._samples)
        return self._pool

    def until(self, epoch: int, end: int) -> int:
        """Return the epoch at which the next pool is due; `end` without augmentation."""
        if self._augmentation is None:
            return end
        return (epoch // self._augmentation.period + 1) * self._augmentation.period


def _images(
    rep: Rep, elements: list[Element], points: Shaped[Any, "samples ..."]
) -> Inexact[Any, "k n n"]:
    images = np.stack([np.asarray(rep.rho_dense(g)) for g in elements])
    if np.iscomplexobj(images) and "complex" not in str(points.dtype):
        raise InvalidSetting(
            f"{rep!r} acts by complex matrices, and the samples are real: give them as complex "
            f"numbers to augment them"
        )
    return namespace(points).asarray(images, dtype=points.dtype)
