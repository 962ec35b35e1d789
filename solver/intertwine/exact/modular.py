"""An upper bound on a rank, without floating point (docs/how-it-works.md).

The nullity over 𝔽ₚ is at least that over ℚ, for every prime p and any combinations of the
constraints' rows. So the number of solutions modulo p bounds the rank from above, and a computed
basis bounds it from below.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from math import prod

import numpy as np
from jaxtyping import Int

from intertwine.errors import MethodNotApplicable, NotConcrete, TooLarge
from intertwine.exact.generators import ExactImage, exact_generators
from intertwine.exact.prime_field import eigenbasis, inverse, multiply, rank, residues
from intertwine.invariants.constraints import joined_slots
from intertwine.invariants.problem import Problem, problems_of
from intertwine.reps.canonical_form import canonical_terms
from intertwine.reps.syntax import Rep

MAX_UNKNOWNS = 4_500
"""The largest number of unknowns of weight zero for an elimination."""
MAX_ENTRIES = 500_000_000
"""The largest number of entries of the random rows before they are restricted to these unknowns."""
_BELOW = 2**21
_TRIED_PRIMES = 4_000
_TRIED_TORI = 60  # a torus of rank r splits modulo one prime in 2ʳr!, for a generic one of SO(2r)
_MOST_TORI = 1_000
_SPARE_ROWS = 12
_CHUNK = 20_000_000

_Matrices = tuple[Int[np.ndarray, "_ _"], ...]  # one per slot


@dataclass(frozen=True)
class RankBound:
    """At most `bound` invariants exist, computed modulo `prime` among `unknowns` coordinates."""

    bound: int
    prime: int
    unknowns: int

    def __int__(self) -> int:
        return self.bound


def rank_bound(rep: Rep, seed: int = 0) -> RankBound:
    """Return an upper bound on the number of equivariant maps, for generators with exact entries.

    Entries are read as roundings of rationals of denominator up to 10,000 (or a + b√m with small
    ones): the bound is for the group of these. Irrelevant scales are ignored, such as that of a Lie
    generator. A diagonalisable part of the Lie algebra first restricts the unknowns to the
    coordinates of weight zero, if it has eigenvectors modulo some prime. `seed` chooses the
    combinations of rows; every choice gives a bound. Raises
    `NotConcrete`, `RoundedGenerators`, `MethodNotApplicable` for other entries, and `TooLarge`
    past `MAX_UNKNOWNS`.
    """
    if not rep.is_concrete:
        raise NotConcrete(f"{rep} has no group yet, so it has no rank")
    total, prime, unknowns = 0, 0, 0
    known: dict[tuple[Rep, ...], RankBound] = {}
    for multiplicity, term in canonical_terms(rep):
        found = 1
        for problem in problems_of(term):
            if problem.atoms not in known:
                known[problem.atoms] = _bound(problem, seed)
            part = known[problem.atoms]
            prime, unknowns = max(prime, part.prime), max(unknowns, part.unknowns)
            found *= part.bound
        total += multiplicity * found
    return RankBound(total, prime, unknowns)


def _bound(problem: Problem, seed: int) -> RankBound:
    if not problem.atoms:
        return RankBound(1, 2, 1)
    exact = exact_generators(problem)
    commuting = _commuting(problem)
    p, tori = _BELOW, 0
    most_tori = _TRIED_TORI if problem.size <= MAX_UNKNOWNS else _MOST_TORI
    for _ in range(_TRIED_PRIMES):
        p = _prime_below(p)
        try:
            lie, discrete = ([_reduced(k, p) for k in part] for part in (exact.lie, exact.discrete))
        except (ValueError, ZeroDivisionError):
            continue  # p divides a denominator or a determinant, or lacks a root
        rng = np.random.default_rng([seed, p])
        if tori == most_tori:  # bounds do not need a torus; without it more unknowns are left
            commuting = []
        weights = _weights(problem, lie, commuting, p, rng)
        if weights is not None:
            return _count(problem, lie, discrete, weights, p, rng)
        tori += 1
    raise MethodNotApplicable(
        f"none of {_TRIED_PRIMES:,} primes below {_BELOW:,} suits the generators of "
        f"{problem.group!r}: is a discrete one of them singular?"
    )


def _prime_below(p: int) -> int:
    from sympy import prevprime

    found: int = prevprime(p)
    return found


def _reduced(slots: tuple[ExactImage, ...], p: int) -> _Matrices:
    return tuple(_residues(image, p) for image in slots)


def _residues(image: ExactImage, p: int) -> Int[np.ndarray, "m m"]:
    matrix = residues(image.rows, p)
    return inverse(matrix, p).T if image.is_dual else matrix


def _commuting(problem: Problem) -> list[int]:
    """Return Lie generators that commute pairwise and are normal: candidates for a torus."""
    chosen: list[int] = []
    units = [problem.unit_lie(k)[0] for k in range(problem.lie_count)]
    for k, a in enumerate(units):
        semisimple = np.allclose(a @ a.conj().T, a.conj().T @ a)
        if semisimple and all(np.allclose(a @ units[j], units[j] @ a) for j in chosen):
            chosen.append(k)
    return chosen


@dataclass(frozen=True)
class _Weights:
    """A basis T of eigenvectors of one torus element in each slot, T⁻¹, and the eigenvalues."""

    bases: _Matrices
    inverses: _Matrices
    values: tuple[Int[np.ndarray, " _"], ...]


def _weights(
    problem: Problem, lie: list[_Matrices], commuting: list[int], p: int, rng: np.random.Generator
) -> _Weights | None:
    """Diagonalise a random element of the torus in every slot; None if p does not split it."""
    if not commuting:
        ones = tuple(np.eye(size, dtype=np.int64) for size in problem.sizes)
        return _Weights(ones, ones, tuple(np.zeros(s, dtype=np.int64) for s in problem.sizes))
    # each must split by itself, or a random combination could hide a failure
    coefficients = rng.integers(1, p, len(commuting))
    bases, inverses, values = [], [], []
    for slot in range(len(problem.sizes)):
        element = sum(
            int(c) * lie[k][slot] % p for c, k in zip(coefficients, commuting, strict=True)
        )
        found = eigenbasis(np.mod(element, p), p)
        if found is None:
            return None
        values.append(found[0])
        bases.append(found[1])
        inverses.append(inverse(found[1], p))
    return _Weights(tuple(bases), tuple(inverses), tuple(values))


def _count(
    problem: Problem,
    lie: list[_Matrices],
    discrete: list[_Matrices],
    weights: _Weights,
    p: int,
    rng: np.random.Generator,
) -> RankBound:
    total = np.zeros(1, dtype=np.int64)
    for values in weights.values:
        total = (total[:, None] + values[None, :]).ravel() % p
    unknowns = np.flatnonzero(total == 0)
    n = len(unknowns)
    generators = [(True, slots) for slots in lie] + [(False, slots) for slots in discrete]
    if not n or not generators:
        return RankBound(n, p, n)
    rows = n + _SPARE_ROWS
    if n > MAX_UNKNOWNS or rows * problem.size > MAX_ENTRIES:
        raise TooLarge(
            f"a bound on the rank of {problem.size:,} dimensions has {n:,} unknowns of weight "
            f"zero; at most {MAX_UNKNOWNS:,}, and {MAX_ENTRIES:,} entries, are allowed"
        )
    in_basis = [
        (
            is_lie,
            tuple(
                multiply(multiply(inv, matrix, p), basis, p)
                for inv, matrix, basis in zip(weights.inverses, slots, weights.bases, strict=True)
            ),
        )
        for is_lie, slots in generators
    ]
    spans = joined_slots(problem.sizes)
    sizes = tuple(prod(problem.sizes[start:stop]) for start, stop in spans)
    joined = [
        (is_lie, tuple(_join(slots[start:stop], is_lie, p) for start, stop in spans))
        for is_lie, slots in in_basis
    ]
    matrix = np.zeros((rows, n), dtype=np.int64)
    chunk = max(1, _CHUNK // problem.size)
    for start in range(0, rows, chunk):
        part = matrix[start : start + chunk]
        for is_lie, slots in joined:
            y = rng.integers(0, p, (len(part), problem.size))
            part += _adjoint_rows(slots, sizes, y, is_lie, p)[:, unknowns]
        part %= p
    return RankBound(n - rank(matrix, p), p, n)


def _adjoint_rows(
    slots: _Matrices,
    sizes: tuple[int, ...],
    y: Int[np.ndarray, "r n"],
    is_lie: bool,
    p: int,
) -> Int[np.ndarray, "r n"]:
    """Return yᵀC for the constraints C of one generator."""
    if is_lie:
        total = np.zeros_like(y)
        for slot, matrix in enumerate(slots):
            total += _in_slot(matrix, slot, sizes, y, p)
        return total
    moved = y
    for slot, matrix in enumerate(slots):
        moved = _in_slot(matrix, slot, sizes, moved, p)
    change: Int[np.ndarray, "r n"] = moved - y
    return change


def _join(slots: _Matrices, is_lie: bool, p: int) -> Int[np.ndarray, "m m"]:
    """Join neighbouring slots: a few large products are faster than many small ones."""

    def join(a: Int[np.ndarray, "k k"], b: Int[np.ndarray, "l l"]) -> Int[np.ndarray, "m m"]:
        if not is_lie:
            return np.kron(a, b) % p
        one_a, one_b = (np.eye(len(x), dtype=np.int64) for x in (a, b))
        return (np.kron(a, one_b) + np.kron(one_a, b)) % p

    whole: Int[np.ndarray, "m m"] = reduce(join, slots)
    return whole


def _in_slot(
    matrix: Int[np.ndarray, "m m"],
    slot: int,
    sizes: tuple[int, ...],
    y: Int[np.ndarray, "r n"],
    p: int,
) -> Int[np.ndarray, "r n"]:
    before, after = prod(sizes[:slot]), prod(sizes[slot + 1 :])
    x = y.reshape(len(y) * before, sizes[slot], after).astype(float)
    found = np.mod(np.matmul(matrix.T.astype(float), x), p)
    image: Int[np.ndarray, "r n"] = found.astype(np.int64).reshape(y.shape)
    return image
