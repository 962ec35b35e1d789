"""Kronecker products and Kronecker sums: how a group and its Lie algebra act on tensors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import prod
from typing import Any

from intertwine.arrays import Array, common_dtype, namespace
from intertwine.operators.base import LinearOperator, apply_in_slot, dense, inverse_transpose


class Kronecker(LinearOperator):
    """A₁ ⊗ A₂ ⊗ … of square factors (operators or arrays), applied slot by slot."""

    def __init__(self, factors: Sequence[LinearOperator | Array]) -> None:
        self.factors = tuple(factors)
        self.sizes = tuple(factor.shape[0] for factor in self.factors)
        self.shape = (prod(self.sizes), prod(self.sizes))
        self.dtype = common_dtype(*(factor.dtype for factor in self.factors))

    def _matmat(self, matrix: Array) -> Array:
        columns, result = matrix.shape[1], matrix
        for slot, factor in enumerate(self.factors):
            result = apply_in_slot(factor, result.reshape(_around(self.sizes, slot, columns)))
        return result.reshape(self.shape[0], columns)

    def _adjoint(self) -> Kronecker:
        return Kronecker([_adjoint(factor) for factor in self.factors])

    def invT(self) -> Kronecker:
        """Return A₁⁻ᵀ ⊗ A₂⁻ᵀ ⊗ …"""
        return Kronecker([inverse_transpose(factor) for factor in self.factors])

    def dense(self) -> Array:
        """Return the matrix A₁ ⊗ A₂ ⊗ …"""
        matrices = [dense(factor) for factor in self.factors]
        return reduce(namespace(*matrices).kron, matrices)


class KroneckerSum(LinearOperator):
    """Σᵢ 1 ⊗ … ⊗ Aᵢ ⊗ … ⊗ 1, the action of a Lie algebra element on a tensor product."""

    def __init__(self, factors: Sequence[LinearOperator | Array]) -> None:
        self.factors = tuple(factors)
        self.sizes = tuple(factor.shape[0] for factor in self.factors)
        self.shape = (prod(self.sizes), prod(self.sizes))
        self.dtype = common_dtype(*(factor.dtype for factor in self.factors))

    def _matmat(self, matrix: Array) -> Array:
        result = 0
        for slot, factor in enumerate(self.factors):
            around = _around(self.sizes, slot, matrix.shape[1])
            moved = apply_in_slot(factor, matrix.reshape(around))
            result = result + moved.reshape(matrix.shape)
        return result

    def _adjoint(self) -> KroneckerSum:
        return KroneckerSum([_adjoint(factor) for factor in self.factors])

    def dense(self) -> Array:
        """Return the matrix Σᵢ 1 ⊗ … ⊗ Aᵢ ⊗ … ⊗ 1."""
        matrices = [dense(factor) for factor in self.factors]
        xp = namespace(*matrices)

        def add(left: Any, right: Any) -> Any:
            return xp.kron(left, xp.eye(len(right))) + xp.kron(xp.eye(len(left)), right)

        return reduce(add, matrices)


def _around(sizes: Sequence[int], slot: int, columns: int) -> tuple[int, int, int]:
    """Return the shape (before the slot, the slot, after the slot)."""
    return prod(sizes[:slot]), sizes[slot], prod(sizes[slot + 1 :]) * columns


def _adjoint(factor: LinearOperator | Array) -> LinearOperator | Array:
    return factor.H if isinstance(factor, LinearOperator) else factor.conj().T
