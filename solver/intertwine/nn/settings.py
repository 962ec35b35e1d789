"""What layers are told, checked."""

from __future__ import annotations

import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.dtypes import canonicalize_dtype
from jaxtyping import PRNGKeyArray

from intertwine.errors import InvalidSetting

_DTYPES = ("float32", "float64", "complex64", "complex128")


def natural(value: Any, meaning: str) -> int:
    """The value as an int. Raises `InvalidSetting` for what is no natural number, 0 being one."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 0:
        return operator.index(value)
    raise InvalidSetting(f"{meaning} is a natural number, not {value!r}")


def positive(value: Any, meaning: str) -> float:
    """The value as a float. Raises `InvalidSetting` for what is no positive, finite number."""
    is_number = isinstance(value, int | float | np.integer | np.floating)
    if is_number and not isinstance(value, bool) and 0 < value < float("inf"):
        return float(value)
    raise InvalidSetting(f"{meaning} is a positive, finite number, not {value!r}")


def as_key(key: Any) -> PRNGKeyArray:
    """A key of JAX, from one or from a seed. Raises `InvalidSetting` for anything else."""
    if isinstance(key, int | np.integer):
        return jax.random.key(operator.index(key))
    if isinstance(key, jax.Array):
        return key
    raise InvalidSetting(f"key is a seed, such as 0, or a key of jax.random, not {key!r}")


def working(dtype: Any, is_complex: bool) -> Any:
    """The dtype of weights: as asked for, or float32; the complex one of that precision.

    Raises `InvalidSetting` for one in which layers are not computed, or that JAX has not been told
    to use.
    """
    try:
        chosen = jnp.dtype(jnp.float32 if dtype is None else dtype)
    except TypeError as error:
        raise InvalidSetting(f"{dtype!r} is no dtype, such as float32") from error
    if chosen.name not in _DTYPES:
        raise InvalidSetting(f"weights are {', '.join(_DTYPES)}, and not {chosen}")
    if canonicalize_dtype(chosen) != chosen:
        raise InvalidSetting(
            f"JAX has no {chosen} unless it is told: "
            f'jax.config.update("jax_enable_x64", True), before anything else'
        )
    return jnp.result_type(chosen, jnp.complex64) if is_complex else chosen
