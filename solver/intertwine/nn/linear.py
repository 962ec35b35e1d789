"""The equivariant linear layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Inexact

from intertwine.architecture.equality_maps import EqualityMaps, equality_maps_of
from intertwine.architecture.linear_maps import LinearMaps, bound, linear_maps_of
from intertwine.architecture.seed import as_seed
from intertwine.arrays import Array
from intertwine.errors import InvalidRep
from intertwine.groups import Group
from intertwine.nn.drawing import Key, draw, zeros
from intertwine.nn.layer import Layer, compiled, rows
from intertwine.nn.settings import working
from intertwine.reps import Rep
from intertwine.reps.regrouping import over, require_known
from intertwine.reps.syntax import groups_of


class Linear(Layer):
    """x ↦ Wx + b, any equivariant W and any invariant b: ρ_out(g)W = Wρ_in(g), ρ_out(g)b = b.

    The same maps as those of Finzi, Welling and Wilson (2021, §6.1), who project a dense W and b;
    here the weights are coordinates of exactly that subspace, and no projection is needed. At
    initialization b is 0, and outputs have the mean square of the inputs in the irreps that rep_in
    has too; in others every output is zero or constant for all weights. If groups permute
    coordinates in all ways, there is one weight for each pattern of equal indices (`EqualityMaps`),
    and outputs have that mean square in each tensor of rep_out. `dtype` is that of the weights,
    float32 by default (complex64 for groups of complex matrices).

    ``layer(x)`` maps x of shape (…, n) to (…, m). As a pure function it is
    ``layer.maps.apply(layer.weights, layer.bias, x)`` for x of shape (batch, n). Raises
    `InvalidRep` if the only equivariant map is zero, and for x of another size. A rep may also be a
    text, "2V + V**2", or an integer, for that many scalars.
    """

    weights: dict[str, Inexact[Array, "_ _"]]
    bias: Inexact[Array, " k"]
    maps: LinearMaps = eqx.field(static=True)

    def __init__(
        self,
        rep_in: Rep | str | int,
        rep_out: Rep | str | int,
        group: Group | None = None,
        *,
        key: Key = 0,
        dtype: Any = None,
    ) -> None:
        self.maps = linear_maps_of(bound(rep_in, group), bound(rep_out, group))
        chosen = working(dtype, self.maps.is_complex)
        self.weights = draw(as_seed(key), self.maps.weight_spec, chosen)
        self.bias = zeros(self.maps.constants, chosen)

    @property
    def rep_in(self) -> Rep:
        """The rep of x."""
        return self.maps.rep_in

    @property
    def rep_out(self) -> Rep:
        """The rep of the image of x."""
        return self.maps.rep_out

    def __call__(
        self, x: Any, training: bool = False, *, rounded: bool = True
    ) -> Inexact[Array, "..."]:
        """Return Wx + b for each vector of x. With ``rounded=False``, as inside a network, the
        result of weights in half precision stays in float32. `training` has no effect.
        """
        kind = self.bias.dtype
        flat, batch = rows(x, self.rep_in.size(), self.rep_in, kind, rounded=rounded)
        out = compiled(type(self.maps).apply, self.maps, self.weights, self.bias, flat)
        return batch.images(out)

    def over(self, groups: Group | Mapping[Group, Group]) -> Linear:
        """Return the layer with the same weights over another group: from graphs of n nodes to
        graphs of any number. With a mapping from old to new groups, only some of its groups are
        replaced.

        The groups must contain all permutations, as S(n) does, and have the same patterns of equal
        indices. They do if n is at least the number of indices of an input and an output tensor
        together (two more for even permutations). Raises `InvalidRep` otherwise.
        """
        require_known(groups, (*groups_of(self.rep_in), *groups_of(self.rep_out)), self)
        maps = None
        if isinstance(self.maps, EqualityMaps):
            maps = equality_maps_of(over(self.rep_in, groups), over(self.rep_out, groups))
        if maps is None or _shapes(maps) != _shapes(self.maps):
            raise InvalidRep(
                f"the weights of {self!r} cannot be used over {groups!r}, whose patterns of equal "
                f"indices do not correspond to its own: take groups of all permutations, of at "
                f"least as many coordinates as an input and an output tensor have indices "
                f"together, and of two more where permutations are even"
            )
        layer: Linear = object.__new__(type(self))
        for name, value in {"weights": self.weights, "bias": self.bias, "maps": maps}.items():
            object.__setattr__(layer, name, value)
        return layer

    def matrix(self) -> tuple[Inexact[np.ndarray, "m n"], Inexact[np.ndarray, " m"]]:
        """Return W and b as dense arrays. They are in float32 if weights are in half precision:
        rounded to it, they would not be equivariant.
        """
        n = self.rep_in.size()
        eye, zero = (rows(x, n, self.rep_in, self.bias.dtype)[0] for x in (np.eye(n), np.zeros(n)))
        columns = self.maps.apply(self.weights, 0 * self.bias, eye)
        shift = compiled(type(self.maps).apply, self.maps, self.weights, self.bias, zero)
        return np.asarray(columns).T, np.asarray(shift[0])

    def __repr__(self) -> str:
        return f"Linear({self.rep_in!r} → {self.rep_out!r})"


def scaled(layer: Linear, factors: Mapping[str, Any]) -> Linear:
    """Return the layer with each weight times a number.

    It is computed in NumPy unless anything is traced: JAX would compile a program for each shape.
    """
    weights = layer.weights
    if not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((weights, factors))):
        weights = {name: np.asarray(weight) for name, weight in weights.items()}
    found: Linear = eqx.tree_at(
        lambda own: own.weights,
        layer,
        {name: jnp.asarray(w * factors[name], w.dtype) for name, w in weights.items()},
    )
    return found


def _shapes(maps: LinearMaps) -> tuple[dict[str, tuple[int, ...]], int]:
    return {name: shape for name, (shape, _) in maps.weight_spec.items()}, maps.constants
