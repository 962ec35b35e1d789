"""What makes the layers of a framework, for networks of layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from intertwine.architecture.bilinear_maps import BilinearMaps
from intertwine.architecture.seed import Seed
from intertwine.reps import Rep


class LayerKit(Protocol):
    """Makes the layers of one framework, of one dtype."""

    def linear(self, rep_in: Rep, rep_out: Rep, seed: Seed) -> Any:
        """Return a linear layer. Raises `InvalidRep` if the only one is zero."""

    def scaled(self, linear: Any, factors: Mapping[str, Any]) -> Any:
        """Return a linear layer with each weight times a number."""

    def weight_names(self, linear: Any) -> Sequence[str]:
        """Return the names of a linear layer's weights."""

    def bilinear(self, maps: BilinearMaps, seed: Seed) -> Any:
        """Return a bilinear layer of these maps."""

    def block(self, rep_in: Rep, rep_out: Rep, seed: Seed) -> Any:
        """Return a block with the bilinear layer of the paper."""

    def with_products(self, block: Any, products: Any) -> Any:
        """Return a block that adds the products of its input."""

    def conjugated(self, rep: Rep) -> Any:
        """Return the layer x ↦ (x, x̄)."""

    def square(self, rep: Rep) -> Any:
        """Return the layer x ↦ x ⊗ x."""

    def sequential(self, layers: Sequence[Any]) -> Any:
        """Return the layers one after another."""

    def sizes(self, layers: Sequence[Any], out: Any, size: int) -> Mapping[str, Any]:
        """Return `part_sizes` of the last layer behind the others, for example vectors of this
        size.
        """
