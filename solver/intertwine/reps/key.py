"""The key of a basis: the identity of a request, the same in every process and for every user."""

from __future__ import annotations

import hashlib

from intertwine.errors import NotConcrete
from intertwine.reps.canonical_form import atom_order, canonical_terms
from intertwine.reps.syntax import Rep

FORMAT_VERSION = 1


def basis_key(
    rep: Rep, method: str = "auto", backend: str = "auto", tolerance: float | None = None
) -> str:
    """Return the hex sha256 of (format version, group generators, canonical rep).

    Names, and the order in which a rep is written, play no part. Requests for a specific method or
    backend, or for an approximate basis of some tolerance, have separate keys. Raises
    `NotConcrete` for a rep without its group.
    """
    if not rep.is_concrete:
        raise NotConcrete(f"{rep} has no group yet, so it has no key")
    lines = [f"intertwine basis {FORMAT_VERSION}"]
    for multiplicity, atoms in canonical_terms(rep):
        parts = (f"{group}.{kind}.{digest}" for group, kind, digest in map(atom_order, atoms))
        lines.append(f"{multiplicity} {' '.join(parts)}")
    if (method, backend) != ("auto", "auto"):
        lines.append(f"method {method} backend {backend}")
    if tolerance is not None:
        lines.append(f"tolerance {float(tolerance)!r}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
