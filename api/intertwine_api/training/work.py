"""Doing a training: the network, the fit, and what is measured of it in the end."""

from __future__ import annotations

import functools
import logging
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intertwine.errors import FormatError, ReachWarning

from intertwine_api.training.action import Action, Loss
from intertwine_api.training.building import action_of, build, dtype_of, load_saved
from intertwine_api.training.checking import action_for, completed, require_same_dtype
from intertwine_api.training.description import SavedModel, TrainingDescription, TrainRequest
from intertwine_api.training.judging import is_small_enough, measure
from intertwine_api.training.material import Material
from intertwine_api.training.points import Points
from intertwine_api.training.reporter import Reporter, Tell
from intertwine_api.training.standardising import stats_of

if TYPE_CHECKING:
    from intertwine.training import History, Trained

_LOG = logging.getLogger("intertwine.training")


@dataclass(frozen=True)
class Outcome:
    """A trained model, as it is published: its config and weights, and what is known of it.

    `metrics` are the losses of its weights, how the fit ended, and as "warnings" what the network
    cannot represent; `is_equivariant` says whether
    `equivariance_error` is no more than rounding makes.
    """

    model: Any
    config: Mapping[str, Any]
    blob: bytes
    history: History
    metrics: Mapping[str, Any]
    equivariance_error: float
    is_equivariant: bool
    provenance: Mapping[str, Any]


@dataclass(frozen=True)
class _Start:
    """A network before it is trained, with all that its training depends on."""

    model: Any
    action: Action
    dtype: str
    loss: Loss


@dataclass
class _Data:
    """Samples with their reps, as a fit takes them."""

    X: Any
    Y: Any
    rep_in: Any
    rep_out: Any
    symmetry: Any


def carry_out(
    request: TrainRequest,
    material: Material,
    *,
    folder: Path | None = None,
    callback: Tell | None = None,
    warned: Callable[[str], None] | None = None,
) -> Outcome:
    """Train, and measure what came of it.

    The training is kept in `folder`, if one is given, and the same call goes on from there, to the
    same weights bit for bit on the same machine. `callback` hears of the epochs while it runs, and
    what it raises ends it; `warned` hears what the network cannot represent. Raises the library's
    errors, `NonFiniteLoss` among them, and `OSError` where the disk is full.
    """
    import jax

    with jax.default_matmul_precision("highest"):  # a GPU takes fewer digits, unless it is told
        return _carried_out(request, material, folder, callback, warned)


def _carried_out(
    request: TrainRequest,
    material: Material,
    folder: Path | None,
    tell: Tell | None,
    warned: Callable[[str], None] | None,
) -> Outcome:
    from intertwine.nn.emlp import limits_of
    from intertwine.nn.saving import to_config
    from intertwine.training import evaluate

    start = _made(lambda: _start(request, material))
    said = limits_of(start.model)
    if warned is not None:
        for message in said:
            warned(message)
    to_config(start.model)  # raises for what could not be kept in the end
    trained = _fitted(request.training, start, material, folder, tell)
    model = trained.best if request.training.early_stopping else trained.model
    test = _with_reps(material.split.test, start)
    test_loss = evaluate(model, test, start.loss, batch_size=request.training.batch_size)
    error = measure(model, material.split, start.action)
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
        is_equivariant=is_small_enough(error, start.dtype, start.action),
        provenance=_provenance(request, material),
    )


def _start(request: TrainRequest, material: Material) -> _Start:
    described, asked = request.model, request.training
    if isinstance(described, SavedModel):
        if material.weights is None:
            raise FormatError("a saved model comes with a file of weights, and there is none")
        model = load_saved(described, material.weights)
        action, dtype = action_of(model), dtype_of(model)
        require_same_dtype(request, dtype)
        loss = action.loss_for(material.stored, asked.loss)
        action.require_fit(material.stored, loss)
    else:
        action, dtype = action_for(described, material.stored), asked.dtype
        loss = action.loss_for(material.stored, asked.loss)
        action.require_fit(material.stored, loss)
        model = build(described, action, dtype)
    start = _Start(model, action, dtype, loss)
    return _standardised(start, material) if asked.standardize else start


def _made(make: Callable[[], _Start]) -> _Start:
    """What is made, without the warnings of its reach: a job says them itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReachWarning)
        return make()


def _standardised(start: _Start, material: Material) -> _Start:
    """Around the network, unless it has been saved with such a layer around it."""
    from intertwine.nn import Standardize

    if isinstance(start.model, Standardize):
        return start
    points = _targets(material.split.train, start)
    stats = stats_of(points, start.action, start.loss, start.dtype)
    return _Start(Standardize(start.model, stats), start.action, start.dtype, start.loss)


def _fitted(
    training: TrainingDescription,
    start: _Start,
    material: Material,
    folder: Path | None,
    tell: Tell | None,
) -> Trained:
    from intertwine.training import fit

    parts = material.split
    reporter = Reporter(tell)
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
        optimizer=_optimizer(training.weight_decay),
        loss=start.loss,
        augment=training.augment,
        seed=training.seed,
        patience=None if training.early_stopping is None else training.early_stopping.patience,
        evaluate_every=training.looks_every,
        callback=reporter,
        progress=False,
        checkpoint=folder,
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


def _optimizer(weight_decay: float) -> Any:
    import optax

    if weight_decay == 0:
        return optax.adam
    return functools.partial(optax.adamw, weight_decay=weight_decay)


def _targets(points: Points, start: _Start) -> Points:
    return points if start.loss == "cross-entropy" else points.as_numbers()


def _with_reps(points: Points, start: _Start) -> _Data:
    own, action = _targets(points, start), start.action
    return _Data(own.X, own.Y, action.rep_in, action.rep_out, action.group)


def _least(history: History) -> float | None:
    found = [loss for _, loss in history.column("validation_loss")]
    return min(found) if found else None


def _provenance(request: TrainRequest, material: Material) -> dict[str, Any]:
    """Enough to do it again: the code, the machine's kind, the samples, the seeds, the settings."""
    from intertwine.training.trained import versions

    found = versions()
    device = found.pop("device")
    seeds, model = {"training": request.training.seed}, request.model
    if isinstance(model, SavedModel):
        start: dict[str, Any] = {"weights": model.weights}
    else:
        seeds["model"] = model.key
        start = completed(model, material.stored).model_dump(exclude_none=True)
    return {
        "code": found["intertwine"],
        "versions": found,
        "device": device,
        "data": dict(material.source),
        "seeds": seeds,
        "training": request.training.model_dump(),
        "model": start,
    }
