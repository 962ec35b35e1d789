"""The dtypes of PyTorch, beside those of NumPy.

This module imports PyTorch: import it only where a tensor or its dtype has been found.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

_DOUBLE = (torch.float64, torch.complex128)
_HALF = (torch.float16, torch.bfloat16)
_WIDE_INTEGERS = (torch.int32, torch.int64, torch.uint32, torch.uint64)

_dtypes: dict[Any, torch.dtype] = {}


def floating_dtype(
    dtype: torch.dtype, is_complex: bool, *, keeps_half: bool = False
) -> torch.dtype:
    """Return the dtype in which an argument is computed: see `working_dtype`."""
    if dtype in _HALF and keeps_half:
        found = dtype
    elif dtype in _DOUBLE or not (dtype.is_floating_point or dtype.is_complex):
        found = torch.float64
    else:
        found = torch.float32
    return found.to_complex() if is_complex or dtype.is_complex else found


def torch_dtype(dtype: Any) -> torch.dtype:
    """Return PyTorch's dtype for a dtype of NumPy. Raises `TypeError` if it has none."""
    found = _dtypes.get(dtype)
    if found is None:
        found = getattr(torch, np.dtype(dtype).name, None)
        if not isinstance(found, torch.dtype):
            raise TypeError(f"PyTorch has no dtype {np.dtype(dtype).name}: convert the array first")
        _dtypes[dtype] = found
    return found


def numpy_dtype(dtype: Any) -> np.dtype[Any]:
    """Return NumPy's dtype for a dtype of either library.

    bfloat16 gives float32 and complex32 complex64: NumPy does not have them.
    """
    if isinstance(dtype, torch.dtype):
        others = {torch.bfloat16: "float32", torch.complex32: "complex64"}
        dtype = others.get(dtype, str(dtype).removeprefix("torch."))
    found: np.dtype[Any] = np.dtype(dtype)
    return found


def promoted_types(left: torch.dtype, right: torch.dtype) -> torch.dtype:
    """Return the dtype of a result of two, by the rules of NumPy."""
    found = torch.promote_types(left, right)
    if found == torch.float32 and (left in _WIDE_INTEGERS or right in _WIDE_INTEGERS):
        return torch.float64  # float32 does not hold the integers; PyTorch alone would round them
    return found
