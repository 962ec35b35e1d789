"""The loss of a model over data."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from intertwine.integers import checked_integer
from intertwine.training.batches import Batches
from intertwine.training.data import Data, DeviceSamples, Pair, samples_of, weights_dtype
from intertwine.training.epochs import Parts, batch_losses
from intertwine.training.losses import Loss, loss_of, require_labels
from intertwine.training.precision import precision_of


def evaluate(
    model: Any, data: Data | Pair, loss: str | Loss = "mse", *, batch_size: int = 500
) -> float:
    """Return the mean loss over all samples, compiled, in batches of at most `batch_size`.

    It is exactly the mean over samples, whatever the batch size. `loss` and errors are those of
    `fit`.
    """
    batch_size = checked_integer(batch_size, "batch_size", 1)
    with precision_of(model):
        samples = samples_of(data, weights_dtype(model) or jnp.zeros(()).dtype)
        found = loss_of(loss)
        require_labels(found, model, samples)
        return mean_loss(Parts.of(model), samples, found, batch_size)


def mean_loss(parts: Parts, samples: DeviceSamples, loss: Loss, batch_size: int) -> float:
    """Return the mean loss of a model in parts."""
    batches = Batches.of(len(samples.x), batch_size)
    losses = batch_losses(parts.frame, loss, batches, parts.weights, parts.constants, samples)
    return weighted_mean(np.asarray(losses), batches)


def weighted_mean(losses: Float[np.ndarray, " batches"], batches: Batches) -> float:
    """Return the mean over samples, computed in float64 from the means over batches."""
    return float(losses.astype(float) @ batches.sizes / batches.samples)
