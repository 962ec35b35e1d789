"""The floating-point precision that a model is computed in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import numpy as np

from intertwine.training.data import weights_dtype

_DOUBLE = (np.dtype(np.float64), np.dtype(np.complex128))


def precision_of(model: Any) -> AbstractContextManager[Any]:
    """Return a context in which JAX computes in the precision of the model's weights."""
    return computing_in("float64" if weights_dtype(model) in _DOUBLE else "float32")


def computing_in(dtype: str) -> AbstractContextManager[Any]:
    """Return a context in which JAX computes in `dtype`; global settings stay as they are."""
    return jax.enable_x64(True) if dtype == "float64" else nullcontext()
