"""A basis of the same span with few entries, as a textbook would write it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Inexact, Int, Num

from intertwine.bases import Basis
from intertwine.errors import FormatError, NotConverged
from intertwine.memory import require_memory
from intertwine.reps import Rep
from intertwine.vis.clusters import cluster_rows, random_vectors

SPAN_TOLERANCE = 1e-8
"""The largest ‖P − P'‖ between the given span and that of the result."""
_ZERO = 1e-10
"""Entries below this, relative to a column's largest, are zeros."""
_NEARLY_ZERO = 1e-5
"""Entries below this are tried as zeros after a descent."""
_RANDOM_STARTS = 3
_FIRST_START = 0.3
"""The spread of the initial weights of a descent. With equal ones, symmetric points are saddles,
which rounding leaves differently on every processor."""
_RANDOM_START = 2.0
_MARGIN = 1e-6
"""Values closer than this, relatively, are ties: their place decides, not rounding."""
_CUT = 1e-12
"""Relative singular values below this are zeros in least squares; weights range from 1 to 1e5."""
_PAIRED = 20_000_000
"""The most numbers that are searched for sums of two vectors, r² of m entries."""
_SMOOTHING = np.geomspace(0.1, 1e-5, 16)
"""The ε of a descent; starting from 1 ended in worse minima (SO(3) V⁴ → V³, Sp(2) V⁶)."""


def sparsify_basis(
    Q: Basis | Rep | Num[Any, "n r"], *, seed: int = 0
) -> Inexact[np.ndarray, "n r"]:
    """Return a basis X of the span of Q with few nonzero entries, dense, of shape (n, r).

    The largest entry of each column is 1, rounding errors of 0 and ±1 are removed, and columns are
    sorted by where they begin. X is real whenever the span has a real basis, and is in general not
    orthogonal: for SO(3) and V² → V² it is δᵢⱼδₖₗ, δᵢₖδⱼₗ, δᵢₗδⱼₖ.

    Q may be a `Basis`, an array with independent columns, or a concrete rep, which is solved. Rows
    of Q that are multiples of each other are zero together, so only different directions are kept,
    with their numbers. An echelon form at pivoted rows is a first sparse basis. Then each vector in
    turn is replaced by the sparsest one found among its sums with multiples of the others, which
    keeps the span; since bases are a matroid, one that no such exchange improves is the sparsest of
    all. The search is by reweighted least squares (Chartrand and Yin 2008). Finding the sparsest
    basis is NP-hard, so it is not guaranteed; that the result is a basis is, by comparison with Q.
    Among equally sparse vectors the one with the most entries 1 is taken, and of those the one
    whose entries begin first, so that the result does not depend on the processor: {identity,
    trace}, and not {identity, identity − trace}.

    Raises `FormatError` for an array that is not a basis, `TooLarge` if dense bases do not fit, and
    `NotConverged` if the result does not span what Q does.
    """
    given = _independent_columns(_matrix(Q))
    if given.shape[1] == 0:
        return given
    directions, counts, place, factors = _directions(given)
    sparse = _echelon(directions)
    for members in _blocks(np.abs(sparse) > _ZERO):
        rows = np.any(np.abs(sparse[:, members]) > _ZERO, axis=1)
        block = sparse[np.ix_(rows, members)]
        entries = np.flatnonzero((place >= 0) & rows[place])
        content = _Content(np.cumsum(rows)[place[entries]] - 1, factors[entries], counts[rows])
        sparse[np.ix_(rows, members)] = _exchange(block, content, np.random.default_rng(seed))
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
    """Return orthonormal columns of the same span, real ones if possible."""
    wanted = matrix.shape[1]
    dtype = np.result_type(matrix.dtype, np.float64)
    if wanted == 0 or (dtype == np.float64 and _is_orthonormal(matrix)):
        return matrix.real.astype(np.float64)
    u, s, _ = np.linalg.svd(matrix.astype(dtype), full_matrices=False)
    if len(s) < wanted or not s[-1] > _ZERO * s[0]:
        rank = int(np.sum(s > _ZERO * s[0]))
        raise FormatError(
            f"the {wanted} columns are not a basis: they span {rank} dimensions. Remove those "
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
    """Return the rows up to multiples: unit rows, how often each occurs, and row i as factorᵢ times
    the direction placeᵢ; a zero row has place −1.
    """
    lengths = np.linalg.norm(matrix, axis=1)
    kept = lengths > _ZERO * lengths.max(initial=0.0)
    units = np.where(kept, 1 / np.where(kept, lengths, 1.0), 0.0)[:, None] * matrix
    place, signs = cluster_rows(units @ random_vectors(units.shape[1], units.dtype))
    first = np.unique(place[place >= 0], return_index=True)[1]
    directions = units[place >= 0][first]
    return directions, np.bincount(place[place >= 0]), place, lengths * signs


def _echelon(directions: Inexact[np.ndarray, "m r"]) -> Inexact[np.ndarray, "m r"]:
    """Return the basis of the same span that is the identity at r rows, chosen by pivoting: each
    time the first row among those furthest from the span of the rows before.
    """
    rest, pivots = directions.copy(), []
    for _ in range(directions.shape[1]):
        lengths = np.linalg.norm(rest, axis=1)
        pivots.append(int(np.argmax(lengths >= (1 - _MARGIN) * lengths.max())))
        unit = rest[pivots[-1]] / lengths[pivots[-1]]
        for _ in range(2):  # the second time removes what rounding left
            rest -= np.outer(rest @ unit.conj(), unit)
    basis: Inexact[np.ndarray, "m r"] = np.linalg.solve(directions[pivots].T, directions.T).T
    basis[np.abs(basis) <= _ZERO] = 0
    return basis


def _blocks(nonzero: Bool[np.ndarray, "m r"]) -> list[Int[np.ndarray, " _"]]:
    """Return the groups of columns that share rows, directly or through others."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    incidence = csr_array(nonzero.astype(np.int64))
    count, labels = connected_components(incidence.T @ incidence, directed=False)
    return [np.flatnonzero(labels == block) for block in range(count)]


@dataclass(frozen=True)
class _Content:
    """Vectors over directions, in full: entry i is factorᵢ times the direction placeᵢ."""

    place: Int[np.ndarray, " n"]
    factors: Inexact[np.ndarray, " n"]
    counts: Int[np.ndarray, " m"]

    def cost(self, vector: Inexact[np.ndarray, " m"]) -> int:
        """Return the number of nonzero entries."""
        return int(self.counts @ (vector != 0))

    def order(self, vector: Inexact[np.ndarray, " m"]) -> tuple[Any, ...]:
        """Return the rank of a vector among those of equal cost, the least first: the number of
        entries other than 1 when the largest is 1, the places of its entries, and their values to a
        few digits.
        """
        full = _cleaned(_scaled((self.factors * vector[self.place])[:, None]))[:, 0]
        places = np.flatnonzero(full)
        values = np.round(full[places] / _MARGIN).view(np.float64)
        other = int(np.sum(np.abs(full[places] - 1) > _MARGIN))
        return other, places.tolist(), (-values).tolist()


def _exchange(
    block: Inexact[np.ndarray, "m r"], content: _Content, rng: np.random.Generator
) -> Inexact[np.ndarray, "m r"]:
    """Replace one column after another by a better one, until none is found: a sparser one, or the
    first among equally sparse ones.
    """
    columns = block.copy()
    improved = columns.shape[1] > 1
    while improved:
        improved = False
        costs = content.counts @ (columns != 0)
        for j in np.argsort(-costs, kind="stable"):
            others = np.delete(columns, j, axis=1)
            kept = columns[:, j]
            kept_cost, kept_order = content.cost(kept), content.order(kept)
            for found in _candidates(kept, others, content, rng):
                cost = content.cost(found)
                if cost > kept_cost or (cost == kept_cost and np.array_equal(found, kept)):
                    continue
                order = content.order(found)
                if (cost, order) < (kept_cost, kept_order):
                    kept, kept_cost, kept_order = found, cost, order
            if kept is not columns[:, j] and not np.array_equal(kept, columns[:, j]):
                columns[:, j], improved = kept, True
    return columns


def _candidates(
    column: Inexact[np.ndarray, " m"],
    others: Inexact[np.ndarray, "m k"],
    content: _Content,
    rng: np.random.Generator,
) -> Iterator[Inexact[np.ndarray, " m"]]:
    """Yield sparse sums of a column with multiples of the others."""
    for sigma in (_FIRST_START, *[_RANDOM_START] * _RANDOM_STARTS):
        weights = rng.lognormal(sigma=sigma, size=len(column))
        yield _sparsest(column, others, weights, content.counts)
    if column.size * others.shape[1] ** 2 > _PAIRED:
        return
    for other in others.T:
        common = (column != 0) & (other != 0)
        added = content.counts @ ((other != 0) & (column == 0))
        if content.counts @ common < added or not common.any():
            continue
        ratios = column[common] / other[common]
        labels = np.round(ratios / _MARGIN) * _MARGIN
        inverse = np.unique(labels, return_inverse=True)[1]
        gains = np.bincount(inverse, weights=content.counts[common])
        for k in np.flatnonzero(gains >= added):
            ratio = ratios[np.argmax(inverse == k)]
            found = column - ratio * other
            found = found / np.abs(found).max()
            yield np.where(np.abs(found) > _ZERO, found, 0)


def _sparsest(
    column: Inexact[np.ndarray, " m"],
    others: Inexact[np.ndarray, "m k"],
    weights: Float[np.ndarray, " m"],
    counts: Int[np.ndarray, " m"],
) -> Inexact[np.ndarray, " m"]:
    """Return a sparse x = column + others c, of largest entry 1: a local minimum of Σ
    counts·log(|x|² + ε²) as ε falls, in which nearly zero entries are then made exactly zero.
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
    """Return column + others c of the least weighted length."""
    from scipy.linalg import lstsq

    used = weights > 0
    a, b = weights[used, None] * others[used], weights[used] * column[used]
    found: Inexact[np.ndarray, " m"] = (
        column - others @ lstsq(a, b, cond=_CUT, lapack_driver="gelsy")[0]
    )
    return found


def _scaled(matrix: Inexact[np.ndarray, "n r"]) -> Inexact[np.ndarray, "n r"]:
    """Return the columns scaled to a largest entry of 1, the first among equals."""
    sizes = np.abs(matrix)
    first = np.argmax(sizes >= (1 - _ZERO) * sizes.max(axis=0), axis=0)
    scaled: Inexact[np.ndarray, "n r"] = matrix / matrix[first, np.arange(matrix.shape[1])]
    return scaled


def _cleaned(matrix: Inexact[np.ndarray, "n r"]) -> Inexact[np.ndarray, "n r"]:
    """Return 0, 1 and −1 without rounding errors, in real and imaginary parts alike."""
    if np.iscomplexobj(matrix):
        return _cleaned(matrix.real) + 1j * _cleaned(matrix.imag)
    whole = np.round(matrix)
    return np.where(np.abs(matrix - whole) <= _ZERO, whole + 0.0, matrix)  # + 0.0: no −0


def _in_order(matrix: Inexact[np.ndarray, "n r"]) -> Inexact[np.ndarray, "n r"]:
    """Return the columns sorted by where their nonzero entries are."""
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
