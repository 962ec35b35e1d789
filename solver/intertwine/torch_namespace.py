"""The functions of NumPy that the library uses, for tensors of PyTorch.

This module imports PyTorch: import it only where a tensor has been found.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial, reduce
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped

from intertwine.torch_dtypes import floating_dtype, promoted_types, torch_dtype

_KEPT_BYTES = 2**28
"""Converted copies of larger constants are not kept."""

_Key = tuple[int, torch.dtype, torch.device]
_kept: dict[_Key, tuple[weakref.ref[np.ndarray[Any, Any]], torch.Tensor]] = {}


class TorchNamespace:
    """NumPy's names for the functions of PyTorch, for some tensors and arrays that meet.

    New tensors are on the tensors' device. Arrays of NumPy are constants: they take the precision
    of the tensors, and are complex if they are, or if the tensors are. Products promote their
    factors, as NumPy's do. Names that are missing here are PyTorch's.

    Raises `TypeError` for tensors that are sparse or nested.
    """

    def __init__(self, values: Iterable[object]) -> None:
        tensors = [value for value in values if isinstance(value, torch.Tensor)]
        for tensor in tensors:
            if tensor.layout is not torch.strided:
                raise TypeError(
                    f"a tensor of the layout {tensor.layout} cannot be used here: convert it, as "
                    f"with tensor.to_dense()"
                )
        self.device = tensors[0].device if tensors else torch.device("cpu")
        self.dtype = tensors[0].dtype if tensors else torch.float64
        for tensor in tensors[1:]:
            self.dtype = torch.promote_types(self.dtype, tensor.dtype)

    def asarray(self, value: Any, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Return a tensor as it is, and anything else as a tensor; both in `dtype`, if given."""
        if isinstance(value, torch.Tensor):
            return value if dtype is None else value.to(dtype)
        array = np.asarray(value)
        dtype = self._dtype_of(array.dtype) if dtype is None else dtype
        return _tensor(array).to(self.device, dtype)

    def constant(
        self, values: Shaped[np.ndarray, "..."], dtype: torch.dtype | None
    ) -> torch.Tensor:
        """Return an array that nothing changes as a tensor; converted copies are kept.

        Without `dtype`, it is that of the array.
        """
        own = torch_dtype(values.dtype)
        dtype = own if dtype is None else dtype
        if dtype == own and values.flags.writeable and self.device.type == "cpu":
            return self.asarray(values, dtype)  # it is not copied
        if torch.compiler.is_compiling() or type(torch.empty(0)) is not torch.Tensor:
            return self.asarray(values, dtype)  # tensors without numbers are not kept
        key = id(values), dtype, self.device
        if key in _kept and _kept[key][0]() is values:
            return _kept[key][1]
        with torch.inference_mode(False):  # autograd does not take tensors of inference mode
            found = self.asarray(values, dtype)
        if (
            found.nbytes <= _KEPT_BYTES
            and not is_transformed(found)
            and not _is_view(found, values)
        ):
            _kept[key] = weakref.ref(values, partial(_forget, _kept, key)), found
        return found

    def zeros(self, shape: Sequence[int], dtype: torch.dtype | None = None) -> torch.Tensor:
        """Return zeros in the precision of the tensors."""
        return torch.zeros(*shape, dtype=dtype or self._real, device=self.device)

    def ones(self, shape: Sequence[int], dtype: torch.dtype | None = None) -> torch.Tensor:
        """Return ones in the precision of the tensors."""
        return torch.ones(*shape, dtype=dtype or self._real, device=self.device)

    def eye(self, n: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Return the identity matrix in the precision of the tensors."""
        return torch.eye(n, dtype=dtype or self._real, device=self.device)

    def concatenate(self, arrays: Sequence[Any], axis: int = 0) -> torch.Tensor:
        """Return arrays in a row along an axis."""
        return torch.cat([self.asarray(array) for array in arrays], dim=axis)

    def stack(self, arrays: Sequence[Any], axis: int = 0) -> torch.Tensor:
        """Return arrays along a new axis."""
        return torch.stack([self.asarray(array) for array in arrays], dim=axis)

    def diagonal(self, tensor: torch.Tensor, axis1: int = 0, axis2: int = 1) -> torch.Tensor:
        """Return the diagonals of two axes, as the last axis."""
        return torch.diagonal(tensor, dim1=axis1, dim2=axis2)

    def block_diagonal(self, matrices: Sequence[Any]) -> torch.Tensor:
        """Return the block-diagonal matrix."""
        blocks = [self.asarray(matrix) for matrix in matrices]
        width, at, rows = sum(block.shape[1] for block in blocks), 0, []
        for block in blocks:
            after = width - at - block.shape[1]
            rows.append(torch.nn.functional.pad(block, (at, after)))
            at += block.shape[1]
        return torch.cat(rows)

    def transpose(self, tensor: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
        """Return a tensor with its axes in another order."""
        return tensor.permute(*axes)

    def moveaxis(self, tensor: torch.Tensor, source: int, to: int) -> torch.Tensor:
        """Return a tensor with one axis in another place. (vmap lacks PyTorch's own function.)"""
        return torch.movedim(tensor, (source,), (to,))

    def flip(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a tensor with all its axes reversed."""
        return tensor.flip(tuple(range(tensor.ndim)))

    def imag(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the imaginary part, which is 0 for real tensors."""
        return tensor.imag if tensor.is_complex() else torch.zeros_like(tensor)

    def conj(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the complex conjugate, which NumPy can read."""
        return tensor.conj().resolve_conj()

    def matmul(
        self, left: Any, right: Any, preferred_element_type: torch.dtype | None = None
    ) -> torch.Tensor:
        """Return the matrix product, of NumPy arrays too. It is computed in the promoted dtype,
        also under torch.autocast, which would round constants.

        With `preferred_element_type`, terms of factors in half precision are summed in that dtype.
        """
        left, right = self._promoted(left, right)
        if preferred_element_type is not None:
            if left.dtype == torch.float16 and self.device.type == "cpu":
                # PyTorch's product of float16 on a CPU takes 20 times as long
                left, right = left.to(preferred_element_type), right.to(preferred_element_type)
            return torch.matmul(left, right).to(preferred_element_type)
        with _without_autocast(self.device.type):
            return torch.matmul(left, right)

    def kron(self, left: Any, right: Any) -> torch.Tensor:
        """Return the Kronecker product, of NumPy arrays too."""
        a, b = self.asarray(left), self.asarray(right)  # torch.kron refuses some transposes
        blocks = a[:, None, :, None] * b[None, :, None, :]
        return blocks.reshape(a.shape[0] * b.shape[0], a.shape[1] * b.shape[1])

    def tensordot(self, left: Any, right: Any, axes: int) -> torch.Tensor:
        """Return the sum of products over the last axes of one and the first of the other."""
        return torch.tensordot(*self._promoted(left, right), dims=axes)

    def einsum(self, subscripts: str, *operands: Any) -> torch.Tensor:
        """Return the sum of products that the subscripts describe."""
        return torch.einsum(subscripts, *self._promoted(*operands))

    @property
    def linalg(self) -> TorchNamespace:
        """The functions of `numpy.linalg` have their names here too."""
        return self

    def inv(self, matrix: Any) -> torch.Tensor:
        """Return the inverse."""
        return torch.linalg.inv(self.asarray(matrix))

    def solve(self, matrix: Any, right: Any) -> torch.Tensor:
        """Return A⁻¹ B."""
        return torch.linalg.solve(*self._promoted(matrix, right))

    def result_type(self, *values: Any) -> torch.dtype:
        """Return the dtype of a result of tensors, arrays and dtypes, by the rules of NumPy."""
        return reduce(promoted_types, [self._type_of(value) for value in values])

    def power(self, base: torch.Tensor, exponent: torch.Tensor) -> torch.Tensor:
        """Return the entries' powers."""
        return torch.pow(base, exponent)

    def equal(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Return where entries are equal."""
        return torch.eq(left, right)

    def __getattr__(self, name: str) -> Any:
        if not hasattr(torch, name):
            raise AttributeError(f"PyTorch has no function {name}: apply another to the matrix")
        return getattr(torch, name)

    @property
    def _real(self) -> torch.dtype:
        return floating_dtype(self.dtype, is_complex=False, keeps_half=True).to_real()

    def _promoted(self, *values: Any) -> list[torch.Tensor]:
        tensors = [self.asarray(value) for value in values]
        dtype = reduce(promoted_types, [tensor.dtype for tensor in tensors])
        return [tensor.to(dtype) for tensor in tensors]

    def _type_of(self, value: Any) -> torch.dtype:
        if isinstance(value, torch.dtype):
            return value
        if isinstance(value, torch.Tensor):
            return value.dtype
        return self._dtype_of(value.dtype) if isinstance(value, np.ndarray) else torch_dtype(value)

    def _dtype_of(self, dtype: np.dtype[Any]) -> torch.dtype:
        """Return the dtype of a NumPy array as a constant."""
        if dtype.kind not in "fc":
            return torch_dtype(dtype)
        return self._real.to_complex() if dtype.kind == "c" else self._real


def is_transformed(tensor: torch.Tensor) -> bool:
    """Return whether a transformation of `torch.func` is applied to a tensor."""
    return bool(torch._C._functorch.is_functorch_wrapped_tensor(tensor))


def _without_autocast(device: str) -> AbstractContextManager[Any]:
    """Return a context without torch.autocast; it costs nothing outside of autocast."""
    if not torch._C._is_any_autocast_enabled() or not torch.amp.is_autocast_available(device):
        return nullcontext()
    context: AbstractContextManager[Any] = torch.autocast(device, enabled=False)
    return context


def _is_view(tensor: torch.Tensor, array: Shaped[np.ndarray, "..."]) -> bool:
    return bool(tensor.device.type == "cpu" and tensor.data_ptr() == array.ctypes.data)


def _forget(kept: dict[_Key, Any], key: _Key, _: object) -> None:
    """Remove a constant whose array is gone; its other arguments exist also at exit."""
    kept.pop(key, None)


def _tensor(array: Shaped[np.ndarray, "..."]) -> torch.Tensor:
    """Return an array as a tensor, without copying it if PyTorch has such tensors."""
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()
    return torch.as_tensor(array)


def has_hidden_numbers(tensor: torch.Tensor) -> bool:
    """Return whether a tensor has a gradient, is traced by a transformation, or has no data."""
    return bool(
        tensor.requires_grad
        or torch.compiler.is_compiling()
        or is_transformed(tensor)
        or type(tensor) not in (torch.Tensor, torch.nn.Parameter)
        or tensor.device.type == "meta"
    )
