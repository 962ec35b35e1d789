"""Reps as JSON: a text, the group, and the reps by generators that the text names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from intertwine.errors import IntertwineError, InvalidGroup, InvalidRep, NotConcrete, TooLarge
from intertwine.groups import Group, group_document, read_group
from intertwine.groups.document import generator_to_json, read_generators
from intertwine.reps.functors.functor import is_functor
from intertwine.reps.generator_images import Images
from intertwine.reps.generator_rep import GeneratorRep, rep_from_generators
from intertwine.reps.parsing import parse
from intertwine.reps.syntax import Dual, Rep, atoms, is_a

MAX_NAMED = 100
"""The most reps by generators in one document."""
_LARGEST_TRIVIAL = 20_000
_KEYS = ("images", "lie", "size", "group")


def rep_document(rep: Rep) -> dict[str, Any]:
    """Return ``{"rep", "group"?, "reps"?}``, from which `read_rep` reads the rep.

    `rep` is its text. `group` is missing if the rep has several groups or none. `reps` has, by
    name, the images of generators of each rep that is given by them (`Rep.from_generators`, `Sub`,
    `QuotientRep`, `Induce`, `Quotient`, `Regular`, and pulled-back reps). They are read as plain
    reps by generators, with the same key.

    Raises `InvalidRep` if text and images do not define the rep, as for a user's class.
    """
    named: dict[str, GeneratorRep] = {}
    for atom in _given_by_generators(rep):
        if named.setdefault(str(atom), atom) != atom:
            raise InvalidRep(
                f"two reps in {rep!r} have the name {atom}: give them different names, as in "
                f"Rep.from_generators(…, name='P')"
            )
    text, group = str(rep), rep.G
    try:
        read = parse(text, names=named)
        same = (read if group is None else read(group)) == rep
    except IntertwineError:
        same = False
    if not same:
        raise InvalidRep(
            f"{text} cannot be sent: a service knows only the library's reps, and reps by the "
            f"images of generators with names other than V and T. The groups of a rep of several "
            f"groups have to be in the catalogue. Write the rep as Rep.from_generators(G, images, "
            f"name='P')"
        )
    document: dict[str, Any] = {"rep": text}
    if group is not None:
        document["group"] = group_document(group)
    if named:
        document["reps"] = {name: _definition(atom, group) for name, atom in named.items()}
    return document


def is_given_by_generators(rep: Rep) -> bool:
    """Return whether a part of a rep is given by the images of generators."""
    return any(True for _ in _given_by_generators(rep))


def read_named_reps(
    reps: Mapping[str, Any], group: Group | str | Mapping[str, Any] | None
) -> dict[str, Rep]:
    """Return the reps of the `reps` of a document.

    Each is ``{"images": […], "lie": […]}``, with a square matrix or a permutation for each discrete
    generator, and a matrix for each Lie generator. Matrices are as in a group's document. ``group``
    takes the place of the document's group, and ``size`` is for a group without generators. Raises
    `InvalidRep` for other documents, and for images that are not those of a representation.
    """
    if not isinstance(reps, Mapping) or not all(isinstance(v, Mapping) for v in reps.values()):
        raise InvalidRep(
            "`reps` maps names to the images of generators, "
            'as in {"P": {"images": [[1, 0, 2]], "lie": []}}'
        )
    if len(reps) > MAX_NAMED:
        raise TooLarge(f"`reps` has {len(reps):,} reps; at most {MAX_NAMED} are read")
    return {str(name): _read(str(name), value, group) for name, value in reps.items()}


def _given_by_generators(rep: Rep) -> Iterator[GeneratorRep]:
    for atom in atoms(rep):
        own = atom.rep if is_a(atom, Dual) else atom
        if isinstance(own, GeneratorRep):
            yield own
        elif is_functor(own):
            yield from _given_by_generators(own.part)


def _definition(rep: GeneratorRep, group: Group | None) -> dict[str, Any]:
    own, images = {} if group == rep.G else {"group": group_document(rep.G)}, rep.generators
    if not (images.lie or images.discrete):
        return {"size": rep.size(), **own}
    found = {
        name: [generator_to_json(image) for image in given]
        for name, given in (("images", images.discrete), ("lie", images.lie))
        if given
    }
    return {**found, **own}


def _read(
    name: str, document: Mapping[str, Any], group: Group | str | Mapping[str, Any] | None
) -> Rep:
    unknown = [key for key in document if key not in _KEYS]
    if unknown:
        raise InvalidRep(f"unknown keys {unknown} of the rep {name}; known are {list(_KEYS)}")
    given = document.get("group")
    given = group if given is None else given
    if given is None:
        raise NotConcrete(f"the rep {name} is given by the images of generators: give their group")
    over = read_group(given)
    try:
        images = read_generators(document.get("images"), f"the images of {name}")
        lie = read_generators(document.get("lie"), f"the Lie images of {name}")
    except InvalidGroup as error:
        raise InvalidRep(f"the rep {name} cannot be read: {error}") from error
    if images or lie or over.lie_generators or over.group_generators:
        return rep_from_generators(over, images, lie, name)
    size = document.get("size")
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= _LARGEST_TRIVIAL:
        raise InvalidRep(
            f"{over!r} has no generators, and the rep {name} needs a size from 1 to "
            f"{_LARGEST_TRIVIAL:,}, not {size!r}"
        )
    return GeneratorRep(over, Images((), ()), size, name)
