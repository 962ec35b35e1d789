"""Handing in jobs: what is looked at before one waits."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from intertwine.invariants import Cost, estimate

from intertwine_api.access import Caller
from intertwine_api.asking import Asked, ask
from intertwine_api.job_documents import LimitsAsked, SolveJob, TrainJob
from intertwine_api.jobs.job import Job, Limits, NewJob
from intertwine_api.jobs.queue import Queue
from intertwine_api.models import Models
from intertwine_api.objects import Objects
from intertwine_api.problems import Problem, ProblemError
from intertwine_api.settings import Settings
from intertwine_api.training.checking import validate
from intertwine_api.training.description import TrainRequest
from intertwine_api.training.samples import Datasets


class Intake:
    """What a service takes in: who may hand in how much, and what is too large for it.

    `wake` is called when a job waits that did not wait before.
    """

    def __init__(
        self,
        settings: Settings,
        queue: Queue,
        datasets: Datasets,
        models: Models,
        objects: Objects,
        wake: Callable[[], None],
    ) -> None:
        self._settings, self._queue, self._wake = settings, queue, wake
        self._datasets, self._models, self._objects = datasets, models, objects

    def hand_in(
        self, asked_for: TrainJob | SolveJob, caller: Caller, idempotency_key: str | None
    ) -> Job:
        """The job that is asked for, or the one that was handed in under its idempotency key.

        The key finds what was sent under it before, whatever has become of its dataset meanwhile.
        Raises the library's errors and `ProblemError` for what it cannot be.
        """
        said = asked_for.model_dump(mode="json", exclude_unset=True)
        new = NewJob(
            kind=asked_for.kind,
            owner=caller.owner,
            request=said,
            limits=Limits(0, 0),
            name=asked_for.name or "",
            labels=tuple(asked_for.labels),
            priority=asked_for.priority,
            idempotency_key=idempotency_key,
            said=said,
        )
        earlier = self._queue.handed_in(new)
        if earlier is not None:
            return earlier
        limits, subject = self.limits(asked_for.limits), None
        if isinstance(asked_for, SolveJob):
            caller.require("bases:solve")
            asked = ask(asked_for.request())
            self._require_affordable(asked, limits.memory)
            request, subject = json.loads(asked.task), asked.key
        else:
            request = self._checked(asked_for, caller, limits)
        return self._submit(replace(new, request=request, limits=limits, subject=subject))

    def _checked(self, asked_for: TrainJob, caller: Caller, limits: Limits) -> dict[str, Any]:
        """What is to be trained, with what the dataset says of its reps."""
        if asked_for.name is not None:
            self._models.require_free(asked_for.name, caller.owner)
        training = TrainRequest.model_validate(asked_for.request())
        stored = self._datasets.facts(training.dataset, caller.owner)
        checked = validate(training, stored, self._objects, limits.memory, thoroughly=False)
        return checked.model_dump(mode="json", exclude_unset=True)

    def _submit(self, new: NewJob) -> Job:
        job, is_new = self._queue.submit(new, self._settings.key_jobs)
        if is_new:
            self._wake()
        return job

    def solve_once(self, asked: Asked, caller: Caller) -> Job:
        """The job that finds this basis: the one that waits or runs, whoever handed it in, or one
        that is handed in now, as where the other may take less or waits behind everything.
        """
        limits = Limits(self._settings.job_seconds, self._settings.solve_memory)
        latest = self._queue.latest(asked.key)
        goes_on = latest is not None and not latest.has_ended
        if latest and goes_on and latest.limits == limits and latest.priority >= 0:
            return latest
        new = NewJob(
            kind="solve",
            owner=caller.owner,
            request=json.loads(asked.task),
            limits=limits,
            subject=asked.key,
        )
        # so that one of two requests at the same time finds the other's job
        turn = "first" if latest is None else f"after {latest.id}"
        try:
            return self._submit(replace(new, idempotency_key=f"basis {asked.key} {turn}"))
        except ProblemError as error:
            winner = self._queue.latest(asked.key)
            if error.problem.code != "idempotency-conflict" or winner is None:
                raise
            return winner  # it wrote the same rep otherwise

    def limits(self, asked: LimitsAsked) -> Limits:
        """What a job may take. Raises `ProblemError` where it asks for more than there is here."""
        most = {"seconds": self._settings.job_seconds, "memory": self._settings.job_memory}
        wanted = {"seconds": asked.seconds, "memory": asked.memory}
        for name, value in wanted.items():
            if value is not None and value > most[name]:
                detail = f"a job may take {most[name]:,} {name} here, and this asks for {value:,}"
                raise ProblemError(Problem.of("invalid-request", detail))
        return Limits(
            seconds=asked.seconds or self._settings.job_seconds,
            memory=asked.memory or self._settings.job_memory,
            attempts=asked.attempts,
        )

    def place(self, asked: Asked) -> Literal["here", "job"]:
        """Where a basis is solved: by a worker of this process, or as a job.

        Raises `ProblemError` with ``too-costly`` where it is not solved at all.
        """
        cost = self._require_affordable(asked, self._settings.solve_memory)
        return "here" if cost.operations <= self._settings.solve_job_operations else "job"

    def _require_affordable(self, asked: Asked, memory: int) -> Cost:
        cost, operations = estimate(asked.canonical, asked.method), self._settings.solve_operations
        if cost.operations > operations or cost.memory > memory:
            raise ProblemError(
                Problem.of(
                    "too-costly",
                    f"{asked.canonical} would take about {cost.operations:.2g} operations and "
                    f"{cost.memory / 1e9:.3g} GB; this service spends {operations:.2g} and "
                    f"{memory / 1e9:.3g} GB on a solve",
                    estimate={"operations": cost.operations, "bytes": cost.memory},
                    limit={"operations": operations, "bytes": memory},
                )
            )
        return cost
