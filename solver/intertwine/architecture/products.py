"""Channelwise Clebsch–Gordan products of features in irrep coordinates."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Inexact

from intertwine.architecture.by_content import ByContent, cleaned
from intertwine.architecture.components import of_separate, separate
from intertwine.architecture.features import (
    ZERO,
    Components,
    Features,
    Kind,
    Weights,
    constant_like,
    joined,
    mixed,
    scaled,
    summed,
)
from intertwine.architecture.pair_couplings import PairCouplings
from intertwine.architecture.sparse_basis import sparse_basis_of
from intertwine.arrays import Array, is_torch, namespace
from intertwine.groups import Group
from intertwine.irreps import Irrep, clebsch_gordan

LARGEST_PAIR = 300
"""The largest product of two dimensions that is decomposed: 300 takes a second, 1300 a minute."""
_LARGEST_FORM = 100
"""The largest irrep whose invariant forms are looked for: each has as many terms."""
NARROW = 4
"""The number of channels of products that are taken only for their reach."""

#: The irreps λ ⊗ μ → ν of a product, by name.
Triple = tuple[str, str, str]


@dataclass(frozen=True, eq=False)
class Coupling(ByContent):
    """An equivariant map λ ⊗ μ → ν of unit-length rows: coefficients C of shape (d_ν, d_λ, d_μ)."""

    left: str
    right: str
    target: str
    coefficients: Inexact[np.ndarray, "o i j"]

    @property
    def operations(self) -> int:
        """The number of nonzero coefficients."""
        return int((np.abs(self.coefficients) > ZERO).sum())

    @property
    def triple(self) -> Triple:
        """λ, μ and ν, by name."""
        return self.left, self.right, self.target

    def __call__(self, a: Sequence[Array], b: Sequence[Array]) -> list[Array]:
        """Return C(a, b), channel by channel, one term at a time."""
        pairs: dict[tuple[int, int], Array] = {}
        found = []
        for row in self.coefficients:
            terms = []
            for i, j in zip(*np.nonzero(np.abs(row) > ZERO), strict=True):
                if (i, j) not in pairs:
                    pairs[i, j] = a[i] * b[j]
                terms.append(scaled(row[i, j], pairs[i, j]))
            found.append(summed(terms) if terms else 0 * a[0])
        return found

    def at_once(self, a: Sequence[Array], b: Sequence[Array]) -> list[Array]:
        """Return C(a, b) by one matrix product, zeros included: few instructions, many
        multiplications.
        """
        xp, (o, i, j) = namespace(*a), self.coefficients.shape
        pairs = (xp.stack(a)[:, None] * xp.stack(b)[None]).reshape(i * j, -1)
        products = xp.matmul(constant_like(self._matrix, pairs), pairs)
        return list(products.reshape(o, *a[0].shape))

    @cached_property
    def _matrix(self) -> Inexact[np.ndarray, "o ij"]:
        return self.coefficients.reshape(len(self.coefficients), -1)


@dataclass(frozen=True, eq=False)
class Products(ByContent):
    """(a, b) ↦ y_ν = C_ν · concat over λ, μ of CG(a_λ, b_μ), without the weights C_ν.

    `channels` is the number of copies of each irrep in a and b. The `narrow` products are taken
    only for their reach, on a few channels; their cost hardly counts.
    """

    kinds: Mapping[str, Kind]
    channels: Mapping[str, int]
    couplings: Sequence[Coupling]
    narrow: Sequence[Coupling] = ()

    @cached_property
    def every(self) -> Sequence[Coupling]:
        """All couplings, those on many channels first."""
        return (*self.couplings, *self.narrow)

    @cached_property
    def widths(self) -> Sequence[int]:
        """The number of channels of each coupling."""
        wide = len(self.couplings)
        return [
            min(self.width(coupling), NARROW if i >= wide else self.width(coupling))
            for i, coupling in enumerate(self.every)
        ]

    def width(self, coupling: Coupling) -> int:
        """Return the largest number of channels of a product."""
        return min(self.channels[coupling.left], self.channels[coupling.right])

    @cached_property
    def fan_in(self) -> dict[str, int]:
        """The columns of C_ν by target: how many numbers the products give for each component."""
        found: dict[str, int] = {}
        for coupling, width in zip(self.every, self.widths, strict=True):
            numbers = width * self.kinds[coupling.target].freedom
            found[coupling.target] = found.get(coupling.target, 0) + numbers
        return found

    def __call__(
        self,
        weights: Weights,
        a: Features,
        b: Features,
        *,
        is_batch: bool = False,
    ) -> Features:
        """Return all products, by target, mixed by the weights. For `is_batch`, see `mixed`."""
        in_pairs = any(map(is_torch, a.values())) and not _are_fused()
        products = self._by_pairs(a, b) if in_pairs else self._one_by_one(a, b)
        found: dict[str, list[Components]] = {}
        for coupling, product in zip(self.every, products, strict=True):
            found.setdefault(coupling.target, []).append(product)
        return {
            name: mixed(weights[name], self.kinds[name], joined(parts), is_batch=is_batch)
            for name, parts in found.items()
        }

    def _one_by_one(self, a: Features, b: Features) -> Iterator[Components]:
        """Yield the products, term by term."""
        a, b = ({name: separate(x) for name, x in factors.items()} for factors in (a, b))
        for i, (coupling, n) in enumerate(zip(self.every, self.widths, strict=True)):
            left = [component[:n] for component in a[coupling.left]]
            right = [component[:n] for component in b[coupling.right]]
            is_narrow = i >= len(self.couplings)
            product = coupling.at_once(left, right) if is_narrow else coupling(left, right)
            yield of_separate(product)

    def _by_pairs(self, a: Features, b: Features) -> list[Components]:
        """Return the products of tensors, all couplings of a pair at once."""
        found: dict[int, Components] = {}
        for pair in self._pairs:
            found |= zip(pair.places, pair(a[pair.left], b[pair.right]), strict=True)
        return [found[i] for i in range(len(found))]

    @cached_property
    def _pairs(self) -> Sequence[PairCouplings]:
        groups: dict[tuple[str, str, int], list[int]] = {}
        every = self.every
        for i, (coupling, width) in enumerate(zip(every, self.widths, strict=True)):
            groups.setdefault((coupling.left, coupling.right, width), []).append(i)
        return [
            PairCouplings.of(left, right, width, places, [every[i].coefficients for i in places])
            for (left, right, width), places in groups.items()
        ]


def _are_fused() -> bool:
    """Return whether torch.compile joins the operations that follow, as XLA does.

    Then terms of products are not written to memory, and a compiled step takes 0.87 of the time of
    one with `PairCouplings`. Exported programs run each operation by itself.
    """
    compiler = sys.modules["torch"].compiler
    return compiler.is_compiling() and not compiler.is_exporting()


def couplings(
    names: Sequence[str], kinds: Mapping[str, Kind], targets: Mapping[str, Kind], group: Group
) -> list[Coupling]:
    """Return the equivariant maps from products of two of the named irreps to the targets: for each
    triple a basis, over the target's endomorphisms.

    Products of two scalars are left out: they need no group. For pairs of irreps too large to
    decompose, only invariant forms of an irrep with itself are returned.
    """
    found: list[Coupling] = []
    ordered = sorted(names, key=lambda name: (kinds[name].dimension, name))
    for i, left in enumerate(ordered):
        for right in ordered[i:]:
            if kinds[left].is_trivial and kinds[right].is_trivial:
                continue
            if kinds[left].dimension * kinds[right].dimension <= LARGEST_PAIR:
                found += _couplings(Irrep(left, group), Irrep(right, group), targets)
            elif left == right:
                found += _forms(Irrep(left, group), targets)
    return found


def couplings_between(left: str, right: str, target: str, group: Group) -> Sequence[Coupling]:
    """Return a basis of the equivariant maps λ ⊗ μ → ν, over the target's endomorphisms."""
    a, b, c = (Irrep(name, group) for name in (left, right, target))
    return _couplings_to(a, b, c) if c in clebsch_gordan(a, b) else ()


def irreps_in_product(a: Irrep, b: Irrep) -> list[Irrep]:
    """Return the irreps to which `couplings` finds maps from a product; [] if it is too large."""
    return [*clebsch_gordan(a, b)] if a.size() * b.size() <= LARGEST_PAIR else []


def _couplings(a: Irrep, b: Irrep, targets: Mapping[str, Kind]) -> list[Coupling]:
    wanted = [c for c in clebsch_gordan(a, b) if c.name in targets]
    return [coupling for c in wanted for coupling in _couplings_to(a, b, c)]


@lru_cache(maxsize=1024)
def _couplings_to(a: Irrep, b: Irrep, c: Irrep) -> tuple[Coupling, ...]:
    bases = (sparse_basis_of(a), sparse_basis_of(b), sparse_basis_of(c).conj())
    maps = clebsch_gordan(a, b)[c].conj()
    turned = np.einsum("abmc,ai,bj,co->moij", maps, *bases, optimize=True)
    return tuple(Coupling(a.name, b.name, c.name, one) for one in cleaned(turned))


@lru_cache(maxsize=64)
def invariant_forms(a: Irrep) -> Inexact[np.ndarray, "m d d"]:
    """Return the invariant bilinear forms of an irrep; none if it is too large."""
    d = a.size()
    if d > _LARGEST_FORM:
        return np.zeros((0, d, d))
    return (a.T * a.T).equivariant_basis().dense().T.reshape(-1, d, d)


def _forms(a: Irrep, targets: Mapping[str, Kind]) -> list[Coupling]:
    """Return the products of an irrep with itself to scalars."""
    scalars = [name for name, kind in targets.items() if kind.is_trivial]
    if not scalars:
        return []
    [trivial] = scalars
    forms = invariant_forms(a)
    basis = sparse_basis_of(a)
    turned = np.einsum("mab,ai,bj->mij", forms, basis, basis)
    return [Coupling(a.name, a.name, trivial, form[None]) for form in cleaned(turned)]
