"""A rep as layers see it: its irreps, and the way from the user's coordinates to theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Inexact

from intertwine.arrays import Array
from intertwine.errors import TooLarge
from intertwine.groups import Group
from intertwine.irreps import Decomposition, Irrep, decompose
from intertwine.nn.features import Features, Kind, combined, split
from intertwine.nn.sparse_basis import sparse_basis_of
from intertwine.reps import Rep

_DENSE_UP_TO = 256
"""Reps up to this size change their basis by one matrix: fewer, larger operations."""
_WRITTEN_UP_TO = 4096
"""Reps up to this size are saved: as that matrix."""


@dataclass(frozen=True, eq=False)
class DenseChange:
    """A change of basis by one matrix, ordered by irrep, component, copy; and its inverse."""

    into: Inexact[np.ndarray, "n n"]
    out: Inexact[np.ndarray, "n n"]


@dataclass(frozen=True, eq=False)
class StepwiseChange:
    """A change of basis slot by slot, then within each irrep to its sparse basis."""

    decomposition: Decomposition
    bases: Mapping[str, Inexact[np.ndarray, "_ _"]]

    def dense(self) -> DenseChange:
        """The same as one matrix."""
        matrix, parts, at = self.decomposition.matrix(), [], 0
        for irrep, m in self.decomposition.multiplicities.items():
            d = irrep.size()
            own = matrix[:, at : at + m * d].reshape(-1, m, d) @ self.bases[irrep.name]
            parts.append(own.transpose(0, 2, 1).reshape(-1, m * d))
            at += m * d
        out = np.concatenate(parts, axis=1)
        return DenseChange(np.linalg.inv(out), out)


@dataclass(frozen=True, eq=False)
class IrrepSpace:
    """ρ ≅ ⊕ m_λ λ: the irreps, how often, and the change of basis. Everything is by the irreps'
    names, in the order of the coordinates.
    """

    rep: Rep
    kinds: Mapping[str, Kind]
    multiplicities: Mapping[str, int]
    change: DenseChange | StepwiseChange

    @property
    def size(self) -> int:
        """n, the size of the rep."""
        return self.rep.size()

    @property
    def trivial(self) -> str | None:
        """The name of the trivial irrep, where it is one of them."""
        return next((name for name, kind in self.kinds.items() if kind.is_trivial), None)

    @property
    def is_complex(self) -> bool:
        """Whether its irreps are over the complex numbers."""
        return any(np.iscomplexobj(kind.endomorphisms) for kind in self.kinds.values())

    def enter(self, x: Inexact[Array, "n b"]) -> Features:
        """From the user's coordinates, a column each, to irreps."""
        if isinstance(self.change, DenseChange):
            into = self.change.into.astype(like(self.change.into, x))
            components = iter(split(into @ x, self._heights))
            return {
                n: [next(components) for _ in range(k.dimension)] for n, k in self.kinds.items()
            }
        features = {}
        for irrep, copies in self.change.decomposition.to_irreps(x).items():
            basis = self.change.bases[irrep.name].conj().T
            own = [copies[:, i] for i in range(copies.shape[1])]
            features[irrep.name] = [combined(row, own) for row in basis]
        return features

    def leave(self, features: Features) -> Inexact[Array, "n b"]:
        """Back to the user's coordinates. Irreps that are missing are zero."""
        some = next(iter(features.values()))[0]
        whole = {name: features.get(name) or self._zeros(name, some) for name in self.kinds}
        if isinstance(self.change, DenseChange):
            out = self.change.out.astype(like(self.change.out, some))
            together = jnp.concatenate([component for part in whole.values() for component in part])
            return jnp.asarray(out) @ together
        parts = {}
        for irrep in self.change.decomposition.multiplicities:
            basis, components = self.change.bases[irrep.name], whole[irrep.name]
            parts[irrep] = jnp.stack([combined(row, components) for row in basis], axis=1)
        found: Inexact[Array, "n b"] = self.change.decomposition.from_irreps(parts)
        return found

    def written(self) -> IrrepSpace:
        """The same with its change of basis as a matrix: nothing of it is computed any more.

        Raises `TooLarge` where that is too large.
        """
        if isinstance(self.change, DenseChange):
            return self
        if self.size > _WRITTEN_UP_TO:
            raise TooLarge(
                f"a change of basis of {self.size:,} dimensions is not written out; at most "
                f"{_WRITTEN_UP_TO:,} are"
            )
        return replace(self, change=self.change.dense())

    def _zeros(self, name: str, some: Array) -> list[Array]:
        shape = self.multiplicities[name], some.shape[1]
        return [jnp.zeros(shape, some.dtype)] * self.kinds[name].dimension

    @cached_property
    def _heights(self) -> list[int]:
        return [self.multiplicities[n] for n, k in self.kinds.items() for _ in range(k.dimension)]


@lru_cache(maxsize=256)
def irrep_space_of(rep: Rep, group: Group) -> IrrepSpace:
    """The space of a rep, made once. `group` is that of scalars alone.

    Raises `MethodNotApplicable` for a rep of several groups, and for one that is not seen to be a
    sum of irreps.
    """
    decomposition = decompose(rep, group=group)
    irreps = list(decomposition.multiplicities)
    stepwise = StepwiseChange(decomposition, {i.name: sparse_basis_of(i) for i in irreps})
    return IrrepSpace(
        rep,
        {irrep.name: _kind(irrep) for irrep in irreps},
        {irrep.name: m for irrep, m in decomposition.multiplicities.items()},
        stepwise.dense() if 0 < rep.size() <= _DENSE_UP_TO else stepwise,
    )


def like(constant: np.ndarray, x: Array) -> np.dtype[np.inexact]:
    """The dtype of a constant beside x: its own kind, of x's precision."""
    wide = x.dtype.itemsize > (8 if np.iscomplexobj(x) else 4)
    if np.iscomplexobj(constant):
        return np.dtype(np.complex128 if wide else np.complex64)
    return np.dtype(np.float64 if wide else np.float32)


def _kind(irrep: Irrep) -> Kind:
    basis = sparse_basis_of(irrep)
    units = np.matmul(basis.conj().T, np.matmul(irrep.endomorphisms, basis))
    return Kind(irrep.name, irrep.entry.origin is None, units)
