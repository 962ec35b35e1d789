"""Coordinates of all equivariant affine maps between two reps: in irreps (Schur's lemma), by
patterns of equal indices, or by a basis.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.architecture.by_content import ByContent
from intertwine.architecture.components import added, repeated, some_components
from intertwine.architecture.equality_maps import EqualityMaps, equality_maps_of
from intertwine.architecture.features import Weights, mixed
from intertwine.architecture.initialization import WeightSpec
from intertwine.architecture.irrep_space import IrrepSpace, are_complex, irrep_space_of
from intertwine.arrays import Array, namespace
from intertwine.bases import Basis
from intertwine.errors import InvalidRep, MethodNotApplicable
from intertwine.groups import Group, Trivial
from intertwine.integers import is_integer
from intertwine.reps import Rep, Scalar, parse
from intertwine.reps.syntax import direct_sum, groups_of


@dataclass(frozen=True, eq=False)
class SchurMaps(ByContent):
    """x ↦ U_out(⊕_λ W_λ ⊗ 1 + b)U_in⁻¹x, for reps that are sums of irreps.

    W_λ has m'_λ × e·m_λ entries, e being the dimension of what commutes with λ, and b is in the
    trivial irreps: no other vectors are invariant.
    """

    space_in: IrrepSpace
    space_out: IrrepSpace

    @property
    def rep_in(self) -> Rep:
        """The rep of x."""
        return self.space_in.rep

    @property
    def rep_out(self) -> Rep:
        """The rep of the image of x."""
        return self.space_out.rep

    @property
    def weight_spec(self) -> WeightSpec:
        """Shapes of the weights, and variances with which outputs keep the variance of inputs."""
        shapes = {
            name: (m, self.space_in.multiplicities[name] * self.space_in.kinds[name].freedom)
            for name, m in self.space_out.multiplicities.items()
            if name in self.space_in.kinds
        }
        return {name: (shape, 1 / shape[1]) for name, shape in shapes.items()}

    @property
    def constants(self) -> int:
        """The number of coordinates of the bias."""
        return self.space_out.multiplicities.get(self.space_out.trivial or "", 0)

    @property
    def is_complex(self) -> bool:
        """Whether the coordinates are complex numbers."""
        return self.space_in.is_complex or self.space_out.is_complex

    def apply(
        self, weights: Weights, bias: Inexact[Array, " k"], x: Inexact[Array, "b n"]
    ) -> Inexact[Array, "b m"]:
        """Return the image of a batch, a pure function."""
        features = self.space_in.enter(x)
        out = {n: mixed(w, self.space_out.kinds[n], features[n]) for n, w in weights.items()}
        if self.constants:
            name = self.space_out.trivial or ""
            constant = repeated(bias, some_components(features, x))
            out[name] = added(out[name], constant) if name in out else constant
        return self.space_out.leave(out, x)


@dataclass(frozen=True, eq=False)
class BasisMaps(ByContent):
    """x ↦ Σ cᵢQᵢx + Σ bⱼvⱼ for a basis Q of the equivariant maps and one of invariant vectors v:
    for any groups, several or not reductive, at the cost of a dense matrix.
    """

    rep_in: Rep
    rep_out: Rep
    basis: Basis
    invariants: Basis

    @property
    def weight_spec(self) -> WeightSpec:
        """The shape of the coordinates, and their variance."""
        r = self.basis.rank
        return {"basis": ((r, 1), self.rep_out.size() / r)} if r else {}

    @property
    def constants(self) -> int:
        """The number of coordinates of the bias."""
        return self.invariants.rank

    @property
    def is_complex(self) -> bool:
        """Whether the coordinates are complex numbers."""
        kinds = (self.basis.dtype, self.invariants.dtype)
        return any(np.issubdtype(kind, np.complexfloating) for kind in kinds)

    def apply(
        self, weights: Weights, bias: Inexact[Array, " k"], x: Inexact[Array, "b n"]
    ) -> Inexact[Array, "b m"]:
        """Return the image of a batch, a pure function."""
        out = namespace(x).zeros((x.shape[0], self.rep_out.size()), dtype=x.dtype)
        if weights:
            matrix = self.basis @ weights["basis"][:, 0]
            matrix = matrix.reshape(self.rep_out.size(), self.rep_in.size())
            out = namespace(x).matmul(x, matrix.T)
        return out + self.invariants @ bias if self.constants else out


LinearMaps = SchurMaps | EqualityMaps | BasisMaps


@lru_cache(maxsize=256)
def linear_maps_of(rep_in: Rep, rep_out: Rep) -> LinearMaps:
    """Return the equivariant affine maps between concrete reps, cached: by equal indices if groups
    permute coordinates in all ways, in irreps if both reps are sums of irreps of one group,
    otherwise by a basis.

    Raises `InvalidRep` if only constants are equivariant.
    """
    groups = {*groups_of(rep_in), *groups_of(rep_out)} or {Trivial(1)}
    maps: LinearMaps | None = equality_maps_of(rep_in, rep_out)
    if maps is None and len(groups) == 1:
        maps = _in_irreps(rep_in, rep_out, groups.pop())
    maps = maps or _by_basis(rep_in, rep_out)
    if not maps.weight_spec and rep_in.size() and rep_out.size():
        raise InvalidRep(
            f"the only equivariant linear map from {rep_in!r} to {rep_out!r} is zero: a layer "
            f"between them would be constant"
        )
    return maps


def _in_irreps(rep_in: Rep, rep_out: Rep, group: Group) -> SchurMaps | None:
    try:
        is_complex = are_complex((rep_in, rep_out), group)
        return SchurMaps(*(irrep_space_of(rep, group, is_complex) for rep in (rep_in, rep_out)))
    except MethodNotApplicable:  # not a sum of irreps, or not recognised as one
        return None


def _by_basis(rep_in: Rep, rep_out: Rep) -> BasisMaps:
    return BasisMaps(
        rep_in,
        rep_out,
        (rep_in >> rep_out).equivariant_basis(),
        rep_out.equivariant_basis(),
    )


def as_rep(value: Rep | str | int) -> Rep:
    """Return a rep as it is, that of a text, or a number of scalars. Raises `InvalidRep`."""
    if isinstance(value, str):
        return parse(value)
    return value if isinstance(value, Rep) else direct_sum([(_count(value), Scalar)])


def bound(rep: Rep | str | int, group: Group | None) -> Rep:
    """Return a rep with its group; a text is parsed, and an integer is that many scalars.

    Raises `InvalidRep` for anything else, and if a group is needed and `group` is None.
    """
    rep = as_rep(rep)
    if rep.is_concrete:
        return rep
    if group is None:
        raise InvalidRep(f"{rep} has no group: give the layer `group=`, or write {rep}(SO(3))")
    return rep(group)


def _count(value: Any) -> int:
    if is_integer(value) and value >= 0:
        return int(value)
    raise InvalidRep(
        f"a layer takes reps such as V or 2*V + Scalar, their texts, or numbers of scalars, not "
        f"{value!r}"
    )
