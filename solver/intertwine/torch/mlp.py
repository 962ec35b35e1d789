"""A plain network, for comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Inexact

from intertwine.architecture.plain_shape import PlainNetwork, plain_network
from intertwine.architecture.precision import weighted_product
from intertwine.architecture.seed import as_seed
from intertwine.groups import Group
from intertwine.reps import Rep
from intertwine.torch.layer import Key, Layer, drawn, working, zeros


class MLP(Layer):
    """Dense layers and swish, of the sizes of an `EMLP` with the same arguments; not equivariant.

    The network of `intertwine.nn.MLP`, with the same weights for the same `key`. The real and
    imaginary parts of a complex rep are separate inputs and outputs. `ch` is the width of the
    hidden layers, or a rep of that size, or a list of either.
    """

    def __init__(
        self,
        rep_in: Rep | str | int,
        rep_out: Rep | str | int,
        group: Group,
        ch: int | Rep | Sequence[int | Rep] = 384,
        num_layers: int | None = None,
        *,
        key: Key = 0,
        dtype: torch.dtype | None = None,
    ) -> None:
        plain: PlainNetwork = plain_network(rep_in, rep_out, group, ch, num_layers)
        super().__init__(plain.rep_in, plain.rep_out)
        self.G, self.plain = group, plain
        # raises for a dtype that has no complex numbers, if they are needed
        working(dtype, is_complex=plain.takes_complex or plain.gives_complex)
        dtype = working(dtype, is_complex=False)
        self.weights = drawn(as_seed(key), self.plain.weight_spec, dtype)
        self.biases = torch.nn.ParameterList(zeros(n, dtype) for n in self.plain.sizes[1:])

    def forward(self, x: Any) -> Inexact[torch.Tensor, "..."]:
        """Return f(x) for each vector of x."""
        kind = working(self.biases[-1].dtype, self.plain.takes_complex)
        h, batch = self.rows(x, kind)
        if self.plain.takes_complex:
            h = torch.cat([h.real, h.imag], dim=1)
        *inner, (weight, bias) = zip(self.weights.values(), self.biases, strict=True)
        for inner_weight, inner_bias in inner:
            h = weighted_product(h, inner_weight) + inner_bias
            # PyTorch's swish has no gradient for complex numbers
            h = h * h.sigmoid() if h.is_complex() else torch.nn.functional.silu(h)
        y = weighted_product(h, weight) + bias
        if self.plain.gives_complex:
            y = torch.complex(*y.chunk(2, dim=1))
        return batch.images(y)

    def extra_repr(self) -> str:
        """Return the reps and the widths."""
        widths = ", ".join(map(str, self.plain.sizes[1:-1]))
        return f"{self.rep_in!r} → {widths} → {self.rep_out!r}"
