"""The closure of Lie generators under brackets, which ignores near misses."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.groups.roots_of_unity import EXACT

NEARLY = 1e-3
"""Distances from a span below this count as rounding errors."""
_SPANNED = 1e-4  # of the largest squared singular value
_FAR = 0.1  # distances from a span above this are clearly outside
_LARGEST = 64
"""The largest dimension of a closure that is judged."""
_FEW = 8  # random brackets by which more generators than `_LARGEST` are judged
_MARGIN = 10.0  # a bracket has the errors of its factors, and of their orthonormalisation
_INDEPENDENT = 1e-7  # below, generators are combinations of the others, or rejected by the solve
_DEFECTIVE = 1e7  # a larger condition of eigenvectors means a defective matrix
_WORK = 2e8
"""The most multiplications of the first round of a closure, which runs in each solve."""
_GROWN_WORK = 2e9
"""The most multiplications of a later round, in which the algebra has grown."""


@dataclass(frozen=True)
class Leak:
    """A bracket or an image under a discrete generator, `distance` outside the span."""

    distance: float
    element: int | None = None
    """The discrete generator; None for a bracket."""


@dataclass(frozen=True)
class Closure:
    """An orthonormal basis over ℝ, and the leaks that look like rounding.

    `is_as_given`: the generators' own span is closed. `is_perfect`: its brackets span it. With
    both, the generators' digits are those of an exact algebra. (Charges of an Abelian part are in
    no bracket, and may have been rounded.) `smallest` is the smallest singular value of the
    generators; dividing by it magnifies their errors.
    """

    basis: Inexact[np.ndarray, "m d d"]
    leaks: tuple[Leak, ...]
    is_as_given: bool
    is_perfect: bool
    smallest: float


def close(
    lie: Inexact[np.ndarray, "k d d"],
    discrete: Inexact[np.ndarray, "l d d"],
    rounding: float = 0.0,
    *,
    work: float = _WORK,
) -> Closure | None:
    """Return the closure of generators of norm 1 under brackets and the adjoint action.

    Brackets clearly outside the span are added to it; those outside by less than `NEARLY`, but more
    than the generators' own errors, are leaks. `rounding` is the known error of the generators:
    below it generators depend on others, and leaks may be larger by it. None if the work would be
    too much: more than `work` multiplications at first.
    """
    k, d = len(lie), lie.shape[-1]
    if not k or 2 * k * k * d * d * (d + k) + 2 * k * len(discrete) * d**3 > work:
        return None
    basis, smallest = _orthonormal(real_rows(lie), max(_INDEPENDENT, _MARGIN * rounding))
    error, oblique = _MARGIN * EXACT / smallest, obliqueness(lie)
    nearly = max(NEARLY, min(_FAR, _MARGIN * rounding / smallest))
    if len(basis) > _LARGEST:
        brackets = _random_brackets(basis, lie, len(basis) + _FEW)
        leaks = _leaks(brackets[:_FEW], basis, error, nearly / oblique)
        is_perfect = _span(brackets, basis)
        return Closure(matrices_from(basis, lie), leaks, not leaks, is_perfect, smallest)
    stretches = [float(np.linalg.cond(h)) for h in discrete]
    has_grown = False
    while True:
        matrices = matrices_from(basis, lie)
        brackets = real_rows(_all_brackets(matrices))
        images = [
            _unit(real_rows(h @ matrices @ np.linalg.inv(h)))
            for h, stretch in zip(discrete, stretches, strict=True)
            if stretch < _DEFECTIVE
        ]
        outside = _outside(np.concatenate([brackets, *images]), basis)
        new, least = _orthonormal(outside, nearly, relative=False)
        if not len(new) or not error < nearly:
            break
        m = len(basis) + len(new)
        if m > _LARGEST or m * m * d * d * (d + m) > _GROWN_WORK:
            return None
        basis, error, has_grown = np.concatenate([basis, new]), error / least, True
        nearly = max(nearly, min(_FAR, _MARGIN * rounding / least))
    leaks = _leaks(brackets, basis, error, nearly / oblique)
    usable = [i for i, stretch in enumerate(stretches) if stretch < _DEFECTIVE]
    for i, image in zip(usable, images, strict=True):
        stretch = stretches[i]
        found = _leaks(image, basis, error * stretch, nearly / (oblique * stretch))
        leaks += tuple(Leak(leak.distance, i) for leak in found)
    farthest = float(np.linalg.norm(_outside(brackets, basis), axis=1).max(initial=0.0))
    is_as_given = farthest <= error and not has_grown and math.isfinite(oblique)
    return Closure(matrices, leaks, is_as_given, _span(brackets, basis), smallest)


def _leaks(
    vectors: Float[np.ndarray, "b n"],
    basis: Float[np.ndarray, "m n"],
    error: float,
    nearly: float,
) -> tuple[Leak, ...]:
    """Return the largest near miss, if any."""
    lengths = np.linalg.norm(_outside(vectors, basis), axis=1)
    near = lengths[(lengths > error) & (lengths <= nearly)]
    return (Leak(float(near.max())),) if near.size else ()


def _span(vectors: Float[np.ndarray, "b n"], basis: Float[np.ndarray, "m n"]) -> bool:
    """Return whether the vectors clearly span the whole space of the basis."""
    coordinates = vectors @ basis.T
    squares = np.linalg.eigvalsh(coordinates.T @ coordinates)
    return bool(squares[0] > _SPANNED * squares[-1])


def obliqueness(lie: Inexact[np.ndarray, "k d d"]) -> float:
    """Return the squared condition of generic elements' eigenvectors: in an oblique frame,
    elements outside a span are closer to it. Infinite for defective elements.
    """
    if np.abs(lie + np.swapaxes(lie, 1, 2).conj()).max() <= EXACT:
        return 1.0
    coefficients = np.random.default_rng(3).standard_normal((3, len(lie)))
    worst = 1.0
    for element in np.tensordot(coefficients, lie, (1, 0)):
        condition = float(np.linalg.cond(np.linalg.eig(element)[1]))
        worst = max(worst, condition**2 if condition < _DEFECTIVE else np.inf)
    return worst


def _random_brackets(
    basis: Float[np.ndarray, "m n"], like: Inexact[np.ndarray, "k d d"], count: int
) -> Float[np.ndarray, "b n"]:
    coefficients = np.random.default_rng(4).standard_normal((2, count, len(basis)))
    coefficients /= np.linalg.norm(coefficients, axis=2, keepdims=True)
    left, right = (matrices_from(c @ basis, like) for c in coefficients)
    return real_rows(left @ right - right @ left)


def _all_brackets(matrices: Inexact[np.ndarray, "m d d"]) -> Inexact[np.ndarray, "b d d"]:
    i, j = np.triu_indices(len(matrices), 1)
    products = np.matmul(matrices[:, None], matrices[None])
    brackets: Inexact[np.ndarray, "b d d"] = products[i, j] - products[j, i]
    return brackets


def real_rows(matrices: Inexact[np.ndarray, "m d d"]) -> Float[np.ndarray, "m n"]:
    """Return matrices as real vectors: real parts, then imaginary ones if they are complex."""
    rows = matrices.reshape(len(matrices), matrices.shape[1] * matrices.shape[2])
    return np.concatenate([rows.real, rows.imag], axis=1) if np.iscomplexobj(rows) else rows


def matrices_from(
    rows: Float[np.ndarray, "m n"], like: Inexact[np.ndarray, "k d d"]
) -> Inexact[np.ndarray, "m d d"]:
    """Return the matrices of `real_rows`, with the size and kind (real or complex) of `like`."""
    d = like.shape[-1]
    if np.iscomplexobj(like):
        rows = rows[:, : d * d] + 1j * rows[:, d * d :]
    return rows.reshape(-1, d, d)


def _outside(
    vectors: Float[np.ndarray, "b n"], basis: Float[np.ndarray, "m n"]
) -> Float[np.ndarray, "b n"]:
    for _ in range(2):  # twice, for the rounding
        vectors = vectors - (vectors @ basis.T) @ basis
    return vectors


def _unit(vectors: Float[np.ndarray, "b n"]) -> Float[np.ndarray, "b n"]:
    unit: Float[np.ndarray, "b n"] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _orthonormal(
    vectors: Float[np.ndarray, "b n"], least: float, *, relative: bool = True
) -> tuple[Float[np.ndarray, "m n"], float]:
    """Return an orthonormal basis of the vectors' span, of singular values above `least`, and the
    smallest singular value kept.
    """
    _, values, rows = np.linalg.svd(vectors, full_matrices=False)
    scale = float(values[0]) if relative and values.size else 1.0
    kept = values > least * scale
    smallest = float(values[kept].min(initial=scale)) / scale
    return rows[kept], smallest
