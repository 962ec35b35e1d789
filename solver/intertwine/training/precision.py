"""In which precision a model is computed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import numpy as np

from intertwine.training.data import weights_dtype

_DOUBLE = (np.dtype(np.float64), np.dtype(np.complex128))


def precision_of(model: Any) -> AbstractContextManager[Any]:
    """Inside, JAX computes in float64 if the model's weights are so; nothing global changes."""
    return jax.enable_x64(True) if weights_dtype(model) in _DOUBLE else nullcontext()
