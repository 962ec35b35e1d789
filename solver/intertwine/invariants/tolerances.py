"""Every tolerance of the solver, named, relative, and in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerances:
    """Bounds relative to the constraints' own scale, which is 1: generators are normalised.

    A singular value below `null` is a zero, one above `distinct` is none, and one between makes
    the rank ambiguous: generators that were rounded to ten digits have such values, and no
    method can know which rank was meant.
    """

    null: float = 1e-12
    distinct: float = 1e-7
    oblique: float = 1e11
    """The largest condition of the generators' images with which a rank can be told."""
    residual: float = 1e-10
    """The largest ‖QᴴQ − 1‖ with which a basis is handed out, and the largest errors of vectors in
    an oblique frame where their number is confirmed, by characters or modulo a prime."""
    vectors: float = 5e-14
    """Errors of a basis' vectors in an oblique frame, which a generator h stretches by ‖ρ(h)‖."""
    span: float = 2e-11
    """The same in directions that h hardly stretches, where small singular values leave more."""
    steps: int = 5000
    """The most steps of one descent by conjugate gradients."""
    cg: float = 1e-14
    """Conjugate gradients stop at this part of the first gradient."""


DEFAULT = Tolerances()
