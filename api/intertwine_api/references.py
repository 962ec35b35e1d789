"""Who still refers to a blob."""

from __future__ import annotations

from sqlalchemy import Connection, String, cast, exists, select

from intertwine_api.database.tables import datasets, jobs, versions
from intertwine_api.jobs.job import ENDED


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
