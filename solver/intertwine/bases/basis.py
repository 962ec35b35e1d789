"""A basis of invariants, as a lazy matrix."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Inexact, Num

from intertwine.arrays import Array, for_products, is_concrete_jax, namespace
from intertwine.bases.certificate import Certificate
from intertwine.bases.row_order import RowOrder
from intertwine.bases.storage import Storage
from intertwine.errors import TooLarge
from intertwine.operators import LinearOperator
from intertwine.reps import Rep
from intertwine.torch_compilation import one_operation

_LOG = logging.getLogger("intertwine")
_WORTH_SAYING = 2**30
_COMPILED_BYTES = 2**24
"""The largest storage, in bytes, whose arrays become constants of a compiled program."""


class Basis(LinearOperator):
    """Q of shape (n, r) with QᴴQ = 1, whose columns span {v : ρ(g)v = v for all g}.

    ``Q @ w`` and ``Q.T @ v`` (``Q.H`` for complex groups), ``Q[:, i]``, ``Q.project(v)`` work on
    vectors, matrices and batches of matrices, in NumPy, in JAX (under `jit`, `grad`, `vmap` too)
    and in PyTorch (under `compile`, `vmap`, `func.grad` too), and return the array library and
    precision of their argument. Arithmetic and
    ``np.asarray`` use the matrix. `certificate` is the evidence for it; `cached` is the folder or
    address that it came from, empty if it was solved. Its rows are the coordinates of the rep `of`,
    which is None if unknown.
    """

    def __init__(
        self,
        storage: Storage,
        certificate: Certificate,
        *,
        cached: str = "",
        of: Rep | RowOrder | None = None,
    ) -> None:
        self.storage, self.certificate, self.cached = storage, certificate, cached
        self.shape, self.dtype = storage.shape, storage.dtype
        self.ndim = 2
        self._of = of

    @cached_property
    def rows(self) -> RowOrder | None:
        """The rep whose coordinates the rows are, as stored in a file."""
        return RowOrder.of(self._of) if isinstance(self._of, Rep) else self._of

    @cached_property
    def rep(self) -> Rep | None:
        """The rep whose coordinates the rows are, in its order.

        Raises `InvalidRep` if it was stored in a file and cannot be read (`RowOrder.read`).
        """
        return self._of.read() if isinstance(self._of, RowOrder) else self._of

    @property
    def rank(self) -> int:
        """r, the number of independent invariants."""
        return self.shape[1]

    def _matmat(self, matrix: Array) -> Array:
        return self._apply(matrix)

    def _adjoint(self) -> LinearOperator:
        return _Adjoint(self)

    @one_operation
    def _apply(self, matrix: Array) -> Array:
        return self._run("apply", matrix)

    @one_operation
    def _adjoin(self, matrix: Array) -> Array:
        return self._run("adjoint", matrix)

    @one_operation
    def _projected(self, matrix: Array) -> Array:
        return self._run("project", matrix)

    def _run(self, name: str, matrix: Array) -> Array:
        """Return Q x, Qᴴ x or QQᴴ x: `name` is apply, adjoint or project.

        A JAX array that is not traced is multiplied by one compiled program. Otherwise JAX would
        compile each small operation by itself, hundreds for a sum of many reps.
        """
        if is_concrete_jax(matrix) and self._is_compiled:
            return self._programs[name](matrix)
        return self._functions[name](for_products(matrix, self.dtype))

    @cached_property
    def _is_compiled(self) -> bool:
        return self.storage.nbytes <= _COMPILED_BYTES

    @property
    def _functions(self) -> dict[str, Callable[[Array], Array]]:
        apply, adjoint = self.storage.apply, self.storage.adjoint
        return {"apply": apply, "adjoint": adjoint, "project": lambda v: apply(adjoint(v))}

    @cached_property
    def _programs(self) -> dict[str, Callable[[Array], Array]]:
        import jax

        return {name: jax.jit(function) for name, function in self._functions.items()}

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Array:
        """Return columns ``Q[:, i]`` without building the matrix; other indices build it."""
        if isinstance(key, tuple) and len(key) == 2 and _is_all(key[0], self.shape[0]):
            try:
                columns = np.arange(self.rank)[key[1]]
            except TypeError:  # a tracer: the column is not known yet
                return namespace(key[1]).asarray(self.dense())[key]
            if np.ndim(columns) <= 1:
                selection = np.zeros((self.rank, *np.shape(np.atleast_1d(columns))), self.dtype)
                selection[columns, np.arange(selection.shape[1])] = 1
                return self @ (selection if np.ndim(columns) else selection[:, 0])
        return self.dense()[key]

    def project(self, v: Num[Any, "..."]) -> Num[Any, "..."]:
        """Return QQᴴv, the invariant nearest to v; of shape (n,), (n, k) or (…, n, k) like v."""
        return self.projector.applied_to(v)

    @property
    def projector(self) -> Projector:
        """P = QQᴴ as an operator."""
        return Projector(self)

    @property
    def dense_bytes(self) -> int:
        """The bytes of the dense matrix."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def require_dense_fits(self, max_bytes: int) -> None:
        """Raise `TooLarge` if the dense matrix would take more than `max_bytes`."""
        if self.dense_bytes > max_bytes:
            raise TooLarge(
                f"{self._dense_size}, more than the {max_bytes / 1e9:,.3g} GB allowed; apply it "
                f"with @"
            )

    @property
    def _dense_size(self) -> str:
        return f"a dense basis of shape {self.shape} takes {self.dense_bytes / 1e9:,.3g} GB"

    def dense(self, max_bytes: int | None = None) -> Inexact[np.ndarray, "n r"]:
        """Return the matrix. Raises `TooLarge` if it would take more than `max_bytes`."""
        if max_bytes is not None:
            self.require_dense_fits(max_bytes)
        if self.dense_bytes > _WORTH_SAYING:
            _LOG.warning(self._dense_size)
        return np.asarray(self @ np.eye(self.rank, dtype=self.dtype))

    def sparse(self) -> Any:
        """Return the matrix as a SciPy sparse array in CSC format."""
        return self.storage.sparse()

    @property
    def nbytes(self) -> int:
        """The bytes of the stored form."""
        return self.storage.nbytes

    def __repr__(self) -> str:
        return (
            f"<Basis of shape {self.shape}, {self.dtype.name}, by {self.certificate.method}, "
            f"residual {self.certificate.residual:.1e}>"
        )

    def _repr_html_(self) -> str:
        invariants = "1 invariant" if self.rank == 1 else f"{self.rank:,} invariants"
        head = f"<b>Basis</b> of {invariants} in {self.shape[0]:,} dimensions"
        return head + self.certificate._repr_html_()


class _Adjoint(LinearOperator):
    """Qᴴ of a basis."""

    def __init__(self, basis: Basis) -> None:
        self.basis, self.dtype = basis, basis.dtype
        self.shape = (basis.shape[1], basis.shape[0])

    def _matmat(self, matrix: Array) -> Array:
        return self.basis._adjoin(matrix)

    def _adjoint(self) -> LinearOperator:
        return self.basis

    def dense(self) -> Array:
        """Return the matrix Qᴴ."""
        return self.basis.dense().conj().T


class Projector(LinearOperator):
    """P = QQᴴ, the orthogonal projector on the span of a basis."""

    def __init__(self, basis: Basis) -> None:
        self.basis, self.dtype = basis, basis.dtype
        self.shape = (basis.shape[0], basis.shape[0])

    def _matmat(self, matrix: Array) -> Array:
        return self.basis._projected(matrix)

    def _adjoint(self) -> LinearOperator:
        return self

    def dense(self) -> Array:
        """Return the matrix QQᴴ."""
        matrix = self.basis.dense()
        return matrix @ matrix.conj().T


def _is_all(index: Any, size: int) -> bool:
    return isinstance(index, slice) and index.indices(size) == (0, size, 1)
