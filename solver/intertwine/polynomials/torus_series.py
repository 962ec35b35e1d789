"""Hilbert series of reductive groups with a Lie algebra, by the weights of each component."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, prod
from typing import Any

import numpy as np
from jaxtyping import Shaped

from intertwine.polynomials.components import Component, Weights

_ENTRIES = 1 << 23
"""The largest number of coefficients of a truncated series."""
_WORK = 1e9  # the most operations on 64 bits for a series
_SLOW = 30
"""How many times longer an operation on integers of any size takes than on 64 bits."""
_SIGN = 1e-8  # an eigenvalue this near to ±1 is rounded to it
_INTEGER = 1e-6  # the largest distance of a mean from an integer
_LARGEST_FLOAT = 1e9
"""Floating-point sums of larger terms have too few digits to be tested for an integer."""


def series_of(components: Sequence[Component], degree: int) -> tuple[int, ...] | None:
    """Return dim Hom(Sym^k ρ_in, ρ_out) for k from 0 to `degree`: the mean over the components.

    Components with eigenvalues ±1 of h are computed in integers, and others in floating point. None
    if there are too many terms, or if a mean is not clearly an integer.
    """
    totals: list[complex] = [0] * (degree + 1)
    exact, is_exact = [0] * (degree + 1), True
    volumes = set()
    for component in components:
        means = _means(component, degree)
        if means is None:
            return None
        numerators, volume = means
        if isinstance(volume, int):
            volumes.add(volume)
            quotients = [divmod(x, volume) for x in numerators]
            if any(rest for _, rest in quotients):
                return None
            exact = [a + b for a, (b, _) in zip(exact, quotients, strict=True)]
        else:
            is_exact = False
            totals = [a + b / volume for a, b in zip(totals, numerators, strict=True)]
    count = len(components)
    found = []
    for whole, rest in zip(exact, totals, strict=True):
        if is_exact:
            quotient, remainder = divmod(whole, count)
            if remainder:
                return None
        else:
            mean = (whole + rest) / count
            quotient = round(mean.real)
            if not abs(mean - quotient) <= _INTEGER:
                return None
        found.append(quotient)
    return tuple(found)


def _means(component: Component, degree: int) -> tuple[list[Any], int | complex] | None:
    """Return the constant terms of h_k(ρ_in*) χ_out D for each k, and that of D."""
    parts = (component.inner, component.outer, component.adjoint)
    values = np.concatenate([part.eigenvalues for part in parts])
    signs = np.rint(values.real)
    is_signed = bool(np.all(np.abs(values - signs) <= _SIGN) and np.all(np.abs(signs) == 1))
    rank = component.inner.weights.shape[1]
    density = _density(component.adjoint, is_signed)
    if density is None:
        return None
    volume = density.get((0,) * rank, 0)
    volume = volume if is_signed else complex(volume)
    factor: dict[tuple[int, ...], int | complex] = {}
    outer = component.outer
    for weight, value in zip(outer.weights.tolist(), outer.eigenvalues.tolist(), strict=True):
        own = round(value.real) if is_signed else value
        for place, coefficient in density.items():
            at = tuple(a + b for a, b in zip(place, weight, strict=True))
            factor[at] = factor.get(at, 0) + own * coefficient
    n = len(component.inner.weights)
    largest = comb(n + degree, degree) * max(1, sum(map(abs, factor.values())))
    if not is_signed and not largest <= _LARGEST_FLOAT:
        return None
    dtype = complex if not is_signed else np.int64 if largest < 2**62 else object
    series = _symmetric_powers(component.inner, degree, np.dtype(dtype))
    if series is None:
        return None
    centre = [size // 2 for size in series.shape[1:]]
    found = [0] * (degree + 1)
    for place, coefficient in factor.items():
        # the dual's weight −w cancels the weight w of the rest
        at = tuple(c + w for c, w in zip(centre, place, strict=True))
        if all(0 <= a < size for a, size in zip(at, series.shape[1:], strict=True)):
            column = series[(slice(None), *at)].tolist()
            found = [a + coefficient * b for a, b in zip(found, column, strict=True)]
    return found, volume


def _density(adjoint: Weights, is_signed: bool) -> dict[tuple[int, ...], int | complex] | None:
    """Return det(1 − Ad(ht)) on 𝔤/𝔱 as a Laurent polynomial: {weight: coefficient}.

    For the identity component, positive roots are enough: the characters of a connected group are
    symmetric under its Weyl group, and ∏(1 − z^α) over these has one term for each of its elements
    by Weyl's denominator formula.
    """
    found: dict[tuple[int, ...], int | complex] = {(0,) * adjoint.weights.shape[1]: 1}
    factors = list(zip(adjoint.weights.tolist(), adjoint.eigenvalues.tolist(), strict=True))
    if is_signed and all(value.real > 0 for _, value in factors):
        factors = [(weight, value) for weight, value in factors if weight > [0] * len(weight)]
    for weight, value in factors:
        own = round(value.real) if is_signed else value
        new = dict(found)
        for place, coefficient in found.items():
            at = tuple(a + b for a, b in zip(place, weight, strict=True))
            new[at] = new.get(at, 0) - own * coefficient
        found = {place: c for place, c in new.items() if c}
        if len(found) > 1 << 16:
            return None
    return found


def _symmetric_powers(
    inner: Weights, degree: int, dtype: np.dtype[Any]
) -> Shaped[np.ndarray, "k ..."] | None:
    """Return the traces of (ht)⁻¹ on Sym^k as Laurent polynomials in z, for each k.

    The generating function is ∏ⱼ 1 / (1 − s μⱼ⁻¹ z^(−λⱼ)). The first axis is k; in the others, the
    coefficient of z⁻ʷ is at place w, with w = 0 in the middle.
    """
    weights = inner.weights
    reach = np.abs(weights).max(axis=0, initial=0) * degree
    shape = (degree + 1, *(2 * reach + 1).tolist())
    work = prod(shape) * len(weights) * (_SLOW if dtype.kind == "O" else 1)
    if prod(shape) > _ENTRIES or work > _WORK:
        return None
    series = np.zeros(shape, dtype)
    series[(0, *reach.tolist())] = 1
    for weight, value in zip(weights.tolist(), inner.eigenvalues.tolist(), strict=True):
        own = 1 / value if dtype.kind == "c" else round(value.real)
        to, source = _shift(weight, shape[1:])
        for k in range(1, degree + 1):
            series[k, ...][to] += own * series[k - 1, ...][source]
    return series


def _shift(
    weight: Sequence[int], shape: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the places that a shift by a weight leads to, and those that it comes from."""
    to = tuple(slice(max(w, 0), n + min(w, 0)) for w, n in zip(weight, shape, strict=True))
    source = tuple(slice(max(-w, 0), n - max(w, 0)) for w, n in zip(weight, shape, strict=True))
    return to, source
