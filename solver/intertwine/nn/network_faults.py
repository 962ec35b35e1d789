"""What a network cannot represent though a larger one could, said in sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from intertwine.irreps import Irrep
from intertwine.nn.allocation import uniform_rep
from intertwine.nn.changes import Change, Turn
from intertwine.nn.irrep_space import IrrepSpace
from intertwine.nn.network_shape import HiddenLayer, NetworkShape
from intertwine.nn.products import LARGEST_PAIR, Triple
from intertwine.reps.syntax import direct_sum

_DEEPER = 8
"""So many blocks are tried to say how many would do."""
_TRIED = 5000
"""So many signs of irreps, or third roots of unity, are tried one by one."""
_WIDTH, _COPIES = 16, 4
"""Of layers that are tried where there are none, or named ones; and of irreps to be named."""
_THIRD = np.exp(2j * np.pi / 3)
_ENOUGH = 4
"""So many blocks see what any number of them does, of what is looked for here."""


def faults(shape: NetworkShape) -> Iterator[str]:
    """What the network cannot represent though a larger one could, a sentence each."""
    if shape.constant:
        yield (
            f"of the {shape.space_out.size} outputs, the parts that transform as "
            f"{_named(shape, shape.constant, shape.space_out)} do not depend on the input: no "
            f"hidden layer leads to them. {remedy(shape, shape.constant)}"
        )
    if shape.is_linear:
        why = "no product, and no gate that depends on the input, leads to its output"
        why = why if shape.blocks else "it has no hidden layer"
        yield f"the network is linear: {why}. {remedy(shape, ())}"
        return
    cut = _lost_linear(shape)
    if cut:
        yield (
            f"no linear map takes the input's parts {_named(shape, cut, shape.space_in)} to the "
            f"output: a hidden layer lacks these irreps. {remedy(shape, cut)}"
        )
    undecomposed = shape.fusion.too_large(shape.inputs, shape.outputs)
    if undecomposed:
        shown = ", ".join(
            f"{_name(shape, a)} ⊗ {_name(shape, b)} of {shape.fusion.size(a, b):,} dimensions"
            for a, b in undecomposed
        )
        yield (
            f"these products of the input's parts may not reach the output: {shown}. Products are "
            f"decomposed up to {LARGEST_PAIR} dimensions; of larger ones only invariant forms are "
            f"taken. Take smaller irreps, or layers of your own"
        )
    lost = _lost_products(shape)
    if lost:
        named = [[_name(shape, name) for name in triple] for triple in lost]
        shown = ", ".join(f"{left} ⊗ {right} → {target}" for left, right, target in named)
        yield (
            f"these products of the input's parts do not reach the output: {shown}. "
            f"{remedy(shape, [t[2] for t in lost])}"
        )
    elif not shape.constant and not shape.has_least_symmetry:
        yield from _blindness(shape)
    elif not shape.constant:
        yield from _misalignment(shape)


def _lost_linear(shape: NetworkShape) -> list[str]:
    """The irreps of the input that no linear map takes to the output, which has them."""
    carried = [name for name in shape.reached_outputs if name in shape.inputs]
    return [
        name
        for name in carried
        if not all(name in block.inputs and name in block.reached for block in shape.blocks)
    ]


def _lost_products(shape: NetworkShape) -> list[Triple]:
    """The products of two of the input's irreps that have no way to the output."""
    every = {triple for triple in shape.direct if triple[2] in shape.reached_outputs}
    found, carried = set(), {*shape.inputs}
    for i, step in enumerate(shape.steps):
        later = shape.blocks[i:]
        for left, right, target in step.triples:
            on = all(target in block.reached for block in later)
            if on and left in carried and right in carried:
                found.add((frozenset((left, right)), target))
        carried &= step.reached
    return sorted(t for t in every if (frozenset(t[:2]), t[2]) not in found)


def remedy(shape: NetworkShape, names: Collection[str]) -> str:
    """What to do where parts of the output of these irreps lack something: what was tried here, and
    lacks nothing.
    """
    if not shape.channels:
        return "Give channels, 1 or more: products are taken of so many"
    is_named = not all(layer.may_grow for layer in shape.layers)
    width = max((layer.rep.size() for layer in shape.layers), default=_WIDTH)
    own = len(shape.blocks)
    depths = range(own if is_named else own + 1, max(_DEEPER, own + 2))
    larger = (shape.with_layers(_free(shape, width, is_named, depth)) for depth in depths)
    enough = next((found for found in larger if _lacks_nothing(found)), None)
    if enough is None:
        return f"No network of up to {depths[-1]} layers is known that lacks nothing"
    deeper = len(enough.blocks) > own
    what = [f"more layers, num_layers={len(enough.blocks)}"] if deeper else []
    if is_named:
        adds = f"an integer ch, such as ch={width}, which adds the irreps and products that are"
        what = [f"{adds} missing", *what]
    needed = [] if deeper or not is_named else _needed(shape, names, enough)
    ending = ", ".join(_name(shape, name) for name in needed)
    ending = f" (hidden reps that you name need the irreps {ending})" if needed else ""
    return f"Give {', and '.join(what)}{ending}"


def _free(shape: NetworkShape, width: int, is_named: bool, depth: int) -> list[HiddenLayer]:
    """So many layers of a width, or of those that there are."""
    if is_named:
        return [HiddenLayer(uniform_rep(width, shape.fusion.group), True)] * depth
    own = shape.layers or (HiddenLayer(uniform_rep(width, shape.fusion.group), True),)
    return [*own, *own[-1:] * (depth - len(own))]


def _needed(shape: NetworkShape, names: Collection[str], enough: NetworkShape) -> list[str]:
    """Irreps with which the layers that the user named would do as well: these, or those that
    another shape needs; none where neither would.
    """
    for irreps in ([*names], list(dict.fromkeys((*names, *enough.needs.irreps)))):
        more = [(_COPIES, Irrep(name, shape.fusion.group)) for name in irreps]
        layers = [
            layer
            if layer.may_grow
            else HiddenLayer(direct_sum([(1, layer.rep), *more]), may_grow=False)
            for layer in shape.layers
        ]
        if irreps and _lacks_nothing(shape.with_layers(layers)):
            return irreps
    return []


def _lacks_nothing(shape: NetworkShape) -> bool:
    return not (
        shape.constant
        or shape.is_linear
        or _lost_linear(shape)
        or _lost_products(shape)
        or not shape.has_least_symmetry
        or _lost_turns(shape)
    )


def _ideal(shape: NetworkShape) -> NetworkShape:
    """A network that sees what any of its input and output does, of what is looked for here."""
    return shape.with_layers(_free(shape, _WIDTH, True, max(_ENOUGH, len(shape.blocks))))


def _blindness(shape: NetworkShape) -> Iterator[str]:
    """A change of the input's parts that the network does not see, though some network does."""
    ideal = _ideal(shape)
    for change in _rescalings(shape):
        if not ideal.sees(change):
            continue  # of so few copies there is no function that does
        turned, then = (
            ", ".join(
                f"{_named(shape, [name], space)} by {_written(root)}"
                for name, root in roots.items()
                if root != 1
            )
            for roots, space in zip(change, (shape.space_in, shape.space_out), strict=True)
        )
        nothing = "leaves the output as it is"
        yield (
            f"the network ignores a change: multiplying the input's parts {turned} "
            f"{f'multiplies but the parts {then} of the output' if then else nothing}, whatever "
            f"the weights. {remedy(shape, ())}"
        )
        return


def _lost_turns(shape: NetworkShape) -> frozenset[Turn]:
    """Those that the network does not see, though some network does."""
    if shape.seen_turns == shape.turns:
        return frozenset()
    return _ideal(shape).seen_turns - shape.seen_turns


def _misalignment(shape: NetworkShape) -> Iterator[str]:
    """The turns of the input's parts against each other that the network does not see, though some
    network does.
    """
    lost = _lost_turns(shape)
    if lost:
        turned, present, target = min(lost, key=lambda turn: (len(turn[1]), repr(turn)))
        others = [name for name in shape.inputs if name in present - {turned}]
        one, rest = (_named(shape, names, shape.space_in) for names in ([turned], others))
        yield (
            f"the network ignores how the input's parts {one} lie to {rest}: when the group moves "
            f"them alone, the output's parts {_named(shape, [target], shape.space_out)} stay or "
            f"move with them, whatever the weights. {remedy(shape, ())}"
        )


def _rescalings(shape: NetworkShape) -> Iterator[Change]:
    """The symmetries χ of order 2 (3 too, of complex numbers) that the group does not have."""
    rows, known, names = (
        shape.symmetries,
        shape.unavoidable,
        _moving_outputs(shape),
    )
    ends = len(shape.inputs) + len(names)
    for order in (2, 3) if shape.space_in.is_complex else (2,):
        if order**ends > _TRIED:
            continue
        for powers in product(range(order), repeat=ends):

            def broken(row: Sequence[int], by: Sequence[int] = powers, n: int = order) -> bool:
                return sum(x * k for x, k in zip(row, by, strict=True)) % n != 0

            if not any(map(broken, rows)) and any(map(broken, known)):
                roots = [1 if not k else -1 if order == 2 else _THIRD**k for k in powers]
                split = len(shape.inputs)
                yield (
                    dict(zip(shape.inputs, roots[:split], strict=True)),
                    dict(zip(names, roots[split:], strict=True)),
                )


def _moving_outputs(shape: NetworkShape) -> list[str]:
    return [name for name in shape.outputs if name != shape.fusion.trivial]


def _named(shape: NetworkShape, names: Collection[str], space: IrrepSpace) -> str:
    return ", ".join(f"{space.multiplicities[n]} × {_name(shape, n)}" for n in names)


def _written(root: Any) -> str:
    return "−1" if root == -1 else f"{root:.2f}"


def _name(shape: NetworkShape, name: str) -> str:
    """An irrep's name, as a rep's text takes it."""
    return "Scalar" if name == shape.fusion.trivial else name
