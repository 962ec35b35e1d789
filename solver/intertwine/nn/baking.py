"""Conversion of trained layers to plain matrices, for inference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Inexact, Int

from intertwine.architecture.block import linear_part
from intertwine.architecture.block_shape import BlockShape
from intertwine.architecture.features import ZERO, Features, Kind, mixed
from intertwine.architecture.products import Products
from intertwine.errors import InvalidRep, InvalidSetting
from intertwine.nn.baked import BakedBlock, BakedNetwork, Dense, Wiring
from intertwine.nn.block import Block
from intertwine.nn.emlp import EMLP
from intertwine.nn.emlp_block import EMLPBlock
from intertwine.nn.irrep_network import IrrepNetwork
from intertwine.nn.layer import half_precision_of
from intertwine.nn.linear import Linear
from intertwine.nn.parallel import Parallel
from intertwine.nn.sequential import Sequential
from intertwine.nn.standardize import Standardize

_GATES = "gates"
Matrix = Inexact[np.ndarray, "_ _"]


def bake(model: Any) -> Any:
    """Return the same function with every linear map as one dense matrix, for inference.

    A `Linear` becomes a `Dense`; an `EMLP` in irreps becomes a `BakedNetwork`, a few matrices and
    index arrays without group theory, for programs that are not compiled and for other frameworks.
    In other models the linear layers are baked, and other parts, such as the paper's `BiLinear`,
    stay as they are. Compiled networks in irrep coordinates are faster unbaked, since a dense
    matrix also multiplies by the zeros of Schur's lemma. Further training of a baked model would
    break its equivariance. Raises `InvalidRep` for a model without `rep_in` and `rep_out`, and
    `InvalidSetting` for one in half precision, in which dense matrices are not equivariant.
    """
    if half := half_precision_of(model):
        raise InvalidSetting(
            f"the weights are {half}, and dense matrices rounded to it are not equivariant: bake "
            f'jax.tree.map(lambda weight: weight.astype("float32"), model)'
        )
    if isinstance(model, Linear):
        return _dense(model.rep_in, model.rep_out, *model.matrix(), model.bias.dtype)
    if type(model) is EMLP:  # other outputs, such as an `EMLPH`'s energy, need the model itself
        inner = model.network
        return _network(model, inner) if isinstance(inner, IrrepNetwork) else bake(inner)
    if isinstance(model, Sequential):
        return Sequential(*map(bake, model.layers))
    if isinstance(model, Parallel):
        return Parallel(*map(bake, model.layers))
    if isinstance(model, EMLPBlock):
        return eqx.tree_at(lambda m: m.linear, model, bake(model.linear))
    if isinstance(model, Standardize):
        return eqx.tree_at(lambda m: m.model, model, bake(model.model))
    if hasattr(model, "rep_in") and hasattr(model, "rep_out"):
        return model
    raise InvalidRep(
        f"{type(model).__module__}.{type(model).__qualname__} has no rep_in and rep_out: give a "
        f"layer with reps to bake"
    )


@dataclass(frozen=True)
class _Layout:
    """Features as one vector: for each name a number of copies and of components, in order."""

    sizes: Mapping[str, tuple[int, int]]

    def __len__(self) -> int:
        return sum(copies * d for copies, d in self.sizes.values())

    def places(self) -> dict[str, Int[np.ndarray, "d m"]]:
        """Return the coordinate of each copy of each component."""
        found, at = {}, 0
        for name, (copies, d) in self.sizes.items():
            found[name] = at + np.arange(copies * d).reshape(d, copies)
            at += copies * d
        return found

    def unit(self) -> Features:
        """Return the unit vectors, one per column."""
        return {name: list(np.eye(len(self))[rows]) for name, rows in self.places().items()}

    def whole(self, features: Features, width: int) -> Matrix:
        """Return features as `width` vectors, one per column; missing names are zero."""
        parts = [
            np.concatenate(features[name]) if name in features else np.zeros((copies * d, width))
            for name, (copies, d) in self.sizes.items()
        ]
        return np.concatenate(parts) if parts else np.zeros((0, width))


def _layout(multiplicities: Mapping[str, int], kinds: Mapping[str, Kind]) -> _Layout:
    return _Layout({name: (m, kinds[name].dimension) for name, m in multiplicities.items()})


def _network(model: EMLP, network: IrrepNetwork) -> BakedNetwork:
    space_in, space_out, dtype = network.space_in, network.space_out, network.bias.dtype
    layout = _layout(space_in.multiplicities, space_in.kinds)
    into, blocks = layout.whole(space_in.enter(np.eye(space_in.size)), space_in.size), []
    for block in network.blocks:
        blocks.append(_block(block, layout, into, dtype))
        layout = _outputs(block.shape)
        into = np.eye(len(layout))
    unit, own = layout.unit(), _layout(space_out.multiplicities, space_out.kinds)
    out = space_out.leave(own.unit(), np.eye(len(own))).T
    linear = {
        n: mixed(np.asarray(w), space_out.kinds[n], unit[n]) for n, w in network.weights.items()
    }
    bias = {space_out.trivial or "": [np.asarray(network.bias)[:, None]]}
    last = _dense(
        space_in.rep,
        space_out.rep,
        out @ own.whole(linear, len(layout)) @ into,
        (out @ own.whole(bias, 1))[:, 0],
        dtype,
    )
    return BakedNetwork(tuple(blocks), last, model.rep_in, model.rep_out)


def _block(block: Block, inputs: _Layout, into: Matrix, dtype: Any) -> BakedBlock:
    shape, products = block.shape, block.shape.products
    weights, couplings = (
        {name: np.asarray(w) for name, w in part.items()}
        for part in (block.weights, block.couplings)
    )
    outputs = _outputs(shape)
    before = _Layout({**outputs.sizes, _GATES: (sum(shape.gated.values()), 1)})
    factors = _Layout(
        {
            f"{side} {name}": (c, shape.kinds[name].dimension)
            for side in "ab"
            for name, c in products.channels.items()
        }
    )
    h, a, b = linear_part(shape, weights, inputs.unit())
    used = {f"a {n}": a[n] for n in products.channels} | {f"b {n}": b[n] for n in products.channels}
    left, right, coefficients, rows = _terms(products, factors)
    mixing = {n: mixed(couplings[n], shape.kinds[n], f) for n, f in rows.unit().items()}
    bias = {shape.trivial: [np.asarray(block.bias)[:, None]]}
    gates, n = before.places()[_GATES][0], len(inputs)
    return BakedBlock(
        jnp.asarray(
            np.concatenate([before.whole(_opened(shape, h), n), factors.whole(used, n)]) @ into,
            dtype,
        ),
        jnp.asarray(before.whole(_opened(shape, bias), 1)[:, 0], dtype),
        jnp.asarray(coefficients, dtype),
        jnp.asarray(before.whole(_opened(shape, mixing), len(rows)), dtype),
        Wiring(left, right, _gate_of(shape, outputs, gates)),
    )


def _outputs(shape: BlockShape) -> _Layout:
    """Return the layout of a block's outputs: scalars, and gated irreps."""
    kept = shape.outputs.get(shape.trivial, 0)
    return _layout({shape.trivial: kept, **shape.gated}, shape.kinds)


def _opened(shape: BlockShape, h: Features) -> Features:
    """Return the features with the gates apart from other scalars, under their own name."""
    if shape.trivial not in h:
        return h
    kept, [scalars] = shape.outputs.get(shape.trivial, 0), h[shape.trivial]
    return {**h, shape.trivial: [scalars[:kept]], _GATES: [scalars[kept:]]}


def _gate_of(
    shape: BlockShape, outputs: _Layout, gates: Int[np.ndarray, " g"]
) -> Int[np.ndarray, " m"]:
    """Return the place of the gate of each output; scalars are their own gates."""
    found, at = np.arange(len(outputs)), 0
    for name, rows in outputs.places().items():
        if name != shape.trivial:
            found[rows] = gates[at : at + rows.shape[1]]
            at += rows.shape[1]
    return found


def _terms(
    products: Products, factors: _Layout
) -> tuple[Int[np.ndarray, "q t"], Int[np.ndarray, "q t"], Matrix, _Layout]:
    """Return the left and right factors and the coefficients of the products, padded with zeros to
    sums of equal length; and the products' layout.
    """
    dimension = {c.target: len(c.coefficients) for c in products.every}
    rows: dict[str, list[list[list[tuple[int, int, Any]]]]] = {
        n: [[] for _ in range(d)] for n, d in dimension.items()
    }
    places = factors.places()
    for coupling, width in zip(products.every, products.widths, strict=True):
        a, b = places[f"a {coupling.left}"], places[f"b {coupling.right}"]
        for o, row in enumerate(coupling.coefficients):
            pairs = [(i, j, row[i, j]) for i, j in np.argwhere(np.abs(row) > ZERO)]
            rows[coupling.target][o] += [
                [(a[i, c], b[j, c], value) for i, j, value in pairs] for c in range(width)
            ]
    layout = _Layout({name: (len(parts[0]), len(parts)) for name, parts in rows.items()})
    flat = [terms for parts in rows.values() for component in parts for terms in component]
    width = max(map(len, flat), default=0)
    padded = [[*terms, *[(0, 0, 0.0)] * (width - len(terms))] for terms in flat]
    table = np.array(padded).reshape(len(flat), width, 3)
    left, right = (table[:, :, k].real.astype(np.int32) for k in (0, 1))
    return left, right, table[:, :, 2], layout


def _dense(rep_in: Any, rep_out: Any, matrix: Any, bias: Any, dtype: Any) -> Dense:
    return Dense(jnp.asarray(matrix, dtype), jnp.asarray(bias, dtype), rep_in, rep_out)
