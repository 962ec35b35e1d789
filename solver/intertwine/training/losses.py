"""The losses that a fit minimises: means over a batch, as functions of the model.

They are those of JAX and of PyTorch: they compute in the library of the model's outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from intertwine.arrays import Array, in_numpy, is_torch, namespace
from intertwine.errors import InvalidSetting, UnknownMethod
from intertwine.training.data import DeviceSamples, are_labels
from intertwine.training.identity import has_hash, name_of

#: loss(model, x, y), a real scalar: the mean over the samples of a batch.
Loss = Callable[[Any, Any, Any], Any]


def mean_squared_error(
    model: Any, x: Shaped[Any, "b ..."], y: Shaped[Any, "b ..."]
) -> Float[Any, ""]:
    """Return the mean of |f(x) − y|² over samples and components; complex components count once."""
    distances = _distances(model, x, y)
    return namespace(distances).mean(distances**2)


def mean_absolute_error(
    model: Any, x: Shaped[Any, "b ..."], y: Shaped[Any, "b ..."]
) -> Float[Any, ""]:
    """Return the mean of |f(x) − y| over samples and components."""
    distances = _distances(model, x, y)
    return namespace(distances).mean(distances)


def cross_entropy(model: Any, x: Shaped[Any, "b ..."], y: Shaped[Any, "b ..."]) -> Float[Any, ""]:
    """Return the mean over samples of −log softmax(f(x)) at the right class.

    f(x) has shape (b, classes). y holds integer labels, of shape (b,) or (b, 1), or probabilities
    of shape (b, classes).
    """
    logits = model(x)
    has_labels = are_labels(y) and y.shape != logits.shape
    if not has_labels:
        _require_shape(logits, y)
    if is_torch(logits):
        from torch.nn.functional import cross_entropy as mean_of

        return mean_of(logits, y.reshape(len(y)).long() if has_labels else y.to(logits.dtype))
    import jax.numpy as jnp
    import optax

    if has_labels:
        labels = y.reshape(len(y))
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels))
    return jnp.mean(optax.softmax_cross_entropy(logits, y))


LOSSES: dict[str, Loss] = {
    "mse": mean_squared_error,
    "mae": mean_absolute_error,
    "cross-entropy": cross_entropy,
}


_OF_OUTPUTS = ("torch.nn.functional", "torch.nn.modules.loss", "optax.losses")
"""The modules of losses that take outputs and targets."""


def loss_of(loss: str | Loss) -> Loss:
    """Return a loss by its name, or as given.

    Raises `UnknownMethod` for an unknown name, and `InvalidSetting` for a loss of PyTorch or optax
    that takes outputs instead of the model.
    """
    if callable(loss):
        if str(getattr(loss, "__module__", "")).startswith(_OF_OUTPUTS):
            raise InvalidSetting(
                f"{name_of(loss)} takes outputs and targets, and a loss is called with the model, "
                f"inputs and targets: give loss=lambda model, x, y: f(model(x), y), where f is it"
            )
        return loss if has_hash(loss) else ByIdentity(loss)
    if loss not in LOSSES:
        raise UnknownMethod(
            f"there is no loss {loss!r}: there are {', '.join(LOSSES)}, or give a function "
            f"loss(model, x, y) that returns a scalar"
        )
    return LOSSES[loss]


class ByIdentity:
    """A loss without a hash, such as a module with arrays: compiled functions are found by it."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def __call__(self, model: Any, x: Any, y: Any) -> Any:
        """Return the loss."""
        return self.loss(model, x, y)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByIdentity) and self.loss is other.loss

    def __hash__(self) -> int:
        return id(self.loss)


def require_labels(
    loss: Loss,
    output_shape: Callable[[Any], tuple[int, ...]],
    samples: DeviceSamples,
    name: str = "the data",
) -> None:
    """Raise `InvalidSetting` if the loss takes class labels and a label is not one of the model's
    classes. `output_shape` gives the shape of its outputs for inputs.
    """
    if loss is not cross_entropy or not are_labels(samples.y):
        return
    logits, labels = output_shape(samples.x), in_numpy(samples.y)
    if labels.shape == logits or len(logits) != 2:
        return  # probabilities, or nothing that this loss takes
    flat, classes = labels.reshape(len(labels), -1), logits[1]
    bad = np.any((flat < 0) | (flat >= classes), axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        label = next(int(one) for one in flat[row] if not 0 <= one < classes)
        raise InvalidSetting(
            f"the label in row {row} of {name} is {label}, and the model tells {classes} classes "
            f"apart: labels are integers from 0 to {classes - 1}"
        )


def _distances(model: Any, x: Array, y: Array) -> Array:
    """Return |f(x) − y| for each component."""
    predicted = model(x)
    _require_shape(predicted, y)
    return abs(predicted - y)


def _require_shape(predicted: Array, y: Array) -> None:
    """Raise for different shapes: broadcasting (b,) against (b, 1) would pair all samples."""
    if predicted.shape != y.shape:
        raise InvalidSetting(
            f"the model answers a batch with the shape {predicted.shape}, and its targets have the "
            f"shape {y.shape}: they must agree"
        )
