"""Whose coordinates the rows of a basis are, in words that a file holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from intertwine.errors import FormatError, IntertwineError, InvalidRep
from intertwine.groups import group_from_json, group_to_json
from intertwine.reps import Rep, parse
from intertwine.reps.syntax import groups_of


@dataclass(frozen=True)
class RowOrder:
    """The rows of a basis are the coordinates of this rep, in the order in which it is written.

    `rep` is its text, and `groups` are those that it has, by their names there, as
    `group_from_json` reads them. A rep of one group has no group in its text.
    """

    rep: str
    groups: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, rep: Rep) -> RowOrder:
        """Those of a concrete rep."""
        return cls(str(rep), {repr(group): group_to_json(group) for group in groups_of(rep)})

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {"rep": self.rep, "groups": dict(self.groups)}

    @classmethod
    def from_json(cls, document: Any) -> RowOrder:
        """Those of `to_json`. Raises `FormatError` for anything else."""
        match document:
            case {"rep": str() as rep, "groups": dict() as groups}:
                if all(isinstance(group, dict) for group in groups.values()):
                    return cls(rep, groups)
        raise FormatError("the rows of a basis are a rep, a text, and its groups by their names")

    def read(self) -> Rep:
        """The rep. Raises `InvalidRep` for one that the text does not say: of the user's own, or of
        several groups one of which has no name.
        """
        try:
            groups = [group_from_json(document) for document in self.groups.values()]
            rep = parse(self.rep)
            if not rep.is_concrete and len(groups) == 1:
                rep = rep(groups[0])
            if rep.is_concrete and {*groups_of(rep)} == {*groups}:
                return rep
        except IntertwineError as error:
            raise InvalidRep(f"the rep {self.rep} of a file cannot be read: {error}") from error
        raise InvalidRep(
            f"the rep {self.rep} of a file is not one of its groups {[*self.groups]} alone: take "
            f"the rep that the basis was made of"
        )
