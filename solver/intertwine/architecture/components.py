"""Operations on the components of an irrep: sums, gates, biases, zeros and copies.

`Components` are lists of arrays or, in PyTorch, single tensors: see `features.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from jaxtyping import Inexact

from intertwine.architecture.features import Components, Features, sigmoid
from intertwine.architecture.precision import is_half, weighted_product
from intertwine.arrays import Array, converted, is_torch, namespace


def some_components(features: Features, x: Inexact[Array, "b n"]) -> Components:
    """Return the components of one of the irreps; without irreps, the coordinates of x as those of
    scalars.
    """
    return next(iter(features.values()), [x.T])


def batch_size(x: Components) -> Any:
    """Return the number of vectors: an integer, or a symbol in an exported program."""
    return x.shape[2] if is_torch(x) else x[0].shape[1]


def added(x: Components, y: Components) -> Components:
    """Return x + y."""
    if is_torch(x):
        return x + y
    return [a + b for a, b in zip(x, y, strict=True)]


def opened(x: Components, gates: Components) -> Components:
    """Return all components of x times the sigmoid of the gates' real part, a gate per channel."""
    if is_torch(x):
        if x is gates and not x.is_complex():
            return sys.modules["torch"].nn.functional.silu(x)
        return sigmoid(gates.real) * x
    opening = sigmoid(gates[0].real)
    return [opening * component for component in x]


def repeated(bias: Inexact[Array, " c"], some: Components) -> Components:
    """Return the bias as components of the trivial irrep, for each of the vectors whose components
    of another irrep are `some`.

    It is a product with ones: a bias without batch would make `jax.vmap` move its batch axis.
    """
    batch = batch_size(some)
    bias = converted(bias, some[0].dtype) if is_half(bias.dtype) else bias
    if is_torch(some):
        return bias[:, None, None].expand(len(bias), 1, batch)
    return [weighted_product(bias[:, None], namespace(bias).ones((1, batch), dtype=bias.dtype))]


def zeros_like(some: Components, multiplicity: int, dimension: int) -> Components:
    """Return zero components of an irrep, for as many vectors as those of another."""
    first, batch = some[0], batch_size(some)
    shape = (multiplicity, dimension, batch) if is_torch(some) else (multiplicity, batch)
    zeros = namespace(first).zeros(shape, dtype=first.dtype)
    return zeros if is_torch(some) else [zeros] * dimension


def from_copies(x: Inexact[Array, "m d b"]) -> Components:
    """Return the components of an array of copies."""
    return x if is_torch(x) else [x[:, i] for i in range(x.shape[1])]


def as_copies(x: Components) -> Inexact[Array, "m d b"]:
    """Return components as an array of copies."""
    return x if is_torch(x) else namespace(*x).stack(x, axis=1)


def separate(x: Components) -> Sequence[Inexact[Array, "m b"]]:
    """Return the components one by one."""
    parts: Sequence[Inexact[Array, "m b"]] = x.unbind(1) if is_torch(x) else x
    return parts


def of_separate(parts: Sequence[Inexact[Array, "m b"]]) -> Components:
    """Return arrays as components: `separate` backwards."""
    return as_copies(parts) if is_torch(parts[0]) else parts


def copies_as_channels(x: Components, count: int) -> Components:
    """Return m channels of `count` batches, one batch after another, as m · count channels."""
    if is_torch(x):
        m, d, columns = x.shape
        return x.reshape(m, d, count, columns // count).swapaxes(1, 2).flatten(0, 1)
    return [part.reshape(len(part) * count, part.shape[1] // count) for part in x]


def copies_as_vectors(x: Components, count: int) -> Components:
    """Return m · count channels as m channels of `count` batches, one batch after another."""
    if is_torch(x):
        rows, d, batch = x.shape
        m = rows // count
        return x.reshape(m, count, d, batch).swapaxes(1, 2).reshape(m, d, count * batch)
    return [part.reshape(len(part) // count, count * part.shape[1]) for part in x]
