"""The layers of the paper's network, as a kit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx

from intertwine.architecture.bilinear_maps import BilinearMaps
from intertwine.architecture.initialization import example_vectors
from intertwine.architecture.paper_form import part_sizes
from intertwine.architecture.seed import Seed
from intertwine.nn.bilinear import BiLinear
from intertwine.nn.conjugates import Conjugated
from intertwine.nn.emlp_block import EMLPBlock
from intertwine.nn.layer import Layer, as_array
from intertwine.nn.linear import Linear, scaled
from intertwine.nn.sequential import Sequential
from intertwine.nn.square import Square
from intertwine.reps import Rep


@dataclass(frozen=True)
class PaperLayers:
    """Makes the layers of Equinox (`LayerKit`)."""

    dtype: Any

    def linear(self, rep_in: Rep, rep_out: Rep, seed: Seed) -> Linear:
        """Return a linear layer."""
        return Linear(rep_in, rep_out, key=seed, dtype=self.dtype)

    def scaled(self, linear: Linear, factors: Mapping[str, Any]) -> Linear:
        """Return a linear layer with each weight times a number."""
        return scaled(linear, factors)

    def weight_names(self, linear: Linear) -> Sequence[str]:
        """Return the names of a linear layer's weights."""
        return tuple(linear.weights)

    def bilinear(self, maps: BilinearMaps, seed: Seed) -> BiLinear:
        """Return a bilinear layer of these maps."""
        return BiLinear.of(maps, seed, self.dtype)

    def block(self, rep_in: Rep, rep_out: Rep, seed: Seed) -> EMLPBlock:
        """Return a block with the bilinear layer of the paper."""
        return EMLPBlock(rep_in, rep_out, bilinear="paper", key=seed, dtype=self.dtype)

    def with_products(self, block: EMLPBlock, products: BiLinear | Sequential) -> EMLPBlock:
        """Return a block that adds the products of its input."""
        found: EMLPBlock = eqx.tree_at(
            lambda b: b.products_of_input, block, products, is_leaf=lambda x: x is None
        )
        return found

    def conjugated(self, rep: Rep) -> Conjugated:
        """Return the layer x ↦ (x, x̄)."""
        return Conjugated(rep)

    def square(self, rep: Rep) -> Square:
        """Return the layer x ↦ x ⊗ x."""
        return Square(rep)

    def sequential(self, layers: Sequence[Layer]) -> Sequential:
        """Return the layers one after another."""
        return Sequential(*layers)

    def sizes(self, layers: Sequence[Layer], out: Linear, size: int) -> Mapping[str, Any]:
        """Return `part_sizes` of the last layer behind the others. It is compiled: operation by
        operation it takes ten times as long.
        """
        found: Mapping[str, Any] = _sizes(layers, out, size)
        return found


@eqx.filter_jit
def _sizes(layers: Sequence[Layer], out: Linear, size: int) -> dict[str, Any]:
    x = example_vectors(size, out.maps.is_complex)
    features = Sequential(*layers)(x) if layers else as_array(x)
    return part_sizes(out.maps, out.weights, out.bias, features)
