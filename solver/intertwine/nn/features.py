"""Features in irrep coordinates: the linear maps that Schur's lemma allows, and products.

A weight, a product and a bias act on all channels of an irrep alike, component by component.
Everything here works on JAX and NumPy arrays: initial weights are chosen on NumPy arrays, which
need no compilation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax import lax
from jaxtyping import Inexact, Int

from intertwine.arrays import Array, index, is_jax, namespace
from intertwine.nn.by_content import ByContent

#: For each irrep, by name, its d components, arrays of shape (multiplicity, batch). They are never
#: stacked: on a CPU every stacked layout was 1.5 to 2.8 times slower (docs/networks.md).
Features = dict[str, list[Array]]

ZERO = 1e-9
"""Coefficients below this are zeros up to rounding."""
_PIECES = 64


@dataclass(frozen=True, eq=False)
class Kind(ByContent):
    """An irrep λ as layers use it: its name, and a basis E of the matrices that commute with it, of
    shape (e, d, d), with E₀ = 1 and tr(EᵢᴴEⱼ) = d δᵢⱼ.
    """

    name: str
    is_trivial: bool
    endomorphisms: Inexact[np.ndarray, "e d d"]

    @property
    def dimension(self) -> int:
        """d."""
        return len(self.endomorphisms[0])

    @property
    def freedom(self) -> int:
        """e, the number of parameters that Schur's lemma leaves for a map λ → λ."""
        return len(self.endomorphisms)


def mixed(weight: Inexact[Array, "new old"], kind: Kind, x: Sequence[Array]) -> list[Array]:
    """Return (Σᵢ Wᵢ ⊗ Eᵢ)x for the weight [W₀ W₁ …] of shape (m', e·m), by one product per
    component.
    """
    return [weight @ component for component in endomorphism_images(kind, x)]


def endomorphism_images(kind: Kind, x: Sequence[Array]) -> list[Array]:
    """Return the components of x, E₁x, E₂x, …, joined along the channels."""
    if kind.freedom == 1:
        return list(x)
    images = [x, *([combined(row, x) for row in e] for e in kind.endomorphisms[1:])]
    return [joined_channels(parts) for parts in zip(*images, strict=True)]


def combined(row: Inexact[np.ndarray, " d"], x: Sequence[Array]) -> Array:
    """Return Σᵢ rᵢxᵢ without zero terms."""
    terms = [scaled(row[i], x[i]) for i in range(len(row)) if abs(row[i]) > ZERO]
    return summed(terms) if terms else 0 * x[0]


def cut(x: Sequence[Array], sizes: Sequence[int]) -> list[list[Array]]:
    """Return parts of these numbers of channels. (`split` transposes to one concatenation, slices
    to pads.)
    """
    parts = [split(component, sizes) for component in x]
    return [list(part) for part in zip(*parts, strict=True)]


def fusion_barrier(parts: Sequence[list[Array]]) -> Sequence[list[Array]]:
    """Return the same arrays, and keep XLA from fusing their computations.

    Fused, the sums of products of a gradient are written into the whole array one number at a time,
    with a branch at each: 5 % of a step.
    """
    if not is_jax(parts[0][0]):
        return parts
    barrier: Any = lax.optimization_barrier
    found: Sequence[list[Array]] = barrier(parts)
    return found


def split(x: Inexact[Array, "c b"], sizes: Sequence[int]) -> Sequence[Array]:
    """Return the rows of x in parts of these sizes."""
    if is_jax(x):
        return lax.split(x, sizes, axis=0)
    return np.split(x, np.cumsum(sizes)[:-1])


def reordered(x: Inexact[Array, "n b"], places: Int[np.ndarray, " n"]) -> Inexact[Array, "n b"]:
    """Return x[places], by few and long pieces: the gradient of indexing is a slow scatter."""
    ends = np.flatnonzero(np.diff(places) != 1) + 1
    if not len(ends):
        return x
    if len(ends) > _PIECES:
        return x[index(places, x)]
    pieces = np.split(places, ends)
    by_start = sorted(range(len(pieces)), key=lambda i: int(pieces[i][0]))
    parts = split(x, [len(pieces[i]) for i in by_start])
    found = dict(zip(by_start, parts, strict=True))
    return joined_channels([found[i] for i in range(len(pieces))])


def joined_channels(parts: Sequence[Array]) -> Array:
    """Return the rows of all arrays, one array after another."""
    return namespace(*parts).concatenate(parts)


def joined(parts: Sequence[Sequence[Array]]) -> list[Array]:
    """Return the channels of all parts, one part after another."""
    if len(parts) == 1:
        return list(parts[0])
    return [joined_channels(components) for components in zip(*parts, strict=True)]


def added(x: Sequence[Array], y: Sequence[Array]) -> list[Array]:
    """Return x + y."""
    return [a + b for a, b in zip(x, y, strict=True)]


def scaled(coefficient: np.inexact, x: Array) -> Array:
    """Return cx, without a multiplication for c = ±1."""
    number = coefficient.item()
    return x if number == 1 else -x if number == -1 else number * x


def summed(terms: Iterable[Array]) -> Array:
    """Return the sum of at least one term."""
    first, *rest = terms
    for term in rest:
        first = first + term
    return first
