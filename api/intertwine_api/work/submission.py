"""Submission of jobs: what is validated before a job is queued."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from intertwine.invariants import Cost

from intertwine_api.storage.datasets import Datasets
from intertwine_api.storage.keys import Caller
from intertwine_api.storage.models import Models
from intertwine_api.storage.objects import Objects
from intertwine_api.storage.quota import Quota
from intertwine_api.wire.basis_request import ParsedRequest
from intertwine_api.wire.jobs import JobRequest, LimitsAsked
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work import traces
from intertwine_api.work.folder import JobFolder
from intertwine_api.work.job import Job, Limits, NewJob
from intertwine_api.work.job_kind import Submitter
from intertwine_api.work.kinds import KINDS
from intertwine_api.work.logs import audit
from intertwine_api.work.queue import Queue
from intertwine_api.work.settings import Settings
from intertwine_api.work.solve_job import require_affordable

_TRAINING_BYTES = 2**20  # reserved for the model and the log of a training


class Submission:
    """Submits jobs to the queue, after checks of scopes, limits and cost.

    `wake` is called when a new job is queued.
    """

    def __init__(
        self,
        settings: Settings,
        queue: Queue,
        datasets: Datasets,
        models: Models,
        objects: Objects,
        wake: Callable[[], None],
        quota: Quota,
    ) -> None:
        self._settings, self._queue, self._wake = settings, queue, wake
        self._quota = quota
        self._datasets, self._models, self._objects = datasets, models, objects

    def submit(self, request: JobRequest, caller: Caller, idempotency_key: str | None) -> Job:
        """Queue a job, or return the one that was submitted under its idempotency key.

        An earlier job is found by its key even if its dataset was deleted meanwhile. Raises the
        library's errors and `ProblemError` for a request that cannot be run.
        """
        original = request.model_dump(mode="json", exclude_unset=True)
        new = NewJob(
            kind=request.kind,
            owner=caller.owner,
            request=original,
            limits=Limits(0, 0),
            name=request.name or "",
            labels=tuple(request.labels),
            priority=_priority(request, caller),
            idempotency_key=idempotency_key,
            original_request=original,
        )
        earlier = self._queue.submitted(new)
        if earlier is not None:
            return earlier
        caller.require_priority(new.priority)
        kind = KINDS[request.kind]
        if self._settings.jobs:  # with 0, other hosts run the jobs, with their own installations
            kind.require_packages(request)
        limits = self.limits(request.limits)
        if request.kind == "train":
            self._quota.require(caller.owner, _TRAINING_BYTES)
        submitter = Submitter(
            caller,
            limits,
            self._settings,
            self._datasets,
            self._models,
            self._objects,
            self._quota.weights,
        )
        valid = kind.validate(request, submitter)
        return self._queue_job(
            replace(new, request=valid.request, limits=limits, subject=valid.subject), caller
        )

    def _queue_job(self, new: NewJob, caller: Caller) -> Job:
        job, is_new = self._queue.submit(new, self._settings.key_jobs)
        if is_new:
            audit("job created", caller, id=job.id, kind=job.kind, name=job.name)
            JobFolder.of(self._settings.home, job.id).note_trace(traces.headers())
            self._wake()
        return job

    def solve_once(self, request: ParsedRequest, caller: Caller) -> Job:
        """Return a job of the caller that solves for a basis: an unfinished one, or a new one.

        An unfinished job with lower limits, or a negative priority, is not used. Jobs of several
        owners for one basis run one after the other (see `Queue.claim`), and all but the first find
        it in the store: no owner waits in another's turn, or loses a solve that another cancels.
        """
        limits = Limits(self._settings.job_seconds, self._settings.solve_memory)
        latest = self._queue.newest(request.key, caller.owner)
        goes_on = latest is not None and latest.state in ("queued", "leased", "running")
        if latest and goes_on and latest.limits == limits and latest.priority >= 0:
            return latest
        new = NewJob(
            kind="solve",
            owner=caller.owner,
            request=json.loads(request.task),
            limits=limits,
            priority=min(0, caller.most_priority),
            subject=request.key,
        )
        # by this key, concurrent requests share one job
        turn = "first" if latest is None else f"after {latest.id}"
        try:
            key = f"basis {request.key} {turn}"
            return self._queue_job(replace(new, idempotency_key=key), caller)
        except ProblemError as error:
            winner = self._queue.newest(request.key, caller.owner)
            if error.problem.code != "idempotency-conflict" or winner is None:
                raise
            return winner  # its text of the rep was another

    def limits(self, asked: LimitsAsked) -> Limits:
        """Return the limits of a job. Raises `ProblemError` if it asks for more than allowed."""
        most = {"seconds": self._settings.job_seconds, "memory": self._settings.job_memory}
        wanted = {"seconds": asked.seconds, "memory": asked.memory}
        for name, value in wanted.items():
            if value is not None and value > most[name]:
                detail = f"a job may take {most[name]:,} {name} here, and this asks for {value:,}"
                raise ProblemError.of("invalid-request", detail)
        return Limits(
            seconds=asked.seconds or self._settings.job_seconds,
            memory=asked.memory or self._settings.job_memory,
            attempts=asked.attempts,
        )

    def cost(self, request: ParsedRequest) -> Cost:
        """Return the estimated cost of a basis.

        Raises `ProblemError` with ``too-costly`` if it exceeds the limits of solves and of jobs.
        """
        return require_affordable(
            request, self._settings.solve_operations, self._settings.solve_memory
        )

    def is_job(self, cost: Cost) -> bool:
        """Whether a basis of this cost is solved as a job, not by a worker of this process."""
        return cost.operations > self._settings.solve_job_operations


def _priority(request: JobRequest, caller: Caller) -> int:
    """Return the priority of a request: by default 0, or the key's limit if that is lower."""
    if "priority" in request.model_fields_set:
        return request.priority
    return min(request.priority, caller.most_priority)
