"""Detect rounded generators: nearly unitary, nearly of finite order, or nearly closed.

Such generators have a wrong rank with a clear gap: the invariants of the intended group are not
invariant under the group that they generate. So they are judged before a rank is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from operator import itemgetter
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.errors import RoundedGenerators
from intertwine.groups.averaging import unitary_factor
from intertwine.groups.decimals import (
    ends_at,
    half_unit,
    half_units,
    is_dyadic,
    relative_error,
)
from intertwine.groups.generators import Generator
from intertwine.groups.lie_closure import Closure, close, obliqueness
from intertwine.groups.roots_of_unity import (
    EXACT,
    SURPRISE,
    SURPRISE_OF_DIGITS,
    SURPRISE_OF_PRODUCTS,
    NearRoot,
    Spectrum,
    judge_oblique,
    judge_unitary,
)
from intertwine.operators import as_signed_permutation, dense

NEARLY = 1e-3
"""A generator that is unitary up to this is taken for a rounded unitary one."""
_INDEPENDENT = 1e-2  # generators whose errors magnify to more may depend on each other
_HUNDREDTH = 0.01
_PAIRS_OF = 8
"""Products of two are judged for up to this many discrete generators."""
_SPECTRUM_UP_TO = 200
"""The largest matrix whose eigenvalues are computed to judge it."""


@dataclass(frozen=True)
class Defect:
    """A property that generators nearly have: a sentence about it, and the deviation."""

    text: str
    size: float

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Judgement:
    """The defects of a group's generators, and the precision of those without exact structure.

    `precision` is relative to each generator's norm; 0 where all generators are exact.
    """

    defects: tuple[Defect, ...]
    precision: float


NO_DEFECTS = Judgement((), 0.0)


def judge(lie: tuple[Generator, ...], discrete: tuple[Generator, ...]) -> Judgement:
    """Judge generators as they were given. Matrices of multiples of 2⁻⁶ are exact."""
    matrices, numbers, permutations = [], [], []
    for number, h in enumerate(discrete, start=1):
        permutation = as_signed_permutation(h)
        if permutation is None:
            matrices.append(np.asarray(dense(h)))
            numbers.append(number)
        elif len(discrete) <= _PAIRS_OF and permutation.shape[0] <= _SPECTRUM_UP_TO:
            permutations.append((number, np.asarray(dense(permutation))))
    algebra = [np.asarray(dense(a)) for a in lie]
    is_exact = all(is_dyadic(matrix) for matrix in (*matrices, *algebra))
    if is_exact:
        return NO_DEFECTS
    defects: list[Defect] = []
    precision, unitary = 0.0, []
    for number, h, error in zip(numbers, matrices, discrete_errors(matrices), strict=True):
        defect, relative, is_unitary = _judge_discrete(h, number, error)
        if defect is not None and defect.size <= _frame_noise(h, matrices, algebra):
            defect = None
        defects += [] if defect is None else [defect]
        precision = max(precision, relative)
        unitary += [(number, h)] if is_unitary else []
    if not defects and unitary and len(discrete) <= _PAIRS_OF:
        defects += _judge_products(sorted([*unitary, *permutations], key=itemgetter(0)))
    found, relative = _judge_lie(algebra, [np.asarray(dense(h)) for h in discrete])
    return Judgement((*defects, *found), max(precision, relative))


def have_few_digits(lie: tuple[Generator, ...], discrete: tuple[Generator, ...]) -> bool:
    """Return whether any generator looks rounded to few digits."""
    matrices = (g for g in (*lie, *discrete) if as_signed_permutation(g) is None)
    return any(half_unit(np.asarray(dense(matrix))) for matrix in matrices)


def require_exact(group: Any) -> None:
    """Raise `RoundedGenerators` if a group's generators look rounded."""
    if group is None or not group.defects:
        return
    more, first = len(group.defects) - 1, str(group.defects[0])
    raise RoundedGenerators(
        f"the rank is ambiguous: the generators of {group!r} look rounded. "
        f"{first[0].upper()}{first[1:]}{f' (and {more} more)' if more else ''}. "
        f"Give more digits or exact entries, pass refine=1e-5 to the group for the nearest "
        f"exact one, pass tolerance=5e-3 to the solve for an approximate basis, or pass refine=0 "
        f"to the group if its generators are exact"
    )


def is_unitary(h: Inexact[np.ndarray, "d d"]) -> float:
    """Return the largest entry of hhᴴ − 1."""
    return float(np.abs(h @ h.conj().T - np.eye(len(h))).max())


def nearly_unitary(h: Inexact[np.ndarray, "d d"]) -> float:
    """Return the largest hhᴴ − 1 of a rounded unitary matrix: with few digits it is larger than
    `NEARLY`. A matrix of two decimals is taken for unitary only if it is the rounding of the
    nearest unitary matrix.
    """
    bound = max(NEARLY, 2 * half_unit(h) * float(np.sqrt(len(h))))
    if ends_at(h, _HUNDREDTH) and np.abs(unitary_factor(h) - h).max() <= _HUNDREDTH / 2:
        return max(bound, is_unitary(h))
    return bound


def unit_scale(h: Inexact[np.ndarray, "d d"], nearly: float = NEARLY) -> float:
    """Return |det h|^(1/d), the scale of a multiple of a unitary matrix; 1 if it is near 1."""
    scale = float(np.exp(np.linalg.slogdet(h)[1] / len(h)))
    is_far = abs(scale - 1) > nearly
    return scale if is_far and np.isfinite(scale) and scale > 0 else 1.0


def _judge_discrete(
    given: Inexact[np.ndarray, "d d"], number: int, error: float
) -> tuple[Defect | None, float, bool]:
    """Return a generator's defect, relative precision, and whether it is unitary (up to scale)."""
    if is_dyadic(given):
        return None, 0.0, bool(is_unitary(given) <= EXACT)
    nearly = nearly_unitary(given)
    scale, name = unit_scale(given, nearly), f"discrete generator {number}"
    h = given / scale
    off, surprise = is_unitary(h), SURPRISE_OF_DIGITS if error else SURPRISE
    if off <= EXACT:
        spectrum = judge_unitary(h, surprise) if len(h) <= _SPECTRUM_UP_TO else None
        miss = spectrum.miss if spectrum else None
        return _near_root(name, miss), 0.0 if scale == 1.0 else error, True
    spectrum = judge_oblique(h, surprise) if off > nearly or len(h) <= _SPECTRUM_UP_TO else None
    spectrum = spectrum or Spectrum(None, False)
    if spectrum.is_of_finite_order:
        return None, error, False
    if off <= nearly:
        kind = "unitary" if np.iscomplexobj(h) else "orthogonal"
        times = "" if scale == 1.0 else f"{scale:.6g} times a matrix that is "
        return Defect(f"{name} is {times}{kind} to {off:.1e}, no better", off), 0.0, False
    if spectrum.miss is not None:
        return _near_root(name, spectrum.miss), 0.0, False
    return None, error, False


def _frame_noise(
    h: Inexact[np.ndarray, "d d"],
    discrete: list[Inexact[np.ndarray, "d d"]],
    algebra: list[Inexact[np.ndarray, "d d"]],
) -> float:
    """Return the rounding error that h may have from the oblique frame of the others."""
    others = [float(np.linalg.cond(g)) for g in discrete if g is not h]
    units = [a / np.linalg.norm(a / np.abs(a).max()) / np.abs(a).max() for a in algebra if a.any()]
    frame = obliqueness(np.array(units)) if units else 1.0
    known = [condition for condition in (frame, *others) if np.isfinite(condition)]
    return 10 * float(np.finfo(float).eps) * max(known, default=1.0)


def _near_root(name: str, miss: NearRoot | None) -> Defect | None:
    return None if miss is None else Defect(f"{name} {miss}", miss.distance)


def _judge_products(unitary: list[tuple[int, Inexact[np.ndarray, "d d"]]]) -> list[Defect]:
    """Return the defects of products of two unitary generators: reflections in planes with
    rounded normals are exact, but their products are not.
    """
    found = []
    for (i, g), (j, h) in combinations(unitary, 2):
        if len(g) > _SPECTRUM_UP_TO:
            break
        product = g @ h
        spectrum = judge_unitary(product / unit_scale(product), SURPRISE_OF_PRODUCTS)
        defect = _near_root(f"the product of discrete generators {i} and {j}", spectrum.miss)
        found += [] if defect is None else [defect]
    return found


def _judge_lie(
    algebra: list[Inexact[np.ndarray, "d d"]], discrete: list[Inexact[np.ndarray, "d d"]]
) -> tuple[list[Defect], float]:
    """Return the defects of Lie generators, and their relative precision."""
    units = [a / np.abs(a).max() for a in algebra if np.any(a)]
    if not units or all(is_dyadic(m) for m in (*algebra, *discrete)):
        return [], 0.0
    found, numbers = [], [k for k, a in enumerate(algebra, start=1) if np.any(a)]
    for number, unit in zip(numbers, units, strict=True):
        off = float(np.abs(unit + unit.conj().T).max())
        if EXACT < off <= NEARLY:
            kind = "anti-Hermitian" if np.iscomplexobj(unit) else "antisymmetric"
            found.append(Defect(f"Lie generator {number} is {kind} to {off:.1e}, no better", off))
    stack = np.array([unit / np.linalg.norm(unit) for unit in units])
    closure = close(stack, np.array(discrete).reshape(-1, *stack.shape[1:]))
    if closure is not None and not found:
        found += _leaks(closure, len(stack))
    error = lie_error(algebra)
    if found or (closure is not None and is_structured(closure, error)):
        return found, 0.0
    return found, error


def lie_error(algebra: list[Inexact[np.ndarray, "d d"]]) -> float:
    """Estimate the largest relative error of Lie generators from their digits."""
    scaled = [
        (a, half, float(np.abs(a).max()))
        for a, half in zip(algebra, half_units(algebra), strict=True)
        if np.any(a)
    ]
    errors = (relative_error(a, half / s, float(np.linalg.norm(a / s, 2))) for a, half, s in scaled)
    return max(errors, default=0.0)


def discrete_errors(matrices: list[Inexact[np.ndarray, "d d"]]) -> list[float]:
    """Estimate the errors of discrete generators, relative to their norms, from their digits."""
    norms = (max(1.0, float(np.linalg.norm(h, 2))) for h in matrices)
    halves = half_units(matrices)
    return [relative_error(*each) for each in zip(matrices, halves, norms, strict=True)]


def is_structured(closure: Closure, error: float) -> bool:
    """Return whether an algebra's structure shows that its digits are exact: it is closed as
    given, perfect, and no generator depends on others up to rounding.
    """
    is_independent = error <= _INDEPENDENT * closure.smallest
    return closure.is_as_given and closure.is_perfect and is_independent


def _leaks(closure: Closure, count: int) -> list[Defect]:
    what = "1 and 2 have" if count == 2 else "have"
    return [
        Defect(f"the Lie generators {what} a bracket outside their span by {leak.distance:.1e}, "
               f"neither clearly inside nor clearly outside", leak.distance)
        if leak.element is None
        else Defect(f"discrete generator {leak.element + 1} takes the Lie generators out of their "
                    f"span by {leak.distance:.1e}, neither clearly nor not at all", leak.distance)
        for leak in closure.leaks
    ]  # fmt: skip
