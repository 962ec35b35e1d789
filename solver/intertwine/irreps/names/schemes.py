"""The usual names of irreps, such as l=2, [2, 1] and T2g: to and from catalogued irreps.

Each scheme computes a name from the irrep's action alone, by an invariant that does not depend on
its basis: a highest weight, or characters on elements of the group. To find the irrep of a name,
products with V are decomposed, and the names of their irreps are computed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Protocol

import numpy as np
from jaxtyping import Num

from intertwine.errors import InvalidGroup, InvalidRep, SplitError, TooLarge
from intertwine.groups import CATALOGUE
from intertwine.groups.conjugacy import MAX_ORDER
from intertwine.groups.enumeration import enumerate_elements
from intertwine.groups.group import Group
from intertwine.irreps.character_tables import CharacterTable, character_table
from intertwine.irreps.decomposer import Decomposer
from intertwine.irreps.element_images import IrrepImages
from intertwine.irreps.irreducible import Irreducible
from intertwine.irreps.names.finite_names import Charges, Letters, Partitions, order_of_element
from intertwine.irreps.names.highest_weights import (
    LinearMaps,
    Lorentz,
    Rotations,
    RotationsAndReflections,
    Step,
    Symplectic,
)
from intertwine.irreps.names.mulliken_symbols import MullikenSymbols
from intertwine.operators import Permutation, dense
from intertwine.reps.generator_images import act_by_complex_numbers
from intertwine.reps.syntax import Base

MAX_NAME = 80
"""The longest name of an irrep."""
_KNOWN = re.compile(r"[\[\]()0-9A-Za-z=/+⊕,'′″ ±-]+")
_STEPS = 24
"""The most factors V of a tensor in which a named irrep is searched."""
_LARGEST_PRODUCT = 250
"""The largest product of two irreps that is decomposed in a search for a named irrep."""
_WORK = 2.5e7
"""The largest sum of cubes of these products' dimensions in one search: a few seconds."""
_LARGEST_BASE = 150
"""The largest V that is decomposed in a search for a named irrep."""
_LARGEST_NAMED = 500
"""The largest dimension of an irrep with a usual name. Others have only names by digest."""
_LARGEST_GROUP = 32
"""The largest V for which a Lie group or symmetric group is recognised."""
_MOST_IRREPS, _MOST_PRODUCTS = 300, 2_000
"""A search in all tensors ends after as many irreps, or as many products."""
_SHOWN = 12
"""The most names that an error lists."""
_LETTERED_ORDER = 1_000
"""The largest order of a group whose irreps are named by letters or by Mulliken symbols."""


class Scheme(Protocol):
    """A way of naming the irreps of one group."""

    example: str

    def name(self, images: IrrepImages) -> str | None:
        """Return the name of an irrep; None if the scheme has none for it."""

    def read(self, text: str, is_complex: bool) -> str | None:
        """Return the usual form of a name; None if the text is not a name of this scheme."""

    def step(self, name: str) -> Step | None:
        """Return a step to this irrep from a smaller one; None if it is searched in all tensors."""


class IrrepNames:
    """The names of the irreps of one group over one field. Use `irrep_names`."""

    def __init__(self, decomposer: Decomposer, scheme: Scheme) -> None:
        self._decomposer, self._scheme = decomposer, scheme
        self._known: dict[int, str | None] = {}

    @property
    def _is_complex(self) -> bool:
        return bool(np.issubdtype(self._decomposer.dtype, np.complexfloating))

    def name(self, index: int) -> str | None:
        """Return the name of a catalogued irrep; None if the scheme has none for it."""
        if index not in self._known:
            images = IrrepImages(self._decomposer, index)
            is_small = images.dimension <= _LARGEST_NAMED
            self._known[index] = self._scheme.name(images) if is_small else None
        return self._known[index]

    def find(self, text: str) -> Irreducible:
        """Return the irrep of a name.

        Raises `InvalidRep` for other texts, and for irreps that occur only in large tensors.
        """
        decomposer = self._decomposer
        wanted = self._scheme.read(text.strip(), self._is_complex)
        if wanted is None:
            raise InvalidRep(
                f"{text!r} is not the name of an irrep of {decomposer.group!r}; its irreps have "
                f"names such as {self._scheme.example}"
            )
        with decomposer.lock:
            index = self._named(wanted)
            if index is None and decomposer.group.d > _LARGEST_BASE:
                raise InvalidRep(
                    f"irreps of {decomposer.group!r} are not searched by name: its V has "
                    f"{decomposer.group.d:,} dimensions, more than {_LARGEST_BASE}; decompose a "
                    f"rep that contains the irrep {wanted} first"
                )
            if index is None:
                index = self._climbed(wanted) if self._scheme.step(wanted) else self._found(wanted)
        if index is None:
            raise InvalidRep(
                f"{decomposer.group!r} has no irrep {wanted} in the tensors of V that are "
                f"searched, which have {self._few_names()}"
            )
        return decomposer.catalogue.irreps[index]

    def _named(self, name: str) -> int | None:
        everything = range(len(self._decomposer.catalogue.irreps))
        return next((index for index in everything if self.name(index) == name), None)

    def _few_names(self) -> str:
        known = [self.name(index) for index in range(len(self._decomposer.catalogue.irreps))]
        names = sorted(name for name in known if name is not None)
        return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")

    def _climbed(self, wanted: str) -> int | None:
        """Find an irrep by products with V along a path of names."""
        path, step = [wanted], self._scheme.step(wanted)
        duals = list[bool]()
        while step is not None:
            path.append(step.smaller)
            duals.append(step.is_dual)
            step = self._scheme.step(step.smaller)
            if len(duals) > _STEPS:
                raise InvalidRep(
                    f"the irrep {wanted} of {self._decomposer.group!r} occurs only in tensors of "
                    f"more than {_STEPS} factors V, and larger ones are not searched by name: "
                    f"decompose a rep that contains it"
                )
        index: int | None = self._named(path.pop())
        work = 0.0
        for name, is_dual in zip(reversed(path), reversed(duals), strict=True):
            if index is None:
                return None
            base = Base(self._decomposer.group)
            factors = self._decomposer.atom(base.T if is_dual else base)[1]
            found = self._named(name)
            for factor in factors if found is None else ():
                work = self._multiply(index, factor, wanted, work)
            index = self._named(name) if found is None else found
        return index

    def _found(self, wanted: str) -> int | None:
        """Find an irrep by products of all irreps found so far with V and V*."""
        for _ in reachable(self._decomposer):
            if (index := self._named(wanted)) is not None:
                return index
        return None

    def _multiply(self, a: int, b: int, wanted: str, work: float) -> float:
        """Decompose a product. Return the work of the search with it."""
        irreps = self._decomposer.catalogue.irreps
        size = irreps[a].dimension * irreps[b].dimension
        work += float(size) ** 3 * (3 if self._is_complex else 1)
        if size > _LARGEST_PRODUCT or work > _WORK:
            raise InvalidRep(
                f"the irrep {wanted} of {self._decomposer.group!r} is found only through larger "
                f"products of irreps (here of {size:,} dimensions) than are searched by name: "
                f"decompose a rep that contains it"
            )
        self._decomposer.catalogue.product(a, b)
        return work


def reachable(decomposer: Decomposer, largest: int = _LARGEST_PRODUCT) -> Iterator[int]:
    """Yield the irreps in tensors of V and V*, as they are found by products of small irreps.

    Products of more than 250 dimensions, and of irreps of more than `largest`, are left out, and
    the search ends after 300 irreps, 2,000 products, or a few seconds' work. Raises `SplitError`.
    """
    base = Base(decomposer.group)
    factors = [*decomposer.atom(base)[1]]
    if base != base.T:
        factors += [part for part in decomposer.atom(base.T)[1] if part not in factors]
    catalogue, queue = decomposer.catalogue, list(dict.fromkeys([0, *factors]))
    yield from queue
    work, products = 0.0, 0
    for a in queue:  # grows as it is walked
        for b in factors:
            left, right = catalogue.irreps[a].dimension, catalogue.irreps[b].dimension
            if left > largest or left * right > _LARGEST_PRODUCT:
                continue
            work, products = work + float(left * right) ** 3, products + 1
            if work > _WORK or products > _MOST_PRODUCTS:
                return
            for index in catalogue.product(a, b):
                if index not in queue:
                    queue.append(index)
                    yield index
                    if len(queue) >= _MOST_IRREPS:
                        return


def is_known_form(text: str) -> bool:
    """Return whether a text may be the name of an irrep of some group."""
    return len(text) <= MAX_NAME and _KNOWN.fullmatch(text) is not None


@lru_cache(32)
def irrep_names(decomposer: Decomposer) -> IrrepNames | None:
    """Return the names of a group's irreps; None if no scheme knows the group."""
    scheme = scheme_of(decomposer.group)
    return None if scheme is None else IrrepNames(decomposer, scheme)


@lru_cache(64)
def scheme_of(group: Group) -> Scheme | None:
    """Return the scheme that names a group's irreps; None if there is none.

    A classical group is recognised by its generators, a point group by its elements.
    """
    if group.lie_generators:
        return _lie_scheme(group)
    if 3 <= group.d <= _LARGEST_GROUP and _is_member(group, "S", group.d):
        return Partitions(group.d)
    if not group.group_generators:
        return MullikenSymbols([np.eye(3)])
    generators = [np.asarray(dense(h)) for h in group.group_generators]
    is_spatial = group.d in (2, 3) and group.is_orthogonal and not group.is_permutation
    found = enumerate_elements(group)
    if found is None or found.order > MAX_ORDER:
        return None
    is_small = found.order <= _LETTERED_ORDER
    if is_spatial and is_small and (len(generators) > 1 or group.d == 3):
        return MullikenSymbols(list(found.elements))
    if all(np.abs(a @ b - b @ a).max() <= 1e-9 for a in generators for b in generators):
        orders = [order_of_element(h, MAX_ORDER) for h in generators]
        known = [order for order in orders if order is not None]
        return Charges(known) if len(known) == len(orders) else None
    return Letters(character_table(group)) if is_small else None


def _lie_scheme(group: Group) -> Scheme | None:
    d = group.d
    if d > _LARGEST_GROUP:
        return None
    families: tuple[tuple[str, tuple[int, ...], Callable[[], Scheme]], ...] = (
        ("SO", (d,), lambda: Rotations(d)),
        ("O", (d,), lambda: RotationsAndReflections(d)),
        ("SU", (d,), lambda: LinearMaps(d, is_special=True, is_unitary=True)),
        ("U", (d,), lambda: LinearMaps(d, is_special=False, is_unitary=True)),
        ("SL", (d,), lambda: LinearMaps(d, is_special=True, is_unitary=False)),
        ("GL", (d,), lambda: LinearMaps(d, is_special=False, is_unitary=False)),
        ("Sp", (d // 2,), lambda: Symplectic(d // 2)),
        ("SO13p", (), Lorentz),
    )
    for name, arguments, scheme in families:
        if (name not in ("SO", "O") or d > 1) and _is_member(group, name, *arguments):
            return scheme()
    return None


#: The number of Lie and discrete generators of the catalogue's groups on d dimensions.
_COUNTS: dict[str, Callable[[int], tuple[int, int]]] = {
    "SO": lambda d: (d * (d - 1) // 2, 0),
    "O": lambda d: (d * (d - 1) // 2, 1),
    "SU": lambda d: (d * d - 1, 0),
    "U": lambda d: (d * d, 0),
    "SL": lambda d: (d * d - 1, 0),
    "GL": lambda d: (d * d, 0),
    "Sp": lambda d: (d // 2 * (d + 1), 0),
    "SO13p": lambda d: (6, 0),
    "S": lambda d: (0, d - 1),
}


def _is_member(group: Group, name: str, *arguments: int) -> bool:
    """Return whether a group has the generators of one of the catalogue."""
    if (len(group.lie_generators), len(group.group_generators)) != _COUNTS[name](group.d):
        return False
    try:
        member = CATALOGUE[name](*arguments)
    except (InvalidGroup, TooLarge):
        return False
    return member.content_digest == group.content_digest


class _CharacterImages(IrrepImages):
    """A character in place of an irrep: each element has its trace, as a matrix of size 1."""

    def __init__(self, table: CharacterTable, row: int, elements: Num[np.ndarray, "n d d"]) -> None:
        self._elements, self._of = elements, table.classes.of
        self._values, self._places = table.values[row], table.classes.enumeration.places
        self.dimension, self.type, self.is_complex = table.dimensions[row], "ℂ", True

    def element(self, g: Num[np.ndarray, "d d"]) -> Num[np.ndarray, "1 1"]:
        """Return χ(g)."""
        place = int(np.argmin(np.abs(self._elements - g).max(axis=(1, 2))))
        return np.array([[self._values[self._of[place]]]])

    def trace(self, permutation: Permutation) -> complex:
        """Return χ of a permutation."""
        return complex(self.element(np.asarray(dense(permutation)))[0, 0])

    @property
    def generators(self) -> list[Num[np.ndarray, "1 1"]]:
        """χ(hᵢ) for the discrete generators, as given."""
        return [self._values[self._of[place]].reshape(1, 1) for place in self._places]


def labels_of_table(table: CharacterTable) -> list[str]:
    """Return the usual name of each irrep of a table, or else its name by letters."""
    scheme, found = scheme_of(table.group), list[str]()
    if not isinstance(scheme, Partitions | MullikenSymbols | Charges):
        return list(table.names)
    elements = table.classes.enumeration.elements
    for row, letters in enumerate(table.names):
        images = _CharacterImages(table, row, elements)
        if isinstance(scheme, Partitions):
            known = scheme.name_of_character(images.trace)
        else:
            known = scheme.name(images)
        found.append(letters if known is None else known)
    return found


def irrep_of_name(decomposer: Decomposer, text: str) -> Irreducible:
    """Return the irrep with a usual name. Raises `InvalidRep`."""
    names = irrep_names(decomposer)
    if names is None:
        raise InvalidRep(
            f"{text!r} is not the name of an irrep of {decomposer.group!r}: its irreps have only "
            f"names such as W3_5a1f2c, which decompose(rep) lists"
        )
    try:
        return names.find(text)
    except SplitError as error:
        raise InvalidRep(f"the irrep {text!r} of {decomposer.group!r} is not found: {error}") from (
            error
        )


def field_of(group: Group) -> bool:
    """Return whether names denote irreps over ℂ: for a group of complex matrices."""
    return bool(act_by_complex_numbers([Base(group)]))
