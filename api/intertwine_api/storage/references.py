"""References to objects, and the deletion of objects without any."""

from __future__ import annotations

import logging
import time

from sqlalchemy import JSON, Connection, String, cast, exists, select, type_coerce

from intertwine_api.storage.database import Database
from intertwine_api.storage.objects import Objects
from intertwine_api.storage.tables import datasets, jobs, versions
from intertwine_api.storage.uploads import Uploads
from intertwine_api.wire.vocabulary import ENDED


def referred_to(connection: Connection) -> set[str]:
    """Return the digests that a dataset, a version of a model, or any job refers to.

    Jobs that have ended count: they may be retried until they are deleted.
    """
    request = type_coerce(jobs.c.request, JSON)
    columns = (
        datasets.c.id,
        versions.c.weights,
        request[("model", "weights")].as_string(),
        request["dataset"].as_string(),
    )
    found = (name for column in columns for name in connection.execute(select(column)).scalars())
    return {name for name in found if name is not None}


def is_referred_to(connection: Connection, digest: str) -> bool:
    """Whether a dataset, a version of a model, or an unfinished job refers to the object."""
    unfinished = jobs.c.state.not_in(ENDED)
    return any(
        connection.execute(select(exists().where(*conditions))).scalar_one()
        for conditions in (
            (datasets.c.id == digest,),
            (versions.c.weights == digest,),
            (unfinished, cast(jobs.c.request, String).contains(digest)),
        )
    )


_LOG = logging.getLogger("intertwine.service")
DAY = 24 * 3600.0  # seconds


def collect_garbage(
    database: Database, objects: Objects, uploads: Uploads, age: float = DAY
) -> None:
    """Delete partial files and unreferenced uploads untouched for `age` seconds."""
    uploads.remove_abandoned(age)
    since = time.time() - age
    unused = objects.unused(since)
    if not unused:
        return
    with database.read() as connection:
        needed = referred_to(connection)
    for digest in unused:
        if digest not in needed and objects.remove_unused(digest, since):
            _LOG.info("deleted the unreferenced object %s", digest)
