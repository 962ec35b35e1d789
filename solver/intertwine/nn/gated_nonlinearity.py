"""The layer of gated nonlinearities."""

from __future__ import annotations

from typing import Any

import equinox as eqx
from jaxtyping import Inexact

from intertwine.architecture.gates import Gates, gate, gates_of
from intertwine.architecture.linear_maps import bound
from intertwine.arrays import Array
from intertwine.groups import Group
from intertwine.nn.layer import Layer, rows
from intertwine.reps import Rep


class GatedNonlinearity(Layer):
    """xᵢ ↦ sigmoid(Re x_{gate(i)}) xᵢ, from ``gated(rep)`` to ``rep``.

    It is equivariant since a gate is invariant or, for permuted components, the component itself,
    which gives swish. Over the complex numbers gates act by real numbers.
    """

    gates: Gates = eqx.field(static=True)

    def __init__(self, rep: Rep, group: Group | None = None) -> None:
        self.gates = gates_of(bound(rep, group))

    @property
    def rep_in(self) -> Rep:
        """`gated(rep)`."""
        return self.gates.wide

    @property
    def rep_out(self) -> Rep:
        """`rep`."""
        return self.gates.rep

    def __call__(self, x: Any, training: bool = False) -> Inexact[Array, "..."]:
        """Return the gated vectors; `training` has no effect."""
        flat, batch = rows(x, self.rep_in.size(), self.rep_in)
        return batch.images(gate(self.gates.indices, flat))

    def __repr__(self) -> str:
        return f"GatedNonlinearity({self.rep_out!r})"
