"""Features in irrep coordinates: the linear maps that Schur's lemma allows, and products.

A weight, a product and a bias act on all channels of an irrep alike, component by component.
Everything here works on arrays of any library: initial weights are chosen on NumPy arrays, which
need no compilation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Inexact, Int

from intertwine.architecture.by_content import ByContent
from intertwine.architecture.precision import weighted_product
from intertwine.arrays import (
    Array,
    constant,
    index,
    is_concrete_jax,
    is_jax,
    is_torch,
    namespace,
)

#: The d components of an irrep: in NumPy and JAX a list of arrays of shape (multiplicity, batch),
#: in PyTorch one tensor of shape (multiplicity, d, batch).
#:
#: Weights multiply all of them together (`mixed`). In JAX products and gates use them one by one,
#: and XLA joins their operations: single arrays of shape (d, multiplicity, batch) were 1.6 to 2.1
#: times slower on a CPU. PyTorch starts each operation by itself, so few operations on whole
#: tensors are faster: a step takes 0.6 of the time. A weight is one matrix product, without copies.
Components = Any

#: For each irrep, by name, its components.
Features = dict[str, Components]

#: The weights of maps, by the name of an irrep or of another part.
Weights = Mapping[str, Inexact[Array, "_ _"]]

ZERO = 1e-9
"""Coefficients below this are zeros up to rounding."""
_PIECES = 64
_FEW = 16
"""The largest number of columns that are multiplied as rows."""
_FUSED = 8
"""XLA computes at most this many arrays while it joins them; more are written first, one by one."""
_SMALL_BATCH = 64
"""Up to this batch, starting an operation takes longer than writing its result once more."""


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

    @cached_property
    def units(self) -> Sequence[Inexact[np.ndarray, "d d"]]:
        """E₁, E₂, …: the same arrays in each call, so that their tensors are kept (`constant`)."""
        return [*self.endomorphisms[1:]]

    @property
    def freedom(self) -> int:
        """e, the number of parameters that Schur's lemma leaves for a map λ → λ."""
        return len(self.endomorphisms)


def mixed(
    weight: Inexact[Array, "new old"], kind: Kind, x: Components, *, is_batch: bool = False
) -> Components:
    """Return (Σᵢ Wᵢ ⊗ Eᵢ)x for the weight [W₀ W₁ …] of shape (m', e·m).

    The d components of a list are multiplied in one of three forms, equal up to rounding:

    - as columns of one matrix, of shape (e·m, d·batch). One product instead of d reads the weight
      once, and its gradient is one product instead of a sum of d: a step takes 0.65 of the time at
      batch 64, and 0.85 at 500.
    - as rows of one matrix, if they are few and the weight is a constant of the program, which XLA
      then transposes when it compiles. A product's inner loops are as long as its result is wide:
      3 or 5 columns take 1.5 to 2 times as long as 3 or 5 rows, 16 columns as long as 16 rows, and
      more columns are faster than rows.
    - one by one, if each is a single column and may be a vector of a `vmap`, which would make
      interleaved arrays of shape (m, batch, d) of joined columns: a forward takes 1.6 to 1.9 times
      as long. With `is_batch`, x is not: a column is a batch of one row.
    """
    parts = endomorphism_images(kind, x)
    if is_torch(parts):
        m, d, columns = parts.shape
        product = weighted_product(weight, parts.reshape(m, d * columns))
        return product.reshape(len(weight), d, columns)
    xp, sizes = namespace(*parts), [part.shape[1] for part in parts]
    # a batch that is a symbol, in an exported program, is not small
    batch = sizes[0] if isinstance(sizes[0], int) else _FEW
    is_few = len(parts) <= _FUSED and len(parts) * batch <= _FEW
    if len(parts) > 1 and is_few and is_concrete_jax(weight):
        rows = weighted_product(
            _operand(xp.concatenate([part.T for part in parts]), weight), weight.T
        )
        return [row.T for row in split(rows, sizes)]
    if len(parts) == 1 or (batch == 1 and not is_batch):
        return [weighted_product(weight, _operand(part, weight)) for part in parts]
    return [
        *split(weighted_product(weight, _operand(_columns(parts, batch), weight)), sizes, axis=1)
    ]


def _columns(parts: Sequence[Inexact[Array, "_ _"]], batch: int) -> Inexact[Array, "_ _"]:
    """Return the columns of all parts side by side, joined in two stages if they are many and
    short.
    """
    xp = namespace(*parts)
    if len(parts) <= _FUSED or batch > _SMALL_BATCH:
        return xp.concatenate(parts, axis=1)
    pieces = [parts[i : i + _FUSED] for i in range(0, len(parts), _FUSED)]
    return xp.concatenate(
        [fusion_barrier(xp.concatenate(piece, axis=1)) for piece in pieces], axis=1
    )


def _operand(x: Inexact[Array, "_ _"], weight: Inexact[Array, "_ _"]) -> Inexact[Array, "_ _"]:
    """Return the operand of a weight. If the weight is a constant, XLA must not split it."""
    return fusion_barrier(x) if is_concrete_jax(weight) else x


def endomorphism_images(kind: Kind, x: Components) -> Components:
    """Return the components of x, E₁x, E₂x, …, joined along the channels."""
    if kind.freedom == 1:
        return x
    return joined([x, *(turned(unit, x) for unit in kind.units)])


def turned(matrix: Inexact[np.ndarray, "e d"], x: Components) -> Components:
    """Return a matrix times the components."""
    if is_torch(x):
        return namespace(x).matmul(constant_like(matrix, x), x)
    return [combined(row, x) for row in matrix]


def combined(row: Inexact[np.ndarray, " d"], x: Sequence[Array]) -> Array:
    """Return Σᵢ rᵢxᵢ without zero terms."""
    terms = [scaled(row[i], x[i]) for i in range(len(row)) if abs(row[i]) > ZERO]
    return summed(terms) if terms else 0 * x[0]


def cut(x: Components, sizes: Sequence[int]) -> list[Components]:
    """Return parts of these numbers of channels. (`split` transposes to one concatenation, slices
    to pads.)
    """
    if is_torch(x):
        return [*split(x, sizes)]
    parts = [split(component, sizes) for component in x]
    return [list(part) for part in zip(*parts, strict=True)]


def fusion_barrier(parts: Any) -> Any:
    """Return the same arrays, in lists or alone, and keep XLA from fusing their computations.

    Fused, the sums of products of a gradient are written into the whole array one number at a time,
    with a branch at each: 5 % of a step. And a constant times an array that was joined from parts
    becomes a sum of products with each part: 16 products for one, over the irreps of A5.
    """
    first = parts
    while isinstance(first, Sequence):
        first = first[0]
    if not is_jax(first):
        return parts
    from jax import lax

    barrier: Any = lax.optimization_barrier
    return barrier(parts)


def split(x: Inexact[Array, "..."], sizes: Sequence[Any], axis: int = 0) -> Sequence[Array]:
    """Return the parts of x that have these sizes along an axis. Sizes are integers, or symbols in
    an exported program.
    """
    if is_jax(x):
        from jax import lax

        return lax.split(x, sizes, axis=axis)
    if is_torch(x):
        parts: Sequence[Array] = x.split(list(sizes), axis)
        return parts
    return np.split(x, np.cumsum(sizes)[:-1], axis=axis)


def constant_like(values: Inexact[np.ndarray, "*shape"], x: Array) -> Inexact[Array, "*shape"]:
    """Return a constant as an array that is used with x: of its own kind, in x's precision."""
    is_complex = np.iscomplexobj(values)
    if is_torch(x):
        real = x.dtype.to_real()
        return constant(values, x, real.to_complex() if is_complex else real)
    wide = x.dtype.itemsize > (8 if np.iscomplexobj(x) else 4)
    if is_complex:
        return values.astype(np.complex128 if wide else np.complex64)
    return values.astype(np.float64 if wide else np.float32)


def sigmoid(x: Array) -> Array:
    """Return 1/(1 + e⁻ˣ)."""
    if is_jax(x):
        import jax

        return jax.nn.sigmoid(x)
    if is_torch(x):
        return x.sigmoid()
    from scipy.special import expit

    return expit(x)


def reordered(x: Inexact[Array, "n b"], places: Int[np.ndarray, " n"]) -> Inexact[Array, "n b"]:
    """Return x[places], by few and long pieces: the gradient of indexing is a slow scatter."""
    ends = np.flatnonzero(np.diff(places) != 1) + 1
    if not len(ends):
        return x
    if len(ends) > _PIECES or is_torch(x):
        return x[index(places, x)]
    pieces = np.split(places, ends)
    by_start = sorted(range(len(pieces)), key=lambda i: int(pieces[i][0]))
    parts = split(x, [len(pieces[i]) for i in by_start])
    found = dict(zip(by_start, parts, strict=True))
    return joined_channels([found[i] for i in range(len(pieces))])


def joined_channels(parts: Sequence[Array]) -> Array:
    """Return the rows of all arrays, one array after another."""
    return namespace(*parts).concatenate(parts)


def joined(parts: Sequence[Components]) -> Components:
    """Return the channels of all parts, one part after another."""
    if len(parts) == 1:
        return parts[0]
    if is_torch(parts[0]):
        return joined_channels(parts)
    return [joined_channels(components) for components in zip(*parts, strict=True)]


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
