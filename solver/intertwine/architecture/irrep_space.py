"""A rep as layers see it: its irreps, and the change of basis from the user's coordinates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Inexact, Int

from intertwine.architecture.by_content import ByContent, cleaned
from intertwine.architecture.change_of_basis import DenseChange, StepwiseChange
from intertwine.architecture.components import (
    batch_size,
    copies_as_channels,
    copies_as_vectors,
    some_components,
    zeros_like,
)
from intertwine.architecture.features import (
    Features,
    Kind,
    constant_like,
    cut,
    fusion_barrier,
    joined,
    joined_channels,
    reordered,
    split,
)
from intertwine.architecture.sparse_basis import sparse_basis_of
from intertwine.arrays import Array, is_torch, namespace
from intertwine.errors import TooLarge
from intertwine.groups import Group
from intertwine.irreps import Irrep, decompose
from intertwine.reps import Rep, canonical
from intertwine.reps.canonical_form import canonical_terms
from intertwine.reps.generator_images import act_by_complex_numbers
from intertwine.reps.syntax import Base, atoms, tensor

_WHOLE_UP_TO = 128
"""Reps up to this size change their basis by one matrix: fewer, larger operations."""
_DENSE_UP_TO = 4096
"""Terms up to this size change their basis by one matrix, which can be saved."""


@dataclass(frozen=True, eq=False)
class TermwiseChange(ByContent):
    """A change of basis term by term, all copies of a term at once.

    `order` brings coordinates into the order of the terms, `back` undoes it.
    """

    terms: Sequence[tuple[int, IrrepSpace]]
    order: Int[np.ndarray, " n"]
    back: Int[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class IrrepSpace(ByContent):
    """ρ ≅ ⊕ m_λ λ: the irreps, their multiplicities, and the change of basis.

    Mappings are by the irreps' names, in the order of the coordinates.
    """

    rep: Rep
    kinds: Mapping[str, Kind]
    multiplicities: Mapping[str, int]
    change: DenseChange | TermwiseChange | StepwiseChange

    @property
    def size(self) -> int:
        """n, the size of the rep."""
        return self.rep.size()

    @property
    def trivial(self) -> str | None:
        """The name of the trivial irrep; None if it is not one of them."""
        return next((name for name, kind in self.kinds.items() if kind.is_trivial), None)

    @property
    def is_complex(self) -> bool:
        """Whether its irreps are over the complex numbers."""
        return any(np.iscomplexobj(kind.endomorphisms) for kind in self.kinds.values())

    def enter(self, x: Inexact[Array, "b n"]) -> Features:
        """Return vectors in the user's coordinates as features in irreps; of vectors of size 0, no
        features.
        """
        return self._enter(x.T) if self.kinds else {}

    def leave(self, features: Features, x: Inexact[Array, "b _"]) -> Inexact[Array, "b n"]:
        """Return features in the user's coordinates, as many vectors as x has. Missing irreps are
        zero.
        """
        some = some_components(features, x)
        missing = {
            name: zeros_like(some, self.multiplicities[name], kind.dimension)
            for name, kind in self.kinds.items()
            if name not in features
        }
        if not self.kinds:
            return namespace(x).zeros((x.shape[0], 0), dtype=x.dtype)
        found: Inexact[Array, "b n"] = self._leave({**features, **missing}).T
        return found

    def _enter(self, x: Inexact[Array, "n b"]) -> Features:
        if isinstance(self.change, DenseChange):
            return self._enter_at_once(self.change, x)
        if isinstance(self.change, TermwiseChange):
            return self._enter_by_terms(self.change, x)
        return self.change.enter(x)

    def _enter_at_once(self, change: DenseChange, x: Inexact[Array, "n b"]) -> Features:
        if is_torch(x):
            into = constant_like(self._by_copies.into, x)
            parts = split(namespace(x).matmul(into, x), self._sizes)
            return {
                name: part.reshape(self.multiplicities[name], kind.dimension, x.shape[1])
                for (name, kind), part in zip(self.kinds.items(), parts, strict=True)
            }
        inside = namespace(x).matmul(constant_like(change.into, x), x)
        components = iter(split(fusion_barrier(inside), self._heights))
        return {n: [next(components) for _ in range(k.dimension)] for n, k in self.kinds.items()}

    def _leave(self, whole: Features) -> Inexact[Array, "n b"]:
        if isinstance(self.change, DenseChange):
            return self._leave_at_once(self.change, whole)
        if isinstance(self.change, TermwiseChange):
            return self._leave_by_terms(self.change, whole)
        return self.change.leave(whole)

    def _leave_at_once(self, change: DenseChange, whole: Features) -> Inexact[Array, "n b"]:
        if is_torch(whole[next(iter(self.kinds))]):
            rows = [whole[name].flatten(0, 1) for name in self.kinds]
            inside, out = joined_channels(rows), self._by_copies.out
        else:
            inside = fusion_barrier(joined_channels([c for n in self.kinds for c in whole[n]]))
            out = change.out
        found: Inexact[Array, "n b"] = namespace(inside).matmul(constant_like(out, inside), inside)
        return found

    def written(self) -> IrrepSpace:
        """Return the space with its change of basis as matrices, for which nothing is computed
        later.

        Raises `TooLarge` if they are too large.
        """
        if isinstance(self.change, DenseChange):
            return self
        if isinstance(self.change, TermwiseChange):
            terms = tuple((count, term.written()) for count, term in self.change.terms)
            return replace(self, change=replace(self.change, terms=terms))
        if self.size > _DENSE_UP_TO:
            raise TooLarge(
                f"a change of basis of {self.size:,} dimensions cannot be written out: at most "
                f"{_DENSE_UP_TO:,} are allowed"
            )
        return replace(self, change=self.change.dense())

    def _enter_by_terms(self, change: TermwiseChange, x: Inexact[Array, "n b"]) -> Features:
        b = x.shape[1]
        found: dict[str, list[list[Array]]] = {}
        pieces = split(reordered(x, change.order), [n * t.size for n, t in change.terms])
        for (count, term), piece in zip(change.terms, pieces, strict=True):
            columns = piece.reshape(count, term.size, b).swapaxes(0, 1)
            inside = term._enter(columns.reshape(term.size, count * b))
            for name, components in inside.items():
                found.setdefault(name, []).append(copies_as_channels(components, count))
        return {name: joined(parts) for name, parts in found.items()}

    def _leave_by_terms(self, change: TermwiseChange, whole: Features) -> Inexact[Array, "n b"]:
        b = batch_size(next(iter(whole.values())))
        rows = {
            name: iter(cut(parts, [n * t.multiplicities.get(name, 0) for n, t in change.terms]))
            for name, parts in whole.items()
            if name in self.kinds
        }
        pieces = []
        for count, term in change.terms:
            of_term = {name: next(parts) for name, parts in rows.items()}
            inside = {name: copies_as_vectors(of_term[name], count) for name in term.multiplicities}
            columns = term._leave(inside).reshape(term.size, count, b)
            pieces.append(columns.swapaxes(0, 1).reshape(count * term.size, b))
        return reordered(joined_channels(pieces), change.back)

    @cached_property
    def _heights(self) -> list[int]:
        return [self.multiplicities[n] for n, k in self.kinds.items() for _ in range(k.dimension)]

    @cached_property
    def _sizes(self) -> list[int]:
        return [self.multiplicities[n] * k.dimension for n, k in self.kinds.items()]

    @cached_property
    def _by_copies(self) -> DenseChange:
        """The change of basis by one matrix in the order of tensors: irrep, copy, component."""
        assert isinstance(self.change, DenseChange)
        places = np.split(np.arange(self.size), np.cumsum(self._sizes)[:-1])
        order = np.concatenate(
            [
                own.reshape(kind.dimension, -1).T.ravel()
                for own, kind in zip(places, self.kinds.values(), strict=True)
            ]
        )
        return self.change.in_order(order)


@lru_cache(maxsize=256)
def are_complex(reps: tuple[Rep, ...], group: Group) -> bool:
    """Return whether the spaces of these reps, between which maps lead, are over ℂ: if any of the
    reps is complex, or all are scalars and the group is complex.

    The same irrep has different names over ℝ and ℂ, so all spaces must be over the same field.
    """
    found = {atom for rep in reps for atom in atoms(rep)}
    return act_by_complex_numbers(found or {Base(group)})


@lru_cache(maxsize=256)
def irrep_space_of(rep: Rep, group: Group, is_complex: bool) -> IrrepSpace:
    """Return the space of a rep, over ℂ or ℝ (`are_complex`), cached. `group` is that of scalars.

    Raises `MethodNotApplicable` for a rep of several groups, and for a rep that is not recognised
    as a sum of irreps.
    """
    terms = canonical_terms(rep)
    if rep.size() <= _WHOLE_UP_TO or [count for count, _ in terms] == [1]:
        return _as_one(rep, group, is_complex)
    inside = [(count, irrep_space_of(tensor(term), group, is_complex)) for count, term in terms]
    multiplicities: dict[str, int] = {}
    for count, term in inside:
        for name, m in term.multiplicities.items():
            multiplicities[name] = multiplicities.get(name, 0) + count * m
    order = canonical_places(rep)
    return IrrepSpace(
        rep,
        {name: kind for _, term in inside for name, kind in term.kinds.items()},
        multiplicities,
        TermwiseChange(tuple(inside), order, np.argsort(order)),
    )


def _as_one(rep: Rep, group: Group, is_complex: bool) -> IrrepSpace:
    decomposition = decompose(rep, group=group, is_complex=is_complex)
    irreps = list(decomposition.multiplicities)
    stepwise = StepwiseChange(decomposition, {i.name: cleaned(sparse_basis_of(i)) for i in irreps})
    return IrrepSpace(
        rep,
        {irrep.name: kind_of(irrep) for irrep in irreps},
        {irrep.name: m for irrep, m in decomposition.multiplicities.items()},
        stepwise.dense() if 0 < rep.size() <= _DENSE_UP_TO else stepwise,
    )


def canonical_places(rep: Rep) -> Int[np.ndarray, " n"]:
    """Return p such that x[p] is in the order of the rep's canonical form."""
    form, places = canonical(rep), np.arange(rep.size())
    return places if form.is_identity else np.asarray(form.permutation @ places).astype(int)


def kind_of(irrep: Irrep) -> Kind:
    """Return the `Kind` of an irrep, in its sparse basis."""
    basis = sparse_basis_of(irrep)
    units = np.matmul(basis.conj().T, np.matmul(irrep.endomorphisms, basis))
    return Kind(irrep.name, irrep.entry.origin is None, cleaned(units))
