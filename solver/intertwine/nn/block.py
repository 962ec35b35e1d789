"""A block of an equivariant network in irrep coordinates, with its weights."""

from __future__ import annotations

import equinox as eqx
from jaxtyping import Inexact

from intertwine.architecture.block import apply_block
from intertwine.architecture.block_shape import BlockShape
from intertwine.architecture.features import Features
from intertwine.arrays import Array


class Block(eqx.Module):
    """The weights of a block (`intertwine.architecture.block`)."""

    weights: dict[str, Inexact[Array, "_ _"]]
    couplings: dict[str, Inexact[Array, "_ _"]]
    bias: Inexact[Array, " s"]
    shape: BlockShape = eqx.field(static=True)

    def __call__(self, x: Features, *, is_batch: bool = False) -> Features:
        """Return the outputs of the block. For `is_batch`, see `mixed`."""
        return apply_block(
            self.shape, self.weights, self.couplings, self.bias, x, is_batch=is_batch
        )
