"""Fitting a model to data."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from intertwine.errors import InvalidSetting
from intertwine.groups import Group
from intertwine.integers import checked_integer
from intertwine.training.augmentation import Augmentation
from intertwine.training.batches import Batches
from intertwine.training.checkpoint import Checkpoint
from intertwine.training.checkpoint_policy import CheckpointPolicy
from intertwine.training.data import Data, DeviceSamples, Pair, reps_of
from intertwine.training.engine import Engine, engine_of
from intertwine.training.identity import identity_of, name_of
from intertwine.training.loop import Callback, Loop
from intertwine.training.losses import Loss, loss_of, require_labels
from intertwine.training.progress import progress_bar
from intertwine.training.schedules import Schedule, learning_rates
from intertwine.training.trained import Trained
from intertwine.training.training_state import TrainingState

_LEARNING_RATE = 3e-3


def fit(
    model: Any,
    data: Data | Pair,
    *,
    test: Data | Pair | None = None,
    validation: Data | Pair | None = None,
    epochs: int = 100,
    batch_size: int = 500,
    learning_rate: float | None = None,
    schedule: str | Schedule = "constant",
    optimizer: Any = None,
    loss: str | Loss = "mse",
    microbatch_size: int | None = None,
    augment: bool | Group = False,
    seed: int = 0,
    patience: int | None = None,
    evaluate_every: int = 1,
    callback: Callback | None = None,
    progress: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    on_checkpoint: Callable[[int], object] | None = None,
    require_room: Callable[[Path, int], object] | None = None,
) -> Trained:
    """Train a model: minimise the mean of `loss` over the data. The given model does not change.

    `model` is an Equinox module or a module of PyTorch, called with batches of inputs. Its inexact
    JAX arrays, or its parameters that require gradients, are trained in their own dtype, to which
    the data are cast. `data`, `test` and `validation` are those of `intertwine.datasets`, or pairs
    (X, Y).

    Epochs of JAX are compiled. Modules of PyTorch are trained on their own device, in training mode
    and as they are: give ``torch.compile(model)`` for long fits. Losses are measured in eval mode,
    and returned modules are in it. Random numbers of a module, as of dropout, depend on `seed` and
    the epoch alone. Buffers, as of batch normalisation, are weights.

    An epoch sees each sample once, in batches of equal size (to within one) up to `batch_size`, in
    an order that depends on `seed` and the epoch alone. `learning_rate` (0.003) follows `schedule`:
    "constant", "cosine", "warmup cosine", or a function of the step that is the learning rate
    itself. `optimizer`, Adam by default, is for JAX a function such as ``optax.adamw`` whose steps
    are multiplied by that rate, or an optax transformation such as ``optax.adamw(1e-3)``, which has
    its own. For PyTorch it is a class such as ``torch.optim.AdamW``, or a function that is called
    with the parameters and ``lr=1.0``; each step has the learning rates that it sets for groups of
    parameters, times that of the schedule.

    `loss` is "mse", the mean of |f(x) − y|²; "mae", of |f(x) − y|; "cross-entropy", for labels or
    probabilities; or a function loss(model, x, y) to a real scalar, the mean over the batch.
    Gradients are accumulated over microbatches of up to `microbatch_size` samples, which changes
    only rounding if the loss is a mean over samples and the model treats each sample separately.
    The default is 512 with JAX on a CPU, for built-in losses of models that consist of this
    library's layers. Otherwise batches are computed as a whole by default, because another loss may
    not be such a mean.

    With `augment`, a group (True: that of the data), every sample is moved by a random element of
    it each time it is seen.

    Test and validation losses are measured every `evaluate_every` epochs and after the last, and
    then `callback` is called with an `Event`: if it returns True the fit ends. With `patience` it
    ends when the validation loss (without validation data, the test loss) has not improved for so
    many epochs.

    `checkpoint` is a folder in which the fit is saved every `checkpoint_every` epochs, or else by
    the clock (first after seconds, and in a hundredth of the time). The same call resumes it, with
    the same result, bit for bit on the same machine. The second call may have more epochs, if that
    does not change the earlier learning rates: the result is that of one longer fit.
    `on_checkpoint` is called with the epoch after each save, and `require_room` with the folder and
    the number of bytes before it: what it raises ends the fit, and the previous checkpoint remains.

    Raises `NonFiniteLoss` when a loss or a weight is no longer finite, `InvalidSetting` for data or
    arguments that cannot be used and for a checkpoint of another fit, `FormatError` for a damaged
    checkpoint. Models, losses and optimisers are told apart by their classes, constants, closures
    and the bytecode of your functions, but not by global variables that these read, nor by the code
    of functions that they call.
    """
    batch_size = checked_integer(batch_size, "batch_size", 1)
    evaluate_every = checked_integer(evaluate_every, "evaluate_every", 1)
    epochs, seed = checked_integer(epochs, "epochs"), checked_integer(seed, "seed")
    if microbatch_size is not None:
        microbatch_size = checked_integer(microbatch_size, "microbatch_size", 1)
    if patience is not None:
        patience = checked_integer(patience, "patience", 1)
    if checkpoint_every is not None:
        checkpoint_every = checked_integer(checkpoint_every, "checkpoint_every", 1)
    if patience is not None and test is None and validation is None:
        raise InvalidSetting("patience watches a loss: give validation= or test= data with it")
    engine = engine_of(model)
    if not engine.has_weights:
        raise InvalidSetting(
            f"{type(model).__name__} has no weights: only {engine.trained} are trained"
        )
    if optimizer is None:
        optimizer = engine.default_optimizer()
    with engine.computing():
        samples = engine.samples_of(data)
        batches = Batches.of(len(samples.x), batch_size)
        rates = _rates(engine, optimizer, schedule, learning_rate, epochs, batches.count)
        found = loss_of(loss)
        given = {"test": test, "validation": validation}
        loop = Loop(
            steps=engine.steps(found, optimizer, batches, microbatch_size, seed),
            batches=batches,
            samples=samples,
            watched={
                name: engine.samples_of(one, _called(name))
                for name, one in given.items()
                if one is not None
            },
            batch_size=batch_size,
            seed=seed,
            augmentation=_augmentation(augment, data, samples, seed),
            rates=rates,
            shows_rates=not engine.has_own_rate(optimizer),
            patience=patience,
            evaluate_every=evaluate_every,
            callback=callback,
        )
        for name, given_samples in {"data": samples, **loop.watched}.items():
            require_labels(found, engine.output_shape, given_samples, _called(name))
        settings = {
            "loss": identity_of(loss if callable(loss) else found),
            "optimizer": identity_of(optimizer),
            "microbatch_size": microbatch_size,
            **_settings(loop, engine),
        }
        training = TrainingState(loop.steps.start())
        kept = None
        if checkpoint is not None:
            kept = Checkpoint(Path(checkpoint), settings, loop.steps, require_room)
            training = kept.resume(training, rates)
        policy = CheckpointPolicy(kept, checkpoint_every, on_checkpoint)
        with progress_bar(progress, epochs, training.epoch) as show:
            stopped = loop.run(training, policy, show)
        model, best = loop.steps.model(training.state.weights), training.best
        return Trained(
            model,
            model if best is None else loop.steps.model(best.weights),
            training.epoch if best is None else best.epoch,
            training.history,
            stopped,
            {**settings, "epochs": epochs, "schedule": name_of(schedule), **engine.versions()},
        )


def _called(name: str) -> str:
    return "the data" if name == "data" else f"the {name} data"


def _rates(
    engine: Engine,
    optimizer: Any,
    schedule: str | Schedule,
    learning_rate: float | None,
    epochs: int,
    batches: int,
) -> Float[np.ndarray, "epochs batches"]:
    """Return the factors of the optimiser's steps: 1 if it has its own learning rate."""
    if engine.has_own_rate(optimizer):
        if learning_rate is not None or schedule != "constant":
            raise InvalidSetting(
                "the optimizer has its own learning rate: give optax.adamw rather than "
                "optax.adamw(1e-3), or leave learning_rate and schedule out"
            )
        return np.ones((epochs, batches))
    if callable(schedule) and learning_rate is not None:
        raise InvalidSetting("a schedule that is a function is the learning rate: give one of them")
    rate = _LEARNING_RATE if learning_rate is None else learning_rate
    return learning_rates(schedule, rate, epochs, batches, engine.rates)


def _augmentation(
    augment: bool | Group, data: Data | Pair, samples: DeviceSamples, seed: int
) -> Augmentation | None:
    if augment is False:
        return None
    reps = reps_of(data, None, None, None if augment is True else augment)
    augmentation = Augmentation(*reps, len(samples.x), seed)
    augmentation.check(samples)
    return augmentation


def _settings(loop: Loop, engine: Engine) -> Mapping[str, Any]:
    """Return the settings that a resumed fit must share, beside the loss and the optimiser: all but
    learning rates and epochs.
    """
    augmentation, weights = loop.augmentation, engine.weight_arrays()
    return {
        "seed": loop.seed,
        "batch_size": loop.batch_size,
        "augment": None
        if augmentation is None
        else f"{augmentation.rep_in!r} → {augmentation.rep_out!r}",
        "patience": loop.patience,
        "evaluate_every": loop.evaluate_every,
        "data": loop.samples.digest,
        **{name: samples.digest for name, samples in loop.watched.items()},
        "model": identity_of(engine.frame()),
        "weights": ", ".join(f"{array.dtype.name}{array.shape}" for array in weights),
        "initial weights": _fingerprint(weights),
    }


def _fingerprint(weights: list[Shaped[np.ndarray, "..."]]) -> list[float]:
    """Return a number for each array that identifies it and changes little by rounding."""
    found = []
    for array in weights:
        flat = array.reshape(-1)
        numbers = np.concatenate([flat.real, flat.imag]).astype(np.float64)
        found.append(float(numbers @ np.cos(np.arange(len(numbers)))))
    return found
