"""The steps of a fit of a module of PyTorch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped

from intertwine.errors import FormatError, InvalidSetting
from intertwine.training.augmentation import Pool
from intertwine.training.batches import DROPOUT, Batches, random_numbers
from intertwine.training.data import DeviceSamples
from intertwine.training.engine import EpochsResult, Orders, State
from intertwine.training.losses import Loss
from intertwine.training.torch_arrays import from_array, to_array
from intertwine.training.torch_optimizers import (
    Optimizer,
    moments_of,
    optimizer_of,
    put_moments,
)


class TorchSteps:
    """Steps that change a module in place.

    The weights of a state are all parameters and buffers by name, so also the statistics of a batch
    normalisation. Its moments are the state of the optimiser, by parameter and name. The current
    state refers to the tensors of the module and of the optimiser; another state is copied into
    them first.

    The module is in training mode in `advance`, and in eval mode when a loss is measured. Its
    random numbers, such as those of dropout, depend on the seed and the epoch alone; the generators
    of the caller do not change.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        loss: Loss,
        optimizer: Optimizer,
        batches: Batches,
        microbatch_size: int | None,
        seed: int,
    ) -> None:
        self.microbatch_size = microbatch_size
        self._model, self._loss, self._batches, self._seed = model, loss, batches, seed
        self._optimizer = optimizer_of(
            optimizer, [p for p in model.parameters() if p.requires_grad]
        )
        self._relative = [float(group["lr"]) for group in self._optimizer.param_groups]
        self._state = self._now()
        self._finite = {name for name, one in self._state.weights.items() if _is_finite(one)}

    def start(self) -> State:
        """Return the state before the first epoch."""
        return self._state

    def advance(
        self,
        state: State,
        samples: DeviceSamples,
        pool: Pool | None,
        orders: Orders,
        epochs: range,
    ) -> EpochsResult:
        """Run the first epochs of the orders. Consumes the state."""
        self._enter(state)
        losses = np.zeros((len(epochs), self._batches.count))
        is_alive = True
        self._model.train()
        for i, epoch in enumerate(epochs):
            with self._random_numbers(epoch):
                for batch, rows in enumerate(self._batches.rows):
                    x, y = self._batch(samples, pool, orders, i, rows)
                    losses[i, batch] = self._with_gradient(x, y)
                    is_alive = math.isfinite(losses[i, batch])
                    if not is_alive:
                        break
                    self._move(float(orders.rates[i, batch]))
            if not is_alive:
                break
        self._optimizer.zero_grad()
        self._state = self._now()
        sound = is_alive and self.are_finite(self._state.weights)
        return EpochsResult(self._state, losses, sound)

    def mean_loss(self, state: State, samples: DeviceSamples, batch_size: int) -> float:
        """Return the mean loss over samples, computed in batches."""
        self._enter(state)
        return mean_loss(self._model, samples, self._loss, batch_size)

    def copy(self, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return weights that later epochs do not consume."""
        return {name: tensor.clone() for name, tensor in weights.items()}

    def model(self, weights: Mapping[str, torch.Tensor]) -> torch.nn.Module:
        """Return the module with a copy of these weights, in eval mode."""
        found = deepcopy(self._model)
        _put(weights, _weights_of(found))
        return found.eval()

    def are_finite(self, weights: Mapping[str, torch.Tensor]) -> bool:
        """Return whether all numbers of the weights are finite, but for tensors that were not
        before the fit: a buffer may be a mask of −∞.
        """
        return all(_is_finite(weights[name]) for name in self._finite)

    def to_arrays(self, tree: Mapping[str, Any]) -> dict[str, Shaped[np.ndarray, "..."]]:
        """Return tensors and numbers as arrays; their names say their dtypes."""
        return dict(to_array(name, value) for name, value in tree.items())

    def from_arrays(
        self, arrays: Mapping[str, Shaped[np.ndarray, "..."]], like: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the tensors and numbers of `to_arrays`, on the device of the weights.

        Raises `FormatError` for other shapes and dtypes than those of the tensors of `like`, and
        `KeyError` for a missing one. (The moments before the first step may be none.)
        """
        device = next(iter(self._state.weights.values())).device
        found = dict(from_array(name, array, device) for name, array in arrays.items())
        for name, one in like.items():
            has, wants = _form(found[name]), _form(one)
            if has != wants:
                raise FormatError(f"{name} is {has}, not {wants}")
        return found

    def _now(self) -> State:
        return State(_weights_of(self._model), moments_of(self._optimizer))

    def _enter(self, state: State) -> None:
        """Copy a state into the module and the optimiser, unless it is theirs."""
        if state is self._state:
            return
        _put(state.weights, self._state.weights)
        put_moments(state.moments, self._optimizer)
        self._state = self._now()

    def _batch(
        self, samples: DeviceSamples, pool: Pool | None, orders: Orders, epoch: int, rows: slice
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the samples of a batch, moved by elements of the pool."""
        device = samples.x.device
        chosen = torch.from_numpy(orders.samples[epoch, rows]).to(device)
        x, y = samples.x.index_select(0, chosen), samples.y.index_select(0, chosen)
        if pool is None or orders.slots is None:
            return x, y
        return pool.move(x, y, torch.from_numpy(orders.slots[epoch, rows]).to(device))

    def _with_gradient(self, x: torch.Tensor, y: torch.Tensor) -> float:
        """Return the loss of a batch, and leave its gradient in the parameters."""
        self._optimizer.zero_grad()
        parts = Batches.micro(len(x), self.microbatch_size or len(x))
        total = 0.0
        for rows, size in zip(parts.rows, map(int, parts.sizes), strict=True):
            loss = _real_number(self._loss(self._model, x[rows], y[rows]))
            if not loss.requires_grad:
                raise InvalidSetting(
                    "the loss does not depend on the weights that are trained: compute it from "
                    "model(x), without detach or no_grad"
                )
            share = size / parts.samples
            (loss if parts.count == 1 else share * loss).backward()
            total += share * float(loss.detach())
        return total

    def _move(self, rate: float) -> None:
        for group, relative in zip(self._optimizer.param_groups, self._relative, strict=True):
            group["lr"] = rate * relative
        self._optimizer.step()

    @contextmanager
    def _random_numbers(self, epoch: int) -> Iterator[None]:
        """Seed the generators of PyTorch for an epoch, and restore them afterwards."""
        seed = int(random_numbers(self._seed, DROPOUT, epoch).integers(2**63 - 1))
        gpus = {one.device for one in self._state.weights.values() if one.device.type == "cuda"}
        with torch.random.fork_rng(sorted(gpu.index for gpu in gpus)):
            torch.default_generator.manual_seed(seed)
            for gpu in gpus:
                torch.cuda.default_generators[gpu.index].manual_seed(seed)
            yield


def mean_loss(model: torch.nn.Module, samples: DeviceSamples, loss: Loss, batch_size: int) -> float:
    """Return the mean loss of a module over samples, in eval mode."""
    batches = Batches.of(len(samples.x), batch_size)
    with measuring(model):
        losses = [
            float(_real_number(loss(model, samples.x[rows], samples.y[rows])).detach())
            for rows in batches.rows
        ]
    return batches.mean(np.asarray(losses))


def _real_number(loss: Any) -> torch.Tensor:
    """Return what a loss returns. Raises `InvalidSetting` unless it is one real number."""
    if isinstance(loss, torch.Tensor) and loss.numel() == 1 and not loss.is_complex():
        return loss
    raise InvalidSetting(
        f"the loss returns {_form(loss)}: return a tensor with one real number, the mean over the "
        f"batch"
    )


@contextmanager
def measuring(model: torch.nn.Module) -> Iterator[None]:
    """Put a module into eval mode, without gradients of its parameters; restore both afterwards.

    Gradients with respect to inputs remain, for modules that compute forces.
    """
    modes = [(module, module.training) for module in model.modules()]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        model.eval()
        for parameter in trained:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
        for module, mode in modes:
            module.training = mode


def _weights_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the parameters and buffers of a module by name, without copies."""
    named = (*model.named_parameters(), *model.named_buffers())
    return {name: tensor.detach() for name, tensor in named}


def _is_finite(tensor: torch.Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def _put(weights: Mapping[str, torch.Tensor], into: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in into.items():
        tensor.copy_(weights[name])


def _form(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return type(value).__name__
