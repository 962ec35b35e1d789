"""A rep as one matrix per generator, applied to blocks of vectors from the left and the right.

A map X: ρ₁ → ρ₂ is equivariant if M₂X = XM₁ for the matrices M of every generator: the same
equation for Lie generators, where M = dρ(A), and for discrete ones, where M = ρ(h).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import numpy as np
from jaxtyping import Inexact

_WRITTEN_OUT = 40  # products of at most this size are stored as one matrix per generator


def adjoint(x: Inexact[np.ndarray, "... m n"]) -> Inexact[np.ndarray, "... n m"]:
    """Return Xᴴ of a matrix, or of each in a stack."""
    return np.swapaxes(x, -1, -2).conj()


def norm(x: Inexact[np.ndarray, "..."]) -> float:
    """Return the Frobenius norm of all entries of an array."""
    flat = x.ravel()
    return sqrt(np.vdot(flat, flat).real)


class Action:
    """Matrices M of shape (K, n, n), the first `lie_count` of them of a Lie algebra."""

    def __init__(self, matrices: Inexact[np.ndarray, "K n n"], lie_count: int) -> None:
        self.matrices: Inexact[np.ndarray, "K n n"] = np.ascontiguousarray(matrices)
        self.count, self.size, self.lie_count = len(matrices), matrices.shape[-1], lie_count

    @cached_property
    def norms(self) -> Inexact[np.ndarray, " K"]:
        """The spectral norm of each matrix, or a bound on it."""
        if not self.count:
            return np.zeros(0)
        found: Inexact[np.ndarray, " K"] = np.linalg.norm(self.matrices, 2, axis=(1, 2))
        return found

    @property
    def scale(self) -> float:
        """A bound on the spectral norm of all matrices, stacked."""
        return float(np.linalg.norm(self.norms))

    def left(self, x: Inexact[np.ndarray, "n c"]) -> Inexact[np.ndarray, "K n c"]:
        """Mₖx for every k."""
        stacked = self.matrices.reshape(self.count * self.size, self.size)
        moved: Inexact[np.ndarray, "K n c"] = np.matmul(stacked, x).reshape(
            self.count, self.size, x.shape[1]
        )
        return moved

    def left_adjoint(self, y: Inexact[np.ndarray, "K n c"]) -> Inexact[np.ndarray, "n c"]:
        """Σₖ Mₖᴴyₖ."""
        stacked = self.matrices.reshape(self.count * self.size, self.size)
        found: Inexact[np.ndarray, "n c"] = adjoint(stacked) @ y.reshape(-1, y.shape[2])
        return found

    def right(self, x: Inexact[np.ndarray, "c n"]) -> Inexact[np.ndarray, "K c n"]:
        """xMₖ for every k."""
        found: Inexact[np.ndarray, "K c n"] = np.matmul(x, self.matrices)
        return found

    def right_adjoint(self, y: Inexact[np.ndarray, "K c n"]) -> Inexact[np.ndarray, "c n"]:
        """Σₖ yₖMₖᴴ."""
        found: Inexact[np.ndarray, "c n"] = np.matmul(y, adjoint(self.matrices)).sum(0)
        return found

    def select(self, kept: Sequence[int]) -> Action:
        """Return the action with some of the matrices, in order; itself if all are kept."""
        if len(kept) == self.count:
            return self
        return Action(self.matrices[list(kept)], sum(k < self.lie_count for k in kept))

    def restrict(self, w: Inexact[np.ndarray, "n d"]) -> Action:
        """Return the action wᴴMₖw on the subspace spanned by the orthonormal columns of w."""
        return Action(adjoint(w) @ self.left(w), self.lie_count)


class ProductAction(Action):
    """The action on a ⊗ b, without its Kronecker products."""

    def __init__(self, a: Action, b: Action) -> None:
        self.a, self.b = a, b
        self.count, self.size, self.lie_count = a.count, a.size * b.size, a.lie_count

    @cached_property
    def norms(self) -> Inexact[np.ndarray, " K"]:
        """Bounds on the spectral norms: of a sum for Lie generators, else of a product."""
        lie = np.arange(self.count) < self.lie_count
        both = np.where(lie, self.a.norms + self.b.norms, self.a.norms * self.b.norms)
        found: Inexact[np.ndarray, " K"] = both
        return found

    def written_out(self) -> Action:
        """Return the same action as matrices."""
        a, b, lie = self.a.matrices, self.b.matrices, self.lie_count
        one_a, one_b = np.eye(self.a.size), np.eye(self.b.size)
        sums = np.einsum("kij,ab->kiajb", a[:lie], one_b) + np.einsum(
            "ij,kab->kiajb", one_a, b[:lie]
        )
        products = np.einsum("kij,kab->kiajb", a[lie:], b[lie:])
        matrices = np.concatenate([sums, products])
        return Action(matrices.reshape(self.count, self.size, self.size), lie)

    def left(self, x: Inexact[np.ndarray, "n c"]) -> Inexact[np.ndarray, "K n c"]:
        """Mₖx for every k."""
        return self._apply(x, self.a.matrices, self.b.matrices)

    def left_adjoint(self, y: Inexact[np.ndarray, "K n c"]) -> Inexact[np.ndarray, "n c"]:
        """Σₖ Mₖᴴyₖ."""
        return self._sum(y, adjoint(self.a.matrices), adjoint(self.b.matrices))

    def right(self, x: Inexact[np.ndarray, "c n"]) -> Inexact[np.ndarray, "K c n"]:
        """xMₖ for every k."""
        transposed = self._apply(
            np.ascontiguousarray(x.T),
            np.swapaxes(self.a.matrices, 1, 2),
            np.swapaxes(self.b.matrices, 1, 2),
        )
        return np.swapaxes(transposed, 1, 2)

    def right_adjoint(self, y: Inexact[np.ndarray, "K c n"]) -> Inexact[np.ndarray, "c n"]:
        """Σₖ yₖMₖᴴ."""
        y = np.ascontiguousarray(np.swapaxes(y, 1, 2))  # (Σ M̄ₖyₖᵀ)ᵀ
        return self._sum(y, self.a.matrices.conj(), self.b.matrices.conj()).T

    def _sum(
        self,
        y: Inexact[np.ndarray, "K n c"],
        a: Inexact[np.ndarray, "K p p"],
        b: Inexact[np.ndarray, "K q q"],
    ) -> Inexact[np.ndarray, "n c"]:
        """Return Σₖ (aₖ ⊗ 1 + 1 ⊗ bₖ)yₖ over Lie generators plus Σₖ (aₖ ⊗ bₖ)yₖ over the others."""
        (m, n), lie, c = (self.a.size, self.b.size), self.lie_count, y.shape[2]
        y = y.reshape(self.count, m, n, c)
        result = np.zeros((m, n, c), dtype=np.result_type(y, a))
        if lie:
            side_by_side = np.swapaxes(a[:lie], 0, 1).reshape(m, lie * m)
            result += (side_by_side @ y[:lie].reshape(lie * m, n * c)).reshape(m, n, c)
            result += np.matmul(b[:lie, None], y[:lie]).sum(0)
        if lie < self.count:
            moved = np.matmul(a[lie:], y[lie:].reshape(-1, m, n * c)).reshape(-1, m, n, c)
            result += np.matmul(b[lie:, None], moved).sum(0)
        return result.reshape(self.size, c)

    def _apply(
        self,
        x: Inexact[np.ndarray, "n c"],
        a: Inexact[np.ndarray, "K p p"],
        b: Inexact[np.ndarray, "K q q"],
    ) -> Inexact[np.ndarray, "K n c"]:
        (m, n), lie, c = (self.a.size, self.b.size), self.lie_count, x.shape[1]
        x = x.reshape(m, n, c)
        result = np.empty((self.count, m, n, c), dtype=np.result_type(x, a))
        if lie:
            first = a[:lie].reshape(lie * m, m) @ x.reshape(m, n * c)
            result[:lie] = first.reshape(lie, m, n, c) + np.matmul(b[:lie, None], x)
        if lie < self.count:
            moved = np.matmul(b[lie:, None], x).reshape(self.count - lie, m, n * c)
            result[lie:] = np.matmul(a[lie:], moved).reshape(-1, m, n, c)
        return result.reshape(self.count, self.size, c)


@dataclass(frozen=True)
class MatrixRep:
    """A rep by its matrices.

    `given` has an orthonormal basis of the Lie algebra and the discrete generators: results are
    checked against these. `constraints` are used to solve: the same without redundant discrete
    generators, or for a compact group with many generators a few random elements of it.
    """

    given: Action
    constraints: Action

    @property
    def size(self) -> int:
        """n, the dimension."""
        return int(self.given.size)

    def restrict(self, w: Inexact[np.ndarray, "n d"]) -> MatrixRep:
        """Return the rep on the invariant subspace spanned by the orthonormal columns of w."""
        return self._both(lambda action: action.restrict(w))

    def tensor(self, other: MatrixRep) -> MatrixRep:
        """Return the tensor product with another rep."""
        given = ProductAction(self.given, other.given)
        if self.constraints is self.given:
            action = given.written_out() if given.size <= _WRITTEN_OUT else given
            return MatrixRep(action, action)
        constraints = ProductAction(self.constraints, other.constraints)
        small = given.size <= _WRITTEN_OUT
        return MatrixRep(given, constraints.written_out() if small else constraints)

    def _both(self, change: Callable[[Action], Action]) -> MatrixRep:
        given = change(self.given)
        same = self.constraints is self.given
        return MatrixRep(given, given if same else change(self.constraints))
