"""Sentences on what a network cannot represent although a larger one could."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from intertwine.architecture.allocation import uniform_rep
from intertwine.architecture.input_changes import Change, Turn
from intertwine.architecture.irrep_space import IrrepSpace
from intertwine.architecture.network_shape import HiddenLayer, NetworkShape
from intertwine.architecture.products import LARGEST_PAIR, Triple
from intertwine.errors import ReachWarning
from intertwine.irreps import Irrep
from intertwine.reps.syntax import direct_sum

#: Packages whose frames a warning skips, to point to the line that makes the network.
_BETWEEN = ("intertwine", "equinox", "jaxtyping", "beartype", "torch")
_DEEPER = 8
"""Networks of fewer blocks than this are tried, to say how many suffice."""
_TRIED = 5000
"""The largest number of combinations of signs, or of third roots of unity, that are tried."""
_WIDTH, _COPIES = 16, 4
"""The width of layers that are tried if none is known, and the copies of irreps to name."""
_THIRD = np.exp(2j * np.pi / 3)
_ENOUGH = 4
"""With this many blocks, a network sees every change and turn that deeper ones see."""


def faults(shape: NetworkShape) -> Iterator[str]:
    """Yield what the network cannot represent although a larger one could, one sentence each."""
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
    """Return the irreps that input and output have, and that no linear map takes to the output."""
    carried = [name for name in shape.reached_outputs if name in shape.inputs]
    return [
        name
        for name in carried
        if not all(name in block.inputs and name in block.reached for block in shape.blocks)
    ]


def _lost_products(shape: NetworkShape) -> list[Triple]:
    """Return the products of two of the input's irreps that do not reach the output."""
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
    """Return advice: a network that was tried here and lacks nothing.

    `names` are the irreps of the output that lack something.
    """
    if not shape.channels:
        return "Give 1 or more channels: products need them"
    is_named = not all(layer.may_grow for layer in shape.layers)
    width = max((layer.rep.size() for layer in shape.layers), default=_WIDTH)
    own = len(shape.blocks)
    depths = range(own if is_named else own + 1, max(_DEEPER, own + 2))
    larger = (shape.with_layers(_free(shape, width, is_named, depth)) for depth in depths)
    enough = next((found for found in larger if _lacks_nothing(found)), None)
    if enough is None:
        return f"No network of up to {depths[-1]} layers was found that lacks nothing"
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
    """Return `depth` layers that may grow: of a width if layers are named, or else those of the
    shape, the last repeated.
    """
    if is_named:
        return [HiddenLayer(uniform_rep(width, shape.fusion.group), True)] * depth
    own = shape.layers or (HiddenLayer(uniform_rep(width, shape.fusion.group), True),)
    return [*own, *own[-1:] * (depth - len(own))]


def _needed(shape: NetworkShape, names: Collection[str], enough: NetworkShape) -> list[str]:
    """Return irreps whose addition to the named layers is enough: these, or also those that another
    shape needs; [] if neither is.
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
    """Return a network that sees every change and turn that any of its input and output sees."""
    return shape.with_layers(_free(shape, _WIDTH, True, max(_ENOUGH, len(shape.blocks))))


def _blindness(shape: NetworkShape) -> Iterator[str]:
    """Yield a change of the input's parts that the network ignores though some network sees it."""
    ideal = _ideal(shape)
    for change in _rescalings(shape):
        if not ideal.sees(change):
            continue  # with so few copies no network sees it
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
            f"{f'multiplies only the parts {then} of the output' if then else nothing}, whatever "
            f"the weights. {remedy(shape, ())}"
        )
        return


def _lost_turns(shape: NetworkShape) -> frozenset[Turn]:
    """Return the turns that the network ignores although some network sees them."""
    if shape.seen_turns == shape.turns:
        return frozenset()
    return _ideal(shape).seen_turns - shape.seen_turns


def _misalignment(shape: NetworkShape) -> Iterator[str]:
    """Yield a turn of one of the input's parts against others that the network ignores although
    some network sees it.
    """
    lost = _lost_turns(shape)
    if lost:
        turned, present, target = min(lost, key=lambda turn: (len(turn[1]), repr(turn)))
        others = [name for name in shape.inputs if name in present - {turned}]
        one, rest = (_named(shape, names, shape.space_in) for names in ([turned], others))
        yield (
            f"the network ignores how the input's parts {one} are turned relative to {rest}: when "
            f"the group moves them alone, the output's parts "
            f"{_named(shape, [target], shape.space_out)} stay or move with them, whatever "
            f"the weights. {remedy(shape, ())}"
        )


def _rescalings(shape: NetworkShape) -> Iterator[Change]:
    """Yield the symmetries χ of order 2 (over ℂ also 3) that the group does not have."""
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
    """Return an irrep's name as in the text of a rep."""
    return "Scalar" if name == shape.fusion.trivial else name


def warn_of(message: str) -> None:
    """Issue a `ReachWarning` that points to the line that makes the network."""
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, ReachWarning, stacklevel=level)
