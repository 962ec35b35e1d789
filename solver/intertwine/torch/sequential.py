"""Layers one after another."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Inexact

from intertwine.architecture.chains import require_chain
from intertwine.torch.layer import Layer


class Sequential(Layer):
    """x ↦ f_k(… f₁(x)), equivariant if each layer is: the output rep of a layer is the input rep of
    the next.

    Raises `NotEquivariant` for a layer without reps (a plain function of coordinates commutes with
    no rotation: take `GatedNonlinearity`, or `Pointwise` if coordinates are only permuted), and
    `InvalidRep` for reps that do not match.
    """

    def __init__(self, *layers: torch.nn.Module) -> None:
        require_chain(layers)
        super().__init__(layers[0].rep_in, layers[-1].rep_out)
        self.layers = torch.nn.ModuleList(layers)

    @property
    def hidden(self) -> str:
        """The reps between the layers, as text."""
        return ", ".join(repr(layer.rep_out) for layer in self.layers[:-1])

    def forward(self, x: Any, *, rounded: bool = True) -> Inexact[torch.Tensor, "..."]:
        """Return the image of each vector of x under all layers. Each layer with weights in half
        precision rounds its result. With ``rounded=False``, as inside a network, results stay in
        float32.
        """
        for layer in self.layers:
            x = layer(x) if rounded else layer(x, rounded=False)
        found: Inexact[torch.Tensor, "..."] = x
        return found

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> torch.nn.Module:
        return self.layers[index]
