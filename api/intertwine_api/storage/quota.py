"""Storage quotas: the bytes of each owner's datasets, models, uploaded weights and jobs.

The bytes of a job are its log and its checkpoints. They count, so that an owner over the quota
uploads nothing more, but a running job is not stopped because of them: it would lose its work.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from intertwine_cache.manifest import is_digest
from sqlalchemy import Connection, exists, func, select

from intertwine_api.storage.database import Database, take_turns
from intertwine_api.storage.objects import Objects
from intertwine_api.storage.outages import retried
from intertwine_api.storage.references import is_input_of_job, is_weights_of_model
from intertwine_api.storage.tables import datasets, jobs, models, uploaded_weights, versions
from intertwine_api.wire.problems import ProblemError

_JOB_SECONDS = 10.0  # the measured size of an owner's jobs is reused for this time


def bytes_by_owner(
    connection: Connection, owner: str | None = None, without: str | None = None
) -> defaultdict[str, Counter[str]]:
    """Return the bytes of datasets and of models, by owner and kind: of all owners, or of one.

    The dataset `without` does not count.
    """
    of_data = select(datasets.c.owner, func.sum(datasets.c.bytes)).group_by(datasets.c.owner)
    of_models = select(models.c.owner, func.sum(versions.c.bytes)).join_from(versions, models)
    of_models = of_models.group_by(models.c.owner)
    if owner is not None:
        of_data = of_data.where(datasets.c.owner == owner)
        of_models = of_models.where(models.c.owner == owner)
    if without is not None:
        of_data = of_data.where(datasets.c.id != without)
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for kind, query in (("datasets", of_data), ("models", of_models)):
        for name, total in connection.execute(query):
            found[name][kind] = int(total)
    return found


@retried
class UploadedWeights:
    """The owners of uploaded weights, in the database, for as long as the objects exist."""

    def __init__(self, database: Database, objects: Objects) -> None:
        self._database, self._objects = database, objects

    def add(self, owner: str, file: Path) -> tuple[str, int]:
        """Keep a file of weights as the owner's. Return its digest and size. Raises `OSError`."""
        while True:
            digest, size = self._objects.put(file)
            row = {"owner_digest": _digest(owner), "digest": digest, "bytes": size}
            with self._database.write() as connection:
                take_turns(connection, uploaded_weights)
                if self._objects.has(digest):  # else it was deleted meanwhile
                    new = self._database.insert(uploaded_weights).values(row)
                    connection.execute(new.on_conflict_do_nothing())
                    return digest, size

    def is_of(self, owner: str, digest: str) -> bool:
        """Whether an owner has uploaded these weights."""
        chosen = (
            uploaded_weights.c.owner_digest == _digest(owner),
            uploaded_weights.c.digest == digest,
        )
        with self._database.read() as connection:
            return connection.execute(select(exists().where(*chosen))).scalar_one()

    def are_readable(self, owner: str, digest: str) -> bool:
        """Whether an owner with the scope ``jobs:write`` may read these weights: those of a model,
        their own uploads, and those that a job of theirs starts from.
        """
        if self.is_of(owner, digest):
            return True
        with self._database.read() as connection:
            return is_weights_of_model(connection, digest) or is_input_of_job(
                connection, digest, owner
            )

    def total_in(self, connection: Connection, owner: str) -> int:
        """Return the bytes of an owner's uploads."""
        total = select(func.sum(uploaded_weights.c.bytes))
        query = total.where(uploaded_weights.c.owner_digest == _digest(owner))
        return int(connection.execute(query).scalar() or 0)

    def import_files(self, folder: Path) -> None:
        """Move the records of earlier versions, which were files, to the database."""
        # os.walk passes over folders that another process deletes meanwhile; glob raises
        for record in [Path(at, name) for at, _, names in os.walk(folder) for name in names]:
            owner = record.parent.name
            if not (is_digest(owner) and is_digest(record.name)):
                continue
            with suppress(FileNotFoundError):  # another process imports it
                try:
                    size = int(record.read_text() or 0)
                except ValueError:  # damaged
                    size = self._objects.size(record.name)
                row = {"owner_digest": owner, "digest": record.name, "bytes": size}
                with self._database.write() as connection:
                    new = self._database.insert(uploaded_weights).values(row)
                    connection.execute(new.on_conflict_do_nothing())
                record.unlink()
        for at, _, _ in os.walk(folder, topdown=False):
            with suppress(OSError):  # it is not empty, or does not exist
                Path(at).rmdir()


def _digest(owner: str) -> str:
    return hashlib.sha256(owner.encode()).hexdigest()


class Quota:
    """Limits the bytes of each owner to `most`, including those of unfinished uploads.

    `job_bytes` returns the size of the files of a job, by its id; the sum is measured again after
    `job_seconds`.
    """

    def __init__(
        self,
        database: Database,
        weights: UploadedWeights,
        most: int,
        job_bytes: Callable[[str], int],
        *,
        job_seconds: float = _JOB_SECONDS,
    ) -> None:
        self.most, self.weights = most, weights
        self._database, self._job_bytes = database, job_bytes
        self._job_seconds = job_seconds
        self._incoming: Counter[str] = Counter()
        self._jobs: dict[str, tuple[float, int]] = {}
        self._mutex = threading.Lock()

    def used(self, owner: str) -> dict[str, int]:
        """Return the bytes of an owner by kind."""
        with self._database.read() as connection:
            return self._used(connection, owner)

    def require(self, owner: str, more: int = 0) -> None:
        """Raise `ProblemError` with ``quota-exceeded`` unless the owner may keep `more` bytes."""
        with self._database.read() as connection:
            self.require_in(connection, owner, more)

    def require_in(
        self, connection: Connection, owner: str, more: int, replaced: str | None = None
    ) -> None:
        """Require room in a transaction. The bytes of the dataset `replaced` do not count."""
        self._require_left(owner, self._used(connection, owner, replaced), more)

    @contextmanager
    def upload(self, owner: str) -> Iterator[Incoming]:
        """Count the bytes of an upload while it is received: call `Incoming.start`, then `take`."""
        incoming = Incoming(self, owner)
        try:
            yield incoming
        finally:
            with self._mutex:
                self._incoming[owner] -= incoming.size

    def _take(self, incoming: Incoming, size: int) -> None:
        with self._mutex:
            self._incoming[incoming.owner] += size
            incoming.size += size
            arriving = self._incoming[incoming.owner]
        self._require_left(incoming.owner, incoming.used, arriving)

    def _require_left(self, owner: str, used: dict[str, int], more: int) -> None:
        if sum(used.values()) + max(1, more) > self.most:
            raise self._exceeded(owner, used, more)

    def _used(
        self, connection: Connection, owner: str, replaced: str | None = None
    ) -> dict[str, int]:
        found = bytes_by_owner(connection, owner, without=replaced)[owner]
        return {
            "datasets": found["datasets"],
            "models": found["models"],
            "weights": self.weights.total_in(connection, owner),
            "jobs": self._bytes_of_jobs(connection, owner),
        }

    def _bytes_of_jobs(self, connection: Connection, owner: str) -> int:
        now = time.monotonic()
        until, size = self._jobs.get(owner, (now, 0))
        if until <= now:
            ids = connection.execute(select(jobs.c.id).where(jobs.c.owner == owner)).scalars()
            size = sum(map(self._job_bytes, ids))
            self._jobs[owner] = now + self._job_seconds, size
        return size

    def _exceeded(self, owner: str, used: dict[str, int], more: int) -> ProblemError:
        parts = ", ".join(f"{name} {size:,}" for name, size in used.items())
        total = sum(used.values())
        return ProblemError.of(
            "quota-exceeded",
            f"{owner} uses {total:,} bytes ({parts}) of {self.most:,}, and this needs {more:,} "
            f"more: delete datasets, models or jobs that are no longer needed, or ask the operator "
            f"to raise INTERTWINE_OWNER_BYTES",
            used_bytes=total,
            limit_bytes=self.most,
        )


class Incoming:
    """The bytes of one upload that have arrived."""

    def __init__(self, quota: Quota, owner: str) -> None:
        self._quota, self.owner, self.size = quota, owner, 0
        self.used: dict[str, int] = {}

    def start(self, declared: int) -> None:
        """Look up the owner's bytes. Raises `ProblemError` if `declared` bytes are too many."""
        self.used = self._quota.used(self.owner)
        self._quota._require_left(self.owner, self.used, declared)

    def take(self, size: int) -> None:
        """Count bytes that have arrived. Raises `ProblemError` with ``quota-exceeded``."""
        self._quota._take(self, size)
