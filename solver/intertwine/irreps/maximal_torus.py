"""Maximal tori of a complexified Lie algebra, and joint eigenvalues as integer weights."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm

import numpy as np
from jaxtyping import Complex, Inexact, Int

from intertwine.irreps.actions import adjoint

_NULL, _CLEAR = 1e-8, 1e-4
"""Relative singular values below the first are zero; those between the two are ambiguous."""
_DIAGONAL = 1e-7  # the largest entry beside the diagonal, relative to the matrices
_CONDITION = 1e6  # of joint eigenvectors; more is unclear
_HERMITIAN = 1e-10  # relative
_RATIONAL = (
    1e-12  # the largest distance of a weight's coordinate from its fraction: `Tolerances.null`
)
_LARGEST_DENOMINATOR = 24


class UnclearWeights(Exception):
    """A numerical decision about a torus or its weights has no clear answer."""


class ComplexAlgebra:
    """A complex Lie algebra, by a basis of matrices Xᵢ of shape (m, n, n), independent over ℂ.

    The random elements that it uses are the same in every process.
    """

    def __init__(self, basis: Complex[np.ndarray, "m n n"]) -> None:
        self.basis = basis
        self._rows = basis.reshape(len(basis), -1)
        self._inverse = np.linalg.pinv(self._rows.T)
        self._rng = np.random.default_rng(31)

    def coordinates(self, matrices: Inexact[np.ndarray, "k n n"]) -> Complex[np.ndarray, "m k"]:
        """Return the coordinates of matrices in the basis, as columns.

        Raises `UnclearWeights` for a matrix outside of the algebra.
        """
        rows = matrices.reshape(len(matrices), -1).T
        found: Complex[np.ndarray, "m k"] = self._inverse @ rows
        if np.abs(self._rows.T @ found - rows).max() > _NULL * max(1.0, np.abs(rows).max()):
            raise UnclearWeights
        return found

    def fixed_by(self, h: Inexact[np.ndarray, "n n"]) -> Complex[np.ndarray, "k n n"]:
        """Return a basis of the elements X with hXh⁻¹ = X."""
        turned = self.coordinates(h @ self.basis @ np.linalg.inv(h))
        fixed = null_space(turned - np.eye(len(turned)))
        return np.tensordot(fixed.T, self.basis, 1)

    def torus(
        self,
        within: Complex[np.ndarray, "k n n"],
        generic: Complex[np.ndarray, "n n"] | None = None,
    ) -> Complex[np.ndarray, "r n n"]:
        """Return a basis of a Cartan subalgebra of a subalgebra: of the Lie algebra of a torus.

        It commutes with a `generic` element of the subalgebra, by default a random one.
        """
        if not len(within):
            return within
        if generic is None:
            generic = self.generic(within)
        brackets = generic @ within - within @ generic
        inner = null_space(self.coordinates(brackets))
        torus: Complex[np.ndarray, "r n n"] = np.tensordot(inner.T, within, 1)
        other = self.generic(torus)
        if np.abs(other @ torus - torus @ other).max() > _DIAGONAL * np.abs(torus).max() ** 2:
            raise UnclearWeights
        return torus

    def adjoint_action(
        self, torus: Complex[np.ndarray, "r n n"]
    ) -> list[Complex[np.ndarray, "m m"]]:
        """Return ad(H) on the algebra for each H of a torus, in its basis."""
        return [self.coordinates(h @ self.basis - self.basis @ h) for h in torus]

    def generic(self, matrices: Complex[np.ndarray, "k n n"]) -> Complex[np.ndarray, "n n"]:
        """Return a random combination of matrices."""
        return _generic(matrices, self._rng)

    def joint_eigenvalues(
        self, matrices: Sequence[Inexact[np.ndarray, "s s"]]
    ) -> Complex[np.ndarray, "s k"]:
        """Return `joint_eigenvalues` of commuting matrices."""
        return joint_eigenvalues(matrices, self._rng)


def joint_eigenvalues(
    matrices: Sequence[Inexact[np.ndarray, "s s"]], rng: np.random.Generator
) -> Complex[np.ndarray, "s k"]:
    """Return the joint eigenvalues of commuting matrices, as rows.

    Raises `UnclearWeights` for matrices that are not clearly diagonal in one frame.
    """
    size = len(matrices[0])
    if not size:
        return np.zeros((0, len(matrices)), complex)
    stack = np.array(matrices, complex)
    scales = np.abs(stack).max(axis=(1, 2), keepdims=True)
    largest = max(1.0, float(scales.max()))
    units = stack / np.where(scales > _HERMITIAN * largest, scales, largest)  # rounding is 0
    if np.abs(units - adjoint(units)).max(initial=0.0) <= _HERMITIAN:
        combined = np.tensordot(rng.standard_normal(len(units)), units, 1)
        vectors = np.linalg.eigh(combined)[1]
        inverse = vectors.conj().T
    else:
        vectors = np.linalg.eig(_generic(units, rng))[1]
        if not np.linalg.cond(vectors) <= _CONDITION:
            raise UnclearWeights
        inverse = np.linalg.inv(vectors)
    moved = inverse @ stack @ vectors
    values = np.diagonal(moved, axis1=1, axis2=2)
    off = moved - values[:, :, None] * np.eye(size)
    if not np.all(np.abs(off).max(axis=(1, 2)) <= _DIAGONAL * np.maximum(1, scales[:, 0, 0])):
        raise UnclearWeights
    return values.T


def _generic(
    matrices: Complex[np.ndarray, "k n n"], rng: np.random.Generator
) -> Complex[np.ndarray, "n n"]:
    real, imaginary = rng.standard_normal((2, len(matrices)))
    found: Complex[np.ndarray, "n n"] = np.tensordot(real + 1j * imaginary, matrices, 1)
    return found


def null_space(matrix: Complex[np.ndarray, "m n"]) -> Complex[np.ndarray, "n k"]:
    """Return a basis of the null space. Raises `UnclearWeights` without a gap."""
    _, values, right = np.linalg.svd(matrix)
    values = np.concatenate([values, np.zeros(matrix.shape[1] - len(values))])
    scale = max(1.0, float(values.max(initial=0.0)))
    if np.any((values > _NULL * scale) & (values < _CLEAR * scale)):
        raise UnclearWeights
    found: Complex[np.ndarray, "n k"] = right[values <= _NULL * scale].conj().T
    return found


def integer_weights(weights: Complex[np.ndarray, "n r"]) -> list[list[int]]:
    """Return weights in coordinates in which all are integers, multiples of r of the weights."""
    n, r = weights.shape
    if not r:
        return [[] for _ in range(n)]
    scales = np.abs(weights).max(axis=0)
    rows, chosen = weights / np.where(scales > 0, scales, 1), list[int]()
    left = rows.copy()
    for _ in range(r):
        lengths = np.linalg.norm(left, axis=1)
        best = int(np.argmax(lengths > (1 - _NULL) * lengths.max()))  # the first of the longest
        if lengths[best] <= _CLEAR:
            raise UnclearWeights
        unit = left[best] / lengths[best]
        left = left - np.outer(left @ unit.conj(), unit)
        chosen.append(best)
    found = np.linalg.solve(rows[chosen].T, rows.T).T
    if np.abs(found.imag).max(initial=0.0) > _RATIONAL:
        raise UnclearWeights
    fractions = [[_fraction(x) for x in row] for row in found.real.tolist()]
    common = [lcm(*(row[i].denominator for row in fractions)) for i in range(r)]
    return [[int(x * c) for x, c in zip(row, common, strict=True)] for row in fractions]


def _fraction(x: float) -> Fraction:
    found = Fraction(x).limit_denominator(_LARGEST_DENOMINATOR)
    if abs(float(found) - x) > _RATIONAL:
        raise UnclearWeights
    return found


def hermite(rows: list[list[int]]) -> tuple[list[list[int]], list[list[int]]]:
    """Return a basis of the lattice that integer rows span, in echelon form, and a basis of the
    relations Σᵢ nᵢ rowᵢ = 0 between them.
    """
    n = len(rows)
    both = [[*row, *(int(i == j) for j in range(n))] for i, row in enumerate(rows)]
    width, top = len(rows[0]) if rows else 0, 0
    for column in range(width):
        while True:
            live = [i for i in range(top, n) if both[i][column]]
            if not live:
                break
            best = min(live, key=lambda i: (abs(both[i][column]), i))
            both[top], both[best] = both[best], both[top]
            if len(live) == 1:
                top += 1
                break
            for i in range(top + 1, n):
                factor = both[i][column] // both[top][column]
                if factor:
                    both[i] = [a - factor * b for a, b in zip(both[i], both[top], strict=True)]
    return [row[:width] for row in both[:top]], [row[width:] for row in both[top:]]


def coordinates_in(rows: list[list[int]], basis: list[list[int]]) -> Int[np.ndarray, "n r"]:
    """Return integer rows in an echelon basis of their lattice."""
    found = np.zeros((len(rows), len(basis)), np.int64)
    for i, row in enumerate(rows):
        rest = list(row)
        for j, vector in enumerate(basis):
            column = next(c for c, x in enumerate(vector) if x)
            found[i, j] = rest[column] // vector[column]
            rest = [a - int(found[i, j]) * b for a, b in zip(rest, vector, strict=True)]
        assert not any(rest)
    return found
