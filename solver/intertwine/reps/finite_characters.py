"""Ranks over finite groups: the mean of a product of characters over all elements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import lcm, prod

import numpy as np
from jaxtyping import Num

from intertwine.groups.element_tables import MAX_ENTRIES
from intertwine.groups.enumeration import Enumeration, enumerate_elements
from intertwine.groups.group import Group
from intertwine.operators import as_signed_permutation, dense
from intertwine.reps.functors.functor import is_functor
from intertwine.reps.functors.power_sums import in_power_sums
from intertwine.reps.generator_images import images
from intertwine.reps.syntax import Dual, Rep, ScalarRep, Sum, Tensor, is_a

_INTEGER = 1e-6
"""A mean further than this from an integer is rejected."""
_EXACT = 1e-9
"""If all characters are closer than this to integers, they are rounded: the mean is exact."""
_LARGEST_MEAN = 1e9
"""Larger floating-point products have too few digits to test the mean for an integer."""


def finite_rank(atoms: Iterable[Rep]) -> int | None:
    """Return the rank of a product of concrete atoms over finite groups, by their characters.

    It is the mean of the product of the characters, group by group. An atom is V, a functor of a
    rep, a user-defined rep, an irrep, or a dual of one. The rank does not depend on the solver's
    methods. None if a group has a Lie algebra or is not enumerated (see
    `intertwine.groups.enumeration`), if the images of all elements would have more than
    `MAX_ENTRIES` entries, if images of redundant generators contradict the others, or if the mean
    is not an integer up to 1e-6. Raises the errors of `images` for the atoms.
    """
    by_group: dict[Group, list[Rep]] = {}
    for atom in atoms:
        by_group.setdefault(atom.G, []).append(atom)
    ranks = [_rank(group, factors) for group, factors in by_group.items()]
    known = [rank for rank in ranks if rank is not None]
    return prod(known) if len(known) == len(ranks) else None


def _rank(group: Group, factors: list[Rep]) -> int | None:
    if any(np.any(np.asarray(dense(a))) for a in group.lie_generators):
        return None
    found = enumerate_elements(group)
    if found is None:
        return None
    known = _Characters(found)
    values = []
    for atom in factors:
        character = known.of(atom, 1)
        if character is None:
            return None
        values.append(character)
    return _mean(values, found.order)


def _mean(characters: list[Num[np.ndarray, " n"]], order: int) -> int | None:
    """Return the mean of a product of characters as an integer; None if it is not clearly one."""
    whole = [np.rint(character.real) for character in characters]
    if all(np.abs(c - w).max() <= _EXACT for c, w in zip(characters, whole, strict=True)):
        product = np.ones(order, dtype=object)  # integers of any size
        for values in whole:
            product = product * values.astype(np.int64).astype(object)
        quotient, rest = divmod(int(sum(product)), order)
        return quotient if rest == 0 else None
    with np.errstate(over="ignore", invalid="ignore"):
        product = np.prod(np.stack(characters), axis=0)
        if not np.mean(np.abs(product)) <= _LARGEST_MEAN:
            return None
    mean = complex(np.mean(product))
    rank = round(mean.real)
    return rank if abs(mean - rank) <= _INTEGER else None


class _Characters:
    """The characters of reps on all elements of a finite group, and on the elements' powers.

    Those of functors are computed from their parts', without the matrices of the functors.
    """

    def __init__(self, found: Enumeration) -> None:
        self.found = found
        self.entries = 0
        self.known: dict[tuple[Rep, int], Num[np.ndarray, " n"] | None] = {}

    def of(self, rep: Rep, power: int) -> Num[np.ndarray, " n"] | None:
        """Return χ(gᵐ) for all elements g; None if it is too large, or not a character."""
        key = rep, power
        if key not in self.known:
            self.known[key] = self._of(rep, power)
        return self.known[key]

    def _of(self, rep: Rep, power: int) -> Num[np.ndarray, " n"] | None:
        if is_a(rep, Dual):
            # elements have finite order, so a dual's character is the conjugate
            inner = self.of(rep.rep, power)
            return None if inner is None else inner.conj()
        if is_a(rep, ScalarRep):
            return np.ones(self.found.order)
        if is_a(rep, Sum):
            return self._total([(m, [(term, power)]) for m, term in rep.terms])
        if is_a(rep, Tensor):
            return self._total([(1, [(factor, power) for factor in rep.factors])])
        if is_functor(rep):
            terms = in_power_sums(rep, rep.part.size())
            if terms is not None:
                return self._total(
                    [(c, [(rep.part, m * power) for m in cycles]) for cycles, c in terms.items()]
                )
        return self._of_images(rep, power)

    def _total(
        self, terms: Sequence[tuple[int | Fraction, Sequence[tuple[Rep, int]]]]
    ) -> Num[np.ndarray, " n"] | None:
        """Return a sum of products of characters, with coefficients."""
        # over a common denominator, so that integers stay integers
        scale = lcm(*(Fraction(coefficient).denominator for coefficient, _ in terms))
        total: Num[np.ndarray, " n"] = np.zeros(self.found.order)
        for coefficient, factors in terms:
            values = [self.of(rep, power) for rep, power in factors]
            product = np.full(self.found.order, float(coefficient * scale))
            for value in values:
                if value is None:
                    return None
                product = product * value
            total = total + product
        return total / scale

    def _of_images(self, atom: Rep, power: int) -> Num[np.ndarray, " n"] | None:
        generators = images(atom).discrete
        if not generators:
            return np.array([float(atom.size())])
        order = self.found.order
        if all(as_signed_permutation(h) is not None for h in generators):
            if order * atom.size() > MAX_ENTRIES:
                return None
        elif order * atom.size() ** 2 > MAX_ENTRIES - self.entries:
            return None
        elif power == 1:
            self.entries += order * atom.size() ** 2
        return self.found.character(generators, power)
