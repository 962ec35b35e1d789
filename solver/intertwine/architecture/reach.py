"""What a network can represent: which irreps it reaches, and which changes it would not see.

Products and irreps are chosen for speed first (`block_shape`), which may leave out what no other
part makes up for. This module finds what is missing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from intertwine.architecture.features import Kind
from intertwine.architecture.irrep_space import kind_of
from intertwine.architecture.products import (
    LARGEST_PAIR,
    Triple,
    couplings,
    invariant_forms,
    irreps_in_product,
)
from intertwine.architecture.relations import Relations
from intertwine.groups import Group
from intertwine.irreps import Irrep
from intertwine.operators import dense
from intertwine.reps.syntax import drho_of

_TWOFOLD = 200
"""Products of products are decomposed up to this dimension."""
_MOST, _ON_THE_WAY = 12, 100
"""A search for outputs takes this many small irreps, and products up to this dimension."""

#: An irrep at a place of a network: a level, or an end.
Symbol = tuple[Any, str]
#: Two symbols that are joined by a linear map, or λ, μ and ν of a product λ ⊗ μ → ν.
Link = tuple[Symbol, ...]


#: The relations of the numbers χ by which inputs and outputs of a network may be multiplied without
#: the network noticing: see `Relations`.
Symmetries = tuple[tuple[int, ...], ...]


class Fusion:
    """The irreps in products of two irreps, by name; each product is decomposed once."""

    def __init__(self, kinds: Mapping[str, Kind], trivial: str, group: Group) -> None:
        self.kinds, self.trivial, self.group = dict(kinds), trivial, group
        self._found: dict[tuple[str, str], tuple[str, ...]] = {}
        self._alternating: dict[Triple, bool] = {}

    def of(self, left: str, right: str) -> tuple[str, ...]:
        """Return the irreps of a product; if it is too large to be decomposed, the trivial one or
        none.
        """
        left, right = sorted((left, right), key=lambda name: (self.kinds[name].dimension, name))
        if left == self.trivial:
            return (right,)
        if (left, right) not in self._found:
            self._found[left, right] = self._decomposed(left, right)
        return self._found[left, right]

    def vanishes(self, triple: Triple, copies: int) -> bool:
        """Return whether λ ⊗ μ → ν is zero for this many copies of λ: it is for one vector with
        itself if the maps change sign with the order of the factors.
        """
        left, right, _ = triple
        if left != right or copies * self.kinds[left].freedom > 1:
            return False
        return self.alternates(triple)

    def alternates(self, triple: Triple) -> bool:
        """Return whether all maps λ ⊗ λ → ν change sign with the order of the factors."""
        if triple not in self._alternating:
            self._alternating[triple] = self._changes_sign(triple)
        return self._alternating[triple]

    def _changes_sign(self, triple: Triple) -> bool:
        name, _, target = triple
        maps = couplings([name], self.kinds, {target: self.kinds[target]}, self.group)
        return all(np.allclose(one.coefficients, -one.coefficients.swapaxes(1, 2)) for one in maps)

    def _decomposed(self, left: str, right: str) -> tuple[str, ...]:
        a, b = Irrep(left, self.group), Irrep(right, self.group)
        irreps = irreps_in_product(a, b)
        for irrep in irreps:
            if irrep.name not in self.kinds:
                self.kinds[irrep.name] = kind_of(irrep)
        if not irreps and a == b and len(invariant_forms(a)):
            return (self.trivial,)
        return tuple(irrep.name for irrep in irreps)

    def size(self, left: str, right: str) -> int:
        """Return the dimension of a product."""
        return self.kinds[left].dimension * self.kinds[right].dimension

    def too_large(self, names: Sequence[str], outputs: Sequence[str]) -> list[tuple[str, str]]:
        """Return the products of two of these irreps that are not decomposed and might lead to
        outputs.

        If all rotations of λ act, λ ⊗ λ consists of its invariant form and irreps larger than λ:
        nothing is lost unless one of these is an output.
        """
        largest = max((self.kinds[name].dimension for name in outputs), default=0)
        return [
            (left, right)
            for left, right in combinations_with_replacement(names, 2)
            if self.trivial not in (left, right)
            and self.size(left, right) > LARGEST_PAIR
            and not (
                left == right
                and largest <= self.kinds[left].dimension
                and self._has_all_rotations(left)
            )
        ]

    def _has_all_rotations(self, name: str) -> bool:
        irrep, d = Irrep(name, self.group), self.kinds[name].dimension
        images = [np.asarray(dense(drho_of(irrep, dense(a)))) for a in self.group.lie_generators]
        if not images or any(np.iscomplexobj(image) for image in images):
            return False
        flat = np.array(images).reshape(len(images), -1)
        return bool(np.linalg.matrix_rank(flat, 1e-8) == d * (d - 1) // 2)

    def triples(self, lefts: Iterable[str], rights: Iterable[str]) -> set[Triple]:
        """Return all λ ⊗ μ → ν for unordered pairs of these λ and μ, except scalars."""
        pairs = {tuple(sorted((a, b))) for a in lefts for b in rights}
        return {
            (a, b, target)
            for a, b in pairs
            if self.trivial not in (a, b)
            for target in self.of(a, b)
        }


@dataclass(frozen=True)
class Step:
    """The part of a block that matters here: the irreps that come in, the products taken, and the
    irreps that go out.
    """

    present: frozenset[str]
    triples: frozenset[Triple]
    reached: frozenset[str]

    @classmethod
    def of(
        cls,
        present: Mapping[str, int],
        wanted: Collection[str],
        every: Iterable[Triple],
        fusion: Fusion,
    ) -> Step:
        """Return the step from these copies of irreps that takes the products whose factors are
        present and that do not vanish.
        """
        taken = {
            triple
            for triple in every
            if triple[0] in present and triple[1] in present
            if not fusion.vanishes(triple, present[triple[0]])
        }
        reached = {name for name in wanted if name in present or any(t[2] == name for t in taken)}
        return cls(frozenset(present), frozenset(taken), frozenset(reached))


def symmetries(
    steps: Sequence[Step], inputs: Sequence[str], outputs: Sequence[str], trivial: str
) -> Symmetries:
    """Return the relations that the blocks impose between inputs and outputs.

    Scalars have χ = 1, since gates are neither even nor odd. Paths that do not lead to the output
    do not count.
    """
    last = len(steps)
    links: list[Link] = []
    useful = {name for name in outputs if name in (steps[-1].reached if steps else inputs)}
    links += [((last, name), (last + 1, name)) for name in useful]
    for level in reversed(range(last)):
        step, wanted = steps[level], useful | {trivial}
        useful = wanted & step.present
        links += [((level, name), (level + 1, name)) for name in useful]
        for left, right, target in sorted(step.triples):
            if target in wanted:
                useful |= {left, right}
                links.append(((level, left), (level, right), (level + 1, target)))
    ends = [*((0, name) for name in inputs), *((last + 1, n) for n in outputs if n != trivial)]
    return _symmetries(links, ends, trivial)


@lru_cache(maxsize=256)
def unavoidable(
    fusion: Fusion, inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> tuple[Symmetries, frozenset[Triple]]:
    """Return the relations, in the same form, that the products of the input's irreps, and products
    of these, impose between inputs and outputs; and those products.

    A network of any depth that takes them has only the symmetries of the group's center, as far as
    the irreps in twofold products show it. The search stops once no symmetries are left.
    """
    own = [name for name in inputs if name != fusion.trivial]
    every = fusion.triples(own, own)
    twofold = {target for _, _, target in every} - {fusion.trivial}
    later = {tuple(sorted((a, b))) for a in twofold for b in (*own, *twofold)}
    ends = [*(("in", n) for n in inputs), *(("out", n) for n in outputs if n != fusion.trivial)]

    def found() -> Symmetries:
        links: list[Link] = [(("", name), (end, name)) for end, name in ends]
        links += [tuple(("", name) for name in triple) for triple in sorted(every)]
        return _symmetries(links, ends, fusion.trivial)

    left = found()
    for a, b in sorted(later, key=lambda pair: (fusion.size(*pair), pair)):
        if _is_all(left):
            break
        if {a, b} & {*own} or fusion.size(a, b) <= _TWOFOLD:
            more = fusion.triples([a], [b]) - every
            every |= more
            left = found() if more else left
    return left, frozenset(every)


def _symmetries(links: Sequence[Link], ends: Sequence[Symbol], trivial: str) -> Symmetries:
    """Return the relations between the ends that the links between symbols imply."""
    inner = sorted({symbol for link in links for symbol in link} - {*ends})
    relations = Relations([*inner, *ends])
    for link in links:
        relation: dict[Symbol, int] = {}
        for symbol, sign in zip(link, (1, -1) if len(link) == 2 else (1, 1, -1), strict=True):
            if symbol in ends or symbol[1] != trivial:
                relation[symbol] = relation.get(symbol, 0) + sign
        relations.add(relation)
    return relations.among(ends)


def _is_all(found: Symmetries) -> bool:
    """Return whether the relations are all of ℤⁿ, which leaves no symmetry."""
    return all(len(found) == len(row) and row[i] == 1 for i, row in enumerate(found))


def way_to(
    fusion: Fusion, inputs: Iterable[str], targets: Collection[str], blocks: int
) -> set[str]:
    """Return the irreps on a way from the inputs to the targets by at most `blocks` products in a
    row, small ones first; none for targets that are not found.
    """
    depth = dict.fromkeys(inputs, 0)
    parents: dict[str, tuple[str, str]] = {}
    for level in range(1, blocks + 1):
        known = sorted(depth, key=lambda name: (fusion.kinds[name].dimension, name))[:_MOST]
        pairs = [(a, b) for a in known for b in known if fusion.size(a, b) <= _ON_THE_WAY]
        for left, right, target in sorted(
            {triple for a, b in pairs for triple in fusion.triples([a], [b])},
            key=lambda t: (fusion.size(*t[:2]), t),
        ):
            if target not in depth:
                depth[target], parents[target] = level, (left, right)
        if all(target in depth for target in targets):
            break
    found: set[str] = set()
    ahead = [target for target in targets if target in parents]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += parents.get(name, ())
    return found


@dataclass(frozen=True)
class Missing:
    """What hidden layers lack: irreps, and products in every block."""

    irreps: frozenset[str] = frozenset()
    triples: frozenset[Triple] = frozenset()


def missing_products(
    fusion: Fusion,
    inputs: Mapping[str, int],
    outputs: Sequence[str],
    hidden: Sequence[Mapping[str, int]],
    taken: Sequence[Collection[Triple]],
    may_grow: Sequence[bool],
    copies: int,
) -> Missing:
    """Return a minimal set of irreps and products, found by elimination, with which hidden layers
    have only the symmetries of layers that take all products.

    `hidden` are the layers' irreps and `taken` their products. Layers that may grow then have at
    least `copies` of each irrep.
    """
    _, every = unavoidable(fusion, (*inputs,), (*outputs,))
    own = {*inputs} - {fusion.trivial}
    new = {name for triple in every if {*triple[:2]} <= own for name in triple} - {fusion.trivial}

    def with_these(missing: Missing, least: int) -> Symmetries:
        present, steps = inputs, list[Step]()
        for own, triples, grows in zip(hidden, taken, may_grow, strict=True):
            wanted = {**dict.fromkeys(missing.irreps if grows else (), 1), **own}
            if grows:
                wanted = {name: max(m, least) for name, m in wanted.items()}
            steps.append(Step.of(present, wanted, {*triples, *missing.triples}, fusion))
            present = {name: m for name, m in wanted.items() if name in steps[-1].reached}
        return symmetries(steps, [*inputs], outputs, fusion.trivial)

    missing = Missing(frozenset(new), every)
    goal = with_these(missing, copies)
    if goal == with_these(Missing(), 1):
        return Missing()

    def size(names: Iterable[str]) -> int:
        return sum(fusion.kinds[name].dimension for name in names)

    for name in sorted(new, key=lambda n: (-size([n]), n)):
        fewer = Missing(missing.irreps - {name}, missing.triples)
        missing = fewer if with_these(fewer, copies) == goal else missing
    for triple in sorted(every, key=lambda t: (-size(t), t)):
        fewer = Missing(missing.irreps, missing.triples - {triple})
        missing = fewer if with_these(fewer, copies) == goal else missing
    return missing
