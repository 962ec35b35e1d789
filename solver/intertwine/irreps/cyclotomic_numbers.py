"""Text for sums of roots of unity, as they are in character tables: (1+√5)/2, i√3, 2cos(2π/7)."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

_SAME = 1e-6  # conjugates nearer than this are equal


def cyclotomic_text(counts: Sequence[int], conjugates: Sequence[complex]) -> str:
    """Return the exact text of x = Σ aⱼζʲ, where ζ = exp(2πi/m).

    `counts` are the integers a₀, …, a₍ₘ₋₁₎, and `conjugates` are x and its images under ζ ↦ ζˡ, for
    all l prime to m. Integers and numbers of degree 2 are written with square roots, others as
    sums of cosines and powers of ζ, as ζm^j.
    """
    distinct: list[complex] = []
    for value in conjugates:
        if all(abs(value - other) > _SAME for other in distinct):
            distinct.append(value)
    if len(distinct) == 1:  # an algebraic integer that is rational
        return str(round(distinct[0].real))
    if len(distinct) == 2:  # the root of x² − tx + q
        total, product = sum(distinct), distinct[0] * distinct[1]
        return _quadratic(round(total.real), round(product.real), distinct[0])
    return _sum_of_roots(counts)


def _quadratic(total: int, product: int, value: complex) -> str:
    """Return (t ± √(t² − 4q))/2."""
    discriminant = total * total - 4 * product
    size, root = abs(discriminant), 1
    for k in range(isqrt(size), 1, -1):
        if size % (k * k) == 0:
            size, root = size // (k * k), k
            break
    difference = 2 * value - total
    part = difference.imag if discriminant < 0 else difference.real
    surd = ("i" if discriminant < 0 else "") + (f"√{size}" if size > 1 else "")
    is_whole = total % 2 == 0 and root % 2 == 0
    if is_whole:
        total, root = total // 2, root // 2
    sign = "-" if part < 0 else "+" if total else ""
    text = f"{total or ''}{sign}{root if root > 1 else ''}{surd}"
    if is_whole:
        return text
    return f"({text})/2" if total else f"{text}/2"


def _sum_of_roots(counts: Sequence[int]) -> str:
    """Return a sum of an integer, cosines and roots of unity."""
    m, left = len(counts), list(counts)
    whole = left[0] - (left[m // 2] if m % 2 == 0 else 0)
    terms = [str(whole)] if whole else []
    for j in range(1, (m + 1) // 2):
        pairs = min(left[j], left[m - j])
        if pairs:
            terms.append(f"{2 * pairs}cos({2 * j if j > 1 else 2}π/{m})")
        for power, count in ((j, left[j] - pairs), (m - j, left[m - j] - pairs)):
            if count:
                exponent = f"^{power}" if power > 1 else ""
                terms.append(f"{count if count > 1 else ''}ζ{m}{exponent}")
    return "+".join(terms).replace("+-", "-")
