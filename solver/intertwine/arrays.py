"""Find the array library of a value without importing one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from jaxtyping import Inexact, Int, Shaped

#: An array of NumPy or of JAX (a tracer too); shapes and dtypes are stated by jaxtyping.
Array = Any


def is_jax(value: object) -> bool:
    """Return whether `value` is a JAX array or tracer, without importing JAX."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.Array)


def is_concrete_jax(value: object) -> bool:
    """Return whether `value` is a JAX array with known numbers, and not a tracer."""
    jax = sys.modules.get("jax")
    return jax is not None and is_jax(value) and not isinstance(value, jax.core.Tracer)


def is_sparse(value: object) -> bool:
    """Return whether `value` is a SciPy sparse matrix or array, without importing SciPy."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(value))


def namespace(*values: object) -> Any:
    """Return `jax.numpy` if any of the values is a JAX array, else `numpy`."""
    if any(is_jax(value) for value in values):
        import jax.numpy as jnp

        return jnp
    return np


def index(places: Int[np.ndarray, "..."], x: Array) -> Int[np.ndarray, "..."]:
    """Return indices into x that work in both precisions of JAX: a program traced with 64-bit
    integers may run again with 32-bit ones.
    """
    return places.astype(np.int32) if is_jax(x) and places.size < 2**31 else places


def added_at(x: Array, places: tuple[Any, ...], values: Array) -> Array:
    """Return x with values added at places that are all different."""
    if is_jax(x):
        return x.at[places].add(values)
    found = x.copy()
    found[places] += values
    return found


def join_complex(
    real: Shaped[np.ndarray, "..."], imaginary: Shaped[np.ndarray, "..."]
) -> Shaped[np.ndarray, "..."]:
    """Return the complex array of two parts. (real + 1j * imaginary would turn inf into NaN.)"""
    array = np.empty(real.shape, np.result_type(real.dtype, np.complex64))
    array.real, array.imag = real, imaginary
    return array


def standard_normal(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Inexact[np.ndarray, "..."]:
    """Draw standard normal numbers in double precision, complex if the dtype is."""
    real = rng.standard_normal(shape)
    if np.issubdtype(dtype, np.complexfloating):
        return real + 1j * rng.standard_normal(shape)
    return real


@contextmanager
def double_precision() -> Iterator[None]:
    """Let JAX compute in float64 inside, if it is loaded. No global setting changes.

    Results are concrete even while a caller is traced: they are not part of its program.
    """
    jax = sys.modules.get("jax")
    if jax is None:
        yield
        return
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        yield


def working_dtype(argument: Array, own: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of a float64 or complex128 operator's result for `argument`.

    The precision is the argument's: float32 gives float32, float64 (and integers) float64. The
    result is complex if either of the two is.
    """
    single = argument.dtype in (np.float32, np.complex64, np.float16)
    is_complex = np.issubdtype(own, np.complexfloating) or np.issubdtype(
        argument.dtype, np.complexfloating
    )
    names = ("complex64", "float32") if single else ("complex128", "float64")
    dtype = np.dtype(names[0] if is_complex else names[1])
    if is_jax(argument):
        from jax.dtypes import canonicalize_dtype

        return np.dtype(canonicalize_dtype(dtype))  # float32 where JAX has no float64 enabled
    return dtype
