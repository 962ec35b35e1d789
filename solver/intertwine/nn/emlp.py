"""The equivariant network of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Inexact

from intertwine.architecture.bilinear_maps import Bilinear, require_form
from intertwine.architecture.hidden_reps import hidden_layers, require_shared_group
from intertwine.architecture.initialization import positive
from intertwine.architecture.network_faults import warn_of
from intertwine.architecture.network_group import NetworkGroup
from intertwine.architecture.paper_form import paper_network
from intertwine.architecture.seed import as_seed
from intertwine.arrays import Array
from intertwine.errors import InvalidRep, MethodNotApplicable
from intertwine.groups import Group
from intertwine.integers import checked_integer
from intertwine.nn.drawing import Key
from intertwine.nn.irrep_network import IrrepNetwork
from intertwine.nn.layer import Layer, compiled, in_pieces, is_traced, rows
from intertwine.nn.paper_layers import PaperLayers
from intertwine.nn.sequential import Sequential
from intertwine.reps import Rep


class EMLP(Layer):
    """f(ρ_in(g)x) = ρ_out(g)f(x): blocks of linear map, bilinear map and gates, then a linear map.

    The architecture of Finzi, Welling and Wilson (2021, §6.2). ``bilinear="channelwise"`` keeps
    features in irrep coordinates: bases change only at input and output, linear maps take one
    matrix product per irrep (Schur), and Clebsch–Gordan products take at most `channels` copies of
    each irrep (docs/networks.md). ``"paper"`` is a `Sequential` of `EMLPBlock` with the paper's
    bilinear layer, and takes any groups, also several or not reductive. The default is the first if
    the reps are sums of irreps of one group, and the second otherwise.

    `ch` is the width of the hidden layers, whose rep is `uniform_rep(ch, group)`; or their rep, or
    its text; or a list of these, one per layer. There are `num_layers` hidden layers, by default
    three, or as many as the list has. Layers given by width also get the irreps and products
    without which something that equivariance allows would be out of reach (`complete_shape`). A
    `ReachWarning` says what named reps or too few layers leave out, and `limits` keeps it. Reps
    without a group get `group`. Reps over a larger group are restricted to `group`: with
    `Trivial(2)` for reps of O(2), the network is one without symmetry. Reps may be over the factors
    of a product of groups, such as SO(3) and S(5) for ``SO(3)*S(5)``.

    At initialization, outputs have root mean square `gain` for standard normal inputs, in each
    irrep if the reps are sums of irreps. `key` is a seed or a key: equal arguments give equal
    networks. `dtype` is that of the weights, float32 by default. ``model(x)`` maps x of shape (…,
    n) to (…, m). Raises `InvalidRep` if every equivariant function of this form is constant, and
    `MethodNotApplicable` if ``"channelwise"`` is given and the reps are not recognised as sums of
    irreps.
    """

    network: IrrepNetwork | Sequential
    rep_in: Rep = eqx.field(static=True)
    rep_out: Rep = eqx.field(static=True)
    limits: tuple[str, ...] = eqx.field(static=True, default=())
    """What the network cannot represent although a larger one could, one sentence each."""
    G: Group | None = eqx.field(static=True, default=None)
    """The group; None for a model that an earlier version saved."""

    def __init__(
        self,
        rep_in: Rep,
        rep_out: Rep,
        group: Group,
        ch: int | Rep | str | Sequence[int | Rep | str] = 384,
        num_layers: int | None = None,
        *,
        bilinear: Bilinear | None = None,
        channels: int = 16,
        gain: float | int = 1.0,
        key: Key = 0,
        dtype: Any = None,
    ) -> None:
        over = NetworkGroup.of((rep_in, rep_out), group)
        self.G, self.rep_in, self.rep_out = group, over.rep(rep_in), over.rep(rep_out)
        if not self.rep_in.size():
            raise InvalidRep("a network needs an input, and rep_in has size 0")
        hidden = hidden_layers(ch, num_layers, over)
        require_shared_group(self.rep_in, [layer.rep for layer in hidden])
        channels = checked_integer(channels, "the number of channels")
        gain, seed = positive(gain, "the gain"), as_seed(key)
        limits: list[str] = []
        if bilinear is None or require_form(bilinear) == "channelwise":
            try:
                self.network = IrrepNetwork(
                    *(self.rep_in, hidden, self.rep_out, group, channels, gain, seed, dtype),
                    limits,
                )
            except MethodNotApplicable:
                if bilinear is not None:
                    raise
                bilinear = "paper"
        if bilinear == "paper":
            self.network = paper_network(
                *(PaperLayers(dtype), self.rep_in, hidden, self.rep_out, group, gain, seed), limits
            )
        self.limits = tuple(limits)
        for limit in limits:
            warn_of(limit)

    def __call__(self, x: Any, training: bool = False) -> Inexact[Array, "*batch m"]:
        """Return f(x) for each vector of x. `training` has no effect: no layer depends on it."""
        if isinstance(self.network, Sequential):
            kind = self.network[-1].bias.dtype
            flat, batch = rows(x, self.rep_in.size(), self.rep_in, kind)
            return batch.images(self.network(flat, rounded=False))
        flat, batch = rows(x, self.rep_in.size(), self.rep_in, self.network.bias.dtype)
        if is_traced((self.network, flat)):
            found = self.network(flat, is_batch=bool(batch.axes))  # a vector may be part of a vmap
        else:
            found = compiled(_forward, self.network, flat)
        return batch.images(found)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.rep_in!r} → {self.network.hidden} → {self.rep_out!r})"


def _forward(network: IrrepNetwork, x: Inexact[Array, "b n"]) -> Inexact[Array, "b m"]:
    return in_pieces(partial(network, is_batch=True), x)


def limits_of(model: Any) -> list[str]:
    """Return the limits of all networks in a model."""
    networks = jax.tree_util.tree_leaves(model, is_leaf=lambda node: isinstance(node, EMLP))
    return [limit for one in networks if isinstance(one, EMLP) for limit in one.limits]
