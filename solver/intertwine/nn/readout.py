"""The last layer of a network in irreps."""

from __future__ import annotations

import equinox as eqx
from jaxtyping import Inexact

from intertwine.architecture.features import Features
from intertwine.architecture.irrep_network import read_out
from intertwine.architecture.irrep_space import IrrepSpace
from intertwine.arrays import Array


class Readout(eqx.Module):
    """The affine map from the features of the last block to the outputs, in coordinates of the rep.

    `weights` has a matrix for each irrep, and `bias` the coordinates in the trivial one.
    """

    weights: dict[str, Inexact[Array, "_ _"]]
    bias: Inexact[Array, " s"]
    space: IrrepSpace = eqx.field(static=True)

    def __call__(
        self, features: Features, x: Inexact[Array, "b n"], is_batch: bool = False
    ) -> Inexact[Array, "b m"]:
        """Return the outputs for a batch; its inputs x determine their precision."""
        return read_out(self.weights, self.bias, self.space, features, x, is_batch=is_batch)
