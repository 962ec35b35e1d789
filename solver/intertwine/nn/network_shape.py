"""The blocks of a network in irreps, such that nothing that they should reach is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np

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
from intertwine.nn.start import first_block
from intertwine.reps import Rep
from intertwine.reps.syntax import direct_sum

_SEVERAL = 2
"""Copies that irreps have at least where products were missing: those of one alone often vanish."""
_EXAMPLES, _SEEN = 32, 1e-7

#: Roots of unity by which parts of the input are multiplied, and those of the output.
Change = tuple[dict[str, Any], dict[str, Any]]


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
        for block in self.blocks:
            varying, curved = block.dependence(varying, curved)
        return varying, curved

    @property
    def constant(self) -> list[str]:
        """The irreps of the output that do not depend on the input."""
        return [name for name in self.outputs if name not in self._dependence[0]]

    @property
    def is_linear(self) -> bool:
        """Whether no output depends on the input in another way than linearly."""
        return bool(self.outputs) and self._dependence[1].isdisjoint(self.outputs)

    @property
    def reached_outputs(self) -> list[str]:
        """The irreps of the output that depend on the input."""
        return [name for name in self.outputs if name not in self.constant]

    @property
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

    @property
    def symmetries(self) -> Symmetries:
        """The relations that the blocks put between input and output (`Relations`)."""
        outputs = self.reached_outputs
        return symmetries(self.steps, self.inputs, outputs, self.fusion.trivial)

    @property
    def has_least_symmetry(self) -> bool:
        """Whether there are no symmetries but those that are there in any case."""
        found = self.symmetries
        return found == unavoidable(self.fusion, self.inputs, self.reached_outputs)[0]

    def with_free_layers(self, blocks: int) -> NetworkShape:
        """The shape with so many layers, all of which may grow."""
        layers = [replace(layer, may_grow=True) for layer in self.layers]
        layers += layers[-1:] * (blocks - len(layers))
        return _complete(replace(self, layers=tuple(layers)))

    def sees(self, change: Change) -> bool:
        """Whether outputs of some weights change in another way than the symmetry has it."""
        rng = np.random.default_rng(0)
        dtype = np.complex64 if self.space_in.is_complex else np.float32
        features: Features = {}
        for name, m in self.space_in.multiplicities.items():
            x = rng.standard_normal((self.fusion.kinds[name].dimension, m, _EXAMPLES))
            features[name] = [np.concatenate([c, change[0][name] * c], axis=1) for c in x]
        with jax.ensure_compile_time_eval():  # a network may be made while its caller is traced
            for i, block in enumerate(self.blocks):
                _, features = first_block(block, features, jax.random.key(i), dtype)
        for name, root in change[1].items():
            before, after = np.split(np.array(features[name]), 2, axis=2)
            if np.abs(after - root * before).max() > _SEEN * np.abs(before).max():
                return True
        if self.fusion.trivial in self.outputs:
            before, after = np.split(np.array(features[self.fusion.trivial]), 2, axis=2)
            return bool(np.abs(after - before).max() > _SEEN * np.abs(before).max())
        return False


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
    if shape.has_least_symmetry:
        return shape
    missing = missing_products(
        fusion,
        shape.space_in.multiplicities,
        shape.reached_outputs,
        [block.outputs for block in shape.blocks],
        [step.triples for step in shape.steps],
        [layer.may_grow for layer in shape.layers],
    )
    if not (missing.irreps or missing.triples):
        return shape
    irreps = {*shape.needs.irreps, *inputs, *missing.irreps}
    triples = tuple(step.triples | missing.triples for step in shape.steps)
    return replace(shape, needs=Needs(tuple(sorted(irreps)), triples, _SEVERAL))
