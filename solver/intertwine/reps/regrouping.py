"""The same rep over another group."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from intertwine.errors import InvalidRep
from intertwine.groups import Group
from intertwine.reps.syntax import (
    Base,
    Dual,
    Rep,
    ScalarRep,
    Sum,
    Tensor,
    direct_sum,
    groups_of,
    is_a,
    tensor,
)


def over(rep: Rep, groups: Group | Mapping[Group, Group]) -> Rep:
    """Replace a rep's group by another, or its groups by a mapping from old to new; groups that
    are not in the mapping are kept.

    Raises `InvalidRep` if one group is given for a rep of several, and for reps of the user's
    own.
    """
    own = groups_of(rep)
    if isinstance(groups, Group):
        if len(own) > 1:
            raise InvalidRep(
                f"{rep!r} is over {' and '.join(map(repr, own))}: give a mapping from "
                f"the group to replace, such as "
                f"{{{own[0]!r}: {groups!r}}}"
            )
        groups = dict.fromkeys(own, groups)
    return _over(rep, groups)


def require_known(
    groups: Group | Mapping[Group, Group], own: Collection[Group], layer: Any
) -> None:
    """Raise `InvalidRep` if a group to be replaced is not one of a layer's groups."""
    unknown = [] if isinstance(groups, Group) else [g for g in groups if g not in own]
    if unknown:
        raise InvalidRep(
            f"{unknown[0]!r} cannot be replaced: {layer!r} is over "
            f"{' and '.join(map(repr, dict.fromkeys(own))) or 'no group'}"
        )


def _over(rep: Rep, groups: Mapping[Group, Group]) -> Rep:
    if is_a(rep, Base):
        return Base(groups.get(rep.G, rep.G))
    if is_a(rep, Dual):
        return _over(rep.rep, groups).T
    if is_a(rep, Sum):
        return direct_sum([(count, _over(term, groups)) for count, term in rep.terms])
    if is_a(rep, Tensor):
        return tensor([_over(factor, groups) for factor in rep.factors])
    if is_a(rep, ScalarRep):
        return rep
    raise InvalidRep(f"{rep!r} is not built from V: build it for the other group yourself")
