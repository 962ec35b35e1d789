"""The errors of trainings whose losses or weights are no longer finite."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from intertwine.errors import NonFiniteLoss
from intertwine.training.training_state import TrainingState

_ADVICE = "lower the learning rate, warm it up, or scale the data"


def not_finite(
    losses: Float[np.ndarray, "e batches"],
    rates: Float[np.ndarray, "e batches"],
    training: TrainingState,
    *,
    weights_are_finite: bool,
) -> NonFiniteLoss:
    """Return the error for the epochs after `training` whose losses or weights are not finite.

    `weights_are_finite` is whether all weights before the first bad batch are finite.
    """
    bad = ~np.isfinite(losses)
    if not bad.any():
        return NonFiniteLoss(
            f"weights are no longer finite after epoch {training.epoch + len(losses)}, though the "
            f"losses are (the last is {losses[-1, -1]:.4g}, at a learning rate of "
            f"{rates[-1, -1]:.3g}): {_ADVICE}"
        )
    step, batches = int(np.argmax(bad)), losses.shape[1]
    epoch, batch = divmod(step, batches)
    if step:
        before = f"the last finite loss is {losses.flat[step - 1]:.4g}"
    elif training.rows:
        before = f"the last finite loss is {training.rows[-1].train_loss:.4g}, an epoch's mean"
    else:
        before = "it is the first"
    if weights_are_finite:
        cause = "the weights were finite before it, so the model's output or the loss overflowed"
    else:
        cause = "weights were not finite before it, so an earlier step was too large"
    return NonFiniteLoss(
        f"the loss is {losses.flat[step]} in epoch {training.epoch + epoch + 1}, batch {batch + 1} "
        f"of {batches}, at a learning rate of {rates[epoch, batch]:.3g} ({before}). The data are "
        f"finite; {cause}: {_ADVICE}"
    )


def require_finite_loss(loss: float, name: str, epoch: int) -> None:
    """Raise `NonFiniteLoss` for a test or validation loss that is not finite."""
    if not math.isfinite(loss):
        raise NonFiniteLoss(
            f"the {name} loss is {loss} after epoch {epoch}, though the data, the weights and the "
            f"training loss are finite: the model overflows on the {name} data; {_ADVICE}"
        )
