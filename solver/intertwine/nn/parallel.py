"""The sum of several models."""

from __future__ import annotations

from typing import Any

from jaxtyping import Inexact

from intertwine.arrays import Array
from intertwine.errors import InvalidRep, NotEquivariant
from intertwine.nn.layer import Layer
from intertwine.reps import Rep


class Parallel(Layer):
    """x ↦ f₁(x) + … + f_k(x), for layers with the same reps. It is equivariant if each layer is.

    Raises `NotEquivariant` for a layer without reps, and `InvalidRep` for different reps.
    """

    layers: tuple[Any, ...]

    def __init__(self, *layers: Any) -> None:
        if not layers:
            raise InvalidRep("a Parallel needs at least one layer")
        for layer in layers:
            if not (hasattr(layer, "rep_in") and hasattr(layer, "rep_out")):
                raise NotEquivariant(f"{layer!r} has no rep_in and rep_out: give layers with reps")
            if (layer.rep_in, layer.rep_out) != (layers[0].rep_in, layers[0].rep_out):
                raise InvalidRep(
                    f"{layers[0]!r} maps {layers[0].rep_in!r} to {layers[0].rep_out!r}, and "
                    f"{layer!r} maps {layer.rep_in!r} to {layer.rep_out!r}: give the same reps"
                )
        self.layers = layers

    @property
    def rep_in(self) -> Rep:
        """The rep of x."""
        rep: Rep = self.layers[0].rep_in
        return rep

    @property
    def rep_out(self) -> Rep:
        """The rep of the image of x."""
        rep: Rep = self.layers[0].rep_out
        return rep

    def __call__(self, x: Any, training: bool = False) -> Inexact[Array, "..."]:
        """Return the sum of the images of each vector of x; each layer gets `training`."""
        first, *others = (layer(x, training=training) for layer in self.layers)
        found: Inexact[Array, "..."] = first
        for image in others:
            found = found + image
        return found

    def __repr__(self) -> str:
        inner = ",\n  ".join(map(repr, self.layers))
        return f"Parallel(\n  {inner}\n)"
