"""The last layer of a network in irreps."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Inexact

from intertwine.arrays import Array
from intertwine.nn.features import Features, mixed
from intertwine.nn.irrep_space import IrrepSpace


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
        out = {
            name: mixed(weight, self.space.kinds[name], features[name], is_batch=is_batch)
            for name, weight in self.weights.items()
        }
        if self.space.trivial:
            name = self.space.trivial
            bias = self.bias[:, None] @ jnp.ones((1, x.shape[0]), self.bias.dtype)
            out[name] = [out[name][0] + bias] if name in out else [bias]
        return self.space.leave(out, x)
