"""A job at a service, for programs that await."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from intertwine_api.client import jobs
from intertwine_api.client.connection import AsyncConnection
from intertwine_api.client.deadlines import Deadline
from intertwine_api.client.displays import display
from intertwine_api.client.following import Follower, JobEvent
from intertwine_api.client.job_view import JobView, detaching
from intertwine_api.client.lists import Document
from intertwine_api.client.results import history_of, obtain_result
from intertwine_api.client.steps import Operation
from intertwine_api.client.watched import Watched

if TYPE_CHECKING:
    from intertwine.training import History


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
