"""Every tolerance of the solver, named, relative, and in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerances:
    """Bounds relative to the constraints' own scale, which is 1: generators are normalised.

    A singular value below `null` counts as zero, one above `distinct` as nonzero, and one between
    makes the rank ambiguous: generators rounded to ten digits have such values, and no method can
    know the intended rank.
    """

    null: float = 1e-12
    distinct: float = 1e-7
    oblique: float = 1e11
    """The largest condition of the generators' images with which a rank can be decided."""
    residual: float = 1e-10
    """The largest ‖QᴴQ − 1‖ of a returned basis, and the largest errors of vectors in an oblique
    frame if their number is confirmed, by characters or modulo a prime."""
    vectors: float = 5e-14
    """Errors of a basis' vectors in an oblique frame, which a generator h stretches by ‖ρ(h)‖."""
    span: float = 2e-11
    """The same in directions that h hardly stretches, where small singular values leave larger
    errors.
    """
    steps: int = 5000
    """The most steps of one descent by conjugate gradients."""
    cg: float = 1e-14
    """Conjugate gradients stop at this part of the first gradient."""


DEFAULT = Tolerances()
