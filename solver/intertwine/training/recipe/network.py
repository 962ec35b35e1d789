"""The network of a description or of a saved model, before training."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from intertwine.errors import FormatError, InvalidSetting, TooLarge
from intertwine.reps import Rep, parse
from intertwine.reps.syntax import groups_of
from intertwine.training.recipe.description import ModelDescription, SavedModel
from intertwine.training.recipe.framework import Framework
from intertwine.training.recipe.task_symmetry import MOST_WIDE, TaskSymmetry

MOST_WEIGHTS = 5 * 10**8
"""The largest number of weights: 2 GB, or 10 GB while training with Adam."""


def build(
    description: ModelDescription, symmetry: TaskSymmetry, dtype: str, framework: Framework
) -> Any:
    """Return the network of a description, with initial weights. Raises the library's errors.

    One in float64 is to be used inside `Framework.computing_in`.
    """
    assert symmetry.group is not None
    arguments: dict[str, Any] = {
        "ch": _channels(description.ch),
        "num_layers": description.num_layers,
        "key": description.key,
        "dtype": framework.dtype(dtype),
    }
    if description.type == "EMLP":
        arguments |= {
            "bilinear": description.bilinear,
            "channels": description.channels,
            "gain": description.gain,
        }
    make = framework.layer(description.type)
    with framework.computing_in(dtype):
        return make(symmetry.rep_in, symmetry.rep_out, symmetry.group, **arguments)


def load_saved(saved: SavedModel, weights: Path, framework: Framework) -> Any:
    """Return a saved model of either framework in this one, with the weights of a file.

    Raises `FormatError`, and `InvalidSetting` if the framework lacks a layer of the model.
    """
    from intertwine.training.engine import engine_of

    framework.require_layers(saved.config)
    model = framework.from_config(saved.config, weights.read_bytes())
    if not (hasattr(model, "rep_in") and hasattr(model, "rep_out")):
        raise FormatError(f"{model!r} does not say between which reps it is: it cannot be trained")
    if not engine_of(model).has_weights:
        raise InvalidSetting(f"{model!r} has no weights that could be trained")
    return model


def symmetry_of(model: Any) -> TaskSymmetry:
    """Return the reps of a loaded model, and its group, if it has one group."""
    groups = {group for rep in (model.rep_in, model.rep_out) for group in groups_of(rep)}
    return TaskSymmetry(model.rep_in, model.rep_out, groups.pop() if len(groups) == 1 else None)


def dtype_of(model: Any) -> str:
    """Return the precision of a model's weights: "float32" or "float64"."""
    from intertwine.training.engine import engine_of

    return "float64" if engine_of(model).dtype.name in ("float64", "complex128") else "float32"


def require_affordable(
    description: ModelDescription,
    symmetry: TaskSymmetry,
    batch: int,
    samples: int,
    dtype: str,
    memory: int,
) -> None:
    """Raise `TooLarge` if training would take too much memory, by counting alone.

    The weights are counted as those of dense layers, five times for the optimiser and a step; what
    a step remembers of a batch as eight numbers a channel and a sample.
    """
    widths = layer_widths(description, symmetry)
    weights = sum(a * b for a, b in pairwise(widths))
    if weights > MOST_WEIGHTS:
        raise TooLarge(
            f"layers of {_told(widths)} channels may have {weights:,} weights; at most "
            f"{MOST_WEIGHTS:,} are trained: give a smaller ch"
        )
    size = 8 if dtype == "float64" else 4
    rows = min(batch, samples)
    needed = size * (5 * weights + 8 * rows * sum(widths) + 3 * samples * (widths[0] + widths[-1]))
    if needed > memory:
        raise TooLarge(
            f"a training with layers of {_told(widths)} channels, in batches of {rows:,} of "
            f"{samples:,} samples, takes about {needed / 1e9:.3g} GB; it may have "
            f"{memory / 1e9:.3g} GB: give a smaller ch or batch_size, or more memory in limits"
        )


def layer_widths(description: ModelDescription, symmetry: TaskSymmetry) -> list[int]:
    """Return the sizes of inputs, hidden layers and outputs. Raises `TooLarge`."""
    ch = description.ch
    each: Sequence[int | str] = ch if isinstance(ch, list) else [ch] * description.num_layers
    hidden = [c if isinstance(c, int) else _size(c, symmetry) for c in each]
    return [symmetry.rep_in.size(), *hidden, symmetry.rep_out.size()]


def _size(text: str, symmetry: TaskSymmetry) -> int:
    rep = parse(text)
    bound = rep if symmetry.group is None or rep.is_concrete else rep(symmetry.group)
    if bound.size() > MOST_WIDE:
        raise TooLarge(
            f"the hidden rep {bound!r} has size {bound.size():,}; at most {MOST_WIDE:,} are trained"
        )
    return bound.size()


def _channels(ch: int | str | list[int | str]) -> int | Rep | list[int | Rep]:
    if isinstance(ch, list):
        return [c if isinstance(c, int) else parse(c) for c in ch]
    return ch if isinstance(ch, int) else parse(ch)


def _told(widths: Sequence[int]) -> str:
    return ", ".join(f"{width:,}" for width in widths)
