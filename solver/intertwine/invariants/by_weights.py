"""Invariants of abelian groups: the products of weight vectors whose weights cancel.

This is the part of the method `irreps` for large reps of groups whose generators are diagonal in
one unitary frame, such as tori and ℤ_n. Weights of Lie generators add up to 0, and those of
discrete ones multiply to 1. Nothing larger than the invariants themselves is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, prod

import numpy as np
from jaxtyping import Bool, Complex, Float, Inexact, Int

from intertwine.bases.sparse import SparseStorage
from intertwine.errors import AmbiguousRank
from intertwine.invariants.problem import Problem, middle
from intertwine.invariants.tolerances import Tolerances
from intertwine.irreps.abelian_weights import Weights
from intertwine.memory import require_memory
from intertwine.reps.syntax import tensor

_AT_ONCE = 2**22
"""The number of pairs of half products, or of entries of vectors, that are computed together."""
_ROUNDING = 1e-15  # entries below are zeros of a vector
_MOST_ENTRIES = 2**26
"""The most entries of a basis by weights (1 GB). Products of many slots have few different weights,
which the irreps' decompositions store in less memory."""
_PER_PAIR = 64  # bytes
_PER_ENTRY = 64


@dataclass(frozen=True)
class MatchedWeights:
    """The basis, bounds on its residual for each generator as given (Lie ones first) and on its
    orthonormality, and a lower bound of the gap between weights that cancel and others.
    """

    storage: SparseStorage
    residuals: tuple[float, ...]
    orthonormality: float
    gap: float


def is_by_weights(problem: Problem, tolerances: Tolerances) -> bool:
    """Return whether the invariants of a product are found by its weights: it has weights, and the
    basis has at most 2²⁶ entries.
    """
    slots = problem.weights
    if slots is None:
        return False
    halves = _Halves(problem, slots, tolerances.distinct)
    width = prod(each.places.shape[1] for each in slots)
    entries: int = int(halves.counts.sum()) * width
    return entries <= _MOST_ENTRIES


def match_weights(
    problem: Problem, slots: tuple[Weights, ...], tolerances: Tolerances
) -> MatchedWeights:
    """Return the invariants of a product, from the weights in its slots.

    Raises `AmbiguousRank` if weights nearly cancel, and `TooLarge` if the invariants do not fit
    into memory.
    """
    norms = _norms(problem, slots)
    allowed = tolerances.null * np.maximum(1.0, norms)
    found = cancelling(problem, slots, tolerances.distinct)
    is_zero = np.all(found.violations <= allowed, axis=1)
    if not is_zero.all():
        worst = float(found.violations[~is_zero].max(axis=1).min())
        raise AmbiguousRank(
            f"the rank is ambiguous: some weights of {tensor(problem.atoms)} cancel up to "
            f"{worst:.2g}, which is neither rounding nor clearly nonzero. Were the generators "
            f"rounded? Give more digits, or exact entries"
        )
    storage = _storage(problem, slots, found.places)
    stretch = prod(1 + each.defect for each in slots)
    errors = sum((each.errors for each in slots), start=np.zeros(len(norms)))
    largest = found.violations.max(axis=0, initial=0.0)
    residuals = stretch * (errors + largest)
    below = float(largest.max(initial=0.0))
    return MatchedWeights(
        storage,
        tuple(map(float, residuals)),
        storage.orthonormality(),
        found.apart / below if below else inf,
    )


def count_nearly_cancelling(
    problem: Problem, slots: tuple[Weights, ...], tolerance: float
) -> tuple[int, float]:
    """Count the products of weight vectors on which the constraints, stacked and divided by their
    scale, are below a tolerance. Return the number and the largest value.
    """
    lie = problem.lie_count
    norms = _norms(problem, slots)
    scale = float(np.sqrt((norms[:lie] ** 2).sum() + 4 * (len(norms) - lie))) or 1.0
    found = cancelling(problem, slots, tolerance * scale)
    values = np.sqrt((found.violations**2).sum(axis=1)) / scale
    values = values[values <= tolerance]
    return len(values), float(values.max(initial=0.0))


def _norms(problem: Problem, slots: tuple[Weights, ...]) -> Float[np.ndarray, " K"]:
    """Return the sum of the norms of each Lie generator in all slots; 1 for a discrete one."""
    largest = [np.abs(each.values).max(axis=0, initial=0.0) for each in slots]
    total: Float[np.ndarray, " K"] = sum(largest, start=np.zeros(slots[0].values.shape[1]))
    total[problem.lie_count :] = 1.0
    return total


@dataclass(frozen=True)
class Cancelling:
    """The products of weight vectors whose weights nearly cancel: one index for each slot, in
    lexicographic order; |Σλ| and |Πμ − 1| for each; and a lower bound of these for other products.
    """

    places: Int[np.ndarray, "m p"]
    violations: Float[np.ndarray, "m K"]
    apart: float


def cancelling(problem: Problem, slots: tuple[Weights, ...], near: float) -> Cancelling:
    """Return the products of weight vectors with |Σλ| and |Πμ − 1| at most `near` for all
    generators.

    The weights of two halves of the product are compared as points: the weights of the left half,
    and the weights that would cancel those of the right half. Points are compared pair by pair if
    they are in the same cell: within a cell, no coordinate has a step of more than `near`.
    """
    halves = _Halves(problem, slots, near)
    left, wanted, order = halves.left, halves.wanted, halves.order
    starts, counts, apart = halves.starts, halves.counts, halves.apart
    require_memory(
        _PER_PAIR * int(counts.sum()), f"comparing the weights of {tensor(problem.atoms)}"
    )
    pairs, violations = [np.zeros((0, 2), dtype=np.intp)], [np.zeros((0, left.shape[1]))]
    ends = np.cumsum(counts)
    pieces = np.unique(np.searchsorted(ends, np.arange(0, int(ends[-1]) + _AT_ONCE, _AT_ONCE)))
    for first, last in zip([0, *pieces], [*pieces, len(counts)], strict=True):
        number = counts[first:last]
        b = np.repeat(np.arange(first, last), number)
        within = np.arange(int(number.sum())) - np.repeat(np.cumsum(number) - number, number)
        a = order[np.repeat(starts[first:last], number) + within]
        distances = np.abs(left[a] - wanted[b])
        is_near = np.all(distances <= near, axis=1)
        pairs.append(np.stack([a[is_near], b[is_near]], axis=1))
        violations.append(distances[is_near])
        apart = min(apart, float(distances[~is_near].max(axis=1).min(initial=inf)))
    found, values = np.concatenate(pairs), np.concatenate(violations)
    rows = np.lexsort((found[:, 1], found[:, 0]))
    found, values = found[rows], values[rows]
    cut = middle(problem.sizes)
    columns = [
        np.stack(np.unravel_index(column, sizes), axis=1) if sizes else np.zeros((len(found), 0))
        for column, sizes in zip(found.T, (problem.sizes[:cut], problem.sizes[cut:]), strict=True)
    ]
    places = np.concatenate(columns, axis=1).astype(np.intp)
    return Cancelling(places, values, apart)


class _Halves:
    """The weights of the left half of a product (`left`), and weights that would cancel those of
    the right half (`wanted`), as points. Point i of `wanted` is compared with the points of `left`
    in its cell, ``order[starts[i] : starts[i] + counts[i]]``.
    """

    def __init__(self, problem: Problem, slots: tuple[Weights, ...], near: float) -> None:
        cut, lie = middle(problem.sizes), problem.lie_count
        count = slots[0].values.shape[1]
        self.left = _products([each.values for each in slots[:cut]], lie, count)
        right = _products([each.values for each in slots[cut:]], lie, count)
        self.wanted = np.concatenate([-right[:, :lie], right[:, lie:].conj()], axis=1)
        cells, self.apart = _cells(np.concatenate([self.left, self.wanted]), near)
        own, others = cells[: len(self.left)], cells[len(self.left) :]
        self.order = np.argsort(own, kind="stable")
        ranked = own[self.order]
        self.starts = np.searchsorted(ranked, others, side="left")
        self.counts = np.searchsorted(ranked, others, side="right") - self.starts


def _products(
    values: list[Complex[np.ndarray, "_ K"]], lie: int, count: int
) -> Complex[np.ndarray, "n K"]:
    """Return the weights of products of weight vectors, the last slot fastest."""
    found = np.zeros((1, count), dtype=complex)
    found[:, lie:] = 1
    for each in values:
        require_memory(32 * count * len(found) * len(each), "the weights of half of a product")
        sums = found[:, None, :lie] + each[None, :, :lie]
        products = found[:, None, lie:] * each[None, :, lie:]
        found = np.concatenate([sums, products], axis=2).reshape(-1, count)
    return found


def _cells(points: Complex[np.ndarray, "n K"], near: float) -> tuple[Int[np.ndarray, " n"], float]:
    """Return a cell number for each point, such that points at most `near` apart in every
    coordinate are in one cell; and a lower bound of the distance between points of different cells.
    """
    cells, apart = np.zeros(len(points), dtype=np.int64), inf
    for values in (*points.real.T, *points.imag.T):
        order = np.lexsort((values, cells))
        steps, is_other = np.diff(values[order]), np.diff(cells[order]) != 0
        is_cut = ~is_other & (steps > near)
        if not is_cut.any():
            continue
        apart = min(apart, float(steps[is_cut].min()))
        cells[order[1:]] = np.cumsum(is_other | is_cut)
        cells[order[0]] = 0
    return cells, apart


def _storage(
    problem: Problem, slots: tuple[Weights, ...], places: Int[np.ndarray, "m p"]
) -> SparseStorage:
    """Return the products of weight vectors as columns: in a real problem the real and imaginary
    parts of one of each conjugate pair, times √2.
    """
    sizes = problem.sizes
    kept, is_paired = places, np.zeros(len(places), dtype=bool)
    if not problem.is_complex:
        conjugate = np.stack(
            [_partners(each)[column] for each, column in zip(slots, places.T, strict=True)], axis=1
        )
        own, other = (np.ravel_multi_index(tuple(p.T), sizes) for p in (places, conjugate))
        kept, is_paired = places[own <= other], (own < other)[own <= other]
    width = prod(each.places.shape[1] for each in slots)
    doubled = 1 if problem.is_complex else 2
    require_memory(
        _PER_ENTRY * doubled * width * len(kept),
        f"{len(places):,} invariants of {tensor(problem.atoms)}",
    )
    columns_of = 1 + is_paired
    firsts = np.cumsum(columns_of) - columns_of
    step = max(1, _AT_ONCE // width)
    parts = [
        _columns(slots, sizes, kept[at : at + step], is_paired[at : at + step],
                 firsts[at : at + step], is_complex=problem.is_complex)
        for at in range(0, len(kept), step)
    ]  # fmt: skip
    rows, columns, values = (
        np.concatenate([part[i] for part in parts]) if parts else np.zeros(0, dtype=kind)
        for i, kind in enumerate((np.intp, np.intp, problem.dtype))
    )
    order = np.lexsort((rows, columns))
    counts = np.bincount(columns, minlength=len(places))
    return SparseStorage(
        rows[order],
        np.concatenate([[0], np.cumsum(counts)]),
        values[order],
        sizes,
        [each.frame for each in slots],
    )


def _partners(weights: Weights) -> Int[np.ndarray, " n"]:
    assert weights.partners is not None  # in a real problem every slot is real
    return weights.partners


def _columns(
    slots: tuple[Weights, ...],
    sizes: tuple[int, ...],
    places: Int[np.ndarray, "m p"],
    is_paired: Bool[np.ndarray, " m"],
    firsts: Int[np.ndarray, " m"],
    *,
    is_complex: bool,
) -> tuple[Int[np.ndarray, " e"], Int[np.ndarray, " e"], Inexact[np.ndarray, " e"]]:
    """Return the nonzero entries of products of weight vectors: rows, columns, values."""
    m = len(places)
    rows, values = np.zeros((m, 1), dtype=np.intp), np.ones((m, 1), dtype=complex)
    for each, size, chosen in zip(slots, sizes, places.T, strict=True):
        rows = (rows[:, :, None] * size + each.places[chosen][:, None, :]).reshape(m, -1)
        values = (values[:, :, None] * each.entries[chosen][:, None, :]).reshape(m, -1)
    if is_complex:
        parts = [(np.arange(m), firsts, values)]
    else:
        pairs, scale = np.flatnonzero(is_paired), np.where(is_paired, np.sqrt(2), 1.0)[:, None]
        parts = [
            (np.arange(m), firsts, scale * values.real),
            (pairs, firsts[pairs] + 1, np.sqrt(2) * values[pairs].imag),
        ]
    found = []
    for chosen, columns, entries in parts:
        at, place = np.nonzero(np.abs(entries) > _ROUNDING)
        found.append((rows[chosen][at, place], columns[at], entries[at, place]))
    at_rows, at_columns, entries = (np.concatenate(part) for part in zip(*found, strict=True))
    return at_rows, at_columns, entries
