"""A block of the paper's network, as a sequence of layers."""

from __future__ import annotations

from typing import Any

from jaxtyping import Inexact

from intertwine.architecture.bilinear_maps import Bilinear
from intertwine.architecture.gates import gated
from intertwine.architecture.linear_maps import bound
from intertwine.architecture.seed import as_seed
from intertwine.arrays import Array
from intertwine.groups import Group
from intertwine.nn.bilinear import BiLinear
from intertwine.nn.drawing import Key
from intertwine.nn.gated_nonlinearity import GatedNonlinearity
from intertwine.nn.layer import Layer, rows
from intertwine.nn.linear import Linear
from intertwine.nn.sequential import Sequential
from intertwine.reps import Rep


class EMLPBlock(Layer):
    """x ↦ gate(h + B(h, h)) with h = Wx + b: from ρ_in to ``gated(ρ_out)`` and on to ρ_out.

    Finzi, Welling and Wilson (2021, §6.2): linear, bilinear with a shortcut, gated nonlinearity.
    Equivariant, since each of them is. In an `EMLP`, `products_of_input` may be added to the sum,
    for what these three do not reach.
    """

    linear: Linear
    bilinear: BiLinear
    nonlinearity: GatedNonlinearity
    products_of_input: BiLinear | Sequential | None = None

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
        wide, seed = gated(target), as_seed(key)
        self.linear = Linear(source, wide, key=seed.child(0), dtype=dtype)
        self.bilinear = BiLinear(
            wide, wide, group, bilinear=bilinear, channels=channels, key=seed.child(1), dtype=dtype
        )
        self.nonlinearity = GatedNonlinearity(target)
        self.products_of_input = None

    @property
    def rep_in(self) -> Rep:
        """The rep of x."""
        return self.linear.rep_in

    @property
    def rep_out(self) -> Rep:
        """The rep of the image of x."""
        return self.nonlinearity.rep_out

    def __call__(
        self, x: Any, training: bool = False, *, rounded: bool = True
    ) -> Inexact[Array, "..."]:
        """Return the image of each vector of x. With ``rounded=False``, as inside a network, the
        result of weights in half precision stays in float32. `training` has no effect.
        """
        kind = self.linear.bias.dtype
        flat, batch = rows(x, self.rep_in.size(), self.rep_in, kind, rounded=rounded)
        h = self.linear(flat, rounded=False)
        y = h + self.bilinear(h, rounded=False)
        if self.products_of_input is not None:
            y = y + self.products_of_input(flat, rounded=False)
        return batch.images(self.nonlinearity(y))

    def __repr__(self) -> str:
        return f"EMLPBlock({self.rep_in!r} → {self.rep_out!r})"
