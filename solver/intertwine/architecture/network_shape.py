"""The blocks of a network in irreps, completed to reach everything that they should."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from intertwine.architecture.block_shape import BlockShape, Reach, block_shape_of
from intertwine.architecture.hidden_space import HiddenSpace
from intertwine.architecture.input_changes import Change, Turn, possible_turns, seen_turns, sees
from intertwine.architecture.irrep_space import IrrepSpace
from intertwine.architecture.products import Triple
from intertwine.architecture.reach import (
    Fusion,
    Step,
    Symmetries,
    missing_products,
    symmetries,
    unavoidable,
    way_to,
)
from intertwine.groups import Group
from intertwine.irreps import Irrep
from intertwine.reps import Rep
from intertwine.reps.syntax import direct_sum

_SEVERAL = 2
"""The least number of copies if products were missing: those of a single copy often vanish."""


@dataclass(frozen=True)
class HiddenLayer:
    """The rep of a hidden layer. It may grow, by more irreps, if only its width was given."""

    rep: Rep
    may_grow: bool


@dataclass(frozen=True)
class Needs:
    """What layers that may grow must have: at least `copies` of these irreps, if something leads to
    them, and these products, block by block.
    """

    irreps: tuple[str, ...] = ()
    triples: tuple[frozenset[Triple], ...] = ()
    copies: int = 1


@dataclass(frozen=True, eq=False)
class NetworkShape:
    """The blocks between an input and an output, and what they do not reach (`complete_shape`).

    With `only_needed`, blocks take only needed products, which are added to those of other layers.
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
        """The reps of the hidden layers, including added irreps."""
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
        """The irreps of the hidden layers, without added ones."""
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
        """Whether every output depends linearly on the input, or not at all."""
        return bool(self.outputs) and self._dependence[1].isdisjoint(self.outputs)

    @cached_property
    def reached_outputs(self) -> list[str]:
        """The irreps of the output that depend on the input."""
        return [name for name in self.outputs if name not in self.constant]

    @cached_property
    def steps(self) -> list[Step]:
        """The blocks as steps of `reach`."""
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
        """The relations that the blocks impose between input and output."""
        return symmetries(self.steps, self.inputs, self.outputs, self.fusion.trivial)

    @cached_property
    def unavoidable(self) -> Symmetries:
        """The relations that every network imposes."""
        return unavoidable(self.fusion, self.inputs, self.outputs)[0]

    @property
    def has_least_symmetry(self) -> bool:
        """Whether the network has only the symmetries that every network has."""
        return self.symmetries == self.unavoidable

    def with_layers(self, layers: Sequence[HiddenLayer]) -> NetworkShape:
        """Return the shape with other layers, completed again."""
        return _complete(replace(self, layers=tuple(layers)))

    def sees(self, change: Change) -> bool:
        """Return whether, for some weights, outputs change differently from what `change` says."""
        return sees(self.blocks, self.space_in, change, self.reached_outputs)

    @cached_property
    def turns(self) -> frozenset[Turn]:
        """The turns of the input's parts that outputs might see."""
        return possible_turns(self.space_in, self.outputs, self.fusion)

    @cached_property
    def seen_turns(self) -> frozenset[Turn]:
        """The turns that outputs see."""
        return seen_turns(self.blocks, self.space_in, self.reached_outputs, self.turns, self.fusion)


def complete_shape(
    space_in: IrrepSpace,
    layers: Sequence[HiddenLayer],
    space_out: IrrepSpace,
    group: Group,
    channels: int,
    *,
    only_needed: bool = False,
) -> NetworkShape:
    """Return the shape with these layers, where those that may grow leave nothing out.

    They have every irrep of the output that anything leads to, so that every equivariant linear map
    from the input and every product of two of its irreps is a path of the network. If missing
    products give the network symmetries that the group does not have (`Relations`), these products
    and the irreps that they need are added. With `only_needed`, layers also have the input's
    irreps, so that each can take products of them.
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
    """Return the shape with what it needs."""
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
    """Return the shape with the products of its irreps, or all, if it sees more turns with them."""
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
    """Return the shape with these irreps, those of the input, and these products in every block."""
    needed = {*shape.needs.irreps, *shape.inputs, *irreps}
    taken = tuple(step.triples | {*triples} for step in shape.steps)
    return replace(shape, needs=Needs(tuple(sorted(needed)), taken, _SEVERAL))
