"""Batches of a dataset, without PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np

from intertwine.datasets.settings import whole_number


@runtime_checkable
class Indexable(Protocol):
    """What has a length, and gives the batch at an array of indices, of shape (batch,)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> Any: ...


class Loader:
    """Goes through a dataset in batches, as PyTorch's `DataLoader` does, in NumPy arrays.

    ::

        for x, y in Loader(Inertia(1000), batch_size=500, shuffle=True):
            ...

    The last batch is smaller where `batch_size` does not divide the length, and left out with
    `drop_last`. With `shuffle` each pass has an order of its own; the order of a pass depends on
    `seed` and its number alone. `epoch` is the number of the next pass, from 0 on: set it, and
    an interrupted training goes on as if it had not been.

    The dataset takes arrays of indices, as those of this package do and any class that hands
    the index on to its arrays. Raises `InvalidSetting` for a batch size or seed that is none.
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
        self.batch_size = whole_number(batch_size, "batch_size")
        self.shuffle, self.drop_last = bool(shuffle), bool(drop_last)
        self.seed = whole_number(seed, "seed", least=0)
        self.epoch = 0

    def __len__(self) -> int:
        """The number of batches."""
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
