"""A network with standardized data: its inputs and outputs have mean zero and size one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Inexact

from intertwine.architecture.precision import is_half, kinds_of
from intertwine.architecture.statistics import Constants, read_statistics
from intertwine.arrays import dtype_name, in_numpy, is_torch
from intertwine.errors import InvalidRep
from intertwine.torch.layer import Layer, as_tensor, is_double

STATISTICS = ("shift_in", "scale_in", "shift_out", "scale_out")
"""The buffers: means and scales of inputs, and of outputs."""


class Standardize(Layer):
    """x ↦ σ_y f((x − μ_x)/σ_x) + μ_y, or without μ_y and σ_y if `stats` has two entries.

    Equivariant like f if the means are invariant and each irrep has one scale (a vector has one
    scale, not three); raises `NotEquivariant` otherwise. The statistics are buffers: training does
    not change them. Data are standardized in float32 or float64, before a model in half precision
    rounds them: ``.to(torch.bfloat16)`` leaves the statistics in float32. Raises `InvalidRep` for
    invalid statistics.
    """

    def __init__(self, model: torch.nn.Module, stats: Iterable[Any]) -> None:
        is_complex = any(one.is_complex() for one in (*model.parameters(), *model.buffers()))
        given = (in_numpy(one) if is_torch(one) else one for one in stats)
        found = read_statistics(model, given, is_complex=is_complex)
        self._set(model, found)

    @classmethod
    def of(cls, model: torch.nn.Module, statistics: Iterable[Constants]) -> Standardize:
        """Return the network with the results of `read_statistics`."""
        layer = cls.__new__(cls)
        layer._set(model, statistics)
        return layer

    def _set(self, model: torch.nn.Module, statistics: Iterable[Constants]) -> None:
        super().__init__(model.rep_in, model.rep_out)
        self.model = model
        real = torch.float64 if is_double(model) else torch.float32
        for name, constants in zip(STATISTICS, statistics, strict=True):
            self.register_buffer(name, torch.tensor(constants, dtype=_kind(constants, real)))

    def forward(self, x: Any) -> Inexact[torch.Tensor, "..."]:
        """Return the image of each vector of x."""
        x = as_tensor(x)
        if x.shape[-1:] != self.shift_in.shape:
            raise InvalidRep(
                f"{self.rep_in!r} has size {len(self.shift_in)}, x shape {tuple(x.shape)}"
            )
        kind, _ = kinds_of(dtype_name(x.dtype), None)
        y = self.model((x.to(getattr(torch, kind)) - self.shift_in) / self.scale_in)
        found = self.scale_out * y + self.shift_out
        return found.to(y.dtype) if is_half(y.dtype) else found

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
        """Convert the module, but for the statistics to half precision: a mean that is rounded
        would shift the data.
        """
        before = {name: getattr(self, name) for name in STATISTICS}
        super()._apply(fn, recurse)
        for name, statistics in before.items():
            if is_half(getattr(self, name).dtype):
                setattr(self, name, statistics.to(getattr(self, name).device))
        return self


def _kind(constants: Constants, real: torch.dtype) -> torch.dtype:
    if any(isinstance(one, complex) for one in constants):
        return torch.complex128 if real == torch.float64 else torch.complex64
    return real
