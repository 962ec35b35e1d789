"""The history of a fit: losses by epoch, as rows, as JSON, and as curves."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, overload

from intertwine.errors import FormatError


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

    def plot(self) -> Any:
        """Return a Matplotlib figure of loss against epoch, on a logarithmic scale."""
        from matplotlib.figure import Figure  # no pyplot: no state, no window

        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.add_subplot()
        for name in ("train", "validation", "test"):
            points = self.column(f"{name}_loss")
            if points:
                axes.plot(*zip(*points, strict=True), label=name, marker="." * (len(points) < 2))
        if any(loss > 0 for name in ("train", "test") for _, loss in self.column(f"{name}_loss")):
            axes.set_yscale("log")
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss")
        if self.rows:
            axes.legend()
        axes.grid(alpha=0.3)
        return figure

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
