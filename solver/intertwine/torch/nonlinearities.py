"""Nonlinearities: gates, and one function for every coordinate."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Inexact

from intertwine.architecture.gates import Gates, gate, gates_of, require_permuted
from intertwine.architecture.linear_maps import bound
from intertwine.errors import InvalidSetting
from intertwine.groups import Group
from intertwine.reps import Rep
from intertwine.torch.layer import Layer
from intertwine.torch_compilation import one_operation

_FUNCTIONS = {
    "swish": torch.nn.functional.silu,
    "relu": torch.nn.functional.relu,
    "gelu": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),  # as in JAX
    "sigmoid": torch.sigmoid,
    "softplus": torch.nn.functional.softplus,
    "tanh": torch.tanh,
}


class GatedNonlinearity(Layer):
    """xᵢ ↦ sigmoid(Re x_{gate(i)}) xᵢ, from ``gated(rep)`` to ``rep``.

    It is equivariant since a gate is invariant or, for permuted components, the component itself,
    which gives swish. Over the complex numbers gates act by real numbers.
    """

    def __init__(self, rep: Rep | str | int, group: Group | None = None) -> None:
        gates: Gates = gates_of(bound(rep, group))
        super().__init__(gates.wide, gates.rep)
        self.gates = gates

    def forward(self, x: Any) -> Inexact[torch.Tensor, "..."]:
        """Return the gated vectors."""
        flat, batch = self.rows(x)
        return batch.images(self._image(flat))

    @one_operation
    def _image(self, x: Inexact[torch.Tensor, "b g"]) -> Inexact[torch.Tensor, "b n"]:
        return gate(self.gates.indices, x)

    def extra_repr(self) -> str:
        """Return the rep."""
        return repr(self.rep_out)


class Pointwise(Layer):
    """xᵢ ↦ s(xᵢ) for one function s, given by name.

    It commutes with permutations of coordinates, and with no other matrices in general: raises
    `NotEquivariant` for a rep that does more than permute.
    """

    def __init__(
        self, rep: Rep | str | int, function: str = "swish", group: Group | None = None
    ) -> None:
        if function not in _FUNCTIONS:
            raise InvalidSetting(f"unknown function {function!r}: use {', '.join(_FUNCTIONS)}")
        own = bound(rep, group)
        require_permuted(own, function)
        super().__init__(own, own)
        self.function = function

    def forward(self, x: Any) -> Inexact[torch.Tensor, "..."]:
        """Return s of every coordinate."""
        flat, batch = self.rows(x)
        return batch.images(_FUNCTIONS[self.function](flat))

    def extra_repr(self) -> str:
        """Return the rep and the function."""
        return f"{self.rep_in!r}, {self.function!r}"
