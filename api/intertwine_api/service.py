"""What the routes share: the store, the database and what is in it, and the work that goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request
from intertwine.bases import Basis, from_bytes, load_basis
from intertwine.errors import FormatError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from intertwine_api.access import Access
from intertwine_api.asking import Asked, ask, to_decompose
from intertwine_api.basis_documents import document_of, unkept_document
from intertwine_api.database import Database
from intertwine_api.inference.inference import Inference
from intertwine_api.intake import Intake
from intertwine_api.jobs.events import Events
from intertwine_api.jobs.here import controller_of, places_of
from intertwine_api.jobs.job import Job
from intertwine_api.jobs.metrics import Metrics as MetricsOfJobs
from intertwine_api.jobs.queue import Queue
from intertwine_api.keys import Keys
from intertwine_api.metrics import Metrics
from intertwine_api.models import Models
from intertwine_api.objects import Objects
from intertwine_api.pool import Pool
from intertwine_api.problems import Problem, ProblemError
from intertwine_api.schemas import BasisManifest
from intertwine_api.settings import Settings
from intertwine_api.solves import Solves
from intertwine_api.stores import open_store
from intertwine_api.streams import Streams
from intertwine_api.tidying import tidy_daily
from intertwine_api.training.samples import Datasets
from intertwine_api.uploads import Uploads

_Result = TypeVar("_Result")


class Service:
    """One running service."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = open_store(settings)
        self.metrics = Metrics()
        self.pool = Pool(settings, str(self.store.layout.root), self.store.limit)
        self.solves = Solves(self.pool, settings.queue, self.metrics)
        self.ready = False
        self.left: list[Job] = []
        """The jobs that go on when the service has ended."""
        self._heavy, self._files = CapacityLimiter(2), CapacityLimiter(1)
        self._open(settings)

    def _open(self, settings: Settings) -> None:
        """What is in the database, and in the files beside it."""
        self.database = Database(settings.database_url)
        self.objects = Objects(settings.home / "objects")
        self.uploads = Uploads(settings.home / "uploads")
        self.keys = Keys(self.database)
        self.access = Access(
            self.keys, open_to_all=settings.on_loopback or settings.allow_unauthenticated
        )
        self.queue = Queue(self.database, settings.lease_seconds)
        self.events = Events(self.database)
        self.metrics_of_jobs = MetricsOfJobs(self.database)
        self.streams = Streams(
            self.database,
            self.events,
            heartbeat=settings.event_heartbeat,
            most=settings.key_streams,
        )
        self.places = places_of(settings, self.store.layout.root)
        self.controller = controller_of(settings, self.places, self.queue)
        self.datasets = Datasets(self.database, self.objects, settings.dataset_bytes)
        self.models = Models(self.database, self.objects)
        self.inference = Inference(self.models, self.objects, settings, self.metrics)
        self.intake = Intake(
            settings, self.queue, self.datasets, self.models, self.objects, self.controller.wake
        )

    async def start(self) -> None:
        """Bring the database up to date, start the workers, and take up this host's jobs."""
        await to_thread.run_sync(self.database.migrate)
        await self.pool.start()
        self.controller.start()
        tidying = tidy_daily(self.database, self.objects, self.uploads)
        self._tidying = asyncio.create_task(tidying, name="tidying")
        self.ready = True

    async def end(self) -> None:
        """Give up the solves in flight, and end the workers. Jobs go on."""
        self.ready = False
        self._tidying.cancel()
        self.streams.end()
        await self.inference.end()
        await self.solves.end()
        await self.pool.end()
        await to_thread.run_sync(self.controller.stop)
        with suppress(SQLAlchemyError):  # the database is away: they go on all the same
            self.left = await to_thread.run_sync(self.jobs_here)
        self.database.close()

    def jobs_here(self) -> list[Job]:
        """The jobs that this host runs."""
        return self.queue.held(self.places.host)

    def count_jobs(self) -> None:
        """Bring the numbers of jobs up to date, also of those that there are no more."""
        self.metrics.jobs.clear()
        for (kind, state), number in self.queue.counts().items():
            self.metrics.jobs.labels(kind, state).set(number)

    def require_database(self) -> None:
        """Raises `ProblemError` with ``not-ready`` where the database does not answer."""
        try:
            with self.database.read() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            problem = Problem.of("not-ready", "the database cannot be reached")
            raise ProblemError(problem, {"Retry-After": "5"}) from error

    async def ask(self, document: Mapping[str, Any]) -> Asked:
        """Read a request off the event loop: texts and generators may take a while."""
        return await self.work(ask, document)

    async def work(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Run what may take a while in a thread: a few at a time, so that reads have theirs."""
        return await to_thread.run_sync(partial(function, *arguments), limiter=self._heavy)

    async def take_in(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Check and keep a file that was sent, in a thread: one at a time, as it may be large."""
        return await to_thread.run_sync(partial(function, *arguments), limiter=self._files)

    async def decompose(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """A rep as a sum of irreps, found by a worker. Raises `ProblemError`."""
        asked = await self.work(to_decompose, document)
        solve = self.solves.start(asked)
        await solve.done.wait()
        if solve.document is None:
            assert solve.problem is not None
            raise ProblemError(solve.problem)
        return solve.document

    def find(self, key: str, asked: Asked | None = None) -> BasisManifest | None:
        """The document of a key where the store has it, counted as a look into the cache."""
        found = self.read(key, cached=True, asked=asked)
        self.metrics.lookups.labels("disk" if found else "none").inc()
        return found

    def read(self, key: str, *, cached: bool, asked: Asked | None = None) -> BasisManifest | None:
        """The document of a key where the store has it, in the words of the request, if any."""
        found = self.store.read(key)
        if found is None or found[0].details.get("kind") == "irreps":  # no basis, and no fault
            return None
        try:
            return document_of(found[0], cached=cached, asked=asked)
        except FormatError as error:
            self.store.reject(key, str(error))
            return None

    def manifests(self, after: str) -> Iterator[BasisManifest]:
        """The documents of all that the store has, in the order of their keys, from `after` on."""
        for manifest in self.store.manifests(after):
            with suppress(FormatError):  # told, and put away, when somebody asks for it
                yield document_of(manifest, cached=True)

    def basis(self, key: str) -> Basis:
        """The basis of a key. Raises `ProblemError` with ``not-found`` where it is not known."""
        held = self.solves.unkept(key)
        if held is not None:
            return from_bytes(held[1])
        found = self.store.read(key)
        if found is not None and found[0].details.get("kind") != "irreps":
            try:
                return load_basis(found[1])
            except FormatError as error:
                self.store.reject(key, str(error))
        raise ProblemError(Problem.of("not-found", f"no basis is known under the key {key}"))

    def unkept_manifest(self, asked: Asked, blob: bytes, *, cached: bool) -> BasisManifest:
        """The document of a basis that the store could not keep."""
        return unkept_document(asked, blob, cached=cached)


def _service(request: Request) -> Service:  # a plain function would cost a thread
    service: Service = request.app.state.service
    return service


#: The running service, as a route's argument.
TheService = Annotated[Service, Depends(_service)]
