"""Batches of a dataset, without PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np

from intertwine.integers import checked_integer


@runtime_checkable
class Indexable(Protocol):
    """A dataset with a length, which returns the batch at an array of indices of shape (batch,)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> Any: ...


class Loader:
    """Iterates over a dataset in batches of NumPy arrays, as PyTorch's `DataLoader` does.

    ::

        for x, y in Loader(Inertia(1000), batch_size=500, shuffle=True):
            ...

    The last batch is smaller if `batch_size` does not divide the length; `drop_last` omits it.
    With `shuffle` each pass has its own order, which depends only on `seed` and the number of the
    pass. `epoch` is the number of the next pass, from 0 on: set it to resume a training.

    The dataset must accept arrays of indices, as those of this package do and any class that
    passes the index on to its arrays. Raises `InvalidSetting` for an invalid batch size or seed.
    """

    def __init__(
        self,
        dataset: Indexable,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        drop_last: bool = False,
        seed: int = 0,
    ) -> None:
        self.dataset = dataset
        self.batch_size = checked_integer(batch_size, "batch_size", 1)
        self.shuffle, self.drop_last = bool(shuffle), bool(drop_last)
        self.seed = checked_integer(seed, "seed")
        self.epoch = 0

    def __len__(self) -> int:
        """Return the number of batches."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole if self.drop_last or not rest else whole + 1

    def __iter__(self) -> Iterator[Any]:
        order = np.arange(len(self.dataset))
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(order)
        self.epoch += 1
        starts = range(0, len(self) * self.batch_size, self.batch_size)
        return (self.dataset[order[start : start + self.batch_size]] for start in starts)

    def __repr__(self) -> str:
        return (
            f"Loader({self.dataset!r}, batch_size={self.batch_size}, shuffle={self.shuffle}, "
            f"drop_last={self.drop_last}, seed={self.seed})"
        )
