"""The interface of a linear operator."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from jaxtyping import Num, Shaped

from intertwine.arrays import Array, common_dtype, is_torch, namespace
from intertwine.torch_compilation import OfTorchCompile


class LinearOperator(OfTorchCompile, np.lib.mixins.NDArrayOperatorsMixin):
    """A linear map A of shape (m, n), defined by its action.

    A subclass sets `shape` and defines two methods; the rest is derived from them:

    * ``_matmat(X)`` is A X for X of shape (n, k);
    * ``_adjoint()`` is Aᴴ, another operator, with ⟨A x, y⟩ = ⟨x, Aᴴ y⟩.

    ``_matvec`` may be defined for vectors if that is simpler. The base class needs no
    ``super().__init__()``. Arguments may be arrays of NumPy or JAX, or tensors of PyTorch; results
    are of the same kind. Arithmetic with arrays (A - X, A**2, np.abs(A)) uses the matrix, and so do
    np.asarray, jnp.asarray and torch.as_tensor.
    """

    shape: tuple[int, int]
    ndim = 2
    dtype: np.dtype[Any] = np.dtype(np.float64)

    __hash__ = object.__hash__
    __eq__ = object.__eq__
    __ne__ = object.__ne__

    def _matmat(self, matrix: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} does not define _matmat")

    def _adjoint(self) -> LinearOperator:
        raise NotImplementedError(f"{type(self).__name__} does not define _adjoint")

    def _matvec(self, vector: Array) -> Array:
        return self._matmat(vector[:, None])[:, 0]

    def __matmul__(self, other: Any) -> Any:
        """Return A @ x for a vector, a matrix, a batch of matrices (..., n, k), or an operator."""
        return self.applied_to(other)

    def applied_to(self, other: Any) -> Any:
        """Return A @ x; `torch.compile` stops at A @ x itself, but not at this or torch.matmul."""
        if isinstance(other, LinearOperator):
            return Product(self, other)
        if not hasattr(other, "ndim") or not hasattr(other, "reshape"):
            other = np.asarray(other)
        if other.ndim == 0 or other.shape[-min(other.ndim, 2)] != self.shape[1]:
            raise ValueError(f"{self!r} cannot be applied to an array of shape {other.shape}")
        if other.ndim == 1:
            return self._matvec(other)
        if other.ndim == 2:
            return self._matmat(other)
        xp = namespace(other)
        columns = xp.moveaxis(other, -2, 0)
        width = prod(columns.shape[1:])  # not -1, which is ambiguous if an axis is empty
        result = self._matmat(columns.reshape(self.shape[1], width))
        return xp.moveaxis(result.reshape(self.shape[0], *columns.shape[1:]), 0, -2)

    def __rmatmul__(self, other: Any) -> Any:
        """Return X @ A, as (Aᵀ Xᵀ)ᵀ."""
        other = other if hasattr(other, "ndim") else np.asarray(other)
        if other.ndim == 0:
            raise ValueError(f"{self!r} cannot be applied to an array of shape {other.shape}")
        if other.ndim == 1:
            return self.T.applied_to(other)
        xp = namespace(other)
        return xp.swapaxes(self.T.applied_to(xp.swapaxes(other, -1, -2)), -1, -2)

    @property
    def H(self) -> LinearOperator:
        """The adjoint, the conjugate transpose."""
        return self._adjoint()

    @property
    def T(self) -> LinearOperator:
        """The transpose, which differs from the adjoint of a complex operator."""
        adjoint = self._adjoint()
        return Conjugate(adjoint) if np.issubdtype(self.dtype, np.complexfloating) else adjoint

    def invT(self) -> LinearOperator:
        """Return A⁻ᵀ of a square operator, the dual of a group element, as an operator."""
        from intertwine.operators.dense_matrix import DenseMatrix

        return DenseMatrix(inverse_transpose(self.dense()))

    def dot(self, other: Any) -> Any:
        """Return A @ x; the name in NumPy, SciPy and EMLP."""
        return self @ other

    matvec = matmat = dot

    def rmatvec(self, vector: Any) -> Any:
        """Return Aᴴ @ x. (With `matvec`, it makes SciPy's solvers accept the operator.)"""
        return self.H @ vector

    rmatmat = rmatvec

    def dense(self) -> Array:
        """Return the matrix itself, of shape (m, n)."""
        return self._matmat(np.eye(self.shape[1], dtype=self.dtype))

    def to_dense(self) -> Array:
        """Return the matrix; EMLP's name of `dense`."""
        return self.dense()

    def __getitem__(self, key: Any) -> Array:
        """Return entries of the matrix."""
        return self.dense()[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Shaped[np.ndarray, "..."]:
        if copy is False:
            raise ValueError(f"the matrix of {self!r} is computed: leave out copy=False")
        return np.array(self.dense(), dtype=dtype, copy=copy)

    def __dlpack__(self, **options: Any) -> Any:
        """Return the matrix for other array libraries; `torch.as_tensor` looks for this."""
        return self.dense().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        nothing = self @ np.zeros((self.shape[1], 0), self.dtype)  # where the matrix would be
        device: tuple[int, int] = nothing.__dlpack_device__()
        return device

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if kwargs.get("out") is not None:
            return NotImplemented  # operators cannot be changed in place
        if method == "__call__" and ufunc is np.matmul:
            left, right = inputs
            return left @ right if isinstance(left, LinearOperator) else right.__rmatmul__(left)
        arrays = [dense(x) if isinstance(x, LinearOperator) else x for x in inputs]
        xp = namespace(*arrays)
        if method != "__call__" or xp is np:
            return getattr(ufunc, method)(*arrays, **kwargs)
        if any(map(is_torch, arrays)):
            arrays = [xp.asarray(array) for array in arrays]
        return getattr(xp, ufunc.__name__)(*arrays, **kwargs)

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        """Apply a function of PyTorch: products apply the operator, others take its matrix."""
        return _applied_by_pytorch(function, arguments, options or {})

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of shape {self.shape}>"


class Conjugate(LinearOperator):
    """The entrywise complex conjugate of an operator."""

    def __init__(self, operator: LinearOperator) -> None:
        self.operator, self.shape, self.dtype = operator, operator.shape, operator.dtype

    def _matmat(self, matrix: Array) -> Array:
        found = self.operator.applied_to(matrix.conj())
        return namespace(found).conj(found)

    def _adjoint(self) -> LinearOperator:
        return Conjugate(self.operator.H)


class Product(LinearOperator):
    """The product A B of two operators, applied right to left."""

    def __init__(self, left: LinearOperator, right: LinearOperator) -> None:
        if left.shape[1] != right.shape[0]:
            raise ValueError(f"{left!r} and {right!r} cannot be multiplied")
        self.left, self.right = left, right
        self.shape = (left.shape[0], right.shape[1])
        self.dtype = common_dtype(left.dtype, right.dtype)

    def _matmat(self, matrix: Array) -> Array:
        return self.left.applied_to(self.right.applied_to(matrix))

    def _adjoint(self) -> LinearOperator:
        return Product(self.right.H, self.left.H)

    def invT(self) -> LinearOperator:
        """Return A⁻ᵀB⁻ᵀ, for square A and B."""
        return Product(self.left.invT(), self.right.invT())


def _applied_by_pytorch(function: Any, arguments: Any, options: Any) -> Any:
    import torch
    from torch.utils._pytree import tree_flatten, tree_unflatten

    from intertwine.torch_namespace import TorchNamespace

    if function is torch.Tensor.matmul and torch.compiler.is_dynamo_compiling():
        # TorchDynamo turns both A @ x and x @ A into this call with (x, A): Python has to do them
        return NotImplemented
    if function in (torch.matmul, torch.Tensor.matmul):
        left, right = arguments
        if isinstance(left, LinearOperator):
            return left.applied_to(right)
        return right.__rmatmul__(left)
    leaves, structure = tree_flatten((arguments, options))
    xp = TorchNamespace(leaves)
    given = [xp.asarray(dense(x)) if isinstance(x, LinearOperator) else x for x in leaves]
    arguments, options = tree_unflatten(given, structure)
    return function(*arguments, **options)


def dense(operator: LinearOperator | Num[Any, "m n"]) -> Num[Any, "m n"]:
    """Return the matrix of an operator; an array is returned as it is."""
    return operator.dense() if isinstance(operator, LinearOperator) else operator


def inverse_transpose(operator: Any) -> Any:
    """Return A⁻ᵀ of an operator as an operator, and of a matrix as a matrix."""
    if isinstance(operator, LinearOperator):
        return operator.invT()
    return namespace(operator).linalg.inv(operator).T


def apply_in_slot(
    operator: LinearOperator | Num[Any, "n m"],
    tensor: Shaped[Any, "before m after"],
) -> Shaped[Any, "before n after"]:
    """Apply an operator to the middle axis of a tensor."""
    if isinstance(operator, LinearOperator):
        xp = namespace(tensor)
        before, size, after = tensor.shape
        flat = xp.moveaxis(tensor, 1, 0).reshape(size, before * after)
        moved = operator.applied_to(flat).reshape(operator.shape[0], before, after)
        return namespace(moved).moveaxis(moved, 0, 1)
    return namespace(operator, tensor).matmul(operator, tensor)
