"""Initialize weights, so that features neither grow nor vanish with depth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.architecture.block import gate, linear_part, together
from intertwine.architecture.block_shape import BlockShape
from intertwine.architecture.conjugates import with_conjugate
from intertwine.architecture.features import Features, mixed
from intertwine.architecture.irrep_space import IrrepSpace
from intertwine.architecture.seed import Seed
from intertwine.arrays import Array, namespace
from intertwine.errors import InvalidSetting

#: The shape and the variance of the entries of each weight, by the weight's name.
WeightSpec = Mapping[str, tuple[tuple[int, ...], float]]

_EXAMPLES = 256
_SIZE = 0.1
"""The root mean square of the inputs of gates and products.

Gates and swish are nearly linear there, and products a small correction: a network begins close to
a polynomial of low degree. From size 1 it learns the training points as well, and on the paper's
tasks of polynomials errs 50 to 70 times as much between them (docs/networks.md).
"""
VANISHING = 1e-6
"""Below this root mean square, features are rounded zeros, as v × v: they are not rescaled."""
_SHARE = 0.1
"""The share of the bilinear part. It grows with the square of the features: with a larger share,
outliers explode after a few layers.
"""


def positive(value: Any, meaning: str) -> float:
    """Return the value as a float. Raises `InvalidSetting` unless it is positive and finite."""
    is_number = isinstance(value, int | float | np.integer | np.floating)
    if is_number and not isinstance(value, bool) and 0 < value < float("inf"):
        return float(value)
    raise InvalidSetting(f"{meaning} is a positive, finite number, not {value!r}")


def sampled(seed: Seed, specs: WeightSpec, dtype: Any) -> dict[str, Inexact[np.ndarray, "..."]]:
    """Return normally distributed weights in double precision, complex if `dtype` is.

    They are the same numbers for every precision.
    """
    numbers, is_complex = seed.generator(), np.issubdtype(dtype, np.complexfloating)
    found = {}
    for name, (shape, variance) in specs.items():
        size = np.sqrt(variance)
        if is_complex:
            real, imaginary = numbers.standard_normal((2, *shape)) * (size / np.sqrt(2))
            found[name] = real + 1j * imaginary
        else:
            found[name] = numbers.standard_normal(shape) * size
    return found


def example(space: IrrepSpace, size: int) -> Features:
    """Return the features of a few standard normal vectors with `size` coordinates."""
    return space.enter(with_conjugate(example_vectors(size, space.is_complex), space.size))


def example_vectors(size: int, is_complex: bool) -> Inexact[np.ndarray, "b n"]:
    """Return a few standard normal vectors, the same in each call."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((size, _EXAMPLES))
    if is_complex:
        x = (x + 1j * rng.standard_normal(x.shape)) / np.sqrt(2)
    return x.T


def first_weights(
    shape: BlockShape, x: Features, seed: Seed, dtype: Any
) -> tuple[tuple[dict[str, Array], dict[str, Array]], Features]:
    """Return the linear and bilinear weights of a block, and its outputs on the example features x.

    Weights are normally distributed, and scaled such that the factors of products, and what goes
    through the gates, have root mean square `_SIZE` over the examples, irrep by irrep. (A layer at
    a time, on data, as in Mishkin and Matas 2016: products are not normally distributed.)
    """
    linear, bilinear = (
        sampled(seed.child(i), specs, dtype) for i, specs in enumerate(_weight_specs(shape))
    )
    return _scaled(shape, x, linear, bilinear)


def first_features(shape: BlockShape, x: Features, rng: np.random.Generator) -> Features:
    """Return the outputs of another such block on x, computed in NumPy."""
    linear, bilinear = (
        {
            name: rng.standard_normal(size) * np.sqrt(variance)
            for name, (size, variance) in specs.items()
        }
        for specs in _weight_specs(shape)
    )
    return _scaled(shape, x, linear, bilinear)[1]


def _scaled(
    shape: BlockShape, x: Features, linear: dict[str, Array], bilinear: dict[str, Array]
) -> tuple[tuple[dict[str, Array], dict[str, Array]], Features]:
    """Return the weights scaled as `first_weights` says, and the block's outputs on x."""
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
    space: IrrepSpace, x: Features, gain: float, seed: Seed, dtype: Any
) -> dict[str, Array]:
    """Return weights of a linear map to a space whose outputs on the examples have size `gain`."""
    specs = {
        name: ((space.multiplicities[name], len(x[name][0]) * kind.freedom), 1.0)
        for name, kind in space.kinds.items()
        if name in x
    }
    weights = sampled(seed, specs, dtype)
    return {n: gain * w * _scale(mixed(w, space.kinds[n], x[n]), 1.0) for n, w in weights.items()}


def all_vanish(x: Features, names: Iterable[str]) -> bool:
    """Return whether all named example features are zero, and so constant while every bias is 0."""
    return all(_vanishes(x[name]) for name in names)


def _vanishes(parts: Sequence[Array]) -> bool:
    return not parts[0].size or bool(_size(parts) <= VANISHING)


def _weight_specs(shape: BlockShape) -> tuple[WeightSpec, WeightSpec]:
    """Return the specs of the linear and of the bilinear weights."""
    before, channels = shape.before, shape.products.channels
    rows = {n: before.get(n, 0) + 2 * channels.get(n, 0) for n in shape.inputs}
    linear = {
        name: ((rows[name], m * shape.kinds[name].freedom), 1.0)
        for name, m in shape.inputs.items()
        if rows[name]
    }
    return linear, {n: ((before[n], fan_in), 1.0) for n, fan_in in shape.products.fan_in.items()}


def _scale(parts: list[Array], to: float = _SIZE) -> Array:
    """Return the factor that scales an irrep's components to a size; 1 where they vanish."""
    if not parts or not parts[0].size:
        return 1.0
    size = _size(parts)
    xp = namespace(size)
    return xp.where(size > VANISHING, to / xp.maximum(size, VANISHING), 1)


def _size(parts: Sequence[Array]) -> Array:
    """Return the root mean square of an irrep's components."""
    xp = namespace(*parts)
    return xp.sqrt(sum(xp.mean(xp.abs(component) ** 2) for component in parts) / len(parts))


def _times(factors: Mapping[str, Array], x: Features) -> Features:
    return {name: [factors[name] * component for component in parts] for name, parts in x.items()}


def _rows_scaled(weight: Array, rows: int, first: Array, rest: Array) -> Array:
    """Return the weight with its first rows times `first` and the others times `rest`."""
    return namespace(weight).concatenate([weight[:rows] * first, weight[rows:] * rest])


def _silent(shape: BlockShape, h: Features) -> Features:
    """Return zeros for the scalars: where no map leads to them, only their bias counts."""
    some = next(iter(h.values()))[0] if h else np.zeros((0, _EXAMPLES))
    return {shape.trivial: [np.zeros((shape.before[shape.trivial], some.shape[1]))]}
