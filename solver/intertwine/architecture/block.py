"""A block of a network in irreps as a pure function: linear, bilinear, gated."""

from __future__ import annotations

from jaxtyping import Inexact

from intertwine.architecture.block_shape import BlockShape
from intertwine.architecture.components import added, opened, repeated
from intertwine.architecture.features import Features, Weights, cut, fusion_barrier, mixed
from intertwine.arrays import Array


def apply_block(
    shape: BlockShape,
    weights: Weights,
    couplings: Weights,
    bias: Inexact[Array, " s"],
    x: Features,
    *,
    is_batch: bool = False,
) -> Features:
    """Return the outputs of a block: [h; a; b] = Wx + bias, then h_ν += C_ν · concat CG(a_λ, b_μ),
    then gates. For `is_batch`, see `mixed`.

    Trivial irreps go through swish, others are multiplied by the sigmoid of a trivial one.
    Equivariant as each step is: the weights by Schur's lemma, the products as Clebsch–Gordan maps,
    the gates as invariant functions times vectors.
    """
    some = next(iter(x.values()))
    h, a, b = linear_part(shape, weights, x, is_batch=is_batch)
    h = together(h, shape.products(couplings, a, b, is_batch=is_batch))
    return gate(shape, together(h, {shape.trivial: repeated(bias, some)}))


def linear_part(
    shape: BlockShape,
    weights: Weights,
    x: Features,
    *,
    is_batch: bool = False,
) -> tuple[Features, Features, Features]:
    """Return h, and the factors a and b of products."""
    h, a, b, before = {}, {}, {}, shape.before
    for name, weight in weights.items():
        c, kept = shape.products.channels.get(name, 0), before.get(name, 0)
        wide = mixed(weight, shape.kinds[name], x[name], is_batch=is_batch)
        parts = fusion_barrier(cut(wide, [kept, c, c]))
        if kept:
            h[name] = parts[0]
        a[name], b[name] = parts[1], parts[2]
    return h, a, b


def gate(shape: BlockShape, h: Features) -> Features:
    """Return swish of the scalars, and other irreps times the sigmoid of their own scalars."""
    kept = shape.outputs.get(shape.trivial, 0)
    own, *gates = cut(h[shape.trivial], [kept, *shape.gated.values()])
    found = {shape.trivial: opened(own, own)} if kept else {}
    for opening, name in zip(gates, shape.gated, strict=True):
        if name in h:
            found[name] = opened(h[name], opening)
    return found


def together(x: Features, y: Features) -> Features:
    """Return x + y, where either may lack an irrep."""
    return {**x, **{name: added(x[name], c) if name in x else c for name, c in y.items()}}
