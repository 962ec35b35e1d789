"""Tensors and numbers as arrays of NumPy, as a checkpoint stores them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped

from intertwine.arrays import dtype_name
from intertwine.errors import FormatError, InvalidSetting

_NUMBERS = {kind.__name__: kind for kind in (bool, int, float)}
_NONE = "none"


def to_array(name: str, value: Any) -> tuple[str, Shaped[np.ndarray, "..."]]:
    """Return a tensor, a number or None as an array, with a name that ends with its dtype.

    NumPy has no bfloat16, and files no complex numbers: those are bits, and pairs. Raises
    `InvalidSetting` for any other value.
    """
    if isinstance(value, torch.Tensor):
        plain = value.detach().cpu()
        if plain.is_complex():
            plain = torch.view_as_real(plain.resolve_conj())
        if plain.dtype == torch.bfloat16:
            plain = plain.view(torch.int16)
        return f"{name}:{dtype_name(value.dtype)}", np.array(plain.numpy(), order="C")
    if value is None:
        return f"{name}:{_NONE}", np.empty(0)
    kind = type(value).__name__
    if type(value) not in _NUMBERS.values():
        raise InvalidSetting(
            f"the optimizer keeps a {kind} as its {name}, which a checkpoint cannot hold: leave "
            f"checkpoint out, or take another optimizer"
        )
    return f"{name}:{kind}", np.asarray(value)


def from_array(
    name: str, array: Shaped[np.ndarray, "..."], device: torch.device
) -> tuple[str, Any]:
    """Return the name and the value of `to_array`; tensors are on the device."""
    own, _, kind = name.rpartition(":")
    if kind == _NONE:
        return own, None
    if kind in _NUMBERS:
        return own, _NUMBERS[kind](array.item())
    dtype = getattr(torch, kind, None)
    if not isinstance(dtype, torch.dtype):
        raise FormatError(f"PyTorch has no dtype {kind}")
    tensor = torch.from_numpy(np.array(array))
    if dtype == torch.bfloat16:
        tensor = tensor.view(dtype)
    if dtype.is_complex:
        tensor = torch.complex(*tensor.unbind(-1))  # `view_as_complex` takes no empty tensors
    return own, tensor.to(device)
