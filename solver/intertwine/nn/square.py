"""Products of a vector with itself, for reps that are no sums of irreps of one group."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Inexact

from intertwine.arrays import Array
from intertwine.nn.layer import Layer
from intertwine.reps import Rep


class Square(Layer):
    """x ↦ x ⊗ x, from ρ to ρ ⊗ ρ: a linear map behind it is any quadratic one."""

    rep_in: Rep = eqx.field(static=True)

    @property
    def rep_out(self) -> Rep:
        """ρ ⊗ ρ."""
        return self.rep_in * self.rep_in

    def __call__(self, x: Any, training: bool = False) -> Inexact[Array, "..."]:
        """x ⊗ x for each vector of x; `training` changes nothing."""
        x = jnp.asarray(x)
        return (x[..., :, None] * x[..., None, :]).reshape(*x.shape[:-1], x.shape[-1] ** 2)
