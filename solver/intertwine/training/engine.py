"""The library that computes a model in a fit: JAX, or PyTorch.

`fit`, its loop, checkpoints and histories are the same for both libraries. An `Engine` is a model
with the functions of its library, and its `Steps` train a copy of the weights. Importing this
module imports neither library.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Inexact, Int32, Shaped

from intertwine.arrays import is_torch_module
from intertwine.training.augmentation import Pool
from intertwine.training.batches import Batches
from intertwine.training.data import Data, DeviceSamples, Pair
from intertwine.training.losses import Loss
from intertwine.training.schedules import Schedule


class State(NamedTuple):
    """The weights and the state of the optimiser, as trees of the library."""

    weights: Any
    moments: Any


class Orders(NamedTuple):
    """A fixed number of coming epochs; a call may run only the first of them."""

    samples: Int32[np.ndarray, "e n"]
    slots: Int32[np.ndarray, "e n"] | None
    rates: Float[np.ndarray, "e batches"]


class EpochsResult(NamedTuple):
    """The state after some epochs and the loss of each of their batches.

    If a loss is not finite, `state` is the one before that batch, and later epochs did not run.
    `sound` says whether all losses and weights are finite.
    """

    state: State
    losses: Float[Any, "e batches"]
    sound: Bool[Any, ""] | bool


@runtime_checkable
class Steps(Protocol):
    """The steps of a fit: one loss, one optimiser, batches of some sizes.

    `advance` is a function of its arguments and the seed alone: the same state and orders give the
    same result, bit for bit on the same machine, also in another process.
    """

    @property
    def microbatch_size(self) -> int | None:
        """The most samples in one computation of a gradient; None for a whole batch."""
        ...

    def start(self) -> State:
        """Return the state before the first epoch. The given model does not share its weights."""
        ...

    def advance(
        self,
        state: State,
        samples: DeviceSamples,
        pool: Pool | None,
        orders: Orders,
        epochs: range,
    ) -> EpochsResult:
        """Run the first ``len(epochs)`` epochs of the orders. Consumes the state."""
        ...

    def mean_loss(self, state: State, samples: DeviceSamples, batch_size: int) -> float:
        """Return the mean loss over samples, computed in batches. Changes nothing."""
        ...

    def copy(self, weights: Any) -> Any:
        """Return weights that later epochs do not consume."""
        ...

    def model(self, weights: Any) -> Any:
        """Return the model with a copy of these weights."""
        ...

    def are_finite(self, weights: Any) -> bool:
        """Return whether all numbers of the weights are finite."""
        ...

    def to_arrays(self, tree: Any) -> dict[str, Shaped[np.ndarray, "..."]]:
        """Return weights or moments as arrays by name, none of them complex."""
        ...

    def from_arrays(self, arrays: Mapping[str, Shaped[np.ndarray, "..."]], like: Any) -> Any:
        """Return the tree of `to_arrays`. Raises `FormatError` unless it is one like another."""
        ...


@runtime_checkable
class Engine(Protocol):
    """A model, and what its library does with it."""

    trained: ClassVar[str]
    """The arrays of a model that this library trains, for messages."""

    @property
    def has_weights(self) -> bool:
        """Whether there is anything to train."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of data for the model: that of its weights, which NumPy may have wider."""
        ...

    def computing(self) -> AbstractContextManager[Any]:
        """Return a context in which all other functions are called."""
        ...

    def samples_of(self, data: Data | Pair, name: str = "the data") -> DeviceSamples:
        """Return samples in the dtype of the weights, on their device."""
        ...

    def outputs(self, x: Shaped[np.ndarray, "n d"], batch_size: int) -> Inexact[np.ndarray, "n m"]:
        """Return f(x) for every row, computed in the model's precision."""
        ...

    def output_shape(self, x: Shaped[Any, "n ..."]) -> tuple[int, ...]:
        """Return the shape of f(x)."""
        ...

    def mean_loss(self, samples: DeviceSamples, loss: Loss, batch_size: int) -> float:
        """Return the mean loss over samples, computed in batches."""
        ...

    def steps(
        self, loss: Loss, optimizer: Any, batches: Batches, microbatch_size: int | None, seed: int
    ) -> Steps:
        """Return the steps of a fit.

        Raises `InvalidSetting` for anything but an optimiser, and for weights in half precision.
        """
        ...

    def default_optimizer(self) -> Any:
        """Return Adam."""
        ...

    def has_own_rate(self, optimizer: Any) -> bool:
        """Return whether an optimiser has its own learning rate."""
        ...

    def rates(self, schedule: Schedule, total: int) -> Float[np.ndarray, " total"]:
        """Return the learning rates of a schedule at all steps."""
        ...

    def frame(self) -> Any:
        """Return what identifies the model, apart from the numbers of its weights."""
        ...

    def weight_arrays(self) -> list[Shaped[np.ndarray, "..."]]:
        """Return the weights as arrays of NumPy."""
        ...

    def versions(self) -> dict[str, str]:
        """Return the versions of the libraries, and the device."""
        ...


def engine_of(model: Any) -> Engine:
    """Return the engine of a model: PyTorch for its modules, and JAX for everything else.

    Raises `ModuleNotFoundError` for a model of JAX if the extra ``nn`` is not installed.
    """
    if is_torch_module(model):
        from intertwine.training.torch_engine import TorchEngine

        return TorchEngine(model)
    import_module("intertwine.nn")  # names the missing extra, and keeps compiled programs
    from intertwine.training.jax_engine import JaxEngine

    return JaxEngine(model)
