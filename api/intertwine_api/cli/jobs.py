"""`intertwine jobs`: the jobs of a service."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from intertwine_api.cli import common
from intertwine_api.wire.vocabulary import KINDS, STATES

if TYPE_CHECKING:
    from intertwine_api.client import Job


_EXAMPLES = """\
  intertwine jobs list --state running
  intertwine jobs show JOB
  intertwine jobs watch JOB && echo trained
  intertwine jobs logs JOB --follow
  intertwine jobs cancel JOB
  intertwine jobs list --remote https://lab.example.org/intertwine
"""


def add_to(commands: Any) -> None:
    """Describe the command and its actions."""
    parser = common.add_command(
        commands, "jobs", "Look at a service's jobs, watch, cancel or delete them.", _EXAMPLES
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = _action(actions, "list", run_list, "your jobs, the newest first")
    listing.add_argument("--state", choices=STATES, help="only those in this state")
    listing.add_argument("--kind", choices=KINDS, help="only of this kind")
    listing.add_argument("--label", help="only those with this label")
    listing.add_argument("--owner", help="only this owner's; an admin sees everybody's")
    listing.add_argument("--limit", type=int, default=50, help="how many at most (default 50)")
    for name, run, summary in (
        ("show", run_show, "one job: where it is, and what came of it"),
        ("watch", run_watch, "how it goes, until it has ended; the exit code is 1 if it failed"),
        ("logs", run_logs, "what its process printed"),
        ("cancel", run_cancel, "end jobs"),
        ("retry", run_retry, "let jobs that failed or were cancelled wait again"),
        ("delete", run_delete, "delete jobs that have ended"),
    ):
        action = _action(actions, name, run, summary)
        several = name in ("cancel", "retry", "delete")
        action.add_argument(
            "jobs" if several else "job",
            metavar="JOB",
            nargs="+" if several else None,
            help="the id of a job",
        )
        if name == "logs":
            action.add_argument("--tail", type=int, metavar="BYTES", help="only its end")
            action.add_argument("--follow", action="store_true", help="go on until it has ended")


def run_list(arguments: argparse.Namespace) -> int:
    """Print a line for each job."""
    from intertwine.errors import InvalidSetting

    if arguments.limit < 1:
        raise InvalidSetting(
            f"--limit {arguments.limit} lists nothing: give how many jobs at most, 1 or more"
        )
    filters = {name: getattr(arguments, name) for name in ("state", "kind", "label", "owner")}
    with common.open_client(arguments) as lab:
        found = lab.jobs(**filters, limit=arguments.limit)
    if arguments.json:
        common.print_json([job.document for job in found])
    else:
        columns = ("id", "name", "kind", "created", "state")
        common.print_columns(columns, map(_row, found))
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """Print one job."""
    with common.open_client(arguments) as lab:
        _print(lab.job(arguments.job), arguments)
    return 0


def run_watch(arguments: argparse.Namespace) -> int:
    """Show how a job goes, until it has ended; its document, as JSON, at the end."""
    with common.open_client(arguments) as lab:
        job = lab.job(arguments.job)
        if arguments.json:
            job.wait()
            common.print_json(job.document)
        else:
            job.watch()
            print(job.reason)
    return 0 if job.state == "succeeded" else 1


def run_logs(arguments: argparse.Namespace) -> int:
    """Print what a job's process printed."""
    with common.open_client(arguments) as lab:
        job = lab.job(arguments.job)
        if arguments.json:
            common.print_json({"job": job.id, "log": job.logs(arguments.tail)})
        elif arguments.follow:
            for piece in job.follow_logs(arguments.tail):
                sys.stdout.write(piece)
                sys.stdout.flush()
        else:
            sys.stdout.write(job.logs(arguments.tail))
    return 0


def run_cancel(arguments: argparse.Namespace) -> int:
    """End jobs."""
    return _change(arguments, lambda job: job.cancel())


def run_retry(arguments: argparse.Namespace) -> int:
    """Let jobs wait again."""
    return _change(arguments, lambda job: job.retry())


def run_delete(arguments: argparse.Namespace) -> int:
    """Delete jobs."""
    done, code = _each(arguments, lambda job: job.delete(), lambda job: f"{job.id} is deleted")
    if arguments.json:
        common.print_json({"deleted": [job.id for job in done]})
    return code


def _action(actions: Any, name: str, run: Callable[..., int], summary: str) -> Any:
    parser = actions.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    common.add_service(parser)
    parser.set_defaults(run=run)
    return parser


def _change(arguments: argparse.Namespace, change: Callable[[Job], Job]) -> int:
    done, code = _each(arguments, change, lambda job: f"{job.id} is {job.reason}")
    if arguments.json:
        common.print_json([job.document for job in done])
    return code


def _each(
    arguments: argparse.Namespace, act: Callable[[Job], object], told: Callable[[Job], str]
) -> tuple[list[Job], int]:
    """The jobs with which it went well, and the exit code of the worst that came of the others.

    What becomes of each job is said at once; those behind a service that is not there any more
    are not tried.
    """
    from intertwine.errors import IntertwineError

    from intertwine_api.client.errors import ConnectionFailed

    done, code = [], 0
    with common.open_client(arguments) as lab:
        for place, name in enumerate(arguments.jobs):
            try:
                job = lab.job(name)
                act(job)
            except IntertwineError as error:
                print(f"intertwine: {error}", file=sys.stderr)
                code = max(code, common.exit_code(error))
                if isinstance(error, ConnectionFailed):
                    _tell_untried(arguments.jobs[place + 1 :])
                    break
            else:
                done.append(job)
                if not arguments.json:
                    print(told(job))
    return done, code


def _tell_untried(names: Sequence[str]) -> None:
    if names:
        print(f"intertwine: not tried: {', '.join(names)}", file=sys.stderr)


def _row(job: Job) -> tuple[str, ...]:
    created = str(job.document["created"])[:16].replace("T", " ")
    limited = " (limited)" if job.warnings else ""  # `show` prints the warnings
    return job.id, job.name, str(job.document["kind"]), created, f"{job.summary}{limited}"


def _print(job: Job, arguments: argparse.Namespace) -> None:
    if arguments.json:
        common.print_json(job.document)
        return
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
