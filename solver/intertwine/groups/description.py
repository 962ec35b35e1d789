"""Descriptions of groups as plain values, for tables and JSON."""

from __future__ import annotations

import inspect
from typing import Any

from intertwine.groups.catalogue import CATALOGUE
from intertwine.groups.group import Group


def describe_catalogue() -> list[dict[str, str]]:
    """Return the name, the notation and a summary of each group in the catalogue."""
    return [
        {
            "name": name,
            "form": f"{name}({_parameters(group)})",
            "summary": (inspect.getdoc(group) or "").partition("\n")[0],
        }
        for name, group in CATALOGUE.items()
    ]


def _parameters(group: type[Group]) -> str:
    """Return a group's parameters as in "n[, q]", where q is optional."""
    found = ""
    for parameter in inspect.signature(group).parameters.values():
        text = f", {parameter.name}" if found else parameter.name
        found += text if parameter.default is parameter.empty else f"[{text}]"
    return found


def describe_group(group: Group) -> dict[str, Any]:
    """Return a group's size, numbers of generators, and kind."""
    return {
        "group": repr(group),
        "d": group.d,
        "lie_generators": len(group.lie_generators),
        "discrete_generators": len(group.group_generators),
        "orthogonal": group.is_orthogonal,
        "permutation": group.is_permutation,
        "complex": group.is_complex,
        "digest": group.digest,
    }
