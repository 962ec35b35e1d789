"""A job of the kind "solve": a basis into the store."""

from __future__ import annotations

from typing import Any

from intertwine.invariants import Progress, solve

from intertwine_api.asking import ask
from intertwine_api.jobs.context import Context
from intertwine_api.jobs.job import Job
from intertwine_api.problems import Problem, ProblemError


def run(job: Job, context: Context) -> dict[str, Any]:
    """Solve what ``POST /v1/bases`` asks for: {"key", "digest", "rank", "cached"} of the basis.

    Raises the library's errors, and `ProblemError` with ``not-kept`` where the store could not
    keep it.
    """
    asked = ask(job.request)

    def report(progress: Progress) -> None:
        context.report({"stage": progress.stage, "fraction": progress.fraction})
        context.check()

    basis = solve(
        asked.canonical,
        method=asked.method,
        backend=asked.backend,
        tolerance=asked.tolerance,
        progress=report,
        store=context.store,
    )
    manifest = context.store.manifest(asked.key)
    if manifest is None:
        detail = f"the basis of {asked.rep} was found, and the store could not keep its bytes"
        raise ProblemError(Problem.of("not-kept", detail, bytes=basis.nbytes))
    return {
        "key": asked.key,
        "digest": manifest.digest,
        "rank": basis.rank,
        "cached": basis.cached,
    }
