"""Displays of a watched job: a progress bar in a terminal or notebook, or lines of text."""

from __future__ import annotations

import io
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from intertwine_api.client.following import JobEvent, JobSnapshot, ServiceUnavailable
from intertwine_api.wire.vocabulary import duration

_LOSSES = {"train": "train_loss", "validation": "validation_loss", "test": "test_loss"}


class WatchedJob:
    """The latest known status of a job: its document, updated by later events."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = {}
        self.losses: dict[int, Mapping[str, Any]] = {}
        self.unavailable: str | None = None
        self._warnings = 0

    def update(self, item: JobSnapshot | JobEvent | ServiceUnavailable) -> None:
        """Apply what a `Follower` emits."""
        self.unavailable = None
        match item:
            case ServiceUnavailable(why):
                self.unavailable = why
            case JobSnapshot(document):
                self.document = dict(document)
            case JobEvent(_, "metrics", data):
                self.losses.update((row["epoch"], row) for row in data["rows"])
            case JobEvent(seq) if seq <= self.document["last_event"]:
                pass  # the document is newer
            case JobEvent(_, "state", data):
                self.document.update(state=data["state"], reason=data["reason"], queue=None)
            case JobEvent(_, "progress", data):
                self.document["progress"] = dict(data)

    def new_warnings(self) -> list[str]:
        """Return the job's warnings since the last call."""
        warnings = warnings_of(self.document)
        new, self._warnings = [*warnings[self._warnings :]], max(self._warnings, len(warnings))
        return new

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        """Return the losses by epoch, in order. An epoch that a retry repeats occurs once."""
        return [self.losses[epoch] for epoch in sorted(self.losses)]

    @property
    def done(self) -> tuple[float, float, str]:
        """Return the amount done, the total, and the unit (epochs or %)."""
        progress = self.document.get("progress") or {}
        if progress.get("epochs"):
            return progress.get("epoch") or 0, progress["epochs"], "epochs"
        fraction = 1 if self.document.get("state") == "succeeded" else progress.get("fraction")
        return round(100 * (fraction or 0)), 100, "%"

    @property
    def headline(self) -> str:
        """Return the job's title, and its state or why the service is unavailable."""
        state = condition(self.document) if self.unavailable is None else self.unavailable
        return f"{title(self.document)}: {state}"

    @property
    def figures(self) -> str:
        """Return the losses of the last epoch and the remaining time, as far as known."""
        return figures(self.document, self.rows[-1] if self.losses else {})


def title(document: Mapping[str, Any]) -> str:
    """Return a job's name and id."""
    name = document.get("name")
    return f"{name} ({document['id']})" if name else str(document["id"])


def condition(document: Mapping[str, Any]) -> str:
    """Return a job's state in words: why it waits, its stage, or why it ended."""
    state = str(document["state"])
    queue = document.get("queue") or {}
    if state == "queued" and queue:
        return f"number {queue['position']} in the queue, {queue['why']}"
    if state == "running":
        return (document.get("progress") or {}).get("stage") or state
    reason = (document.get("problem") or {}).get("detail") or document.get("reason")
    return state if state == "succeeded" or not reason else f"{state}, {reason}"


def figures(document: Mapping[str, Any], row: Mapping[str, Any] | None = None) -> str:
    """Return the losses of an epoch, else the last known ones, and the remaining time."""
    progress = document.get("progress") or {}
    last = (document.get("metrics") or {}).get("last") or {}
    known = {**last, **{k: v for k, v in progress.items() if v is not None}, **(row or {})}
    parts = [
        f"{name} loss {known[key]:.4g}" for name, key in _LOSSES.items() if _is_number(known, key)
    ]
    if _is_number(progress, "eta_seconds") and document.get("state") == "running":
        parts.append(f"{duration(progress['eta_seconds'])} to go")
    return ", ".join(parts)


def _is_number(document: Mapping[str, Any], name: str) -> bool:
    return isinstance(document.get(name), int | float)


def warnings_of(document: Mapping[str, Any]) -> Sequence[str]:
    """Return the warnings of a job's result, or, while it runs, of its progress."""
    parts = (document.get(name) or {} for name in ("result", "progress"))
    found: Sequence[str] = next((part["warnings"] for part in parts if "warnings" in part), ())
    return found


_PICTURE = 1.0  # seconds between plots of the losses, which take about 50 ms each
_LINE = 5.0  # seconds between lines in a file or pipe
_BAR = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {unit}{postfix}"


def make_display() -> _Bar | _Lines:
    """Return the display for a notebook, a terminal, or a file or pipe at standard error."""
    if "ipykernel" in sys.modules:
        return _Notebook()
    return _Bar() if sys.stderr.isatty() else _Lines()


class _Bar:
    """A progress bar of tqdm."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tqdm warns in a notebook without widgets
            from tqdm.auto import tqdm
        self._bar = tqdm(total=100, unit="%", bar_format=_BAR, dynamic_ncols=True, file=sys.stderr)

    def show(self, watched: WatchedJob) -> None:
        """Update the bar."""
        done, of, unit = watched.done
        bar = self._bar
        for warning in watched.new_warnings():
            bar.write(f"warning: {warning}", file=sys.stderr)
        bar.total, bar.unit, bar.n = of, unit, done
        bar.set_description_str(watched.headline, refresh=False)
        bar.set_postfix_str(watched.figures, refresh=False)
        bar.refresh()

    def close(self) -> None:
        """Close the bar and leave it visible."""
        self._bar.close()


class _Notebook(_Bar):
    """The bar, and below it a plot of the losses if Matplotlib is installed."""

    def __init__(self) -> None:
        super().__init__()
        self._handle: Any = None
        self._due = 0.0
        self._watched: WatchedJob | None = None
        self._draws = find_spec("matplotlib") is not None

    def show(self, watched: WatchedJob) -> None:
        """Update the bar, and the plot at most once per `_PICTURE` seconds."""
        super().show(watched)
        self._watched = watched
        if time.monotonic() >= self._due:
            self._draw()
            self._due = time.monotonic() + _PICTURE

    def close(self) -> None:
        """Close the bar and draw the final plot."""
        super().close()
        self._draw()

    def _draw(self) -> None:
        if not self._draws or self._watched is None or not self._watched.losses:
            return
        from intertwine.training import History
        from IPython import display as shown

        buffer = io.BytesIO()
        History.from_json(self._watched.rows).plot().savefig(buffer, format="png")
        picture: Any = shown.Image(data=buffer.getvalue(), format="png")  # type: ignore[no-untyped-call]
        if self._handle is None:
            self._handle = shown.display(picture, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(picture)


class _Lines:
    """A line of text per change of state, and every few seconds; for files and pipes."""

    def __init__(self) -> None:
        self._headline = ""
        self._due = 0.0

    def show(self, watched: WatchedJob) -> None:
        """Print new warnings, and a line if the state changed or `_LINE` seconds passed."""
        for warning in watched.new_warnings():
            print(f"warning: {warning}", file=sys.stderr, flush=True)
        if watched.headline != self._headline or time.monotonic() >= self._due:
            self._headline, self._due = watched.headline, time.monotonic() + _LINE
            done, of, unit = watched.done
            progress = f"{done:,}/{of:,} {unit}" if 0 < done < of else ""
            parts = [watched.headline, progress, watched.figures]
            print(", ".join(filter(None, parts)), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Do nothing."""
