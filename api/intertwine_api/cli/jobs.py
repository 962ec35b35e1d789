"""`intertwine jobs`: the jobs of a service."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from intertwine_api.cli import common
from intertwine_api.wire.vocabulary import KINDS, STATES

if TYPE_CHECKING:
    from intertwine_api.client import Client, Job


_EXAMPLES = """\
  intertwine jobs list --state running
  intertwine jobs show JOB
  intertwine jobs watch JOB && echo trained
  intertwine jobs logs JOB --follow
  intertwine jobs cancel JOB
  intertwine jobs list --remote https://lab.example.org/intertwine
"""


group = common.CommandGroup(
    "jobs", "Show, watch, cancel or delete a service's jobs.", common.examples(_EXAMPLES)
)
_one_job = click.argument("name", metavar="JOB", help="The id of a job.")
_several_jobs = click.argument(
    "names", metavar="JOB...", nargs=-1, required=True, help="The ids of jobs."
)


@group.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only jobs in this state.")
@click.option("--kind", type=click.Choice(KINDS), help="Only jobs of this kind.")
@click.option("--label", help="Only jobs with this label.")
@click.option("--owner", help="Only jobs of this owner; an admin sees all owners.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, help="The most jobs to list (default 50)."
)
@common.with_client
def print_list(client: Client, limit: int, as_json: bool, **filters: str | None) -> None:
    """List your jobs, the newest first."""
    found = client.jobs(**filters, limit=limit)
    if as_json:
        common.print_json([job.document for job in found])
    else:
        columns = ("id", "name", "kind", "created", "state")
        common.print_columns(columns, map(_row, found))


@group.command("show")
@_one_job
@common.with_client
def print_job(client: Client, name: str, as_json: bool) -> None:
    """Print one job: its state and its result."""
    job = client.job(name)
    if as_json:
        common.print_json(job.document)
    else:
        _print(job)


@group.command("watch")
@_one_job
@common.with_client
def watch(client: Client, name: str, as_json: bool) -> int:
    """Show a job's progress until it ends. The exit code is 1 if it failed."""
    job = client.job(name)
    if as_json:
        job.wait()
        common.print_json(job.document)
    else:
        job.watch()
        print(job.reason)
    return 0 if job.state == "succeeded" else common.FAILED


@group.command("logs")
@_one_job
@click.option("--tail", type=int, metavar="BYTES", help="Print only the end.")
@click.option("--follow", is_flag=True, help="Continue until the job ends.")
@common.with_client
def print_logs(client: Client, name: str, tail: int | None, follow: bool, as_json: bool) -> None:
    """Print the output of a job's process."""
    job = client.job(name)
    if as_json:
        common.print_json({"job": job.id, "log": job.logs(tail)})
    elif follow:
        for piece in job.follow_logs(tail):
            sys.stdout.write(piece)
            sys.stdout.flush()
    else:
        sys.stdout.write(job.logs(tail))


@group.command("cancel")
@_several_jobs
@common.with_client
def cancel(client: Client, names: Sequence[str], as_json: bool) -> int:
    """Cancel jobs."""
    return _change(client, names, as_json, lambda job: job.cancel())


@group.command("retry")
@_several_jobs
@common.with_client
def retry(client: Client, names: Sequence[str], as_json: bool) -> int:
    """Queue failed or cancelled jobs again."""
    return _change(client, names, as_json, lambda job: job.retry())


@group.command("delete")
@_several_jobs
@common.with_client
def delete(client: Client, names: Sequence[str], as_json: bool) -> int:
    """Delete jobs that have ended."""
    done, code = _each(client, names, as_json, lambda job: job.delete(), lambda job: "deleted")
    if as_json:
        common.print_json({"deleted": [job.id for job in done]})
    return code


def _change(
    client: Client, names: Sequence[str], as_json: bool, change: Callable[[Job], Job]
) -> int:
    done, code = _each(client, names, as_json, change, lambda job: job.reason)
    if as_json:
        common.print_json([job.document for job in done])
    return code


def _each(
    client: Client,
    names: Sequence[str],
    as_json: bool,
    act: Callable[[Job], object],
    condition: Callable[[Job], str],
) -> tuple[list[Job], int]:
    """Act on each job, and print its new condition, unless as JSON, or the error at once.

    Returns the jobs that succeeded and the highest exit code of the others. If the service cannot
    be reached, or the response is not from Intertwine, the remaining jobs are not tried.
    """
    from intertwine.errors import IntertwineError

    from intertwine_api.client.errors import ConnectionFailed, ForeignAnswer

    done, code = [], 0
    for place, name in enumerate(names):
        try:
            job = client.job(name)
            act(job)
        except IntertwineError as error:
            print(f"intertwine: {error}", file=sys.stderr)
            code = max(code, common.exit_code(error))
            if isinstance(error, ConnectionFailed | ForeignAnswer):
                if untried := names[place + 1 :]:
                    print(f"intertwine: not tried: {', '.join(untried)}", file=sys.stderr)
                break
        else:
            done.append(job)
            if not as_json:
                print(f"{job.id} is {condition(job)}")
    return done, code


def _row(job: Job) -> tuple[str, ...]:
    created = str(job.document["created"])[:16].replace("T", " ")
    limited = " (limited)" if job.warnings else ""  # `show` prints the warnings
    return job.id, job.name, str(job.document["kind"]), created, f"{job.summary}{limited}"


def _print(job: Job) -> None:
    document = job.document
    told = {
        "job": job.id,
        "name": job.name,
        "kind": document["kind"],
        "state": job.summary,
        "owner": document["owner"],
        "labels": ", ".join(document["labels"]),
        "priority": document["priority"] or "",
        "attempt": document["attempt"] or "",
        **{name: document[name] or "" for name in ("created", "started", "ended")},
        **{k: value for k, value in (document["result"] or {}).items() if k != "warnings"},
    }
    rows = [(name, str(value)) for name, value in told.items() if str(value)]
    common.print_table([*rows, *(("warning", warning) for warning in job.warnings)])
