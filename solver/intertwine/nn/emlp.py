"""The equivariant network of the paper."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Inexact

from intertwine.architecture.channelwise_maps import selected_maps
from intertwine.architecture.conjugates import with_dual
from intertwine.architecture.hidden_reps import hidden_layers, require_shared_group
from intertwine.architecture.initialization import VANISHING, example_vectors
from intertwine.architecture.irrep_space import are_complex, irrep_space_of
from intertwine.architecture.linear_maps import SchurMaps, bound
from intertwine.architecture.network_faults import faults, remedy
from intertwine.architecture.network_shape import HiddenLayer, NetworkShape, complete_shape
from intertwine.architecture.products import NARROW
from intertwine.architecture.seed import Seed, as_seed
from intertwine.arrays import Array
from intertwine.errors import InvalidRep, MethodNotApplicable, ReachWarning
from intertwine.groups import Group
from intertwine.integers import checked_integer
from intertwine.architecture.bilinear_maps import Bilinear, require_form
from intertwine.nn.bilinear import BiLinear
from intertwine.nn.conjugates import Conjugated
from intertwine.nn.drawing import Key
from intertwine.nn.emlp_block import EMLPBlock
from intertwine.nn.irrep_network import IrrepNetwork
from intertwine.nn.layer import Layer, compiled, in_pieces, is_traced, rows
from intertwine.nn.linear import Linear, scaled
from intertwine.nn.sequential import Sequential
from intertwine.nn.settings import positive
from intertwine.nn.tensor_reach import lost_maps, squares, with_tensors
from intertwine.reps import Rep
from intertwine.reps.syntax import groups_of

#: Packages whose frames a warning skips, to point to the line that makes the network.
_BETWEEN = ("intertwine", "equinox", "jaxtyping", "beartype")


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
    without a group get `group`.

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
        self.rep_in, self.rep_out = bound(rep_in, group), bound(rep_out, group)
        if not self.rep_in.size():
            raise InvalidRep("a network needs an input, and rep_in has size 0")
        hidden = hidden_layers(ch, num_layers, group)
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
            self.network = _layers(
                *(self.rep_in, hidden, self.rep_out, group, gain, seed, dtype), limits
            )
        self.limits = tuple(limits)
        for limit in limits:
            _warn_of(limit)

    def __call__(self, x: Any, training: bool = False) -> Inexact[Array, "*batch m"]:
        """Return f(x) for each vector of x. `training` has no effect: no layer depends on it."""
        if isinstance(self.network, Sequential):
            return self.network(x)
        flat, batch = rows(x, self.rep_in.size(), self.rep_in, self.network.bias.dtype)
        if is_traced((self.network, flat)):
            found = self.network(flat, is_batch=bool(batch))  # a vector may be one of a vmap
        else:
            found = compiled(_forward, self.network, flat)
        return found.reshape(*batch, self.rep_out.size())

    def __repr__(self) -> str:
        return f"EMLP({self.rep_in!r} → {self.network.hidden} → {self.rep_out!r})"


def _forward(network: IrrepNetwork, x: Inexact[Array, "b n"]) -> Inexact[Array, "b m"]:
    return in_pieces(partial(network, is_batch=True), x)


def limits_of(model: Any) -> list[str]:
    """Return the limits of all networks in a model."""
    networks = jax.tree_util.tree_leaves(model, is_leaf=lambda node: isinstance(node, EMLP))
    return [limit for one in networks if isinstance(one, EMLP) for limit in one.limits]


def _layers(
    rep_in: Rep,
    hidden: Sequence[HiddenLayer],
    rep_out: Rep,
    group: Group,
    gain: float,
    seed: Seed,
    dtype: Any,
    limits: list[str],
) -> Sequential:
    """Return the paper's layers, and add to `limits` what they cannot represent.

    If the reps are sums of irreps of one group, the layers reach what a network in irreps reaches:
    hidden layers get the irreps, and products beside the paper's, that `complete_shape` finds.
    Otherwise hidden layers get the tensors of input and output, and the first block gets all
    quadratic maps of the input to tensors of the output.
    """
    source = with_dual(rep_in)
    shape = _shape_of_additions(source, hidden, rep_out, group)
    between = (
        shape.hidden_reps if shape else [with_tensors(layer, source, rep_out) for layer in hidden]
    )
    reps = [source, *between, rep_out]
    layers: list[Layer] = [] if source == rep_in else [Conjugated(rep_in)]
    for i in range(len(hidden)):
        own = seed.child(i)
        block = EMLPBlock(reps[i], reps[i + 1], bilinear="paper", key=own, dtype=dtype)
        if shape and shape.blocks[i].products.narrow:
            wide = block.linear.rep_out
            products, is_complex = shape.blocks[i].products, shape.space_in.is_complex
            maps = selected_maps(reps[i], wide, group, is_complex, products)
            block = _with_products(block, BiLinear.of(maps, own.child(2), dtype))
        elif not shape and i == 0:
            quadratic = squares(source, rep_out, block.linear.rep_out, own.child(2), dtype)
            block = block if quadratic is None else _with_products(block, quadratic)
        layers.append(block)
    limits += faults(shape) if shape else lost_maps(source, hidden, rep_out)
    out = Linear(reps[-2], rep_out, key=seed.child(len(hidden)), dtype=dtype)
    sizes = _sizes(layers, out, rep_in.size())  # compiled: op by op it takes ten times as long
    known = [size for size in sizes.values() if not isinstance(size, jax.core.Tracer)]
    if len(known) == len(sizes) and not any(float(size) > VANISHING for size in known):
        advice = remedy(shape, shape.outputs) if shape else "Give more layers, or a larger ch"
        raise InvalidRep(
            f"every network of this form from {rep_in!r} to {rep_out!r} with these hidden layers "
            f"is constant: all that they share with the output vanishes. {advice}"
        )
    factors = {name: gain / _nonzero(size) for name, size in sizes.items()}
    return Sequential(*layers, scaled(out, factors))


def _nonzero(size: Any) -> Any:
    """Return the size, or 1 if it vanishes."""
    if isinstance(size, jax.core.Tracer):
        return jnp.where(size > VANISHING, size, 1)
    return float(size) if float(size) > VANISHING else 1.0


@eqx.filter_jit
def _sizes(layers: Sequence[Layer], out: Linear, size: int) -> dict[str, Any]:
    """Return the root mean square output of each weight of the last layer, over a few standard
    normal inputs: in irreps, that of the weight's irrep; otherwise that of all weights together.
    """
    x = example_vectors(size, out.maps.is_complex)
    maps, features = out.maps, Sequential(*layers)(x) if layers else jnp.asarray(x)
    parts = {name: {name: weight} for name, weight in out.weights.items()}
    shares = dict.fromkeys(parts, 1.0)
    if isinstance(maps, SchurMaps):
        space = maps.space_out
        for name, m in space.multiplicities.items():
            shares[name] = m * space.kinds[name].dimension / space.size
    else:
        parts = dict.fromkeys(parts, out.weights)
    images = {name: maps.apply(some, 0 * out.bias, features) for name, some in parts.items()}
    return {
        name: jnp.sqrt(jnp.mean(jnp.abs(image) ** 2) / shares[name])
        for name, image in images.items()
    }


def _warn_of(message: str) -> None:
    """Issue a `ReachWarning` that points to the line that makes the network."""
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, ReachWarning, stacklevel=level)


def _with_products(block: EMLPBlock, layer: BiLinear | Sequential) -> EMLPBlock:
    found: EMLPBlock = eqx.tree_at(
        lambda b: b.products_of_input, block, layer, is_leaf=lambda x: x is None
    )
    return found


def _shape_of_additions(
    rep_in: Rep, hidden: Sequence[HiddenLayer], rep_out: Rep, group: Group
) -> NetworkShape | None:
    reps = (rep_in, rep_out, *(layer.rep for layer in hidden))
    if {g for rep in reps for g in groups_of(rep)} - {group}:
        return None
    try:
        is_complex = are_complex(reps, group)
        space_in, space_out = (irrep_space_of(rep, group, is_complex) for rep in (rep_in, rep_out))
        return complete_shape(space_in, hidden, space_out, group, NARROW, only_needed=True)
    except MethodNotApplicable:  # not sums of irreps, or not recognised as such
        return None
