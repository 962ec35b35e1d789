"""A model of PyTorch that is called as it is, without compilation. Needs PyTorch, and no JAX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from intertwine.prepared_model import Outputs, PreparedModel, Rows

#: Bytes of a model besides its weights: 1 to 9 MB were measured for an EMLP on a CPU.
MODEL_BYTES = 8 * 2**20


class EagerModel(PreparedModel):
    """A module of PyTorch, which computes batches of any size without gradients.

    It is not compiled: that takes half a minute, and a call of a few rows takes milliseconds. The
    module is put into evaluation mode, and stays on its device. Threads may call it at the same
    time.
    """

    def __init__(self, model: Any, sizes: Sequence[int]) -> None:
        import torch

        from intertwine.torch.layer import is_double

        self._model = model.eval()
        numbers = [*model.parameters(), *model.buffers()]
        super().__init__(model, sizes, is_double=is_double(model))
        self._device = numbers[0].device if numbers else torch.device("cpu")
        self._weight_bytes: int = sum(one.numel() * one.element_size() for one in numbers)
        self.empty = self(np.zeros((1, self.width), self.dtype))[:0]

    @property
    def compiled(self) -> frozenset[int]:
        """All batch sizes: none needs a program."""
        return frozenset(self.sizes)

    @property
    def nbytes(self) -> int:
        """The estimated memory of the model in bytes: weights, constants and buffers."""
        return self._weight_bytes + self.overhead(self.sizes)

    @staticmethod
    def overhead(sizes: Sequence[int]) -> int:
        """Return the estimated memory of a model besides its weights, the same for all sizes."""
        return MODEL_BYTES

    def compile(self, size: int) -> None:
        """Do nothing: batches of all sizes are computed in the same way."""

    def __call__(self, rows: Rows) -> Outputs:
        """Return the model's outputs."""
        import torch

        x = torch.tensor(rows, device=self._device)  # a copy: rows may be read-only
        with torch.no_grad():
            outputs: Outputs = self._model(x).cpu().numpy()
        return outputs
