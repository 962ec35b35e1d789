"""Trained models by name, each in numbered versions whose weights are blobs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from intertwine.training.recipe.framework import framework_of
from sqlalchemy import Connection, Select, delete, func, insert, select, tuple_, update
from sqlalchemy.sql.elements import ColumnElement

from intertwine_api.storage.database import Database, now, take_turns
from intertwine_api.storage.objects import Objects
from intertwine_api.storage.outages import retried
from intertwine_api.storage.references import is_referred_to, remove_object
from intertwine_api.storage.tables import models, versions
from intertwine_api.wire.jobs import instant
from intertwine_api.wire.models import (
    ModelDocument,
    VersionDocument,
    VersionSummary,
    require_model_name,
)
from intertwine_api.wire.problems import ProblemError


class TrainedModel(Protocol):
    """A model to publish, as `to_config` of its framework writes it, with its measurements.

    `equivariance_error` is None if it was not measured.
    """

    @property
    def config(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def blob(self) -> bytes: ...  # noqa: D102
    @property
    def metrics(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def equivariance_error(self) -> float | None: ...  # noqa: D102
    @property
    def is_equivariant(self) -> bool: ...  # noqa: D102
    @property
    def provenance(self) -> Mapping[str, Any]: ...  # noqa: D102


@dataclass(frozen=True)
class Version:
    """One version of a model: made by `job`, with the blob of digest `weights`."""

    name: str
    version: int
    owner: str
    job: str | None
    config: Mapping[str, Any]
    weights: str
    bytes: int
    metrics: Mapping[str, Any]
    equivariance_error: float | None
    is_equivariant: bool
    provenance: Mapping[str, Any]
    created: float


@dataclass(frozen=True)
class Model:
    """A model: its name and owner, the number of its versions, and the newest one, if any."""

    name: str
    owner: str
    created: float
    versions: int
    newest: Version | None


_Item = TypeVar("_Item")
_Document = TypeVar("_Document")
_REQUESTS = 16  # to a bucket at the same time, for one page of a list


@retried
class Models:
    """The models of a lab, which all users see. A name belongs to its first publisher."""

    def __init__(self, database: Database, objects: Objects) -> None:
        self._database, self._objects = database, objects

    def require_free(self, name: str, owner: str) -> None:
        """Raise `ProblemError` unless the owner may publish under the name: ``name-taken`` if it
        is another owner's, ``invalid-request`` if it is invalid.
        """
        with self._database.read() as connection:
            _require_free(connection, name, owner)

    def is_free_in(self, connection: Connection, name: str, owner: str) -> bool:
        """Whether the owner may publish under a name, until the transaction ends."""
        take_turns(connection, versions)
        taken = connection.execute(select(models.c.owner).where(models.c.name == name)).scalar()
        return taken in (None, owner)

    def publish(self, name: str, owner: str, job: str | None, trained: TrainedModel) -> Version:
        """Publish a model as the next version of its name: one version a job, also after retries.

        Raises `ProblemError` as `require_free` does.
        """
        self.keep(trained)
        with self._database.write() as connection:
            return self.publish_in(connection, name, owner, job, trained)

    def keep(self, trained: TrainedModel) -> None:
        """Store the weights of a model, before the transaction in which it is published.

        They are deleted after a day, by default, if it is not published.
        """
        self._objects.put_bytes(trained.blob)

    def publish_in(
        self, connection: Connection, name: str, owner: str, job: str | None, trained: TrainedModel
    ) -> Version:
        """Publish a model as `publish` does, in a transaction of the caller.

        Call `keep` before the transaction: an upload would hold its locks.
        """
        take_turns(connection, versions)
        made = _first(connection, _VERSIONS.where(versions.c.job == job)) if job else None
        return made or self._add(connection, name, owner, job, trained)

    def get(self, name: str, version: int | None = None) -> Version:
        """Return a version, by default the newest. Raises `ProblemError` with ``not-found``."""
        query = _VERSIONS.where(*_named(name, version)).order_by(versions.c.version.desc())
        with self._database.read() as connection:
            found = _first(connection, query.limit(1))
        if found is None:
            raise _not_found(name, version)
        return found

    def model(self, name: str) -> Model:
        """Return the model of a name. Raises `ProblemError` with ``not-found``."""
        with self._database.read() as connection:
            found = _models(connection, _MODELS.where(models.c.name == name))
        if not found:
            raise _not_found(name)
        return found[0]

    def page(self, after: str = "", limit: int = 50) -> tuple[list[Model], str | None]:
        """Return `limit` models in the order of their names, and the cursor of the next page."""
        query = _MODELS.where(models.c.name > after).order_by(models.c.name).limit(limit + 1)
        with self._database.read() as connection:
            found = _models(connection, query)
        return found[:limit], found[limit - 1].name if len(found) > limit else None

    def versions(
        self, name: str, before: int | None = None, limit: int = 50
    ) -> tuple[list[Version], int | None]:
        """Return `limit` versions of a model, the newest first, and the cursor of the next page.

        Raises `ProblemError` with ``not-found``.
        """
        self.model(name)
        query = _VERSIONS.where(*_named(name)).order_by(versions.c.version.desc())
        if before is not None:
            query = query.where(versions.c.version < before)
        with self._database.read() as connection:
            rows = connection.execute(query.limit(limit + 1))
            found = [Version(**row._mapping) for row in rows]
        return found[:limit], found[limit - 1].version if len(found) > limit else None

    def delete(self, name: str, version: int | None = None) -> None:
        """Delete a version, or a model with all its versions, and weights without references.

        The number of a deleted version is not used again while its model exists.
        Raises `ProblemError` with ``not-found``.
        """
        chosen = _named(name, version)
        with self._database.write() as connection:
            take_turns(connection, versions)
            digests = set(connection.execute(select(versions.c.weights).where(*chosen)).scalars())
            gone = connection.execute(delete(versions).where(*chosen)).rowcount
            if version is None:
                gone = connection.execute(delete(models).where(models.c.name == name)).rowcount
            if not gone:
                raise _not_found(name, version)
            for digest in digests:
                if not is_referred_to(connection, digest):
                    remove_object(connection, self._objects, digest)

    def _add(
        self, connection: Connection, name: str, owner: str, job: str | None, trained: TrainedModel
    ) -> Version:
        at = now(connection)
        last = _require_free(connection, name, owner)
        if last is None:
            values = {"name": name, "owner": owner, "created": at, "last_version": 1}
            connection.execute(insert(models).values(values))
        else:
            counted = update(models).where(models.c.name == name)
            connection.execute(counted.values(last_version=last + 1))
        digest, size = hashlib.sha256(trained.blob).hexdigest(), len(trained.blob)
        if not self._objects.has(digest):  # they were deleted since `keep`
            self._objects.put_bytes(trained.blob)
        number = 1 + (last or 0)
        connection.execute(
            insert(versions).values(
                model=name,
                version=number,
                job=job,
                config=trained.config,
                weights=digest,
                bytes=size,
                metrics=trained.metrics,
                equivariance_error=trained.equivariance_error,
                is_equivariant=trained.is_equivariant,
                provenance=trained.provenance,
                created=at,
            )
        )
        made = _first(connection, _VERSIONS.where(*_named(name, number)))
        assert made is not None
        return made


_VERSIONS = select(
    versions.c.model.label("name"),
    models.c.owner,
    *(column for column in versions.c if column is not versions.c.model),
).join_from(versions, models)
_MODELS = (
    select(
        models.c.name,
        models.c.owner,
        models.c.created,
        func.count(versions.c.version).label("versions"),
        func.max(versions.c.version).label("newest"),
    )
    .join_from(models, versions, isouter=True)
    .group_by(models.c.name, models.c.owner, models.c.created)
)


def _named(name: str, version: int | None = None) -> list[ColumnElement[bool]]:
    """Return the conditions that select one version of a name, or all."""
    chosen = [versions.c.model == name]
    return chosen if version is None else [*chosen, versions.c.version == version]


def _models(connection: Connection, query: Select[Any]) -> list[Model]:
    rows = connection.execute(query).all()
    newest = tuple_(versions.c.model, versions.c.version).in_(
        [(row.name, row.newest) for row in rows]
    )
    found = {
        row.name: Version(**row._mapping) for row in connection.execute(_VERSIONS.where(newest))
    }
    return [
        Model(row.name, row.owner, row.created, row.versions, found.get(row.name)) for row in rows
    ]


def _first(connection: Connection, query: Select[Any]) -> Version | None:
    row = connection.execute(query).first()
    return None if row is None else Version(**row._mapping)


def _require_free(connection: Connection, name: str, owner: str) -> int | None:
    """Return the number of the last version of a name that the owner may use; None if it is new."""
    require_model_name(name)
    query = select(models.c.owner, models.c.last_version).where(models.c.name == name)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    if row.owner != owner:
        detail = f"the model {name} is {row.owner}'s: publish yours under another name"
        raise ProblemError.of("name-taken", detail)
    return int(row.last_version)


def _not_found(name: str, version: int | None = None) -> ProblemError:
    what = f"model {name[:200]}" if version is None else f"version {version} of {name[:200]}"
    return ProblemError.of("not-found", f"there is no {what}")


def lost_weights(version: Version, why: str = "are missing") -> ProblemError:
    """Return the problem of a version whose weights cannot be read, with ``gone``."""
    return ProblemError.of(
        "gone",
        f"the weights of {version.name}, version {version.version}, {why}: restore them from a "
        f"backup, train the model again, or delete the version; `intertwine admin verify` lists "
        f"all that is lost",
    )


def summary_of(version: Version, objects: Objects) -> VersionSummary:
    """Return the short document of a version."""
    return VersionSummary(**_fields(version, objects))


def summaries_of(found: Sequence[Version], objects: Objects) -> list[VersionSummary]:
    """Return the short documents of versions."""
    return _each(partial(summary_of, objects=objects), found, objects)


def model_documents_of(found: Sequence[Model], objects: Objects) -> list[ModelDocument]:
    """Return the documents of models."""
    return _each(partial(model_document_of, objects=objects), found, objects)


def _each(
    function: Callable[[_Item], _Document], items: Sequence[_Item], objects: Objects
) -> list[_Document]:
    """Return the results of a function that looks up an object, concurrently for a bucket."""
    if objects.bucket is None or len(items) < 2:
        return list(map(function, items))
    with ThreadPoolExecutor(_REQUESTS) as threads:
        return list(threads.map(function, items))


def version_document_of(version: Version, objects: Objects) -> VersionDocument:
    """Return the whole document of a version."""
    return VersionDocument(**_fields(version, objects))


def model_document_of(model: Model, objects: Objects) -> ModelDocument:
    """Return the document of a model."""
    here = f"/v1/models/{model.name}"
    return ModelDocument(
        name=model.name,
        owner=model.owner,
        created=instant(model.created),
        versions=model.versions,
        newest=None if model.newest is None else summary_of(model.newest, objects),
        links={"self": here, "versions": f"{here}/versions", "forward": f"{here}:forward"},
    )


def _fields(version: Version, objects: Objects) -> dict[str, Any]:
    model = f"/v1/models/{version.name}"
    links = {
        "self": f"{model}/versions/{version.version}",
        "model": model,
        "weights": f"/v1/blobs/{version.weights}",
        "forward": f"{model}:forward?version={version.version}",
    }
    return {
        **vars(version),
        "framework": framework_of(version.config).name,
        "has_weights": objects.has(version.weights),
        "created": instant(version.created),
        "links": links,
    }
