"""The layers of the paper's network, as modules and as a kit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Inexact

from intertwine.architecture.bilinear_maps import Bilinear, BilinearMaps
from intertwine.architecture.conjugates import with_dual
from intertwine.architecture.gates import gated
from intertwine.architecture.initialization import example_vectors
from intertwine.architecture.linear_maps import bound
from intertwine.architecture.paper_form import part_sizes
from intertwine.architecture.seed import Seed, as_seed
from intertwine.groups import Group
from intertwine.reps import Rep
from intertwine.torch.bilinear import BiLinear
from intertwine.torch.layer import Key, Layer, as_tensor
from intertwine.torch.linear import Linear
from intertwine.torch.nonlinearities import GatedNonlinearity
from intertwine.torch.sequential import Sequential


class EMLPBlock(Layer):
    """x ↦ gate(h + B(h, h)) with h = Wx + b: from ρ_in to ``gated(ρ_out)`` and on to ρ_out.

    Finzi, Welling and Wilson (2021, §6.2): linear, bilinear with a shortcut, gated nonlinearity.
    Equivariant, since each of them is. In an `EMLP`, `products_of_input` may be added to the sum,
    for what these three do not reach.
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
        super().__init__(source, target)
        wide, seed = gated(target), as_seed(key)
        self.linear = Linear(source, wide, key=seed.child(0), dtype=dtype)
        self.bilinear = BiLinear(
            wide, wide, group, bilinear=bilinear, channels=channels, key=seed.child(1), dtype=dtype
        )
        self.nonlinearity = GatedNonlinearity(target)
        self.products_of_input: torch.nn.Module | None = None

    def forward(self, x: Any, *, rounded: bool = True) -> Inexact[torch.Tensor, "..."]:
        """Return the image of each vector of x. With ``rounded=False``, as inside a network, the
        result of weights in half precision stays in float32.
        """
        flat, batch = self.rows(x, self.linear.bias.dtype, rounded=rounded)
        h = self.linear(flat, rounded=False)
        y = h + self.bilinear(h, rounded=False)
        if self.products_of_input is not None:
            y = y + self.products_of_input(flat, rounded=False)
        return batch.images(self.nonlinearity(y))


class Conjugated(Layer):
    """x ↦ (x, x̄), from ρ to ρ + ρ*."""

    def __init__(self, rep: Rep) -> None:
        super().__init__(rep, with_dual(rep))

    def forward(self, x: Any, *, rounded: bool = True) -> Inexact[torch.Tensor, "..."]:
        """Return (x, x̄) for each vector of x, in its precision: `rounded` has no effect."""
        x = as_tensor(x)
        return torch.cat([x, x.conj()], dim=-1)


class Square(Layer):
    """x ↦ x ⊗ x, from ρ to ρ ⊗ ρ: followed by a linear map, this is any quadratic map."""

    def __init__(self, rep: Rep) -> None:
        super().__init__(rep, rep * rep)

    def forward(self, x: Any, *, rounded: bool = True) -> Inexact[torch.Tensor, "..."]:
        """Return x ⊗ x for each vector of x, in its precision: `rounded` has no effect."""
        x = as_tensor(x)
        return (x[..., :, None] * x[..., None, :]).flatten(-2)


@dataclass(frozen=True)
class PaperLayers:
    """Makes the layers of PyTorch (`LayerKit`)."""

    dtype: torch.dtype | None

    def linear(self, rep_in: Rep, rep_out: Rep, seed: Seed) -> Linear:
        """Return a linear layer."""
        return Linear(rep_in, rep_out, key=seed, dtype=self.dtype)

    def scaled(self, linear: Linear, factors: Mapping[str, Any]) -> Linear:
        """Return the linear layer, after multiplying each weight by a number."""
        with torch.no_grad():
            for name, weight in zip(linear.weights.names, linear.weights.values(), strict=True):
                weight.mul_(factors[name])
        return linear

    def weight_names(self, linear: Linear) -> Sequence[str]:
        """Return the names of a linear layer's weights."""
        return linear.weights.names

    def bilinear(self, maps: BilinearMaps, seed: Seed) -> BiLinear:
        """Return a bilinear layer of these maps."""
        return BiLinear.of(maps, seed, self.dtype)

    def block(self, rep_in: Rep, rep_out: Rep, seed: Seed) -> EMLPBlock:
        """Return a block with the bilinear layer of the paper."""
        return EMLPBlock(rep_in, rep_out, bilinear="paper", key=seed, dtype=self.dtype)

    def with_products(self, block: EMLPBlock, products: BiLinear | Sequential) -> EMLPBlock:
        """Return the block, which now adds the products of its input."""
        block.products_of_input = products
        return block

    def conjugated(self, rep: Rep) -> Conjugated:
        """Return the layer x ↦ (x, x̄)."""
        return Conjugated(rep)

    def square(self, rep: Rep) -> Square:
        """Return the layer x ↦ x ⊗ x."""
        return Square(rep)

    def sequential(self, layers: Sequence[torch.nn.Module]) -> Sequential:
        """Return the layers one after another."""
        return Sequential(*layers)

    def sizes(self, layers: Sequence[torch.nn.Module], out: Linear, size: int) -> Mapping[str, Any]:
        """Return `part_sizes` of the last layer behind the others."""
        with torch.no_grad():
            x = torch.from_numpy(example_vectors(size, out.maps.is_complex).copy())
            x = x.to(out.bias.dtype)
            for layer in layers:
                x = layer(x)
            return part_sizes(out.maps, out.weights.named(out.weights.values()), out.bias, x)
