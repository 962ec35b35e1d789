"""A job at a service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from intertwine_api.client import jobs
from intertwine_api.client.connection import Connection
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
