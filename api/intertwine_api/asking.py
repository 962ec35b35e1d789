"""What a request asks for: its rep, read and named by its key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from intertwine.errors import NotConcrete
from intertwine.groups import group_from_json, parse_group, require_exact
from intertwine.invariants import require_known, require_tolerance
from intertwine.reps import Rep, basis_key, canonical, parse
from intertwine.reps.syntax import atoms

_SHORT = 2**14  # characters; a longer request brings its generators, and is not worth keeping


@dataclass(frozen=True)
class Asked:
    """A request for a basis, read: `key` names it, `canonical` is what will be solved."""

    key: str
    rep: Rep
    canonical: Rep
    method: str
    backend: str
    tolerance: float | None
    task: str
    """The request itself as JSON, for a worker to read it once more."""


def ask(document: Mapping[str, Any]) -> Asked:
    """Read ``{rep, group?, method?, backend?, tolerance?}``; the group is a text or generators.

    Raises the library's errors for what it cannot be.
    """
    task = json.dumps(document, sort_keys=True)
    return _remembered(task) if len(task) <= _SHORT else _ask(task)


def read_rep(text: str, group: str | Mapping[str, Any] | None) -> Rep:
    """The rep of a text over a group, where one is given."""
    rep = parse(text)
    if group is None:
        return rep
    return rep(parse_group(group) if isinstance(group, str) else group_from_json(group))


def to_decompose(document: Mapping[str, Any]) -> Asked:
    """Read ``{rep, group?}`` for a worker to decompose; its key is that of no basis."""
    asked = ask(document)
    task = json.dumps({**document, "decompose": True}, sort_keys=True)
    return replace(asked, key=f"decompose {asked.key} {asked.rep}", task=task)


@lru_cache(maxsize=256)
def _remembered(task: str) -> Asked:
    return _ask(task)


def _ask(task: str) -> Asked:
    document = json.loads(task)
    method, backend = document.get("method") or "auto", document.get("backend") or "auto"
    require_known(method, backend)
    rep = read_rep(document["rep"], document.get("group"))
    if not rep.is_concrete:
        raise NotConcrete(f"{rep} has no group: give one, or write it in the text: V(SO(3))")
    tolerance = document.get("tolerance")
    if tolerance is None:
        for atom in atoms(rep):
            require_exact(atom.G)
    else:
        require_tolerance(tolerance, method, backend)
    return Asked(
        key=basis_key(rep, method, backend, tolerance),
        rep=rep,
        canonical=canonical(rep).rep,
        method=method,
        backend=backend,
        tolerance=tolerance,
        task=task,
    )
