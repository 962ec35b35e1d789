"""Reps and groups as they are sent and read: as text, or groups by their generators as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intertwine.errors import IntertwineError, InvalidRep, NotConcrete

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
        from intertwine.reps import read_rep

        bound = read_rep(rep, group)
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


def over_group_of(other: Rep, rep: Rep) -> Rep:
    """A rep over the one group of another, where it has none itself."""
    return rep if rep.is_concrete or other.G is None else rep(other.G)
