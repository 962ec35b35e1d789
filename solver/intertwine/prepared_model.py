"""A model that is ready to be called often with few rows, whichever framework computes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Shaped

from intertwine.reps import Rep
from intertwine.reps.generator_images import act_by_complex_numbers
from intertwine.reps.syntax import atoms

Rows = Shaped[np.ndarray, "rows width"]
Outputs = Shaped[np.ndarray, "rows size"]


class PreparedModel(ABC):
    """A model for batches of `sizes`, the largest last.

    It maps arrays of shape (rows, width) and of its `dtype`, of at most ``sizes[-1]`` rows, to
    arrays of shape (rows, size of the output). `empty` is the answer to no rows. The model runs in
    the precision of its weights.
    """

    sizes: tuple[int, ...]
    rep_in: Rep
    rep_out: Rep
    width: int
    dtype: np.dtype[Any]
    empty: Outputs

    def __init__(self, model: Any, sizes: Sequence[int], *, is_double: bool) -> None:
        self.sizes = tuple(sizes)
        self.rep_in, self.rep_out = model.rep_in, model.rep_out
        self.width = self.rep_in.size()
        is_complex = act_by_complex_numbers(atoms(self.rep_in))
        real = np.float64 if is_double else np.float32
        self.dtype = np.result_type(real, np.complex64 if is_complex else 0)

    @property
    @abstractmethod
    def compiled(self) -> frozenset[int]:
        """The batch sizes that need no more preparation."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """The estimated memory of the model in bytes, with all its `sizes` prepared."""

    @staticmethod
    @abstractmethod
    def overhead(sizes: Sequence[int]) -> int:
        """Return the estimated memory of a model besides its weights, before it is loaded."""

    @abstractmethod
    def compile(self, size: int) -> None:
        """Prepare batches of `size` rows."""

    @abstractmethod
    def __call__(self, rows: Rows) -> Outputs:
        """Return the model's outputs."""
