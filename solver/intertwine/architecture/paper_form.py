"""The network of the paper: blocks of layers one after another, for any groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Inexact

from intertwine.architecture.channelwise_maps import selected_maps
from intertwine.architecture.conjugates import with_dual
from intertwine.architecture.features import Weights
from intertwine.architecture.initialization import VANISHING
from intertwine.architecture.irrep_space import are_complex, irrep_space_of
from intertwine.architecture.layer_kit import LayerKit
from intertwine.architecture.linear_maps import LinearMaps, SchurMaps
from intertwine.architecture.network_faults import faults, remedy
from intertwine.architecture.network_shape import HiddenLayer, NetworkShape, complete_shape
from intertwine.architecture.products import NARROW
from intertwine.architecture.seed import Seed
from intertwine.architecture.tensor_reach import lost_maps, squares, with_tensors
from intertwine.arrays import Array, is_concrete_jax, is_jax, namespace
from intertwine.errors import InvalidRep, MethodNotApplicable
from intertwine.groups import Group
from intertwine.reps import Rep
from intertwine.reps.syntax import groups_of


def paper_network(
    kit: LayerKit,
    rep_in: Rep,
    hidden: Sequence[HiddenLayer],
    rep_out: Rep,
    group: Group,
    gain: float,
    seed: Seed,
    limits: list[str],
) -> Any:
    """Return the paper's layers, and add to `limits` what they cannot represent.

    If the reps are sums of irreps of one group, the layers reach what a network in irreps reaches:
    hidden layers get the irreps, and products beside the paper's, that `complete_shape` finds.
    Otherwise hidden layers get the tensors of input and output, and the first block gets all
    quadratic maps of the input to tensors of the output. Raises `InvalidRep` if every network of
    this form is constant.
    """
    source = with_dual(rep_in)
    shape = _shape_of_additions(source, hidden, rep_out, group)
    between = (
        shape.hidden_reps if shape else [with_tensors(layer, source, rep_out) for layer in hidden]
    )
    reps = [source, *between, rep_out]
    layers: list[Any] = [] if source == rep_in else [kit.conjugated(rep_in)]
    for i in range(len(hidden)):
        own = seed.child(i)
        block = kit.block(reps[i], reps[i + 1], own)
        if shape and shape.blocks[i].products.narrow:
            wide = block.linear.rep_out
            products, is_complex = shape.blocks[i].products, shape.space_in.is_complex
            maps = selected_maps(reps[i], wide, group, is_complex, products)
            block = kit.with_products(block, kit.bilinear(maps, own.child(2)))
        elif not shape and i == 0:
            quadratic = squares(kit, source, rep_out, block.linear.rep_out, own.child(2))
            block = block if quadratic is None else kit.with_products(block, quadratic)
        layers.append(block)
    limits += faults(shape) if shape else lost_maps(source, hidden, rep_out)
    out = kit.linear(reps[-2], rep_out, seed.child(len(hidden)))
    sizes = kit.sizes(layers, out, rep_in.size())
    known = [size for size in sizes.values() if is_concrete_jax(size) or not is_jax(size)]
    if len(known) == len(sizes) and not any(float(size) > VANISHING for size in known):
        advice = remedy(shape, shape.outputs) if shape else "Give more layers, or a larger ch"
        raise InvalidRep(
            f"every network of this form from {rep_in!r} to {rep_out!r} with these hidden layers "
            f"is constant: all that they share with the output vanishes. {advice}"
        )
    factors = {name: gain / _nonzero(size) for name, size in sizes.items()}
    return kit.sequential([*layers, kit.scaled(out, factors)])


def part_sizes(
    maps: LinearMaps,
    weights: Weights,
    bias: Inexact[Array, " k"],
    features: Inexact[Array, "b n"],
) -> dict[str, Any]:
    """Return the root mean square output of each weight of a linear map: in irreps, that of the
    weight's irrep; otherwise that of all weights together.
    """
    parts: dict[str, Mapping[str, Any]] = {name: {name: weight} for name, weight in weights.items()}
    shares = dict.fromkeys(parts, 1.0)
    if isinstance(maps, SchurMaps):
        space = maps.space_out
        for name, m in space.multiplicities.items():
            shares[name] = m * space.kinds[name].dimension / space.size
    else:
        parts = dict.fromkeys(parts, weights)
    xp = namespace(features)
    images = {name: maps.apply({**some}, 0 * bias, features) for name, some in parts.items()}
    return {
        name: xp.sqrt(xp.mean(xp.abs(image) ** 2) / shares[name]) for name, image in images.items()
    }


def _nonzero(size: Any) -> Any:
    """Return the size, or 1 if it vanishes."""
    if is_jax(size) and not is_concrete_jax(size):
        return namespace(size).where(size > VANISHING, size, 1)
    return float(size) if float(size) > VANISHING else 1.0


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
