"""References to objects, and the deletion of objects without any."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from typing import Any

from intertwine_cache.manifest import is_digest
from sqlalchemy import (
    JSON,
    Connection,
    Select,
    String,
    cast,
    delete,
    exists,
    select,
    type_coerce,
)

from intertwine_api.storage.database import Database, take_turns
from intertwine_api.storage.objects import Objects
from intertwine_api.storage.tables import datasets, jobs, uploaded_weights, versions
from intertwine_api.storage.uploads import Uploads
from intertwine_api.wire.vocabulary import ENDED


def referred_to(connection: Connection, without_jobs: Collection[str] = ()) -> set[str]:
    """Return the digests that a dataset, a version of a model, or any job refers to.

    Jobs that have ended count: they may be retried until they are deleted. The jobs with the ids
    `without_jobs` do not count.
    """
    rows = connection.execute(select(jobs.c.id, *_OF_JOBS))
    of_jobs = {name for job, *names in rows if job not in without_jobs for name in names}
    return _only_digests(of_jobs) | _of_records(connection)


def required(connection: Connection) -> set[str]:
    """Return the digests that a dataset, a version of a model or an unfinished job refers to.

    All of these objects should be in storage.
    """
    unfinished = select(*_OF_JOBS).where(jobs.c.state.not_in(ENDED))
    return _digests(connection, unfinished) | _of_records(connection)


_REQUEST = type_coerce(jobs.c.request, JSON)
_OF_JOBS = (_REQUEST[("model", "weights")].as_string(), _REQUEST["dataset"].as_string())


def _of_records(connection: Connection) -> set[str]:
    return _digests(connection, select(datasets.c.id)) | _digests(
        connection, select(versions.c.weights)
    )


def _digests(connection: Connection, query: Select[Any]) -> set[str]:
    """Return the digests in the columns of a query."""
    return _only_digests({name for row in connection.execute(query) for name in row})


def _only_digests(found: set[str | None]) -> set[str]:
    """Return the digests among the texts. The dataset of a job may also be a name, or generated."""
    return {name for name in found if name is not None and is_digest(name)}


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


def is_weights_of_model(connection: Connection, digest: str) -> bool:
    """Whether a version of a model has these weights."""
    return connection.execute(select(exists().where(versions.c.weights == digest))).scalar_one()


def is_input_of_job(connection: Connection, digest: str, owner: str) -> bool:
    """Whether a job of the owner starts from these weights."""
    given = _REQUEST[("model", "weights")].as_string() == digest
    return connection.execute(select(exists().where(jobs.c.owner == owner, given))).scalar_one()


def remove_object(connection: Connection, objects: Objects, digest: str) -> None:
    """Delete an object to which nothing refers, and the records of its uploads."""
    objects.remove(digest)
    connection.execute(delete(uploaded_weights).where(uploaded_weights.c.digest == digest))


_LOG = logging.getLogger("intertwine.service")
DAY = 24 * 3600.0  # seconds


def collect_garbage(
    database: Database,
    objects: Objects,
    uploads: Uploads,
    age: float = DAY,
    *,
    is_dry: bool = False,
    without_jobs: Collection[str] = (),
) -> tuple[list[int], list[int]]:
    """Delete unreferenced objects and partial files untouched for `age` seconds.

    Return the sizes in bytes of the objects and of the files. With `is_dry`, nothing is deleted,
    and the jobs `without_jobs` count as deleted.
    """
    abandoned = uploads.remove_abandoned(age, is_dry=is_dry)
    since, sizes = time.time() - age, []
    if not is_dry:
        _forget_lost_uploads(database, objects)
    unused = objects.unused(since)
    if not unused:
        return [], abandoned
    with database.read() as connection:
        needed = referred_to(connection, without_jobs)
    for digest in unused:
        size = objects.size(digest)
        if digest in needed or not (is_dry or _remove_unused(database, objects, digest, since)):
            continue
        sizes.append(size)
        if not is_dry:
            _LOG.info("deleted the unreferenced object %s", digest)
    return sizes, abandoned


def _remove_unused(database: Database, objects: Objects, digest: str, since: float) -> bool:
    """Delete an object unless something refers to it meanwhile, or it was used since a time.

    Return whether it was deleted. Uploads record an object in a transaction that first takes the
    same lock and looks for the object: if it was deleted meanwhile, it is put again.
    """
    with database.write() as connection:
        for table in (datasets, versions, uploaded_weights):
            take_turns(connection, table)
        if is_referred_to(connection, digest) or not objects.remove_unused(digest, since):
            return False
        gone = uploaded_weights.c.digest == digest
        connection.execute(delete(uploaded_weights).where(gone))
        return True


def _forget_lost_uploads(database: Database, objects: Objects) -> None:
    """Delete the records of uploads whose objects do not exist, as after a crash."""
    with database.read() as connection:
        recorded = connection.execute(select(uploaded_weights.c.digest).distinct()).scalars().all()
    for digest in recorded:
        if objects.has(digest):
            continue
        with database.write() as connection:
            take_turns(connection, uploaded_weights)
            if not objects.has(digest):  # else it was uploaded again
                gone = uploaded_weights.c.digest == digest
                connection.execute(delete(uploaded_weights).where(gone))
