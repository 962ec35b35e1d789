"""Means and scales of vectors, which must not break equivariance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.errors import InvalidRep, NotEquivariant
from intertwine.reps import Rep, Scalar
from intertwine.reps.generator_images import act_by_complex_numbers
from intertwine.reps.syntax import atoms, groups_of
from intertwine.verify import equivariance_error

_TOLERANCE = 1e-5  # of statistics in float32

#: Numbers by coordinate, as a value: it may be part of what is compiled.
Constants = tuple[float | complex, ...]


def read_statistics(
    model: Any, stats: Iterable[Any], *, is_complex: bool
) -> tuple[Constants, Constants, Constants, Constants]:
    """Return the means and scales of a model's inputs, and of its outputs.

    Without the latter they are 0 and 1. Means may be complex if the vectors that they shift are, or
    if the model `is_complex`. Raises `InvalidRep` for invalid statistics, and `NotEquivariant`
    unless the means are invariant and each irrep has one scale, and for a model without reps.
    """
    if not (hasattr(model, "rep_in") and hasattr(model, "rep_out")):
        raise NotEquivariant(f"{model!r} has no rep_in and rep_out: give a layer with reps")
    parts = list(stats)
    if len(parts) not in (2, 4):
        raise InvalidRep(f"stats are two arrays or four (means, scales), not {len(parts)}")
    mean, scale = parts[2:] or (0.0, 1.0)
    return (
        *_statistics(parts[0], parts[1], model.rep_in, is_complex),
        *_statistics(mean, scale, model.rep_out, is_complex),
    )


def _statistics(mean: Any, scale: Any, rep: Rep, is_complex: bool) -> tuple[Constants, Constants]:
    is_complex = is_complex or act_by_complex_numbers(atoms(rep))
    shift, factor = _numbers(mean, rep, is_complex), _numbers(scale, rep, is_complex=False)
    if not (np.all(np.isfinite(shift)) and np.all(np.isfinite(factor)) and np.all(factor > 0)):
        raise InvalidRep(f"means are finite, and scales finite and positive: {mean}, {scale}")
    if groups_of(rep):
        _require_equivariant(shift, factor, rep)
    return tuple(shift.tolist()), tuple(factor.tolist())


def _numbers(given: Any, rep: Rep, is_complex: bool) -> Inexact[np.ndarray, " n"]:
    try:
        numbers = np.array(np.broadcast_to(np.asarray(given, complex), (rep.size(),)))
        if np.all(numbers.imag == 0):
            return numbers.real
        if is_complex:
            return numbers
        raise ValueError("they have an imaginary part")
    except (TypeError, ValueError) as error:
        kind = "numbers" if is_complex else "real numbers"
        raise InvalidRep(
            f"statistics of {rep!r} are {rep.size()} {kind}, or one for all, not {given!r}"
        ) from error


def _require_equivariant(
    shift: Inexact[np.ndarray, " n"], factor: Float[np.ndarray, " n"], rep: Rep
) -> None:
    error = equivariance_error(shift[:, None], Scalar, rep)
    if not error <= _TOLERANCE:
        raise NotEquivariant(
            f"a mean of {rep!r} that the group moves breaks equivariance (error {error:.1e}): take "
            f"its invariant part, which is 0 for vectors"
        )
    error = equivariance_error(np.diag(factor), rep, rep)
    if not error <= _TOLERANCE:
        raise NotEquivariant(
            f"scales of {rep!r} that differ within an irrep break equivariance (error {error:.1e}):"
            f" give each tensor one scale"
        )
