"""Reps and groups as they are sent: as text, or by their generators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intertwine.errors import IntertwineError, InvalidRep, InvalidSetting, NotConcrete

if TYPE_CHECKING:
    from intertwine.groups import Group
    from intertwine.reps import Rep

GroupDocument = str | dict[str, Any]


@dataclass(frozen=True)
class SentRep:
    """A rep, its text, and its group, if it has but one."""

    rep: Rep
    text: str
    group: GroupDocument | None

    @classmethod
    def of(
        cls,
        rep: str | Rep,
        group: str | Group | Mapping[str, Any] | None = None,
        *,
        may_lack_group: bool = False,
    ) -> SentRep:
        """A rep, given as text or not, over a group, where that is not in it.

        Raises what reading them raises, `NotConcrete` without a group, unless it `may_lack_group`,
        and `InvalidRep` for reps of the user's own, which no text says.
        """
        bound = read_rep(rep)
        if group is not None:
            bound = bound(read_group(group))
        if not (bound.is_concrete or may_lack_group):
            raise NotConcrete(f"{bound} has no group: give one, or write it in the text: V(SO(3))")
        own = bound.G
        sent = cls(bound, str(bound), None if own is None else group_document(own))
        sent._require_readable()
        return sent

    @property
    def document(self) -> dict[str, Any]:
        """What is said of it in a request."""
        return {"rep": self.text, **({} if self.group is None else {"group": self.group})}

    def _require_readable(self) -> None:
        from intertwine.reps import parse

        try:
            read = parse(self.text)
            read = read if self.rep.G is None else read(self.rep.G)
            same = read == self.rep
        except IntertwineError:
            same = False
        if not same:
            raise InvalidRep(
                f"{self.text} cannot be sent: a service knows no reps of your own, and of several "
                f"groups in one rep only those of its catalogue"
            )


def group_document(group: Group) -> GroupDocument:
    """A group as JSON: its text where the catalogue has it, else its generators.

    `intertwine.groups.group_from_json` reads those, to the last digit.
    """
    from intertwine.groups import group_to_json, parse_group

    text = repr(group)
    try:
        if parse_group(text) == group:
            return text
    except IntertwineError:
        pass  # a group of the user's own
    return group_to_json(group)


def read_rep(rep: Any) -> Rep:
    """A rep, or that of a text. Raises what reading raises, `InvalidSetting` for anything else."""
    from intertwine.reps import Rep, parse

    if isinstance(rep, str):
        return parse(rep)
    if not isinstance(rep, Rep):
        raise InvalidSetting(f"a rep is one of intertwine.reps, or its text, not {rep!r}")
    return rep


def read_group(group: Any) -> Group:
    """A group, that of a text, or that of generators as JSON.

    Raises what reading raises, `InvalidSetting` for anything else.
    """
    from intertwine.groups import Group, group_from_json, parse_group

    if isinstance(group, str):
        return parse_group(group)
    if isinstance(group, Mapping):
        return group_from_json(group)
    if not isinstance(group, Group):
        raise InvalidSetting(
            f"a group is one of intertwine.groups, its text, or its generators, not {group!r}"
        )
    return group


def over_group_of(other: Rep, rep: Rep) -> Rep:
    """A rep over the one group of another, where it has none itself."""
    return rep if rep.is_concrete or other.G is None else rep(other.G)
