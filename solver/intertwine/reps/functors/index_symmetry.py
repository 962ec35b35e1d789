"""Tensors with a given symmetry of their indices: `Indexed(V, "ijkl=jikl=klij")`.

The notation is that of e3nn's ReducedTensorProducts (Geiger and Smidt, 2022, arXiv:2207.09453):
equalities between permutations of the indices, with signs, that hold for all entries of a tensor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Num

from intertwine.arrays import Array
from intertwine.errors import InvalidRep, TooLarge
from intertwine.operators import Permutation
from intertwine.reps.functors.functor import SizePolynomial, checked_part, is_scalar, latex_part
from intertwine.reps.functors.tensor_powers import TensorFunctor
from intertwine.reps.functors.tensor_subspace import (
    TensorSubspace,
    flat_index,
    flat_tuples,
    monomial,
    require_tensor_size,
)
from intertwine.reps.parsing import register_function
from intertwine.reps.syntax import Rep, Scalar, direct_sum

MAX_SLOTS = 16
"""The most indices of a formula."""
MAX_ORDER = 2_000
"""The largest order of the group of permutations that a formula generates."""
MAX_EQUALITIES = 64
"""The most index words in a formula."""
_MOST_MOVES = 10**9  # index tuples times permutations
_KEPT = 64
_LETTERS = "ijklmnopqrstuvwx"

#: A permutation of the slots, and a sign s: T[a₁, …, a_k] = s T[a_{π(1)}, …, a_{π(k)}].
_Element = tuple[tuple[int, ...], int]


class IndexSymmetric(TensorFunctor, built_in=True):
    """The tensors ρ ⊗ … ⊗ ρ whose entries satisfy a formula; made by `Indexed`.

    Values with formulas that generate the same group of permutations are equal.
    """

    __match_args__ = ("formula", "part")
    formula: str

    @property
    def degree(self) -> int:
        """The number of indices."""
        return len(self.formula.partition("=")[0])

    @property
    def order(self) -> int:
        """The order of the group of signed permutations of the indices."""
        return len(_generated(self.formula))

    def rebuilt(self, part: Rep) -> Rep:
        """Return the tensors of another part with the same symmetry."""
        return Indexed(part, self.formula)

    def of_matrix(self, matrix: Num[Array, "n n"]) -> Num[Array, "N N"]:
        """Eᵀ(M ⊗ … ⊗ M)E."""
        return self.subspace_of(matrix.shape[0]).image(matrix)

    def of_derivative(self, matrix: Num[Array, "n n"]) -> Num[Array, "N N"]:
        """Eᵀ(M ⊗ 1 ⊗ … + …)E."""
        return self.subspace_of(matrix.shape[0]).derivative(matrix)

    def of_permutation(self, move: Permutation) -> Permutation | None:
        """Return the signed permutation of the classes of index tuples."""
        n = len(move.indices)
        return monomial(self.subspace_of(n), move, _first_tuples(n, self.formula))

    def subspace_of(self, n: int) -> TensorSubspace:
        """Return the tensors with this symmetry over slots of size n."""
        return _subspace(n, self.formula)

    @property
    def indices(self) -> Int[np.ndarray, "N k"]:
        """The first index tuple of each class of the basis, in lexicographic order."""
        self._require_group()
        return _first_tuples(self.part.size(), self.formula).copy()

    @property
    def cycle_index(self) -> Mapping[tuple[int, ...], Fraction]:
        """For each list of cycle lengths, the sum of the signs of the permutations with these
        cycles, divided by the order of the group.
        """
        return _cycle_index(self.formula)

    @property
    def size_polynomial(self) -> SizePolynomial:
        """The trace of the projector on these tensors: the mean of s n^(cycles of π)."""
        found = [Fraction(0)] * (self.degree + 1)
        for cycles, mean in self.cycle_index.items():
            found[len(cycles)] += mean
        return tuple(found)

    def _fields(self) -> tuple[Any, ...]:
        return (_digest(self.formula), self.part)

    @property
    def name(self) -> str:
        """The group of permutations that the formula generates."""
        return f"Indexed {_digest(self.formula)}"

    def __str__(self) -> str:
        return f'Indexed({self.part}, "{self.formula}")'

    def latex_name(self) -> str:
        """Return the part with the formula below."""
        return rf"{latex_part(self.part)}_{{{self.formula}}}"


def Indexed(rep: Any, formula: str) -> Rep:
    """Return the tensors ρ ⊗ … ⊗ ρ with a symmetry of their indices.

    The formula has words of the same different letters: in ``"ijkl=jikl=klij"`` the entries with
    permuted indices are equal, as for elastic constants; in ``"ij=-ji"`` they have opposite signs.
    The basis is orthonormal in the full tensors, one vector for each class of equal entries, by its
    first index tuple in lexicographic order; an entry that occurs m times has the weight √m. Raises
    `InvalidRep` for other formulas, for one that only 0 satisfies, such as ``"ij=-ij"``, and for a
    rep of several groups; `TooLarge` for over `MAX_SLOTS` letters or `MAX_ORDER` permutations.
    """
    if not isinstance(formula, str):
        raise InvalidRep(f"a symmetry of indices is a text such as 'ijkl=jikl', not {formula!r}")
    part, normal = checked_part(rep), _normal(formula)
    if (identity := (tuple(range(len(normal.partition("=")[0]))), -1)) in _generated(normal):
        assert identity
        raise InvalidRep(
            f"only the tensor 0 satisfies {formula!r}: it says that entries are their own negatives"
        )
    if "=" not in normal:
        return part ** len(normal)
    found = IndexSymmetric(part, formula=normal)
    if is_scalar(part):
        require_tensor_size(part.size(), found.degree)
        return direct_sum([(found.size_over(part.size()), Scalar)])
    return found


@lru_cache(_KEPT)
def _normal(formula: str) -> str:
    """Return a formula with the letters i, j, … in the first word, and each other word once."""
    words = ["".join(word.split()) for word in formula.split("=")]
    if len(words) > MAX_EQUALITIES:
        raise TooLarge(
            f"the formula has {len(words):,} words; at most {MAX_EQUALITIES} are allowed"
        )
    signs = [-1 if word.startswith("-") else 1 for word in words]
    words = [word.removeprefix("-") for word in words]
    first = words[0]
    if len(first) > MAX_SLOTS:
        raise TooLarge(f"the formula has {len(first):,} indices; at most {MAX_SLOTS} are allowed")
    is_word = first.isalpha() and len(set(first)) == len(first)
    if not is_word or any(sorted(word) != sorted(first) for word in words):
        raise InvalidRep(
            f"{formula!r} is no symmetry of indices: write words of the same different letters, "
            f"such as 'ijkl=jikl=klij' or 'ij=-ji'"
        )
    names = dict(zip(first, _LETTERS, strict=False))
    found = []
    for word, sign in zip(words, signs, strict=True):
        mark = "-" if sign != signs[0] else ""
        found.append(mark + "".join(names[letter] for letter in word))
    return "=".join(dict.fromkeys(found))


@lru_cache(_KEPT)
def _generated(formula: str) -> frozenset[_Element]:
    """Return the group that a normal formula generates. Raises `TooLarge`."""
    first, *others = formula.split("=")
    generators = []
    for word in others:
        sign, word = (-1, word[1:]) if word.startswith("-") else (1, word)
        generators.append((tuple(map(first.index, word)), sign))
    found = {(tuple(range(len(first))), 1)}
    fresh = list(found)
    for move, sign in fresh:  # grows as it is walked
        for other, other_sign in generators:
            product = tuple(move[place] for place in other), sign * other_sign
            if product not in found:
                found.add(product)
                fresh.append(product)
                if len(found) > MAX_ORDER:
                    raise TooLarge(
                        f"{formula!r} generates over {MAX_ORDER:,} permutations of indices; for "
                        f"symmetry in many of them write Sym(k, V) or Alt(k, V)"
                    )
    return frozenset(found)


@lru_cache(_KEPT)
def _digest(formula: str) -> str:
    elements = sorted(_generated(formula))
    return hashlib.sha256(repr(elements).encode()).hexdigest()


@lru_cache(_KEPT)
def _cycle_index(formula: str) -> Mapping[tuple[int, ...], Fraction]:
    group = _generated(formula)
    found: dict[tuple[int, ...], Fraction] = {}
    for move, sign in sorted(group):
        cycles = _cycle_lengths(move)
        found[cycles] = found.get(cycles, Fraction(0)) + Fraction(sign, len(group))
    return found


def _cycle_lengths(move: tuple[int, ...]) -> tuple[int, ...]:
    """Return the lengths of a permutation's cycles, the longest first."""
    seen: set[int] = set()
    lengths = []
    for start in move:
        before = len(seen)
        while start not in seen:
            seen.add(start)
            start = move[start]
        if len(seen) > before:
            lengths.append(len(seen) - before)
    return tuple(sorted(lengths, reverse=True))


@lru_cache(_KEPT)
def _subspace(n: int, formula: str) -> TensorSubspace:
    elements, tuples = sorted(_generated(formula)), flat_tuples(n, len(formula.partition("=")[0]))
    if prod([len(tuples), len(elements)]) > _MOST_MOVES:
        raise TooLarge(
            f"{len(tuples):,} index tuples under {len(elements):,} permutations take too long; at "
            f"most {_MOST_MOVES:,} pairs are allowed"
        )
    first, signs, vanishes = _classes(tuples, elements, n)
    kept = np.flatnonzero(~vanishes)
    starts, columns = np.unique(first[kept], return_inverse=True)
    return TensorSubspace(n, tuples.shape[1], len(starts), kept, columns, signs[kept].astype(float))


def _classes(
    tuples: Int[np.ndarray, "m k"], elements: Iterable[_Element], n: int
) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"], Bool[np.ndarray, " m"]]:
    """Return for each tuple the first tuple of its class, the sign, and whether it vanishes.

    The sign is relative to the first tuple. An entry vanishes if it is its own negative.
    """
    first = np.arange(len(tuples))
    signs = np.ones(len(tuples), dtype=np.int64)
    vanishes = np.zeros(len(tuples), dtype=bool)
    for move, sign in elements:
        moved = flat_index(tuples[:, list(move)], n)
        vanishes = np.where(moved == first, vanishes | (signs != sign), vanishes)
        vanishes &= moved >= first  # a smaller tuple is a new start
        signs = np.where(moved < first, sign, signs)
        first = np.minimum(first, moved)
    return first, signs, vanishes


@lru_cache(_KEPT)
def _first_tuples(n: int, formula: str) -> Int[np.ndarray, "N k"]:
    subspace = _subspace(n, formula)
    places = np.full(subspace.size, np.iinfo(np.int64).max)
    np.minimum.at(places, subspace.columns, subspace.rows)
    found: Int[np.ndarray, "N k"] = np.stack(
        np.unravel_index(places, (n,) * subspace.k), axis=1
    ).reshape(subspace.size, subspace.k)
    return found


register_function("Indexed", Indexed)
