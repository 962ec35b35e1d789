"""A job as it was last seen: what the synchronous and the asynchronous one share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from intertwine_api.client.errors import JobCancelled, JobFailed, detached
from intertwine_api.client.place import HERE
from intertwine_api.client.tables import html_table
from intertwine_api.client.watched import condition, figures, title, warnings_of
from intertwine_api.jobs.job import ENDED


class JobView:
    """A job's document, read. It is as it was when it last came from the service."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document: Mapping[str, Any] = document

    @property
    def id(self) -> str:
        """The id, by which ``lab.job(id)`` finds it again."""
        return str(self.document["id"])

    @property
    def name(self) -> str:
        """What it was called; the model has this name too."""
        return str(self.document["name"])

    @property
    def state(self) -> str:
        """queued, leased, running, cancelling; or succeeded, failed, cancelled."""
        return str(self.document["state"])

    @property
    def reason(self) -> str:
        """Why it is in this state, or waits, in words."""
        return condition(self.document)

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self.state in ENDED

    @property
    def progress(self) -> Mapping[str, Any]:
        """Stage, fraction, epoch, epochs, losses and eta_seconds, as far as they were known."""
        return self.document.get("progress") or {}

    def require_succeeded(self) -> None:
        """Raises `JobFailed`, or `JobCancelled`, with what ended it, unless it succeeded."""
        problem = self.document.get("problem") or {
            "code": self.state,
            "status": 409,
            "detail": self.document["reason"],
        }
        if self.state != "succeeded":
            kind = JobCancelled if self.state == "cancelled" else JobFailed
            raise kind(self.id, problem)

    @property
    def summary(self) -> str:
        """In words: its state, how far it is, and its losses."""
        epoch, epochs = (self.progress.get(name) for name in ("epoch", "epochs"))
        runs = self.state == "running" and epoch and epochs
        parts = (self.reason, f"epoch {epoch} of {epochs}" if runs else "", figures(self.document))
        return ", ".join(filter(None, parts))

    @property
    def warnings(self) -> Sequence[str]:
        """What its network cannot represent, though others could, a sentence each."""
        return warnings_of(self.document)

    def __repr__(self) -> str:
        return f"<Job {title(self.document)}: {self.summary}>"

    def _repr_html_(self) -> str:
        result = self.document.get("result") or {}
        error = result.get("equivariance_error")
        rows = {
            "job": self.id,
            "name": self.name,
            "state": self.summary,
            "model": f"{result['model']}, version {result['version']}" if "model" in result else "",
            "equivariance error": f"{error:.1e}" if isinstance(error, float) else "",
            "warning": "; ".join(self.warnings),
        }
        return html_table(rows)


@contextmanager
def detaching(job: str, url: str) -> Iterator[None]:
    """Within it Ctrl-C leaves the job alone: the `KeyboardInterrupt` says how to come back."""
    try:
        yield
    except KeyboardInterrupt:
        there = "" if url == HERE else f" --remote {url}"
        raise detached(
            f'detached: job {job} goes on. Come back with lab.job("{job}").watch(), '
            f"or: intertwine jobs watch {job}{there}"
        ) from None
