"""Split a large unitary rep without solving for its commutant, where its irreps are distinct."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Complex, Inexact, Int

from intertwine.irreps.actions import Action, adjoint
from intertwine.irreps.splitting import Gap

_UNITARY = 1e-12
_APART = 1e-9  # relative to the spread: nearer eigenvalues may be equal
_ZERO, _NONZERO = 1e-11, 1e-7  # entries between these are neither
_WHOLE = 1e-6  # the overlap of two subspaces is 0 or 1 if it is this near


@dataclass(frozen=True, eq=False)
class Piece:
    """An irreducible subspace, by an orthonormal basis, and its endomorphisms E in that basis, with
    E₀ = 1 and tr(EᵢᴴEⱼ) = d δᵢⱼ; None if these are not known.
    """

    subspace: Inexact[np.ndarray, "n d"]
    endomorphisms: Inexact[np.ndarray, "e d d"] | None


def split_by_spectrum(given: Action, seed: int, gap: Gap) -> list[Piece] | None:
    """Return the irreducible subspaces of a unitary rep whose irreps over ℂ are all distinct.

    A matrix X that commutes with the generators commutes with a random Hermitian polynomial H in
    them and their adjoints. (A linear one is not enough: antisymmetric matrices of odd size are
    singular, so that two irreps would share an eigenvalue.) If the eigenvalues of H are distinct, X
    is diagonal in H's eigenvectors, and a nonzero entry of a generator in these coordinates makes
    two diagonal entries of X equal. So the connected components of nonzero entries are the irreps
    over ℂ, and a rep with one component is irreducible. This takes one eigendecomposition;
    projecting on the commutant takes hundreds of products of matrices of the same size. Over ℝ, two
    components that are conjugate to each other are one irrep of type ℂ.

    Returns None if the generators are not unitary (Lie ones: anti-Hermitian), if eigenvalues are
    not clearly distinct, for example because an irrep occurs twice, or if an entry is neither
    clearly zero nor clearly nonzero.
    """
    if not _is_unitary(given):
        return None
    rng = np.random.default_rng((31, seed))
    real, imaginary = rng.standard_normal((2, given.count))
    scale = max(given.scale, np.finfo(float).tiny)
    mixed = np.tensordot(real, given.matrices, (0, 0)) / scale
    turned = np.tensordot(imaginary, given.matrices, (0, 0)) / scale
    squared = mixed @ turned
    hermitian = mixed + adjoint(mixed) + squared + adjoint(squared)
    hermitian = hermitian - 1j * (turned - adjoint(turned))
    values, vectors = np.linalg.eigh(hermitian)
    steps = np.diff(values) / max(float(values[-1] - values[0]), np.finfo(float).tiny)
    if not steps.min(initial=np.inf) > _APART:
        return None
    sizes = np.zeros((given.size, given.size))
    for matrix, norm in zip(given.matrices, given.norms, strict=True):
        entries = np.abs(adjoint(vectors) @ matrix @ vectors) / max(float(norm), 1.0)
        sizes = np.maximum(sizes, entries)
    labels = _components(sizes > _NONZERO)
    between = sizes[labels[:, None] != labels]
    if not between.max(initial=0.0) <= _ZERO:
        return None
    gap.saw(np.array([_NONZERO]), between)
    parts = [vectors[:, labels == label] for label in range(labels.max() + 1)]
    if np.iscomplexobj(given.matrices):
        return [Piece(part, np.eye(part.shape[1], dtype=complex)[None]) for part in parts]
    return _over_reals(parts)


def _is_unitary(given: Action) -> bool:
    lie, discrete = given.matrices[: given.lie_count], given.matrices[given.lie_count :]
    crooked = max((float(np.abs(a + adjoint(a)).max()) for a in lie), default=0.0)
    one = np.eye(given.size)
    stretched = max((float(np.abs(h @ adjoint(h) - one).max()) for h in discrete), default=0.0)
    return max(crooked, stretched) <= _UNITARY


def _components(edges: Bool[np.ndarray, "n n"]) -> Int[np.ndarray, " n"]:
    from scipy.sparse.csgraph import connected_components

    found: Int[np.ndarray, " n"] = connected_components(edges, directed=False)[1]
    return found


def _over_reals(parts: list[Complex[np.ndarray, "n _"]]) -> list[Piece] | None:
    """Return the real subspaces of complex irreps, each its own conjugate or one of a pair."""
    if len(parts) == 1:
        d = parts[0].shape[0]
        return [Piece(np.eye(d), np.eye(d)[None])]
    found, taken = [], [False] * len(parts)
    for i, part in enumerate(parts):
        if taken[i]:
            continue
        d = part.shape[1]
        shares = [float((np.abs(part.T @ other) ** 2).sum()) / d for other in parts]
        j = int(np.argmax(shares))
        if not abs(shares[j] - 1) <= _WHOLE or taken[j]:
            return None
        taken[i] = taken[j] = True
        both = np.concatenate([part.real, part.imag], axis=1)
        u, values, _ = np.linalg.svd(both, full_matrices=False)
        e = 1 if i == j else 2
        if not values[e * d - 1] > 0.5 > values[e * d :].max(initial=0.0):
            return None
        subspace = u[:, : e * d]
        units = [np.eye(e * d)]
        if e == 2:
            inside = subspace.T @ part
            unit = -2 * (inside @ adjoint(inside)).imag  # i(P − P̄)
            units.append((unit - unit.T) / 2)
        found.append(Piece(subspace, np.array(units)))
    return found
