"""A network whose features stay in irrep coordinates: its shape, its initial weights, and the
function that it computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Inexact

from intertwine.architecture.components import added, repeated, some_components
from intertwine.architecture.conjugates import with_conjugate, with_dual
from intertwine.architecture.features import Features, Weights, mixed
from intertwine.architecture.initialization import (
    all_vanish,
    example,
    first_weights,
    last_weights,
)
from intertwine.architecture.irrep_space import IrrepSpace, are_complex, irrep_space_of
from intertwine.architecture.network_faults import faults, remedy
from intertwine.architecture.network_shape import HiddenLayer, NetworkShape, complete_shape
from intertwine.architecture.seed import Seed
from intertwine.arrays import Array
from intertwine.errors import InvalidRep, MethodNotApplicable
from intertwine.groups import Group
from intertwine.reps import Rep
from intertwine.reps.generator_images import act_unitarily
from intertwine.reps.syntax import atoms, groups_of


@dataclass(frozen=True)
class IrrepArchitecture:
    """Blocks of linear map, products and gates, then a linear map, without their weights.

    Over complex unitary matrices x enters together with its conjugate (`with_dual`), and the
    shape's `space_in` is the space of both.
    """

    rep_in: Rep
    rep_out: Rep
    shape: NetworkShape

    @property
    def is_complex(self) -> bool:
        """Whether weights and features are complex numbers."""
        return self.shape.space_in.is_complex

    @property
    def constants(self) -> int:
        """The number of coordinates of the last bias."""
        space = self.shape.space_out
        return space.multiplicities[space.trivial] if space.trivial else 0

    @property
    def limits(self) -> list[str]:
        """What the network cannot represent although a larger one could, one sentence each."""
        return [f"{fault}{self._advice}" for fault in faults(self.shape)]

    def initial_weights(self, gain: float, seed: Seed, dtype: Any) -> dict[str, Any]:
        """Return the weights of the ``"blocks"``, linear and bilinear ones, and those of the
        ``"last"`` map, as NumPy arrays in double precision.

        Raises `InvalidRep` if every network of this shape is constant.
        """
        space_out = self.shape.space_out
        found, features = [], example(self.shape.space_in, self.rep_in.size())
        for i, block in enumerate(self.shape.blocks):
            own, features = first_weights(block, features, seed.child(i), dtype)
            found.append(own)
        last = last_weights(space_out, features, gain, seed.child(len(found)), dtype)
        if space_out.size and all_vanish(features, last):
            raise InvalidRep(
                f"every equivariant network from {self.rep_in!r} to {self.rep_out!r} with these "
                f"hidden layers is constant: what they reach shares no irreps with the output. "
                f"{remedy(self.shape, self.shape.outputs)}{self._advice}"
            )
        return {"blocks": found, "last": last}

    @property
    def _advice(self) -> str:
        """A note if the matrices are complex and not unitary: then duals are not conjugates."""
        if not self.is_complex or act_unitarily(atoms(self.shape.space_in.rep)):
            return ""
        return "; products have no conjugates, since the input's matrices are not unitary"


def irrep_architecture(
    rep_in: Rep, hidden: Sequence[HiddenLayer], rep_out: Rep, group: Group, channels: int
) -> IrrepArchitecture:
    """Return the network in irreps between two reps.

    Raises `MethodNotApplicable` for reps of several groups, and for reps that are not recognised as
    sums of irreps.
    """
    reps = [rep_in, *(layer.rep for layer in hidden), rep_out]
    others = {other for rep in reps for other in groups_of(rep)} - {group}
    if others:  # different irreps may have the same name
        raise MethodNotApplicable(
            f"a network in irreps needs reps of one group, here {group!r}, and one rep is over "
            f'{others.pop()!r}: use bilinear="paper"'
        )
    is_complex = are_complex(tuple(reps), group)
    space_in = irrep_space_of(with_dual(rep_in), group, is_complex)
    space_out = irrep_space_of(rep_out, group, is_complex)
    shape = complete_shape(space_in, hidden, space_out, group, channels)
    return IrrepArchitecture(rep_in, rep_out, shape)


def through_blocks(
    space: IrrepSpace,
    blocks: Sequence[Callable[..., Features]],
    x: Inexact[Array, "b n"],
    *,
    is_batch: bool = False,
) -> Features:
    """Return the features of a batch behind the blocks, in irrep coordinates. For `is_batch`, see
    `mixed`.
    """
    features = space.enter(with_conjugate(x, space.size))
    for block in blocks:
        features = block(features, is_batch=is_batch)
    return features


def read_out(
    weights: Weights,
    bias: Inexact[Array, " s"],
    space: IrrepSpace,
    features: Features,
    x: Inexact[Array, "b _"],
    *,
    is_batch: bool = False,
) -> Inexact[Array, "b m"]:
    """Return an affine map of features in coordinates of the rep, as many vectors as x has.

    `weights` has a matrix for each irrep, and `bias` the coordinates in the trivial one.
    """
    out = {
        name: mixed(weight, space.kinds[name], features[name], is_batch=is_batch)
        for name, weight in weights.items()
    }
    if space.trivial:
        name = space.trivial
        constant = repeated(bias, some_components(features, x))
        out[name] = added(out[name], constant) if name in out else constant
    return space.leave(out, x)
