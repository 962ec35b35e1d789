"""The canonical form of a rep: a sorted sum of sorted products, and the permutation to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from operator import add
from typing import Any

import numpy as np
from jaxtyping import Int

from intertwine.errors import TooLarge
from intertwine.operators import Permutation
from intertwine.reps.generator_images import atom_digest
from intertwine.reps.syntax import (
    MAX_TERMS,
    Base,
    Dual,
    Rep,
    ScalarRep,
    Sum,
    Tensor,
    atoms,
    direct_sum,
    is_a,
    is_own,
    tensor,
)

#: The factors of a canonical term, sorted.
Atoms = tuple[Rep, ...]

MAX_PAIRS = 1_000_000
"""The largest number of products of two terms in an expansion."""


@dataclass(frozen=True)
class Canonical:
    """`rep` is the canonical form of `original`; ``permutation @ v`` takes its vectors there.

    The permutation takes n integers of memory and is computed on first access; its adjoint maps
    back.
    """

    original: Rep
    rep: Rep

    def __iter__(self) -> Iterator[Any]:
        """Unpack as ``rep, permutation``."""
        yield self.rep
        yield self.permutation

    @property
    def is_identity(self) -> bool:
        """Whether the original is in canonical form, coordinate by coordinate."""
        return self.original == self.rep

    @cached_property
    def permutation(self) -> Permutation:
        """P with (P v) the vector of the canonical rep for the vector v of the original."""
        if self.is_identity:
            return Permutation(np.arange(self.original.size()))
        order = _Order(self.original)
        indices = _indices(self.original, order)
        parts = [indices[term].ravel() for term in sorted(indices, key=order.of_term)]
        return Permutation(np.concatenate(parts) if parts else np.arange(0))


def canonical(rep: Rep) -> Canonical:
    """Return the canonical form of a rep: products are expanded over sums, factors and terms
    sorted by content, and equal terms merged with a multiplicity.

    Raises `TooLarge` if there would be more than `MAX_TERMS` different terms.
    """
    terms = [(multiplicity, tensor(term)) for multiplicity, term in canonical_terms(rep)]
    return Canonical(rep, direct_sum(terms))


def canonical_terms(rep: Rep) -> list[tuple[int, Atoms]]:
    """Return the terms of the canonical form, as (multiplicity, sorted factors)."""
    order = _Order(rep)
    found = [(order.factors(powers), count) for powers, count in _expand(rep, order).items()]
    return [(count, term) for term, count in sorted(found, key=lambda f: order.of_term(f[0]))]


def atom_order(atom: Rep) -> tuple[str, int, str]:
    """Return the sort key of an atom: group, then V, V*, user-defined reps; names play no part."""
    inner = atom.rep if is_a(atom, Dual) else atom
    group = inner.G.digest if inner.G is not None else ""
    if is_a(inner, Base):
        return (group, int(is_a(atom, Dual)), "")
    return (group, 2, atom_digest(atom))


def _name_order(atom: Rep) -> tuple[bool, str, str, str]:
    inner = atom.rep if is_a(atom, Dual) else atom
    kind = type(inner)
    return (is_a(atom, Dual), kind.__module__, kind.__qualname__, repr(atom))


class _Order:
    """The distinct atoms of a rep in order; atoms with equal keys are one atom."""

    def __init__(self, rep: Rep) -> None:
        self._rep = rep  # keeps its atoms alive, and their ids unique
        self._known: dict[int, tuple[str, int, str]] = {}
        # a user-defined __eq__ may ignore the group
        different = dict.fromkeys((atom.G, atom) for atom in atoms(rep))
        self._keys = {(group, atom): atom_order(atom) for group, atom in different}
        self._empty = {
            (group, atom)
            for group, atom in different
            if is_own(atom.rep if is_a(atom, Dual) else atom)
            and group is not None
            and atom.size() == 0
        }
        self._sorted = sorted(set(self._keys.values()))
        # one of the atoms that act alike represents all, independent of the order in the rep
        named = sorted(different, key=lambda pair: _name_order(pair[1]), reverse=True)
        standing = {self._keys[pair]: pair[1] for pair in named}
        self._atoms = [standing[key] for key in self._sorted]

    def is_empty(self, rep: Rep) -> bool:
        """Return whether an atom is a user-defined rep of size 0, without coordinates."""
        return bool(self._empty) and (rep.G, rep) in self._empty

    def place(self, atom: Rep) -> int:
        """Return the position of an atom in the order."""
        return self._sorted.index(self.key(atom))

    def key(self, atom: Rep) -> tuple[str, int, str]:
        """Return an atom's sort key, by content."""
        found = self._known.get(id(atom))
        if found is None:
            found = self._known[id(atom)] = self._keys[atom.G, atom]
        return found

    def one(self) -> _Powers:
        """Return the product of no atoms."""
        return (0,) * len(self._sorted)

    def single(self, atom: Rep) -> _Powers:
        """Return the product of one atom."""
        place = self.place(atom)
        return tuple(int(i == place) for i in range(len(self._sorted)))

    def factors(self, powers: _Powers) -> Atoms:
        """Return the sorted factors of a product."""
        return tuple(atom for atom, n in zip(self._atoms, powers, strict=True) for _ in range(n))

    def of_term(self, term: Atoms) -> tuple[int, list[tuple[str, int, str]]]:
        """Return a term's sort key: terms of fewer factors come first."""
        return (len(term), [self.key(atom) for atom in term])


#: A product of atoms, by how often each occurs.
_Powers = tuple[int, ...]


def _expand(rep: Rep, order: _Order) -> dict[_Powers, int]:
    """Return the multiplicity of each canonical term, expanding the rep like a polynomial."""
    result: dict[_Powers, int] = {}
    if is_a(rep, Sum):
        for multiplicity, summand in rep.terms:
            for powers, count in _expand(summand, order).items():
                result[powers] = result.get(powers, 0) + multiplicity * count
        return result
    if not is_a(rep, Tensor):
        if order.is_empty(rep):
            return {}
        return {order.one() if is_a(rep, ScalarRep) else order.single(rep): 1}
    result = {order.one(): 1}
    for factor in rep.factors:
        right = _expand(factor, order)
        if len(result) * len(right) > MAX_PAIRS:
            raise TooLarge(f"expanding the rep takes more than {MAX_PAIRS:,} products of terms")
        new: dict[_Powers, int] = {}
        for left, left_count in result.items():
            for powers, count in right.items():
                term = tuple(map(add, left, powers))
                new[term] = new.get(term, 0) + left_count * count
        if len(new) > MAX_TERMS:
            raise TooLarge(f"the rep has more than {MAX_TERMS:,} different terms when expanded")
        result = new
    return result


def _indices(rep: Rep, order: _Order) -> dict[Atoms, Int[np.ndarray, "copies *sizes"]]:
    """Return, for each canonical term, the coordinates in `rep` of all its copies' entries."""
    if is_a(rep, Sum):
        return _indices_of_sum(rep, order)
    if not is_a(rep, Tensor):
        if is_a(rep, ScalarRep):
            return {(): np.zeros(1, dtype=np.intp)}
        if order.is_empty(rep):
            return {}
        return {order.factors(order.single(rep)): np.arange(rep.size())[None]}
    result: dict[Atoms, Any] = {(): np.zeros(1, dtype=np.intp)}
    for factor in rep.factors:
        new: dict[Atoms, list[Any]] = {}
        right, size = _indices(factor, order), factor.size()
        for left, left_index in result.items():
            for atoms_, index in right.items():
                both = left + atoms_
                axes = sorted(range(len(both)), key=lambda i: order.place(both[i]))
                pairs = np.add.outer(left_index * size, index)
                pairs = np.moveaxis(pairs, left_index.ndim, 1)
                pairs = pairs.reshape(-1, *pairs.shape[2:])
                term = tuple(both[i] for i in axes)
                new.setdefault(term, []).append(pairs.transpose(0, *(1 + i for i in axes)))
        result = {term: np.concatenate(parts) for term, parts in new.items()}
    return result


def _indices_of_sum(rep: Sum, order: _Order) -> dict[Atoms, Int[np.ndarray, "copies *sizes"]]:
    collected: dict[Atoms, list[Any]] = {}
    offset = 0
    for multiplicity, summand in rep.terms:
        size = summand.size()
        starts = offset + size * np.arange(multiplicity)
        for term, index in _indices(summand, order).items():
            copies = np.add.outer(starts, index)
            collected.setdefault(term, []).append(copies.reshape(-1, *index.shape[1:]))
        offset += size * multiplicity
    return {term: np.concatenate(parts) for term, parts in collected.items()}
