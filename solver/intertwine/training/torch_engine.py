"""Fits of modules of PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Inexact, Shaped

from intertwine.architecture.precision import require_trainable
from intertwine.arrays import in_numpy
from intertwine.torch_dtypes import numpy_dtype
from intertwine.training.batches import Batches
from intertwine.training.data import Data, DeviceSamples, Pair, cast, samples_of
from intertwine.training.losses import Loss
from intertwine.training.schedules import Schedule, one_by_one
from intertwine.training.torch_optimizers import Optimizer
from intertwine.training.torch_steps import TorchSteps, mean_loss, measuring
from intertwine.training.trained import versions


@dataclass(frozen=True)
class TorchEngine:
    """A module of PyTorch. Its weights are its parameters that require gradients.

    Losses and outputs are computed in eval mode; then the module gets its modes back.
    """

    model: torch.nn.Module
    trained: ClassVar[str] = "parameters that require gradients"

    @property
    def has_weights(self) -> bool:
        """Whether there is anything to train."""
        return any(one.requires_grad for one in self.model.parameters())

    @property
    def dtype(self) -> np.dtype[Any]:
        """The common dtype of the parameters, and float32 for those in bfloat16."""
        return numpy_dtype(self._dtype)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Enable gradients, also inside the caller's ``no_grad`` or ``inference_mode``."""
        with torch.inference_mode(False), torch.enable_grad():
            yield

    def samples_of(self, data: Data | Pair, name: str = "the data") -> DeviceSamples:
        """Return samples in the dtype of the weights, on their device; labels as int64."""
        return samples_of(data, self.dtype, name, self._tensor)

    def outputs(self, x: Shaped[np.ndarray, "n d"], batch_size: int) -> Inexact[np.ndarray, "n m"]:
        """Return f(x) for every row."""
        rows = self._tensor(cast(x, self.dtype))
        with measuring(self.model):
            return np.concatenate([in_numpy(self.model(part)) for part in rows.split(batch_size)])

    def output_shape(self, x: Shaped[torch.Tensor, "n ..."]) -> tuple[int, ...]:
        """Return the shape of f(x). Only the first row is computed."""
        with measuring(self.model):
            return (len(x), *self.model(x[:1]).shape[1:])

    def mean_loss(self, samples: DeviceSamples, loss: Loss, batch_size: int) -> float:
        """Return the mean loss over samples."""
        return mean_loss(self.model, samples, loss, batch_size)

    def steps(
        self,
        loss: Loss,
        optimizer: Optimizer,
        batches: Batches,
        microbatch_size: int | None,
        seed: int,
    ) -> TorchSteps:
        """Return the steps of a fit, with a copy of the model. Whole batches are the default: they
        are faster than microbatches, since PyTorch keeps the memory of a step for the next one.
        """
        require_trainable(one.dtype for one in self.model.parameters() if one.requires_grad)
        return TorchSteps(deepcopy(self.model), loss, optimizer, batches, microbatch_size, seed)

    def default_optimizer(self) -> Optimizer:
        """Return Adam."""
        adam: Optimizer = torch.optim.Adam
        return adam

    def has_own_rate(self, optimizer: Any) -> bool:
        """Return False: optimisers are made for a learning rate."""
        return False

    def rates(self, schedule: Schedule, total: int) -> Float[np.ndarray, " total"]:
        """Return the learning rates of a schedule at all steps."""
        return one_by_one(schedule, total)

    def frame(self) -> torch.nn.Module:
        """Return the module: its identity does not depend on the numbers of its parameters."""
        return self.model

    def weight_arrays(self) -> list[Shaped[np.ndarray, "..."]]:
        """Return the parameters as arrays of NumPy."""
        return [in_numpy(parameter) for parameter in self.model.parameters()]

    def versions(self) -> dict[str, str]:
        """Return the versions of the libraries, and the device of the parameters."""
        device = self._device
        is_gpu = device.type == "cuda"
        name = f"{device} {torch.cuda.get_device_name(device)}" if is_gpu else str(device)
        return versions({"torch": str(torch.__version__), "device": name})

    @property
    def _dtype(self) -> torch.dtype:
        """The common dtype of the parameters."""
        dtypes = [one.dtype for one in self.model.parameters()]
        return reduce(torch.promote_types, dtypes) if dtypes else torch.get_default_dtype()

    @property
    def _device(self) -> torch.device:
        found = next(iter((*self.model.parameters(), *self.model.buffers())), torch.empty(0))
        return found.device

    def _tensor(self, array: Shaped[np.ndarray, "n ..."]) -> Shaped[torch.Tensor, "n ..."]:
        kind = self._dtype if array.dtype.kind == "f" else None
        if array.dtype.kind in "iu":
            kind = torch.int64
        return torch.tensor(array, dtype=kind, device=self._device)
