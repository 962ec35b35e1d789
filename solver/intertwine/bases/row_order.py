"""The rep whose coordinates the rows of a basis are, as stored in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from intertwine.errors import FormatError, IntertwineError, InvalidRep
from intertwine.groups import Group, group_from_json, group_to_json, parse_group
from intertwine.reps import Base, Dual, Rep, ScalarRep, Sum, Tensor, parse
from intertwine.reps.generator_images import atom_digest
from intertwine.reps.syntax import atoms, is_a

_ADVICE = (
    "Pass user-defined reps by their names in it, as in load_basis(path, names={'P': P}), or use "
    "the rep that the basis was computed for"
)

#: Digests of reps by id, with the reps themselves, which keeps the ids unique.
_Known = dict[int, tuple[Rep, str]]


@dataclass(frozen=True)
class RowOrder:
    """The rows of a basis are the coordinates of this rep, in the order in which it is written.

    `rep` is its text, and `groups` are its groups by their names in the text, in the format of
    `group_from_json`. The text of a rep of one group omits the group. `digest` identifies the rep
    by content: with user-defined names, different reps can have the same text.
    """

    rep: str
    groups: Mapping[str, Mapping[str, Any]]
    digest: str | None = None

    @classmethod
    def of(cls, rep: Rep) -> RowOrder:
        """Return the row order of a concrete rep."""
        groups = {name: group_to_json(group) for name, group in _named_groups(rep).items()}
        return cls(str(rep), groups, _digest(rep, {}))

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        digest = {} if self.digest is None else {"digest": self.digest}
        return {"rep": self.rep, "groups": dict(self.groups), **digest}

    @classmethod
    def from_json(cls, document: Any) -> RowOrder:
        """Read a row order from `to_json`. Raises `FormatError` for anything else."""
        match document:
            case {"rep": str() as rep, "groups": dict() as groups}:
                digest = document.get("digest")
                are_groups = all(isinstance(group, dict) for group in groups.values())
                if are_groups and isinstance(digest, str | None):
                    return cls(rep, groups, digest)
        raise FormatError(
            "the rows of a basis are a rep, a text, its groups by their names, and its digest"
        )

    def read(self, names: Mapping[str, Any] | None = None) -> Rep:
        """Return the rep, exactly as it was written. `names` has user-defined reps, as in `parse`.

        Raises `InvalidRep` if the text cannot be read, or gives a different rep than was written.
        """
        if self.digest is None:
            raise InvalidRep(
                f"the rep {self.rep} of a file cannot be checked: the file has no digest of it. "
                f"Use the rep that the basis was computed for"
            )
        try:
            groups = {name: _read_group(name, group) for name, group in self.groups.items()}
            rep = parse(self.rep, {**groups, **(names or {})})
            if not rep.is_concrete and len({*groups.values()}) == 1:
                rep = rep(next(iter(groups.values())))
            is_the_same = rep.is_concrete and _digest(rep, {}) == self.digest
        except IntertwineError as error:
            raise InvalidRep(
                f"the rep {self.rep} of a file cannot be read: {error}\n{_ADVICE}"
            ) from error
        if not is_the_same:
            raise InvalidRep(
                f"the rep {self.rep} of a file cannot be read: its text gives {rep!r}, but the "
                f"basis is of another rep. A user-defined rep or group may share the name of "
                f"another. {_ADVICE}"
            )
        return rep


def _named_groups(rep: Rep) -> dict[str, Group]:
    """Return the groups of a rep by name; a name that two groups share is extended by a digest."""
    named: dict[str, Group] = {}
    for group in {id(atom.G): atom.G for atom in atoms(rep)}.values():
        if group is not None and named.setdefault(repr(group), group) != group:
            named[f"{group!r} {group.digest[:16]}"] = group
    return named


def _read_group(name: str, document: Mapping[str, Any]) -> Group:
    """Read a group; if its name is in the catalogue and the group is equal, return that one."""
    group = group_from_json(document)
    try:
        named = parse_group(name)
    except IntertwineError:  # it has a user-defined name, or none
        return group
    return named if named == group else group


def _digest(rep: Rep, known: _Known) -> str:
    """Return a digest of a rep in its written order: groups by their generators, user-defined reps
    by the images of these. Names play no part, except those of irreps.

    `known` caches the digests of its parts.
    """
    if id(rep) not in known:
        text = " ".join(["intertwine rows 1", *_content(rep, known)])
        known[id(rep)] = rep, hashlib.sha256(text.encode()).hexdigest()
    return known[id(rep)][1]


def _content(rep: Rep, known: _Known) -> list[str]:
    """Return the kind of a rep, and the digests of its parts."""
    for kind in (Base, Dual, ScalarRep, Sum, Tensor):
        if is_a(rep, kind):
            # a subclass acts like its class, but the same text is not read as the subclass
            name = kind.__name__ if type(rep) is kind else f"subclass of {kind.__name__}"
            return [name, *_parts(rep, known)]
    # Irrep itself defines an identity; its subclasses are user-defined
    mark = "irrep" if "_identity" in vars(type(rep)) else "own"
    return [mark, "" if rep.G is None else rep.G.digest, atom_digest(rep)]


def _parts(rep: Rep, known: _Known) -> list[str]:
    if is_a(rep, Sum):
        return [text for m, term in rep.terms for text in (str(m), _digest(term, known))]
    if is_a(rep, Tensor):
        return [_digest(factor, known) for factor in rep.factors]
    if is_a(rep, Dual):
        return [_digest(rep.rep, known)]
    return [] if rep.G is None else [rep.G.digest]
