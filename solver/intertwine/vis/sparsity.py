"""A basis of the same span with few entries: the one that a textbook would write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Inexact, Int, Num

from intertwine.bases import Basis
from intertwine.errors import FormatError, NotConverged
from intertwine.memory import require_memory
from intertwine.reps import Rep
from intertwine.vis.clusters import cluster_rows, random_vectors

SPAN_TOLERANCE = 1e-8
"""The largest ‖P − P'‖ between the span that was given and that of the result."""
_ZERO = 1e-10
"""Entries below are zeros, relative to a column's largest."""
_NEARLY_ZERO = 1e-5
"""Entries below are tried as zeros after a descent."""
_RANDOM_STARTS = 3
_SMOOTHING = np.geomspace(0.1, 1e-5, 16)
"""The ε of a descent; from 1 on it ends in worse minima, by trying (SO(3) V⁴ → V³, Sp(2) V⁶)."""


def sparsify_basis(
    Q: Basis | Rep | Num[Any, "n r"], *, seed: int = 0
) -> Inexact[np.ndarray, "n r"]:
    """A basis X of the span of Q with few nonzero entries, as a dense matrix of shape (n, r).

    The largest entry of each column is 1, rounding errors of 0 and ±1 are removed, and columns
    are sorted by where they begin. X is real wherever the span has a real basis, and is in
    general not orthogonal: for SO(3) and V² → V² it is δᵢⱼδₖₗ, δᵢₖδⱼₗ, δᵢₗδⱼₖ.

    Q may be a `Basis`, an array whose columns are independent, or a concrete rep, which is
    solved. Rows of Q that are multiples of each other are zero together, so only different
    directions are kept, with their numbers. An echelon form at pivoted rows is a first sparse
    basis. Then each vector in turn is replaced by the sparsest that is found among its sums with
    multiples of the others, which leaves a basis of the same span; bases being a matroid, one in
    which no such exchange helps is the sparsest of all. The search is by reweighted least squares
    (Chartrand and Yin 2008). To find the sparsest is NP-hard, so the result is not promised to be
    that; it is promised to be a basis, and is compared with Q before it is returned.

    Raises `FormatError` for an array that holds no basis, `TooLarge` where dense ones do not fit,
    and `NotConverged` where the result does not span what Q does.
    """
    given = _independent_columns(_matrix(Q))
    if given.shape[1] == 0:
        return given
    directions, counts, place, factors = _directions(given)
    sparse = _echelon(directions)
    for members in _blocks(np.abs(sparse) > _ZERO):
        rows = np.any(np.abs(sparse[:, members]) > _ZERO, axis=1)
        block = sparse[np.ix_(rows, members)]
        sparse[np.ix_(rows, members)] = _exchange(block, counts[rows], np.random.default_rng(seed))
    result = np.zeros_like(given)
    kept = place >= 0
    result[kept] = factors[kept, None] * sparse[place[kept]]
    result = _in_order(_cleaned(_scaled(result)))
    _require_same_span(given, result)
    return result


def _matrix(Q: Basis | Rep | Num[Any, "n r"]) -> Inexact[np.ndarray, "n r"]:
    basis = Q.equivariant_basis() if isinstance(Q, Rep) else Q
    if isinstance(basis, Basis):
        require_memory(6 * basis.dense_bytes, f"to sparsify a basis of shape {basis.shape}")
        return basis.dense()
    matrix = np.asarray(basis)
    if matrix.ndim != 2 or not np.all(np.isfinite(matrix)):
        raise FormatError(
            f"a basis is a finite matrix of shape (n, r), not an array of shape {matrix.shape}"
            + ("" if matrix.ndim != 2 else " with NaN or infinities")
        )
    return matrix


def _independent_columns(matrix: Inexact[np.ndarray, "n r"]) -> Inexact[np.ndarray, "n r"]:
    """Orthonormal columns of the same span, real ones where there are."""
    wanted = matrix.shape[1]
    dtype = np.result_type(matrix.dtype, np.float64)
    if wanted == 0 or (dtype == np.float64 and _is_orthonormal(matrix)):
        return matrix.astype(np.float64)
    u, s, _ = np.linalg.svd(matrix.astype(dtype), full_matrices=False)
    if len(s) < wanted or not s[-1] > _ZERO * s[0]:
        rank = int(np.sum(s > _ZERO * s[0]))
        raise FormatError(
            f"the {wanted} columns are no basis: they span {rank} dimensions. Leave out those "
            f"that depend on others"
        )
    if np.issubdtype(dtype, np.complexfloating):
        both, values, _ = np.linalg.svd(np.hstack([u.real, u.imag]), full_matrices=False)
        if values[wanted:].max(initial=0.0) <= _ZERO:  # the span is that of its real vectors
            return both[:, :wanted]
    return u


def _is_orthonormal(matrix: Inexact[np.ndarray, "n r"]) -> bool:
    return bool(np.all(np.abs(matrix.T @ matrix - np.eye(matrix.shape[1])) <= _ZERO))


def _directions(
    matrix: Inexact[np.ndarray, "n r"],
) -> tuple[
    Inexact[np.ndarray, "m r"],
    Int[np.ndarray, " m"],
    Int[np.ndarray, " n"],
    Inexact[np.ndarray, " n"],
]:
    """The rows up to multiples: unit rows, how often each occurs, and row i as factorᵢ times the
    direction placeᵢ; a zero row has place −1.
    """
    lengths = np.linalg.norm(matrix, axis=1)
    kept = lengths > _ZERO * lengths.max(initial=0.0)
    units = np.where(kept, 1 / np.where(kept, lengths, 1.0), 0.0)[:, None] * matrix
    place, signs = cluster_rows(units @ random_vectors(units.shape[1], units.dtype))
    first = np.unique(place[place >= 0], return_index=True)[1]
    directions = units[place >= 0][first]
    return directions, np.bincount(place[place >= 0]), place, lengths * signs


def _echelon(directions: Inexact[np.ndarray, "m r"]) -> Inexact[np.ndarray, "m r"]:
    """The basis of the same span that is the identity at r rows, chosen by pivoting."""
    from scipy.linalg import qr

    _, _, order = qr(directions.conj().T, mode="economic", pivoting=True)
    pivots = order[: directions.shape[1]]
    basis: Inexact[np.ndarray, "m r"] = np.linalg.solve(directions[pivots].T, directions.T).T
    basis[np.abs(basis) <= _ZERO] = 0
    return basis


def _blocks(nonzero: Bool[np.ndarray, "m r"]) -> list[Int[np.ndarray, " _"]]:
    """The columns that share rows, directly or by way of others."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    incidence = csr_array(nonzero.astype(np.int64))
    count, labels = connected_components(incidence.T @ incidence, directed=False)
    return [np.flatnonzero(labels == block) for block in range(count)]


def _exchange(
    block: Inexact[np.ndarray, "m r"], counts: Int[np.ndarray, " m"], rng: np.random.Generator
) -> Inexact[np.ndarray, "m r"]:
    """Replace one column after another by a sparser one, until none is found."""
    columns = block.copy()
    improved = columns.shape[1] > 1
    while improved:
        improved = False
        costs = counts @ (columns != 0)
        for j in np.argsort(-costs, kind="stable"):
            others = np.delete(columns, j, axis=1)
            for start in _starts(len(columns), rng):
                found = _sparsest(columns[:, j], others, start, counts)
                if counts @ (found != 0) < counts @ (columns[:, j] != 0):
                    columns[:, j], improved = found, True
    return columns


def _starts(size: int, rng: np.random.Generator) -> Iterator[Float[np.ndarray, " m"]]:
    """Weights to begin a descent with: all alike, then at random."""
    yield np.ones(size)
    for _ in range(_RANDOM_STARTS):
        yield rng.lognormal(sigma=2.0, size=size)


def _sparsest(
    column: Inexact[np.ndarray, " m"],
    others: Inexact[np.ndarray, "m k"],
    weights: Float[np.ndarray, " m"],
    counts: Int[np.ndarray, " m"],
) -> Inexact[np.ndarray, " m"]:
    """A sparse x = column + others c, of largest entry 1: a local minimum of
    Σ counts·log(|x|² + ε²) as ε falls, after which what is nearly zero is made zero exactly.
    """
    found = column
    for smoothing in _SMOOTHING:
        found = _nearest_to_zero(column, others, np.sqrt(weights))
        found = found / np.abs(found).max()
        weights = counts / (np.abs(found) ** 2 + smoothing**2)
    found = _nearest_to_zero(column, others, (np.abs(found) <= _NEARLY_ZERO).astype(float))
    found = found / np.abs(found).max()
    return np.where(np.abs(found) > _ZERO, found, 0)


def _nearest_to_zero(
    column: Inexact[np.ndarray, " m"],
    others: Inexact[np.ndarray, "m k"],
    weights: Float[np.ndarray, " m"],
) -> Inexact[np.ndarray, " m"]:
    """column + others c of the least weighted length."""
    from scipy.linalg import lstsq

    used = weights > 0
    a, b = weights[used, None] * others[used], weights[used] * column[used]
    found: Inexact[np.ndarray, " m"] = column - others @ lstsq(a, b, lapack_driver="gelsy")[0]
    return found


def _scaled(matrix: Inexact[np.ndarray, "n r"]) -> Inexact[np.ndarray, "n r"]:
    """Columns whose largest entry, the first among equals, is 1."""
    sizes = np.abs(matrix)
    first = np.argmax(sizes >= (1 - _ZERO) * sizes.max(axis=0), axis=0)
    scaled: Inexact[np.ndarray, "n r"] = matrix / matrix[first, np.arange(matrix.shape[1])]
    return scaled


def _cleaned(matrix: Inexact[np.ndarray, "n r"]) -> Inexact[np.ndarray, "n r"]:
    """0, 1 and −1 without rounding errors, in real and imaginary parts alike."""
    if np.iscomplexobj(matrix):
        return _cleaned(matrix.real) + 1j * _cleaned(matrix.imag)
    whole = np.round(matrix)
    return np.where(np.abs(matrix - whole) <= _ZERO, whole + 0.0, matrix)  # + 0.0: no −0


def _in_order(matrix: Inexact[np.ndarray, "n r"]) -> Inexact[np.ndarray, "n r"]:
    """Columns sorted by where their nonzero entries are."""
    places = [np.flatnonzero(column).tolist() for column in matrix.T]
    return matrix[:, sorted(range(matrix.shape[1]), key=places.__getitem__)]


def _require_same_span(
    given: Inexact[np.ndarray, "n r"], found: Inexact[np.ndarray, "n r"]
) -> None:
    """Raise `NotConverged` unless both span the same space; `given` has orthonormal columns."""
    if not np.all(np.isfinite(found)):
        raise NotConverged("no sparse basis was found: the search overflowed. Try another seed")
    unit, triangle = np.linalg.qr(found / np.linalg.norm(found, axis=0))
    # of two spaces of one dimension ‖P − P'‖ is the sine of their largest angle
    distance = np.linalg.norm(unit - given @ (given.conj().T @ unit), 2)
    smallest = np.linalg.svd(triangle, compute_uv=False)[-1]
    if not (distance <= SPAN_TOLERANCE and smallest > SPAN_TOLERANCE):
        raise NotConverged(
            f"no sparse basis was found: the best spans another space, at a distance of "
            f"{distance:.3g} (at most {SPAN_TOLERANCE:.3g} is allowed), with a smallest singular "
            f"value of {smallest:.3g}. Try another seed"
        )
