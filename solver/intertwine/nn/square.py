"""Products of a vector with itself, for reps that are not sums of irreps of one group."""

from __future__ import annotations

from typing import Any

import equinox as eqx
from jaxtyping import Inexact

from intertwine.arrays import Array
from intertwine.nn.layer import Layer, as_array
from intertwine.reps import Rep


class Square(Layer):
    """x ↦ x ⊗ x, from ρ to ρ ⊗ ρ: followed by a linear map, this is any quadratic map."""

    rep_in: Rep = eqx.field(static=True)

    @property
    def rep_out(self) -> Rep:
        """ρ ⊗ ρ."""
        return self.rep_in * self.rep_in

    def __call__(
        self, x: Any, training: bool = False, *, rounded: bool = True
    ) -> Inexact[Array, "..."]:
        """Return x ⊗ x for each vector of x, in its precision: `training` and `rounded` have no
        effect.
        """
        x = as_array(x)
        return (x[..., :, None] * x[..., None, :]).reshape(*x.shape[:-1], x.shape[-1] ** 2)
