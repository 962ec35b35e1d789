"""A service, asked from Python: by programs that wait, and by those that await."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, Unpack
from uuid import uuid4

from intertwine_api.client import jobs, models
from intertwine_api.client.address import server_address
from intertwine_api.client.bases import find_basis
from intertwine_api.client.connection import AsyncConnection, Connection
from intertwine_api.client.datasets import (
    GivenData,
    StoredDataset,
    delete_dataset,
    list_datasets,
    upload_dataset,
)
from intertwine_api.client.job import AsyncJob, Job
from intertwine_api.client.remote_model import AsyncRemoteModel, RemoteModel
from intertwine_api.client.retries import Deadline, Retries
from intertwine_api.client.trainings import Errand, Training, submit_training

if TYPE_CHECKING:
    from intertwine.bases import Basis
    from intertwine.groups import Group
    from intertwine.reps import Rep


class Client:
    """A service of Intertwine: ``lab = Client("http://lab.example.org:8000", key="itw_…")``.

    `url` and `key` are those of INTERTWINE_URL and INTERTWINE_KEY unless given, else the service
    on this machine; the address may have a path, as behind a proxy. Proxies and certificates are
    those of the environment (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE).

    A connection is made within `connect_timeout` seconds, and an answer comes within
    `answer_timeout`. What does no more when it arrives twice is sent again, up to `retries` times,
    where the connection fails or the service is busy; whoever waits for something waits `outage`
    seconds for a service that was there, unless a `timeout` ends first. It may be used from several
    threads.

    Raises `ConnectionFailed`, `ServiceError`, and the library's own errors where the service has
    one to tell; see `intertwine_api.client.errors`.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        connect_timeout: float = 10.0,
        answer_timeout: float = 60.0,
        retries: int = 4,
        outage: float = 300.0,
    ) -> None:
        place = server_address(url, key, connect_timeout, answer_timeout)
        self._connection = Connection(place, Retries(retries, outage=outage))

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._connection.place.url

    def basis(
        self,
        rep: str | Rep,
        group: str | Group | Mapping[str, Any] | None = None,
        *,
        method: str = "auto",
        backend: str = "auto",
        tolerance: float | None = None,
        timeout: float | None = None,
    ) -> Basis:
        """The basis of a rep's invariants, as a solve on this machine has it, solved there.

        `rep` is a rep or its text, `group` a group, its text or its generators as JSON. With a
        `tolerance`, what is equivariant up to that part of the generators' norms. Raises what a
        solve raises, and `WaitedTooLong` after `timeout` seconds.
        """
        options = {"method": method, "backend": backend, "tolerance": tolerance}
        return self._connection.run(
            find_basis(rep, group, options, Deadline(timeout), self._connection.retries)
        )

    def train(
        self,
        model: Any,
        X: Any,
        Y: Any = None,
        *,
        name: str | None = None,
        rep_in: str | Rep | None = None,
        rep_out: str | Rep | None = None,
        group: str | Group | Mapping[str, Any] | None = None,
        labels: str | Sequence[str] = (),
        priority: int = 0,
        seconds: float | None = None,
        memory: int | None = None,
        attempts: int | None = None,
        idempotency_key: str | None = None,
        **training: Unpack[Training],
    ) -> Job:
        """Train a model there, as a job: `Job.watch` shows it, and `Job.result` is the model.

        `model` is a description, ``{"type": "EMLP", "ch": 384, "num_layers": 3}``, or a network
        of `intertwine.nn`, whose weights the training begins with. The data are arrays X and Y, a
        dataset such as ``intertwine.datasets.Inertia(1000)``, what `upload` returned, or the name
        of a dataset that the service makes: "Inertia", ``{"name": "Inertia", "size": 5000}``. Reps
        and group are those that are given, or else of the model, or else of the data; a network
        has its own. Raises `InvalidSetting` where other ones are given with it.

        `name` is that of the trained model, `labels` are one or several. The job may take
        `seconds` and `memory` (in bytes), and `attempts` where its host fails. All further settings
        are those of `Training`.
        """
        data = GivenData(X, Y, rep_in, rep_out, group)
        errand = Errand(
            name, labels, priority, seconds, memory, attempts, idempotency_key or uuid4().hex
        )
        asked = submit_training(model, data, training, errand, self._connection.retries)
        return Job(self._connection, self._connection.run(asked))

    def upload(
        self,
        X: Any,
        Y: Any = None,
        *,
        name: str = "",
        rep_in: str | Rep | None = None,
        rep_out: str | Rep | None = None,
        group: str | Group | Mapping[str, Any] | None = None,
    ) -> StoredDataset:
        """Send data to be trained on several times; the same data are kept once.

        Reps and group are those that are given, or else of the data, as in `train`.
        """
        data = GivenData(X, Y, rep_in, rep_out, group, name).completed_by(None)
        return self._connection.run(upload_dataset(data, self._connection.retries))

    def datasets(self) -> list[StoredDataset]:
        """Your datasets at the service, the newest first."""
        return self._connection.run(list_datasets(self._connection.retries))

    def delete_dataset(self, digest: str) -> None:
        """Delete a dataset of yours."""
        self._connection.run(delete_dataset(digest, self._connection.retries))

    def train_request(self, document: Mapping[str, Any], *, idempotency_key: str = "") -> Job:
        """Hand in a training as the service's document has it; however often, under one key."""
        key = idempotency_key or uuid4().hex
        asked = jobs.submit_job({"kind": "train", **document}, key, self._connection.retries)
        return Job(self._connection, self._connection.run(asked))

    def job(self, job: str) -> Job:
        """A job by its id."""
        asked = jobs.show_job(job, self._connection.retries)
        return Job(self._connection, self._connection.run(asked))

    def jobs(
        self,
        *,
        state: str | None = None,
        kind: str | None = None,
        label: str | None = None,
        owner: str | None = None,
        limit: int | None = 50,
    ) -> list[Job]:
        """Your jobs, the newest first; an admin sees everybody's. `limit` None means all."""
        asked = jobs.list_jobs(
            {"state": state, "kind": kind, "label": label, "owner": owner},
            limit,
            self._connection.retries,
        )
        return [Job(self._connection, document) for document in self._connection.run(asked)]

    def models(self) -> list[RemoteModel]:
        """Everybody's models, in the order of their names, each as its newest version.

        They are as a list has them: config and provenance are asked for when they are wanted.
        """
        found = self._connection.run(models.list_models(self._connection.retries))
        return [
            RemoteModel(self._connection, model["newest"]) for model in found if model["newest"]
        ]

    def model(self, name: str, version: int | None = None) -> RemoteModel:
        """A version of a model, or the newest, to call there or to bring here."""
        asked = models.show_version(name, version, self._connection.retries)
        return RemoteModel(self._connection, self._connection.run(asked))

    def delete_model(self, name: str) -> None:
        """Delete a model of yours: all of its versions, and its name, which is free again."""
        self._connection.run(models.delete_model(name, None, self._connection.retries))

    def close(self) -> None:
        """Close the connections. A client that is forgotten closes them too."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._connection.place.shown!r})"


def remote(url: str | None = None, key: str | None = None, **options: Any) -> Client:
    """The service at an address: ``lab = remote("http://lab.example.org:8000")``.

    All arguments are those of `Client`.
    """
    return Client(url, key, **options)


class AsyncClient:
    """A `Client` whose methods are awaited: ``async with AsyncClient(url) as lab``.

    Arguments, results and errors are those of `Client`. It wants to be closed, by ``async with``
    or `close`.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        connect_timeout: float = 10.0,
        answer_timeout: float = 60.0,
        retries: int = 4,
        outage: float = 300.0,
    ) -> None:
        place = server_address(url, key, connect_timeout, answer_timeout)
        self._connection = AsyncConnection(place, Retries(retries, outage=outage))

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._connection.place.url

    async def basis(
        self,
        rep: str | Rep,
        group: str | Group | Mapping[str, Any] | None = None,
        *,
        method: str = "auto",
        backend: str = "auto",
        tolerance: float | None = None,
        timeout: float | None = None,
    ) -> Basis:
        """The basis of a rep's invariants, solved there; see `Client.basis`."""
        options = {"method": method, "backend": backend, "tolerance": tolerance}
        return await self._connection.run(
            find_basis(rep, group, options, Deadline(timeout), self._connection.retries)
        )

    async def train(
        self,
        model: Any,
        X: Any,
        Y: Any = None,
        *,
        name: str | None = None,
        rep_in: str | Rep | None = None,
        rep_out: str | Rep | None = None,
        group: str | Group | Mapping[str, Any] | None = None,
        labels: str | Sequence[str] = (),
        priority: int = 0,
        seconds: float | None = None,
        memory: int | None = None,
        attempts: int | None = None,
        idempotency_key: str | None = None,
        **training: Unpack[Training],
    ) -> AsyncJob:
        """Train a model there; see `Client.train`."""
        data = GivenData(X, Y, rep_in, rep_out, group)
        errand = Errand(
            name, labels, priority, seconds, memory, attempts, idempotency_key or uuid4().hex
        )
        asked = submit_training(model, data, training, errand, self._connection.retries)
        return AsyncJob(self._connection, await self._connection.run(asked))

    async def upload(
        self,
        X: Any,
        Y: Any = None,
        *,
        name: str = "",
        rep_in: str | Rep | None = None,
        rep_out: str | Rep | None = None,
        group: str | Group | Mapping[str, Any] | None = None,
    ) -> StoredDataset:
        """Send data to be trained on several times; the same data are kept once."""
        data = GivenData(X, Y, rep_in, rep_out, group, name).completed_by(None)
        return await self._connection.run(upload_dataset(data, self._connection.retries))

    async def datasets(self) -> list[StoredDataset]:
        """Your datasets at the service, the newest first."""
        return await self._connection.run(list_datasets(self._connection.retries))

    async def delete_dataset(self, digest: str) -> None:
        """Delete a dataset of yours."""
        await self._connection.run(delete_dataset(digest, self._connection.retries))

    async def train_request(
        self, document: Mapping[str, Any], *, idempotency_key: str = ""
    ) -> AsyncJob:
        """Hand in a training as the service's document has it; however often, under one key."""
        key = idempotency_key or uuid4().hex
        asked = jobs.submit_job({"kind": "train", **document}, key, self._connection.retries)
        return AsyncJob(self._connection, await self._connection.run(asked))

    async def job(self, job: str) -> AsyncJob:
        """A job by its id."""
        asked = jobs.show_job(job, self._connection.retries)
        return AsyncJob(self._connection, await self._connection.run(asked))

    async def jobs(
        self,
        *,
        state: str | None = None,
        kind: str | None = None,
        label: str | None = None,
        owner: str | None = None,
        limit: int | None = 50,
    ) -> list[AsyncJob]:
        """Your jobs, the newest first; an admin sees everybody's. `limit` None means all."""
        filters = {"state": state, "kind": kind, "label": label, "owner": owner}
        asked = jobs.list_jobs(filters, limit, self._connection.retries)
        found = await self._connection.run(asked)
        return [AsyncJob(self._connection, document) for document in found]

    async def models(self) -> list[AsyncRemoteModel]:
        """Everybody's models, in the order of their names, each as its newest version."""
        found = await self._connection.run(models.list_models(self._connection.retries))
        newest = (model["newest"] for model in found)
        return [AsyncRemoteModel(self._connection, document) for document in newest if document]

    async def model(self, name: str, version: int | None = None) -> AsyncRemoteModel:
        """A version of a model, or the newest, to call there or to bring here."""
        asked = models.show_version(name, version, self._connection.retries)
        return AsyncRemoteModel(self._connection, await self._connection.run(asked))

    async def delete_model(self, name: str) -> None:
        """Delete a model of yours: all of its versions, and its name, which is free again."""
        await self._connection.run(models.delete_model(name, None, self._connection.retries))

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self._connection.place.shown!r})"
