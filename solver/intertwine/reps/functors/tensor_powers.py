"""Symmetric and alternating powers of a rep, and the base class of functors on tensors."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from math import comb
from typing import Any

import numpy as np
from jaxtyping import Float, Num

from intertwine.arrays import Array
from intertwine.errors import InvalidRep, TooLarge
from intertwine.integers import is_integer
from intertwine.operators import CoordinateMatrix, Permutation
from intertwine.reps.functors.functor import (
    Functor,
    SizePolynomial,
    checked_part,
    is_scalar,
    latex_part,
)
from intertwine.reps.functors.powers import (
    alternating_power,
    index_tuples,
    power_derivative,
    power_of_permutation,
    symmetric_power,
)
from intertwine.reps.functors.tensor_subspace import TensorSubspace, flat_index, flat_tuples
from intertwine.reps.parsing import register_function
from intertwine.reps.syntax import MAX_EXPONENT, Rep, Scalar, checked_size, direct_sum, tensor

_KEPT = 32


class TensorFunctor(Functor):
    """A functor on a subspace of the full tensors ρ ⊗ … ⊗ ρ."""

    @property
    def degree(self) -> int:
        """k, the number of slots of the full tensors."""
        raise NotImplementedError

    def subspace_of(self, n: int) -> TensorSubspace:
        """Return the subspace of the full tensors over slots of size n."""
        raise NotImplementedError

    def weights_over(self, n: int) -> Float[np.ndarray, " N"]:
        """Return the norms of a basis of integer tensors, in which the matrices are rational."""
        found: Float[np.ndarray, " N"] = np.sqrt(self.subspace_of(n).norms)
        return found

    @property
    def full(self) -> Rep:
        """The full tensors ρ ⊗ … ⊗ ρ."""
        return tensor([self.part] * self.degree)

    @property
    def embed(self) -> CoordinateMatrix:
        """The isometry E from this rep into the full tensors, of shape (nᵏ, N), as an operator.

        E F(ρ(g)) = (ρ(g) ⊗ … ⊗ ρ(g)) E and EᵀE = 1: an entry that occurs m times in the full tensor
        has the weight √m here, as in Mandel's notation (Mandel, 1965). Raises `NotConcrete`, and
        `TooLarge` for more than ten million entries of the full tensors.
        """
        self._require_group()
        return self.subspace_of(self.part.size()).embedding

    @property
    def project(self) -> CoordinateMatrix:
        """Eᵀ, of shape (N, nᵏ): the coordinates of the nearest tensor of this rep."""
        return self.embed.transposed


class Power(TensorFunctor):
    """Symᵏ(ρ) or Λᵏ(ρ): see `SymmetricPower` and `AlternatingPower`."""

    __match_args__ = ("k", "part")
    k: int
    strict: bool
    letter: str

    @property
    def degree(self) -> int:
        """k, the power."""
        return self.k

    def of_derivative(self, matrix: Num[Array, "n n"]) -> Num[Array, "N N"]:
        """Return the derivative, which has entries for pairs of tuples with k − 1 equal indices."""
        return power_derivative(matrix, self.k, strict=self.strict)

    def of_permutation(self, move: Permutation) -> Permutation | None:
        """Return the signed permutation of sorted tuples."""
        return power_of_permutation(move, self.k, strict=self.strict)

    @property
    def indices(self) -> Num[np.ndarray, "N k"]:
        """The sorted index tuples of the basis, in lexicographic order, of shape (N, k)."""
        self._require_group()
        return index_tuples(self.part.size(), self.k, self.strict).tuples.copy()

    def weights_over(self, n: int) -> Float[np.ndarray, " N"]:
        """√m for the m rearrangements of each tuple; for alternating powers 1."""
        table = index_tuples(n, self.k, self.strict)
        squares = np.ones(table.count) if self.strict else table.rearrangements
        found: Float[np.ndarray, " N"] = np.sqrt(squares)
        return found

    def subspace_of(self, n: int) -> TensorSubspace:
        """Return the symmetric or alternating tensors."""
        return _power_subspace(n, self.k, self.strict)

    def __str__(self) -> str:
        return f"{self.letter}({self.k}, {self.part})"


class SymmetricPower(Power, built_in=True):
    """Symᵏ(ρ), the symmetric tensors of k slots, made by `Sym`."""

    strict = False
    letter = "Sym"

    def rebuilt(self, part: Rep) -> Rep:
        """Return Symᵏ of another part."""
        return Sym(self.k, part)

    def of_matrix(self, matrix: Num[Array, "n n"]) -> Num[Array, "N N"]:
        """Symᵏ(M)."""
        return symmetric_power(matrix, self.k)

    def size_over(self, n: int) -> int:
        """C(n + k − 1, k)."""
        return checked_size(comb(n + self.k - 1, self.k)) if n else 0

    @property
    def size_polynomial(self) -> SizePolynomial:
        """n(n + 1)⋯(n + k − 1) / k!."""
        return product_polynomial([(j, j + 1) for j in range(self.k)])

    def latex_name(self) -> str:
        r"""\operatorname{Sym}^{k} of the part."""
        return rf"\operatorname{{Sym}}^{{{self.k}}}{latex_part(self.part)}"


class AlternatingPower(Power, built_in=True):
    """Λᵏ(ρ), the alternating tensors of k slots, made by `Alt`."""

    strict = True
    letter = "Alt"

    def rebuilt(self, part: Rep) -> Rep:
        """Return Λᵏ of another part."""
        return Alt(self.k, part)

    def of_matrix(self, matrix: Num[Array, "n n"]) -> Num[Array, "N N"]:
        """Λᵏ(M), the minors."""
        return alternating_power(matrix, self.k)

    def size_over(self, n: int) -> int:
        """C(n, k)."""
        return checked_size(comb(n, self.k))

    @property
    def size_polynomial(self) -> SizePolynomial:
        """n(n − 1)⋯(n − k + 1) / k!."""
        return product_polynomial([(-j, j + 1) for j in range(self.k)])

    def latex_name(self) -> str:
        r"""\Lambda^{k} of the part."""
        return rf"\Lambda^{{{self.k}}}{latex_part(self.part)}"


def Sym(k: int, rep: Any) -> Rep:
    """Return the symmetric power Symᵏ(ρ), of size C(n + k − 1, k).

    The basis is orthonormal in the full tensors, by index tuples i₁ ≤ … ≤ i_k in lexicographic
    order: for a symmetric 3 × 3 matrix, (s₁₁, √2 s₁₂, √2 s₁₃, s₂₂, √2 s₂₃, s₃₃). `embed` and
    `project` map to the full tensors and back. Sym(0, ρ) is the scalar and Sym(1, ρ) is ρ. Raises
    `InvalidRep` for a rep of several groups, and `TooLarge` for k over `MAX_EXPONENT`.
    """
    k, part = checked_degree(k, "Sym"), checked_part(rep)
    if k == 0:
        return tensor(())
    if is_scalar(part):
        size = part.size()
        return direct_sum([(comb(size + k - 1, k) if size else 0, Scalar)])
    found: Rep = part if k == 1 else SymmetricPower(part, k=k)
    return found


def Alt(k: int, rep: Any) -> Rep:
    """Return the alternating power Λᵏ(ρ), of size C(n, k).

    The basis is orthonormal in the full tensors, by index tuples i₁ < … < i_k in lexicographic
    order: for an alternating 3 × 3 matrix, √2 (a₁₂, a₁₃, a₂₃). The matrices are those of the k × k
    minors. Alt(0, ρ) is the scalar and Alt(1, ρ) is ρ. Raises the errors of `Sym`.
    """
    k, part = checked_degree(k, "Alt"), checked_part(rep)
    if k == 0:
        return tensor(())
    if is_scalar(part):
        return direct_sum([(comb(part.size(), k), Scalar)])
    found: Rep = part if k == 1 else AlternatingPower(part, k=k)
    return found


@lru_cache(_KEPT)
def _power_subspace(n: int, k: int, strict: bool) -> TensorSubspace:
    tuples = flat_tuples(n, k)
    order = np.sort(tuples, axis=1)
    table = index_tuples(n, k, strict)
    values = np.ones(len(tuples), dtype=np.int64)
    if strict:
        kept = np.all(order[:, 1:] > order[:, :-1], axis=1)
        tuples, order, values = tuples[kept], order[kept], values[kept]
        for place in range(k):
            values *= (-1) ** (tuples[:, place, None] > tuples[:, place + 1 :]).sum(axis=1)
    return TensorSubspace(
        n, k, table.count, flat_index(tuples, n), table.rank(order), values.astype(float)
    )


def checked_degree(k: Any, name: str) -> int:
    """Return a degree from 0 to `MAX_EXPONENT`. Raises `InvalidRep` or `TooLarge`."""
    if not is_integer(k) or k < 0:
        raise InvalidRep(
            f"the degree of {name} is an integer from 0 on, not {k!r}: write {name}(2, V)"
        )
    if k > MAX_EXPONENT:
        raise TooLarge(f"the degree {k:,} of {name} is too large; at most {MAX_EXPONENT}")
    return int(k)


def product_polynomial(factors: Sequence[tuple[int, int]]) -> SizePolynomial:
    """Return Π (n + c)/h for pairs (c, h).

    For the contents and hook lengths of a Young diagram, this is the size of its Schur functor
    (Stanley, *Enumerative Combinatorics* 2, 1999, theorem 7.21.2).
    """
    found = [Fraction(1)]
    for content, hook in factors:
        raised = [Fraction(0), *found]
        lowered = [content * c for c in found] + [Fraction(0)]
        found = [(a + b) / hook for a, b in zip(raised, lowered, strict=True)]
    return tuple(found)


register_function("Sym", Sym)
for _name in ("Alt", "Λ"):
    register_function(_name, Alt)
