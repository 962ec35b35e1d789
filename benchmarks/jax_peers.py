"""Networks of e3nn-jax and cuequivariance-jax with the layers of `EMLP`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from peers import CHANNELS, LAYERS, Irreps


class _JaxNetwork(eqx.Module):
    blocks: list[Any]
    last: Any
    enter: Callable[[Any], Any] = eqx.field(static=True)
    leave: Callable[[Any], Any] = eqx.field(static=True)

    def __call__(self, x: Any) -> Any:
        features = self.enter(x)
        for block in self.blocks:
            features = block(features)
        return self.leave(self.last(features))


def e3nn_jax_network(irreps: Irreps) -> Any:
    """`EMLP` in e3nn-jax."""
    import e3nn_jax as e3nn

    keys = iter(jax.random.split(jax.random.key(0), 3 * LAYERS + 1))

    def linear(n: Any, m: Any) -> Any:
        return e3nn.equinox.Linear(irreps_out=m, irreps_in=n, key=next(keys), force_irreps_out=True)

    class Block(eqx.Module):
        left: Any
        right: Any
        mix: Any
        kept: Any = eqx.field(static=True)

        def __init__(self, before: Any) -> None:
            one = e3nn.Irreps([(1, ir) for _, ir in before])
            self.kept = [ir for _, ir in e3nn.Irreps(irreps.gated)]
            products = e3nn.tensor_product(one, one, filter_ir_out=self.kept)
            self.left, self.right = (linear(before, CHANNELS * one) for _ in range(2))
            both = (before + CHANNELS * products).regroup()
            self.mix = linear(both, irreps.before_gates)

        def __call__(self, x: Any) -> Any:
            a, b = (one(x).mul_to_axis(CHANNELS) for one in (self.left, self.right))
            products = e3nn.tensor_product(a, b, filter_ir_out=self.kept).axis_to_mul()
            total = self.mix(e3nn.concatenate([x, products]).regroup())
            return e3nn.gate(total, even_act=jax.nn.swish)

    first, hidden = e3nn.Irreps(irreps.inputs), e3nn.Irreps(irreps.gated)
    return _JaxNetwork(
        [Block(first), *(Block(hidden) for _ in range(LAYERS - 1))],
        linear(hidden, irreps.outputs),
        lambda x: e3nn.IrrepsArray(irreps.inputs, x),
        lambda x: x.array,
    )


def cuequivariance_network(irreps: Irreps) -> Any:
    """`EMLP` in cuequivariance-jax, with its method for CPUs."""
    import cuequivariance as cue
    import cuequivariance_jax as cuex

    group = getattr(cue, irreps.group)
    keys = iter(jax.random.split(jax.random.key(0), 3 * LAYERS + 1))

    def read(text: str) -> Any:
        return cue.Irreps(group, text if group is cue.O3 else text.replace("e", ""))

    def run(polynomial: Any, *inputs: Any) -> Any:
        arrays = map(cuex.RepArray, polynomial.inputs, inputs)
        return cuex.equivariant_polynomial(polynomial, [*arrays], method="naive").array

    class Linear(eqx.Module):
        weight: Any
        polynomial: Any = eqx.field(static=True)

        def __init__(self, n: Any, m: Any) -> None:
            self.polynomial = cue.descriptors.linear(n, m)
            shape = (self.polynomial.inputs[0].dim,)
            self.weight = jax.random.normal(next(keys), shape)

        def __call__(self, x: Any) -> Any:
            return run(self.polynomial, self.weight, x)

    gated, before_gates = read(irreps.gated), read(irreps.before_gates)
    kept = [ir for _, ir in gated]

    def products(factors: Any) -> Any:
        """All products of irreps, channel by channel."""
        d = cue.SegmentedTensorProduct.from_subscripts("iu,ju,ku+ijk")
        for operand, (mul, ir) in itertools.product((0, 1), factors):
            d.add_segment(operand, (ir.dim, mul))
        found = []
        for (i, (mul, a)), (j, (_, b)) in itertools.product(enumerate(factors), repeat=2):
            for c in a * b:
                for matrix in group.clebsch_gordan(a, b, c) if c in kept else ():
                    d.add_path(i, j, None, c=matrix)
                    found.append((mul, c))
        d = d.normalize_paths_for_operand(-1)
        reps = [cue.IrrepsAndLayout(r, cue.ir_mul) for r in (factors, cue.Irreps(group, found))]
        polynomial = cue.SegmentedPolynomial.eval_last_operand(d)
        return cue.EquivariantPolynomial([reps[0]] * 2, [reps[1]], polynomial), reps[1].irreps

    scalars, gates = irreps.hidden[0][0], irreps.gates

    class Block(eqx.Module):
        left: Any
        right: Any
        mix: Any
        polynomial: Any = eqx.field(static=True)

        def __init__(self, before: Any) -> None:
            factors = cue.Irreps(group, [(CHANNELS, ir) for _, ir in before])
            self.left, self.right = (Linear(before, factors) for _ in range(2))
            self.polynomial, made = products(factors)
            self.mix = Linear(before + made, before_gates)

        def __call__(self, x: Any) -> Any:
            found = run(self.polynomial, self.left(x), self.right(x))
            total = self.mix(jnp.concatenate([x, found], axis=-1))
            parts = [jax.nn.swish(total[:, :scalars])]
            gate = jax.nn.sigmoid(total[:, scalars : scalars + gates])
            start, first = scalars + gates, 0
            for mul, ir in [*gated][1:]:
                part = total[:, start : start + mul * ir.dim].reshape(-1, ir.dim, mul)
                parts.append((part * gate[:, None, first : first + mul]).reshape(len(x), -1))
                start, first = start + mul * ir.dim, first + mul
            return jnp.concatenate(parts, axis=-1)

    return _JaxNetwork(
        [Block(read(irreps.inputs)), *(Block(gated) for _ in range(LAYERS - 1))],
        Linear(gated, read(irreps.outputs)),
        lambda x: x,
        lambda x: x,
    )
