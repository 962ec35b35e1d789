"""The exact group nearest to one whose generators were rounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Inexact

from intertwine.errors import InvalidGroup
from intertwine.groups.averaging import average, enumerate_elements, fix_exact, unitary_factor
from intertwine.groups.decimals import half_unit, is_dyadic
from intertwine.groups.generators import Generator
from intertwine.groups.lie_refinement import nearest_algebra
from intertwine.groups.roots_of_unity import (
    EXACT,
    SURPRISE_OF_DIGITS,
    judge_oblique,
    judge_unitary,
    nearest_root,
)
from intertwine.groups.rounding import NEARLY, is_unitary, judge, unit_scale
from intertwine.operators import as_signed_permutation, dense

if TYPE_CHECKING:
    from intertwine.groups.group import Group

DEFAULT_TOLERANCE = 1e-5
_SAME = 1e-13  # a change that is only rounding is none
_SIMPLE = np.array([0.0, 0.5, 1.0])  # entries this close to these are these
_DEFECTIVE = 1e6  # eigenvectors of a larger condition snap no eigenvalues


@dataclass(frozen=True)
class Refinement:
    """What a refinement changed: for each generator, by name, the largest change of an entry
    relative to the generator's largest entry.
    """

    tolerance: float
    changes: tuple[tuple[str, float], ...]

    @property
    def largest(self) -> float:
        """The largest of the changes."""
        return max((change for _, change in self.changes), default=0.0)

    def __str__(self) -> str:
        moved = [f"{name} by {change:.1e}" for name, change in self.changes if change]
        return f"refined (up to {self.tolerance:g}): {', '.join(moved) or 'nothing'} changed"


@dataclass(frozen=True)
class Refined:
    """Refined generators, and what was changed in them."""

    lie: tuple[Generator, ...]
    discrete: tuple[Generator, ...]
    refinement: Refinement


def read_tolerance(value: Any, what: str) -> float:
    """A tolerance above 0 and below 1. Raises `InvalidGroup` for anything else."""
    is_number = isinstance(value, int | float | np.integer | np.floating)
    if isinstance(value, bool) or not is_number or not 0 < float(value) < 1:
        raise InvalidGroup(f"{what} is a number above 0 and below 1, such as 1e-5, not {value!r}")
    return float(value)


def refine(group: Group, tolerance: float) -> Refined:
    """The generators of the nearest exact group.

    Discrete generators that nearly generate a finite group of at most 1,000 elements become an
    exact representation of it. Others become unitary, and their eigenvalues roots of unity, where
    they nearly are. Lie generators become anti-Hermitian and span a closed algebra, where they
    nearly do. Raises `InvalidGroup` where a generator would change by more than `tolerance`
    (relative to its largest entry), or where a defect is left.
    """
    given_lie, given_discrete = group.lie_generators, group.group_generators
    matrices = [np.asarray(dense(h)) for h in given_discrete]
    defects = judge(given_lie, given_discrete).defects
    discrete = _refined_discrete(matrices, _error(matrices, defects), bool(given_lie))
    lie = [np.asarray(dense(a)) for a in given_lie]
    if any(np.any(a) for a in lie):
        lie = _refined_lie(lie, discrete)
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
            f"no exact group was found near {group!r}: {left[0]}. Give exact entries, or ask for "
            f"what is nearly equivariant with equivariant_basis(tolerance=5e-3)"
        )
    return Refined(tuple(kept_lie), tuple(kept_discrete), refinement)


def _error(matrices: list[Inexact[np.ndarray, "d d"]], defects: Any) -> float:
    """How far the generators are from exact ones, as far as they say."""
    digits = (half_unit(h) for h in matrices)
    return float(max(EXACT, *(defect.size for defect in defects), *digits, 0.0))


def _refined_discrete(
    matrices: list[Inexact[np.ndarray, "d d"]], error: float, has_lie: bool
) -> list[Inexact[np.ndarray, "d d"]]:
    if not matrices:
        return []
    unitary = [is_unitary(h / unit_scale(h)) <= NEARLY for h in matrices]
    near = [
        unit_scale(h) * unitary_factor(h / unit_scale(h)) if is_near and not _exact(h) else h
        for h, is_near in zip(matrices, unitary, strict=True)
    ]
    if not has_lie and all(_is_nearly_finite(h) for h in near):
        finite = enumerate_elements(near, error)
        averaged = None if finite is None else average(finite, unitary=all(unitary))
        if averaged is not None:
            exact = [is_dyadic(h) for h in matrices]
            return fix_exact(averaged, matrices, exact, unitary=all(unitary))
    return [
        h if _exact(h) else _snapped(h, is_near) for h, is_near in zip(near, unitary, strict=True)
    ]


def _exact(h: Inexact[np.ndarray, "d d"]) -> bool:
    return as_signed_permutation(h) is not None


def _is_nearly_finite(h: Inexact[np.ndarray, "d d"]) -> bool:
    values = np.linalg.eigvals(h)
    return all(nearest_root(complex(value), SURPRISE_OF_DIGITS) is not None for value in values)


def _snapped(h: Inexact[np.ndarray, "d d"], unitary: bool) -> Inexact[np.ndarray, "d d"]:
    """The matrix with eigenvalues that are nearly roots of unity made so."""
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
    # the eigenvectors of a nearly defective matrix lead astray
    return snapped if _change(h, snapped) <= NEARLY else h


def _snapped_value(value: complex) -> complex:
    root = nearest_root(value, SURPRISE_OF_DIGITS)
    if root is not None:
        return root[0]
    return value / abs(value) if abs(abs(value) - 1) <= NEARLY / 10 else value


def _refined_lie(
    lie: list[Inexact[np.ndarray, "d d"]], discrete: list[Inexact[np.ndarray, "d d"]]
) -> list[Inexact[np.ndarray, "d d"]]:
    crooked = [float(np.abs(a + a.conj().T).max()) for a in lie]
    straight = [
        (a - a.conj().T) / 2 if off <= NEARLY * np.abs(a).max() else a
        for a, off in zip(lie, crooked, strict=True)
    ]
    scales = [float(np.abs(a).max()) or 1.0 for a in straight]
    units = np.array([a / scale for a, scale in zip(straight, scales, strict=True)])
    closed = nearest_algebra(units, np.array(discrete).reshape(-1, *units.shape[1:]))
    return [a * scale for a, scale in zip(closed, scales, strict=True)]


def _clean(matrix: Inexact[np.ndarray, "d d"]) -> Inexact[np.ndarray, "d d"]:
    """Entries that are 0, ±½ or ±1 but for rounding are so, and no zero is negative."""

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
    """The old generator where the new one is the same but for rounding."""
    return old if _change(old, new) <= _SAME else new


def _change(old: Generator, new: Generator) -> float:
    before, after = np.asarray(dense(old)), np.asarray(dense(new))
    return float(np.abs(after - before).max() / (np.abs(before).max() or 1.0))
