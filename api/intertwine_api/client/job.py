"""The synchronous and the asynchronous job of a client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing, contextmanager
from typing import TYPE_CHECKING, Any, Generic, Self

from intertwine.notebook import html_table

from intertwine_api.client import displays, jobs
from intertwine_api.client.address import DEFAULT_URL
from intertwine_api.client.connection import (
    AnyConnection,
    AsyncConnection,
    Connection,
    iterate,
    run,
)
from intertwine_api.client.errors import JobCancelled, JobFailed, detached
from intertwine_api.client.following import Follower, JobEvent
from intertwine_api.client.messages import Document
from intertwine_api.wire.vocabulary import ENDED

if TYPE_CHECKING:
    from intertwine.training import History


class JobView(Generic[AnyConnection]):
    """The properties of a job's `document`, as the service last sent it."""

    def __init__(self, connection: AnyConnection, document: Mapping[str, Any]) -> None:
        self._connection, self.document = connection, document

    @property
    def id(self) -> str:
        """Return the id, for ``lab.job(id)``."""
        return str(self.document["id"])

    @property
    def name(self) -> str:
        """Return the name of the job and of the model that it trains."""
        return str(self.document["name"])

    @property
    def state(self) -> str:
        """Return queued, leased, running, cancelling, succeeded, failed or cancelled."""
        return str(self.document["state"])

    @property
    def reason(self) -> str:
        """Return why the job is in this state, or queued, in words."""
        return displays.condition(self.document)

    @property
    def has_ended(self) -> bool:
        """Return whether the job succeeded, failed or was cancelled."""
        return self.state in ENDED

    @property
    def progress(self) -> Mapping[str, Any]:
        """Return the known ones of stage, fraction, epoch, epochs, losses and eta_seconds."""
        return self.document.get("progress") or {}

    @property
    def training_result(self) -> Document:
        """Return the result of a training that succeeded: its model, version and measurements."""
        return jobs.training_result(self._connection, self.document)

    def require_succeeded(self) -> None:
        """Raise `JobFailed` or `JobCancelled` with the job's problem unless it succeeded."""
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
        """Return the state, progress and losses in words."""
        epoch, epochs = (self.progress.get(name) for name in ("epoch", "epochs"))
        trains = self.state == "running" and epoch and epochs
        progress = f"epoch {epoch} of {epochs}" if trains else ""
        parts = (self.reason, progress, displays.figures(self.document))
        return ", ".join(filter(None, parts))

    @property
    def warnings(self) -> Sequence[str]:
        """Return a sentence for each limitation of the network's expressiveness."""
        return displays.warnings_of(self.document)

    def __repr__(self) -> str:
        return f"<Job {displays.title(self.document)}: {self.summary}>"

    def _repr_html_(self) -> str:
        result = self.document.get("result") or {}
        error = result.get("equivariance_error")
        rows = {
            "job": self.id,
            "name": self.name,
            "state": self.summary,
            "model": f"{result['model']}, version {result.get('version')}"
            if "model" in result
            else "",
            "equivariance error": f"{error:.1e}" if isinstance(error, float) else "",
            "warning": "; ".join(self.warnings),
        }
        return html_table(rows.items())

    @contextmanager
    def _detaching(self) -> Iterator[None]:
        """Let Ctrl-C leave the job running: the `KeyboardInterrupt` says how to resume watching."""
        try:
            yield
        except KeyboardInterrupt:
            url = self._connection.address.display_url
            option = "" if url == DEFAULT_URL else f" --remote {url}"
            raise detached(
                f'detached: job {self.id} continues. Resume with lab.job("{self.id}").watch(), '
                f"or: intertwine jobs watch {self.id}{option}"
            ) from None

    @contextmanager
    def _display(self) -> Iterator[Callable[[Any], None]]:
        """Yield a function that shows what a `Follower` emits, and update the document at last."""
        watched = displays.WatchedJob()
        with self._detaching(), closing(displays.make_display()) as shown:

            def show(item: Any) -> None:
                watched.update(item)
                shown.show(watched)

            yield show
        self.document = watched.document

    async def _updated(self, operation: Awaitable[Document]) -> Self:
        """Return the job, with the document that the operation returns."""
        self.document = await operation
        return self

    async def _wait(self, timeout: float | None) -> Self:
        """Wait until the job has ended, and return it."""
        return await self._updated(jobs.wait_for_job(self._connection.within(timeout), self.id))

    async def _result(self, timeout: float | None) -> Any:
        """Wait until the job has ended, and return its result."""
        session = self._connection.within(timeout)
        await self._updated(jobs.wait_for_job(session, self.id))
        self.require_succeeded()
        return await jobs.obtain_result(session, self.document)


class Job(JobView[Connection]):
    """A job as last seen. Methods that return the job refresh it.

    Ctrl-C in `watch`, `wait` and `result` leaves the job running and says how to resume: it ends
    the script, or stops the notebook's cells. `cancel` ends the job.
    """

    def refresh(self) -> Job:
        """Fetch the job's document again."""
        return run(self._updated(jobs.show_job(self._connection, self.id)))

    def watch(self) -> Job:
        """Show a progress bar with the losses, or why the job is queued, until it has ended.

        A notebook also plots the losses if Matplotlib is installed.
        """
        with self._display() as show:
            for item in iterate(Follower(self._connection, self.id).watch()):
                show(item)
        return self

    def events(self, after: int = 0) -> Iterator[JobEvent]:
        """Yield the job's events after the number `after`, until the job has ended.

        Every event comes once and in order, also if the connection breaks.
        """
        with closing(iterate(Follower(self._connection, self.id, after).events())) as items:
            yield from (item for item in items if isinstance(item, JobEvent))

    def metrics(self, points: int = 2000) -> list[dict[str, Any]]:
        """Return the losses by epoch, of at most `points` epochs, spread evenly."""
        return run(jobs.list_metrics(self._connection, self.id, points))

    def history(self) -> History:
        """Return the losses by epoch as a `History`, which plots."""
        from intertwine.training import History

        return History.from_json(self.metrics(points=jobs.MAX_POINTS))

    def logs(self, tail: int | None = None) -> str:
        """Return the output of the job's process, or its last `tail` bytes."""
        return "".join(iterate(jobs.read_log(self._connection, self.id, tail)))

    def follow_logs(self, tail: int | None = None) -> Iterator[str]:
        """Yield the output of the job's process as it is printed, until the job has ended."""
        yield from iterate(jobs.read_log(self._connection, self.id, tail, follow=True))

    def cancel(self) -> Job:
        """Cancel the job: at once if it is queued, else as soon as its process has ended."""
        return run(self._updated(jobs.change_job(self._connection, self.id, "cancel")))

    def retry(self) -> Job:
        """Queue a failed or cancelled job again. It continues from its last checkpoint."""
        return run(self._updated(jobs.change_job(self._connection, self.id, "retry")))

    def delete(self) -> None:
        """Delete the job after it has ended. A model that it published remains."""
        run(jobs.delete_job(self._connection, self.id))

    def wait(self, timeout: float | None = None) -> Job:
        """Wait until the job has ended. Raises `WaitedTooLong` after `timeout` seconds.

        Waiting continues through outages of the service within the timeout.
        """
        with self._detaching():
            return run(self._wait(timeout))

    def result(self, timeout: float | None = None) -> Any:
        """Wait until the job has ended and return its result: a model ready to call, or a basis.

        Raises `JobFailed`, `JobCancelled`, or `WaitedTooLong` after `timeout` seconds.
        """
        with self._detaching():
            return run(self._result(timeout))


class AsyncJob(JobView[AsyncConnection]):
    """A `Job` whose methods are awaited. Cancelling such a call leaves the job running."""

    async def refresh(self) -> AsyncJob:
        """Fetch the job's document again."""
        return await self._updated(jobs.show_job(self._connection, self.id))

    async def watch(self) -> AsyncJob:
        """Show a progress bar with the losses, or why the job is queued, until it has ended.

        A notebook also plots the losses if Matplotlib is installed.
        """
        with self._display() as show:
            async for item in Follower(self._connection, self.id).watch():
                show(item)
        return self

    async def events(self, after: int = 0) -> AsyncIterator[JobEvent]:
        """Yield the job's events after the number `after`, until the job has ended.

        Every event comes once and in order, also if the connection breaks.
        """
        async with aclosing(Follower(self._connection, self.id, after).events()) as items:
            async for item in items:
                if isinstance(item, JobEvent):
                    yield item

    async def metrics(self, points: int = 2000) -> list[dict[str, Any]]:
        """Return the losses by epoch, of at most `points` epochs, spread evenly."""
        return await jobs.list_metrics(self._connection, self.id, points)

    async def history(self) -> History:
        """Return the losses by epoch as a `History`, which plots."""
        from intertwine.training import History

        return History.from_json(await self.metrics(points=jobs.MAX_POINTS))

    async def logs(self, tail: int | None = None) -> str:
        """Return the output of the job's process, or its last `tail` bytes."""
        pieces = jobs.read_log(self._connection, self.id, tail)
        return "".join([piece async for piece in pieces])

    async def follow_logs(self, tail: int | None = None) -> AsyncIterator[str]:
        """Yield the output of the job's process as it is printed, until the job has ended."""
        log = jobs.read_log(self._connection, self.id, tail, follow=True)
        async with aclosing(log) as pieces:
            async for piece in pieces:
                yield piece

    async def cancel(self) -> AsyncJob:
        """Cancel the job: at once if it is queued, else as soon as its process has ended."""
        return await self._updated(jobs.change_job(self._connection, self.id, "cancel"))

    async def retry(self) -> AsyncJob:
        """Queue a failed or cancelled job again. It continues from its last checkpoint."""
        return await self._updated(jobs.change_job(self._connection, self.id, "retry"))

    async def delete(self) -> None:
        """Delete the job after it has ended. A model that it published remains."""
        await jobs.delete_job(self._connection, self.id)

    async def wait(self, timeout: float | None = None) -> AsyncJob:
        """Wait until the job has ended. Raises `WaitedTooLong` after `timeout` seconds.

        Waiting continues through outages of the service within the timeout.
        """
        with self._detaching():
            return await self._wait(timeout)

    async def result(self, timeout: float | None = None) -> Any:
        """Wait until the job has ended and return its result: a model ready to call, or a basis.

        Raises `JobFailed`, `JobCancelled`, or `WaitedTooLong` after `timeout` seconds.
        """
        with self._detaching():
            return await self._result(timeout)
