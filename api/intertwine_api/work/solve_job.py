"""Jobs of the kind "solve": find a basis and keep it in the store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from intertwine.invariants import Cost, Progress, estimate, solve
from intertwine_cache import Chain, Store
from pydantic import Field

from intertwine_api.wire.bases import BasisRequest
from intertwine_api.wire.basis_request import ParsedRequest, parse_request
from intertwine_api.wire.jobs import JobRequest
from intertwine_api.wire.names import Line
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work import traces
from intertwine_api.work.host_coordination import ELSEWHERE, HostCoordination
from intertwine_api.work.job import Job
from intertwine_api.work.job_kind import JobContext, JobKind, Submitter, ValidatedRequest


class SolveJob(JobRequest, BasisRequest):
    """A basis to find."""

    kind: Literal["solve"]
    name: Line | None = Field(default=None, description="the job's name, for people")

    def request(self) -> dict[str, Any]:
        """Return the request for the basis alone."""
        return self.model_dump(mode="json", include={*BasisRequest.model_fields}, exclude_none=True)


def validate(job: SolveJob, submitter: Submitter) -> ValidatedRequest:
    """Parse the request. Raises `ProblemError` without the scope, or if it costs too much."""
    submitter.caller.require("bases:solve")
    request = parse_request(job.request())
    require_affordable(request, submitter.settings.solve_operations, submitter.limits.memory)
    return ValidatedRequest(json.loads(request.task), request.key)


def require_affordable(request: ParsedRequest, operations: float, memory: int) -> Cost:
    """Return the estimated cost of a solve. Raises `ProblemError` with ``too-costly``."""
    cost = estimate(request.canonical, request.method)
    return require_below(cost, str(request.canonical), operations, memory)


def require_below(cost: Cost, what: str, operations: float, memory: int) -> Cost:
    """Return a cost. Raises `ProblemError` with ``too-costly`` if it is above the limits."""
    if cost.operations > operations or cost.memory > memory:
        raise ProblemError.of(
            "too-costly",
            f"{what} would take about {cost.operations:.2g} operations and "
            f"{cost.memory / 1e9:.3g} GB; this service spends {operations:.2g} and "
            f"{memory / 1e9:.3g} GB on it",
            estimate={"operations": cost.operations, "bytes": cost.memory},
            limit={"operations": operations, "bytes": memory},
        )
    return cost


def run(job: Job, context: JobContext) -> dict[str, Any]:
    """Solve for the basis. Return its {"key", "digest", "rank", "cached"}.

    Raises the library's errors, and `ProblemError` with ``not-kept`` if the store could not
    keep it.
    """
    request = parse_request(job.request)

    def report(progress: Progress) -> None:
        context.report({"stage": progress.stage, "fraction": progress.fraction})
        context.check()

    def wait() -> None:
        context.report({"stage": ELSEWHERE, "fraction": 0.0})
        context.check()
        if isinstance(context.store, Chain):
            context.store.ask_again(request.key, is_expected=True)

    hosts = HostCoordination.of(context.database, context.store)
    with (
        hosts.turn(request.key, job.limits.seconds, wait) as lease,
        traces.span("job.solve", {"intertwine.key": request.key}),
    ):
        basis = solve(
            request.canonical,
            method=request.method,
            backend=request.backend,
            tolerance=request.tolerance,
            progress=report,
            store=context.store,
        )
    hosts.end_after(lease, lambda: _finish_uploads(context.store, request.key))
    manifest = context.store.near.manifest(request.key)
    if manifest is None:
        detail = f"the basis of {request.rep} was found, and the store could not keep its bytes"
        raise ProblemError.of("not-kept", detail, bytes=basis.nbytes)
    return {
        "key": request.key,
        "digest": manifest.digest,
        "rank": basis.rank,
        "cached": bool(basis.cached),
    }


def _finish_uploads(store: Store | Chain, key: str) -> None:
    if isinstance(store, Chain):
        store.finish(key=key)


def links(job: Job) -> Mapping[str, str]:
    """Return the link to the basis."""
    return {"basis": f"/v1/bases/{job.subject}"} if job.subject else {}


SOLVE = JobKind("solve", SolveJob, validate, run, links)
