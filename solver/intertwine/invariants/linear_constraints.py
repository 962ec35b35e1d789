"""Invariants v that also satisfy linear equations Cv = 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.arrays import is_sparse
from intertwine.bases import Basis, Storage
from intertwine.bases.assembled import Combined
from intertwine.errors import AmbiguousRank, InvalidRep
from intertwine.groups.lie_span import spectral_norm
from intertwine.invariants.tolerances import Tolerances
from intertwine.memory import require_memory
from intertwine.operators import LinearOperator
from intertwine.reps.syntax import Rep

_DENSE_UP_TO = 2_000  # rows of a matrix whose spectral norm is computed
_VECTORS = 8  # random vectors for a lower bound on a norm
_BLOCK_BYTES = 2**26


@dataclass(frozen=True, eq=False)
class Equations:
    """C divided by its norm (for a large matrix or an operator, by a lower bound on the norm)."""

    matrix: Any
    scale: float

    @property
    def row_sizes(self) -> Float[np.ndarray, " m"] | None:
        """The largest entry of each row; None for an operator, whose entries are not known."""
        if not (is_sparse(self.matrix) or isinstance(self.matrix, np.ndarray)):
            return None
        if not all(self.matrix.shape):
            return np.zeros(self.matrix.shape[0])
        largest = abs(self.matrix).max(axis=1)
        found = np.ravel(largest.toarray() if is_sparse(largest) else largest)
        return found.astype(float) / self.scale

    def times(self, block: Inexact[np.ndarray, "n k"]) -> Inexact[np.ndarray, "m k"]:
        """Return C times a few vectors."""
        return np.asarray(self.matrix @ block) / self.scale


def constrained(rep: Rep, basis: Basis, constraints: Any, tolerances: Tolerances) -> Basis:
    """Return the basis of those invariants in the span of a basis Q with Cv = 0.

    They are Q N for the null space N of C Q. A singular value of C Q, with each matrix C of the
    constraints scaled to norm 1, counts as zero up to `tolerances.null` and as nonzero from
    `tolerances.distinct` on. Over real invariants, the real and the imaginary part of a complex C
    are separate equations. Raises `InvalidRep` for constraints that are not matrices with n
    columns, and `AmbiguousRank` for a singular value between the two bounds, or for a row of a
    matrix that is so small beside the others that it counts as zero although the invariants violate
    it. (The rows of an operator are not known: those that small are taken for rounding errors.)
    """
    equations = read_constraints(constraints, rep)
    if not equations:
        return basis
    storage = basis.storage
    restricted = _on_basis(equations, storage)
    n, kept, dropped = _null_space(restricted, tolerances, rep)
    found = Combined(storage, n)
    for each in equations:
        _require_every_row(each, found, tolerances, rep)
    residuals = tuple(_residual(each, found) for each in equations)
    worst = max(residuals, default=0.0)
    if not worst <= tolerances.distinct:
        raise AmbiguousRank(
            f"the rank is ambiguous: invariants of {rep} that should satisfy the constraints "
            f"violate them by {worst:.1g} of their norm. Scale the constraints"
        )
    old = basis.certificate
    return Basis(
        found,
        replace(
            old,
            rank=n.shape[1],
            gap=min(old.gap, dropped / kept if kept and dropped < math.inf else math.inf),
            orthonormality=found.orthonormality_of_whole(old.orthonormality),
            rank_bound=None,
            constraints=residuals,
            notes=(*old.notes, _note(storage.shape[1], n.shape[1], dropped)),
        ),
        of=rep,
    )


def _note(before: int, after: int, smallest: float) -> str:
    least = f", the smallest singular value that is not zero is {smallest:.1e}"
    return f"constraints leave {after} of {before} invariants{least if after < before else ''}"


def read_constraints(constraints: Any, rep: Rep) -> list[Equations]:
    """Return the matrices or operators of some constraints, which have n columns and finite norms.

    A list of matrices is a list of constraints; a vector is one equation.
    """
    n = rep.size()
    given = list(constraints) if _is_list(constraints) else [constraints]
    return [_read(each, n, rep) for each in given]


def _is_list(value: Any) -> bool:
    if not isinstance(value, list | tuple):
        return False
    return not value or all(len(getattr(item, "shape", ())) == 2 for item in value)


def _read(value: Any, n: int, rep: Rep) -> Equations:
    is_applied = is_sparse(value) or (hasattr(value, "shape") and hasattr(value, "matmat"))
    if isinstance(value, LinearOperator) and not value.shape[1:] == (n,):
        raise _wrong_shape(value.shape, n, rep)
    if isinstance(value, LinearOperator) or is_applied:
        if len(value.shape) != 2 or value.shape[1] != n:
            raise _wrong_shape(value.shape, n, rep)
        matrix: Any = value
    else:
        try:
            matrix = np.asarray(value)
            matrix = matrix.astype(np.result_type(matrix.dtype, np.float64))
        except (TypeError, ValueError):
            raise InvalidRep(
                f"constraints are a matrix or an operator with n columns, or a list of them, "
                f"not {value!r}"
            ) from None
        matrix = matrix[None] if matrix.ndim == 1 else matrix
        if matrix.ndim != 2 or matrix.shape[1] != n:
            raise _wrong_shape(matrix.shape, n, rep)
    scale = _norm(matrix)
    if not math.isfinite(scale):
        raise InvalidRep(f"the constraints on {rep} have entries that are not finite")
    return Equations(matrix, scale or 1.0)


def _wrong_shape(shape: Sequence[int], n: int, rep: Rep) -> InvalidRep:
    return InvalidRep(
        f"constraints on {rep} are matrices with {n:,} columns, one for each of its coordinates; "
        f"this one has the shape {tuple(shape)}"
    )


def _norm(matrix: Any) -> float:
    """Return the spectral norm; of large matrices and operators a lower bound, from vectors."""
    if isinstance(matrix, np.ndarray) and max(matrix.shape, default=0) <= _DENSE_UP_TO:
        return spectral_norm(matrix) if np.all(np.isfinite(matrix)) else math.inf
    n = matrix.shape[1]
    vectors = np.random.default_rng(6).standard_normal((n, _VECTORS)) / math.sqrt(max(1, n))
    images = np.asarray(matrix @ vectors)
    largest = float(np.abs(images).max(initial=0.0))
    if not largest or not math.isfinite(largest):
        return math.inf if largest else 0.0
    return largest * float(np.linalg.norm(images / largest, axis=0).max())


def _on_basis(equations: Sequence[Equations], storage: Storage) -> Inexact[np.ndarray, "m r"]:
    """Return C Q for all constraints, one below the other."""
    rows = sum(each.matrix.shape[0] for each in equations)
    r = storage.shape[1]
    require_memory(4 * 16 * max(rows, r) * r, f"constraints with {rows:,} rows on {r:,} invariants")
    parts = []
    for block in storage.columns(_BLOCK_BYTES):
        images = [each.times(block) for each in equations]
        stacked = np.concatenate(images) if images else np.zeros((0, block.shape[1]))
        parts.append(stacked)
    whole = np.concatenate(parts, axis=1) if parts else np.zeros((rows, 0))
    if np.iscomplexobj(whole) and not np.issubdtype(storage.dtype, np.complexfloating):
        whole = np.concatenate([whole.real, whole.imag])
    return whole


def _null_space(
    matrix: Inexact[np.ndarray, "m r"], tolerances: Tolerances, rep: Rep
) -> tuple[Inexact[np.ndarray, "r s"], float, float]:
    """Return an orthonormal basis of the null space, and the singular values on both sides of zero.

    These are the largest that counts as zero, and the smallest that does not (infinite if there is
    none). The basis is a fixed random matrix, projected and made orthonormal: that of a singular
    value decomposition depends on the machine.
    """
    m, r = matrix.shape
    if not np.all(np.isfinite(matrix)):
        raise InvalidRep(f"the constraints on {rep} have values that are not finite")
    if m > r:
        matrix = np.linalg.qr(matrix)[1]
    _, values, rows = np.linalg.svd(matrix, full_matrices=True)
    doubtful = values[(values > tolerances.null) & (values < tolerances.distinct)]
    if doubtful.size:
        raise AmbiguousRank(
            f"the rank is ambiguous: on the invariants of {rep} the constraints have the singular "
            f"value {doubtful.max():.2g} of their norm, neither rounding ({tolerances.null:.0e}) "
            f"nor clearly more ({tolerances.distinct:.0e}). Were they rounded? Give more digits"
        )
    nonzero = int((values >= tolerances.distinct).sum())
    kept = float(values[nonzero:].max(initial=0.0))
    dropped = float(values[nonzero - 1]) if nonzero else math.inf
    null = rows[nonzero:].conj().T
    if not null.shape[1]:
        return null, kept, dropped
    fixed = np.random.default_rng(9).standard_normal((r, null.shape[1]))
    q, triangle = np.linalg.qr(null @ (null.conj().T @ fixed))
    diagonal = np.diag(triangle)
    phases = np.where(diagonal == 0, 1.0, diagonal / np.where(diagonal == 0, 1.0, np.abs(diagonal)))
    found: Inexact[np.ndarray, "r s"] = q * phases
    leak = float(np.abs(found - null @ (null.conj().T @ found)).max(initial=0.0))
    return (found if leak < tolerances.null else null), kept, dropped


def _require_every_row(
    equations: Equations, storage: Storage, tolerances: Tolerances, rep: Rep
) -> None:
    """Raise `AmbiguousRank` for a row of C that the columns violate, relative to its own entries.

    Beside much larger rows it counted as zero. Only the user knows whether it is an equation in
    other units, or rounding errors.
    """
    sizes = equations.row_sizes
    if sizes is None or not sizes.size:
        return
    images = [
        np.abs(equations.times(block)).max(axis=1, initial=0.0)
        for block in storage.columns(_BLOCK_BYTES)
    ]
    worst = np.max([np.zeros(len(sizes)), *images], axis=0)
    violated = np.divide(worst, sizes, out=np.zeros(len(sizes)), where=sizes > 0)
    row = int(violated.argmax())
    if violated[row] > tolerances.distinct:
        raise AmbiguousRank(
            f"the rank is ambiguous: the entries of row {row} of the constraints on {rep} are at "
            f"most {sizes[row]:.1g} of their norm, so the row may be an equation or rounding "
            f"errors. Multiply it by a large number, or set it to zero"
        )


def _residual(equations: Equations, storage: Storage) -> float:
    """Return a bound on ‖CQ‖ relative to ‖C‖: the Frobenius norm."""
    squares: list[Float[np.ndarray, " k"]] = [
        (np.abs(equations.times(block)) ** 2).sum(axis=0) for block in storage.columns(_BLOCK_BYTES)
    ]
    return math.sqrt(float(sum(part.sum() for part in squares)))
