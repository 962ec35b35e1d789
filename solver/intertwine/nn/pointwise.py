"""One function for every coordinate, for groups that only permute coordinates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Inexact

from intertwine.architecture.gates import require_permuted
from intertwine.architecture.linear_maps import bound
from intertwine.arrays import Array
from intertwine.errors import InvalidSetting
from intertwine.groups import Group
from intertwine.nn.layer import Layer, rows
from intertwine.reps import Rep
from intertwine.reps.regrouping import over, require_known
from intertwine.reps.syntax import groups_of

_FUNCTIONS = {
    "swish": jax.nn.swish,
    "relu": jax.nn.relu,
    "gelu": jax.nn.gelu,
    "sigmoid": jax.nn.sigmoid,
    "softplus": jax.nn.softplus,
    "tanh": jnp.tanh,
}


class Pointwise(Layer):
    """xᵢ ↦ s(xᵢ) for one function s, given by name.

    It commutes with permutations of coordinates, and with no other matrices in general: raises
    `NotEquivariant` for a rep that does more than permute.
    """

    rep: Rep = eqx.field(static=True)
    function: str = eqx.field(static=True)

    def __init__(self, rep: Rep, function: str = "swish", group: Group | None = None) -> None:
        if function not in _FUNCTIONS:
            raise InvalidSetting(f"unknown function {function!r}: use {', '.join(_FUNCTIONS)}")
        self.rep, self.function = bound(rep, group), function
        require_permuted(self.rep, function)

    @property
    def rep_in(self) -> Rep:
        """The rep of x."""
        return self.rep

    @property
    def rep_out(self) -> Rep:
        """The rep of x."""
        return self.rep

    def __call__(self, x: Any, training: bool = False) -> Inexact[Array, "..."]:
        """Return s of every coordinate; `training` has no effect."""
        flat, batch = rows(x, self.rep.size(), self.rep)
        return batch.images(_FUNCTIONS[self.function](flat))

    def over(self, groups: Group | Mapping[Group, Group]) -> Pointwise:
        """Return the same function for the coordinates of the rep over another group."""
        require_known(groups, groups_of(self.rep), self)
        return Pointwise(over(self.rep, groups), self.function)

    def __repr__(self) -> str:
        return f"Pointwise({self.rep!r}, {self.function!r})"
