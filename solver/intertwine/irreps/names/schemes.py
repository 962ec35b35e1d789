"""The usual names of irreps, such as l=2, [2, 1] and T2g: to and from catalogued irreps.

Each scheme computes a name from the irrep's action alone, by an invariant that does not depend on
its basis: a highest weight, or characters on elements of the group. To find the irrep of a name,
products with V are decomposed, and the names of their irreps are computed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from jaxtyping import Num

from intertwine.errors import InvalidRep, MethodNotApplicable, SplitError
from intertwine.groups.group import Group
from intertwine.irreps.character_tables import CharacterTable
from intertwine.irreps.decomposer import Decomposer
from intertwine.irreps.element_images import IrrepImages
from intertwine.irreps.irreducible import Irreducible
from intertwine.irreps.names.finite_names import Charges, Partitions
from intertwine.irreps.names.mulliken_symbols import MullikenSymbols
from intertwine.irreps.names.recognition import leaves_of, scheme_of
from intertwine.irreps.names.scheme import Scheme
from intertwine.operators import Permutation, dense
from intertwine.reps.generator_images import act_by_complex_numbers
from intertwine.reps.syntax import Base

MAX_NAME = 80
"""The longest name of an irrep."""
_KNOWN = re.compile(r"[\[\]()0-9A-Za-z=/+⊕⊗*,'′″ ±-]+")
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
_MOST_IRREPS, _MOST_PRODUCTS = 300, 2_000
"""A search in all tensors ends after as many irreps, or as many products."""
_SHOWN = 12
"""The most names that an error lists."""


class IrrepNames:
    """The names of the irreps of one group over one field. Use `irrep_names`."""

    def __init__(
        self, decomposer: Decomposer, scheme: Scheme, known: dict[int, str | None], group: Group
    ) -> None:
        self._decomposer, self._scheme, self._known = decomposer, scheme, known
        self._group = group  # as given, for messages

    @property
    def _is_complex(self) -> bool:
        return bool(np.issubdtype(self._decomposer.dtype, np.complexfloating))

    def name(self, index: int) -> str | None:
        """Return the name of a catalogued irrep; None if the scheme has none for it."""
        if index not in self._known:
            images = IrrepImages(self._decomposer, index)
            name = self._computed(images) if images.dimension <= _LARGEST_NAMED else None
            self._known[index] = name if name is None or len(name) <= MAX_NAME else None
        return self._known[index]

    def _computed(self, images: IrrepImages) -> str | None:
        try:
            return self._scheme.name(images)
        except (MethodNotApplicable, InvalidRep):
            return None  # a rep given by images may not tell those of the elements that name it

    def find(self, text: str) -> Irreducible:
        """Return the irrep of a name.

        Raises `InvalidRep` for other texts, and for irreps that occur only in large tensors.
        """
        decomposer = self._decomposer
        wanted = self._scheme.read(text.strip(), self._is_complex)
        if wanted is None:
            raise InvalidRep(
                f"{text!r} is not the name of an irrep of {self._group!r}; its irreps have "
                f"names such as {self._scheme.example}"
            )
        with decomposer.lock:
            index = self._named(wanted)
            if index is None and decomposer.group.d > _LARGEST_BASE:
                raise InvalidRep(
                    f"irreps of {self._group!r} are not searched by name: its V has "
                    f"{decomposer.group.d:,} dimensions, more than {_LARGEST_BASE}; decompose a "
                    f"rep that contains the irrep {wanted} first"
                )
            if index is None:
                index = self._climbed(wanted) if self._scheme.step(wanted) else self._found(wanted)
        if index is None:
            raise InvalidRep(
                f"{self._group!r} has no irrep {wanted} in the tensors of V that are "
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
                    f"the irrep {wanted} of {self._group!r} occurs only in tensors of "
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
                f"the irrep {wanted} of {self._group!r} is found only through larger "
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


def irrep_names(decomposer: Decomposer, group: Group | None = None) -> IrrepNames | None:
    """Return the names of a group's irreps; None if no scheme knows the group.

    `group` is the group as given, if the decomposer's is its straight form: factors of a product
    and signs of charges are those of the group as given.
    """
    shown = decomposer.group if group is None else group
    given = shown.unnumbered if shown.lie_generators else decomposer.group
    scheme, known = _named_irreps(decomposer, given, leaves_of(given))
    return None if scheme is None else IrrepNames(decomposer, scheme, known, shown)


@lru_cache(32)
def _named_irreps(
    decomposer: Decomposer, group: Group, leaves: tuple[Group, ...]
) -> tuple[Scheme | None, dict[int, str | None]]:
    """Return the scheme of a group, and the names that have been computed."""
    return scheme_of(group), {}


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


def irrep_of_name(decomposer: Decomposer, text: str, group: Group | None = None) -> Irreducible:
    """Return the irrep with a usual name (see `irrep_names`). Raises `InvalidRep`."""
    names = irrep_names(decomposer, group)
    shown = decomposer.group if group is None else group
    if names is None:
        raise InvalidRep(
            f"{text!r} is not the name of an irrep of {shown!r}: its irreps have only "
            f"names such as W3_5a1f2c, which decompose(rep) lists"
        )
    try:
        return names.find(text)
    except SplitError as error:
        raise InvalidRep(f"the irrep {text!r} of {shown!r} is not found: {error}") from (error)


def field_of(group: Group) -> bool:
    """Return whether names denote irreps over ℂ: for a group of complex matrices."""
    return bool(act_by_complex_numbers([Base(group)]))
