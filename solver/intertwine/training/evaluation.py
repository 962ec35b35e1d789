"""The loss of a model over data."""

from __future__ import annotations

from typing import Any

from intertwine.integers import checked_integer
from intertwine.training.data import Data, Pair
from intertwine.training.engine import engine_of
from intertwine.training.losses import Loss, loss_of, require_labels


def evaluate(
    model: Any, data: Data | Pair, loss: str | Loss = "mse", *, batch_size: int = 500
) -> float:
    """Return the mean loss over all samples, in batches of at most `batch_size`.

    It is exactly the mean over samples, whatever the batch size. Models of JAX are compiled, those
    of PyTorch are in eval mode. `loss` and errors are those of `fit`.
    """
    batch_size = checked_integer(batch_size, "batch_size", 1)
    engine = engine_of(model)
    with engine.computing():
        samples, found = engine.samples_of(data), loss_of(loss)
        require_labels(found, engine.output_shape, samples)
        return engine.mean_loss(samples, found, batch_size)
