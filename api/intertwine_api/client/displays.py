"""What is seen of a job that is watched: a bar on a terminal or in a notebook, or lines of text."""

from __future__ import annotations

import io
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Protocol

from intertwine_api.client.watched import Watched

_PICTURE = 1.0  # seconds between pictures of the losses, which take some 50 ms each
_LINE = 5.0  # seconds between lines where nobody may be looking
_BAR = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {unit}{postfix}"
_CURVES = {"train": "train_loss", "validation": "validation_loss", "test": "test_loss"}


class Display(Protocol):
    """Something that shows a job."""

    def show(self, watched: Watched) -> None:
        """Show it as it is now."""

    def close(self) -> None:
        """It has ended, or nobody watches any more."""


@contextmanager
def display() -> Iterator[Display]:
    """The display that suits whoever looks at standard error."""
    shown: Display
    if "ipykernel" in sys.modules:
        shown = _Notebook()
    elif sys.stderr.isatty():
        shown = _Bar()
    else:
        shown = _Lines()
    try:
        yield shown
    finally:
        shown.close()


class _Bar:
    """A progress bar, by tqdm."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a notebook without widgets gets a bar of text
            from tqdm.auto import tqdm
        self._bar = tqdm(total=100, unit="%", bar_format=_BAR, dynamic_ncols=True, file=sys.stderr)

    def show(self, watched: Watched) -> None:
        """Move the bar."""
        done, of, unit = watched.done
        bar = self._bar
        for warning in watched.new_warnings():
            bar.write(f"warning: {warning}", file=sys.stderr)
        bar.total, bar.unit, bar.n = of, unit, done
        bar.set_description_str(watched.headline, refresh=False)
        bar.set_postfix_str(watched.figures, refresh=False)
        bar.refresh()

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


class _Notebook(_Bar):
    """The bar, and beneath it the losses as a picture, where Matplotlib is there."""

    def __init__(self) -> None:
        super().__init__()
        self._handle: Any = None
        self._due = 0.0
        self._watched: Watched | None = None
        self._draws = find_spec("matplotlib") is not None

    def show(self, watched: Watched) -> None:
        """Move the bar; draw now and then."""
        super().show(watched)
        self._watched = watched
        if time.monotonic() >= self._due:
            self._draw()
            self._due = time.monotonic() + _PICTURE

    def close(self) -> None:
        """Draw all there is."""
        super().close()
        self._draw()

    def _draw(self) -> None:
        if not self._draws or self._watched is None or not self._watched.losses:
            return
        from IPython import display as shown

        picture: Any = shown.Image(data=loss_picture(self._watched.rows), format="png")  # type: ignore[no-untyped-call]
        if self._handle is None:
            self._handle = shown.display(picture, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(picture)


class _Lines:
    """A line when something changes, and now and then; for files and pipes."""

    def __init__(self) -> None:
        self._said = ""
        self._due = 0.0

    def show(self, watched: Watched) -> None:
        """Print where there is news."""
        for warning in watched.new_warnings():
            print(f"warning: {warning}", file=sys.stderr, flush=True)
        if watched.headline != self._said or time.monotonic() >= self._due:
            self._said, self._due = watched.headline, time.monotonic() + _LINE
            done, of, unit = watched.done
            far = f"{done:,}/{of:,} {unit}" if 0 < done < of else ""
            parts = [watched.headline, far, watched.figures]
            print(", ".join(filter(None, parts)), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing is left to do."""


def loss_picture(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Loss against epoch on a logarithmic scale, as a PNG."""
    from matplotlib.figure import Figure  # no pyplot: no state, no window

    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for name, key in _CURVES.items():
        points = [(row["epoch"], row[key]) for row in rows if (row.get(key) or 0) > 0]
        if points:
            axes.plot(*zip(*points, strict=True), label=name, marker="." * (len(points) < 2))
    if axes.lines:
        axes.set_yscale("log")
        axes.legend()
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
