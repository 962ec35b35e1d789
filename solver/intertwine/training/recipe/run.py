"""Running a recipe: the network, the fit, and the measurements of the trained model."""

from __future__ import annotations

import functools
import json
import logging
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from intertwine.datasets.standardisation import moments, no_moments
from intertwine.errors import FormatError, ReachWarning
from intertwine.saving.model_folder import write_model
from intertwine.training.recipe.description import SavedModel, TrainingDescription, TrainRequest
from intertwine.training.recipe.equivariance_check import is_rounding, measure_equivariance
from intertwine.training.recipe.framework import Framework, framework_named
from intertwine.training.recipe.network import build, dtype_of, load_saved, symmetry_of
from intertwine.training.recipe.reporter import Reporter, Tell
from intertwine.training.recipe.samples import Samples
from intertwine.training.recipe.task_symmetry import Loss, TaskSymmetry
from intertwine.training.recipe.training_data import TrainingData
from intertwine.training.recipe.validation import completed, require_same_dtype, symmetry_for

if TYPE_CHECKING:
    from intertwine.training import History, Trained

_LOG = logging.getLogger("intertwine.training")


def stats_of(
    samples: Samples, symmetry: TaskSymmetry, loss: Loss, dtype: str
) -> tuple[Float[np.ndarray, " d"], ...]:
    """Return means and scales of inputs and targets in `dtype`; scores of classes have 0 and 1."""
    out = symmetry.rep_out
    found = (
        *moments(samples.X, symmetry.rep_in),
        *(no_moments(out) if loss == "cross-entropy" else moments(samples.Y, out)),
    )
    return tuple(array.astype(dtype) for array in found)


@dataclass(frozen=True)
class Outcome:
    """A trained model, as it is published: its config, weights and measurements.

    `metrics` are the losses of its weights, how the fit ended, and as "warnings" what the network
    cannot represent; `is_equivariant` says whether `equivariance_error` is no more than rounding
    makes.
    """

    model: Any
    config: Mapping[str, Any]
    blob: bytes
    history: History
    metrics: Mapping[str, Any]
    equivariance_error: float
    is_equivariant: bool
    provenance: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the measurements and the provenance, for `json.dumps`."""
        return {
            **self.metrics,
            "equivariance_error": self.equivariance_error,
            "is_equivariant": self.is_equivariant,
            "provenance": self.provenance,
        }

    def save(self, folder: Path) -> None:
        """Write the model for `intertwine.nn.load` and `intertwine.torch.load`, and
        ``training.json`` with the losses.

        Plots the losses as ``losses.png`` if Matplotlib is installed.
        """
        write_model(folder, self.config, self.blob)
        record = {**self.to_json(), "history": self.history.to_json()}
        (folder / "training.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
        if find_spec("matplotlib") is not None:
            self.history.save(folder / "losses.png")


@dataclass(frozen=True)
class _Start:
    """A network before training, with everything that its training depends on."""

    model: Any
    symmetry: TaskSymmetry
    dtype: str
    loss: Loss
    framework: Framework


@dataclass
class _Data:
    """Samples with their reps, as a fit takes them."""

    X: Any
    Y: Any
    rep_in: Any
    rep_out: Any
    symmetry: Any


def run_training(
    request: TrainRequest,
    data: TrainingData,
    *,
    folder: Path | None = None,
    callback: Tell | None = None,
    warned: Callable[[str], None] | None = None,
    saved: Callable[[int], None] | None = None,
    progress: bool | None = False,
    require_room: Callable[[Path, int], None] | None = None,
) -> Outcome:
    """Train a model, and measure its losses and its equivariance.

    The training is kept in `folder`, if one is given, and the same call goes on from there, to the
    same weights bit for bit on the same machine. `callback` hears of the epochs while it runs, and
    what it raises ends it; `warned` hears what the network cannot represent; `saved` is called with
    the epoch of each checkpoint. `progress` shows a bar, as in `fit`. `require_room` is called with
    the folder and the bytes of a checkpoint before it is written, and what it raises ends the
    training, which keeps the checkpoint before. Raises the library's errors, `NonFiniteLoss` among
    them, `Unavailable` if the framework is not installed, and `OSError` where the disk is full.
    """
    framework = framework_named(request.framework)
    framework.require()
    with framework.training():
        return _carried_out(request, data, folder, callback, warned, saved, require_room, progress)


def _carried_out(
    request: TrainRequest,
    data: TrainingData,
    folder: Path | None,
    tell: Tell | None,
    warned: Callable[[str], None] | None,
    saved: Callable[[int], None] | None,
    require_room: Callable[[Path, int], None] | None,
    progress: bool | None,
) -> Outcome:
    from intertwine.training import evaluate

    start = _made(lambda: _start(request, data))
    to_config = start.framework.saving.to_config
    said = start.framework.limits_of(start.model)
    if warned is not None:
        for message in said:
            warned(message)
    to_config(start.model)  # raises now if the model could not be saved at the end
    trained = _fitted(request.training, start, data, folder, tell, saved, require_room, progress)
    model = trained.best if request.training.early_stopping else trained.model
    test = _with_reps(data.split.test, start)
    test_loss = evaluate(model, test, start.loss, batch_size=request.training.batch_size)
    error = measure_equivariance(model, data.split, start.symmetry)
    config, blob = to_config(model)
    last, kept = trained.history[-1], trained.history[-1]
    if request.training.early_stopping:
        kept = next(row for row in trained.history if row.epoch == trained.best_epoch)
    return Outcome(
        model=model,
        config=config,
        blob=blob,
        history=trained.history,
        metrics={
            "loss": start.loss,
            "train_loss": kept.train_loss,
            "test_loss": test_loss,
            "validation_loss": _least(trained.history),
            "best_epoch": trained.best_epoch,
            "epochs": len(trained.history),
            "seconds": last.seconds,
            "stopped": trained.stopped,
            **({"warnings": said} if said else {}),
        },
        equivariance_error=error,
        is_equivariant=is_rounding(error, start.dtype, start.symmetry),
        provenance=_provenance(request, data, model),
    )


def _start(request: TrainRequest, data: TrainingData) -> _Start:
    described, asked = request.model, request.training
    framework = framework_named(request.framework)
    if isinstance(described, SavedModel):
        if data.weights is None:
            raise FormatError("a saved model comes with a file of weights, and there is none")
        model = load_saved(described, data.weights, framework)
        symmetry, dtype = symmetry_of(model), dtype_of(model)
        require_same_dtype(request, dtype)
        loss = symmetry.loss_for(data.info, asked.loss)
        symmetry.require_fit(data.info, loss)
    else:
        symmetry, dtype = symmetry_for(described, data.info), asked.dtype
        loss = symmetry.loss_for(data.info, asked.loss)
        symmetry.require_fit(data.info, loss)
        model = build(described, symmetry, dtype, framework)
    start = _Start(model, symmetry, dtype, loss, framework)
    if asked.standardize:
        start = _standardised(start, data)
    return replace(start, model=framework.placed(start.model))


def _made(make: Callable[[], _Start]) -> _Start:
    """Call `make` without warnings of reach, which a job reports itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReachWarning)
        return make()


def _standardised(start: _Start, data: TrainingData) -> _Start:
    """Put a `Standardize` around the network, unless a saved model has one."""
    standardize = start.framework.layer("Standardize")
    if isinstance(start.model, standardize):
        return start
    samples = _targets(data.split.train, start)
    stats = stats_of(samples, start.symmetry, start.loss, start.dtype)
    return replace(start, model=standardize(start.model, stats))


def _fitted(
    training: TrainingDescription,
    start: _Start,
    data: TrainingData,
    folder: Path | None,
    tell: Tell | None,
    saved: Callable[[int], None] | None,
    require_room: Callable[[Path, int], None] | None,
    progress: bool | None,
) -> Trained:
    from intertwine.training import fit

    parts = data.split
    reporter = Reporter(tell)

    def prepare(folder: Path, more: int) -> None:
        reporter.flush()  # a fit that resumes from the checkpoint does not repeat these epochs
        if require_room is not None:
            require_room(folder, more)

    go_on = functools.partial(
        fit,
        start.model,
        _with_reps(parts.train, start),
        test=_with_reps(parts.test, start),
        validation=None if parts.validation is None else _with_reps(parts.validation, start),
        epochs=training.epochs,
        batch_size=training.batch_size,
        learning_rate=training.learning_rate,
        schedule=training.schedule,
        optimizer=start.framework.optimizer(training.weight_decay),
        loss=start.loss,
        augment=training.augment,
        seed=training.seed,
        patience=None if training.early_stopping is None else training.early_stopping.patience,
        evaluate_every=training.looks_every,
        callback=reporter,
        progress=progress,
        checkpoint=folder,
        on_checkpoint=saved,
        require_room=prepare,
    )
    try:
        trained = go_on()
    except FormatError as error:
        if folder is None:
            raise
        _LOG.warning("the training starts anew: %s", error)
        shutil.rmtree(folder)
        trained = go_on()
    reporter.flush()
    return trained


def _targets(samples: Samples, start: _Start) -> Samples:
    return samples if start.loss == "cross-entropy" else samples.as_numbers()


def _with_reps(samples: Samples, start: _Start) -> _Data:
    own, symmetry = _targets(samples, start), start.symmetry
    return _Data(own.X, own.Y, symmetry.rep_in, symmetry.rep_out, symmetry.group)


def _least(history: History) -> float | None:
    found = [loss for _, loss in history.column("validation_loss")]
    return min(found) if found else None


def _provenance(request: TrainRequest, data: TrainingData, model: Any) -> dict[str, Any]:
    """Return what is needed to repeat it: code, device, samples, seeds and settings."""
    from intertwine.training.engine import engine_of

    found = engine_of(model).versions()
    device = found.pop("device")
    seeds, asked = {"training": request.training.seed}, request.model
    if isinstance(asked, SavedModel):
        start: dict[str, Any] = {"weights": asked.weights}
    else:
        seeds["model"] = asked.key
        start = completed(asked, data.info).model_dump(exclude_none=True)
    return {
        "code": found["intertwine"],
        "framework": request.framework,
        "versions": found,
        "device": device,
        "data": dict(data.source),
        "seeds": seeds,
        "training": request.training.model_dump(),
        "model": start,
    }
