"""The synchronous and the asynchronous client."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Self, Unpack

from intertwine_api.client import jobs, models
from intertwine_api.client.address import ServerAddress, server_address
from intertwine_api.client.bases import describe_store, find_basis
from intertwine_api.client.connection import AnyConnection, AsyncConnection, Connection, run
from intertwine_api.client.datasets import (
    GivenData,
    StoredDataset,
    delete_dataset,
    list_datasets,
    upload_dataset,
)
from intertwine_api.client.in_flight import InFlight, end_in_flight, list_in_flight
from intertwine_api.client.job import AsyncJob, Job
from intertwine_api.client.polynomials import (
    count_polynomials,
    find_generators,
    find_polynomials,
)
from intertwine_api.client.remote_model import AsyncRemoteModel, RemoteModel
from intertwine_api.client.retries import Retries
from intertwine_api.client.trainings import JobOptions, Training, submit_training

if TYPE_CHECKING:
    from intertwine.bases import Basis
    from intertwine.groups import Group
    from intertwine.polynomials import HilbertSeries, PolynomialMaps
    from intertwine.reps import Rep
    from intertwine.training.recipe.framework import FrameworkName


class BaseClient(Generic[AnyConnection]):
    """The connection of a client to its service."""

    _connection_type: Callable[[ServerAddress, Retries], AnyConnection]

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        connect_timeout: float = 10.0,
        answer_timeout: float = 60.0,
        retries: int = 4,
        outage: float = 300.0,
        allow_plain_http: bool | None = None,
    ) -> None:
        address = server_address(url, key, connect_timeout, answer_timeout, allow_plain_http)
        self._connection = self._connection_type(address, Retries(retries, outage=outage))

    @property
    def url(self) -> str:
        """Return the address of the service."""
        return self._connection.address.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connection.address.display_url!r})"


class Client(BaseClient[Connection]):
    """A client of a service: ``lab = Client("https://lab.example.org", key="itw_…")``.

    `url` and `key` default to INTERTWINE_URL and INTERTWINE_KEY, then the address to this machine,
    and the key to that of `intertwine login` for the address. The address may have a path, as
    behind a proxy. Proxies and certificates come from the environment (HTTPS_PROXY, NO_PROXY,
    SSL_CERT_FILE).

    `connect_timeout` and `answer_timeout` are in seconds. Idempotent requests are retried up to
    `retries` times if the connection fails or the service is busy. Methods that wait retry through
    outages of up to `outage` seconds once the service has answered, until their `timeout`. A client
    is thread-safe.

    A key is sent unencrypted (``http://``) only to this machine, unless `allow_plain_http` or
    INTERTWINE_ALLOW_HTTP=1 in the environment allows it.

    Methods raise `ConnectionFailed`, `ServiceError`, `ForeignAnswer` for a response that is not
    from Intertwine, and the library's own errors that the service reports; see
    `intertwine_api.client.errors`.
    """

    _connection_type = Connection

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
        """Return the basis of a rep's invariants, solved at the service, as a local solve would.

        `rep` is a rep or its text. `group` is a group, its text or its generators as JSON.
        `tolerance` allows a residual up to this fraction of the generators' norms. Raises the
        errors of a solve, and `WaitedTooLong` after `timeout` seconds.
        """
        options = {"method": method, "backend": backend, "tolerance": tolerance}
        session = self._connection.within(timeout)
        return run(find_basis(session, rep, group, options))

    def molien(
        self,
        rep: str | Rep,
        degree: int,
        rep_out: str | Rep | None = None,
        *,
        group: str | Group | Mapping[str, Any] | None = None,
    ) -> HilbertSeries:
        """Return the Hilbert series of a rep, computed by the service.

        See `intertwine.polynomials.molien`. Raises its errors.
        """
        return run(count_polynomials(self._connection, rep, degree, rep_out, group))

    def generators(
        self,
        rep: str | Rep,
        degree: int,
        *,
        group: str | Group | Mapping[str, Any] | None = None,
    ) -> PolynomialMaps:
        """Return minimal generators of the invariant polynomials of a rep, found at the service.

        See `intertwine.polynomials.generators`. Raises its errors.
        """
        return run(find_generators(self._connection, rep, degree, group))

    def polynomial_basis(
        self,
        rep_in: str | Rep,
        rep_out: str | Rep,
        degree: int,
        *,
        group: str | Group | Mapping[str, Any] | None = None,
    ) -> PolynomialMaps:
        """Return a basis of all equivariant polynomials up to a degree, found at the service.

        See `intertwine.polynomials.polynomial_basis`. Raises its errors, and `TooLarge` for
        polynomials of more than 20,000 terms.
        """
        return run(find_polynomials(self._connection, rep_in, rep_out, degree, group))

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
        framework: FrameworkName | None = None,
        **training: Unpack[Training],
    ) -> Job:
        """Submit a training and return its job: `Job.watch` shows it, `Job.result` is the model.

        `model` is a description, ``{"type": "EMLP", "ch": 384, "num_layers": 3}``, or a network of
        `intertwine.nn` or `intertwine.torch`, whose weights initialize the training. The data are
        arrays X and Y, a dataset such as ``intertwine.datasets.Inertia(1000)``, the result of
        `upload`, or the name of a dataset that the service generates: "Inertia",
        ``{"name": "Inertia", "size": 5000}``.

        Reps and group are those of the arguments, else of the model, else of the data. A network
        has its own: raises `InvalidSetting` if the arguments differ from them.

        `name` names the trained model, `labels` are one or several. `seconds`, `memory` (in bytes)
        and `attempts` (lost in succession without a new checkpoint) limit the job. Requests with
        the same `idempotency_key` make one job. `framework` is "jax" or "torch": by default
        that of the network, and JAX for a description. All further settings are those of
        `Training`.
        """
        data = GivenData(X, Y, rep_in, rep_out, group)
        options = JobOptions(
            name, labels, priority, seconds, memory, attempts, idempotency_key, framework
        )
        operation = submit_training(self._connection, model, data, training, options)
        return Job(self._connection, run(operation))

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
        """Upload data for several trainings. Equal data are stored once.

        Reps and group are those of the arguments, else of the data, as in `train`.
        """
        data = GivenData(X, Y, rep_in, rep_out, group, name).completed_by(None)
        return run(upload_dataset(self._connection, data))

    def datasets(self) -> list[StoredDataset]:
        """Return your datasets at the service, the newest first."""
        return run(list_datasets(self._connection))

    def delete_dataset(self, digest: str) -> None:
        """Delete one of your datasets."""
        run(delete_dataset(self._connection, digest))

    def train_request(self, document: Mapping[str, Any], *, idempotency_key: str = "") -> Job:
        """Submit a training as the document of `POST /v1/jobs`; one key makes one job."""
        training = {"kind": "train", **document}
        operation = jobs.submit_job(self._connection, training, idempotency_key)
        return Job(self._connection, run(operation))

    def job(self, job: str) -> Job:
        """Return a job by its id."""
        return Job(self._connection, run(jobs.show_job(self._connection, job)))

    def jobs(
        self,
        *,
        state: str | None = None,
        kind: str | None = None,
        label: str | None = None,
        owner: str | None = None,
        limit: int | None = 50,
    ) -> list[Job]:
        """Return your jobs, the newest first; an admin sees all owners'. `limit` None means all."""
        filters = {"state": state, "kind": kind, "label": label, "owner": owner}
        found = run(jobs.list_jobs(self._connection, filters, limit))
        return [Job(self._connection, document) for document in found]

    def models(self) -> list[RemoteModel]:
        """Return the newest version of every owner's models, sorted by name.

        `config` and `provenance` are fetched on first use.
        """
        found = run(models.list_models(self._connection))
        return [RemoteModel(self._connection, document) for document in found]

    def model(self, name: str, version: int | None = None) -> RemoteModel:
        """Return a version of a model, by default the newest, to call remotely or to download."""
        operation = models.show_version(self._connection, name, version)
        return RemoteModel(self._connection, run(operation))

    def delete_model(self, name: str) -> None:
        """Delete one of your models with all its versions. The name becomes free."""
        run(models.delete_model(self._connection, name, None))

    def store(self) -> dict[str, Any]:
        """Return the `layout`, `public_key` and `fingerprint` of the store, for others to read it.

        `intertwine cache trust` remembers the key, whose signatures then count.
        """
        return run(describe_store(self._connection))

    def in_flight(self, what: InFlight) -> list[dict[str, Any]]:
        """Return the "solves" or "uploads" that the service works on; for admins.

        Each is a document with `id`, `owner`, `state` and `since`. A service of several processes
        lists those of the process that responds.
        """
        return run(list_in_flight(self._connection, what))

    def end_in_flight(self, what: InFlight, name: str) -> None:
        """End a solve or an upload by its id; for admins."""
        run(end_in_flight(self._connection, what, name))

    def close(self) -> None:
        """Close the connections. Garbage collection of the client closes them too."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def remote(url: str | None = None, key: str | None = None, **options: Any) -> Client:
    """Return a client: ``lab = remote("http://lab.example.org:8000")``.

    The arguments are those of `Client`.
    """
    return Client(url, key, **options)


class AsyncClient(BaseClient[AsyncConnection]):
    """A `Client` whose methods are awaited: ``async with AsyncClient(url) as lab``.

    Arguments, results and errors are those of `Client`. Close it with ``async with`` or `close`.
    """

    _connection_type = AsyncConnection

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
        """Return the basis of a rep's invariants, solved at the service; see `Client.basis`."""
        options = {"method": method, "backend": backend, "tolerance": tolerance}
        session = self._connection.within(timeout)
        return await find_basis(session, rep, group, options)

    async def molien(
        self,
        rep: str | Rep,
        degree: int,
        rep_out: str | Rep | None = None,
        *,
        group: str | Group | Mapping[str, Any] | None = None,
    ) -> HilbertSeries:
        """Return the Hilbert series of a rep, computed by the service; see `Client.molien`."""
        return await count_polynomials(self._connection, rep, degree, rep_out, group)

    async def generators(
        self,
        rep: str | Rep,
        degree: int,
        *,
        group: str | Group | Mapping[str, Any] | None = None,
    ) -> PolynomialMaps:
        """Return minimal generators of the invariant polynomials; see `Client.generators`."""
        return await find_generators(self._connection, rep, degree, group)

    async def polynomial_basis(
        self,
        rep_in: str | Rep,
        rep_out: str | Rep,
        degree: int,
        *,
        group: str | Group | Mapping[str, Any] | None = None,
    ) -> PolynomialMaps:
        """Return a basis of all equivariant polynomials; see `Client.polynomial_basis`."""
        return await find_polynomials(self._connection, rep_in, rep_out, degree, group)

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
        framework: FrameworkName | None = None,
        **training: Unpack[Training],
    ) -> AsyncJob:
        """Submit a training and return its job; see `Client.train`."""
        data = GivenData(X, Y, rep_in, rep_out, group)
        options = JobOptions(
            name, labels, priority, seconds, memory, attempts, idempotency_key, framework
        )
        operation = submit_training(self._connection, model, data, training, options)
        return AsyncJob(self._connection, await operation)

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
        """Upload data for several trainings. Equal data are stored once."""
        data = GivenData(X, Y, rep_in, rep_out, group, name).completed_by(None)
        return await upload_dataset(self._connection, data)

    async def datasets(self) -> list[StoredDataset]:
        """Return your datasets at the service, the newest first."""
        return await list_datasets(self._connection)

    async def delete_dataset(self, digest: str) -> None:
        """Delete one of your datasets."""
        await delete_dataset(self._connection, digest)

    async def train_request(
        self, document: Mapping[str, Any], *, idempotency_key: str = ""
    ) -> AsyncJob:
        """Submit a training as the document of `POST /v1/jobs`; one key makes one job."""
        training = {"kind": "train", **document}
        operation = jobs.submit_job(self._connection, training, idempotency_key)
        return AsyncJob(self._connection, await operation)

    async def job(self, job: str) -> AsyncJob:
        """Return a job by its id."""
        return AsyncJob(self._connection, await jobs.show_job(self._connection, job))

    async def jobs(
        self,
        *,
        state: str | None = None,
        kind: str | None = None,
        label: str | None = None,
        owner: str | None = None,
        limit: int | None = 50,
    ) -> list[AsyncJob]:
        """Return your jobs, the newest first; an admin sees all owners'. `limit` None means all."""
        filters = {"state": state, "kind": kind, "label": label, "owner": owner}
        found = await jobs.list_jobs(self._connection, filters, limit)
        return [AsyncJob(self._connection, document) for document in found]

    async def models(self) -> list[AsyncRemoteModel]:
        """Return the newest version of every owner's models, sorted by name."""
        found = await models.list_models(self._connection)
        return [AsyncRemoteModel(self._connection, document) for document in found]

    async def model(self, name: str, version: int | None = None) -> AsyncRemoteModel:
        """Return a version of a model, by default the newest, to call remotely or to download."""
        operation = models.show_version(self._connection, name, version)
        return AsyncRemoteModel(self._connection, await operation)

    async def delete_model(self, name: str) -> None:
        """Delete one of your models with all its versions. The name becomes free."""
        await models.delete_model(self._connection, name, None)

    async def store(self) -> dict[str, Any]:
        """Return the description of the service's store; see `Client.store`."""
        return await describe_store(self._connection)

    async def in_flight(self, what: InFlight) -> list[dict[str, Any]]:
        """Return the "solves" or "uploads" that the service works on; see `Client.in_flight`."""
        return await list_in_flight(self._connection, what)

    async def end_in_flight(self, what: InFlight, name: str) -> None:
        """End a solve or an upload by its id; for admins."""
        await end_in_flight(self._connection, what, name)

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()
