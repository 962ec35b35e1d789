"""Decide numerically whether a group is reductive, and in which frame (docs/how-it-works.md)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Inexact

from intertwine.groups.group import Group
from intertwine.groups.lie_span import LieSpan
from intertwine.irreps.actions import adjoint, norm
from intertwine.irreps.compact_frame import unitary_frame
from intertwine.irreps.frame import Frame, conjugated, find_frame
from intertwine.irreps.matrix_spans import (
    TraceForm,
    is_closed_under_adjoints,
    lie_of_closure,
    orthonormal_span,
    trace_form,
)
from intertwine.operators import dense
from intertwine.reps.generator_images import lie_span_of

_CLOSED = 1e-12
_PER_CONDITION = 100.0  # rounding errors in a frame of condition c reach that times ε·c²
_UNKNOWN = 0.5  # a coarser precision says nothing
_FAITHFUL = 1e-10  # beyond, rounding errors of the generators could look like a larger group
_AT_THE_END = 1e-8  # the gradient of a converged descent
_OBLIQUE = 3e3  # a larger condition leaves too few digits for a decision
_PRECISE = 1e-9  # the largest usable error of a generator's unitary representative
_TELLING = 1e-3  # representatives farther than this from 1 are not 1
_LARGE = 1e8  # words in larger or smaller generators exceed the precision of float64
_REMEMBERED = 128
_TESTED_UP_TO = 24
"""The largest d for which a frame is searched: the algebra has up to d² dimensions."""
_SMALL = 8
"""The largest d for which the search takes milliseconds. For larger groups, the test for compact
groups comes first."""
_AVERAGED_UP_TO = 256
"""The largest d for which a compact group's frame is searched."""

REDUCTIVE, NOT_REDUCTIVE, AMBIGUOUS = "reductive", "not reductive", "ambiguous"


@dataclass(frozen=True)
class Verdict:
    """`reductive`, `not reductive` or `ambiguous`, and why.

    A reductive group also has the Hermitian frame S in which S⁻¹GS is closed under adjoints, and
    `straight`, a group with the same invariants there; both are None if G itself is closed.
    """

    kind: str
    reason: str
    frame: Inexact[np.ndarray, "d d"] | None = None
    straight: Group | None = None

    @property
    def condition(self) -> float:
        """The frame's condition."""
        return 1.0 if self.frame is None else float(np.linalg.cond(self.frame))


def judge(group: Group) -> Verdict:
    """Decide whether every tensor rep of the group is completely reducible.

    Uses Dickson's test on its base representation, and finds the frame, which certifies the
    result. Without a clear answer the verdict is `ambiguous`.
    """
    span = lie_span_of(group)
    lie, discrete = _generators(group, span)
    basis = span.basis_of_many if np.isrealobj(lie) else None
    lie = orthonormal_span(lie) if basis is None else basis
    if not (len(lie) or len(discrete)):
        return Verdict(REDUCTIVE, "no generators")
    if any(not 1 / _LARGE < norm(h) < _LARGE for h in discrete):
        return Verdict(
            AMBIGUOUS, f"some generator's norm is not between {1 / _LARGE:.0e} and {_LARGE:.0e}"
        )
    unitary = all(norm(h @ adjoint(h) - np.eye(group.d)) <= _CLOSED * group.d for h in discrete)
    if unitary and is_closed_under_adjoints(lie, _CLOSED):
        return Verdict(REDUCTIVE, "closed under adjoints as given")
    if _SMALL < group.d <= _AVERAGED_UP_TO:
        compact = _compact(lie, discrete, group.precision)
        if compact is not None:
            return compact
    if group.d > _TESTED_UP_TO:
        return Verdict(
            AMBIGUOUS,
            f"its generators are not closed under adjoints, and frames are searched only up to "
            f"d = {_TESTED_UP_TO} (of compact groups {_AVERAGED_UP_TO}), not {group.d}",
        )
    try:
        return _search(lie, discrete, group.precision)
    except np.linalg.LinAlgError as error:
        return Verdict(AMBIGUOUS, f"no frame was found: {error}")


def _compact(
    lie: Inexact[np.ndarray, "k d d"], discrete: Inexact[np.ndarray, "l d d"], precision: float
) -> Verdict | None:
    """Return the verdict on a group that is unitary in some frame; None if none is found.

    A compact group is reductive, which needs no further test.
    """
    s = unitary_frame(lie, discrete, _OBLIQUE)
    if s is None:
        return None
    condition = float(np.linalg.cond(s))
    rounding = _PER_CONDITION * np.finfo(float).eps * condition**2
    allowed = min(_CLOSED + rounding, _FAITHFUL)
    moved, turned = conjugated(lie, s), conjugated(discrete, s)
    # Lie generators are orthonormal in the given frame: in this one, their norms are up to cond S
    off = [norm(a + adjoint(a)) / max(norm(a), np.finfo(float).tiny) for a in moved]
    off += [norm(h @ adjoint(h) - np.eye(len(h))) / np.sqrt(len(h)) for h in turned]
    if not max(off) < allowed:
        return None
    u, _, vh = np.linalg.svd(turned)
    straight = Group(
        lie_algebra=orthonormal_span((moved - adjoint(moved)) / 2),
        discrete_generators=u @ vh,
        d=lie.shape[-1],
        refine=None if precision else 0,  # as in `_search`
        precision=min(condition * precision, _UNKNOWN) or None,
    )
    return Verdict(REDUCTIVE, f"of a frame of condition {condition:.3g}", s, straight)


def _search(
    lie: Inexact[np.ndarray, "k d d"], discrete: Inexact[np.ndarray, "l d d"], precision: float
) -> Verdict:
    """Apply Dickson's test, then find the frame: first of the group as given, then, in the frame
    reached, of the group with the Lie algebra of its Zariski closure.
    """
    form = trace_form(lie, discrete)
    if form.is_clear and form.radical:
        return _with_radical(form)
    s, closure, given = np.eye(lie.shape[-1], dtype=lie.dtype), None, lie
    reached = "no frame has a small enough condition"
    for enlarged in (False, True):
        if enlarged:
            closure = lie_of_closure(lie, discrete)
            lie = closure.span
        found = find_frame(lie, discrete)
        candidate = s @ found.matrix
        if not np.linalg.cond(candidate) < _OBLIQUE:
            continue
        s, lie = candidate, orthonormal_span(conjugated(lie, found.matrix))
        given = orthonormal_span(conjugated(given, found.matrix))
        discrete = conjugated(discrete, found.matrix)
        reached = f"in the best frame found the group is {found.error:.1e} from closed"
        rounding = _PER_CONDITION * np.finfo(float).eps * np.linalg.cond(s) ** 2
        allowed = min(_CLOSED + rounding, _FAITHFUL)
        if not (found.error < allowed and found.gradient < _AT_THE_END):
            continue
        if closure is not None and not closure.is_clear:
            return Verdict(AMBIGUOUS, "the Lie algebra of its closure has no clear dimension")
        if not form.is_clear:
            form = trace_form(lie, discrete)  # clearer in a better frame
        if not form.is_clear:
            return Verdict(AMBIGUOUS, "the trace form of its algebra has no clear rank")
        if form.radical:
            return _with_radical(form)
        simpler = discrete if enlarged else _representatives(discrete, found)
        if simpler is None:
            return Verdict(
                AMBIGUOUS, "some generator is too large to be distinguished from redundant ones"
            )
        condition = float(np.linalg.cond(s))
        straight = Group(
            lie_algebra=given,
            discrete_generators=simpler,
            d=lie.shape[-1],
            # its digits are insufficient: the group as given has been judged
            refine=None if precision else 0,
            precision=min(condition * precision, _UNKNOWN) or None,
        )
        return Verdict(REDUCTIVE, f"of a frame of condition {condition:.3g}", s, straight)
    return Verdict(AMBIGUOUS, f"no frame is clearly closed under adjoints: {reached}")


def _representatives(
    discrete: Inexact[np.ndarray, "l d d"], found: Frame
) -> Inexact[np.ndarray, "j d d"] | None:
    """Return representatives of the discrete generators' cosets, unitary up to a factor, without
    those of redundant generators. None if rounding makes redundancy ambiguous.
    """
    d, kept = discrete.shape[-1], []
    for h, simpler in zip(discrete, found.cosets, strict=True):
        rounding = np.finfo(float).eps * max(
            1.0, np.linalg.cond(h), np.linalg.cond(found.matrix) ** 2
        )
        distance = norm(simpler - np.eye(d))
        if distance <= 1e2 * rounding < _TELLING:
            continue
        if not rounding < _PRECISE:
            return None
        kept.append(simpler)
    return np.array(kept, dtype=discrete.dtype).reshape(-1, d, d)


def _with_radical(form: TraceForm) -> Verdict:
    return Verdict(
        NOT_REDUCTIVE,
        f"the algebra that it generates, of dimension {len(form.values)}, has a radical of "
        f"dimension {form.radical} (Dickson's test)",
    )


def _generators(
    group: Group, span: LieSpan
) -> tuple[Inexact[np.ndarray, "k d d"], Inexact[np.ndarray, "l d d"]]:
    """Return Lie generators scaled to norm 1, and discrete ones, with one dtype."""
    d = group.d
    lie = [span.scaled(k, np.asarray(dense(a))) for k, a in enumerate(group.lie_generators)]
    discrete = [np.asarray(dense(h)) for h in group.group_generators]
    dtype = np.result_type(np.float64, *lie, *discrete)
    return (
        np.array(lie, dtype=dtype).reshape(-1, d, d),
        np.array(discrete, dtype=dtype).reshape(-1, d, d),
    )


@lru_cache(_REMEMBERED)
def verdict_of(group: Group) -> Verdict:
    """Return the cached result of `judge`."""
    return judge(group)
