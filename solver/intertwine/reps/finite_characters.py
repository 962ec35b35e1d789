"""Ranks over finite groups: the mean of a product of characters over all elements."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

import numpy as np
from jaxtyping import Num

from intertwine.groups.element_tables import MAX_ENTRIES
from intertwine.groups.enumeration import Enumeration, enumerate_elements
from intertwine.groups.group import Group
from intertwine.operators import as_signed_permutation, dense
from intertwine.reps.generator_images import images
from intertwine.reps.syntax import Dual, Rep, is_a

_INTEGER = 1e-6
"""A mean further than this from an integer is rejected."""
_EXACT = 1e-9
"""If all characters are closer than this to integers, they are rounded: the mean is exact."""
_LARGEST_MEAN = 1e9
"""Larger floating-point products have too few digits to test the mean for an integer."""


def finite_rank(atoms: Iterable[Rep]) -> int | None:
    """Return the rank of a product of concrete atoms over finite groups: the mean of the product
    of their characters, group by group.

    An atom is V, a user-defined rep, an irrep, or a dual of one. The rank does not depend on the
    solver's methods. None if a group has a Lie algebra or is not enumerated (see
    `intertwine.groups.enumeration`), if the images of all elements would have more than
    `MAX_ENTRIES` entries, if images of redundant generators contradict the others, or if the
    mean is not an integer up to 1e-6. Raises the errors of `images` for the atoms.
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
    characters: dict[Rep, Num[np.ndarray, " n"]] = {}
    values = []
    for atom in factors:
        inner = atom.rep if is_a(atom, Dual) else atom
        if inner not in characters:
            room = MAX_ENTRIES // found.order - sum(known.size() ** 2 for known in characters)
            character = _character(inner, found, room)
            if character is None:
                return None
            characters[inner] = character
        # elements have finite order, so a dual's character is the conjugate
        values.append(characters[inner] if inner is atom else characters[inner].conj())
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


def _character(atom: Rep, found: Enumeration, room: int) -> Num[np.ndarray, " n"] | None:
    """Return the character on all elements; None if it is too large, or not a character."""
    generators = images(atom).discrete
    if not generators:
        return np.array([float(atom.size())])
    if all(as_signed_permutation(h) is not None for h in generators):
        if found.order * atom.size() > MAX_ENTRIES:
            return None
    elif atom.size() ** 2 > room:
        return None
    return found.character(generators)
