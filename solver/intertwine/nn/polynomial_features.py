"""Bases of the equivariant polynomials of an input, in irreps, degree by degree.

A polynomial of degree k with values in ν is a sum of Clebsch–Gordan products of those of degree
k − 1 with the input, since Sym^k V is a quotient of Sym^(k−1) V ⊗ V. Many of these products are
linear combinations of others, which shows in their values at random inputs: they are dropped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import scipy.linalg
from jaxtyping import Bool, Inexact, Int, Shaped

from intertwine.architecture.by_content import ByContent
from intertwine.architecture.conjugates import with_conjugate
from intertwine.architecture.features import (
    Features,
    Kind,
    endomorphism_images,
    joined,
    joined_channels,
    summed,
)
from intertwine.architecture.irrep_space import IrrepSpace, irrep_space_of, kind_of
from intertwine.architecture.products import LARGEST_PAIR, Coupling, couplings_between
from intertwine.arrays import Array, index, namespace
from intertwine.errors import TooLarge
from intertwine.groups import Group
from intertwine.irreps import Irrep, clebsch_gordan, decompose
from intertwine.reps import Scalar
from intertwine.reps.generator_images import act_unitarily

_INDEPENDENT = 1e-9
"""A normalised polynomial at most this far from the span of earlier ones depends on them."""
_SPARE = 32
"""The number of random inputs beyond those that are needed."""
_RANGE = 1.7
"""Coordinates of random inputs lie between −1.7 and 1.7. (High powers of unbounded ones would
differ by many orders of magnitude.)
"""
_FIRST_SAMPLES = 256

#: The degree and the irrep of some polynomials.
Slot = tuple[int, str]


@dataclass(frozen=True, eq=False)
class Step(ByContent):
    """Products of channels of two slots, pair by pair, which become further channels of a third.

    `coupling` is None if the left polynomials are scalars, by which the right ones are multiplied.
    """

    target: Slot
    left: Slot
    right: Slot
    left_channels: Int[np.ndarray, " c"]
    right_channels: Int[np.ndarray, " c"]
    coupling: Coupling | None = None

    def of(
        self, kept: Shaped[np.ndarray, " _"], places: Mapping[Slot, Int[np.ndarray, " c"]]
    ) -> Step:
        """Return the products in `kept`; `places` are the new numbers of each slot's channels."""
        left, right = self.left_channels[kept], self.right_channels[kept]
        return replace(
            self,
            left_channels=places[self.left][left],
            right_channels=places[self.right][right],
        )

    def __call__(self, known: Mapping[Slot, Sequence[Array]]) -> list[Array]:
        """Return the products, from the polynomials that are known."""
        left, right = (
            [component[index(channels, component)] for component in known[slot]]
            for slot, channels in (
                (self.left, self.left_channels),
                (self.right, self.right_channels),
            )
        )
        if self.coupling is None:
            return [left[0] * component for component in right]
        return self.coupling(left, right)


@dataclass(frozen=True, eq=False)
class PolynomialFeatures(ByContent):
    """x ↦ all equivariant polynomials p(x) of degree 1 to `degree` in some irreps, as channels.

    The copies v in the input of the irreps in `norms`, which act by unitary matrices, also enter
    as |v| and as v/|v|, of degree 1 too; v/|v| is left out in one dimension, where it jumps. Inputs
    have the size `width`, and enter together with their conjugates if `space` holds both.
    """

    space: IrrepSpace
    width: int
    kinds: Mapping[str, Kind]
    trivial: str
    targets: Sequence[str]
    degree: int
    norms: Sequence[str]
    steps: Sequence[Step]

    def __call__(self, x: Inexact[Array, "b n"]) -> Features:
        """Return the polynomials of a batch by irrep, low degrees first."""
        known = self.known(x)
        return {
            name: joined([known[slot] for slot in self._slots(name, known)])
            for name in self.targets
            if self._slots(name, known)
        }

    def known(self, x: Inexact[Array, "b n"]) -> dict[Slot, list[Array]]:
        """Return the polynomials of all slots."""
        known = self.first(x)
        parts: dict[Slot, list[list[Array]]] = {}
        for step in self.steps:
            for slot in (step.left, step.right):
                if slot in parts:
                    known[slot] = joined(parts.pop(slot))
            parts.setdefault(step.target, []).append(step(known))
        return {**known, **{slot: joined(found) for slot, found in parts.items()}}

    def first(self, x: Inexact[Array, "b n"]) -> dict[Slot, list[Array]]:
        """Return the polynomials of degree 1."""
        inputs = self.space.enter(with_conjugate(x, self.space.size))
        found, lengths = dict(inputs), list[Array]()
        for name in self.norms:
            length, direction = _length_and_direction(inputs[name])
            lengths.append(length)
            if len(direction) > 1:
                found[name] = joined([inputs[name], direction])
        if lengths:
            found[self.trivial] = [joined_channels([*inputs.get(self.trivial, []), *lengths])]
        return {(1, name): parts for name, parts in found.items()}

    def only(
        self, kept: Mapping[str, Bool[np.ndarray, " c"]]
    ) -> tuple[PolynomialFeatures, dict[str, Bool[np.ndarray, " c"]]]:
        """Return the polynomials without the channels that those in `kept` do not need, and which
        channels remain. All channels of degree 1 remain.
        """
        used = {slot: np.full(size, slot[0] == 1) for slot, size in self.sizes.items()}
        for name, wanted in kept.items():
            slots = self._slots(name, used)
            for slot, own in zip(slots, _cut(wanted, [len(used[s]) for s in slots]), strict=True):
                used[slot] |= own
        ends = {slot: size for slot, size in self.sizes.items() if slot[0] > 1}
        steps: list[tuple[Step, Bool[np.ndarray, " c"]]] = []
        for step in reversed(self.steps):
            end = ends[step.target]
            ends[step.target] = end - len(step.left_channels)
            mine = used[step.target][ends[step.target] : end]
            used[step.left][step.left_channels[mine]] = True
            used[step.right][step.right_channels[mine]] = True
            steps.append((step, mine))
        places = {slot: np.cumsum(mask, dtype=np.int32) - 1 for slot, mask in used.items()}
        fewer = tuple(step.of(mine, places) for step, mine in reversed(steps) if mine.any())
        degree = max((step.target[0] for step in fewer), default=1)
        remaining = {
            name: np.concatenate([np.zeros(0, bool), *(used[s] for s in self._slots(name, used))])
            for name in self.targets
        }
        return replace(self, degree=degree, steps=fewer), remaining

    def degrees(self, name: str) -> Int[np.ndarray, " c"]:
        """Return the degree of each channel of an irrep."""
        sizes = self.sizes
        each = [np.full(sizes.get((k, name), 0), k) for k in range(1, self.degree + 1)]
        return np.concatenate(each)

    @property
    def counts(self) -> dict[str, int]:
        """The number of channels of each target."""
        return {name: len(self.degrees(name)) for name in self.targets}

    @cached_property
    def sizes(self) -> dict[Slot, int]:
        """The number of polynomials of each slot."""
        first = self.first(np.zeros((1, self.width)))
        found = {slot: len(parts[0]) for slot, parts in first.items()}
        for step in self.steps:
            found[step.target] = found.get(step.target, 0) + len(step.left_channels)
        return found

    def _slots(self, name: str, known: Mapping[Slot, object]) -> list[Slot]:
        return [(k, name) for k in range(1, self.degree + 1) if (k, name) in known]


def _cut(mask: Bool[np.ndarray, " c"], sizes: Sequence[int]) -> list[Bool[np.ndarray, " _"]]:
    return np.split(mask, np.cumsum(sizes)[:-1]) if sizes else []


def _needed(steps: Sequence[Step], targets: Collection[str], slots: set[Slot]) -> tuple[Step, ...]:
    """Return the steps that polynomials of the targets, among the slots, depend on."""
    used = {slot for slot in slots if slot[1] in targets}
    kept: list[Step] = []
    for step in reversed(steps):
        if step.target in used:
            used |= {step.left, step.right}
            kept.append(step)
    return tuple(reversed(kept))


def _length_and_direction(x: Sequence[Array]) -> tuple[Array, list[Array]]:
    """Return |v| and v/|v| of each channel; at v = 0 both are 0, and their derivatives finite."""
    xp = namespace(*x)
    square = summed((component.conj() * component).real for component in x)
    positive = square > 0
    inverse = xp.where(positive, 1 / xp.sqrt(xp.where(positive, square, 1)), 0)
    return (square * inverse).astype(x[0].dtype), [inverse * component for component in x]


@lru_cache(maxsize=64)
def polynomial_features_of(
    space: IrrepSpace,
    width: int,
    targets: tuple[str, ...],
    group: Group,
    degree: int,
    generators: int,
    norms: bool,
    most: int,
) -> PolynomialFeatures:
    """Return the polynomials of degree up to `degree` in the named irreps, cached.

    Beyond degree `generators`, only products of polynomials of lower degree with invariants are
    taken. Raises `TooLarge` if there are too many, or if irreps of intermediate products are too
    large.
    """
    return _Builder(space, width, targets, group, degree, generators, norms, most).built()


class _Builder:
    """Adds polynomials, degree by degree, and keeps their values at random inputs.

    `_monomials` has the factors of each channel: a generator and scalar generators, or scalar
    generators alone, in order. `_scalars` are the slots and channels of scalar generators.
    """

    def __init__(
        self,
        space: IrrepSpace,
        width: int,
        targets: Sequence[str],
        group: Group,
        degree: int,
        generators: int,
        norms: bool,
        most: int,
    ) -> None:
        self.most = most
        self.space, self.width, self.targets, self.group = space, width, targets, group
        self.degree, self.generators = degree, min(generators, degree)
        trivial = irrep_space_of(Scalar(group), group, space.is_complex).trivial
        assert trivial is not None
        self.trivial, self.kinds = trivial, dict(space.kinds)
        for name in (trivial, *targets):
            self._kind(name)
        self.inputs = [name for name in space.kinds if name != trivial]
        self.norms = [n for n in self.inputs if norms and act_unitarily([Irrep(n, group)])]
        self.steps: list[Step] = []
        self.x: Inexact[np.ndarray, "b n"] = np.zeros((0, width))
        self._require_samples(_FIRST_SAMPLES)
        self._monomials = {
            slot: [_Monomial(((slot, c),)) for c in range(len(parts[0]))]
            for slot, parts in self.values.items()
        }
        own = self._monomials.get((1, trivial), ())
        self._scalars: list[_Generator] = [((1, trivial), c) for c in range(len(own))]

    def built(self) -> PolynomialFeatures:
        """Return the polynomials, without those that no target depends on."""
        wanted = self._wanted()
        for k in range(2, self.degree + 1):
            for name in wanted[k]:
                self._extend(k, name)
        return self._features(_needed(self.steps, self.targets, {*self.values}))

    def _features(self, steps: Sequence[Step]) -> PolynomialFeatures:
        used = {self.trivial, *self.targets, *self.space.kinds, *(s.target[1] for s in steps)}
        return PolynomialFeatures(
            self.space,
            self.width,
            {name: kind for name, kind in self.kinds.items() if name in used},
            self.trivial,
            tuple(self.targets),
            self.degree,
            tuple(self.norms),
            tuple(steps),
        )

    def _kind(self, name: str) -> Kind:
        if name not in self.kinds:
            self.kinds[name] = kind_of(Irrep(name, self.group))
        return self.kinds[name]

    def _wanted(self) -> dict[int, list[str]]:
        """Return the irreps of each degree from 2 on: the targets, scalars, and irreps from which
        products with the input lead to these.
        """
        ends = {*self.targets, self.trivial}
        steps = sorted({dual for name in self.inputs for dual in self._duals(name)})
        back = [ends]
        for _ in range(self.generators - 2):
            back.append(
                back[-1] | {n for a in back[-1] for b in steps for n in self._product(a, b)}
            )
        found, present = {}, {*self.inputs, self.trivial}
        for k in range(2, self.degree + 1):
            if k <= self.generators:
                new = {n for a in present for b in self.inputs for n in self._product(a, b)}
                present = (present | new) & (back[self.generators - k] | ends)
            found[k] = sorted(present & (back[max(self.generators - k, 0)] | ends))
        return found

    def _duals(self, name: str) -> list[str]:
        dual = decompose(
            Irrep(name, self.group).T, group=self.group, is_complex=self.space.is_complex
        )
        return [irrep.name for irrep in dual.multiplicities]

    def _product(self, a: str, b: str) -> list[str]:
        left, right = Irrep(a, self.group), Irrep(b, self.group)
        if left.size() * right.size() > LARGEST_PAIR:
            raise TooLarge(
                f"polynomials of degree {self.generators} need products of irreps of "
                f"{left.size()} and {right.size()} dimensions, and products of more than "
                f"{LARGEST_PAIR} dimensions are not decomposed: give a lower degree, or lower "
                f"generators"
            )
        return [irrep.name for irrep in clebsch_gordan(left, right)]

    def _extend(self, k: int, name: str) -> None:
        """Add the polynomials of degree k in an irrep that do not depend on earlier ones."""
        self._require_few(k, name, self._count(k, name) // k)
        steps, monomials = self._multiples(k, name)
        multiples = len(monomials)
        if k <= self.generators:
            steps += self._couplings(k, name)
        candidates = sum(len(step.left_channels) for step in steps)
        if not candidates:
            return
        kind = self._kind(name)
        total = candidates + sum(len(self._monomials.get((j, name), ())) for j in range(1, k))
        self._require_few(k, name, total)
        self._require_samples(total * kind.freedom * 5 // (4 * kind.dimension) + _SPARE)
        kept = self._independent(k, name, joined([step(self.values) for step in steps]))
        if not len(kept):
            return
        at, slot = 0, (k, name)
        for step in steps:
            count = len(step.left_channels)
            own = kept[(kept >= at) & (kept < at + count)] - at
            if len(own):
                self.steps.append(
                    replace(
                        step,
                        left_channels=step.left_channels[own],
                        right_channels=step.right_channels[own],
                    )
                )
            at += count
        found = self._monomials[slot] = [monomials[i] for i in kept if i < multiples]
        for channel in range(len(found), len(kept)):
            found.append(_Monomial(((slot, channel),)))
            if name == self.trivial:
                self._scalars.append((slot, channel))
        self._evaluate()

    def _require_few(self, k: int, name: str, total: int) -> None:
        """Raise `TooLarge` for more than `most` products."""
        if total > self.most:
            raise TooLarge(
                f"there are {total:,} or more products up to degree {k} in an irrep of "
                f"{self._kind(name).dimension} dimensions, and most={self.most:,}: give a lower "
                f"degree, or a larger most"
            )

    def _count(self, k: int, name: str) -> int:
        """Return the number of products of scalar generators with polynomials of lower degree. At
        most k of these products are the same monomial.
        """
        sizes = (len(self._monomials.get((k - slot[0], name), ())) for slot, _ in self._scalars)
        return sum(sizes)

    def _multiples(self, k: int, name: str) -> tuple[list[Step], list[_Monomial]]:
        """Return the products of scalar generators with polynomials of lower degree, each once."""
        steps, monomials, seen = [], list[_Monomial](), set[_Monomial]()
        for scalars in dict.fromkeys(slot for slot, _ in self._scalars):
            source, pairs = (k - scalars[0], name), []
            for generator in self._scalars:
                for channel, monomial in enumerate(self._monomials.get(source, ())):
                    product = monomial.times(generator, self.trivial)
                    if generator[0] == scalars and product not in seen:
                        seen.add(product)
                        monomials.append(product)
                        pairs.append((generator[1], channel))
            if pairs:
                left, right = np.array(pairs, np.int32).T
                steps.append(Step((k, name), scalars, source, left, right))
        return steps, monomials

    def _couplings(self, k: int, name: str) -> list[Step]:
        """Return the products of polynomials of degree k − 1 with the input."""
        found = []
        for left, monomials in self._monomials.items():
            if left[0] != k - 1 or left[1] == self.trivial:
                continue
            for source in self.inputs:
                right = (1, source)
                count = len(self._monomials[right])
                a, b = np.indices((len(monomials), count), np.int32).reshape(2, -1)
                for coupling in couplings_between(left[1], source, name, self.group):
                    found.append(Step((k, name), left, right, a, b, coupling))
        return found

    def _independent(self, k: int, name: str, new: list[Array]) -> Int[np.ndarray, " kept"]:
        """Return the channels that are independent of lower degrees and of earlier channels."""
        kind = self._kind(name)
        earlier = [self.values[j, name] for j in range(1, k) if (j, name) in self.values]
        columns = design_matrix(kind, joined([*earlier, new]))
        if kind.is_trivial:
            columns = np.concatenate([np.ones((len(columns), 1)), columns], axis=1)
        lengths = np.sqrt(np.mean(np.abs(columns) ** 2, axis=0))
        varies = lengths > _INDEPENDENT  # others are rounded zeros, as v × v
        columns = np.where(varies, columns, 0) / np.where(varies, lengths, 1)
        (triangle,) = scipy.linalg.qr(columns, mode="r", check_finite=False, overwrite_a=True)
        count = len(new[0])
        added = np.abs(np.diagonal(triangle))[-count * kind.freedom :: kind.freedom]
        return np.flatnonzero(added > _INDEPENDENT * np.sqrt(len(columns)))

    def _require_samples(self, count: int) -> None:
        """Draw random inputs until there are at least `count`."""
        if count > len(self.x):
            rng = np.random.default_rng(0)
            self.x = rng.uniform(-_RANGE, _RANGE, (count, self.width))
            if self.space.is_complex:
                self.x = self.x + 1j * rng.uniform(-_RANGE, _RANGE, self.x.shape)
            self._evaluate()

    def _evaluate(self) -> None:
        self.values = self._features(self.steps).known(self.x)


#: The slot and the channel of a polynomial that is not a product of scalars and others.
_Generator = tuple[Slot, int]


class _Monomial(tuple[_Generator, ...]):
    """A product of generators: scalars in order, or another generator and then scalars in order."""

    def times(self, scalar: _Generator, trivial: str) -> _Monomial:
        """Return the product with a scalar generator."""
        if self[0][0][1] == trivial:
            return _Monomial(sorted((*self, scalar)))
        return _Monomial((self[0], *sorted((*self[1:], scalar))))


def design_matrix(kind: Kind, x: Sequence[Array]) -> Inexact[np.ndarray, "db ec"]:
    """Return the values of all channels and of their images under the endomorphisms, with a row for
    each component of each sample, and the columns E₀x₁, E₁x₁, …, E₀x₂, ….
    """
    images = np.stack(endomorphism_images(kind, x))
    d, _, b = images.shape
    columns = images.reshape(d, kind.freedom, -1, b).transpose(3, 0, 2, 1)
    found: Inexact[np.ndarray, "db ec"] = columns.reshape(b * d, -1)
    return found
