"""The base class of layers and networks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from math import prod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.dtypes import canonicalize_dtype
from jaxtyping import Inexact

from intertwine.architecture.batch import Batch
from intertwine.architecture.precision import is_half, kinds_of
from intertwine.arrays import Array, is_torch
from intertwine.errors import InvalidRep
from intertwine.reps import Rep

PIECE = 128
"""The number of rows that `in_pieces` computes at a time.

The intermediate results of an EMLP of width 384 then stay in the second-level cache. A forward of
500 or 4,096 rows takes 0.65 to 0.9 of the time (pieces of 256: 0.75 to 0.95; of 512: 0.85 to 1).
"""


class Layer(eqx.Module):
    """A function of vectors, with its reps `rep_in` and `rep_out`.

    It is hashed by identity (a plain `equinox.Module` by its arrays, which have no hash), so that
    ``jax.jit(model)`` is a compiled function with the weights as constants. For training use
    `equinox.filter_jit`, which takes the weights as arguments.
    """

    def __hash__(self) -> int:
        return id(self)


def compiled(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return function(*arguments), compiled for their shapes unless they are traced already.

    Called eagerly, each small operation of a network would be a program of its own. Compiling one
    program takes no longer than compiling those, and it runs about 30 times as fast.
    """
    return function(*arguments) if is_traced(arguments) else _compiled(function, *arguments)


def is_traced(tree: Any) -> bool:
    """Return whether any array of a tree is a tracer: the caller is compiled or differentiated."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


def in_own_precision(model: Any, x: Any) -> AbstractContextManager[Any]:
    """Return a context in which JAX computes in float64, for a model whose weights are in it.

    Without it, JAX rounds them to float32 unless float64 is enabled. Inside a compiled or
    differentiated function, whose precision is already fixed, the context changes nothing.
    """
    if canonicalize_dtype(np.float64) == np.float64 or is_traced((model, x)):
        return nullcontext()
    return jax.enable_x64(True) if is_double(model) else nullcontext()


def is_double(model: Any) -> bool:
    """Return whether an array of a model, as a JAX array, is in double precision."""
    return any(
        isinstance(leaf, jax.Array) and leaf.dtype in (np.float64, np.complex128)
        for leaf in jax.tree.leaves(model)
    )


def half_precision_of(model: Any) -> np.dtype[Any] | None:
    """Return the dtype of a model's first array in half precision; None if it has none."""
    arrays = (leaf for leaf in jax.tree.leaves(model) if isinstance(leaf, jax.Array))
    return next((array.dtype for array in arrays if is_half(array.dtype)), None)


def in_pieces(model: Callable[[Any], Any], x: Inexact[Array, "b n"]) -> Inexact[Array, "b m"]:
    """Return model(x) for a batch, computed a piece of at most `PIECE` rows at a time.

    On a CPU this is faster for a large batch, and takes less memory. On other devices, and for a
    batch whose size is a symbol, the batch is computed as a whole. The model must treat each row
    separately. Call this inside a compiled function. For gradients use
    `intertwine.training.value_and_grad_in_microbatches`.
    """
    size, width = x.shape
    if jax.default_backend() != "cpu" or not isinstance(size, int) or size <= PIECE:
        return model(x)
    whole = size - size % PIECE
    found = jax.lax.map(model, x[:whole].reshape(-1, PIECE, width))
    found = found.reshape(whole, *found.shape[2:])
    return found if whole == size else jnp.concatenate([found, model(x[whole:])])


@eqx.filter_jit
def _compiled(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def as_array(x: Any) -> Array:
    """Return x as an array of JAX. Raises `InvalidRep` for a tensor of PyTorch, whose gradients
    would be lost.
    """
    if is_torch(x):
        raise InvalidRep(
            "x is a tensor of PyTorch, and the model one of JAX: give jnp.asarray(x), or make the "
            "model by intertwine.torch: intertwine.torch.load reads a saved one"
        )
    return jnp.asarray(x)


def rows(
    x: Any, size: int, rep: Rep, weights: Any = None, *, rounded: bool = True
) -> tuple[Array, Batch]:
    """Return x of shape (…, n) as a matrix with a vector per row, in the dtype that a layer with
    these weights' dtype computes in (`kinds_of`), and its batch axes. With `rounded`, the `Batch`
    rounds images to the dtype of the results. Raises `InvalidRep` for another n, and
    `InvalidSetting` for numbers that layers do not take.
    """
    is_plain = isinstance(x, np.ndarray) and x.dtype.kind in "biufc"
    x = x if is_plain else as_array(x)
    kind, found = kinds_of(x.dtype.name, None if weights is None else jnp.dtype(weights).name)
    x = x.astype(canonicalize_dtype(kind))
    if not x.ndim or x.shape[-1] != size:
        raise InvalidRep(f"{rep!r} has size {size}, and the input has the shape {x.shape}")
    *axes, _ = x.shape
    flat = x.reshape(prod(axes), size)
    batch = Batch(tuple(axes), jnp.dtype(found) if rounded and found != kind else None)
    # of a NumPy array: for each of these steps and each shape, JAX would compile a program
    return jax.device_put(flat) if is_plain else flat, batch
