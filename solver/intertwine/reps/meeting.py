"""What is looked at where reps of different groups meet in one sum or product."""

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

_BETWEEN = ("intertwine", "jaxtyping", "beartype")  # between the warning and the line it is about


def warn_of_equal_groups(parts: Sequence[Iterable[Group]]) -> None:
    """Warn where the groups of different parts have equal generators and different names."""
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
                        f"group, which acts on both. If two different groups are meant, number "
                        f"them: L, R = {other}.copies(2)"
                    )
        for name, group in named:
            seen.setdefault(group, {})[name] = group


def products_to_expand(groups: Iterable[Group]) -> dict[Group, tuple[Group, ...]]:
    """The products of groups that meet one of their own factors, with their factors.

    Such a product is no group of its own beside the factor, and its V is the product of theirs.
    Products of numbered copies meet where they share one of these. Raises `InvalidRep` where two
    products have a factor in common that was not numbered by the user: it could be either's.
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
                f"{group!r} and {other!r} both have a factor {shared.pop()!r}, and it is not "
                f"known whether it is the same. Number the factors: multiply copies, as in "
                f"SO(3).numbered(1) * SO(3).numbered(2)"
            )
    return found


def _given_name(group: Group) -> str | None:
    """The name that a group was given, or has in the catalogue."""
    unnumbered = group.unnumbered
    named = unnumbered._name is not None or CATALOGUE.get(type(unnumbered).__name__) is type(
        unnumbered
    )
    return repr(group) if named else None


def _is_another_name(a: Group, b: Group) -> bool:
    """Whether one is of a class that only renames the other's, as Lorentz does O13."""
    kinds = type(a.unnumbered), type(b.unnumbered)
    unnamed = a.unnumbered._name is None and b.unnumbered._name is None
    return unnamed and (issubclass(*kinds) or issubclass(*reversed(kinds)))


def _warn(message: str) -> None:
    """Warn at the line of the user's that has the two meet."""
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def refuse_mixed(rep: Rep, group: DirectProduct) -> None:
    """Raise `InvalidRep` for a rep over a product that meets one of its factors, and is not V."""
    raise InvalidRep(
        f"{rep!r} is over {group!r}, and meets one of its factors: only V is known to be the "
        f"product of theirs. Write the rep over the factors {group.factors!r}"
    )
