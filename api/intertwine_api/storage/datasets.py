"""Uploaded datasets: rows in the database, each with a file among the objects."""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any

from intertwine.training.recipe.built_in import describe_builtin
from intertwine.training.recipe.dataset_info import DatasetInfo
from intertwine.training.recipe.description import BuiltIn
from intertwine.training.recipe.task_symmetry import GroupDocument, require_fit
from sqlalchemy import Connection, delete, insert, select, tuple_, update

from intertwine_api.storage.database import Database, now, take_turns
from intertwine_api.storage.objects import Objects
from intertwine_api.storage.outages import retried
from intertwine_api.storage.quota import Quota
from intertwine_api.storage.references import is_referred_to, remove_object
from intertwine_api.storage.sample_check import CheckedSamples, check_samples
from intertwine_api.storage.tables import datasets
from intertwine_api.wire.problems import ProblemError

_CURSOR = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)~([0-9a-f]{64})~(.{1,64})", re.DOTALL)


@retried
class Datasets:
    """The datasets of a lab; users see their own. `most_bytes` is the largest size of one.

    A `quota` limits the bytes of each owner.
    """

    def __init__(
        self,
        database: Database,
        objects: Objects,
        most_bytes: int = 2**30,
        quota: Quota | None = None,
    ) -> None:
        self._database, self._objects, self._most_bytes = database, objects, most_bytes
        self._quota = quota

    def add(
        self,
        owner: str,
        file: Path,
        name: str = "",
        rep_in: str | None = None,
        rep_out: str | None = None,
        group: GroupDocument | None = None,
    ) -> DatasetInfo:
        """Keep the samples of a file as the owner's. Equal samples are one dataset.

        A second upload replaces name, reps and group. Raises `FormatError` for a file without
        samples, the library's errors for invalid reps and for reps of another size than the
        samples, `ProblemError` with ``quota-exceeded``, and `OSError` if the disk is full.
        """
        samples = file.with_name(f"{file.name}.{uuid.uuid4().hex}")
        try:
            checked = check_samples(file, samples, self._most_bytes)
            require_fit(checked.inputs, checked.targets, group, rep_in, rep_out)
            return self._keep(owner, samples, checked, name, rep_in, rep_out, group)
        finally:
            samples.unlink(missing_ok=True)

    def _keep(
        self,
        owner: str,
        samples: Path,
        checked: CheckedSamples,
        name: str,
        rep_in: str | None,
        rep_out: str | None,
        group: GroupDocument | None,
    ) -> DatasetInfo:
        while True:
            digest, size = self._objects.put(samples)
            values = {
                "id": digest,
                "owner": owner,
                "name": name,
                "rep_in": rep_in,
                "rep_out": rep_out,
                "group": group,
                "samples": checked.samples,
                "inputs": checked.inputs,
                "targets": checked.targets,
                "bytes": size,
            }
            with self._database.write() as connection:
                take_turns(connection, datasets)
                if self._objects.has(digest):  # else it was deleted meanwhile
                    self._require_room(connection, owner, digest, size)
                    return _put(connection, values)

    def _require_room(self, connection: Connection, owner: str, digest: str, size: int) -> None:
        if self._quota is None:
            return
        try:
            self._quota.require_in(connection, owner, size, replaced=digest)
        except ProblemError:
            if not is_referred_to(connection, digest):
                remove_object(connection, self._objects, digest)
            raise

    def get(self, dataset: str, owner: str | None = None) -> DatasetInfo:
        """Return a dataset of an owner, or of any. Raises `ProblemError` with ``not-found``."""
        query = select(datasets).where(datasets.c.id == dataset)
        if owner is not None:
            query = query.where(datasets.c.owner == owner)
        with self._database.read() as connection:
            row = connection.execute(query.order_by(datasets.c.created)).first()
        if row is None:
            raise _not_found(dataset)
        return DatasetInfo(**row._mapping)

    def owners(self, dataset: str) -> list[str]:
        """Return the owners of a dataset, in the order of their names."""
        query = select(datasets.c.owner).where(datasets.c.id == dataset)
        with self._database.read() as connection:
            return sorted(connection.execute(query).scalars())

    def info(self, dataset: str | BuiltIn, owner: str | None = None) -> DatasetInfo:
        """Return the description of an uploaded dataset, or of a built-in one."""
        return (
            describe_builtin(dataset) if isinstance(dataset, BuiltIn) else self.get(dataset, owner)
        )

    def page(
        self, owner: str | None = None, after: str | None = None, limit: int = 50
    ) -> tuple[list[DatasetInfo], str | None]:
        """Return `limit` datasets, the newest first, and the cursor of the next page.

        Raises `ProblemError` with ``invalid-request`` for an invalid cursor.
        """
        place = tuple_(datasets.c.created, datasets.c.id, datasets.c.owner)
        query = select(datasets).order_by(*(column.desc() for column in place)).limit(limit + 1)
        if owner is not None:
            query = query.where(datasets.c.owner == owner)
        if after is not None:
            query = query.where(place < tuple_(*_place_of(after)))
        with self._database.read() as connection:
            found = [DatasetInfo(**row._mapping) for row in connection.execute(query)]
        return found[:limit], _cursor(found[limit - 1]) if len(found) > limit else None

    def delete(self, dataset: str, owner: str) -> None:
        """Delete the owner's dataset. Its samples are deleted with their last reference.

        Raises `ProblemError` with ``not-found``.
        """
        chosen = (datasets.c.id == dataset, datasets.c.owner == owner)
        with self._database.write() as connection:
            take_turns(connection, datasets)
            if not connection.execute(delete(datasets).where(*chosen)).rowcount:
                raise _not_found(dataset)
            if not is_referred_to(connection, dataset):
                remove_object(connection, self._objects, dataset)


def _put(connection: Connection, values: dict[str, Any]) -> DatasetInfo:
    """Insert or update the row of a dataset. Return the dataset."""
    chosen = (datasets.c.id == values["id"], datasets.c.owner == values["owner"])
    if not connection.execute(update(datasets).where(*chosen).values(values)).rowcount:
        connection.execute(insert(datasets).values(**values, created=now(connection)))
    row = connection.execute(select(datasets).where(*chosen)).one()
    return DatasetInfo(**row._mapping)


def _cursor(info: DatasetInfo) -> str:
    return f"{info.created!r}~{info.id}~{info.owner}"


def _place_of(cursor: str) -> tuple[float, str, str]:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        detail = f"{cursor[:200]!r} is not a cursor: give `next` of the page before"
        raise ProblemError.of("invalid-request", detail)
    return float(match[1]), match[2], match[3]


def _not_found(dataset: str) -> ProblemError:
    return ProblemError.of("not-found", f"there is no dataset {dataset[:200]}")
