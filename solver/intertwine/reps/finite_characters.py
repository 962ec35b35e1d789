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
from intertwine.reps.syntax import Dual, Rep

_INTEGER = 1e-6
"""A mean further than this from an integer is no rank."""


def finite_rank(atoms: Iterable[Rep]) -> int | None:
    """The rank of a product of concrete atoms over finite groups: the mean of the product of
    their characters, group by group.

    An atom is V, a rep of your own, an irrep, or a dual of one. The rank is found without any of
    the solver's methods. None where a group has a Lie algebra, where it is not enumerated (see
    `intertwine.groups.enumeration`), where the images of all elements would have more than
    `MAX_ENTRIES` entries, where images of redundant generators contradict those of the others,
    and where the mean is no integer to 1e-6. Raises what `images` raises for the atoms.
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
    characters: dict[Rep, Num[np.ndarray, " n"] | None] = {}
    product = np.ones(found.order)
    for atom in factors:
        inner = atom.rep if isinstance(atom, Dual) else atom
        if inner not in characters:
            room = MAX_ENTRIES // found.order - sum(known.size() ** 2 for known in characters)
            characters[inner] = _character(inner, found, room)
        character = characters[inner]
        if character is None:
            return None
        # elements of finite order: the dual's character is the conjugate
        product = product * (character.conj() if inner is not atom else character)
    mean = complex(np.mean(product))
    return _integer(mean)


def _character(atom: Rep, found: Enumeration, room: int) -> Num[np.ndarray, " n"] | None:
    """The character on all elements; None where it takes too much, or is none."""
    generators = images(atom).discrete
    if not generators:
        return np.array([float(atom.size())])
    if all(as_signed_permutation(h) is not None for h in generators):
        if found.order * atom.size() > MAX_ENTRIES:
            return None
    elif atom.size() ** 2 > room:
        return None
    return found.character(generators)


def _integer(mean: complex) -> int | None:
    if not np.isfinite(mean):
        return None
    whole = round(mean.real)
    return whole if abs(mean - whole) <= _INTEGER else None
