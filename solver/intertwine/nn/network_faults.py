"""What a network cannot represent though a larger one could, said in sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from intertwine.nn.irrep_space import IrrepSpace
from intertwine.nn.network_shape import Change, NetworkShape
from intertwine.nn.products import LARGEST_PAIR, Triple
from intertwine.nn.reach import unavoidable

_DEEPER = 8
"""So many blocks are tried to say how many would do."""
_TRIED = 5000
"""So many signs of irreps, or third roots of unity, are tried one by one."""
_THIRD = np.exp(2j * np.pi / 3)
_ENOUGH = 4
"""So many blocks see what any number of them does, of what is looked for here."""


def faults(shape: NetworkShape) -> Iterator[str]:
    """What the network cannot represent though a larger one could, a sentence each."""
    if not shape.blocks:
        return
    if shape.constant:
        yield (
            f"of the {shape.space_out.size} outputs, the parts that transform as "
            f"{_named(shape, shape.constant, shape.space_out)} do not depend on the input: no "
            f"hidden layer leads to them. {_remedy(shape, shape.constant)}"
        )
    if shape.is_linear:
        yield (
            "the network is linear: no product, and no gate that depends on the input, leads to "
            f"its output. {_remedy(shape, ())}"
        )
        return
    cut = [n for n in shape.reached_outputs if n in shape.inputs and not _carries(shape, n)]
    if cut:
        yield (
            f"no linear map takes the input's parts {_named(shape, cut, shape.space_in)} to the "
            f"output: a hidden layer lacks these irreps. {_remedy(shape, cut)}"
        )
    undecomposed = shape.fusion.too_large(shape.inputs)
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
            f"{_remedy(shape, [t[2] for t in lost])}"
        )
    elif not shape.constant and not shape.has_least_symmetry:
        yield from _blindness(shape)


def _carries(shape: NetworkShape, name: str) -> bool:
    return all(name in block.inputs and name in block.reached for block in shape.blocks)


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


def _remedy(shape: NetworkShape, names: Collection[str]) -> str:
    """What to do: what was tried here, and lacks nothing."""
    if not shape.channels:
        return "Give channels, 1 or more: products are taken of so many"
    is_named = not all(layer.may_grow for layer in shape.layers)
    own = len(shape.blocks)
    blocks = range(own if is_named else own + 1, max(_DEEPER, own + 2))
    enough = next((number for number in blocks if _ends_well(shape, number)), None)
    if enough is None:
        return f"No network of up to {blocks[-1]} layers is known that lacks nothing"
    what = [f"more layers, num_layers={enough}"] if enough > own else []
    if is_named:
        what = ["an integer ch, which adds the irreps and products that are missing", *what]
    needed = ", ".join(_name(shape, name) for name in names) if is_named else ""
    ending = f" (hidden reps that you name need the irreps {needed})" if needed else ""
    return f"Give {', and '.join(what)}{ending}"


def _ends_well(shape: NetworkShape, blocks: int) -> bool:
    grown = shape.with_free_layers(blocks)
    return not (grown.constant or grown.is_linear) and grown.has_least_symmetry


def _blindness(shape: NetworkShape) -> Iterator[str]:
    """A change of the input's parts by roots of unity that the network does not see, though
    some network does.
    """
    ideal = shape.with_free_layers(max(_ENOUGH, len(shape.blocks)))
    for change in _changes(shape):
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
            f"the weights. {_remedy(shape, ())}"
        )
        return


def _changes(shape: NetworkShape) -> Iterator[Change]:
    """The symmetries χ of order 2 (3 too, of complex numbers) that the group does not have."""
    rows, ends = shape.symmetries, _ends(shape)
    known = unavoidable(shape.fusion, shape.inputs, shape.reached_outputs)[0]
    outputs = [name for name in shape.reached_outputs if name != shape.fusion.trivial]
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
                    dict(zip(outputs, roots[split:], strict=True)),
                )


def _ends(shape: NetworkShape) -> int:
    return len(shape.inputs) + sum(n != shape.fusion.trivial for n in shape.reached_outputs)


def _named(shape: NetworkShape, names: Collection[str], space: IrrepSpace) -> str:
    return ", ".join(f"{space.multiplicities[n]} × {_name(shape, n)}" for n in names)


def _written(root: Any) -> str:
    return "−1" if root == -1 else f"{root:.2f}"


def _name(shape: NetworkShape, name: str) -> str:
    """An irrep's name, without its digest where there is no other of its dimension."""
    short = name.partition("_")[0]
    alike = [other for other in shape.fusion.kinds if other.partition("_")[0] == short]
    return short if alike == [name] else name
