"""The equivariant bilinear layer."""

from __future__ import annotations

from typing import Any

import equinox as eqx
from jaxtyping import Inexact

from intertwine.architecture.bilinear_maps import SHARE, Bilinear, BilinearMaps, bilinear_maps_of
from intertwine.architecture.linear_maps import bound
from intertwine.architecture.paper_maps import PaperMaps
from intertwine.architecture.seed import Seed, as_seed
from intertwine.arrays import Array
from intertwine.groups import Group
from intertwine.nn.drawing import Key, draw
from intertwine.nn.layer import Layer, compiled, rows
from intertwine.nn.settings import working
from intertwine.reps import Rep


class BiLinear(Layer):
    """x ↦ 0.1 B(x, x) with B bilinear and equivariant: B(ρ_in(g)x, ρ_in(g)x) = ρ_out(g)B(x, x).

    ``bilinear="channelwise"`` multiplies at most `channels` linear combinations of the copies of
    each irrep by Clebsch–Gordan maps (`ChannelwiseMaps`); it needs reps that are sums of irreps.
    ``"paper"`` is exactly the family of Finzi, Welling and Wilson (2021, §6.2): the components of
    x fill the matrix that x is multiplied by (`PaperMaps`); it takes any groups. Neither builds an
    array of (batch, out, in).

    As a pure function it is ``0.1 * layer.maps.apply(layer.weights, x)``, x of shape (batch, n).
    If no products lead to `rep_out`, the layer is zero and ``layer.weights`` is empty.
    """

    weights: dict[str, Inexact[Array, "_ _"]]
    maps: BilinearMaps = eqx.field(static=True)

    def __init__(
        self,
        rep_in: Rep,
        rep_out: Rep,
        group: Group | None = None,
        *,
        bilinear: Bilinear = "channelwise",
        channels: int = 16,
        key: Key = 0,
        dtype: Any = None,
    ) -> None:
        source, target = bound(rep_in, group), bound(rep_out, group)
        self.maps = bilinear_maps_of(source, target, group, bilinear, channels)
        self.weights = draw(
            as_seed(key), self.maps.weight_spec, working(dtype, self.maps.is_complex)
        )

    @classmethod
    def of(cls, maps: BilinearMaps, seed: Seed, dtype: Any = None) -> BiLinear:
        """Return the layer of these maps, with random weights."""
        layer: BiLinear = object.__new__(cls)
        object.__setattr__(layer, "maps", maps)
        weights = draw(seed, maps.weight_spec, working(dtype, maps.is_complex))
        object.__setattr__(layer, "weights", weights)
        return layer

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
        """Return 0.1 B(x, x) for each vector of x. With ``rounded=False``, as inside a network, the
        result of weights in half precision stays in float32. `training` has no effect.
        """
        without = working(None, is_complex=True) if self.maps.is_complex else None
        kind = next((w.dtype for w in self.weights.values()), without)
        flat, batch = rows(x, self.rep_in.size(), self.rep_in, kind, rounded=rounded)
        out = compiled(type(self.maps).apply, self.maps, self.weights, flat)
        return batch.images(SHARE * out)

    def __repr__(self) -> str:
        kind = "paper" if isinstance(self.maps, PaperMaps) else "channelwise"
        return f"BiLinear({self.rep_in!r} → {self.rep_out!r}, {kind})"
