"""A network whose features stay in irrep coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
from jaxtyping import Inexact

from intertwine.arrays import Array
from intertwine.errors import InvalidRep, MethodNotApplicable
from intertwine.groups import Group
from intertwine.nn.block import Block
from intertwine.nn.conjugates import with_conjugate, with_dual
from intertwine.nn.initialization import all_vanish, example, first_weights, last_weights
from intertwine.nn.irrep_space import IrrepSpace, are_complex, irrep_space_of
from intertwine.nn.network_faults import faults, remedy
from intertwine.nn.network_shape import HiddenLayer, complete_shape
from intertwine.nn.readout import Readout
from intertwine.nn.seed import Drawn, Seed, drawn, rounded, zeros
from intertwine.nn.settings import working
from intertwine.reps import Rep
from intertwine.reps.generator_images import act_unitarily
from intertwine.reps.syntax import atoms, groups_of


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
        reps = [rep_in, *(layer.rep for layer in hidden), rep_out]
        _require_one_group(reps, group)
        is_complex = are_complex(tuple(reps), group)
        self.space_in = irrep_space_of(with_dual(rep_in), group, is_complex)
        self.space_out = irrep_space_of(rep_out, group, is_complex)
        dtype = working(dtype, is_complex)
        shape = complete_shape(self.space_in, hidden, self.space_out, group, channels)

        def weights(seed: Seed) -> Drawn:
            found, features = [], example(self.space_in, rep_in.size())
            for i, block in enumerate(shape.blocks):
                own, features = first_weights(block, features, seed.child(i), dtype)
                found.append(own)
            last = last_weights(self.space_out, features, gain, seed.child(len(found)), dtype)
            if self.space_out.size and all_vanish(features, last):
                raise InvalidRep(
                    f"every equivariant network from {rep_in!r} to {rep_out!r} with these hidden "
                    f"layers is constant: what they reach shares no irreps with the output. "
                    f"{remedy(shape, shape.outputs)}{self._advice}"
                )
            return rounded({"blocks": found, "last": last}, dtype)

        made = drawn(weights, seed)
        self.blocks = tuple(
            Block(linear, bilinear, zeros(block.before[block.trivial], dtype), block)
            for (linear, bilinear), block in zip(made["blocks"], shape.blocks, strict=True)
        )
        self.weights = made["last"]
        limits += [f"{fault}{self._advice}" for fault in faults(shape)]
        trivial = self.space_out.trivial
        self.bias = zeros(self.space_out.multiplicities[trivial] if trivial else 0, dtype)

    @property
    def _advice(self) -> str:
        """A note if the matrices are complex and not unitary: then duals are not conjugates."""
        if not self.space_in.is_complex or act_unitarily(atoms(self.space_in.rep)):
            return ""
        return "; products have no conjugates, since the input's matrices are not unitary"

    @property
    def hidden(self) -> str:
        """The multiplicities between the blocks, as text."""
        return ", ".join(str(dict(block.shape.reached)) for block in self.blocks)

    def __call__(self, x: Inexact[Array, "b n"], is_batch: bool = False) -> Inexact[Array, "b m"]:
        """Return f(x) for a batch. A batch of one row is faster with `is_batch`, and a vector of a
        `vmap` without (see `mixed`).
        """
        features = self.space_in.enter(with_conjugate(x, self.space_in.size))
        for block in self.blocks:
            features = block(features, is_batch=is_batch)
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


def _require_one_group(reps: Sequence[Rep], group: Group) -> None:
    """Raise `MethodNotApplicable` for several groups: different irreps may have the same name."""
    others = {other for rep in reps for other in groups_of(rep)} - {group}
    if others:
        raise MethodNotApplicable(
            f"a network in irreps needs reps of one group, here {group!r}, and one rep is over "
            f'{others.pop()!r}: use bilinear="paper"'
        )
