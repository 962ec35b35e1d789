"""Whose coordinates the rows of a basis are, in words that a file holds."""

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
    "Give reps of your own by their names in it, as in load_basis(path, names={'P': P}), or use "
    "the rep that the basis was made of"
)

#: Digests of reps by their ids, with the reps themselves: while these live, their ids are unique.
_Known = dict[int, tuple[Rep, str]]


@dataclass(frozen=True)
class RowOrder:
    """The rows of a basis are the coordinates of this rep, in the order in which it is written.

    `rep` is its text, and `groups` are those that it has, by their names there, as
    `group_from_json` reads them. A rep of one group has no group in its text. `digest` identifies
    the rep by what it is: names of the user's own can make its text that of another rep.
    """

    rep: str
    groups: Mapping[str, Mapping[str, Any]]
    digest: str | None = None

    @classmethod
    def of(cls, rep: Rep) -> RowOrder:
        """Those of a concrete rep."""
        groups = {name: group_to_json(group) for name, group in _named_groups(rep).items()}
        return cls(str(rep), groups, _digest(rep, {}))

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        digest = {} if self.digest is None else {"digest": self.digest}
        return {"rep": self.rep, "groups": dict(self.groups), **digest}

    @classmethod
    def from_json(cls, document: Any) -> RowOrder:
        """Those of `to_json`. Raises `FormatError` for anything else."""
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
        """The rep, exactly as it was written. `names` gives reps of the user's own, as in `parse`.

        Raises `InvalidRep` where the text cannot be read, or reads as another rep than the one
        that was written.
        """
        if self.digest is None:
            raise InvalidRep(
                f"the rep {self.rep} of a file cannot be checked: the file has no digest of it. "
                f"Use the rep that the basis was made of"
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
                f"the rep {self.rep} of a file cannot be read: its text says {rep!r}, and the "
                f"basis was made of another rep. Does a rep or a group of your own have the name "
                f"of another? {_ADVICE}"
            )
        return rep


def _named_groups(rep: Rep) -> dict[str, Group]:
    """The groups of a rep by their names; a name that two groups have gets a part of the digest."""
    named: dict[str, Group] = {}
    for group in {id(atom.G): atom.G for atom in atoms(rep)}.values():
        if group is not None and named.setdefault(repr(group), group) != group:
            named[f"{group!r} {group.digest[:16]}"] = group
    return named


def _read_group(name: str, document: Mapping[str, Any]) -> Group:
    """The group of a document; the one of the catalogue where that is what its name says."""
    group = group_from_json(document)
    try:
        named = parse_group(name)
    except IntertwineError:  # it has a name of the user's own, or none
        return group
    return named if named == group else group


def _digest(rep: Rep, known: _Known) -> str:
    """What a rep is, in the order in which it is written: groups by their generators, reps of the
    user's own by the images of these. No name plays a part, except those of irreps.

    `known` are the digests of its parts: an object that occurs often is read once.
    """
    if id(rep) not in known:
        text = " ".join(["intertwine rows 1", *_content(rep, known)])
        known[id(rep)] = rep, hashlib.sha256(text.encode()).hexdigest()
    return known[id(rep)][1]


def _content(rep: Rep, known: _Known) -> list[str]:
    """The kind of a rep, and the digests of what it is made of."""
    for kind in (Base, Dual, ScalarRep, Sum, Tensor):
        if is_a(rep, kind):
            # a subclass acts as its class does, and yet is not what is read from the same text
            name = kind.__name__ if type(rep) is kind else f"subclass of {kind.__name__}"
            return [name, *_parts(rep, known)]
    # Irrep itself defines an identity; a subclass of it is the user's own
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
