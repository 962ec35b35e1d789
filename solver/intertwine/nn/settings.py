"""Checks of the arguments of layers."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.dtypes import canonicalize_dtype

from intertwine.errors import InvalidSetting

_DTYPES = ("float32", "float64", "complex64", "complex128")


def positive(value: Any, meaning: str) -> float:
    """Return the value as a float. Raises `InvalidSetting` unless it is positive and finite."""
    is_number = isinstance(value, int | float | np.integer | np.floating)
    if is_number and not isinstance(value, bool) and 0 < value < float("inf"):
        return float(value)
    raise InvalidSetting(f"{meaning} is a positive, finite number, not {value!r}")


def working(dtype: Any, is_complex: bool) -> Any:
    """Return the dtype of weights: the given one, or float32; the complex one of that precision if
    needed.

    Raises `InvalidSetting` for a dtype that layers do not support, or that JAX has disabled.
    """
    try:
        chosen = jnp.dtype(jnp.float32 if dtype is None else dtype)
    except TypeError as error:
        raise InvalidSetting(f"{dtype!r} is not a dtype such as float32") from error
    if chosen.name not in _DTYPES:
        raise InvalidSetting(f"weights are {', '.join(_DTYPES)}, not {chosen}")
    if canonicalize_dtype(chosen) != chosen:
        raise InvalidSetting(
            f"{chosen} is disabled in JAX: call "
            f'jax.config.update("jax_enable_x64", True) before anything else'
        )
    return jnp.result_type(chosen, jnp.complex64) if is_complex else chosen
