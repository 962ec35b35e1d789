"""Check a basis that comes from elsewhere: what its sender claims counts for nothing.

The columns are checked against the caller's own generators. That none is missing shows in no
residual: an exact bound on the rank proves it (`intertwine.exact.rank_bound`), or whoever is
trusted vouches for it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.bases import ApproximateCertificate, Basis
from intertwine.errors import IntertwineError, SolveError
from intertwine.groups import Group
from intertwine.invariants.tolerances import DEFAULT
from intertwine.reps.syntax import Rep, drho_of, groups_of, rho_of

_MOST_ENTRIES = 2**20
"""The most entries of a basis whose columns are all checked; of larger ones, random sums are."""
_PROBES = 4
_MOST_BOUNDED = 5_000
"""The most dimensions in which the exact bound is computed: it takes some seconds there."""
_RESIDUAL = 1e-9

_Columns = Inexact[np.ndarray, "n k"]


def require_sound(
    rep: Rep, basis: Basis, *, is_trusted: bool = False, seed: int | None = None
) -> None:
    """Raise `SolveError` unless a basis has exactly the invariants of a canonical rep.

    Its columns must be orthonormal to `Tolerances.residual`, and a generator may move them by at
    most 1e-9 of its norm. If nobody trusted has signed the basis, the exact upper bound on the rank
    must be its rank. Of large bases, random combinations of all columns are checked, drawn with
    `seed`; by default nobody can foresee it.
    """
    rng = np.random.default_rng(secrets.randbits(128) if seed is None else seed)
    if basis.rank:
        weights = _weights(basis, rng)
        columns = np.asarray(basis @ weights)
        _require_orthonormal(basis, weights, columns)
        tolerance = _RESIDUAL
        if isinstance(basis.certificate, ApproximateCertificate):
            tolerance = max(_RESIDUAL, basis.certificate.tolerance)
        _require_invariant(rep, columns, tolerance, rng)
    if not is_trusted:
        _require_complete(rep, basis)


def _weights(basis: Basis, rng: np.random.Generator) -> Inexact[np.ndarray, "r k"]:
    """Return the coordinates of the vectors to check: all columns, or random sums of them."""
    if basis.shape[0] * basis.rank <= _MOST_ENTRIES:
        return np.eye(basis.rank, dtype=basis.dtype)
    drawn: Inexact[np.ndarray, "r k"] = rng.standard_normal((basis.rank, _PROBES))
    drawn /= np.linalg.norm(drawn, axis=0)
    return drawn


def _require_orthonormal(
    basis: Basis, weights: Inexact[np.ndarray, "r k"], columns: _Columns
) -> None:
    error = float(np.abs(np.asarray(basis.H @ columns) - weights).max())
    if not error <= DEFAULT.residual:
        raise SolveError(f"its columns are orthonormal to {error:.2g} only")


def _require_invariant(
    rep: Rep, columns: _Columns, tolerance: float, rng: np.random.Generator
) -> None:
    probe = rng.standard_normal((len(columns), 1))
    probe /= np.linalg.norm(probe)
    for group, change in _constraints(rep):
        norm = max(1.0, float(np.linalg.norm(change(probe))))
        moved = float(np.linalg.norm(change(columns), axis=0).max())
        if not moved <= tolerance * norm:
            raise SolveError(f"a generator of {group!r} moves its columns by {moved:.2g}")


def _constraints(rep: Rep) -> Iterator[tuple[Group, Any]]:
    """Yield v ↦ dρ(A)v and v ↦ ρ(h)v − v for the generators of every group of a rep."""
    groups = groups_of(rep)
    for group in groups:
        others = [other for other in groups if other != group]
        for A in group.lie_generators:
            scale = max(float(np.abs(np.asarray(A)).max()), np.finfo(float).tiny)
            element = {group: np.asarray(A) / scale, **{o: np.zeros((o.d, o.d)) for o in others}}
            image = drho_of(rep, element)
            yield group, lambda v, image=image: np.asarray(image @ v)
        for h in group.group_generators:
            image = rho_of(rep, {group: h, **{o: np.eye(o.d) for o in others}})
            yield group, lambda v, image=image: np.asarray(image @ v) - v


def _require_complete(rep: Rep, basis: Basis) -> None:
    from intertwine.exact import rank_bound

    if isinstance(basis.certificate, ApproximateCertificate):
        raise SolveError("no trusted key has signed it, and nothing else shows its completeness")
    if basis.rank == basis.shape[0]:
        return
    if basis.shape[0] > _MOST_BOUNDED:
        raise SolveError(
            f"no trusted key has signed it, and its {basis.shape[0]:,} dimensions are too many to "
            f"prove that it is complete"
        )
    try:
        bound = rank_bound(rep)
    except IntertwineError as error:
        raise SolveError(
            f"no trusted key has signed it, and that it is complete cannot be proven: {error}"
        ) from error
    if bound.bound != basis.rank:
        raise SolveError(
            f"it has {basis.rank} columns; no trusted key has signed it, and there may be "
            f"{bound.bound} invariants"
        )
