"""Check that irreps are irreducible and distinct although their generators have few digits."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Inexact

from intertwine.errors import SplitError
from intertwine.irreps.actions import MatrixRep, adjoint

_DEGREE = 32
"""The assumed degree of irreps' entries as polynomials in those of the generators."""
_FINEST = 1e-7  # eigenvalues of squares are known up to ε
_LARGEST = 900
"""The largest space of maps that is searched for intertwiners."""


def require_distinct(
    rep: MatrixRep, fields: int, others: Iterable[MatrixRep], precision: float
) -> None:
    """Raise `SplitError` if rounding of the generators could have split one irrep into two
    inequivalent ones, or turned a sum into an irrep: if more maps nearly commute with the
    generators than the `fields` endomorphisms.
    """
    tolerance = max(_DEGREE * precision, _FINEST)
    for other, expected in ((rep, fields), *((other, 0) for other in others)):
        if other.size != rep.size:
            continue
        if rep.size**2 > _LARGEST:
            raise SplitError(
                f"irreps of dimension {rep.size} are too large to be distinguished at the "
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
    """Count the maps X with BX − XA below the tolerance for all generators of norm 1."""
    d = left.size
    gram: Inexact[np.ndarray, "n n"] = np.zeros((d * d, d * d))
    for a, b in zip(left.given.matrices, right.given.matrices, strict=True):
        scale = max(1.0, float(np.linalg.norm(a, 2)), float(np.linalg.norm(b, 2)))
        block = (np.kron(b, np.eye(d)) - np.kron(np.eye(d), a.T)) / scale
        gram = gram + adjoint(block) @ block
    return int((np.linalg.eigvalsh(gram) <= tolerance**2).sum())
