"""Whether irreps stay irreducible and different when their generators are known to a few digits."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Inexact

from intertwine.errors import SplitError
from intertwine.irreps.actions import MatrixRep, adjoint

_DEGREE = 32
"""Entries of irreps are taken for polynomials of up to this degree in those of the generators."""
_FINEST = 1e-7  # eigenvalues of squares are known to ε
_LARGEST = 900
"""The largest space of maps in which intertwiners are looked for."""


def require_distinct(
    rep: MatrixRep, fields: int, others: Iterable[MatrixRep], precision: float
) -> None:
    """Raise `SplitError` where rounding of the generators to their precision could have made two
    irreps of one, or an irrep of a sum: where there are more maps that nearly commute with the
    generators than the `fields` endomorphisms.
    """
    tolerance = max(_DEGREE * precision, _FINEST)
    for other, expected in ((rep, fields), *((other, 0) for other in others)):
        if other.size != rep.size:
            continue
        if rep.size**2 > _LARGEST:
            raise SplitError(
                f"irreps of dimension {rep.size} are too large to be told apart up to the "
                f"generators' precision of {precision:.1e}"
            )
        found = _count_nearly_intertwining(rep, other, tolerance)
        if found != expected:
            raise SplitError(
                f"up to the generators' precision of {precision:.1e}, "
                + (
                    f"what looks like an irrep of dimension {rep.size} may be a sum of others"
                    if expected
                    else f"two irreps of dimension {rep.size} may be one"
                )
            )


def _count_nearly_intertwining(left: MatrixRep, right: MatrixRep, tolerance: float) -> int:
    """How many maps X have BX − XA below the tolerance for all generators of norm 1."""
    d = left.size
    gram: Inexact[np.ndarray, "n n"] = np.zeros((d * d, d * d))
    for a, b in zip(left.given.matrices, right.given.matrices, strict=True):
        scale = max(1.0, float(np.linalg.norm(a, 2)), float(np.linalg.norm(b, 2)))
        block = (np.kron(b, np.eye(d)) - np.kron(np.eye(d), a.T)) / scale
        gram = gram + adjoint(block) @ block
    return int((np.linalg.eigvalsh(gram) <= tolerance**2).sum())
