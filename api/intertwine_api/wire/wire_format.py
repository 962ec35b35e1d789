"""The wire format of reps and groups: text, or for groups also their generators as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from intertwine.errors import NotConcrete

if TYPE_CHECKING:
    from intertwine.groups import Group
    from intertwine.reps import Rep


@dataclass(frozen=True)
class SentRep:
    """A rep, its text, and its group's document; `group` is None if it has several or none.

    `reps` defines the names in the text that stand for reps by generators.
    """

    rep: Rep
    text: str
    group: str | dict[str, Any] | None
    reps: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        rep: str | Rep,
        group: str | Group | Mapping[str, Any] | None = None,
        *,
        may_lack_group: bool = False,
    ) -> SentRep:
        """Return the wire format of a rep or its text, over `group` unless it names its groups.

        Raises the errors of parsing, `NotConcrete` if the group is missing and not
        `may_lack_group`, and `InvalidRep` if its text does not define it, such as a user's rep.
        """
        from intertwine.reps import read_rep, rep_document

        bound = read_rep(rep, group)
        if not (bound.is_concrete or may_lack_group):
            raise NotConcrete(f"{bound} has no group: give one, or write it in the text: V(SO(3))")
        document = rep_document(bound)
        return cls(bound, document["rep"], document.get("group"), document.get("reps", {}))

    @property
    def document(self) -> dict[str, Any]:
        """Return the fields `rep`, `group` and `reps` of a request."""
        return {
            "rep": self.text,
            **({} if self.group is None else {"group": self.group}),
            **({"reps": self.reps} if self.reps else {}),
        }


def over_group_of(other: Rep, rep: Rep) -> Rep:
    """Return `rep`, over the group of `other` if it has none."""
    return rep if rep.is_concrete or other.G is None else rep(other.G)
