"""Gradients accumulated over microbatches, which takes less memory and less time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from intertwine.errors import InvalidSetting
from intertwine.integers import checked_integer
from intertwine.training.batches import MICROBATCH, Batches
from intertwine.training.identity import is_of_this_library
from intertwine.training.losses import LOSSES, Loss


def value_and_grad_in_microbatches(
    loss: Callable[..., Any], size: int = MICROBATCH
) -> Callable[..., tuple[Float[Array, ""], Any]]:
    """Return a function that computes the value and the gradient of a loss over a batch, in
    microbatches of at most `size` samples.

    `loss(weights, *batch)` is a real scalar, and must be a mean over the samples of the batch, such
    as the mean squared error of a network that treats each sample separately: then the result is
    that for the whole batch, up to rounding. A loss that depends on several samples at once, such
    as a maximum or batch statistics, would give other results.

    The returned function takes the same arguments. `batch` are arrays, or trees of arrays, with one
    row per sample. The gradient is that with respect to the inexact arrays of `weights`, which may
    be an Equinox module (`equinox.filter_value_and_grad`). Microbatches have equal sizes, to within
    one. A batch of up to `size` samples is computed as a whole. Call it in compiled code.

    Raises `InvalidSetting` for arrays of unequal lengths.
    """
    size = checked_integer(size, "size", 1)
    whole: Callable[..., Any] = eqx.filter_value_and_grad(loss)

    def accumulated(weights: Any, *batch: Any) -> tuple[Float[Array, ""], Any]:
        parts = Batches.micro(_length(batch), size)
        if parts.count <= 1:
            value, gradient = whole(weights, *batch)
            return value, gradient

        def add(total: Any, rows: Any, share: Any) -> tuple[Any, Any]:
            value, gradient = whole(weights, *rows)
            total = jax.tree.map(lambda t, g: t + share.astype(g.real.dtype) * g, total, gradient)
            return total, share.astype(value.dtype) * value

        zero = jax.tree.map(jnp.zeros_like, eqx.filter(weights, eqx.is_inexact_array))
        gradient, values = parts.scan(add, zero, batch, jnp.asarray(parts.sizes / parts.samples))
        return jnp.sum(values), gradient

    return accumulated


def microbatch_size_of(loss: Loss, model: Any, given: int | None) -> int | None:
    """Return the microbatch size of a fit: the given one, or `MICROBATCH` if the loss is known to
    be a mean over samples, or None if batches are computed as a whole.

    The built-in losses of models made of this library's layers are such means. A layer of another
    library may compute statistics of the batch. A GPU is fastest with whole batches.
    """
    if given is not None:
        return given
    if jax.default_backend() != "cpu":
        return None
    is_known = any(loss is one for one in LOSSES.values()) and _is_made_of_layers(model)
    return MICROBATCH if is_known else None


def _is_made_of_layers(model: Any) -> bool:
    """Return whether all modules of a model are of this library; each treats samples separately."""
    leaves = jax.tree.leaves(model, is_leaf=lambda node: not _is_known_node(node))
    return _is_known_node(model) and all(eqx.is_array_like(leaf) for leaf in leaves)


def _is_known_node(node: Any) -> bool:
    return isinstance(node, tuple | list | dict) or is_of_this_library(type(node))


def _length(batch: tuple[Shaped[Any, "..."], ...]) -> int:
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(batch)]
    lengths = {shape[0] if shape else None for shape in shapes}
    if len(lengths) != 1 or None in lengths:
        raise InvalidSetting(
            f"the arrays of a batch have the shapes {', '.join(map(str, shapes)) or '(none)'}: "
            f"give arrays with one row for each sample, and as many targets as inputs"
        )
    return int(lengths.pop() or 0)
