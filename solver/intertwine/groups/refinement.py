"""The exact group nearest to one whose generators were rounded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Inexact

from intertwine.errors import InvalidGroup
from intertwine.groups.averaging import average, fix_exact, nearly_finite_group, unitary_factor
from intertwine.groups.decimals import is_dyadic
from intertwine.groups.generators import Generator
from intertwine.groups.lie_closure import close
from intertwine.groups.lie_refinement import nearest_algebra
from intertwine.groups.roots_of_unity import (
    EXACT,
    SURPRISE_OF_DIGITS,
    is_surprising,
    judge_oblique,
    judge_unitary,
    nearest_root,
)
from intertwine.groups.rounding import (
    NEARLY,
    Judgement,
    discrete_errors,
    is_unitary,
    judge,
    lie_error,
    nearly_unitary,
    unit_scale,
)
from intertwine.operators import as_signed_permutation, dense

if TYPE_CHECKING:
    from intertwine.groups.group import Group

DEFAULT_TOLERANCE = 1e-5
_COARSER = (0.1, 10.0)  # of the error: the drift of words is an estimate
_MAGNIFIED = 30.0  # an oblique frame magnifies errors
_SAME = 1e-13  # smaller changes are rounding errors
_SIMPLE = np.array([0.0, 0.5, 1.0])  # entries within `_SAME` of these become these
_DEFECTIVE = 1e6  # with a larger condition of eigenvectors, eigenvalues are not changed


@dataclass(frozen=True)
class Refinement:
    """The changes of a refinement: for each generator, by name, the largest change of an entry
    relative to the generator's largest entry.

    `precision` is the precision of generators without exact structure, such as a rotation by an
    irrational angle: made unitary, they are known to no more digits than before. Otherwise it is 0.
    """

    tolerance: float
    changes: tuple[tuple[str, float], ...]
    precision: float = 0.0

    @property
    def largest(self) -> float:
        """The largest of the changes."""
        return max((change for _, change in self.changes), default=0.0)

    @classmethod
    def joined(cls, parts: list[Refinement]) -> Refinement:
        """Join the refinements of a product's factors, with generators numbered consecutively."""
        changes: list[tuple[str, float]] = []
        for kind in ("Lie generator", "discrete generator"):
            values = [c for part in parts for name, c in part.changes if name.startswith(kind)]
            changes += [(f"{kind} {k}", change) for k, change in enumerate(values, 1)]
        precision = max(part.precision for part in parts)
        return cls(max(part.tolerance for part in parts), tuple(changes), precision)

    def __str__(self) -> str:
        moved = [f"{name} by {change:.1e}" for name, change in self.changes if change]
        return f"refined (up to {self.tolerance:g}): {', '.join(moved) or 'nothing'} changed"


@dataclass(frozen=True)
class Refined:
    """Refined generators, and the changes."""

    lie: tuple[Generator, ...]
    discrete: tuple[Generator, ...]
    refinement: Refinement


def read_tolerance(value: Any, what: str) -> float:
    """Return a tolerance above 0 and below 1. Raises `InvalidGroup` for anything else."""
    is_number = isinstance(value, int | float | np.integer | np.floating)
    if isinstance(value, bool) or not is_number or not 0 < float(value) < 1:
        raise InvalidGroup(f"{what} is a number above 0 and below 1, such as 1e-5, not {value!r}")
    return float(value)


def refine(group: Group, tolerance: float) -> Refined:
    """Return the generators of the nearest exact group.

    Discrete generators that nearly generate a finite group of at most 1,000 elements become an
    exact representation of it. Others become unitary, and their eigenvalues roots of unity, if
    they nearly are. Lie generators become anti-Hermitian and span a closed algebra, if they
    nearly do. Raises `InvalidGroup` if a generator would change by more than `tolerance`
    (relative to its largest entry), or if a defect remains.
    """
    given_lie, given_discrete = group.lie_generators, group.group_generators
    lie = [np.asarray(dense(a)) for a in given_lie]
    matrices = [np.asarray(dense(h)) for h in given_discrete]
    error = _error(lie, matrices, judge(given_lie, given_discrete))
    discrete, is_finite = _refined_discrete(matrices, error, tolerance)
    lie, is_closed = _refined_lie(lie, discrete, error)
    kept_lie = [_kept(old, _clean(new)) for old, new in zip(given_lie, lie, strict=True)]
    kept_discrete = [
        _kept(old, _clean(new)) for old, new in zip(given_discrete, discrete, strict=True)
    ]
    names = [
        *(f"Lie generator {k}" for k in range(1, len(lie) + 1)),
        *(f"discrete generator {k}" for k in range(1, len(discrete) + 1)),
    ]
    changes = map(_change, (*given_lie, *given_discrete), (*kept_lie, *kept_discrete))
    refinement = Refinement(tolerance, tuple(zip(names, changes, strict=True)))
    name, largest = max(refinement.changes, key=lambda pair: pair[1], default=("", 0.0))
    if not largest <= tolerance:
        raise InvalidGroup(
            f"the nearest exact group of {group!r} changes {name} by {largest:.1e}, more than the "
            f"tolerance of {tolerance:g}: give more digits, or refine with a larger tolerance"
        )
    left = judge(tuple(kept_lie), tuple(kept_discrete)).defects
    if left:
        raise InvalidGroup(
            f"no exact group was found near {group!r}: {left[0]}. Give exact entries, or pass "
            f"tolerance=5e-3 to the solve for an approximate basis"
        )
    if not largest:
        refinement = replace(refinement, precision=group.known_precision)
    elif not (is_finite and is_closed):
        precision = max(_rounded_up(error), group.known_precision)
        refinement = replace(refinement, precision=precision)
    return Refined(tuple(kept_lie), tuple(kept_discrete), refinement)


def _error(
    lie: list[Inexact[np.ndarray, "d d"]],
    discrete: list[Inexact[np.ndarray, "d d"]],
    judgement: Judgement,
) -> float:
    """Estimate how far the generators are from exact ones, relative to their norms."""
    defects = (defect.size for defect in judgement.defects)
    return max(0.0, lie_error(lie), *discrete_errors(discrete), *defects)


def _rounded_up(error: float) -> float:
    """Round up to one digit, which is the same on every processor."""
    return float(f"{1.5 * error:.0e}") if error else 0.0


def _refined_discrete(
    matrices: list[Inexact[np.ndarray, "d d"]], error: float, tolerance: float
) -> tuple[list[Inexact[np.ndarray, "d d"]], bool]:
    """Return the refined generators, and whether they generate an exact finite group."""
    if all(is_dyadic(h) for h in matrices):
        return matrices, True
    bounds = [max(nearly_unitary(h), tolerance) for h in matrices]
    scales = [unit_scale(h, bound) for h, bound in zip(matrices, bounds, strict=True)]
    units = [h / scale for h, scale in zip(matrices, scales, strict=True)]
    unitary = [is_unitary(h) <= bound for h, bound in zip(units, bounds, strict=True)]
    near = [
        scale * unitary_factor(unit) if is_near and not _exact(h) else h
        for h, unit, scale, is_near in zip(matrices, units, scales, unitary, strict=True)
    ]
    # in a nearly orthogonal frame some only look unitary: then start from the given matrices
    for start, as_unitary in ((near, all(unitary)), (matrices, False)):
        finite = _nearest_finite(matrices, start, as_unitary, error, tolerance)
        if finite is not None:
            return finite, True
    snapped = [
        h if _exact(h) else _snapped(h, is_near) for h, is_near in zip(near, unitary, strict=True)
    ]
    return snapped, False


def _nearest_finite(
    given: list[Inexact[np.ndarray, "d d"]],
    near: list[Inexact[np.ndarray, "d d"]],
    unitary: bool,
    error: float,
    tolerance: float,
) -> list[Inexact[np.ndarray, "d d"]] | None:
    """Return the generators of a finite group within the tolerance, for the first error at which
    the elements are distinguishable and closed under products; else None.

    Most generators are near some group of large order, so a group is accepted only if it is nearer
    than chance explains.
    """
    largest = min(tolerance, _MAGNIFIED * max(EXACT, error))
    for coarser in (1.0, *_COARSER):
        finite = nearly_finite_group(near, coarser * max(EXACT, error))
        averaged = None if finite is None else average(finite, unitary=unitary)
        if finite is None or averaged is None:
            continue
        exact = [is_dyadic(h) for h in given]
        fixed = fix_exact(averaged, given, exact, unitary=unitary)
        change = max(_change(h, new) for h, new in zip(given, fixed, strict=True))
        if change <= largest and is_surprising(change, finite.exponent):
            return fixed
    return None


def _exact(h: Inexact[np.ndarray, "d d"]) -> bool:
    return as_signed_permutation(h) is not None


def _snapped(h: Inexact[np.ndarray, "d d"], unitary: bool) -> Inexact[np.ndarray, "d d"]:
    """Replace eigenvalues near roots of unity by these roots."""
    scale = unit_scale(h)
    judged = (judge_unitary if unitary else judge_oblique)(h / scale, SURPRISE_OF_DIGITS)
    if judged.miss is None:
        return h
    if unitary:
        from scipy.linalg import schur

        triangle, vectors = schur((h / scale).astype(np.complex128), output="complex")
        values, inverse = np.diag(triangle), vectors.conj().T
        condition = 1.0
    else:
        values, vectors = np.linalg.eig(h / scale)
        condition, inverse = float(np.linalg.cond(vectors)), np.linalg.inv(vectors)
    if not condition < _DEFECTIVE:
        return h
    new = np.array([_snapped_value(complex(value)) for value in values])
    snapped = scale * (vectors * new) @ inverse
    snapped = snapped if np.iscomplexobj(h) else snapped.real
    # the eigenvectors of a nearly defective matrix are unreliable
    return snapped if _change(h, snapped) <= NEARLY else h


def _snapped_value(value: complex) -> complex:
    root = nearest_root(value, SURPRISE_OF_DIGITS)
    if root is not None:
        return root[0]
    return value / abs(value) if abs(abs(value) - 1) <= NEARLY / 10 else value


def _refined_lie(
    lie: list[Inexact[np.ndarray, "d d"]],
    discrete: list[Inexact[np.ndarray, "d d"]],
    error: float,
) -> tuple[list[Inexact[np.ndarray, "d d"]], bool]:
    """Return the refined generators, and whether their algebra is closed and perfect, so that no
    part of it is known by its digits alone.
    """
    if not any(np.any(a) for a in lie):
        return lie, True
    crooked = [float(np.abs(a + a.conj().T).max()) for a in lie]
    straight = [
        (a - a.conj().T) / 2 if off <= NEARLY * np.abs(a).max() else a
        for a, off in zip(lie, crooked, strict=True)
    ]
    scales = [float(np.abs(a).max()) or 1.0 for a in straight]
    units = np.array([a / scale for a, scale in zip(straight, scales, strict=True)])
    others = np.array(discrete).reshape(-1, *units.shape[1:])
    closed = nearest_algebra(units, others, error)
    closure = close(_unit_norms(closed), others)
    is_closed = closure is not None and not closure.leaks and closure.is_perfect
    return [a * scale for a, scale in zip(closed, scales, strict=True)], is_closed


def _unit_norms(lie: Inexact[np.ndarray, "k d d"]) -> Inexact[np.ndarray, "j d d"]:
    """Return the nonzero generators, each scaled to norm 1."""
    norms = np.linalg.norm(lie, axis=(1, 2), keepdims=True)
    unit: Inexact[np.ndarray, "j d d"] = lie[norms[:, 0, 0] > 0] / norms[norms[:, 0, 0] > 0]
    return unit


def _clean(matrix: Inexact[np.ndarray, "d d"]) -> Inexact[np.ndarray, "d d"]:
    """Round entries to 0, ±½ or ±1 if they are within `_SAME`, and make zeros positive."""

    def clean(values: Any) -> Any:
        for simple in _SIMPLE:
            near = np.abs(np.abs(values) - simple) <= _SAME
            values = np.where(near, np.sign(values) * simple, values)
        return values + 0.0

    if np.iscomplexobj(matrix):
        result: Inexact[np.ndarray, "d d"] = clean(matrix.real) + 1j * clean(matrix.imag)
        return result
    result = clean(matrix)
    return result


def _kept(old: Generator, new: Inexact[np.ndarray, "d d"]) -> Generator:
    """Return the old generator if the new one is the same up to rounding."""
    return old if _change(old, new) <= _SAME else new


def _change(old: Generator, new: Generator) -> float:
    before, after = np.asarray(dense(old)), np.asarray(dense(new))
    return float(np.abs(after - before).max() / (np.abs(before).max() or 1.0))
