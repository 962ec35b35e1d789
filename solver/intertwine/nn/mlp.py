"""A plain network, for comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Inexact

from intertwine.architecture.plain_shape import plain_network
from intertwine.architecture.precision import weighted_product
from intertwine.architecture.seed import as_seed
from intertwine.arrays import Array
from intertwine.groups import Group
from intertwine.nn.drawing import Key, draw, zeros
from intertwine.nn.layer import Layer, rows
from intertwine.nn.settings import working
from intertwine.reps import Rep


class MLP(Layer):
    """Dense layers and swish, of the sizes of an `EMLP` with the same arguments; not equivariant.

    The real and imaginary parts of a complex rep are separate inputs and outputs. `ch` is the width
    of the hidden layers, or a rep of that size, or a list of either.
    """

    weights: tuple[Inexact[Array, "_ _"], ...]
    biases: tuple[Inexact[Array, " _"], ...]
    rep_in: Rep = eqx.field(static=True)
    rep_out: Rep = eqx.field(static=True)
    takes_complex: bool = eqx.field(static=True)
    gives_complex: bool = eqx.field(static=True)
    G: Group | None = eqx.field(static=True, default=None)
    """The group; None for a model that an earlier version saved."""

    def __init__(
        self,
        rep_in: Rep,
        rep_out: Rep,
        group: Group,
        ch: int | Rep | Sequence[int | Rep] = 384,
        num_layers: int | None = None,
        *,
        key: Key = 0,
        dtype: Any = None,
    ) -> None:
        plain = plain_network(rep_in, rep_out, group, ch, num_layers)
        self.G, self.rep_in, self.rep_out = group, plain.rep_in, plain.rep_out
        self.takes_complex, self.gives_complex = plain.takes_complex, plain.gives_complex
        # raises for a dtype that has no complex numbers, if they are needed
        working(dtype, is_complex=self.takes_complex or self.gives_complex)
        dtype = working(dtype, is_complex=False)
        made = draw(as_seed(key), plain.weight_spec, dtype)
        self.weights = tuple(made[name] for name in plain.weight_spec)
        self.biases = tuple(zeros(n, dtype) for n in plain.sizes[1:])

    def __call__(self, x: Any, training: bool = False) -> Inexact[Array, "*batch m"]:
        """Return f(x) for each vector of x; `training` has no effect."""
        kind = working(self.biases[-1].dtype, self.takes_complex)
        h, batch = rows(x, self.rep_in.size(), self.rep_in, kind)
        if self.takes_complex:
            h = jnp.concatenate([h.real, h.imag], axis=1)
        *inner, last = zip(self.weights, self.biases, strict=True)
        for weight, bias in inner:
            h = jax.nn.swish(weighted_product(h, weight) + bias)
        y = weighted_product(h, last[0]) + last[1]
        if self.gives_complex:
            y = jax.lax.complex(*jnp.split(y, 2, axis=1))
        return batch.images(y)

    def __repr__(self) -> str:
        widths = ", ".join(str(np.shape(bias)[0]) for bias in self.biases[:-1])
        return f"{type(self).__name__}({self.rep_in!r} → {widths} → {self.rep_out!r})"
