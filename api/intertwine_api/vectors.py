"""Vectors in the bodies of requests and answers: in safetensors a complex one is made of pairs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Shaped

from intertwine_api.problems import Problem, ProblemError


def from_safetensors(body: bytes, name: str) -> Shaped[np.ndarray, "..."]:
    """The array of that name: numbers, or complex ones from a last axis of two of three axes.

    Raises `ProblemError` with ``format`` where there is no such array.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        array: Shaped[np.ndarray, "..."] = load(body)[name]
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        detail = f"the body has no array `{name}`: {error}"
        raise ProblemError(Problem.of("format", detail)) from error
    if array.dtype.kind not in "fiu":
        raise ProblemError(Problem.of("format", f"{name} holds no numbers, but {array.dtype}"))
    if array.ndim == 3 and array.shape[2] == 2:
        return complex_of(array[..., 0], array[..., 1])
    return array


def to_safetensors(arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> bytes:
    """The arrays by their names, as `from_safetensors` reads them."""
    from safetensors.numpy import save

    return save({name: _as_real(array) for name, array in arrays.items()})


def complex_of(
    real: Shaped[np.ndarray, "..."], imaginary: Shaped[np.ndarray, "..."]
) -> Shaped[np.ndarray, "..."]:
    """Complex numbers by their parts, exactly: a product with 1j would make NaN of infinity."""
    array = np.empty(real.shape, np.complex128)
    array.real, array.imag = real, imaginary
    return array


def _as_real(array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    if not np.iscomplexobj(array):
        return np.ascontiguousarray(array)
    return np.stack([array.real, array.imag], axis=-1)
