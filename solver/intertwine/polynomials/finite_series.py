"""Hilbert series over finite groups by Molien's formula, in exact arithmetic.

The eigenvalues of each element are roots of unity, and are recognised as such. A prime field with p
≡ 1 modulo the order has these roots too, so Molien's sum is computed there, modulo enough primes to
determine the dimension, which is bounded by that of all polynomials.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb, gcd

import numpy as np
from jaxtyping import Inexact, Int

from intertwine.groups.element_tables import MAX_ENTRIES
from intertwine.groups.enumeration import Enumeration, enumerate_elements
from intertwine.polynomials.joint_groups import JointAction
from intertwine.polynomials.rational_functions import fraction, totient
from intertwine.reps import Rep

_ANGLE = 1e-3
"""The largest distance of an eigenvalue's angle from a multiple of 2π/|G|, relative to 2π/|G|."""
_RADIUS = 1e-6  # the largest distance of an eigenvalue from the unit circle
_WORK = 2e9
"""The most operations for the eigenvalues of all elements."""
_PRIME = 1 << 31
"""Primes are below this: products fit into 64 bits."""
MAX_DENOMINATOR = 600
"""The largest degree of a denominator for which the generating function is computed."""


@dataclass(frozen=True, eq=False)
class Spectra:
    """The eigenvalues e^(2πia/n) of the elements of a group of order n, as exponents a modulo n.

    Elements with the same eigenvalues under both reps share a row; `counts` has their number.
    """

    order: int
    inner: Int[np.ndarray, "c m"]
    outer: Int[np.ndarray, "c o"]
    counts: Int[np.ndarray, " c"]

    def coefficients(self, degree: int) -> tuple[int, ...]:
        """Return dim Hom(Sym^k ρ_in, ρ_out) for k from 0 to `degree`, exactly."""
        m, o = self.inner.shape[1], self.outer.shape[1]
        bound = o * comb(m + degree, degree) if m else o
        found, modulus = [0] * (degree + 1), 1
        for p in _primes(self.order):
            residues = self._modulo(degree, p)
            inverse = pow(modulus, -1, p)
            found = [
                a + modulus * ((b - a) * inverse % p) for a, b in zip(found, residues, strict=True)
            ]
            modulus *= p
            if modulus > bound:
                break
        return tuple(found)

    def _modulo(self, degree: int, p: int) -> list[int]:
        powers = _powers_of_root(self.order, p)
        series = np.zeros((degree + 1, len(self.counts)), np.int64)
        series[0] = 1
        for column in self.inner.T:  # the inverse element's eigenvalues, as of a dual
            values = powers[-column % self.order]
            for k in range(1, degree + 1):
                series[k] = (series[k] + values * series[k - 1]) % p
        traces = np.zeros(len(self.counts), np.int64)
        for column in self.outer.T:
            traces = (traces + powers[column]) % p
        weights = traces * (self.counts % p) % p
        inverse = pow(self.order, -1, p)
        return [sum((row * weights % p).tolist()) * inverse % p for row in series]

    def generating_function(self) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """Return N and d of the Hilbert series N(t) / ∏ᵢ(1 − t^dᵢ).

        None if the common denominator of Molien's sum has a degree above `MAX_DENOMINATOR`. Each
        term has the denominator det(1 − tρ(g)), a product of factors 1 − ζt, and a numerator of
        lower degree.
        """
        factors = self._common_denominator()
        degree = sum(totient(n) * count for n, count in factors.items())
        if degree > MAX_DENOMINATOR:
            return None
        return fraction(self.coefficients(degree), factors)

    def _common_denominator(self) -> Counter[int]:
        """Return how often each cyclotomic polynomial Φₙ occurs in the common denominator."""
        found: Counter[int] = Counter()
        orders = np.array([self.order // gcd(a, self.order) for a in range(self.order)])
        for row in self.inner.tolist():
            for a, count in Counter(row).items():
                n = int(orders[a])
                found[n] = max(found[n], count)
        return found


def spectra_of(action: JointAction, rep_in: Rep, rep_out: Rep) -> Spectra | None:
    """Return the eigenvalues of all elements of a finite group under two reps.

    None if the group is infinite or not enumerated, if the images have more than `MAX_ENTRIES`
    entries, or if an eigenvalue is not clearly a root of unity of the group's order.
    """
    group = action.group
    if any(np.any(matrix) for rep in (rep_in, rep_out) for matrix in action.lie(rep)):
        return None
    found = enumerate_elements(group)
    if found is None or not found.order:
        return None
    sizes = rep_in.size(), rep_out.size()
    if found.order * max(max(sizes) ** 2, 1) > MAX_ENTRIES:
        return None
    if found.order * sum(n**3 for n in sizes) > _WORK:
        return None
    inner, outer = (
        _exponents(found, action.discrete(rep), size)
        for rep, size in zip((rep_in, rep_out), sizes, strict=True)
    )
    if inner is None or outer is None:
        return None
    rows = np.concatenate([inner, outer], axis=1)
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    m = sizes[0]
    return Spectra(found.order, distinct[:, :m], distinct[:, m:], counts)


def _exponents(
    found: Enumeration, generators: Sequence[Inexact[np.ndarray, "m m"]], m: int
) -> Int[np.ndarray, "n m"] | None:
    """Return the sorted exponents of the eigenvalues of all elements under a rep."""
    n = found.order
    if not generators or not m:
        return np.zeros((n, m), np.int64)
    values = np.linalg.eigvals(found.images(list(generators)))
    if not np.all(np.abs(np.abs(values) - 1) <= _RADIUS):
        return None
    angles = np.angle(values) * (n / (2 * np.pi))
    whole = np.rint(angles)
    if not np.all(np.abs(angles - whole) <= _ANGLE):
        return None
    exponents: Int[np.ndarray, "n m"] = np.sort(whole.astype(np.int64) % n, axis=1)
    return exponents


# -- roots of unity in prime fields


def _primes(order: int) -> Iterator[int]:
    """Yield primes p ≡ 1 modulo the order, below 2³¹, largest first."""
    from sympy import isprime

    p = (_PRIME - 2) // order * order + 1
    while p > order:
        if isprime(p):
            yield p
        p -= order


def _powers_of_root(order: int, p: int) -> Int[np.ndarray, " n"]:
    """Return the powers of an element of 𝔽ₚ of multiplicative order `order`."""
    from sympy import primefactors

    factors = [int(q) for q in primefactors(order)]
    root = next(
        root
        for root in (pow(base, (p - 1) // order, p) for base in range(2, p))
        if all(pow(root, order // q, p) != 1 for q in factors)
    )
    found = [1]
    for _ in range(order - 1):
        found.append(found[-1] * root % p)
    return np.array(found, dtype=np.int64)
