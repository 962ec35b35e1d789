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

import numpy as np
from jaxtyping import Complex, Inexact, Int

from intertwine.groups.lie_closure import close
from intertwine.irreps import REDUCTIVE, verdict_of
from intertwine.irreps.maximal_torus import (
    ComplexAlgebra,
    UnclearWeights,
    coordinates_in,
    hermite,
    integer_weights,
)
from intertwine.polynomials.joint_groups import JointAction, in_double
from intertwine.reps import Rep

_MAX_COMPONENTS = 64
_CLEAR = 1e-4  # elements or eigenvalues between `_SAME` and this are ambiguous
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


def components_of(action: JointAction, rep_in: Rep, rep_out: Rep) -> list[Component] | None:
    """Return one component for each coset of the identity component.

    None if the group is not clearly reductive, has more than 64 components, or has weights that are
    not clearly multiples of a few, as on an irrational winding of a torus.
    """
    if any(verdict_of(group).kind != REDUCTIVE for group in action.groups):
        return None
    try:
        return _Finder(action, rep_in, rep_out).found()
    except (UnclearWeights, np.linalg.LinAlgError):
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
            raise UnclearWeights

        def joint(
            matrix: Inexact[np.ndarray, "d d"], images: Iterable[Inexact[np.ndarray, "_ _"]]
        ) -> Inexact[np.ndarray, "n n"]:
            base = (matrix, matrix.conj()) if group.is_complex else (matrix,)
            return _block((*base, *images))

        self.sizes = (2 * group.d if group.is_complex else group.d, *(rep.size() for rep in reps))
        self.generators = [joint(h, (action.rho(rep, h) for rep in reps)) for h in discrete]
        basis = np.array(
            [joint(a, (action.drho(rep, a) for rep in reps)) for a in closure.basis], complex
        )
        self.algebra = ComplexAlgebra(basis)

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
                    raise UnclearWeights
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
        numbers = integer_weights(weights)[here]
        _, relations = hermite(numbers)
        logs = np.log(eigenvalues[here])
        for relation in relations:
            error = abs(np.exp(np.dot(np.array(relation, float), logs)) - 1)
            if error > _SAME:
                if error < _CLEAR:
                    raise UnclearWeights
                return False
        return True

    def _component(self, h: Inexact[np.ndarray, "n n"]) -> Component:
        torus = self._torus(h)
        rank = len(torus)
        weights, eigenvalues = self._joint(h, torus)
        adjoint_weights, adjoint_values = self._adjoint(h, torus)
        numbers = integer_weights(np.concatenate([weights, adjoint_weights]))
        basis, _ = hermite(numbers)
        coordinates = coordinates_in(numbers, basis)
        if coordinates.shape[1] != rank:
            raise UnclearWeights
        split = np.cumsum(self.sizes)
        roots = coordinates[split[2] :]
        is_torus = (roots == 0).all(axis=1) & (np.abs(adjoint_values - 1) <= _SAME)
        if is_torus.sum() != rank:
            raise UnclearWeights
        return Component(
            Weights(coordinates[split[0] : split[1]], eigenvalues[split[0] : split[1]]),
            Weights(coordinates[split[1] : split[2]], eigenvalues[split[1] :]),
            Weights(roots[~is_torus], adjoint_values[~is_torus]),
        )

    def _torus(self, h: Inexact[np.ndarray, "n n"]) -> Complex[np.ndarray, "r n n"]:
        """Return a basis of the Lie algebra of a maximal torus of the centraliser of h."""
        return self.algebra.torus(self.algebra.fixed_by(h))

    def _joint(
        self, h: Inexact[np.ndarray, "n n"], torus: Complex[np.ndarray, "r n n"]
    ) -> tuple[Complex[np.ndarray, "n r"], Complex[np.ndarray, " n"]]:
        """Return the weights of the torus and the eigenvalues of h on base ⊕ ρ_in ⊕ ρ_out."""
        weights, values, at = [], [], 0
        for size in self.sizes:
            own = slice(at, at + size)
            found = self.algebra.joint_eigenvalues([*torus[:, own, own], h[own, own]])
            weights.append(found[:, :-1])
            values.append(found[:, -1])
            at += size
        return np.concatenate(weights), np.concatenate(values)

    def _adjoint(
        self, h: Inexact[np.ndarray, "n n"], torus: Complex[np.ndarray, "r n n"]
    ) -> tuple[Complex[np.ndarray, "m r"], Complex[np.ndarray, " m"]]:
        """Return the weights of the torus and the eigenvalues of h on the Lie algebra."""
        matrices = self.algebra.adjoint_action(torus)
        matrices.append(self.algebra.coordinates(h @ self.algebra.basis @ np.linalg.inv(h)))
        found = self.algebra.joint_eigenvalues(matrices)
        return found[:, :-1], found[:, -1]


def _block(parts: Sequence[Inexact[np.ndarray, "_ _"]]) -> Inexact[np.ndarray, "n n"]:
    n = sum(map(len, parts))
    found = np.zeros((n, n), np.result_type(*parts))
    at = 0
    for part in parts:
        found[at : at + len(part), at : at + len(part)] = part
        at += len(part)
    return found
