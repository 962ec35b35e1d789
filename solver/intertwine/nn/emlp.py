"""The equivariant network of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Inexact, PRNGKeyArray

from intertwine.arrays import Array
from intertwine.errors import InvalidRep, MethodNotApplicable
from intertwine.groups import Group
from intertwine.nn.allocation import uniform_rep
from intertwine.nn.bilinear import Bilinear, require_form
from intertwine.nn.emlp_block import EMLPBlock
from intertwine.nn.irrep_network import IrrepNetwork
from intertwine.nn.layer import Layer
from intertwine.nn.linear import Linear
from intertwine.nn.linear_maps import bound, rows
from intertwine.nn.sequential import Sequential
from intertwine.nn.settings import as_key, natural
from intertwine.reps import Rep
from intertwine.reps.syntax import groups_of


class EMLP(Layer):
    """f(ρ_in(g)x) = ρ_out(g)f(x): blocks of linear map, bilinear map and gates, then a linear map.

    The architecture of Finzi, Welling and Wilson (2021, §6.2). ``bilinear="channelwise"`` keeps
    features in irrep coordinates (DESIGN §6): no change of basis but at the border, one matrix
    product an irrep (Schur), and Clebsch–Gordan products of at most `channels` copies of each
    irrep. ``"paper"`` is a `Sequential` of `EMLPBlock` with the paper's bilinear layer, and takes
    any groups, several or not reductive. Unless one is asked for, it is the first where the reps
    are sums of irreps of one group, and the second elsewhere.

    `ch` is the width of the hidden layers, of `uniform_rep(ch, group)`; or their rep; or a list of
    either, one a layer; there are three layers, unless a list or `num_layers` says another
    number. Reps that have no group get `group`. `key` is a seed or a key: equal
    arguments give equal networks. `dtype` is that of the weights, float32 unless given.
    ``model(x)`` takes x of shape (…, n) to (…, m). Raises `InvalidRep` where every equivariant
    function of this form is constant, and `MethodNotApplicable` for reps that are not seen to be
    sums of irreps, if ``"channelwise"`` was asked for.
    """

    network: IrrepNetwork | Sequential
    rep_in: Rep = eqx.field(static=True)
    rep_out: Rep = eqx.field(static=True)

    def __init__(
        self,
        rep_in: Rep,
        rep_out: Rep,
        group: Group,
        ch: int | Rep | Sequence[int | Rep] = 384,
        num_layers: int | None = None,
        *,
        bilinear: Bilinear | None = None,
        channels: int = 16,
        key: int | PRNGKeyArray = 0,
        dtype: Any = None,
    ) -> None:
        self.rep_in, self.rep_out = bound(rep_in, group), bound(rep_out, group)
        if not self.rep_in.size():
            raise InvalidRep("a network needs an input, and rep_in has size 0")
        hidden = hidden_reps(ch, num_layers, group)
        _require_shared_group(self.rep_in, hidden)
        channels = natural(channels, "the number of channels")
        reps = self.rep_in, *hidden, self.rep_out
        if bilinear is None or require_form(bilinear) == "channelwise":
            try:
                self.network = IrrepNetwork(reps, group, channels, as_key(key), dtype)
            except MethodNotApplicable:
                if bilinear is not None:
                    raise
                bilinear = "paper"
        if bilinear == "paper":
            self.network = _layers(reps, as_key(key), dtype)

    def __call__(self, x: Any, training: bool = False) -> Inexact[Array, "*batch m"]:
        """f(x) for each vector of x. `training` changes nothing: no layer acts differently then."""
        if isinstance(self.network, Sequential):
            return self.network(x)
        flat, batch = rows(x, self.rep_in.size(), self.rep_in, self.network.bias.dtype)
        return self.network(flat).reshape(*batch, self.rep_out.size())

    def __repr__(self) -> str:
        return f"EMLP({self.rep_in!r} → {self.network.hidden} → {self.rep_out!r})"


def hidden_reps(ch: int | Rep | Sequence[int | Rep], layers: int | None, group: Group) -> list[Rep]:
    """The reps of so many hidden layers, one a layer: as many as a list has, else three."""
    if layers is None:
        layers = len(ch) if isinstance(ch, Sequence) else 3
    layers = natural(layers, "the number of layers")
    each = list(ch) if isinstance(ch, Sequence) else [ch] * layers
    if len(each) != layers:
        raise InvalidRep(f"{layers} layers need as many widths or reps, and ch has {len(each)}")
    reps = [bound(c, group) if isinstance(c, Rep) else uniform_rep(c, group) for c in each]
    if not all(rep.size() for rep in reps):
        raise InvalidRep(f"a hidden layer needs a channel at least: ch is {ch!r}")
    return reps


def _require_shared_group(rep_in: Rep, hidden: Sequence[Rep]) -> None:
    """Raise where nothing but scalars could pass from the input: its groups are none of the
    hidden layers'.
    """
    own, theirs = groups_of(rep_in), {g for rep in hidden for g in groups_of(rep)}
    if own and theirs and theirs.isdisjoint(own):
        raise InvalidRep(
            f"rep_in is over {' and '.join(map(repr, own))}, and the hidden layers are over "
            f"{' and '.join(map(repr, theirs))}: give the group of the reps, or reps without one"
        )


def _layers(reps: Sequence[Rep], key: PRNGKeyArray, dtype: Any) -> Sequential:
    *keys, last = jax.random.split(key, len(reps) - 1)
    blocks = [
        EMLPBlock(a, b, bilinear="paper", key=k, dtype=dtype)
        for a, b, k in zip(reps[:-2], reps[1:-1], keys, strict=True)
    ]
    return Sequential(*blocks, Linear(reps[-2], reps[-1], key=last, dtype=dtype))
