"""Find the array library of a value without importing one, and what differs between libraries.

Code that computes on a user's arrays is written once. It takes its functions from `namespace`:
`numpy`, `jax.numpy`, or a `TorchNamespace` with the same names. The functions below do what the
libraries have no common name for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from jaxtyping import Inexact, Int, Shaped

#: An array of NumPy, JAX (a tracer too) or PyTorch; shapes and dtypes are stated by jaxtyping.
Array = Any


def is_jax(value: object) -> bool:
    """Return whether `value` is a JAX array or tracer, without importing JAX."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.Array)


def is_concrete_jax(value: object) -> bool:
    """Return whether `value` is a JAX array with known numbers, and not a tracer."""
    jax = sys.modules.get("jax")
    return jax is not None and is_jax(value) and not isinstance(value, jax.core.Tracer)


def is_hidden(value: object) -> bool:
    """Return whether the numbers of `value` are hidden, because a library traces what is done with
    them: a tracer of JAX, or a tensor of PyTorch that has a gradient, is compiled or has no data.
    """
    if is_torch(value):
        from intertwine.torch_namespace import has_hidden_numbers

        return has_hidden_numbers(value)
    return is_jax(value) and not is_concrete_jax(value)


def is_sparse(value: object) -> bool:
    """Return whether `value` is a SciPy sparse matrix or array, without importing SciPy."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(value))


def is_torch(value: object) -> bool:
    """Return whether `value` is a tensor of PyTorch, without importing PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_torch_module(value: object) -> bool:
    """Return whether `value` is a module of PyTorch, without importing PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def is_numpy(value: object) -> bool:
    """Return whether `value` is an array of neither JAX nor PyTorch: NumPy's, or a number."""
    return not is_jax(value) and not is_torch(value)


def namespace(*values: object) -> Any:
    """Return the array library of the values: `jax.numpy` if any of them is a JAX array, a
    `TorchNamespace` if any is a tensor of PyTorch, else `numpy`.

    Raises `TypeError` if there are both.
    """
    jax, torch = sys.modules.get("jax"), sys.modules.get("torch")
    if jax is None and torch is None:
        return np
    has_jax = has_torch = False
    for value in values:
        if isinstance(value, np.ndarray):
            continue
        if torch is not None and isinstance(value, torch.Tensor):
            has_torch = True
        elif jax is not None and isinstance(value, jax.Array):
            has_jax = True
    if has_torch:
        if has_jax:
            raise TypeError(
                "arrays of JAX and of PyTorch cannot be combined: convert one, as with "
                "torch.from_dlpack(array) or jax.numpy.from_dlpack(tensor)"
            )
        from intertwine.torch_namespace import TorchNamespace

        return TorchNamespace(values)
    if has_jax:
        import jax.numpy as jnp

        return jnp
    return np


def constant(values: Shaped[np.ndarray, "..."], x: Array, dtype: Any) -> Array:
    """Return an array that nothing changes, in the library of x and in this dtype.

    PyTorch keeps converted copies, so that they are on the device once.
    """
    xp = namespace(x)
    return xp.constant(values, dtype) if is_torch(x) else xp.asarray(values, dtype=dtype)


def index(places: Int[np.ndarray, "..."], x: Array) -> Array:
    """Return indices into x that work in both precisions of JAX: a program traced with 64-bit
    integers may run again with 32-bit ones.
    """
    if is_torch(x):
        return constant(places, x, None)
    return places.astype(np.int32) if is_jax(x) and places.size < 2**31 else places


def added_at(x: Array, places: tuple[Any, ...], values: Array) -> Array:
    """Return x with values added at places that are all different."""
    if is_torch(x):
        axes = tuple(index(axis, x) if isinstance(axis, np.ndarray) else axis for axis in places)
        found = x.clone()
        found[axes] += values
        return found
    if is_jax(x):
        return x.at[places].add(values)
    found = x.copy()
    found[places] += values
    return found


def rows_at(places: Int[np.ndarray, " m"], x: Shaped[Any, "n ..."]) -> Shaped[Any, "m ..."]:
    """Return the rows of x at these places, which are 0 or more."""
    if is_torch(x):  # in a fifth of the time of x[places]
        return x.index_select(0, index(places, x))
    return x[index(places, x)]


def columns_at(places: Int[np.ndarray, " m"], x: Shaped[Any, "... n"]) -> Shaped[Any, "... m"]:
    """Return the entries of the last axis of x at these places, which are 0 or more."""
    return x.index_select(-1, index(places, x)) if is_torch(x) else x[..., index(places, x)]


def with_rows_added(
    x: Shaped[Any, "n k"], places: Int[np.ndarray, " m"], rows: Shaped[Any, "m k"]
) -> Shaped[Any, "n k"]:
    """Return x, an array of JAX or PyTorch, after adding a row at each place."""
    if is_torch(x):
        return x.index_add(0, index(places, x), rows)
    return x.at[index(places, x)].add(rows)


def sums_of_rows(
    rows: Shaped[Any, "m k"], labels: Int[Any, " m"], count: int
) -> Shaped[Any, "n k"]:
    """Return the sums of the rows with each label, for arrays of JAX or PyTorch."""
    if is_torch(rows):
        zeros = rows.new_zeros((count, rows.shape[1]))
        return zeros.index_add(0, index(labels, rows), rows)
    import jax

    return jax.ops.segment_sum(rows, labels, num_segments=count)


def with_entries(
    x: Array, places: tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]], values: Array
) -> Array:
    """Return x with other entries at these rows and columns; an array of NumPy is changed."""
    if is_torch(x):
        return x.index_put(tuple(index(axis, x) for axis in places), values)
    if is_jax(x):
        return x.at[places].set(values)
    x[places] = values
    return x


def in_numpy(x: Array) -> Shaped[np.ndarray, "..."]:
    """Return an array as NumPy's, without its gradient; bfloat16 of PyTorch, which NumPy does not
    have, as float32.
    """
    if not is_torch(x):
        return np.asarray(x)
    has_dtype = dtype_name(x.dtype) != "bfloat16"
    found: Shaped[np.ndarray, "..."] = (x if has_dtype else x.float()).numpy(force=True)
    return found


def dtype_name(dtype: Any) -> str:
    """Return the name of a dtype, the same for all libraries: "float32", "bfloat16"."""
    return str(dtype).removeprefix("torch.")


def converted(x: Array, dtype: Any) -> Array:
    """Return x in a dtype of its library."""
    return x.to(dtype) if is_torch(x) else x.astype(dtype)


def for_products(x: Array, own: np.dtype[Any]) -> Array:
    """Return x as it can be multiplied by constants in `working_dtype`.

    That is x itself, except in PyTorch, which does not promote the factors of a matrix product.
    """
    return x.to(working_dtype(x, own)) if is_torch(x) else x


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


def working_dtype(argument: Array, own: np.dtype[Any]) -> Any:
    """Return the dtype of a float64 or complex128 operator's result for `argument`.

    The precision is the argument's: float32 gives float32, float64 (and integers) float64; half
    precision gives float32. The result is complex if either of the two is. It is a dtype of the
    argument's library.
    """
    if is_torch(argument):
        from intertwine.torch_dtypes import floating_dtype

        return floating_dtype(argument.dtype, own.kind == "c")
    single = argument.dtype.name in ("float32", "complex64", "float16", "bfloat16")
    is_complex = np.issubdtype(own, np.complexfloating) or np.issubdtype(
        argument.dtype, np.complexfloating
    )
    names = ("complex64", "float32") if single else ("complex128", "float64")
    dtype = np.dtype(names[0] if is_complex else names[1])
    if is_jax(argument):
        from jax.dtypes import canonicalize_dtype

        return np.dtype(canonicalize_dtype(dtype))  # float32 where JAX has no float64 enabled
    return dtype


def common_dtype(*dtypes: Any) -> np.dtype[Any]:
    """Return NumPy's dtype for results of all these dtypes, each of any library."""
    torch = sys.modules.get("torch")
    if torch is not None and any(isinstance(dtype, torch.dtype) for dtype in dtypes):
        from intertwine.torch_dtypes import numpy_dtype

        dtypes = tuple(numpy_dtype(dtype) for dtype in dtypes)
    return np.result_type(*dtypes)
