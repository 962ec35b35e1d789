"""`intertwine admin`: back up, verify, upgrade and clean up the data of this machine's service."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from intertwine_api.cli import common

if TYPE_CHECKING:
    from intertwine_api.client import Client
    from intertwine_api.client.in_flight import InFlight
    from intertwine_api.storage.backup import Backup
    from intertwine_api.storage.upgrades import Plan
    from intertwine_api.work.settings import Settings

_WIDEST = 60  # characters of a cell
_EXAMPLES = """\
  intertwine admin backup /backups/2026-12-01 --data /srv/intertwine
  intertwine admin restore /backups/2026-12-01 --data /srv/restored
  intertwine admin verify --data /srv/intertwine
  intertwine admin gc --dry-run --data /srv/intertwine
  intertwine admin jobs --data /srv/intertwine
  intertwine admin solves --end 3f2a9c0b7d1e4f58 --remote https://lab.example.org/intertwine
  intertwine admin upgrade --check --data /srv/intertwine
  intertwine admin adopt --data /srv/new --database postgresql://lab@db.example.org/intertwine
"""

group = common.CommandGroup(
    "admin",
    "Back up, restore, verify, upgrade and adopt the data of this machine's service.",
    common.examples(_EXAMPLES),
)


@group.command("backup")
@click.argument("folder", metavar="DIR", type=common.PATH, help="A folder that does not exist yet.")
@common.as_json
@common.with_settings
def back_up(settings: Settings, folder: Path, as_json: bool) -> int:
    """Back up database, datasets, models, logs and checkpoints; the service may be running.

    Bases are not in a backup: they are solved again. The exit code is 1 if datasets or weights that
    the database refers to are missing; the backup has everything else.
    """
    from intertwine_api.storage import backup
    from intertwine_api.storage.database import Database
    from intertwine_api.work.settings import objects_of

    database = Database(settings.database_url)
    try:
        made = backup.back_up(database, settings.home, objects_of(settings), folder)
    finally:
        database.close()
    common.print_fields(_fields(made, folder), as_json)
    if made.missing:
        common.warn(
            f"{len(made.missing)} objects that the database refers to are missing: intertwine "
            f"admin verify lists them; restore them from an earlier backup"
        )
    return common.FAILED if made.missing else 0


@group.command("restore")
@click.argument("folder", metavar="DIR", type=common.PATH, help="The folder of a backup.")
@common.as_json
@common.with_settings
def restore(settings: Settings, folder: Path, as_json: bool) -> None:
    """Restore a backup into an empty data folder and an empty database, and upgrade its schema.

    The digest of every file is checked first. Stop the service before you restore.
    """
    from intertwine_api.storage import backup
    from intertwine_api.storage.database import Database
    from intertwine_api.work.settings import objects_of

    database = Database(settings.database_url)
    try:
        made = backup.restore(folder, database, settings.home, objects_of(settings))
    finally:
        database.close()
    common.print_fields(_fields(made, folder), as_json)


@group.command("verify")
@common.as_json
@common.with_settings
def verify(settings: Settings, as_json: bool) -> int:
    """Hash datasets and weights. The exit code is 1 if one is damaged or missing."""
    from intertwine_api.cli.keys import existing_database
    from intertwine_api.storage.backup import verify_objects
    from intertwine_api.work.settings import objects_of

    with existing_database(settings) as database:
        faults = list(verify_objects(database, objects_of(settings)))
    if as_json:
        common.print_json(faults)
    else:
        print("\n".join(faults) or "everything is in order")
    return common.FAILED if faults else 0


@group.command("gc")
@click.option("--dry-run", is_flag=True, help="Only print what would be deleted.")
@common.as_json
@common.with_settings
def collect(settings: Settings, dry_run: bool, as_json: bool) -> None:
    """Delete data by the settings INTERTWINE_KEEP_…; the service may be running.

    A service does the same when it starts, and then once a day.
    """
    from intertwine_api.cli.keys import existing_database
    from intertwine_api.storage.identity import require_same_service
    from intertwine_api.storage.uploads import Uploads
    from intertwine_api.work.logs import audited_command
    from intertwine_api.work.retention import Retention
    from intertwine_api.work.settings import objects_of

    home, objects = settings.home, objects_of(settings)
    with existing_database(settings) as database:
        require_same_service(database, home, objects)
        uploads = Uploads(home / "uploads")
        with audited_command(home):
            found = Retention(settings, database, objects, uploads).collect(is_dry=dry_run)
    if as_json:
        removed = {kind: vars(one) for kind, one in found.items()}
        common.print_json({"dry_run": dry_run, "removed": removed})
    else:
        rows = [(kind, f"{one.number:,}", f"{one.bytes:,}") for kind, one in found.items()]
        common.print_columns(
            ("would be deleted" if dry_run else "deleted", "number", "bytes"), rows
        )


_to_end = click.option(
    "--end", "names", metavar="ID", multiple=True, help="The id of one to end; may be repeated."
)


@group.command("jobs")
@_to_end
@common.as_json
@common.with_settings
def list_or_end_jobs(settings: Settings, names: Sequence[str], as_json: bool) -> None:
    """List the unfinished jobs of all owners, from the database, or cancel some of them.

    The service need not be running: a running job is stopped when its host sees the cancellation.
    """
    from intertwine.errors import NotFound

    from intertwine_api.cli.keys import existing_database
    from intertwine_api.wire.jobs import instant
    from intertwine_api.wire.problems import ProblemError
    from intertwine_api.work.logs import audit, audited_command
    from intertwine_api.work.queue import Queue

    columns = ("id", "owner", "kind", "state", "priority", "host", "since")
    with existing_database(settings) as database:
        queue = Queue(database)
        try:
            for name in names:
                job = queue.cancel(name, "cancelled by an admin")
                with audited_command(settings.home):
                    audit("job cancelled", None, id=job.id, owner=job.owner)
                _say_ended(f"{job.id} is {job.state}", as_json)
        except ProblemError as error:
            raise NotFound(error.problem.detail) from error
        jobs = [] if names else queue.unfinished_jobs()
    found = [
        {name: getattr(job, name) for name in columns[:-1]}
        | {"since": instant(job.started or job.created).isoformat(timespec="seconds")}
        for job in jobs
    ]
    _print_in_flight(found, columns, names, as_json)


@group.command("solves")
@_to_end
@common.with_client
def list_or_end_solves(client: Client, names: Sequence[str], as_json: bool) -> None:
    """List the solves in progress of a running service, or end some of them; for admins.

    Requests that wait for an ended solve get an error. Larger solves are jobs.
    """
    columns = ("id", "owner", "kind", "state", "stage", "since", "operations", "rep")
    _list_or_end(client, "solves", names, columns, as_json)


@group.command("uploads")
@_to_end
@common.with_client
def list_or_end_uploads(client: Client, names: Sequence[str], as_json: bool) -> None:
    """List the uploads in progress of a running service, or end some of them; for admins."""
    columns = ("id", "owner", "state", "since", "bytes", "declared")
    _list_or_end(client, "uploads", names, columns, as_json)


def _list_or_end(
    client: Client, what: InFlight, names: Sequence[str], columns: Sequence[str], as_json: bool
) -> None:
    for name in names:
        client.end_in_flight(what, name)
        _say_ended(f"{name} is ended", as_json)
    found = [] if names else client.in_flight(what)
    _print_in_flight(found, columns, names, as_json)


def _say_ended(text: str, as_json: bool) -> None:
    if not as_json:
        print(text)


def _print_in_flight(
    found: Sequence[Mapping[str, Any]], columns: Sequence[str], names: Sequence[str], as_json: bool
) -> None:
    """Print a table of what is in flight, or JSON with what was ended."""
    if as_json:
        common.print_json({"ended": list(names)} if names else list(found))
    elif not names:
        rows = [[_cell(document[name]) for name in columns] for document in found]
        common.print_columns(columns, rows)


def _cell(value: Any) -> str:
    text = "-" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


@group.command("upgrade")
@click.option("--check", is_flag=True, help="Print what an upgrade would do, and change nothing.")
@click.option("--no-snapshot", is_flag=True, help="Upgrade without a snapshot of the database.")
@common.as_json
@common.with_settings
def upgrade(settings: Settings, check: bool, no_snapshot: bool, as_json: bool) -> int:
    """Take a snapshot of the database, upgrade its schema and verify it.

    First stop the services and workers of the older version; their jobs may continue. With --check,
    the exit code is 0 if no upgrade is needed, 1 if one is, and 2 if it is not possible, because
    the database is of a newer version or there is no room for the snapshot.
    """
    from intertwine.errors import InvalidSetting, NotFound

    from intertwine_api.cli.keys import has_database
    from intertwine_api.storage import upgrades
    from intertwine_api.storage.database import Database

    if not has_database(settings):
        raise NotFound(
            f"there is no database {settings.database_url}: name the folder of the data with "
            f"--data, or the database with --database"
        )
    database = Database(settings.database_url)
    try:
        plan = upgrades.plan(database, settings.home)
        obstacle = "" if no_snapshot else plan.obstacle
        snapshot = None
        if not check:
            how: upgrades.Snapshots = "never" if no_snapshot else "always"
            snapshot = upgrades.upgrade(database, settings.home, how)
    finally:
        database.close()
    fields = _plan_fields(settings, plan, check, snapshot)
    if not as_json:
        fields["steps"] = "; ".join(fields["steps"]) or "none"
    common.print_fields(fields, as_json)
    if plan.is_due and plan.held_jobs:
        common.warn(
            f"{plan.held_jobs} jobs of an older Intertwine are running: they continue, and can be "
            f"retried if they fail with the new schema"
        )
    if check and obstacle:
        raise InvalidSetting(f"a snapshot cannot be taken: {obstacle}")
    return common.FAILED if check and plan.is_due else 0


@group.command("adopt")
@common.as_json
@common.with_settings
def adopt(settings: Settings, as_json: bool) -> None:
    """Declare that this data folder is the database's, after the right one was lost.

    A service refuses to start with another database's folder, because datasets, weights and logs
    would be lost. First stop the services of both.
    """
    from intertwine_api.cli.keys import existing_database
    from intertwine_api.storage import identity
    from intertwine_api.work.settings import objects_of

    with existing_database(settings) as database:
        objects = objects_of(settings)
        new = identity.adopt(database, settings.home, objects)
        names = {"id": new, "data": str(settings.home), "database": str(database)}
        if objects.bucket is not None:
            names["objects"] = objects.address
    common.print_fields(names, as_json)


def _plan_fields(
    settings: Settings, plan: Plan, check: bool, snapshot: Path | None
) -> dict[str, Any]:
    import intertwine
    from intertwine.bases import format as bases_format
    from intertwine.bases.certificate import SOLVER_VERSION
    from intertwine.errors import InvalidSetting

    from intertwine_api.storage.upgrades import count_bases
    from intertwine_api.work.settings import find_store

    try:
        bases, older = count_bases(find_store(settings))
    except InvalidSetting:  # the store is turned off
        bases, older = 0, 0
    return {
        "database": plan.database,
        "intertwine": intertwine.__version__,
        "written_by": plan.written_by or "not recorded",
        "schema": plan.schema or "none",
        "newest": plan.newest,
        "steps": [f"{version}: {what}" for version, what in plan.steps.items()],
        "upgrade": ("due" if check else "done") if plan.is_due else "not needed",
        "snapshot": "none" if snapshot is None else str(snapshot),
        "snapshot_bytes": plan.snapshot_bytes,
        "free_bytes": plan.free_bytes,
        "jobs_running": plan.held_jobs,
        "bases_format": bases_format.VERSION,
        "solver": SOLVER_VERSION,
        "bases": bases,
        "bases_to_solve_anew": older,
    }


def _fields(backup: Backup, folder: Path) -> dict[str, Any]:
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(backup.created))
    return {
        "backup": str(folder),
        "created": created,
        "database": backup.database,
        "objects": sum(name.startswith("objects/") for name in backup.files),
        "files": len(backup.files),
        "bytes": backup.size,
        "missing": len(backup.missing),
    }
