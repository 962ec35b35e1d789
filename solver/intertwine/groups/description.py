"""Descriptions of groups as plain values, for tables and JSON."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from intertwine.groups.catalogue import CATALOGUE, EXAMPLES
from intertwine.groups.element_tables import all_permutations, signed_points
from intertwine.groups.enumeration import enumerate_elements
from intertwine.groups.group import Group
from intertwine.groups.stabilizer_chain import PermutationImages, StabilizerChain


def describe_catalogue() -> list[dict[str, str]]:
    """Return name, notation, an example and a summary of each group in the catalogue."""
    return [
        {
            "name": name,
            "form": (form := f"{name}({_parameters(group)})"),
            "example": EXAMPLES.get(name, form),
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


def group_order(group: Group) -> int | None:
    """Return the number of elements of a finite group, whose Lie algebra is zero.

    For (signed) permutations it comes from a stabilizer chain (Schreier and Sims), whose randomised
    steps miss elements with a probability of 2⁻⁴⁰ at most; other groups are enumerated. None if the
    group is infinite, has more than 20,000 elements that are not permutations, or would take too
    long.
    """
    if any(np.any(np.asarray(generator)) for generator in group.lie_generators):
        return None
    if not group.group_generators:
        return 1
    permutations = all_permutations(group.group_generators)
    if permutations is None:
        found = enumerate_elements(group)
        return None if found is None else found.order
    points = [signed_points(h) for h in permutations]
    rules = PermutationImages(group.d)
    chain = StabilizerChain.of(permutations, points, np.arange(2 * group.d), rules)
    return None if chain is None else chain.order
