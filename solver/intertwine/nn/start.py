"""The weights of a network at the start, so that features neither grow nor vanish with depth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Inexact, PRNGKeyArray

from intertwine.arrays import Array, namespace
from intertwine.nn.block import Block, gate, linear_part, together
from intertwine.nn.block_shape import BlockShape
from intertwine.nn.conjugates import with_conjugate
from intertwine.nn.features import Features, mixed
from intertwine.nn.initial import as_weights, sampled
from intertwine.nn.irrep_space import IrrepSpace

_EXAMPLES = 256
_SIZE = 0.1
"""The root mean square of what enters gates and products.

Gates and swish are nearly linear there, and products a small correction: a network begins close to
a polynomial of low degree. From size 1 it learns the training points as well, and on the paper's
tasks of polynomials errs 50 to 70 times as much between them (docs/networks.md).
"""
VANISHING = 1e-6
"""The root mean square of what is zero but for rounding, as v × v is: its size is not to be set."""
_SHARE = 0.1
"""The size of the bilinear part, of a whole of one. It grows with the square of the features: more
of it, and a few layers let outliers explode.
"""


def example(space: IrrepSpace, size: int) -> Features:
    """Features of a few standard normal vectors of so many coordinates."""
    return space.enter(with_conjugate(example_vectors(size, space.is_complex), space.size))


def example_vectors(size: int, is_complex: bool) -> Inexact[np.ndarray, "b n"]:
    """A few standard normal vectors, always the same ones."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((size, _EXAMPLES))
    if is_complex:
        x = (x + 1j * rng.standard_normal(x.shape)) / np.sqrt(2)
    return x.T


def first_block(
    shape: BlockShape, x: Features, key: PRNGKeyArray, dtype: Any
) -> tuple[Block, Features]:
    """A block at the start, and what it makes of example features x.

    Weights are normally distributed, and scaled such that the factors of products, and what goes
    through the gates, have root mean square `_SIZE` over the examples, irrep by irrep. (A layer at
    a time, on data, as in Mishkin and Matas 2016: products are not normally distributed.)
    """
    linear, bilinear = (
        sampled(k, wanted, dtype)
        for k, wanted in zip(jax.random.split(key), _wanted(shape), strict=True)
    )
    (linear, bilinear), found = _scaled(shape, x, linear, bilinear)
    bias = jnp.zeros(shape.before[shape.trivial], dtype)
    return Block(as_weights(linear, dtype), as_weights(bilinear, dtype), bias, shape), found


def first_features(shape: BlockShape, x: Features, rng: np.random.Generator) -> Features:
    """What another such block makes of features, all in NumPy."""
    linear, bilinear = (
        {
            name: rng.standard_normal(size) * np.sqrt(variance)
            for name, (size, variance) in wanted.items()
        }
        for wanted in _wanted(shape)
    )
    return _scaled(shape, x, linear, bilinear)[1]


def _scaled(
    shape: BlockShape, x: Features, linear: dict[str, Array], bilinear: dict[str, Array]
) -> tuple[tuple[dict[str, Array], dict[str, Array]], Features]:
    """The weights in the sizes of `first_block`, and what the block makes of x."""
    h, a, b = linear_part(shape, linear, x)
    factors = {name: _scale(a[name] + b[name]) for name in a}
    y = shape.products(bilinear, _times(factors, a), _times(factors, b))
    own = {name: _scale(parts) for name, parts in h.items()}
    share = {name: (_SHARE if name in h else 1) * _scale(parts) for name, parts in y.items()}
    whole = together(_times(own, h), _times(share, y))
    to_size = {name: _scale(parts) for name, parts in whole.items()}
    before = shape.before
    rows = {
        name: _rows_scaled(
            weight,
            before.get(name, 0),
            own.get(name, 1) * to_size.get(name, 1),
            factors[name],
        )
        for name, weight in linear.items()
    }
    mixing = {name: w * share[name] * to_size[name] for name, w in bilinear.items()}
    return (rows, mixing), gate(shape, {**_silent(shape, whole), **_times(to_size, whole)})


def last_weights(
    space: IrrepSpace, x: Features, gain: float, key: PRNGKeyArray, dtype: Any
) -> dict[str, Inexact[Array, "_ _"]]:
    """Weights of a linear map to a space, whose outputs on the examples have the size `gain`."""
    wanted = {
        name: ((space.multiplicities[name], len(x[name][0]) * kind.freedom), 1.0)
        for name, kind in space.kinds.items()
        if name in x
    }
    weights = sampled(key, wanted, dtype)
    return as_weights(
        {n: gain * w * _scale(mixed(w, space.kinds[n], x[n]), 1.0) for n, w in weights.items()},
        dtype,
    )


def all_vanish(x: Features, names: Iterable[str]) -> bool:
    """Whether the named ones of example features are zero: constant, that is, at the start, when
    every bias is 0. Nothing is said of features that are traced.
    """
    return all(_vanishes(x[name]) for name in names)


def _vanishes(parts: Sequence[Array]) -> bool:
    if not parts[0].size:
        return True
    size = _size(parts)
    return not isinstance(size, jax.core.Tracer) and bool(size <= VANISHING)


def _wanted(shape: BlockShape) -> tuple[dict[str, Any], dict[str, Any]]:
    """Shapes of the linear and of the bilinear weights, and the variance of their entries."""
    before, channels = shape.before, shape.products.channels
    rows = {n: before.get(n, 0) + 2 * channels.get(n, 0) for n in shape.inputs}
    linear = {
        name: ((rows[name], m * shape.kinds[name].freedom), 1.0)
        for name, m in shape.inputs.items()
        if rows[name]
    }
    return linear, {n: ((before[n], fan_in), 1.0) for n, fan_in in shape.products.fan_in.items()}


def _scale(parts: list[Array], to: float = _SIZE) -> Array:
    """What brings an irrep's components to a size; 1 where they vanish."""
    if not parts or not parts[0].size:
        return 1.0
    size = _size(parts)
    xp = namespace(size)
    return xp.where(size > VANISHING, to / xp.maximum(size, VANISHING), 1)


def _size(parts: Sequence[Array]) -> Array:
    """The root mean square of an irrep's components."""
    xp = namespace(*parts)
    return xp.sqrt(sum(xp.mean(xp.abs(component) ** 2) for component in parts) / len(parts))


def _times(factors: Mapping[str, Array], x: Features) -> Features:
    return {name: [factors[name] * component for component in parts] for name, parts in x.items()}


def _rows_scaled(weight: Array, rows: int, first: Array, rest: Array) -> Array:
    """The first rows times a number, the rest times another."""
    return namespace(weight).concatenate([weight[:rows] * first, weight[rows:] * rest])


def _silent(shape: BlockShape, h: Features) -> Features:
    """The scalars, which are there for their bias alone where nothing leads to them."""
    some = next(iter(h.values()))[0] if h else np.zeros((0, _EXAMPLES))
    return {shape.trivial: [np.zeros((shape.before[shape.trivial], some.shape[1]))]}
