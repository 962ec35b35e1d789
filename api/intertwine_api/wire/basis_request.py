"""Parse requests for bases and decompositions, and compute their keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from intertwine.errors import NotConcrete
from intertwine.groups import Group, require_exact
from intertwine.invariants import require_known, require_tolerance
from intertwine.operators import Permutation
from intertwine.reps import Rep, basis_key, canonical, read_rep
from intertwine.reps.syntax import atoms, groups_of

_SHORT = 2**14  # characters: longer requests contain generators and are not cached
_DECOMPOSE = "decompose "  # begins the keys of decompositions
POLYNOMIALS = "polynomials "
"""Begins the keys of Hilbert series and of polynomial maps."""
_CHECK = "check "  # begins the keys of checks
_SMALL = 20_000  # entries: the cache keeps no larger groups


@dataclass(frozen=True)
class ParsedRequest:
    """A parsed request: `key` identifies the basis, `canonical` is the rep to solve."""

    key: str
    rep: Rep
    canonical: Rep
    method: str
    backend: str
    tolerance: float | None
    task: str
    """The request as JSON, for a worker process to parse again."""

    @property
    def kind(self) -> Literal["solve", "decomposition", "polynomials", "check"]:
        """Whether it asks for a basis, for a rep as a sum of irreps, for polynomials, or for the
        check of a file.
        """
        if self.key.startswith(_DECOMPOSE):
            return "decomposition"
        if self.key.startswith(POLYNOMIALS):
            return "polynomials"
        return "check" if self.key.startswith(_CHECK) else "solve"

    @property
    def basis(self) -> str | None:
        """The key of the basis that it asks for, or that is checked; None for other results."""
        has_basis = self.kind in ("solve", "check")
        return self.key.rpartition(" ")[2] if has_basis else None


def parse_request(document: Mapping[str, Any]) -> ParsedRequest:
    """Parse ``{rep, group?, reps?, method?, backend?, tolerance?}``; see `read_rep`.

    Raises the library's errors for an invalid rep, group, method or tolerance.
    """
    task = json.dumps(document, sort_keys=True)
    try:
        return _parse_cached(task) if len(task) <= _SHORT else _parse(document, task)
    except _Large as error:
        return error.parsed


def parse_decomposition(document: Mapping[str, Any]) -> ParsedRequest:
    """Parse ``{rep, group?}`` for a worker to decompose.

    Its key is that of the text: equal groups may have other names, and other names of their irreps.
    """
    request = parse_request(document)
    task = json.dumps({**document, "decompose": True}, sort_keys=True)
    return replace(request, key=f"{_DECOMPOSE}{sha256(task.encode()).hexdigest()}", task=task)


def check_of(request: ParsedRequest, file: Path, digest: str) -> ParsedRequest:
    """Return the check, by a worker, that a file has the basis of a request."""
    task = json.dumps({**json.loads(request.task), "check": str(file)}, sort_keys=True)
    return replace(request, key=f"{_CHECK}{digest} {request.key}", task=task)


class _Large(Exception):
    """Carries a request with large groups past the cache, which does not keep it."""

    def __init__(self, parsed: ParsedRequest) -> None:
        self.parsed = parsed


@lru_cache(maxsize=256)
def _parse_cached(task: str) -> ParsedRequest:
    parsed = _parse(json.loads(task), task)
    if sum(map(_entries, groups_of(parsed.rep))) > _SMALL:
        raise _Large(parsed)
    return parsed


def _entries(group: Group) -> int:
    generators = (*group.lie_generators, *group.group_generators)
    return sum(len(g.indices) if isinstance(g, Permutation) else g.size for g in generators)


def _parse(document: Mapping[str, Any], task: str) -> ParsedRequest:
    method, backend = document.get("method") or "auto", document.get("backend") or "auto"
    require_known(method, backend)
    rep = read_rep(document["rep"], document.get("group"), document.get("reps"))
    if not rep.is_concrete:
        raise NotConcrete(f"{rep} has no group: give one, or write it in the text: V(SO(3))")
    tolerance = document.get("tolerance")
    if tolerance is None:
        for atom in atoms(rep):
            require_exact(atom.G)
    else:
        require_tolerance(tolerance, method, backend)
    return ParsedRequest(
        key=basis_key(rep, method, backend, tolerance),
        rep=rep,
        canonical=canonical(rep).rep,
        method=method,
        backend=backend,
        tolerance=tolerance,
        task=task,
    )
