"""`intertwine admin`: back up, restore, verify, upgrade and adopt the data of a service."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from intertwine_api.cli import common

if TYPE_CHECKING:
    from intertwine_api.storage.backup import Backup
    from intertwine_api.storage.upgrades import Plan
    from intertwine_api.work.settings import Settings


_EXAMPLES = """\
  intertwine admin backup /backups/2026-12-01 --data /srv/intertwine
  intertwine admin restore /backups/2026-12-01 --data /srv/restored
  intertwine admin verify --data /srv/intertwine
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

    Bases are not in a backup: they are solved again. The exit code is 1 if the service has lost
    datasets or weights that its database refers to; the backup has everything else.
    """
    from intertwine_api.storage import backup
    from intertwine_api.storage.database import Database

    database = Database(settings.database_url)
    try:
        made = backup.back_up(database, settings.home, folder)
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

    Every file is compared with its digest first. Stop the service before.
    """
    from intertwine_api.storage import backup
    from intertwine_api.storage.database import Database

    database = Database(settings.database_url)
    try:
        made = backup.restore(folder, database, settings.home)
    finally:
        database.close()
    common.print_fields(_fields(made, folder), as_json)


@group.command("verify")
@common.as_json
@common.with_settings
def verify(settings: Settings, as_json: bool) -> int:
    """Hash datasets and weights, and look for missing ones. The exit code is 1 if one is wrong."""
    from intertwine_api.cli.keys import existing_database
    from intertwine_api.storage.backup import verify_objects
    from intertwine_api.storage.objects import Objects

    with existing_database(settings) as database:
        faults = list(verify_objects(database, Objects(settings.home / "objects")))
    if as_json:
        common.print_json(faults)
    else:
        print("\n".join(faults) or "everything is in order")
    return common.FAILED if faults else 0


@group.command("upgrade")
@click.option("--check", is_flag=True, help="Print what an upgrade would do, and change nothing.")
@click.option("--no-snapshot", is_flag=True, help="Upgrade without a snapshot of the database.")
@common.as_json
@common.with_settings
def upgrade(settings: Settings, check: bool, no_snapshot: bool, as_json: bool) -> int:
    """Take a snapshot of the database, upgrade its schema and verify it.

    Stop the services and workers of the older version before; their jobs may go on. With --check,
    the exit code is 0 if nothing is to be done, 1 if an upgrade is due, and 2 if none is possible:
    the database is of a newer version, or there is no room for the snapshot.
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
            f"{plan.held_jobs} jobs of an older Intertwine are running: they go on, and can be "
            f"retried if the new schema ends one"
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
    would be lost. Stop the services of both before.
    """
    from intertwine_api.cli.keys import existing_database
    from intertwine_api.storage import identity

    with existing_database(settings) as database:
        new = identity.adopt(database, settings.home)
        names = {"id": new, "data": str(settings.home), "database": str(database)}
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
