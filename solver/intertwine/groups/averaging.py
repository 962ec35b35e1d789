"""The finite group nearest to matrices that nearly generate one.

The elements are enumerated up to rounding; then ρ'(g) = |G|⁻¹ Σₕ ρ(gh)ρ(h)⁻¹ makes an exact
representation of what is nearly one, with quadratic convergence (Grove, Karcher and Ruh 1974;
Kazhdan 1982).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Inexact, Int

MAX_ORDER = 1000
"""The largest group that is enumerated."""
_WORK = 5e9
"""The most multiplications that the enumeration, or an average, may take."""
_DRIFT = 4.0  # a word of n letters is nearer to its element than n times this times the error
_APART = 4.0  # other elements are this many times farther apart
_ROUNDS = 8
_SETTLED = 1e-15
_EXACT = 1e-12


@dataclass(frozen=True)
class NearlyFinite:
    """Elements, the identity first, and where they are: generators, and products[g, h] = gh."""

    elements: Inexact[np.ndarray, "n d d"]
    generators: tuple[int, ...]
    products: Int[np.ndarray, "n n"]

    @property
    def exponent(self) -> int:
        """The largest order of an element."""
        here, order = np.arange(len(self.elements)), 1
        while here.any():
            here = np.where(here > 0, self.products[here, np.arange(len(here))], 0)
            order += 1
        return order


def nearly_finite_group(
    generators: list[Inexact[np.ndarray, "d d"]], error: float
) -> NearlyFinite | None:
    """The elements that generators of a relative error generate.

    None where there are more than `MAX_ORDER`, or where rounding does not tell them apart.
    """
    d = len(generators[0])
    norm = max(1.0, *(float(np.linalg.norm(g, 2)) for g in generators))
    elements = np.zeros((MAX_ORDER, d, d), dtype=np.result_type(*generators))
    elements[0], count, lengths = np.eye(d), 1, [0]
    right: list[list[int]] = []
    parents: list[tuple[int, int]] = [(0, 0)]
    while len(right) < count:
        here, row = len(right), []
        for letter, generator in enumerate(generators):
            product = elements[here] @ generator
            distances = np.abs(elements[:count] - product).max(axis=(1, 2))
            nearest = int(np.argmin(distances))
            radius = _DRIFT * error * norm * np.sqrt(d) * (2 + lengths[here] + lengths[nearest])
            if distances[nearest] <= radius:
                row.append(nearest)
                continue
            if count == MAX_ORDER or not distances[nearest] > _APART * radius:
                return None
            if float(count) ** 2 * len(generators) * d * d > _WORK:
                return None
            elements[count] = product
            row.append(count)
            lengths.append(lengths[here] + 1)
            parents.append((here, letter))
            count += 1
        right.append(row)
    table = np.array(right)
    if any(len(np.unique(column)) != count for column in table.T):
        return None
    products = np.zeros((count, count), dtype=np.int64)
    products[:, 0] = np.arange(count)
    for h in range(1, count):
        parent, letter = parents[h]
        products[:, h] = table[products[:, parent], letter]
    return NearlyFinite(elements[:count].copy(), tuple(int(i) for i in table[0]), products)


def average(group: NearlyFinite, *, unitary: bool) -> list[Inexact[np.ndarray, "d d"]] | None:
    """The generators of the nearest exact representation, unitary where they nearly were."""
    rho, (n, d) = group.elements, group.elements.shape[:2]
    if float(n) * n * d**3 > _WORK:
        return None
    for _ in range(_ROUNDS):
        inverses = np.linalg.inv(rho).reshape(n * d, d)
        new = np.empty_like(rho)
        for g in range(n):
            moved = rho[group.products[g]].transpose(1, 0, 2).reshape(d, n * d)
            new[g] = moved @ inverses / n
        if unitary:
            new = unitary_factor(new)
        change, rho = float(np.abs(new - rho).max()), new
        if change <= _SETTLED * d:
            break
    return [rho[i] for i in group.generators]


def fix_exact(
    new: list[Inexact[np.ndarray, "d d"]],
    given: list[Inexact[np.ndarray, "d d"]],
    is_exact: list[bool],
    *,
    unitary: bool,
) -> list[Inexact[np.ndarray, "d d"]]:
    """The generators of an exact representation in the frame where the exact ones among the given
    stay as they are: S = |K|⁻¹ Σₖ k ρ(k)⁻¹ over the group K of these has k S = S ρ(k).
    """
    chosen = [i for i, exact in enumerate(is_exact) if exact]
    if not chosen:
        return new
    before = nearly_finite_group([given[i] for i in chosen], _EXACT)
    after = nearly_finite_group([new[i] for i in chosen], _EXACT)
    if before is None or after is None or len(before.elements) != len(after.elements):
        return new
    inverses = np.linalg.inv(after.elements)  # the two are enumerated in the same order
    s = (before.elements @ inverses).mean(axis=0)
    if unitary:
        s = unitary_factor(s)
    return [s @ h @ np.linalg.inv(s) for h in new]


def unitary_factor(h: Inexact[np.ndarray, "*b d d"]) -> Inexact[np.ndarray, "*b d d"]:
    """The nearest unitary matrix."""
    u, _, vh = np.linalg.svd(h)
    factor: Inexact[np.ndarray, "*b d d"] = u @ vh
    return factor
