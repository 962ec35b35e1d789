"""Estimate the cost of counting or solving for polynomials before it starts."""

from __future__ import annotations

from math import comb
from typing import Any

from intertwine.invariants import Cost
from intertwine.polynomials.hilbert_series import MAX_DEGREE, checked_degree, require_solvable
from intertwine.polynomials.joint_groups import MATRICES, joint_size
from intertwine.polynomials.polynomial_maps import MAX_MAPS_DEGREE
from intertwine.reps import Rep, Scalar

_SPECTRA = 60  # products of matrices, for the eigenvalues of one image
_SERIES = 2e9  # the most operations for a series, beside its images
_SOLVE = 60  # products with the images of a generator, for one degree


def estimate_series(rep: Rep, degree: Any, rep_out: Rep | None = None) -> Cost:
    """Estimate the cost of `molien` for concrete reps.

    It is an upper bound for groups that are counted by characters or weights. Raises
    `InvalidSetting` for a degree out of bounds.
    """
    checked_degree(degree, MAX_DEGREE)
    size, generators = joint_size((rep, Scalar if rep_out is None else rep_out))
    return Cost(
        _SPECTRA * (generators + 1) * float(size) ** 3 + _SERIES,
        16 * (generators + MATRICES) * size**2,
    )


def estimate_maps(rep_in: Rep, degree: Any, rep_out: Rep | None = None) -> Cost:
    """Estimate the cost of `polynomial_basis`, or of `generators` if `rep_out` is None.

    Raises `InvalidSetting` for a degree out of bounds, and `TooLarge` for more coefficients than
    are solved for.
    """
    rep_out = Scalar if rep_out is None else rep_out
    highest, n = checked_degree(degree, MAX_MAPS_DEGREE), rep_in.size()
    _, generators = joint_size((rep_in, rep_out))
    operations, largest = 0.0, n + rep_out.size()
    for k in range(highest + 1):
        unknowns = require_solvable(k, rep_in, rep_out)
        largest = max(largest, comb(n + k - 1, k) if n else 1)
        operations += _SOLVE * (generators + 1) * float(unknowns) ** 2
    return Cost(operations, 16 * (generators + MATRICES) * largest**2)
