"""The components of a reductive group with a Lie algebra, and a torus and weights for each.

Let h be an element of a component hG°, and T a maximal torus of the centraliser of h in G°. Almost
every element of the component is conjugate to one of hT, and a class function f has the mean
∫ f over hG° = ∫_T f(ht) D(t) dt / ∫_T D(t) dt, with D(t) = det(1 − Ad(ht)) on 𝔤/𝔱 (Segal, *The
representation ring of a compact Lie group*, 1968; Bröcker and tom Dieck, *Representations of
Compact Lie Groups*, 1985, IV.2). For h = 1 this is Weyl's integration formula. Invariants are those
of the complexified group, so it need not be compact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

import numpy as np
from jaxtyping import Complex, Inexact, Int

from intertwine.groups.lie_closure import close
from intertwine.irreps import REDUCTIVE, verdict_of
from intertwine.polynomials.joint_groups import JointAction, in_double
from intertwine.reps import Rep

_MAX_COMPONENTS = 64
_NULL, _CLEAR = 1e-8, 1e-4
"""Relative singular values below the first are zero; those between the two are ambiguous."""
_DIAGONAL = 1e-7  # the largest entry beside the diagonal, relative to the matrices
_CONDITION = 1e6  # of joint eigenvectors; more is unclear
_RATIONAL = (
    1e-12  # the largest distance of a weight's coordinate from its fraction, as `Tolerances.null`
)
_LARGEST_DENOMINATOR = 24
_SAME = 1e-8  # elements or eigenvalues nearer than this are equal


@dataclass(frozen=True, eq=False)
class Weights:
    """The weights of a torus T with coordinates zᵢ, and the eigenvalues of h, of a rep.

    On a joint eigenvector, ht acts as `eigenvalues[j]` · ∏ᵢ zᵢ^weights[j, i].
    """

    weights: Int[np.ndarray, "n r"]
    eigenvalues: Complex[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class Component:
    """The weights of ht under ρ_in, ρ_out, and the adjoint action on 𝔤/𝔱."""

    inner: Weights
    outer: Weights
    adjoint: Weights


class _Unclear(Exception):
    """A numerical decision without a clear answer."""


def components_of(action: JointAction, rep_in: Rep, rep_out: Rep) -> list[Component] | None:
    """Return one component for each coset of the identity component.

    None if the group is not clearly reductive, has more than 64 components, or has weights that are
    not clearly multiples of a few, as on an irrational winding of a torus.
    """
    if any(verdict_of(group).kind != REDUCTIVE for group in action.groups):
        return None
    try:
        return _Finder(action, rep_in, rep_out).found()
    except (_Unclear, np.linalg.LinAlgError):
        return None


class _Finder:
    """Finds components and their weights from the joint images X(A) on base ⊕ ρ_in ⊕ ρ_out.

    The base is complexified as A ⊕ Ā where it is complex, so that elements of the real Lie algebra
    that are independent over ℝ have images that are independent over ℂ.
    """

    def __init__(self, action: JointAction, rep_in: Rep, rep_out: Rep) -> None:
        group, reps = action.group, (rep_in, rep_out)
        lie = [in_double(a) for a in group.lie_generators]
        lie = [matrix / np.linalg.norm(matrix) for matrix in lie if np.any(matrix)]
        discrete = [in_double(h) for h in group.group_generators]
        dtype, shape = np.result_type(np.float64, *lie, *discrete), (-1, group.d, group.d)
        closure = close(
            np.array(lie, dtype).reshape(shape), np.array(discrete, dtype).reshape(shape)
        )
        if closure is None or closure.leaks:
            raise _Unclear

        def joint(
            matrix: Inexact[np.ndarray, "d d"], images: Iterable[Inexact[np.ndarray, "_ _"]]
        ) -> Inexact[np.ndarray, "n n"]:
            base = (matrix, matrix.conj()) if group.is_complex else (matrix,)
            return _block((*base, *images))

        self.sizes = (2 * group.d if group.is_complex else group.d, *(rep.size() for rep in reps))
        self.generators = [joint(h, (action.rho(rep, h) for rep in reps)) for h in discrete]
        self.algebra = np.array(
            [joint(a, (action.drho(rep, a) for rep in reps)) for a in closure.basis], complex
        )
        self.rows = self.algebra.reshape(len(self.algebra), -1)
        self.inverse = np.linalg.pinv(self.rows.T)
        self.rng = np.random.default_rng(31)

    def found(self) -> list[Component]:
        """Return the components."""
        n = sum(self.sizes)
        elements = [np.eye(n, dtype=complex)]
        for element in elements:  # grows as it is walked
            for generator in self.generators:
                new = element @ generator
                if any(self._is_connected(new @ np.linalg.inv(known)) for known in elements):
                    continue
                if len(elements) >= _MAX_COMPONENTS:
                    raise _Unclear
                elements.append(new)
        return [self._component(element) for element in elements]

    def _is_connected(self, h: Inexact[np.ndarray, "n n"]) -> bool:
        """Return whether h is in the identity component.

        It is exactly if it is in a maximal torus T of its own centraliser: if every relation
        between the weights of T holds for the eigenvalues of h.
        """
        if np.abs(h - np.eye(len(h))).max() <= _SAME:
            return True
        torus = self._torus(h)
        weights, eigenvalues = self._joint(h, torus)
        here = slice(0, self.sizes[0])
        numbers = _integer_weights(weights)[here]
        _, relations = _hermite(numbers)
        logs = np.log(eigenvalues[here])
        for relation in relations:
            error = abs(np.exp(np.dot(np.array(relation, float), logs)) - 1)
            if error > _SAME:
                if error < _CLEAR:
                    raise _Unclear
                return False
        return True

    def _component(self, h: Inexact[np.ndarray, "n n"]) -> Component:
        torus = self._torus(h)
        rank = len(torus)
        weights, eigenvalues = self._joint(h, torus)
        adjoint_weights, adjoint_values = self._adjoint(h, torus)
        numbers = _integer_weights(np.concatenate([weights, adjoint_weights]))
        basis, _ = _hermite(numbers)
        coordinates = _coordinates(numbers, basis)
        if coordinates.shape[1] != rank:
            raise _Unclear
        split = np.cumsum(self.sizes)
        roots = coordinates[split[2] :]
        is_torus = (roots == 0).all(axis=1) & (np.abs(adjoint_values - 1) <= _SAME)
        if is_torus.sum() != rank:
            raise _Unclear
        return Component(
            Weights(coordinates[split[0] : split[1]], eigenvalues[split[0] : split[1]]),
            Weights(coordinates[split[1] : split[2]], eigenvalues[split[1] :]),
            Weights(roots[~is_torus], adjoint_values[~is_torus]),
        )

    def _torus(self, h: Inexact[np.ndarray, "n n"]) -> Complex[np.ndarray, "r n n"]:
        """Return a basis of the Lie algebra of a maximal torus of the centraliser of h."""
        turned = self._in_algebra(h @ self.algebra @ np.linalg.inv(h))
        fixed = _null_space(turned - np.eye(len(turned)))
        if not fixed.shape[1]:
            return np.zeros((0, *h.shape), complex)
        centraliser = np.tensordot(fixed.T, self.algebra, 1)
        generic = self._generic(centraliser)
        brackets = generic @ centraliser - centraliser @ generic
        inner = _null_space(self._in_algebra(brackets))
        torus = np.tensordot(inner.T, centraliser, 1)
        other = self._generic(torus)
        if np.abs(other @ torus - torus @ other).max() > _DIAGONAL * np.abs(torus).max() ** 2:
            raise _Unclear
        return torus

    def _in_algebra(self, matrices: Complex[np.ndarray, "k n n"]) -> Complex[np.ndarray, "m k"]:
        """Return the coordinates of matrices in the Lie algebra, as columns."""
        rows = matrices.reshape(len(matrices), -1).T
        found: Complex[np.ndarray, "m k"] = self.inverse @ rows
        if np.abs(self.rows.T @ found - rows).max() > _NULL * max(1.0, np.abs(rows).max()):
            raise _Unclear
        return found

    def _generic(self, matrices: Complex[np.ndarray, "k n n"]) -> Complex[np.ndarray, "n n"]:
        real, imaginary = self.rng.standard_normal((2, len(matrices)))
        found: Complex[np.ndarray, "n n"] = np.tensordot(real + 1j * imaginary, matrices, 1)
        return found

    def _joint(
        self, h: Inexact[np.ndarray, "n n"], torus: Complex[np.ndarray, "r n n"]
    ) -> tuple[Complex[np.ndarray, "n r"], Complex[np.ndarray, " n"]]:
        """Return the weights of the torus and the eigenvalues of h on base ⊕ ρ_in ⊕ ρ_out."""
        weights, values, at = [], [], 0
        for size in self.sizes:
            own = slice(at, at + size)
            found = self._diagonalised([*torus[:, own, own], h[own, own]])
            weights.append(found[:, :-1])
            values.append(found[:, -1])
            at += size
        return np.concatenate(weights), np.concatenate(values)

    def _adjoint(
        self, h: Inexact[np.ndarray, "n n"], torus: Complex[np.ndarray, "r n n"]
    ) -> tuple[Complex[np.ndarray, "m r"], Complex[np.ndarray, " m"]]:
        """Return the weights of the torus and the eigenvalues of h on the Lie algebra."""
        matrices = [self._in_algebra(t @ self.algebra - self.algebra @ t) for t in torus]
        matrices.append(self._in_algebra(h @ self.algebra @ np.linalg.inv(h)))
        found = self._diagonalised(matrices)
        return found[:, :-1], found[:, -1]

    def _diagonalised(
        self, matrices: Sequence[Complex[np.ndarray, "s s"]]
    ) -> Complex[np.ndarray, "s k"]:
        """Return the joint eigenvalues of commuting matrices, as rows."""
        size = len(matrices[0])
        if not size:
            return np.zeros((0, len(matrices)), complex)
        stack = np.array(matrices, complex)
        scales = np.abs(stack).max(axis=(1, 2), keepdims=True)
        vectors = np.linalg.eig(self._generic(stack / np.where(scales > 0, scales, 1)))[1]
        if not np.linalg.cond(vectors) <= _CONDITION:
            raise _Unclear
        moved = np.linalg.inv(vectors) @ stack @ vectors
        values = np.diagonal(moved, axis1=1, axis2=2)
        off = moved - values[:, :, None] * np.eye(size)
        if not np.all(np.abs(off).max(axis=(1, 2)) <= _DIAGONAL * np.maximum(1, scales[:, 0, 0])):
            raise _Unclear
        return values.T


def _block(parts: Sequence[Inexact[np.ndarray, "_ _"]]) -> Inexact[np.ndarray, "n n"]:
    n = sum(map(len, parts))
    found = np.zeros((n, n), np.result_type(*parts))
    at = 0
    for part in parts:
        found[at : at + len(part), at : at + len(part)] = part
        at += len(part)
    return found


def _null_space(matrix: Complex[np.ndarray, "m n"]) -> Complex[np.ndarray, "n k"]:
    """Return a basis of the null space. Raises `_Unclear` without a gap."""
    _, values, right = np.linalg.svd(matrix)
    values = np.concatenate([values, np.zeros(matrix.shape[1] - len(values))])
    scale = max(1.0, float(values.max(initial=0.0)))
    if np.any((values > _NULL * scale) & (values < _CLEAR * scale)):
        raise _Unclear
    found: Complex[np.ndarray, "n k"] = right[values <= _NULL * scale].conj().T
    return found


def _integer_weights(weights: Complex[np.ndarray, "n r"]) -> list[list[int]]:
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
            raise _Unclear
        unit = left[best] / lengths[best]
        left = left - np.outer(left @ unit.conj(), unit)
        chosen.append(best)
    found = np.linalg.solve(rows[chosen].T, rows.T).T
    if np.abs(found.imag).max(initial=0.0) > _RATIONAL:
        raise _Unclear
    fractions = [[_fraction(x) for x in row] for row in found.real.tolist()]
    common = [lcm(*(row[i].denominator for row in fractions)) for i in range(r)]
    return [[int(x * c) for x, c in zip(row, common, strict=True)] for row in fractions]


def _fraction(x: float) -> Fraction:
    found = Fraction(x).limit_denominator(_LARGEST_DENOMINATOR)
    if abs(float(found) - x) > _RATIONAL:
        raise _Unclear
    return found


def _hermite(rows: list[list[int]]) -> tuple[list[list[int]], list[list[int]]]:
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


def _coordinates(rows: list[list[int]], basis: list[list[int]]) -> Int[np.ndarray, "n r"]:
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
