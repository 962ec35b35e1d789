"""Compute and check the matrices of a user-defined rep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.arrays import double_precision, is_sparse
from intertwine.errors import InvalidRep, TooLarge
from intertwine.groups.generators import Generator
from intertwine.memory import require_memory
from intertwine.operators import LinearOperator, Permutation, as_signed_permutation, dense
from intertwine.operators.permutation import exact_permutation
from intertwine.reps.syntax import Rep

MAX_OWN_SIZE = 20_000
"""The largest user-defined rep: its matrices are dense (3.2 GB each at this size)."""
_AT_ONCE = 24  # matrices of one rep in memory while it is checked
_AT_FIRST = 4  # … before it is known whether they are permutations


def matrix_of(atom: Rep, name: str, element: Inexact[np.ndarray, "d d"]) -> Any:
    """Return ρ(g) or dρ(A) as a finite square matrix in double precision.

    Raises `InvalidRep` if a user-defined rep returns anything else, and `TooLarge` if its matrix
    does not fit into memory.
    """
    return _computed(atom, name, element, keeps_permutations=False)


def image_of(atom: Rep, element: Generator) -> Generator:
    """Return ρ(g) as a `Permutation` if its entries are exactly those of one, else as `matrix_of`.

    A permutation needs only the memory of its indices. rho gets a dense array.
    """
    found: Generator = _computed(atom, "rho", np.asarray(dense(element)), keeps_permutations=True)
    return found


def _computed(
    atom: Rep, name: str, element: Inexact[np.ndarray, "d d"], *, keeps_permutations: bool
) -> Any:
    try:
        with double_precision():
            found = getattr(atom, name)(element)
            if keeps_permutations and (isinstance(found, Permutation) or is_sparse(found)):
                permutation = exact_permutation(found)
                if permutation is not None:
                    return permutation
            matrix = _as_array(atom, name, found)
        if keeps_permutations and matrix.dtype.kind in "iufc":
            permutation = exact_permutation(matrix)
            if permutation is not None:
                return permutation
        return _checked_matrix(atom, name, matrix)
    except MemoryError as error:
        raise TooLarge(
            f"{name} of {atom!r} needs more memory than there is: its matrices are dense"
        ) from error


@dataclass(frozen=True)
class IdentityImage:
    """The size of ρ(1), and its largest difference from 1 (None if only its shape was read)."""

    size: int
    error: float | None = None


def measured_identity(atom: Rep) -> IdentityImage:
    """Measure ρ(1). Of an operator or a large array, only the shape is read."""
    element = np.eye(atom.G.d)
    try:
        with double_precision():
            found = atom.rho(element)
    except MemoryError as error:
        raise TooLarge(f"rho of {atom!r} needs more memory than there is, for ρ(1)") from error
    if isinstance(found, LinearOperator):
        return IdentityImage(int(found.shape[0]))
    matrix = _as_array(atom, "rho", found)
    if matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] > MAX_OWN_SIZE:
        return IdentityImage(int(matrix.shape[0]))
    if matrix.dtype.kind in "iufc":
        permutation = exact_permutation(matrix)
        if permutation is not None:
            return IdentityImage(len(matrix), difference_from_one(permutation))
    checked = _checked_matrix(atom, "rho", matrix)
    return IdentityImage(len(checked), difference_from_one(checked))


def difference_from_one(image: Generator) -> float:
    """Return the largest entry of |M − 1|."""
    if isinstance(image, Permutation):
        is_one = image.signs is None and np.array_equal(
            image.indices, np.arange(len(image.indices))
        )
        return 0.0 if is_one else 1.0
    difference = image.copy()
    difference[np.diag_indices(len(difference))] -= 1
    return float(np.abs(difference).max(initial=0.0))


def refuse_large(atom: Rep, n: int) -> None:
    """Raise `TooLarge` if the first matrices of a user-defined rep of this size do not fit."""
    _require_room(atom, n, _AT_FIRST)


def refuse_large_images(atom: Rep, part: Rep, generators: Sequence[Generator]) -> None:
    """Raise `TooLarge` if the images of generators under a functor's rep do not fit: permutations
    remain permutations, other matrices are dense, as are those of its part.
    """
    n, whole = atom.size(), part.size()  # a determinant is smaller than its part
    if whole > MAX_OWN_SIZE:
        raise TooLarge(
            f"{part!r} has {whole:,} dimensions, and {atom!r} is computed from its dense matrices; "
            f"at most {MAX_OWN_SIZE:,} are allowed"
        )
    require_memory(16 * whole * whole, f"{part!r} in dense matrices")
    if all(as_signed_permutation(generator) is not None for generator in generators):
        require_memory(16 * (len(generators) + _AT_ONCE) * n, f"{atom!r} in permutations")
    else:
        if n > MAX_OWN_SIZE:
            raise TooLarge(
                f"{atom!r} has {n:,} dimensions, and its matrices are dense; at most "
                f"{MAX_OWN_SIZE:,} are allowed for a rep that is not a sum or product"
            )
        require_memory(16 * (len(generators) + _AT_FIRST) * n * n, f"{atom!r} in dense matrices")


def _as_array(atom: Rep, name: str, found: Any) -> Any:
    """Convert the result of rho or drho to an array; operators past `MAX_OWN_SIZE` are rejected."""
    if isinstance(found, LinearOperator) or is_sparse(found):
        refuse_large(atom, int(max(found.shape)))
        return np.asarray(dense(found) if isinstance(found, LinearOperator) else found.toarray())
    try:
        return np.asarray(found)
    except ValueError as error:
        raise InvalidRep(f"{name} of {atom!r} does not return a matrix: {error}") from None


def _checked_matrix(atom: Rep, name: str, matrix: Any) -> Any:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InvalidRep(f"{name} of {atom!r} returns an array of shape {matrix.shape}, not (n, n)")
    kept = len(atom.G.lie_generators) + len(atom.G.group_generators) + _AT_ONCE
    _require_room(atom, matrix.shape[0], kept)
    if not np.issubdtype(matrix.dtype, np.number) or not np.all(np.isfinite(matrix)):
        raise InvalidRep(
            f"{name} of {atom!r} returns entries that are not finite numbers:\n{matrix}"
        )
    # a copy: rho may write all its results into one array
    return matrix.astype(np.result_type(matrix.dtype, np.float64))


def _require_room(atom: Rep, n: int, matrices: int) -> None:
    if n > MAX_OWN_SIZE:
        raise TooLarge(
            f"{atom!r} has {n:,} dimensions, and its matrices are dense; at most "
            f"{MAX_OWN_SIZE:,} are allowed for a user-defined rep. Write it as a sum or product of "
            f"smaller ones"
        )
    require_memory(16 * matrices * n * n, f"{atom!r} in dense matrices")
