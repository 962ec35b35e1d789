"""A watched job, as people see it: a bar on a terminal or in a notebook, or lines of text."""

from __future__ import annotations

import io
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from importlib.util import find_spec
from typing import Any, Protocol

from intertwine_api.client.following import Away, JobEvent, Seen


def html_table(rows: Mapping[str, str]) -> str:
    """Names and values in two columns, as HTML; what has no value is left out."""
    cells = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th><td>{escape(value)}</td></tr>"
        for name, value in rows.items()
        if value
    )
    return f"<table>{cells}</table>"


_LOSSES = {"train": "train_loss", "validation": "validation_loss", "test": "test_loss"}


class Watched:
    """A job as it was last heard of: its document, changed by the events since."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = {}
        self.losses: dict[int, Mapping[str, Any]] = {}
        self.away: str | None = None
        self._warnings = 0

    def hear(self, told: Seen | JobEvent | Away) -> None:
        """Take in what a follower tells."""
        self.away = None
        match told:
            case Away(why):
                self.away = why
            case Seen(document):
                self.document = dict(document)
            case JobEvent(_, "metrics", data):
                self.losses.update((row["epoch"], row) for row in data["rows"])
            case JobEvent(seq) if seq <= self.document["last_event"]:
                pass  # the document is younger
            case JobEvent(_, "state", data):
                self.document.update(state=data["state"], reason=data["reason"], queue=None)
            case JobEvent(_, "progress", data):
                self.document["progress"] = dict(data)

    def new_warnings(self) -> list[str]:
        """The job's warnings that were not returned before."""
        every = warnings_of(self.document)
        new, self._warnings = [*every[self._warnings :]], max(self._warnings, len(every))
        return new

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        """The losses by epoch, in order; an epoch that a retry repeated is there once."""
        return [self.losses[epoch] for epoch in sorted(self.losses)]

    @property
    def done(self) -> tuple[float, float, str]:
        """How much is done, of how much, of what."""
        progress = self.document.get("progress") or {}
        if progress.get("epochs"):
            return progress.get("epoch") or 0, progress["epochs"], "epochs"
        fraction = 1 if self.document.get("state") == "succeeded" else progress.get("fraction")
        return round(100 * (fraction or 0)), 100, "%"

    @property
    def headline(self) -> str:
        """What it is called and what it does, or why it does not."""
        does = condition(self.document) if self.away is None else self.away
        return f"{title(self.document)}: {does}"

    @property
    def figures(self) -> str:
        """The losses of the last epoch, and how long it will take, as far as known."""
        return figures(self.document, self.rows[-1] if self.losses else {})


def title(document: Mapping[str, Any]) -> str:
    """What a job is called."""
    name = document.get("name")
    return f"{name} ({document['id']})" if name else str(document["id"])


def condition(document: Mapping[str, Any]) -> str:
    """The state of a job in words: why it waits, what it does, or what became of it."""
    state = str(document["state"])
    queue = document.get("queue") or {}
    if state == "queued" and queue:
        return f"number {queue['position']} in the queue, {queue['why']}"
    if state == "running":
        return (document.get("progress") or {}).get("stage") or state
    reason = (document.get("problem") or {}).get("detail") or document.get("reason")
    return state if state == "succeeded" or not reason else f"{state}, {reason}"


def figures(document: Mapping[str, Any], row: Mapping[str, Any] | None = None) -> str:
    """The losses of an epoch (else the last ones known), and how long the job will take."""
    progress = document.get("progress") or {}
    last = (document.get("metrics") or {}).get("last") or {}
    known = {**last, **{k: v for k, v in progress.items() if v is not None}, **(row or {})}
    said = [
        f"{name} loss {known[key]:.4g}" for name, key in _LOSSES.items() if _is_number(known, key)
    ]
    if _is_number(progress, "eta_seconds") and document.get("state") == "running":
        said.append(f"{duration(progress['eta_seconds'])} to go")
    return ", ".join(said)


def duration(seconds: float) -> str:
    """Some seconds as people say them: 41 s, 3:05, 2:10:00."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if not minutes:
        return f"{whole} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _is_number(document: Mapping[str, Any], name: str) -> bool:
    return isinstance(document.get(name), int | float)


def warnings_of(document: Mapping[str, Any]) -> Sequence[str]:
    """The warnings of a job's document: of its result, or, while it runs, of its progress."""
    told = (document.get(part) or {} for part in ("result", "progress"))
    found: Sequence[str] = next((known["warnings"] for known in told if "warnings" in known), ())
    return found


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
