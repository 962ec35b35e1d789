"""The layer of vectors beside their conjugates."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Inexact

from intertwine.architecture.conjugates import with_dual
from intertwine.arrays import Array
from intertwine.nn.layer import Layer, as_array
from intertwine.reps import Rep


class Conjugated(Layer):
    """x ↦ (x, x̄), from ρ to ρ + ρ*."""

    rep_in: Rep = eqx.field(static=True)

    @property
    def rep_out(self) -> Rep:
        """`with_dual(rep_in)`."""
        return with_dual(self.rep_in)

    def __call__(
        self, x: Any, training: bool = False, *, rounded: bool = True
    ) -> Inexact[Array, "..."]:
        """Return (x, x̄) for each vector of x, in its precision: `training` and `rounded` have no
        effect.
        """
        x = as_array(x)
        return jnp.concatenate([x, x.conj()], axis=-1)
