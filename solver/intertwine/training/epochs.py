"""Whole epochs as one compiled function.

Compilation depends only on shapes and on a `Program`. Learning rates, orders and the number of
epochs are data: a sweep over seeds, rates or lengths compiles once.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Bool, Float

from intertwine.training.augmentation import Pool
from intertwine.training.batches import Batches
from intertwine.training.data import DeviceSamples, is_weight
from intertwine.training.engine import EpochsResult, Orders, State
from intertwine.training.losses import Loss
from intertwine.training.microbatches import value_and_grad_in_microbatches
from intertwine.training.packing import Packing


@dataclass(frozen=True)
class Frame:
    """The part of a model outside its arrays: its other leaves, and its tree structure."""

    leaves: tuple[Hashable, ...]
    structure: Hashable

    @property
    def tree(self) -> Any:
        """Return the model without arrays."""
        return jax.tree.unflatten(self.structure, self.leaves)


class Parts(NamedTuple):
    """A model in three parts: trained weights, other arrays, and everything else."""

    weights: Any
    constants: Any
    frame: Frame

    @classmethod
    def of(cls, model: Any) -> Parts:
        """Split a model: its weights are the leaves that `is_weight` accepts."""
        weights, others = eqx.partition(model, is_weight)
        constants, rest = eqx.partition(others, _is_array)
        leaves, structure = jax.tree.flatten(rest)
        return cls(weights, constants, Frame(tuple(leaves), structure))

    @property
    def model(self) -> Any:
        """Return the model."""
        return eqx.combine(self.weights, self.constants, self.frame.tree)


@dataclass(frozen=True)
class Program:
    """The key of a compiled function, beside shapes. Without `microbatch_size`, the gradient of a
    batch is computed as a whole. `packs` says whether the optimiser gets packed weights.
    """

    frame: Frame
    loss: Loss
    optimizer: optax.GradientTransformation
    batches: Batches
    microbatch_size: int | None
    packs: bool


@partial(jax.jit, static_argnames=("program",), donate_argnames=("state",))
def train_epochs(
    program: Program,
    state: State,
    constants: Any,
    samples: DeviceSamples,
    pool: Pool | None,
    orders: Orders,
    count: Any,
) -> EpochsResult:
    """Run the first `count` epochs of `orders`. Consumes the state."""
    packing = Packing.of(state.weights) if program.packs else None
    if packing is not None:
        state = State(packing.pack(state.weights), packing.pack_all(state.moments))

    def step(carry: tuple[State, Any], own: Any, rate: Any) -> Any:
        (state, alive), (order, slots) = carry, own
        x, y = samples.x[order], samples.y[order]
        if pool is not None:
            x, y = pool.move(x, y, slots)

        def loss_of(weights: Any, x: Any, y: Any) -> Any:
            return program.loss(Parts(weights, constants, program.frame).model, x, y)

        weights = state.weights if packing is None else packing.unpack(state.weights)
        size = len(x) if program.microbatch_size is None else program.microbatch_size
        loss, gradient = value_and_grad_in_microbatches(loss_of, size)(weights, x, y)
        if packing is not None:
            gradient = packing.pack(gradient)
        alive = alive & jnp.isfinite(loss)
        moved = _moved(program.optimizer, state, gradient, rate)
        kept = jax.tree.map(partial(jnp.where, alive), moved, state)
        return (kept, alive), loss

    def epoch(carry: tuple[Any, State, Any, Any]) -> tuple[Any, State, Any, Any]:
        index, state, alive, losses = carry
        slots = None if orders.slots is None else orders.slots[index]
        by_sample, by_batch = (orders.samples[index], slots), orders.rates[index]
        carried, found = program.batches.scan(step, (state, alive), by_sample, by_batch)
        return index + 1, *carried, losses.at[index].set(found)

    losses = jnp.zeros(orders.rates.shape, _loss_dtype(state.weights))
    start = (jnp.int32(0), state, jnp.bool_(True), losses)
    _, state, alive, losses = lax.while_loop(lambda c: (c[0] < count) & c[2], epoch, start)
    if packing is not None:
        state = State(packing.unpack(state.weights), packing.unpack_all(state.moments))
    return EpochsResult(state, losses, alive & all_finite(state.weights))


@partial(jax.jit, static_argnames=("frame", "loss", "batches"))
def batch_losses(
    frame: Frame, loss: Loss, batches: Batches, weights: Any, constants: Any, samples: DeviceSamples
) -> Float[Array, " batches"]:
    """Return the loss of each batch, in the order of the samples."""
    model = Parts(weights, constants, frame).model

    def step(carry: None, own: DeviceSamples, batch: None) -> tuple[None, Any]:
        return None, loss(model, own.x, own.y)

    _, losses = batches.scan(step, None, samples, None)
    return losses  # type: ignore[no-any-return]


def all_finite(tree: Any) -> Bool[Array, ""]:
    """Return whether every number of a tree of arrays is finite."""
    return jnp.all(jnp.array([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]))


def _moved(optimizer: Any, state: State, gradient: Any, rate: Any) -> State:
    """Return the state after one step. Gradients are conjugated: JAX's gradient of a real function
    of complex z is the conjugate of the direction of ascent.
    """
    updates, moments = optimizer.update(
        jax.tree.map(jnp.conj, gradient), state.moments, state.weights
    )
    weights = jax.tree.map(
        lambda w, u: w + (rate.astype(w.real.dtype) * u).astype(w.dtype), state.weights, updates
    )
    return State(weights, moments)


def _loss_dtype(weights: Any) -> Any:
    return jnp.result_type(*jax.tree.leaves(weights), jnp.float32).type(0).real.dtype


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray)
