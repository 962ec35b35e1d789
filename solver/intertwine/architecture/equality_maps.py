"""All equivariant affine maps for groups that permute coordinates in all ways: one weight for each
pattern of equal indices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Inexact, Int

from intertwine.architecture.by_content import ByContent
from intertwine.architecture.features import Weights
from intertwine.architecture.initialization import WeightSpec
from intertwine.architecture.irrep_space import canonical_places
from intertwine.arrays import Array, added_at, index, namespace
from intertwine.groups import Group
from intertwine.groups.full_permutations import equality_patterns, full_permutations_of
from intertwine.reps import Base, Rep
from intertwine.reps.canonical_form import canonical_terms
from intertwine.reps.syntax import groups_of, is_a

_MOST = 250
"""The largest number of patterns between two tensors: each compiles to a few operations."""


@dataclass(frozen=True)
class TensorCopies:
    """Copies of a tensor, and the group of each of its axes."""

    count: int
    groups: tuple[Group, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return tuple(group.d for group in self.groups)

    @property
    def size(self) -> int:
        """The number of components of all copies."""
        return self.count * prod(self.shape)


@dataclass(frozen=True)
class Pattern:
    """A map between tensors: one letter per axis, where equal letters mean equal indices.

    y_(out) is the mean of x_(in) over the letters that are only in `into`. If a letter is in `out`
    twice, y is zero off that diagonal.
    """

    out: str
    into: str

    def __str__(self) -> str:
        return f"{self.out}←{self.into}"

    @property
    def kept(self) -> str:
        """The letters that are in both."""
        return "".join(dict.fromkeys(letter for letter in self.into if letter in self.out))


@dataclass(frozen=True, eq=False)
class EqualityMaps(ByContent):
    """x ↦ Σ_p W_p · p(x) + Σ_q b_q q, over the patterns p of indices that are equal.

    If all permutations act, the orbits of index tuples are the set partitions of their places into
    those with equal indices (Maron et al. 2019, theorem 1). A pattern does not require that
    different indices differ, so it is the sum of the orbits of all coarser partitions: a triangular
    change of basis with the same span. Patterns are computed by diagonals, means and broadcasts, in
    the time that it takes to read x and write y. If all signs act too, only partitions into parts
    of even size remain.

    Patterns take means, not sums: outputs keep their size when n changes, and weights their meaning
    (`Linear.over`).
    """

    rep_in: Rep
    rep_out: Rep
    sources: tuple[TensorCopies, ...]
    targets: tuple[TensorCopies, ...]
    into: Int[np.ndarray, " n"]
    out: Int[np.ndarray, " m"]

    @cached_property
    def patterns(self) -> dict[str, tuple[int, int, Pattern]]:
        """By weight name: the index of the source, that of the target, and the pattern."""
        return {
            f"{i}→{o} {pattern}": (i, o, pattern)
            for o, target in enumerate(self.targets)
            for i, source in enumerate(self.sources)
            for pattern in _patterns(target.groups, source.groups)
        }

    @cached_property
    def offsets(self) -> list[tuple[int, Pattern]]:
        """For each constant: the index of the target, and the pattern."""
        return [
            (o, pattern)
            for o, target in enumerate(self.targets)
            for pattern in _patterns(target.groups, ())
        ]

    @property
    def weight_spec(self) -> WeightSpec:
        """Shapes of the weights, and the variance with which outputs have that of the inputs."""
        sizes = [0.0] * len(self.targets)
        for i, o, pattern in self.patterns.values():
            source, target = self.sources[i], self.targets[o]
            lengths = dict(zip(pattern.into, source.shape, strict=True))
            mean_of = prod(n for letter, n in lengths.items() if letter not in pattern.kept)
            own = dict(zip(pattern.out, target.shape, strict=True))
            share = prod(own.values()) / prod(target.shape)
            sizes[o] += source.count * share / mean_of
        return {
            name: ((self.targets[o].count, self.sources[i].count), 1 / sizes[o])
            for name, (i, o, _) in self.patterns.items()
        }

    @property
    def constants(self) -> int:
        """The number of coordinates of the bias."""
        return sum(self.targets[o].count for o, _ in self.offsets)

    @property
    def is_complex(self) -> bool:
        """False: the coordinates are real numbers."""
        return False

    def apply(
        self,
        weights: Weights,
        bias: Inexact[Array, " k"],
        x: Inexact[Array, "b n"],
    ) -> Inexact[Array, "b m"]:
        """Return the image of a batch, a pure function."""
        parts, xp = self._parts(x), namespace(x)
        reduced: dict[tuple[int, str, str], Any] = {}
        grown: dict[tuple[int, str, str], Any] = {}
        for name, (i, o, pattern) in self.patterns.items():
            seen = i, pattern.into, pattern.kept
            if seen not in reduced:
                reduced[seen] = _means(parts[i], pattern.into, pattern.kept)
            inside = "".join(dict.fromkeys(c for c in pattern.out if c in pattern.kept))
            mixed = xp.einsum(f"OI,...I{pattern.kept}->...O{inside}", weights[name], reduced[seen])
            _add(grown, (o, pattern.out, inside), mixed)
        at = 0
        for o, pattern in self.offsets:
            count = self.targets[o].count
            constant = xp.broadcast_to(bias[at : at + count], (x.shape[0], count))
            _add(grown, (o, pattern.out, ""), constant)
            at += count
        pieces = []
        for o, target in enumerate(self.targets):
            y = xp.zeros((x.shape[0], target.count, *target.shape), dtype=x.dtype)
            for (place, letters, inside), value in grown.items():
                if place == o:
                    y = _added(y, letters, inside, value)
            pieces.append(y.reshape(x.shape[0], target.size))
        whole = xp.concatenate([*pieces, xp.zeros((x.shape[0], 0), dtype=x.dtype)], axis=1)
        return whole if _is_identity(self.out) else whole[:, index(self.out, whole)]

    def _parts(self, x: Inexact[Array, "b n"]) -> list[Any]:
        x = x if _is_identity(self.into) else x[:, index(self.into, x)]
        found, at = [], 0
        for source in self.sources:
            part = x[:, at : at + source.size]
            found.append(part.reshape(x.shape[0], source.count, *source.shape))
            at += source.size
        return found


def equality_maps_of(rep_in: Rep, rep_out: Rep) -> EqualityMaps | None:
    """Return the maps between concrete reps, or None if the reps are not tensors of groups of all
    permutations, or have too many patterns.
    """
    groups = dict.fromkeys((*groups_of(rep_in), *groups_of(rep_out)))
    if not groups or not (rep_in.size() and rep_out.size()):
        return None
    order = {group: i for i, group in enumerate(groups)}
    read, written = _copies(rep_in, order), _copies(rep_out, order)
    if read is None or written is None:
        return None
    (sources, into), (targets, out) = read, written
    for source in sources:
        for target in targets:
            axes = (*target.groups, *source.groups)
            if not all(_are_told_apart(group, axes.count(group)) for group in axes):
                return None
            if len([*islice(_patterns(target.groups, source.groups), _MOST + 1)]) > _MOST:
                return None
    return EqualityMaps(rep_in, rep_out, sources, targets, into, np.argsort(out))


def _copies(
    rep: Rep, order: Mapping[Group, int]
) -> tuple[tuple[TensorCopies, ...], Int[np.ndarray, " n"]] | None:
    """Return the tensors of a rep and the places of their components, or None.

    Tensors, and the axes of each, are sorted in the order in which their groups are written, which
    is the same for reps that differ only in their groups: so weights keep their names
    (`Linear.over`). The canonical order is by the groups' digests.
    """
    found, places, at = [], canonical_places(rep), 0
    for count, atoms in canonical_terms(rep):
        if not all(is_a(atom, Base) and atom.G is not None for atom in atoms):
            return None
        if any(full_permutations_of(atom.G) is None for atom in atoms):
            return None
        canonical = TensorCopies(count, tuple(atom.G for atom in atoms))
        axes = sorted(range(len(atoms)), key=lambda axis: order[canonical.groups[axis]])
        copies = TensorCopies(count, tuple(canonical.groups[axis] for axis in axes))
        own = places[at : at + copies.size].reshape(count, *canonical.shape)
        found.append((copies, own.transpose(0, *(axis + 1 for axis in axes)).ravel()))
        at += copies.size
    found.sort(key=lambda one: [order[group] for group in one[0].groups])
    return tuple(copies for copies, _ in found), np.concatenate([own for _, own in found])


def _are_told_apart(group: Group, length: int) -> bool:
    known = full_permutations_of(group)
    # the group of all permutations (`longest` is n) tells longer tuples apart too
    return known is not None and (known.longest == group.d or length <= known.longest)


def _patterns(out: Sequence[Group], into: Sequence[Group]) -> Iterator[Pattern]:
    """Yield the partitions of the axes into parts of one group each: at most d parts for a group of
    d indices, and only even parts for a group with all signs.
    """
    axes = [*out, *into]
    for pattern in equality_patterns(axes, [group.d for group in axes]):
        signed = {part for part, group in zip(pattern, axes, strict=True) if _is_signed(group)}
        if all(pattern.count(part) % 2 == 0 for part in signed):
            word = "".join(chr(ord("a") + part) for part in pattern)
            yield Pattern(word[: len(out)], word[len(out) :])


def _is_signed(group: Group) -> bool:
    known = full_permutations_of(group)
    return known is not None and known.signed


def _means(x: Inexact[Array, "b i ..."], letters: str, kept: str) -> Inexact[Array, "b i ..."]:
    """Return diagonals for equal letters, and means over the letters that are not kept."""
    names, xp = list(letters), namespace(x)
    while len({*names}) < len(names):
        first = next(k for k, name in enumerate(names) if name in names[k + 1 :])
        second = names.index(names[first], first + 1)
        x = xp.diagonal(x, axis1=first + 2, axis2=second + 2)
        name = names[first]
        names = [n for k, n in enumerate(names) if k not in (first, second)] + [name]
    over = tuple(k + 2 for k, name in enumerate(names) if name not in kept)
    x = xp.mean(x, axis=over) if over else x
    names = [name for name in names if name in kept]
    order = [names.index(name) + 2 for name in kept]
    return xp.transpose(x, (0, 1, *order))


def _add(found: dict[Any, Any], key: Any, value: Any) -> None:
    found[key] = found[key] + value if key in found else value


def _added(
    y: Inexact[Array, "b o ..."], letters: str, inside: str, value: Inexact[Array, "b o ..."]
) -> Inexact[Array, "b o ..."]:
    """Return y plus a value with the axes `inside`, which is constant along all others."""
    different = list(dict.fromkeys(letters))
    lengths = {letter: y.shape[k + 2] for k, letter in enumerate(letters)}
    wide = value.reshape(*value.shape[:2], *(lengths[c] if c in inside else 1 for c in different))
    if len(different) == len(letters):
        return y + wide
    wide = namespace(wide).broadcast_to(wide, (*value.shape[:2], *(lengths[c] for c in different)))
    index = [
        np.arange(lengths[c]).reshape([-1 if c == d else 1 for d in different]) for c in letters
    ]
    return added_at(y, (slice(None), slice(None), *index), wide)


def _is_identity(places: Int[np.ndarray, " n"]) -> bool:
    return bool(np.array_equal(places, np.arange(len(places))))
