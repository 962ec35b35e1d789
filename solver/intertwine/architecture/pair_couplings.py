"""Products of two irreps in PyTorch: all their couplings by one matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Inexact

from intertwine.architecture.features import ZERO, constant_like, split
from intertwine.arrays import Array, namespace


@dataclass(frozen=True, eq=False)
class PairCouplings:
    """All couplings λ ⊗ μ → ν₁, ν₂, … of two irreps on as many channels, as one matrix.

    The columns of the matrix are for pairs of components: all of them, or (i, i) alone if no others
    couple, as for invariant forms. It is None if it is the identity, as for products with scalars.
    `places` are the indices of the couplings in `Products.every`, and `sizes` the dimensions of ν.
    """

    left: str
    right: str
    width: int
    places: Sequence[int]
    sizes: Sequence[int]
    matrix: Inexact[np.ndarray, "o p"] | None
    is_diagonal: bool

    @classmethod
    def of(
        cls,
        left: str,
        right: str,
        width: int,
        places: Sequence[int],
        coefficients: Sequence[Inexact[np.ndarray, "_ i j"]],
    ) -> PairCouplings:
        """Return the couplings with these coefficients."""
        whole = np.concatenate(coefficients)
        o, i, j = whole.shape
        is_diagonal = i == j and not (np.abs(whole) > ZERO)[:, ~np.eye(i, dtype=bool)].any()
        matrix = np.einsum("oii->oi", whole).copy() if is_diagonal else whole.reshape(o, i * j)
        is_identity = matrix.shape == (o, o) and np.array_equal(matrix, np.eye(o))
        sizes = [len(one) for one in coefficients]
        kept = None if is_identity else matrix
        return cls(left, right, width, places, sizes, kept, is_diagonal)

    def __call__(
        self, a: Inexact[Array, "_ i b"], b: Inexact[Array, "_ j b"]
    ) -> Sequence[Inexact[Array, "n _ b"]]:
        """Return the products of the first channels of two tensors."""
        a, b = (x if len(x) == self.width else x[: self.width] for x in (a, b))
        pairs = a * b if self.is_diagonal else (a[:, :, None] * b[:, None]).flatten(1, 2)
        if self.matrix is not None:
            pairs = namespace(pairs).matmul(constant_like(self.matrix, pairs), pairs)
        return split(pairs, self.sizes, axis=1) if len(self.sizes) > 1 else [pairs]
