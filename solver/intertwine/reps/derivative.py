"""The derivative of a user-defined rep that only defines ρ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import factorial
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Inexact

from intertwine.arrays import in_numpy, is_hidden, is_jax, is_torch, namespace
from intertwine.errors import InvalidRep
from intertwine.operators import dense, exponential
from intertwine.operators.matrix_exponential import estimated_norm, exponential_times
from intertwine.operators.product_comparison import (
    PRODUCTS_UP_TO,
    bound_from_images,
    has_orthonormal_rows,
    normal_vectors,
)

if TYPE_CHECKING:
    from intertwine.reps.syntax import Element, Rep

_STEP = 2.0**-4
_FIRST = 0.2  # the angle at which the largest frequency is measured, in the unit of A's
_FREQUENCIES_UP_TO = 5  # more frequencies take more images than differences do
_LARGEST_MULTIPLE = 12  # of the smallest frequency of A that is tried
_INTEGER = 1e-14  # the largest relative distance of a frequency from a multiple
_AGREEMENT = 1e-10  # the largest relative error of exp t dρ(A) at a small t
_NEAR_IDENTITY = 0.25
_NEAR_FOR_DIFFERENCES = 0.1
_HALVED = 40
_ORDER = 6  # steps in each direction
_MULTIPLICATIVE = 1e-6
_UNITARY = 5e-12


def differentiate(rep: Rep, A: Element) -> Inexact[Any, "n n"]:
    """Return dρ(A), the derivative of t ↦ ρ(exp tA) at t = 0.

    JAX arrays are differentiated by JAX, and tensors by PyTorch. For NumPy arrays ρ(exp tA) =
    exp(t dρ(A)) is solved for dρ(A): by a logarithm at a small t. If the matrix is large, by the
    Fourier series of ρ(exp tA) where that is periodic with few frequencies, else by differences.
    All are exact up to rounding, so ρ need not be differentiable code. Raises `InvalidRep` if ρ is
    not multiplicative along exp tA.
    """
    from intertwine.reps.syntax import element_of

    matrix = dense(element_of(rep, A))
    if is_jax(matrix):
        import jax
        import jax.numpy as jnp

        identity = jnp.eye(matrix.shape[0], dtype=matrix.dtype)
        try:
            return jax.jvp(lambda g: dense(rep.rho(g)), (identity,), (matrix,))[1]
        except jax.errors.TracerArrayConversionError:
            if isinstance(matrix, jax.core.Tracer):
                raise
            # ρ uses NumPy and cannot be traced
            return jnp.asarray(_derivative(rep, np.asarray(matrix)), matrix.dtype)
    if is_torch(matrix):
        return _by_pytorch(rep, matrix)
    return _derivative(rep, np.asarray(matrix))


def _by_pytorch(rep: Rep, matrix: Any) -> Any:
    import torch

    def image(g: Any) -> Any:
        found = dense(rep.rho(g))
        if not is_torch(found):
            raise TypeError(f"rho of {rep!r} does not compute with tensors of PyTorch")
        return found

    identity = torch.eye(matrix.shape[0], dtype=matrix.dtype, device=matrix.device)
    try:
        return torch.func.jvp(image, (identity,), (matrix,))[1]
    except (RuntimeError, TypeError):
        if is_hidden(matrix):
            raise
        # ρ uses NumPy or JAX, and cannot be differentiated by PyTorch
        return namespace(matrix).asarray(_derivative(rep, in_numpy(matrix)))


def _derivative(rep: Rep, matrix: Inexact[np.ndarray, "d d"]) -> Inexact[np.ndarray, "n n"]:
    from intertwine.reps.own_matrices import matrix_of

    def image(t: float) -> Inexact[np.ndarray, "n n"]:
        found: Inexact[np.ndarray, "n n"] = matrix_of(rep, "rho", exponential(t * matrix))
        return found

    norm = float(np.linalg.norm(matrix, 2)) or 1.0
    if rep.size() > PRODUCTS_UP_TO:
        step = image(_STEP / norm)
        found = _by_frequencies(image, matrix, _STEP / norm, step)
        return _by_differences(rep, image, _STEP / norm, step) if found is None else found
    return _by_logarithm(rep, image, _STEP / norm)


def derivatives_of_equal_degree(
    rep: Rep, generators: Sequence[Inexact[np.ndarray, "d d"]]
) -> list[Inexact[np.ndarray, "n n"]] | None:
    """Return dρ of each generator, if that of each has frequencies in the same ratio to its own as
    that of the first; else None, or matrices that are wrong.

    The caller has to check the result. Each generator takes one image less than `differentiate`,
    which measures the largest frequency near 1 and checks the derivative there. Here, that of the
    first generator is measured at one of the points from which the derivative is computed.
    """
    from intertwine.reps.own_matrices import matrix_of

    units = [_frequency_unit(generator) for generator in generators]
    norms = [float(np.linalg.norm(generator, 2)) for generator in generators]
    if not all(norms):
        return None
    degree, found = None, []
    for generator, unit, norm in zip(generators, units, norms, strict=True):
        if unit is None:
            return None
        image = partial(_image_along, partial(matrix_of, rep, "rho"), generator)
        first = None
        if degree is None:
            first = image(_FIRST / unit)
            largest = _largest_frequency(first, _FIRST / unit)
            if largest is None:
                return None
            degree = largest / norm
        most = _whole_frequencies(degree * norm, unit)
        if most > _FREQUENCIES_UP_TO:
            return None
        found.append(_from_frequencies(image, unit, most, rep.size(), first))
    return found


def _image_along(
    image: Callable[[Any], Inexact[np.ndarray, "n n"]], matrix: Inexact[np.ndarray, "d d"], t: float
) -> Inexact[np.ndarray, "n n"]:
    return image(exponential(t * matrix))


def _by_logarithm(
    rep: Rep, image: Callable[[float], Inexact[np.ndarray, "n n"]], t: float
) -> Inexact[np.ndarray, "n n"]:
    from scipy.linalg import logm

    identity = np.eye(len(image(0.0)))
    if not len(identity):
        return identity
    for _ in range(_HALVED):
        step = image(t)
        if np.linalg.norm(step - identity, 2) <= _NEAR_IDENTITY:
            break
        t /= 2
    else:
        raise _not_continuous(rep)
    if not np.linalg.norm(image(2 * t) - step @ step, 2) <= _MULTIPLICATIVE:
        raise _not_multiplicative(rep)
    logarithm = logm(step) / t
    return logarithm if np.iscomplexobj(step) else np.real(logarithm)


def _by_frequencies(
    image: Callable[[float], Inexact[np.ndarray, "n n"]],
    matrix: Inexact[np.ndarray, "d d"],
    t: float,
    step: Inexact[np.ndarray, "n n"],
) -> Inexact[np.ndarray, "n n"] | None:
    """Return dρ(A) if ρ(exp tA) is periodic in t with few frequencies, else None.

    The eigenvalues of A must be multiples of iω, and those of dρ(A) are then ikω for integers |k| ≤
    W, where W must be at most `_FREQUENCIES_UP_TO`. So ρ(exp tA) is a trigonometric polynomial of
    degree W, and its derivative a combination of its values at N = 2W + 1 equidistant points. With
    k = Σⱼ bⱼ sin(2πjk/N) for k ≤ W and j = 1, …, W, it takes W images of a unitary ρ where the
    differences take six, and amplifies rounding errors less than 9 times. W is estimated from
    ‖ρ(exp tA) − 1‖ for a small t, where the result is also checked: a W that is too small, or a ρ
    that is not multiplicative, would give other values there.
    """
    unit = _frequency_unit(matrix)
    largest = None if unit is None else _largest_frequency(step, t)
    if unit is None or largest is None:
        return None
    most = _whole_frequencies(largest, unit)
    if most > _FREQUENCIES_UP_TO:
        return None
    total = _from_frequencies(image, unit, most, len(step))
    vectors = normal_vectors(len(step))
    moved = exponential_times(t * total, vectors, t * largest)
    error = bound_from_images(step @ vectors - moved)
    scale = max(1.0, float(np.abs(step).max(initial=0.0)) - error)
    return total if error <= _AGREEMENT * scale else None


def _largest_frequency(step: Inexact[np.ndarray, "n n"], t: float) -> float | None:
    """Return an estimate of ‖dρ(A)‖ from ρ(exp tA), if it is unitary; None if t is too large."""
    change = step.copy()
    change[np.diag_indices(len(change))] -= 1
    sine = estimated_norm(change) / 2
    return 2 * float(np.arcsin(sine)) / t if sine < 0.5 else None


def _whole_frequencies(largest: float, unit: float) -> int:
    """Return W, the largest frequency in units of `unit`, from an estimate."""
    return int(np.ceil(largest / unit - 0.01))


def _from_frequencies(
    image: Callable[[float], Inexact[np.ndarray, "n n"]],
    unit: float,
    most: int,
    n: int,
    first: Inexact[np.ndarray, "n n"] | None = None,
) -> Inexact[np.ndarray, "n n"]:
    """Return dρ(A), whose eigenvalues are ikω for |k| ≤ W, from images at W angles.

    These are 2πj/(2W + 1). With `first`, the image at the angle `_FIRST`, that replaces the
    smallest: then errors of the images are amplified by at most 6. `first` is overwritten.
    """
    multiples = np.arange(1, most + 1)
    angles = 2 * np.pi * multiples / (2 * most + 1)
    if first is not None:
        angles[:1] = _FIRST
    # k = Σⱼ bⱼ sin(k θⱼ) for all k ≤ W
    weights = np.linalg.solve(np.sin(np.outer(multiples, angles)), multiples)
    is_unitary = False
    total: Inexact[np.ndarray, "n n"] = np.zeros((n, n))
    for j, (angle, weight) in enumerate(zip(angles, weights, strict=True)):
        ahead = first if first is not None and not j else image(angle / unit)
        is_unitary = is_unitary if j else has_orthonormal_rows(ahead, _UNITARY)
        ahead -= ahead.conj().T if is_unitary else image(-angle / unit)
        ahead *= weight * unit / 2
        total = total + ahead if j else ahead  # rho may become complex on the way
    return total


def _frequency_unit(matrix: Inexact[np.ndarray, "d d"]) -> float | None:
    """Return ω > 0 if A is anti-Hermitian and its eigenvalues are multiples of iω; else None.

    The smallest is at most `_LARGEST_MULTIPLE` times iω. For A = 0, any ω is right.
    """
    largest = float(np.abs(matrix).max(initial=0.0))
    if not largest:
        return 1.0
    if not np.abs(matrix + matrix.conj().T).max() <= _INTEGER * largest:
        return None
    values = np.abs(np.linalg.eigvalsh(1j * matrix))
    values = values[values > _INTEGER * values.max()]
    for divisor in range(1, _LARGEST_MULTIPLE + 1):
        unit = float(values.min()) / divisor
        multiples = np.rint(values / unit)
        if multiples.max() > _LARGEST_MULTIPLE:
            return None
        if np.all(np.abs(values - multiples * unit) <= _INTEGER * values.max()):
            return unit
    return None


def _by_differences(
    rep: Rep,
    image: Callable[[float], Inexact[np.ndarray, "n n"]],
    t: float,
    step: Inexact[np.ndarray, "n n"],
) -> Inexact[np.ndarray, "n n"]:
    """Return dρ(A) from ρ(exp ktA) for k = ±1, …, ±6 by the central difference of order 12, which
    takes n² operations; the logarithm takes n³. `step` is ρ(exp tA).

    For ‖t dρ(A)‖ ≤ 1/8 its error is below rounding. If ρ(exp tA) is unitary, the images for −k are
    the adjoints of those for k. If t is too large for that, it is halved.
    """
    second = None
    for _ in range(_HALVED):
        change = step.copy()
        change[np.diag_indices(len(change))] -= 1
        if estimated_norm(change) <= _NEAR_FOR_DIFFERENCES:
            break
        t /= 2
        step, second = image(t), step
    else:
        raise _not_continuous(rep)
    if second is None:
        second = image(2 * t)
    vectors = normal_vectors(len(step))
    error = second @ vectors - step @ (step @ vectors)
    # the root mean square over the vectors is about the Frobenius norm
    if not np.linalg.norm(error) / np.sqrt(vectors.shape[1]) <= _MULTIPLICATIVE / 2:
        raise _not_multiplicative(rep)
    is_unitary = has_orthonormal_rows(step, _UNITARY)
    total = np.zeros_like(step)
    for k in range(1, _ORDER + 1):
        ahead = {1: step, 2: second}[k] if k <= 2 else image(k * t)
        behind = ahead.conj().T if is_unitary else image(-k * t)
        weight = factorial(_ORDER) ** 2 / (k * factorial(_ORDER - k) * factorial(_ORDER + k))
        total = total - (-1) ** k * weight * (ahead - behind)
    found: Inexact[np.ndarray, "n n"] = total / t
    return found


def _not_continuous(rep: Rep) -> InvalidRep:
    return InvalidRep(f"rho of {rep!r} does not tend to the identity along exp(tA)")


def _not_multiplicative(rep: Rep) -> InvalidRep:
    return InvalidRep(f"rho of {rep!r} is not multiplicative: ρ(exp 2tA) ≠ ρ(exp tA)²")
