"""A job at a service: as it was last seen, for programs that wait and for those that await."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, closing, contextmanager
from typing import TYPE_CHECKING, Any

from intertwine_api.client import jobs
from intertwine_api.client.address import HERE
from intertwine_api.client.connection import AsyncConnection, Connection
from intertwine_api.client.displays import (
    Watched,
    condition,
    display,
    figures,
    html_table,
    title,
    warnings_of,
)
from intertwine_api.client.errors import JobCancelled, JobFailed, detached
from intertwine_api.client.following import Follower, JobEvent
from intertwine_api.client.jobs import history_of, obtain_result
from intertwine_api.client.retries import Deadline, Document
from intertwine_api.client.steps import Operation
from intertwine_api.wire.vocabulary import ENDED

if TYPE_CHECKING:
    from intertwine.training import History


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


class Job(JobView):
    """A job, as it was last seen; what asks the service anew refreshes that.

    Ctrl-C in `watch`, `wait` and `result` leaves the job alone, and says how to come back to it:
    a script ends there, a notebook runs no further cells. `cancel` ends a job.
    """

    def __init__(self, connection: Connection, document: Mapping[str, Any]) -> None:
        super().__init__(document)
        self._connection = connection

    def refresh(self) -> Job:
        """Look at it again."""
        return self._see(jobs.show_job(self.id, self._connection.retries))

    def watch(self) -> Job:
        """Show a progress bar with the losses, or why the job waits, until it has ended.

        A notebook shows the losses as a picture too, where Matplotlib is there.
        """
        watched, follower = Watched(), self._follower(0)
        with detaching(self.id, self._connection.place.shown), display() as shown:
            for told in self._connection.iterate(follower.watch()):
                watched.hear(told)
                shown.show(watched)
        self.document = watched.document
        return self

    def events(self, after: int = 0) -> Iterator[JobEvent]:
        """What happened to it behind the event numbered `after`, and happens until it has ended.

        Every event comes once and in order, also where the connection breaks meanwhile.
        """
        follower = self._follower(after)
        with closing(self._connection.iterate(follower.tell_events())) as told:
            yield from (event for event in told if isinstance(event, JobEvent))

    def metrics(self, points: int = 2000) -> list[dict[str, Any]]:
        """The losses by epoch; of more epochs than `points`, so many, spread evenly."""
        asked = jobs.list_metrics(self.id, points, self._connection.retries)
        return self._connection.run(asked)

    def history(self) -> History:
        """The losses by epoch, to plot. Needs the extra ``nn``."""
        return history_of(self.metrics(points=jobs.POINTS_MOST))

    def logs(self, tail: int | None = None) -> str:
        """What its process has printed, or the last `tail` bytes of that."""
        return self._connection.run(jobs.read_log(self.id, tail, self._connection.retries))

    def follow_logs(self, tail: int | None = None) -> Iterator[str]:
        """What its process prints, as it prints it, until it has ended."""
        yield from self._connection.iterate(jobs.tell_log(self.id, tail, self._connection.retries))

    def cancel(self) -> Job:
        """End it: at once while it waits, and else as soon as its process is gone."""
        return self._see(jobs.change_job(self.id, "cancel", self._connection.retries))

    def retry(self) -> Job:
        """Let it wait again, after it failed or was cancelled; it goes on from its checkpoint."""
        return self._see(jobs.change_job(self.id, "retry", self._connection.retries))

    def delete(self) -> None:
        """Delete it, after its end; a model that it made stays."""
        self._connection.run(jobs.delete_job(self.id, self._connection.retries))

    def wait(self, timeout: float | None = None) -> Job:
        """Wait for its end, and show nothing. Raises `WaitedTooLong` after `timeout` seconds.

        A service that was there may be away for an outage meanwhile, within the timeout.
        """
        return self._wait(Deadline(timeout))

    def result(self, timeout: float | None = None) -> Any:
        """Wait for its end, and bring here what came of it: a model ready to call, or a basis.

        Raises `JobFailed` with what ended it, `JobCancelled`, or `WaitedTooLong`.
        """
        deadline, held = Deadline(timeout), self._connection
        self._wait(deadline)
        self.require_succeeded()
        with detaching(self.id, held.place.shown):
            return held.run(obtain_result(self.document, deadline, held.retries))

    def _wait(self, deadline: Deadline) -> Job:
        held = self._connection
        with detaching(self.id, held.place.shown):
            return self._see(jobs.wait_for_job(self.id, deadline, held.retries))

    def _see(self, asked: Operation[Document]) -> Job:
        self.document = self._connection.run(asked)
        return self

    def _follower(self, after: int) -> Follower:
        return Follower(self.id, after, self._connection.retries)


class AsyncJob(JobView):
    """A `Job` whose methods are awaited. Cancelling what awaits them leaves the job alone."""

    def __init__(self, connection: AsyncConnection, document: Mapping[str, Any]) -> None:
        super().__init__(document)
        self._connection = connection

    async def refresh(self) -> AsyncJob:
        """Look at it again."""
        return await self._see(jobs.show_job(self.id, self._connection.retries))

    async def watch(self) -> AsyncJob:
        """Show a progress bar with the losses, or why the job waits, until it has ended.

        A notebook shows the losses as a picture too, where Matplotlib is there.
        """
        watched, follower = Watched(), self._follower(0)
        with detaching(self.id, self._connection.place.shown), display() as shown:
            async for told in self._connection.iterate(follower.watch()):
                watched.hear(told)
                shown.show(watched)
        self.document = watched.document
        return self

    async def events(self, after: int = 0) -> AsyncIterator[JobEvent]:
        """What happened to it behind the event numbered `after`, and happens until it has ended.

        Every event comes once and in order, also where the connection breaks meanwhile.
        """
        follower = self._follower(after)
        async with aclosing(self._connection.iterate(follower.tell_events())) as told:
            async for event in told:
                if isinstance(event, JobEvent):
                    yield event

    async def metrics(self, points: int = 2000) -> list[dict[str, Any]]:
        """The losses by epoch; of more epochs than `points`, so many, spread evenly."""
        asked = jobs.list_metrics(self.id, points, self._connection.retries)
        return await self._connection.run(asked)

    async def history(self) -> History:
        """The losses by epoch, to plot. Needs the extra ``nn``."""
        return history_of(await self.metrics(points=jobs.POINTS_MOST))

    async def logs(self, tail: int | None = None) -> str:
        """What its process has printed, or the last `tail` bytes of that."""
        return await self._connection.run(jobs.read_log(self.id, tail, self._connection.retries))

    async def follow_logs(self, tail: int | None = None) -> AsyncIterator[str]:
        """What its process prints, as it prints it, until it has ended."""
        asked = jobs.tell_log(self.id, tail, self._connection.retries)
        async with aclosing(self._connection.iterate(asked)) as told:
            async for piece in told:
                yield piece

    async def cancel(self) -> AsyncJob:
        """End it: at once while it waits, and else as soon as its process is gone."""
        return await self._see(jobs.change_job(self.id, "cancel", self._connection.retries))

    async def retry(self) -> AsyncJob:
        """Let it wait again, after it failed or was cancelled; it goes on from its checkpoint."""
        return await self._see(jobs.change_job(self.id, "retry", self._connection.retries))

    async def delete(self) -> None:
        """Delete it, after its end; a model that it made stays."""
        await self._connection.run(jobs.delete_job(self.id, self._connection.retries))

    async def wait(self, timeout: float | None = None) -> AsyncJob:
        """Wait for its end, and show nothing. Raises `WaitedTooLong` after `timeout` seconds.

        A service that was there may be away for an outage meanwhile, within the timeout.
        """
        return await self._wait(Deadline(timeout))

    async def result(self, timeout: float | None = None) -> Any:
        """Wait for its end, and bring here what came of it: a model ready to call, or a basis.

        Raises `JobFailed` with what ended it, `JobCancelled`, or `WaitedTooLong`.
        """
        deadline, held = Deadline(timeout), self._connection
        await self._wait(deadline)
        self.require_succeeded()
        with detaching(self.id, held.place.shown):
            return await held.run(obtain_result(self.document, deadline, held.retries))

    async def _wait(self, deadline: Deadline) -> AsyncJob:
        held = self._connection
        with detaching(self.id, held.place.shown):
            return await self._see(jobs.wait_for_job(self.id, deadline, held.retries))

    async def _see(self, asked: Operation[Document]) -> AsyncJob:
        self.document = await self._connection.run(asked)
        return self

    def _follower(self, after: int) -> Follower:
        return Follower(self.id, after, self._connection.retries)
