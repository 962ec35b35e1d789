"""The equivariant linear layer."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Inexact

from intertwine.architecture.linear_maps import LinearMaps, bound, linear_maps_of
from intertwine.architecture.seed import as_seed
from intertwine.groups import Group
from intertwine.reps import Rep
from intertwine.torch.layer import Key, Layer, drawn, working, zeros
from intertwine.torch_compilation import one_operation


class Linear(Layer):
    """x ↦ Wx + b, any equivariant W and any invariant b: ρ_out(g)W = Wρ_in(g), ρ_out(g)b = b.

    The layer of `intertwine.nn.Linear`, with the same weights for the same `key`: they are
    coordinates of exactly the subspace of equivariant maps (Finzi, Welling and Wilson 2021, §6.1).
    `dtype` is that of the weights, float32 by default (complex64 for groups of complex matrices).

    ``layer(x)`` maps x of shape (…, n) to (…, m). Raises `InvalidRep` if the only equivariant map
    is zero, and for x of another size. A rep may also be a text, "2V + V**2", or an integer, for
    that many scalars.
    """

    def __init__(
        self,
        rep_in: Rep | str | int,
        rep_out: Rep | str | int,
        group: Group | None = None,
        *,
        key: Key = 0,
        dtype: torch.dtype | None = None,
    ) -> None:
        maps: LinearMaps = linear_maps_of(bound(rep_in, group), bound(rep_out, group))
        super().__init__(maps.rep_in, maps.rep_out)
        self.maps = maps
        chosen = working(dtype, self.maps.is_complex)
        self.weights = drawn(as_seed(key), self.maps.weight_spec, chosen)
        self.bias = zeros(self.maps.constants, chosen)

    def forward(self, x: Any, *, rounded: bool = True) -> Inexact[torch.Tensor, "..."]:
        """Return Wx + b for each vector of x. With ``rounded=False``, as inside a network, the
        result of weights in half precision stays in float32.
        """
        flat, batch = self.rows(x, self.bias.dtype, rounded=rounded)
        return batch.images(self._image(flat, self.bias, *self.weights.values()))

    @one_operation
    def _image(
        self, x: Inexact[torch.Tensor, "b n"], bias: torch.Tensor, *weights: torch.Tensor
    ) -> Inexact[torch.Tensor, "b m"]:
        return self.maps.apply(self.weights.named(weights), bias, x)

    def matrix(self) -> tuple[Inexact[torch.Tensor, "m n"], Inexact[torch.Tensor, " m"]]:
        """Return W and b as dense tensors, with gradients. They are in float32 if weights are in
        half precision: rounded to it, they would not be equivariant.
        """
        eye = torch.eye(self.rep_in.size(), device=self.bias.device)
        flat, _ = self.rows(eye, self.bias.dtype)
        columns = self._image(flat, 0 * self.bias, *self.weights.values())
        return columns.T, self._image(
            flat.new_zeros(1, flat.shape[1]), self.bias, *self.weights.values()
        )[0]
