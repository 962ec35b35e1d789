"""The history of a fit: losses by epoch, as rows, as JSON, and as curves."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, overload

from intertwine.errors import FormatError, InvalidSetting
from intertwine.training.smoothing import require_smoothing, smoothed


@dataclass(frozen=True)
class Epoch:
    """One epoch: its number, from 1 on; losses; its first step's learning rate; the time.

    `train_loss` is the mean over the samples while the weights changed. Losses that were not
    measured are None, and so is the learning rate of an optimiser that has its own. `seconds` are
    counted from the start, including compilation; epochs of one call share its time equally.
    """

    epoch: int
    train_loss: float
    test_loss: float | None
    validation_loss: float | None
    learning_rate: float | None
    seconds: float


@dataclass(frozen=True)
class History(Sequence[Epoch]):
    """The epochs of a fit, in order."""

    rows: tuple[Epoch, ...]

    @overload
    def __getitem__(self, index: int) -> Epoch: ...
    @overload
    def __getitem__(self, index: slice) -> History: ...
    def __getitem__(self, index: int | slice) -> Epoch | History:
        return History(self.rows[index]) if isinstance(index, slice) else self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self.rows)

    def column(self, name: str) -> list[tuple[int, float]]:
        """Return (epoch, value) pairs where a quantity such as "test_loss" was measured."""
        pairs = [(row.epoch, getattr(row, name)) for row in self.rows]
        return [(epoch, value) for epoch, value in pairs if value is not None]

    def to_json(self) -> list[dict[str, Any]]:
        """Return the rows as dicts of numbers, for `json.dumps`."""
        return [asdict(row) for row in self.rows]

    @classmethod
    def from_json(cls, rows: Any) -> History:
        """Return the history that `to_json` wrote. Raises `FormatError` for anything else."""
        names = {field.name for field in fields(Epoch)}
        if not isinstance(rows, list) or any(
            not isinstance(row, dict) or set(row) != names for row in rows
        ):
            raise FormatError(f"a history is a list of objects with {', '.join(sorted(names))}")
        return cls(tuple(Epoch(**row) for row in rows))

    def plot(self, *, smooth: float = 0.0, scale: Literal["log", "linear"] = "log") -> Any:
        """Return a Matplotlib figure of loss against epoch.

        If the learning rate was measured, a second panel below shows it. `smooth` and `scale` are
        those of `plot_histories`.
        """
        return plot_histories({"": self}, smooth=smooth, scale=scale)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the curves to a picture, in the format of the file name: .png, .svg, .pdf."""
        self.plot().savefig(path)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.plot().savefig(buffer, format="png")
        return buffer.getvalue()

    def _repr_html_(self) -> str:
        picture = base64.b64encode(self._repr_png_()).decode()
        return f'<p>{self}</p><img alt="loss by epoch" src="data:image/png;base64,{picture}">'

    def __repr__(self) -> str:
        if not self.rows:
            return "History of no epochs"
        last = self.rows[-1]
        parts = [f"{len(self.rows):,} epochs in {last.seconds:.3g} s"]
        for name in ("train", "validation", "test"):
            if points := self.column(f"{name}_loss"):
                parts.append(f"{name} loss {points[-1][1]:.4g}")
        return f"History of {', '.join(parts)}"


_DASHES: dict[str, Any] = {"train": "-", "validation": ":", "test": "--"}
_FAINT = 0.3  # the opacity of the measured curve below its smoothed one


def plot_histories(
    histories: Mapping[str, History],
    *,
    smooth: float = 0.0,
    scale: Literal["log", "linear"] = "log",
) -> Any:
    """Return a Matplotlib figure of several histories by name, like `History.plot` of one.

    Each history has its colour; training losses are solid lines, validation losses dotted and test
    losses dashed. In the figure of one history, each loss has a colour instead. Names are shown as
    they are: dollar signs do not start a formula.

    With `smooth`, such as 0.9, the lines are averages of the losses: each earlier value has the
    weight of the next one times `smooth`. The measured losses remain as faint lines. `scale` is
    that of the losses and learning rates. Without a positive value, a panel has a linear scale.

    Raises `InvalidSetting` unless 0 ≤ smooth < 1 and the scale is "log" or "linear", and
    `Unavailable` without Matplotlib.
    """
    from intertwine.vis.picture import require_matplotlib

    if scale not in ("log", "linear"):
        raise InvalidSetting(f'scale is {scale!r}: give "log" or "linear"')
    require_smoothing(smooth)
    require_matplotlib()
    from matplotlib.figure import Figure  # no pyplot: no state, no window

    rows = list(histories.values())
    has_rates = any(history.column("learning_rate") for history in rows)
    figure = Figure(figsize=(6.4, 5.0 if has_rates else 4.0), layout="constrained")
    ratios = (4, 1) if has_rates else (1,)
    axes = figure.subplots(len(ratios), sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
    losses = axes[0]
    colours = _colours(len(rows))
    if len(rows) == 1:
        labelled = _draw_one(losses, rows[0], smooth)
    else:
        labelled = _draw_many(losses, histories, colours, smooth)
    if scale == "log" and any(
        loss > 0 for each in rows for name in _DASHES for _, loss in each.column(f"{name}_loss")
    ):
        losses.set_yscale("log")
    losses.set_ylabel("loss")
    if labelled:
        legend = losses.legend(list(labelled.values()), [str(at) for at in range(len(labelled))])
        for text, name in zip(legend.get_texts(), labelled, strict=True):
            text.set_parse_math(False)
            text.set_text(name)
    if has_rates:
        for history, colour in zip(rows, colours, strict=True):
            _draw(axes[1], history.column("learning_rate"), color=colour)
        axes[1].set_ylabel("learning rate")
        if scale == "log" and any(
            rate > 0 for each in rows for _, rate in each.column("learning_rate")
        ):
            axes[1].set_yscale("log")
    axes[-1].set_xlabel("epoch")
    for each in axes:
        each.grid(alpha=0.3)
    return figure


def _draw_one(axes: Any, history: History, smooth: float) -> dict[str, Any]:
    """Draw the losses of a history in different colours. Return the lines by their label."""
    columns = {name: history.column(f"{name}_loss") for name in ("train", "validation", "test")}
    return {name: _draw_loss(axes, points, smooth) for name, points in columns.items() if points}


def _draw_many(
    axes: Any, histories: Mapping[str, History], colours: Sequence[Any], smooth: float
) -> dict[str, Any]:
    """Draw each history in its colour. Return lines for the legend by their label."""
    from matplotlib.lines import Line2D

    labelled, measured = {}, set()
    for (name, history), colour in zip(histories.items(), colours, strict=True):
        labelled[name] = Line2D([], [], color=colour)
        for loss, dashes in _DASHES.items():
            if points := history.column(f"{loss}_loss"):
                measured.add(loss)
                _draw_loss(axes, points, smooth, color=colour, linestyle=dashes)
    for loss, dashes in _DASHES.items():
        if loss in measured:
            labelled.setdefault(f"{loss} loss", Line2D([], [], color="0.4", linestyle=dashes))
    return labelled


def _draw_loss(axes: Any, points: Sequence[tuple[int, float]], smooth: float, **style: Any) -> Any:
    """Draw a loss as it was measured; with `smooth`, faintly, and its average over it."""
    if not smooth:
        return _draw(axes, points, **style)
    line = _draw(axes, smoothed(points, smooth), zorder=2.5, **style)  # above the others
    _draw(axes, points, **{**style, "color": line.get_color(), "alpha": _FAINT})
    return line


def _draw(axes: Any, points: Sequence[tuple[int, float]], **style: Any) -> Any:
    """Draw a line through (epoch, value) pairs; a single one is a dot."""
    epochs, values = zip(*points, strict=True) if points else ((), ())
    return axes.plot(epochs, values, marker="." * (len(points) < 2), **style)[0]


def _colours(count: int) -> Sequence[Any]:
    from intertwine.vis.palette import cluster_colours

    return ["0.3"] if count == 1 else [tuple(colour) for colour in cluster_colours(count).tolist()]
