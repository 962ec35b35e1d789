"""Checks when reps of different groups are combined in one sum or product."""

from __future__ import annotations

import itertools
import sys
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from intertwine.errors import InvalidRep
from intertwine.groups import CATALOGUE, DirectProduct, Group

if TYPE_CHECKING:
    from intertwine.reps.syntax import Rep

_BETWEEN = ("intertwine", "jaxtyping", "beartype")  # frames between the warning and the user's line


def warn_of_equal_groups(parts: Sequence[Iterable[Group]]) -> None:
    """Warn if groups of different parts have equal generators but different names."""
    seen: dict[Group, dict[str, Group]] = {}
    for groups in parts:
        named = [(name, group) for group in groups if (name := _given_name(group)) is not None]
        for name, group in named:
            known = seen.get(group, {})
            together = any(other in known for other, equal in named if equal == group)
            for other, first in known.items():
                if not together and not _is_another_name(first, group):
                    _warn(
                        f"{other} and {name} have the same generators, so in one rep they are one "
                        f"group, which acts on both parts. For two different groups, number "
                        f"them: L, R = {other}.copies(2)"
                    )
        for name, group in named:
            seen.setdefault(group, {})[name] = group


def products_to_expand(groups: Iterable[Group]) -> dict[Group, tuple[Group, ...]]:
    """Return the products of groups that occur together with one of their factors, with their
    factors.

    Such a product is not independent of the factor; its V is expanded into the product of theirs.
    Products of numbered copies are expanded if they share a copy. Raises `InvalidRep` if two
    products share a factor that the user did not number: it could belong to either.
    """
    present = list(dict.fromkeys(groups))
    products = [group for group in present if isinstance(group, DirectProduct)]
    if not products or len(present) == 1:
        return {}
    single = {group for group in present if not isinstance(group, DirectProduct)}
    given = {group: {leaf for leaf in group.leaves if leaf.copy_numbers} for group in products}
    found: dict[Group, tuple[Group, ...]] = {}
    for group in products:
        others = {leaf for other, leaves in given.items() if other != group for leaf in leaves}
        if single & set(group.factors) or others & given[group]:
            found[group] = group.factors
    for group, other in itertools.combinations((g for g in products if g in found), 2):
        shared = (set(found[group]) & set(found[other])) - (given[group] & given[other])
        if shared:
            raise InvalidRep(
                f"{group!r} and {other!r} both have a factor {shared.pop()!r}, which may or "
                f"may not be the same group. Number the factors: multiply copies, as in "
                f"SO(3).numbered(1) * SO(3).numbered(2)"
            )
    return found


def _given_name(group: Group) -> str | None:
    """Return the name that a group was given, or has in the catalogue."""
    unnumbered = group.unnumbered
    named = unnumbered._name is not None or CATALOGUE.get(type(unnumbered).__name__) is type(
        unnumbered
    )
    return repr(group) if named else None


def _is_another_name(a: Group, b: Group) -> bool:
    """Return whether one group's class only renames the other's, as Lorentz does O13."""
    kinds = type(a.unnumbered), type(b.unnumbered)
    unnamed = a.unnumbered._name is None and b.unnumbered._name is None
    return unnamed and (issubclass(*kinds) or issubclass(*reversed(kinds)))


def _warn(message: str) -> None:
    """Warn at the user's line that combines the two."""
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def refuse_mixed(rep: Rep, group: DirectProduct) -> None:
    """Raise `InvalidRep` for a rep other than V over a product that meets its own factor."""
    raise InvalidRep(
        f"{rep!r} is over {group!r}, and is combined with a rep of one of its factors: only V "
        f"splits into factors. Write the rep over the factors {group.factors!r}"
    )
