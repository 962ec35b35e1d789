"""A block of an equivariant network in irrep coordinates: linear, bilinear, gated."""

from __future__ import annotations

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Inexact
from scipy.special import expit

from intertwine.arrays import Array, is_jax
from intertwine.nn.block_shape import BlockShape
from intertwine.nn.features import Features, added, cut, fusion_barrier, mixed


class Block(eqx.Module):
    """[h; a; b] = Wx + bias, then h_ν += C_ν · concat CG(a_λ, b_μ), then gates.

    Trivial irreps go through swish, others are multiplied by the sigmoid of a trivial one.
    Equivariant as each step is: the weights by Schur's lemma, the products as Clebsch–Gordan
    maps, the gates as invariant functions times vectors.
    """

    weights: dict[str, Inexact[Array, "_ _"]]
    couplings: dict[str, Inexact[Array, "_ _"]]
    bias: Inexact[Array, " s"]
    shape: BlockShape = eqx.field(static=True)

    def __call__(self, x: Features, *, is_batch: bool = False) -> Features:
        """Return the outputs of the block. For `is_batch`, see `mixed`."""
        # a product with ones: an added bias without batch would make vmap move its batch axis
        some = next(iter(x.values()))[0]
        bias = self.bias[:, None] @ jnp.ones((1, some.shape[1]), self.bias.dtype)
        h, a, b = linear_part(self.shape, self.weights, x, is_batch=is_batch)
        h = together(h, self.shape.products(self.couplings, a, b, is_batch=is_batch))
        return gate(self.shape, together(h, {self.shape.trivial: [bias]}))


def linear_part(
    shape: BlockShape,
    weights: Mapping[str, Inexact[Array, "_ _"]],
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
    [own], *gates = cut(h[shape.trivial], [kept, *shape.gated.values()])
    found = {shape.trivial: [own * _sigmoid(own.real)]} if kept else {}
    for [opening], name in zip(gates, shape.gated, strict=True):
        if name in h:
            opened = _sigmoid(opening.real)
            found[name] = [opened * component for component in h[name]]
    return found


def together(x: Features, y: Features) -> Features:
    """Return x + y, where either may lack an irrep."""
    return {**x, **{name: added(x[name], c) if name in x else c for name, c in y.items()}}


def _sigmoid(x: Array) -> Array:
    return jax.nn.sigmoid(x) if is_jax(x) else expit(x)
