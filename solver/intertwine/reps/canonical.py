"""The canonical form of a rep: a sorted sum of sorted products, and the permutation to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Int

from intertwine.errors import TooLarge
from intertwine.operators import Permutation
from intertwine.reps.images import atom_digest
from intertwine.reps.syntax import (
    MAX_TERMS,
    Base,
    Dual,
    Rep,
    ScalarRep,
    Sum,
    Tensor,
    direct_sum,
    tensor,
)

#: The factors of a canonical term, sorted.
Atoms = tuple[Rep, ...]


@dataclass(frozen=True)
class Canonical:
    """`rep` is the canonical form of `original`; ``permutation @ v`` takes its vectors there.

    The permutation (and with it n integers of memory) is computed when it is first asked for;
    its adjoint leads back.
    """

    original: Rep
    rep: Rep

    def __iter__(self) -> Iterator[Any]:
        """Unpack as ``rep, permutation``."""
        yield self.rep
        yield self.permutation

    @property
    def is_identity(self) -> bool:
        """Whether the original was in canonical form, coordinate by coordinate."""
        return self.original == self.rep

    @cached_property
    def permutation(self) -> Permutation:
        """P with (P v) the vector of the canonical rep for the vector v of the original."""
        if self.is_identity:
            return Permutation(np.arange(self.original.size()))
        indices = _indices(self.original)
        parts = [indices[term].ravel() for term in _sorted_terms(indices)]
        return Permutation(np.concatenate(parts) if parts else np.arange(0))


def canonical(rep: Rep) -> Canonical:
    """The canonical form of a rep: products expanded over sums, factors and terms in an order of
    content, equal terms merged into one with a multiplicity.

    Raises `TooLarge` where there would be more than `MAX_TERMS` different terms.
    """
    multiplicities = _multiplicities(rep)
    terms = [(multiplicities[term], tensor(term)) for term in _sorted_terms(multiplicities)]
    return Canonical(rep, direct_sum(terms))


def canonical_terms(rep: Rep) -> list[tuple[int, Atoms]]:
    """The terms of the canonical form, as (multiplicity, sorted factors)."""
    multiplicities = _multiplicities(rep)
    return [(multiplicities[term], term) for term in _sorted_terms(multiplicities)]


def atom_order(atom: Rep) -> tuple[str, int, str]:
    """The order of atoms: by group, then V, V*, reps of the user's own; never by a name."""
    inner = atom.rep if isinstance(atom, Dual) else atom
    group = inner.G.digest if inner.G is not None else ""
    if isinstance(inner, Base):
        return (group, int(isinstance(atom, Dual)), "")
    return (group, 2, atom_digest(atom))


def _sorted_terms(terms: dict[Atoms, Any]) -> list[Atoms]:
    def order(term: Atoms) -> tuple[int, list[tuple[str, int, str]]]:
        return (len(term), [atom_order(atom) for atom in term])

    return sorted(terms, key=order)


def _sort(atoms: Atoms) -> tuple[Atoms, list[int]]:
    keys = [atom_order(atom) for atom in atoms]
    axes = sorted(range(len(atoms)), key=keys.__getitem__)
    return tuple(atoms[i] for i in axes), axes


def _multiplicities(rep: Rep) -> dict[Atoms, int]:
    """How often each canonical term occurs; sums and products as those of polynomials."""
    result: dict[Atoms, int] = {}
    if isinstance(rep, Sum):
        for multiplicity, summand in rep.terms:
            for atoms, count in _multiplicities(summand).items():
                result[atoms] = result.get(atoms, 0) + multiplicity * count
        return result
    if not isinstance(rep, Tensor):
        return {(): 1} if isinstance(rep, ScalarRep) else {(rep,): 1}
    result = {(): 1}
    for factor in rep.factors:
        new: dict[Atoms, int] = {}
        right = _multiplicities(factor)
        for left, left_count in result.items():
            for atoms, count in right.items():
                term, _ = _sort(left + atoms)
                new[term] = new.get(term, 0) + left_count * count
        if len(new) > MAX_TERMS:
            raise TooLarge(f"the rep has more than {MAX_TERMS:,} different terms when expanded")
        result = new
    return result


def _indices(rep: Rep) -> dict[Atoms, Int[np.ndarray, "copies *sizes"]]:
    """For each canonical term the coordinates in `rep` of all its copies' entries."""
    if isinstance(rep, Sum):
        return _indices_of_sum(rep)
    if not isinstance(rep, Tensor):
        if isinstance(rep, ScalarRep):
            return {(): np.zeros(1, dtype=np.intp)}
        return {(rep,): np.arange(rep.size())[None]}
    result: dict[Atoms, Any] = {(): np.zeros(1, dtype=np.intp)}
    for factor in rep.factors:
        new: dict[Atoms, list[Any]] = {}
        right, size = _indices(factor), factor.size()
        for left, left_index in result.items():
            for atoms, index in right.items():
                term, axes = _sort(left + atoms)
                pairs = np.add.outer(left_index * size, index)
                pairs = np.moveaxis(pairs, left_index.ndim, 1)
                pairs = pairs.reshape(-1, *pairs.shape[2:])
                new.setdefault(term, []).append(pairs.transpose(0, *(1 + a for a in axes)))
        result = {term: np.concatenate(parts) for term, parts in new.items()}
    return result


def _indices_of_sum(rep: Sum) -> dict[Atoms, Int[np.ndarray, "copies *sizes"]]:
    collected: dict[Atoms, list[Any]] = {}
    offset = 0
    for multiplicity, term in rep.terms:
        size = term.size()
        starts = offset + size * np.arange(multiplicity)
        for atoms, index in _indices(term).items():
            copies = np.add.outer(starts, index)
            collected.setdefault(atoms, []).append(copies.reshape(-1, *index.shape[1:]))
        offset += size * multiplicity
    return {atoms: np.concatenate(parts) for atoms, parts in collected.items()}


def term_size(atoms: Atoms) -> int:
    """The size of a canonical term."""
    return prod(atom.size() for atom in atoms)
