"""EMLP's names of `intertwine.operators`, at EMLP's address, for code that was written for it.

New code uses the names of `intertwine.operators`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from intertwine.operators import DenseMatrix as Lazy
from intertwine.operators import DirectSum, LinearOperator, Permutation
from intertwine.operators import Kronecker as LazyKron
from intertwine.operators import KroneckerSum as LazyKronsum
from intertwine.operators import Permutation as LazyPerm
from intertwine.operators import Stacked as ConcatLazy
from intertwine.operators import as_operator as lazify
from intertwine.operators import dense as densify
from intertwine.operators import identity_permutation as I

__all__ = [
    "ConcatLazy",
    "I",
    "Lazy",
    "LazyDirectSum",
    "LazyKron",
    "LazyKronsum",
    "LazyPerm",
    "LazyShift",
    "LinearOperator",
    "densify",
    "lazify",
]


def LazyDirectSum(Ms: Sequence[Any], multiplicities: Sequence[int] | None = None) -> DirectSum:
    """Return the block-diagonal operator of the blocks, each as often as its multiplicity says."""
    counts = [1] * len(Ms) if multiplicities is None else list(multiplicities)
    return DirectSum(list(zip(counts, Ms, strict=True)))


def LazyShift(n: int, k: int = 1) -> Permutation:
    """Return the cyclic shift of n coordinates by k places, x ↦ ``np.roll(x, k)``."""
    return Permutation(np.roll(np.arange(n), k))
