"""Trained models as plain matrices: for inference, and for other frameworks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Inexact, Int

from intertwine.architecture.by_content import ByContent
from intertwine.architecture.conjugates import with_conjugate
from intertwine.architecture.gates import gate
from intertwine.arrays import Array
from intertwine.nn.layer import Layer, rows
from intertwine.reps import Rep


class Dense(Layer):
    """x ↦ Wx + b with a dense W."""

    matrix: Inexact[Array, "m n"]
    bias: Inexact[Array, " m"]
    rep_in: Rep = eqx.field(static=True)
    rep_out: Rep = eqx.field(static=True)

    def __call__(
        self, x: Any, training: bool = False, *, rounded: bool = True
    ) -> Inexact[Array, "..."]:
        """Return Wx + b for each vector of x. `training` and `rounded` have no effect: models in
        half precision are not baked.
        """
        flat, batch = rows(x, self.rep_in.size(), self.rep_in, self.bias.dtype)
        return batch.images(self.apply(flat))

    def apply(self, x: Inexact[Array, "b n"]) -> Inexact[Array, "b m"]:
        """Return Wx + b for a batch."""
        return x @ self.matrix.T + self.bias


@dataclass(frozen=True, eq=False)
class Wiring(ByContent):
    """Factors of products, and gates: z_q is a sum over t of products of left[q, t] and right[q,
    t], and gates[i] is the gate of the output i.
    """

    left: Int[np.ndarray, "q t"]
    right: Int[np.ndarray, "q t"]
    gates: Int[np.ndarray, " m"]


class BakedBlock(eqx.Module):
    """x ↦ gate(h + Cz), [h; a] = Mx + [b; 0], z_q = Σ_t K_qt a_left(q,t) a_right(q,t)."""

    matrix: Inexact[Array, "u n"]
    bias: Inexact[Array, " h"]
    coefficients: Inexact[Array, "q t"]
    products: Inexact[Array, "h q"]
    wiring: Wiring = eqx.field(static=True)

    def __call__(self, x: Inexact[Array, "b n"]) -> Inexact[Array, "b m"]:
        """Return the outputs of the block."""
        wide = x @ self.matrix.T
        h, a = wide[:, : len(self.bias)] + self.bias, wide[:, len(self.bias) :]
        if self.coefficients.size:
            pairs = a[:, self.wiring.left] * a[:, self.wiring.right]
            h = h + jnp.sum(self.coefficients * pairs, axis=-1) @ self.products.T
        return gate(self.wiring.gates, h)


class BakedNetwork(Layer):
    """A network in irrep coordinates, with every linear map as one dense matrix."""

    blocks: tuple[BakedBlock, ...]
    last: Dense
    rep_in: Rep = eqx.field(static=True)
    rep_out: Rep = eqx.field(static=True)

    @property
    def entrance(self) -> int:
        """The size of the first matrix's input: x, followed by x̄ over unitary matrices."""
        first = self.blocks[0] if self.blocks else self.last
        return int(first.matrix.shape[1])

    def __call__(self, x: Any, training: bool = False) -> Inexact[Array, "..."]:
        """Return f(x) for each vector of x; `training` has no effect."""
        flat, batch = rows(x, self.rep_in.size(), self.rep_in, self.last.bias.dtype)
        flat = with_conjugate(flat, self.entrance)
        for block in self.blocks:
            flat = block(flat)
        return batch.images(self.last.apply(flat))

    def __repr__(self) -> str:
        return f"BakedNetwork({self.rep_in!r} → {self.rep_out!r}, {len(self.blocks)} blocks)"
