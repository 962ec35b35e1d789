"""The blocks of a network in irreps, such that nothing that they should reach is left out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.groups import Group
from intertwine.irreps import Irrep
from intertwine.nn.block_shape import BlockShape, Reach, block_shape_of
from intertwine.nn.features import Features
from intertwine.nn.hidden_space import HiddenSpace
from intertwine.nn.irrep_space import IrrepSpace
from intertwine.nn.products import Triple
from intertwine.nn.reach import (
    Fusion,
    Step,
    Symmetries,
    missing_products,
    symmetries,
    unavoidable,
    way_to,
)
from intertwine.nn.sparse_basis import sparse_basis_of
from intertwine.nn.start import first_features
from intertwine.operators import dense
from intertwine.reps import Rep
from intertwine.reps.syntax import direct_sum, drho_of, rho_of

_SEVERAL = 2
"""Copies that irreps have at least where products were missing: those of one alone often vanish."""
_EXAMPLES, _SEEN = 8, 1e-9
_ELEMENTS, _DRAWN = 2, 6
"""So many elements of the group are tried: of those drawn, the ones that move the most."""

#: Roots of unity by which parts of the input are multiplied, and those of the output.
Change = tuple[dict[str, Any], dict[str, Any]]
#: A part of the input that is turned, those that are there, and a part of the output.
Turn = tuple[str, frozenset[str], str]


@dataclass(frozen=True)
class HiddenLayer:
    """The rep of a hidden layer, and whether it was chosen for its width alone: then it may have
    irreps besides.
    """

    rep: Rep
    may_grow: bool


@dataclass(frozen=True)
class Needs:
    """What layers that may grow must have: so many copies at least of these irreps, where something
    leads to them, and these products, block by block.
    """

    irreps: tuple[str, ...] = ()
    triples: tuple[frozenset[Triple], ...] = ()
    copies: int = 1


@dataclass(frozen=True, eq=False)
class NetworkShape:
    """The blocks between an input and an output, and what they do not reach (`complete_shape`).

    Where `only_needed`, blocks take no other products: they come beside those of other layers.
    """

    space_in: IrrepSpace
    layers: tuple[HiddenLayer, ...]
    space_out: IrrepSpace
    fusion: Fusion
    channels: int
    only_needed: bool
    needs: Needs

    @cached_property
    def blocks(self) -> tuple[BlockShape, ...]:
        """The shapes of the blocks."""
        source: IrrepSpace | HiddenSpace = self.space_in
        present, blocks = dict(self.space_in.multiplicities), list[BlockShape]()
        direct = frozenset(triple for triple in self.direct if triple[2] in self.outputs)
        triples = self.needs.triples or (frozenset[Triple](),) * len(self.layers)
        for i, (space, layer) in enumerate(zip(self._spaces, self.layers, strict=True)):
            irreps = self.needs.irreps if layer.may_grow else space.multiplicities
            target = space
            if layer.may_grow:
                width = layer.rep.size()
                target = space.grown(irreps, self.fusion.kinds, width, self.needs.copies)
            required = triples[i] | (frozenset() if i else direct)
            reach = Reach(self.inputs, frozenset(irreps), required, only_required=self.only_needed)
            group = self.fusion.group
            blocks.append(block_shape_of(source, present, target, group, self.channels, reach))
            source, present = target, blocks[-1].reached
        return tuple(blocks)

    @cached_property
    def _spaces(self) -> list[HiddenSpace]:
        group, is_complex = self.fusion.group, self.space_in.is_complex
        return [HiddenSpace.of(layer.rep, group, is_complex) for layer in self.layers]

    @cached_property
    def direct(self) -> set[Triple]:
        """The products of two of the input's irreps that do not vanish."""
        own = [name for name in self.inputs if name != self.fusion.trivial]
        copies = self.space_in.multiplicities
        every = self.fusion.triples(own, own)
        return {triple for triple in every if not self.fusion.vanishes(triple, copies[triple[0]])}

    @property
    def hidden_reps(self) -> list[Rep]:
        """The reps of the hidden layers, with the irreps that they were given besides."""
        return [
            direct_sum(
                [
                    (1, layer.rep),
                    *(
                        (m - space.multiplicities.get(name, 0), Irrep(name, self.fusion.group))
                        for name, m in block.outputs.items()
                    ),
                ]
            )
            for layer, space, block in zip(self.layers, self._spaces, self.blocks, strict=True)
        ]

    @property
    def hidden_irreps(self) -> set[str]:
        """The irreps of the reps that the hidden layers were given."""
        return {name for space in self._spaces for name in space.multiplicities}

    @property
    def inputs(self) -> tuple[str, ...]:
        """The irreps of the input."""
        return tuple(self.space_in.multiplicities)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The irreps of the output."""
        return tuple(self.space_out.multiplicities)

    @cached_property
    def _dependence(self) -> tuple[set[str], set[str]]:
        varying: set[str] = {*self.inputs}
        curved: set[str] = set()
        for block, step in zip(self.blocks, self.steps, strict=True):
            varying, curved = block.dependence(varying, curved, step.triples)
        return varying, curved

    @cached_property
    def constant(self) -> list[str]:
        """The irreps of the output that do not depend on the input."""
        return [name for name in self.outputs if name not in self._dependence[0]]

    @property
    def is_linear(self) -> bool:
        """Whether no output depends on the input in another way than linearly."""
        return bool(self.outputs) and self._dependence[1].isdisjoint(self.outputs)

    @cached_property
    def reached_outputs(self) -> list[str]:
        """The irreps of the output that depend on the input."""
        return [name for name in self.outputs if name not in self.constant]

    @cached_property
    def steps(self) -> list[Step]:
        """The blocks as `reach` sees them."""
        return [
            Step.of(
                block.inputs,
                block.reached,
                (coupling.triple for coupling in block.products.every),
                self.fusion,
            )
            for block in self.blocks
        ]

    @cached_property
    def symmetries(self) -> Symmetries:
        """The relations that the blocks put between input and output."""
        return symmetries(self.steps, self.inputs, self.outputs, self.fusion.trivial)

    @cached_property
    def unavoidable(self) -> Symmetries:
        """Those that every network puts there."""
        return unavoidable(self.fusion, self.inputs, self.outputs)[0]

    @property
    def has_least_symmetry(self) -> bool:
        """Whether there are no symmetries but those that are there in any case."""
        return self.symmetries == self.unavoidable

    def with_layers(self, layers: Sequence[HiddenLayer]) -> NetworkShape:
        """The shape with other layers, and with what it needs then."""
        return _complete(replace(self, layers=tuple(layers)))

    def sees(self, change: Change) -> bool:
        """Whether, for some weights, outputs change in another way than the change says."""
        before, after = self._images([{}, change[0]])
        return any(
            _differ(after[name], change[1].get(name, 1), before[name])
            for name in self.reached_outputs
        )

    @cached_property
    def seen_turns(self) -> frozenset[Turn]:
        """The parts of the input whose turns the output sees, while other parts stay.

        A symmetric matrix and a vector may turn against each other: then invariants of both change,
        unless they meet in scalars alone. An output ν does not see it if it stays, or turns with
        the part.
        """
        turns = self.turns
        if not turns:
            return frozenset()
        changes: list[dict[str, Any]] = []
        moving = {*self.inputs, *self.outputs} - {self.fusion.trivial}
        matrices = _turning(sorted(moving), self.fusion.group)
        pairs = sorted({(turned, tuple(sorted(present))) for turned, present, _ in turns})
        for turned, present in pairs:
            absent = {
                n: 0 for part, both in self._parts.items() if part not in present for n in both
            }
            changes.append(absent)
            for i in range(_ELEMENTS):
                changes.append({**absent, **{n: matrices[n][i] for n in self._parts[turned]}})
        images, found = self._images(changes), set[Turn]()
        for i, (turned, present) in enumerate(pairs):
            before, *after = images[i * (_ELEMENTS + 1) : (i + 1) * (_ELEMENTS + 1)]
            for name in self.reached_outputs:
                with_it = matrices.get(name, [1] * _ELEMENTS)
                if any(
                    _differ(x[name], 1, before[name]) and _differ(x[name], by, before[name])
                    for x, by in zip(after, with_it, strict=True)
                ):
                    found.add((turned, frozenset(present), name))
        return frozenset(found)

    @cached_property
    def turns(self) -> frozenset[Turn]:
        """Each part of the input that can turn against another, beside one of these alone and
        beside all, and the outputs.

        Factors of a group that move a part each, as of SO(4), turn them at will: nothing is to be
        seen there. Then the orbit of both under the group has as many dimensions as the two orbits.
        """
        parts = self._parts
        several = {frozenset(pair) for pair in combinations(parts, 2)}
        several |= {frozenset(parts)} if len(parts) > 2 else set()
        return frozenset(
            (turned, present, target)
            for present in several
            for turned in (sorted(present) if len(present) > 2 else sorted(present)[:1])
            if self._may_be_seen(turned, present - {turned})
            for target in self.outputs
        )

    def _may_be_seen(self, turned: str, rest: Collection[str]) -> bool:
        if not self.fusion.group.lie_generators:
            return True
        both, one, other = (self._orbit((turned, *rest)), self._orbit((turned,)), self._orbit(rest))
        return both < one + other

    def _orbit(self, parts: Collection[str]) -> int:
        """The dimension of the orbit of vectors of these parts."""
        rng, tangents = np.random.default_rng(0), []
        for name in (name for part in sorted(parts) for name in self._parts[part]):
            irrep = Irrep(name, self.fusion.group)
            x = rng.standard_normal((irrep.size(), self.space_in.multiplicities[name]))
            images = [dense(drho_of(irrep, dense(a))) for a in self.fusion.group.lie_generators]
            tangents.append(np.array([(np.asarray(image) @ x).ravel() for image in images]))
        return int(np.linalg.matrix_rank(np.concatenate(tangents, axis=1), 1e-8))

    @cached_property
    def _parts(self) -> dict[str, list[str]]:
        """The irreps of the input that turn, each with its dual: x and x̄ turn together."""
        found: dict[str, list[str]] = {}
        for name in self.inputs:
            if name == self.fusion.trivial:
                continue
            dual = (part for part in found if self.fusion.trivial in self.fusion.of(part, name))
            found.setdefault(next(dual, name), []).append(name)
        return found

    def _images(self, changes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What the network at its start makes of a few inputs with parts that are changed so: of
        all at once.
        """
        rng = np.random.default_rng(0)
        features: Features = {}
        for name, m in self.space_in.multiplicities.items():
            x = rng.standard_normal((self.fusion.kinds[name].dimension, m, _EXAMPLES))
            if self.space_in.is_complex:
                x = x + 1j * rng.standard_normal(x.shape)
            every = [_moved(x, change.get(name, 1)) for change in changes]
            features[name] = [*np.concatenate(every, axis=2)]
        for block in self.blocks:
            features = first_features(block, features, rng)
        parts = {
            name: np.split(np.array(features[name]), len(changes), axis=2)
            for name in self.reached_outputs
        }
        return [{name: part[i] for name, part in parts.items()} for i in range(len(changes))]


def _moved(x: Inexact[np.ndarray, "d m b"], by: Any) -> Inexact[np.ndarray, "d m b"]:
    found: Inexact[np.ndarray, "d m b"] = by * x if np.ndim(by) == 0 else np.tensordot(by, x, 1)
    return found


def _differ(after: Any, by: Any, before: Any) -> bool:
    return bool(np.abs(after - _moved(before, by)).max() > _SEEN * np.abs(before).max())


def _turning(names: Sequence[str], group: Group) -> dict[str, list[Any]]:
    """ρ(g) of irreps in the coordinates that features have, for a few elements."""
    drawn: dict[str, list[Any]] = {}
    elements = group.samples(_DRAWN)
    for name in names:
        irrep = Irrep(name, group)
        basis = sparse_basis_of(irrep)
        images = (np.asarray(dense(rho_of(irrep, element))) for element in elements)
        drawn[name] = [basis.conj().T @ image @ basis for image in images]
    moved = [
        min(np.abs(every[i] - np.eye(len(every[i]))).max() for every in drawn.values())
        for i in range(_DRAWN)
    ]
    kept = np.argsort(moved)[-_ELEMENTS:]
    return {name: [every[i] for i in kept] for name, every in drawn.items()}


def complete_shape(
    space_in: IrrepSpace,
    layers: Sequence[HiddenLayer],
    space_out: IrrepSpace,
    group: Group,
    channels: int,
    *,
    only_needed: bool = False,
) -> NetworkShape:
    """The shape whose layers that may grow leave nothing out.

    They have every irrep of the output to which anything leads, so that every equivariant linear
    map from the input and every product of two of its irreps is a path of the network. Where
    products are missing without which the network has symmetries that the group does not have
    (`Relations`), these products and the irreps that they need are there. Where `only_needed`,
    layers have the input's irreps too, so that each can take products of them.
    """
    kinds = {**space_in.kinds, **space_out.kinds}
    spaces = [HiddenSpace.of(layer.rep, group, space_in.is_complex) for layer in layers]
    for space in spaces:
        kinds |= space.kinds
    trivial = HiddenSpace.of(direct_sum([]), group, space_in.is_complex).trivial
    fusion = Fusion(kinds, trivial, group)
    shape = NetworkShape(space_in, tuple(layers), space_out, fusion, channels, only_needed, Needs())
    return _complete(shape)


def _complete(shape: NetworkShape) -> NetworkShape:
    """The same with what it needs."""
    inputs, outputs, fusion = shape.inputs, shape.outputs, shape.fusion
    always = (*outputs, *(inputs if shape.only_needed else ()))
    shape = replace(shape, needs=Needs(always))
    if not shape.layers:
        return shape
    if shape.constant:
        way = way_to(fusion, inputs, shape.constant, len(shape.layers))
        if way - {*inputs, *shape.hidden_irreps}:
            shape = replace(shape, needs=Needs((*always, *sorted(way))))
    if not shape.has_least_symmetry:
        missing = missing_products(
            fusion,
            shape.space_in.multiplicities,
            outputs,
            [block.outputs for block in shape.blocks],
            [step.triples for step in shape.steps],
            [layer.may_grow for layer in shape.layers],
            _SEVERAL,
        )
        if missing.irreps or missing.triples:
            shape = _with_products(shape, missing.irreps, missing.triples)
    return _with_turns_seen(shape)


def _with_turns_seen(shape: NetworkShape) -> NetworkShape:
    """The same, with the products among its irreps, or all, where it sees more turns with them."""
    if shape.seen_turns == shape.turns or not any(layer.may_grow for layer in shape.layers):
        return shape
    _, every = unavoidable(shape.fusion, shape.inputs, shape.outputs)
    irreps = {name for triple in every for name in triple}
    whole = _with_products(shape, irreps, every)
    if whole.seen_turns <= shape.seen_turns:
        return shape
    known = {*shape.inputs, *(name for step in shape.steps for name in step.reached)}
    few = _with_products(shape, (), {triple for triple in every if known.issuperset(triple)})
    return few if few.seen_turns >= whole.seen_turns else whole


def _with_products(
    shape: NetworkShape, irreps: Collection[str], triples: Collection[Triple]
) -> NetworkShape:
    """The same with these irreps, those of the input, and these products in every block."""
    needed = {*shape.needs.irreps, *shape.inputs, *irreps}
    taken = tuple(step.triples | {*triples} for step in shape.steps)
    return replace(shape, needs=Needs(tuple(sorted(needed)), taken, _SEVERAL))
