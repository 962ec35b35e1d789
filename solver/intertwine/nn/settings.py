"""Checks of the arguments of layers."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax.dtypes import canonicalize_dtype

from intertwine.architecture.precision import weights_kind
from intertwine.errors import InvalidSetting


def working(dtype: Any, is_complex: bool) -> Any:
    """Return the dtype of weights: the given one, or float32; the complex one of that precision if
    needed.

    Raises `InvalidSetting` for a dtype that layers do not support, or that JAX has disabled.
    """
    try:
        chosen = jnp.dtype(jnp.float32 if dtype is None else dtype)
    except TypeError as error:
        raise InvalidSetting(f"{dtype!r} is not a dtype such as float32") from error
    found = jnp.dtype(weights_kind(chosen.name, is_complex=is_complex))
    require_enabled(chosen)
    return found


def require_enabled(dtype: Any) -> None:
    """Raise `InvalidSetting` for a dtype that JAX has disabled."""
    if canonicalize_dtype(dtype) != dtype:
        raise InvalidSetting(
            f"{dtype} is disabled in JAX: call "
            f'jax.config.update("jax_enable_x64", True) before anything else'
        )
