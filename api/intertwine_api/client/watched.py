"""What has been heard of a job that is watched, and how it is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from intertwine_api.client.following import Away, JobEvent, Seen

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
