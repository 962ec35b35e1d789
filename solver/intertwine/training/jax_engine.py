"""Fits of models of JAX: Equinox modules, and functions."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Inexact, Shaped

from intertwine.architecture.precision import require_trainable
from intertwine.errors import FormatError
from intertwine.training.augmentation import Pool
from intertwine.training.batches import Batches
from intertwine.training.data import (
    Data,
    DeviceSamples,
    Pair,
    cast,
    is_weight,
    samples_of,
    weights_dtype,
)
from intertwine.training.engine import EpochsResult, Orders, State
from intertwine.training.epochs import Parts, Program, all_finite, batch_losses, train_epochs
from intertwine.training.losses import Loss
from intertwine.training.microbatches import microbatch_size_of
from intertwine.training.optimizers import Optimizer, has_own_rate, is_elementwise, transformation
from intertwine.training.precision import precision_of
from intertwine.training.schedules import Schedule, one_by_one
from intertwine.training.trained import versions


@dataclass(frozen=True)
class JaxEngine:
    """A model of JAX. Its weights are its inexact JAX arrays."""

    model: Any
    trained: ClassVar[str] = "inexact JAX arrays"

    @property
    def has_weights(self) -> bool:
        """Whether there is anything to train."""
        return weights_dtype(self.model) is not None

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of data: that of the weights, and float32 for those in half precision."""
        return np.result_type(weights_dtype(self.model) or jnp.zeros(()).dtype, np.float32)

    def computing(self) -> AbstractContextManager[Any]:
        """Return a context in which JAX computes in the precision of the weights."""
        return precision_of(self.model)

    def samples_of(self, data: Data | Pair, name: str = "the data") -> DeviceSamples:
        """Return samples in the dtype of the weights, on the device."""
        return samples_of(data, self.dtype, name, jnp.asarray)

    def outputs(self, x: Shaped[np.ndarray, "n d"], batch_size: int) -> Inexact[np.ndarray, "n m"]:
        """Return f(x) for every row, compiled."""
        x = cast(x, self.dtype)
        starts = range(0, len(x), batch_size)
        found = [np.asarray(_predict(self.model, x[at : at + batch_size])) for at in starts]
        return np.concatenate(found)

    def output_shape(self, x: Shaped[Any, "n ..."]) -> tuple[int, ...]:
        """Return the shape of f(x), without computing it."""
        return tuple(eqx.filter_eval_shape(self.model, x).shape)

    def mean_loss(self, samples: DeviceSamples, loss: Loss, batch_size: int) -> float:
        """Return the mean loss over samples, compiled."""
        return _mean_loss(self._parts, samples, loss, batch_size)

    def steps(
        self,
        loss: Loss,
        optimizer: Optimizer,
        batches: Batches,
        microbatch_size: int | None,
        seed: int,
    ) -> JaxSteps:
        """Return the steps of a fit. The seed has no effect: models draw no random numbers."""
        require_trainable(leaf.dtype for leaf in jax.tree.leaves(self._parts.weights))
        program = Program(
            self._parts.frame,
            loss,
            transformation(optimizer),
            batches,
            microbatch_size_of(loss, self.model, microbatch_size),
            is_elementwise(optimizer),
        )
        return JaxSteps(program, self._parts)

    def default_optimizer(self) -> Optimizer:
        """Return Adam."""
        return optax.adam

    def has_own_rate(self, optimizer: Optimizer) -> bool:
        """Return whether an optimiser is a transformation, which has its own learning rate."""
        return has_own_rate(optimizer)

    def rates(self, schedule: Schedule, total: int) -> Float[np.ndarray, " total"]:
        """Evaluate a schedule at all steps at once, or one by one if JAX cannot trace it."""
        try:
            found = jax.vmap(lambda t: jnp.asarray(schedule(t)))(jnp.arange(total))
        except jax.errors.JAXTypeError:
            return one_by_one(schedule, total)
        return np.asarray(found, float)

    def frame(self) -> Any:
        """Return the model without its weights."""
        return eqx.filter(self.model, is_weight, inverse=True)

    def weight_arrays(self) -> list[Shaped[np.ndarray, "..."]]:
        """Return the weights as arrays of NumPy."""
        return [np.asarray(leaf) for leaf in jax.tree.leaves(self._parts.weights)]

    def versions(self) -> dict[str, str]:
        """Return the versions of the libraries, and the device."""
        device = jax.devices()[0]
        return versions(
            {
                "jax": jax.__version__,
                "equinox": eqx.__version__,
                "optax": optax.__version__,
                "device": f"{device.platform} {device.device_kind}",
            }
        )

    @cached_property
    def _parts(self) -> Parts:
        return Parts.of(self.model)


@dataclass(frozen=True)
class JaxSteps:
    """Whole epochs in compiled code (`intertwine.training.epochs`)."""

    program: Program
    parts: Parts

    @property
    def microbatch_size(self) -> int | None:
        """The most samples in one computation of a gradient; None for a whole batch."""
        return self.program.microbatch_size

    def start(self) -> State:
        """Return the state before the first epoch, with copied weights: epochs consume it."""
        weights = self.parts.weights
        copied: State = _copy(State(weights, self.program.optimizer.init(weights)))
        return copied

    def advance(
        self,
        state: State,
        samples: DeviceSamples,
        pool: Pool | None,
        orders: Orders,
        epochs: range,
    ) -> EpochsResult:
        """Run the first epochs of the orders. Consumes the state."""
        constants, count = self.parts.constants, len(epochs)
        result: EpochsResult = train_epochs(
            self.program, state, constants, samples, pool, orders, count
        )
        return result

    def mean_loss(self, state: State, samples: DeviceSamples, batch_size: int) -> float:
        """Return the mean loss over samples, computed in batches."""
        parts = self.parts._replace(weights=state.weights)
        return _mean_loss(parts, samples, self.program.loss, batch_size)

    def copy(self, weights: Any) -> Any:
        """Return weights that later epochs do not consume."""
        return _copy(weights)

    def model(self, weights: Any) -> Any:
        """Return the model with a copy of these weights."""
        return self.parts._replace(weights=_copy(weights)).model

    def are_finite(self, weights: Any) -> bool:
        """Return whether all numbers of the weights are finite."""
        return bool(all_finite(weights))

    def to_arrays(self, tree: Any) -> dict[str, Shaped[np.ndarray, "..."]]:
        """Return the arrays of a tree by number, and complex ones with a last axis of two."""
        return {str(i): _real(np.asarray(a)) for i, a in enumerate(jax.tree.leaves(tree))}

    def from_arrays(self, arrays: Mapping[str, Shaped[np.ndarray, "..."]], like: Any) -> Any:
        """Return a tree with these arrays, shaped like another.

        Raises `FormatError` for other shapes, and `KeyError` for a missing array.
        """
        leaves, structure = jax.tree.flatten(like)
        found = []
        for i, leaf in enumerate(leaves):
            array = arrays[str(i)]
            if np.iscomplexobj(leaf):
                array = np.ascontiguousarray(array).view(leaf.dtype)[..., 0]
            if array.shape != leaf.shape or array.dtype != leaf.dtype:
                raise FormatError(f"number {i} has shape {array.shape}, not {leaf.shape}")
            found.append(jnp.asarray(array))
        return jax.tree.unflatten(structure, found)


def _mean_loss(parts: Parts, samples: DeviceSamples, loss: Loss, batch_size: int) -> float:
    batches = Batches.of(len(samples.x), batch_size)
    losses = batch_losses(parts.frame, loss, batches, parts.weights, parts.constants, samples)
    return batches.mean(np.asarray(losses))


def _real(array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    if not np.iscomplexobj(array):
        return array.copy()
    return np.stack([array.real, array.imag], axis=-1)


@eqx.filter_jit
def _predict(model: Any, x: Any) -> Any:
    return model(jnp.asarray(x))


@jax.jit
def _copy(tree: Any) -> Any:
    """Return copies of the arrays, without weak types, for calls that consume them."""
    return jax.tree.map(lambda a: jnp.array(a, a.dtype), tree)
