"""A network whose features stay in irrep coordinates, with its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
from jaxtyping import Inexact

from intertwine.architecture.irrep_network import irrep_architecture, through_blocks
from intertwine.architecture.irrep_space import IrrepSpace
from intertwine.architecture.network_shape import HiddenLayer
from intertwine.architecture.seed import Seed
from intertwine.arrays import Array
from intertwine.groups import Group
from intertwine.nn.block import Block
from intertwine.nn.drawing import Drawn, drawn, rounded, zeros
from intertwine.nn.readout import Readout
from intertwine.nn.settings import working
from intertwine.reps import Rep


class IrrepNetwork(eqx.Module):
    """Blocks of linear map, products and gates, then a linear map, on a batch of vectors.

    Bases change only at input and output: layers use the irreps' basis. Over complex unitary
    matrices x enters together with its conjugate (`with_dual`), and `space_in` is the space of
    both. `limits` gets what the network cannot represent.
    """

    blocks: tuple[Block, ...]
    weights: dict[str, Inexact[Array, "_ _"]]
    bias: Inexact[Array, " s"]
    space_in: IrrepSpace = eqx.field(static=True)
    space_out: IrrepSpace = eqx.field(static=True)

    def __init__(
        self,
        rep_in: Rep,
        hidden: Sequence[HiddenLayer],
        rep_out: Rep,
        group: Group,
        channels: int,
        gain: float,
        seed: Seed,
        dtype: Any,
        limits: list[str],
    ) -> None:
        architecture = irrep_architecture(rep_in, hidden, rep_out, group, channels)
        shape, dtype = architecture.shape, working(dtype, architecture.is_complex)
        self.space_in, self.space_out = shape.space_in, shape.space_out

        def weights(seed: Seed) -> Drawn:
            return rounded(architecture.initial_weights(gain, seed, dtype), dtype)

        made = drawn(weights, seed)
        self.blocks = tuple(
            Block(linear, bilinear, zeros(block.before[block.trivial], dtype), block)
            for (linear, bilinear), block in zip(made["blocks"], shape.blocks, strict=True)
        )
        self.weights, self.bias = made["last"], zeros(architecture.constants, dtype)
        limits += architecture.limits

    @property
    def hidden(self) -> str:
        """The multiplicities between the blocks, as text."""
        return ", ".join(str(dict(block.shape.reached)) for block in self.blocks)

    def __call__(self, x: Inexact[Array, "b n"], is_batch: bool = False) -> Inexact[Array, "b m"]:
        """Return f(x) for a batch. A batch of one row is faster with `is_batch`, and a vector of a
        `vmap` without (see `mixed`).
        """
        features = through_blocks(self.space_in, self.blocks, x, is_batch=is_batch)
        return self.readout(features, x, is_batch=is_batch)

    @property
    def readout(self) -> Readout:
        """The last layer."""
        return Readout(self.weights, self.bias, self.space_out)

    def __len__(self) -> int:
        return len(self.blocks) + 1

    def __getitem__(self, index: int) -> Block | Readout:
        """Return a block, or the last layer; their features are in irrep coordinates."""
        layers: tuple[Block | Readout, ...] = (*self.blocks, self.readout)
        return layers[index]
