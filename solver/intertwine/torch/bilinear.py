"""The equivariant bilinear layer."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Inexact

from intertwine.architecture.bilinear_maps import SHARE, Bilinear, BilinearMaps, bilinear_maps_of
from intertwine.architecture.linear_maps import bound
from intertwine.architecture.paper_maps import PaperMaps
from intertwine.architecture.seed import Seed, as_seed
from intertwine.groups import Group
from intertwine.reps import Rep
from intertwine.torch.layer import Key, Layer, Weights, drawn, working
from intertwine.torch_compilation import one_operation


class BiLinear(Layer):
    """x ↦ 0.1 B(x, x) with B bilinear and equivariant: B(ρ_in(g)x, ρ_in(g)x) = ρ_out(g)B(x, x).

    The layer of `intertwine.nn.BiLinear`, with the same weights for the same `key`.
    ``bilinear="channelwise"`` multiplies at most `channels` linear combinations of the copies of
    each irrep by Clebsch–Gordan maps; it needs reps that are sums of irreps. ``"paper"`` is exactly
    the family of Finzi, Welling and Wilson (2021, §6.2), and takes any groups. If no products lead
    to `rep_out`, the layer is zero, without weights.
    """

    def __init__(
        self,
        rep_in: Rep | str | int,
        rep_out: Rep | str | int,
        group: Group | None = None,
        *,
        bilinear: Bilinear = "channelwise",
        channels: int = 16,
        key: Key = 0,
        dtype: torch.dtype | None = None,
    ) -> None:
        source, target = bound(rep_in, group), bound(rep_out, group)
        maps = bilinear_maps_of(source, target, group, bilinear, channels)
        self._set(maps, dtype, as_seed(key))

    @classmethod
    def of(cls, maps: BilinearMaps, seed: Seed, dtype: torch.dtype | None = None) -> BiLinear:
        """Return the layer of these maps, with random weights."""
        layer = cls.__new__(cls)
        layer._set(maps, dtype, seed)
        return layer

    @classmethod
    def with_weights(cls, maps: BilinearMaps, weights: Weights) -> BiLinear:
        """Return the layer of these maps with these weights."""
        layer = cls.__new__(cls)
        layer._set(maps, None, weights)
        return layer

    def _set(self, maps: BilinearMaps, dtype: torch.dtype | None, weights: Seed | Weights) -> None:
        super().__init__(maps.rep_in, maps.rep_out)
        self.maps = maps
        self._without = torch.complex64 if maps.is_complex else None
        if isinstance(weights, Seed):
            weights = drawn(weights, maps.weight_spec, working(dtype, maps.is_complex))
        self.weights = weights

    def forward(self, x: Any, *, rounded: bool = True) -> Inexact[torch.Tensor, "..."]:
        """Return 0.1 B(x, x) for each vector of x. With ``rounded=False``, as inside a network, the
        result of weights in half precision stays in float32.
        """
        weights = self.weights.values()
        kind = weights[0].dtype if weights else self._without
        flat, batch = self.rows(x, kind, rounded=rounded)
        return batch.images(SHARE * self._image(flat, *weights))

    @one_operation
    def _image(
        self, x: Inexact[torch.Tensor, "b n"], *weights: torch.Tensor
    ) -> Inexact[torch.Tensor, "b m"]:
        return self.maps.apply(self.weights.named(weights), x)

    def extra_repr(self) -> str:
        """Return the reps and the form."""
        kind = "paper" if isinstance(self.maps, PaperMaps) else "channelwise"
        return f"{super().extra_repr()}, {kind}"
