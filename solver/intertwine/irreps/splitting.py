"""Split a rep into irreducible subspaces, and prove a rep irreducible."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from jaxtyping import Inexact

from intertwine.errors import SplitError
from intertwine.irreps.actions import MatrixRep, adjoint, norm
from intertwine.irreps.projection import project, random_block

_HERMITIAN = 1e-9  # the largest deviation from Hermitian of a projected Hermitian matrix
_CUT = 1e-7  # eigenvalues closer than this fraction of their spread belong to one subspace
_INDEPENDENT = 1e-8  # endomorphisms with smaller singular values are rounding
_REACHED = 1e-7  # of a generator's norm: smaller movements of vectors are zero


@dataclass
class Gap:
    """The smallest quantity taken for nonzero, and the largest taken for zero."""

    above: float = inf
    below: float = 0.0

    def saw(self, kept: Inexact[np.ndarray, " k"], dropped: Inexact[np.ndarray, " l"]) -> None:
        """Record the quantities that one decision kept and dropped."""
        self.above = min(self.above, float(kept.min(initial=inf)))
        self.below = max(self.below, float(dropped.max(initial=0.0)))

    @property
    def ratio(self) -> float:
        """The clarity of the decisions; infinite if nothing was dropped."""
        return self.above / self.below if self.below else inf


def split(
    rep: MatrixRep, seed: int, dtype: np.dtype[np.inexact], gap: Gap
) -> list[Inexact[np.ndarray, "n _"]]:
    """Return orthonormal bases of irreducible subspaces (with probability one): the eigenspaces of
    a random Hermitian matrix projected on the commutant.

    Raises `SplitError` if the projection is not Hermitian: then the commutant is not closed under
    adjoints, and the frame is wrong or the group not reductive.
    """
    n = rep.size
    x = random_block((0, seed, n), (n, n), dtype)
    found = project(rep.constraints, rep.constraints, ((x + adjoint(x)) / 2)[:, None, :])[:, 0]
    oblique = norm(found - adjoint(found)) / norm(found)
    if not oblique <= _HERMITIAN:
        raise SplitError(f"the commutant is not closed under adjoints: {oblique:.1e}")
    values, vectors = np.linalg.eigh((found + adjoint(found)) / 2)
    spread = max(values[-1] - values[0], 1e-3 * np.abs(values).max())
    steps = np.diff(values) / spread
    cut = steps > _CUT
    gap.saw(steps[cut], steps[~cut])
    return [vectors[:, part] for part in np.split(np.arange(n), np.flatnonzero(cut) + 1)]


def leak(rep: MatrixRep, w: Inexact[np.ndarray, "n d"]) -> float:
    """Return the distance of a subspace from invariant, relative to the generators."""
    moved = rep.given.left(w)
    outside = moved - w @ (adjoint(w) @ moved)
    return norm(outside) / (1 + rep.given.scale) / sqrt(w.shape[1])


def polished(rep: MatrixRep, w: Inexact[np.ndarray, "n d"]) -> Inexact[np.ndarray, "n d"]:
    """Return an invariant subspace near w, even if w was found from close eigenvalues.

    If w leaks by ε, the matrices wᴴMw are a rep up to ε²: the nearest equivariant map from it has
    an invariant image. This is a problem of size n·d.
    """
    within = rep.restrict(w)
    near = project(rep.constraints, within.constraints, w[:, None, :])[:, 0]
    u, _, vh = np.linalg.svd(near, full_matrices=False)
    found: Inexact[np.ndarray, "n d"] = u @ vh
    return found


def require_irreducible(
    rep: MatrixRep, word: Inexact[np.ndarray, "d d"], fields: int, gap: Gap
) -> None:
    """Prove a rep irreducible, and its endomorphisms a field of the given dimension (1, 2 or 4).

    `word` is a Hermitian element of the algebra that the generators generate, which is closed
    under adjoints, all of whose eigenvalues have the multiplicity `fields`: eigenspaces E are lines
    over the field. An invariant subspace and its complement are both invariant under the word, so
    one of them contains a vector of E, and with it the line: the generators carry a vector of E
    through all of the space only if there is no such subspace (Norton's criterion: Parker, 1984).
    Eigenvalues of different irreps differ for a word in general position, and those of a sum of
    equal ones have a larger multiplicity. Raises `SplitError` if the vector does not reach
    the whole space.
    """
    d = rep.size
    values, vectors = np.linalg.eigh(word)
    lines = values.reshape(-1, fields)
    steps = lines[1:, 0] - lines[:-1, -1]
    best = int(np.argmax(np.minimum(np.append(steps, np.inf), np.append(np.inf, steps))))
    reached = _orbit_of(rep, vectors[:, fields * best, None], gap)
    if reached < d:
        raise SplitError(f"a subspace of dimension {d} has an invariant one of dimension {reached}")


def _orbit_of(rep: MatrixRep, start: Inexact[np.ndarray, "d 1"], gap: Gap) -> int:
    """Return the dimension of the smallest invariant subspace that contains a vector."""
    d, scale = rep.size, max(1.0, float(rep.given.norms.max(initial=0.0)))
    basis = np.zeros((d, 0), dtype=np.result_type(start, rep.given.matrices))
    new = start
    while new.shape[1] and basis.shape[1] < d:
        basis = np.concatenate([basis, new], axis=1)
        moved = np.moveaxis(rep.given.left(new), 0, 1).reshape(d, -1)
        for _ in range(2):
            moved = moved - basis @ (adjoint(basis) @ moved)
        # the right singular vectors of this wide matrix are not needed
        triangle = np.asarray(np.linalg.qr(adjoint(moved), mode="r"))
        u, values, _ = np.linalg.svd(adjoint(triangle), full_matrices=False)
        kept = values > _REACHED * scale
        if basis.shape[1] < d:
            gap.saw(values[kept] / scale, values[~kept] / scale)
        new = u[:, kept]
    return int(basis.shape[1])


def endomorphisms(
    rep: MatrixRep, dtype: np.dtype[np.inexact], gap: Gap
) -> Inexact[np.ndarray, "e d d"]:
    """Return a basis E of an irrep's commutant, with E₀ = 1 and tr(EᵢᴴEⱼ) = d δᵢⱼ.

    New random matrices, not those that split the rep, are projected on the commutant; they span
    ℝ, ℂ or ℍ (over ℂ: ℂ). Raises `SplitError` otherwise: the rep is then reducible.
    """
    d, is_complex = rep.size, np.issubdtype(dtype, np.complexfloating)
    found = project(rep.constraints, rep.constraints, random_block((1, d), (d, 1, d), dtype))
    if is_complex or norm(found[:, 0] - adjoint(found[:, 0])) > _HERMITIAN * norm(found):
        more = random_block((2, d), (d, 5, d), dtype)
        more = project(rep.constraints, rep.constraints, more)
        found = np.concatenate([found, more], axis=1)
    found = np.moveaxis(found, 1, 0)
    values = np.linalg.svd(found.reshape(len(found), d * d), compute_uv=False)
    kept = values > _INDEPENDENT * values[0]
    gap.saw(values[kept] / values[0], values[~kept] / values[0])
    e = int(kept.sum())
    traces = np.trace(found, axis1=1, axis2=2)[:, None, None]
    hermitian = found + adjoint(found) - (traces + traces.conj()) / d * np.eye(d)
    fields = (1,) if is_complex else (1, 2, 4)
    if e not in fields or not norm(hermitian) <= _HERMITIAN * norm(found):
        raise SplitError(f"a subspace of dimension {d} has {e} endomorphisms: it is reducible")
    basis = [np.eye(d, dtype=dtype)]
    for x in found:
        if len(basis) == e:
            break
        x = (x - adjoint(x)) / 2
        for _ in range(2):
            x = x - sum(np.vdot(y, x) / d * y for y in basis)
        basis.append(x * (np.sqrt(d) / norm(x)))
    return np.array(basis)
