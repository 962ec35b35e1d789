"""Homogeneous polynomials in monomials that are orthonormal in the Bombieri inner product.

Those of degree k are e_α = √(k!/α!) x^α. At a point x they are the coordinates of x ⊗ … ⊗ x in an
orthonormal basis of Sym^k, that of `intertwine.reps.functors.powers`, so that ⟨e(x), e(y)⟩ =
⟨x, y⟩^k.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import comb
from typing import Any

import numpy as np
from jaxtyping import Float, Inexact, Int

from intertwine.errors import TooLarge
from intertwine.polynomials.joint_groups import JointAction
from intertwine.reps import Rep, ScalarRep, Sum
from intertwine.reps.functors.powers import index_tuples, power_derivative, symmetric_power
from intertwine.reps.syntax import direct_sum, is_a, tensor

MAX_MONOMIALS = 3_000
"""The most monomials of one degree: the images of generators are dense matrices of this size."""
_MAX_BLOCKS = 500
"""The most products into which the symmetric power of a sum is split."""


@dataclass(frozen=True, eq=False)
class Monomials:
    """The monomials of degree k in n variables, in the order of itertools.

    `exponents` has the α. For k > 0, monomial α is x at `last[α]`, its last variable, times the
    monomial `rest[α]` of degree k − 1, divided by `ratio[α]` = √(αⱼ/k).
    """

    n: int
    degree: int
    exponents: Int[np.ndarray, "N n"]
    last: Int[np.ndarray, " N"]
    rest: Int[np.ndarray, " N"]
    ratio: Float[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.exponents)

    @cached_property
    def places(self) -> dict[bytes, int]:
        """The number of each monomial, by the bytes of its exponents."""
        return {row.tobytes(): i for i, row in enumerate(self.exponents)}


@lru_cache(maxsize=64)
def monomials_of(n: int, degree: int) -> Monomials:
    """Return the monomials of a degree in n variables. Raises `TooLarge` for too many."""
    count = comb(n + degree - 1, degree) if n or degree else 1
    if count > MAX_MONOMIALS:
        raise TooLarge(
            f"there are {count:,} monomials of degree {degree} in {n} variables; at most "
            f"{MAX_MONOMIALS:,} are used: give a lower degree, or a smaller rep"
        )
    if not degree:
        zeros = np.zeros(1, np.int64)
        return Monomials(n, 0, np.zeros((1, n), np.int64), zeros, zeros, np.ones(1))
    tuples = index_tuples(n, degree, strict=False)
    exponents, last = tuples.counts, tuples.tuples[:, -1]
    places = monomials_of(n, degree - 1).places
    lower = exponents.copy()
    lower[np.arange(count), last] -= 1
    rest = np.array([places[row.tobytes()] for row in lower], dtype=np.int64)
    ratio = np.sqrt(exponents[np.arange(count), last] / degree)
    return Monomials(n, degree, exponents, last, rest, ratio)


def products_of(
    a: Inexact[np.ndarray, "p A"], b: Inexact[np.ndarray, "q B"], n: int, degrees: tuple[int, int]
) -> Inexact[np.ndarray, "pq C"]:
    """Return the coefficients of all products of two sets of polynomials of the given degrees.

    They are in n variables. The rows are ordered by the first set, then by the second.
    """
    left, right, both = (monomials_of(n, k) for k in (*degrees, sum(degrees)))
    found = np.zeros((len(a), len(b), len(both)), np.result_type(a, b))
    scales = 1 / norms_of(both)
    weights = norms_of(right)
    for i, exponents in enumerate(left.exponents):
        if not np.any(a[:, i]):
            continue
        sums = right.exponents + exponents
        places = np.array([both.places[row.tobytes()] for row in sums], dtype=np.int64)
        factors = weights * norms_of(left)[i] * scales[places]
        found[:, :, places] += a[:, i, None, None] * (b * factors)[None]
    return found.reshape(-1, len(both))


def norms_of(these: Monomials) -> Float[np.ndarray, " N"]:
    """Return √(k!/α!), from those of degree k − 1."""
    if not these.degree:
        return np.ones(len(these))
    found: Float[np.ndarray, " N"] = (
        norms_of(monomials_of(these.n, these.degree - 1))[these.rest] / these.ratio
    )
    return found


class JointSymmetricPower(Rep):
    """Sym^k of a rep over its groups, which act jointly, in Bombieri-orthonormal monomials."""

    def __init__(self, degree: int, rep: Rep, action: JointAction) -> None:
        self.degree, self.rep = degree, rep
        self.groups = action.groups
        self.G = action.group
        self._n = rep.size()
        monomials_of(self._n, degree)  # raises TooLarge

    def size(self) -> int:
        """Return the number of monomials."""
        return len(monomials_of(self._n, self.degree))

    def rho(self, M: Any) -> Inexact[np.ndarray, "N N"]:
        """ρ(g) on the coordinates of x ⊗ … ⊗ x."""
        matrix = self._action.rho(self.rep, M)
        found: Inexact[np.ndarray, "N N"] = np.eye(1)
        if self.degree:
            found = symmetric_power(matrix, self.degree)
        return found

    def drho(self, A: Any) -> Inexact[np.ndarray, "N N"]:
        """dρ(A), by derivatives along the directions of A."""
        matrix = self._action.drho(self.rep, A)
        found: Inexact[np.ndarray, "N N"] = np.zeros((1, 1))
        if self.degree:
            found = power_derivative(matrix, self.degree, strict=False)
        return found

    def __str__(self) -> str:
        return f"Sym^{self.degree}({self.rep})"

    @property
    def _action(self) -> JointAction:
        return JointAction(self.groups, self.G)


def power_of(degree: int, rep: Rep, action: JointAction) -> Rep:
    """Return Sym^k of a sum of terms as the sum of ⊗ᵢ Sym^kᵢ of the terms, over Σ kᵢ = k.

    Each product acts on the monomials of degree kᵢ in the variables of the i-th term. So a solve is
    split into small parts, and equal parts are solved once. The monomials are in the order
    `order_of`.
    """
    parts, known = _parts(rep), dict[tuple[int, Rep], Rep]()
    if not _splits(parts, degree):
        return JointSymmetricPower(degree, rep, action)
    blocks = []
    for degrees in _degrees(len(parts), degree):
        factors = []
        for k, part in zip(degrees, parts, strict=True):
            if k and not is_a(part, ScalarRep):
                if (k, part) not in known:
                    known[k, part] = JointSymmetricPower(k, part, action)
                factors.append(known[k, part])
        blocks.append((1, tensor(factors)))
    return direct_sum(blocks)


def order_of(degree: int, rep: Rep) -> Int[np.ndarray, " N"]:
    """Return the number of each monomial of `power_of`, in the order of `monomials`."""
    parts, whole = _parts(rep), monomials_of(rep.size(), degree)
    if not _splits(parts, degree):
        return np.arange(len(whole))
    found = []
    for degrees in _degrees(len(parts), degree):
        exponents = np.zeros((1, 0), np.int64)
        for k, part in zip(degrees, parts, strict=True):
            own = monomials_of(part.size(), k).exponents
            left, right = np.indices((len(exponents), len(own))).reshape(2, -1)
            exponents = np.concatenate([exponents[left], own[right]], axis=1)
        found += [whole.places[row.tobytes()] for row in exponents]
    return np.array(found, dtype=np.int64)


def _parts(rep: Rep) -> list[Rep]:
    if is_a(rep, Sum):
        return [term for count, term in rep.terms for _ in range(count)]
    return [rep]


def _splits(parts: list[Rep], degree: int) -> bool:
    return degree > 0 and len(parts) > 1 and comb(len(parts) + degree - 1, degree) <= _MAX_BLOCKS


def _degrees(parts: int, degree: int) -> Iterator[tuple[int, ...]]:
    """Yield the degrees of each part that add up to a degree."""
    if parts == 1:
        yield (degree,)
        return
    for first in range(degree, -1, -1):
        for rest in _degrees(parts - 1, degree - first):
            yield (first, *rest)
