"""Who still refers to a blob."""

from __future__ import annotations

from sqlalchemy import JSON, Connection, String, cast, exists, select, type_coerce

from intertwine_api.database.tables import datasets, jobs, versions
from intertwine_api.jobs.job import ENDED


def referred_to(connection: Connection) -> set[str]:
    """All blobs that a dataset, a version of a model, or a job of any state names: one that has
    ended may be tried again, until it is deleted.
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
    """Whether a dataset, a version of a model, or a job that has not ended names the blob."""
    unfinished = jobs.c.state.not_in(ENDED)
    return any(
        connection.execute(select(exists().where(*conditions))).scalar_one()
        for conditions in (
            (datasets.c.id == digest,),
            (versions.c.weights == digest,),
            (unfinished, cast(jobs.c.request, String).contains(digest)),
        )
    )
