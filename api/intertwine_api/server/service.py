"""The state shared by all routes: store, database, worker pool, controller, models."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request
from intertwine.groups import limited_entries
from intertwine.invariants import Cost, estimate, estimate_decomposition
from intertwine_cache import SIGNING_KEY, Keyring, require_room
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from intertwine_api.server.access import Access
from intertwine_api.server.console.forms import FormTokens
from intertwine_api.server.disconnects import CancelOnDisconnect
from intertwine_api.server.far_tiers import FarTiers
from intertwine_api.server.inference import Inference
from intertwine_api.server.limits import ConcurrencyLimit, FairLimiter, RateLimiter
from intertwine_api.server.recent_errors import RecentErrors
from intertwine_api.server.sessions import Sessions
from intertwine_api.server.store_index import StoreContents, StoreIndex
from intertwine_api.server.streams import Streams
from intertwine_api.storage.arrivals import Arrivals
from intertwine_api.storage.database import Database
from intertwine_api.storage.datasets import Datasets
from intertwine_api.storage.identity import require_same_service
from intertwine_api.storage.keys import Caller, Keys
from intertwine_api.storage.models import Models
from intertwine_api.storage.quota import Quota, UploadedWeights, bytes_by_owner
from intertwine_api.storage.references import DAY
from intertwine_api.storage.uploads import Upload, Uploads
from intertwine_api.wire.basis_request import (
    ParsedRequest,
    check_of,
    parse_decomposition,
    parse_request,
)
from intertwine_api.wire.polynomial_request import PolynomialTask, parse_polynomials
from intertwine_api.wire.problems import Problem, ProblemError
from intertwine_api.work.access_policy import AccessPolicy
from intertwine_api.work.basis_states import BasisStates
from intertwine_api.work.controller import host_capacity, make_controller
from intertwine_api.work.events import Events
from intertwine_api.work.failures import out_of_time
from intertwine_api.work.gpu_usage import GpuUsage, read_gpu_usage
from intertwine_api.work.host_coordination import HostCoordination
from intertwine_api.work.job import Job
from intertwine_api.work.job_metrics import JobMetrics as JobMetrics
from intertwine_api.work.queue import Queue
from intertwine_api.work.retention import Retention
from intertwine_api.work.service_metrics import ServiceMetrics
from intertwine_api.work.settings import Settings, objects_of, open_store, usable_far_tiers
from intertwine_api.work.shared_job_files import JobSizes, SharedJobFiles
from intertwine_api.work.solve_job import require_below
from intertwine_api.work.solver_pool import Pool
from intertwine_api.work.solves import Solves
from intertwine_api.work.submission import Submission

_LOG = logging.getLogger("intertwine.service")
_STATISTICS_SECONDS = 15.0
_DECOMPOSITIONS = 256  # that are kept in memory
_MOST_IRREPS = 1_000  # of a decomposition that is kept
_LONGEST_REQUEST = 2**14  # characters of its request
_Result = TypeVar("_Result")


class Refreshed(Generic[_Result]):
    """A slow value: one caller computes it, and others share it for some seconds."""

    def __init__(self, get: Callable[[], _Result], seconds: float) -> None:
        self._get, self._seconds = get, seconds
        self._until = float("-inf")
        self._value: _Result | None = None
        self._running: asyncio.Task[None] | None = None

    async def get(self) -> _Result:
        """Return the value. Callers share a refresh, and wait only for the very first value."""
        if self._running is None and time.monotonic() >= self._until:
            self._running = asyncio.create_task(self._refresh())
        if self._value is None and self._running is not None:
            await asyncio.shield(self._running)
        assert self._value is not None
        return self._value

    async def renew(self) -> None:
        """Compute the value anew, because it has changed just now."""
        if self._running is not None:  # it may have begun before the change
            await asyncio.shield(self._running)
        if self._running is None:
            self._running = asyncio.create_task(self._refresh())
        await asyncio.shield(self._running)

    async def _refresh(self) -> None:
        try:
            self._value = await to_thread.run_sync(self._get)
            self._until = time.monotonic() + self._seconds
        finally:
            self._running = None


async def _collect_daily(retention: Retention) -> None:
    """Apply the retention settings now, and then once a day.

    A failure is logged, and tried again on the next day.
    """
    while True:
        try:
            await to_thread.run_sync(retention.collect)
        except Exception:  # for example, the database is unreachable
            _LOG.exception("the service could not collect garbage; the next try is in a day")
        await asyncio.sleep(DAY)


class Service:
    """One running service."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = open_store(settings)
        self.keyring = Keyring(settings.home / SIGNING_KEY)
        self.metrics = ServiceMetrics()
        self.recent_errors = RecentErrors()
        self.pool = Pool(settings, str(self.store.layout.root), self.store.limit)
        self.ready = False
        self.left: list[Job] = []
        """The jobs of this host that still run after the service has ended."""
        self._heavy = FairLimiter(most=3, share=1)
        self._storing = FairLimiter(most=2, share=1)
        self._uploads_of_owner = ConcurrencyLimit(settings.key_uploads, "uploads of this owner")
        rate = settings.key_upload_rate
        self._upload_rate = RateLimiter(rate, burst=int(rate) // 4)
        self._uploads_at_once = ConcurrencyLimit(settings.uploads, "uploads")
        self._reading, self._making = CapacityLimiter(2), CapacityLimiter(2)
        self._decompositions: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._statistics = Refreshed(self.store.statistics, _STATISTICS_SECONDS)
        self._contents = Refreshed(StoreIndex(self.store).read, _STATISTICS_SECONDS)
        self._gpu_usage = Refreshed(read_gpu_usage, _STATISTICS_SECONDS)
        self._open(settings)

    def _open(self, settings: Settings) -> None:
        """Open the database, the objects and the uploads, and all that uses them."""
        self.database = Database(settings.database_url)
        self.far_tiers = FarTiers(self.store, usable_far_tiers())
        self.hosts = HostCoordination.of(self.database, self.store, self.far_tiers.addresses)
        self.solves = Solves(self.pool, settings, self.metrics, self.hosts)
        self.objects = objects_of(settings)
        self.shared_job_files = SharedJobFiles.of(self.objects.bucket)
        self.uploads = Uploads(settings.home / "uploads")
        self.arrivals = Arrivals(settings.home / "arrivals", settings.dataset_bytes)
        self.keys = Keys(self.database, settings.home)
        self.access = Access(self.keys, open_to_all=settings.is_open_without_keys)
        self.logins = RateLimiter(rate=5.0, burst=50)
        self.queue = Queue(self.database, settings.lease_seconds)
        self.bases = BasisStates(self.store, self.solves, self.queue, self.metrics)
        self.events = Events(self.database)
        self.job_metrics = JobMetrics(self.database)
        self.streams = Streams(
            self.database,
            self.events,
            heartbeat=settings.event_heartbeat,
            most=settings.key_streams,
        )
        self.capacity = host_capacity(settings, self.store.layout.root)
        self.controller = make_controller(settings, self.capacity, self.queue)
        self.quota = Quota(
            self.database,
            UploadedWeights(self.database, self.objects),
            settings.owner_bytes,
            JobSizes(settings.home, self.shared_job_files).of,
        )
        self.datasets = Datasets(self.database, self.objects, settings.dataset_bytes, self.quota)
        self.models = Models(self.database, self.objects)
        self.inference = Inference(self.models, self.objects, settings, self.metrics)
        self.submission = Submission(
            settings,
            self.queue,
            self.datasets,
            self.models,
            self.objects,
            self.controller.wake,
            self.quota,
        )

    async def start(self) -> None:
        """Migrate the database, start the workers, and resume this host's jobs.

        Raises `InvalidSetting` if the data folder is not that of the database.
        """
        await to_thread.run_sync(self.database.migrate)
        identity = await to_thread.run_sync(
            require_same_service, self.database, self.settings.home, self.objects
        )
        self.sessions = Sessions(identity)
        self.form_tokens = FormTokens(identity)
        records = self.settings.home / "weights"
        await to_thread.run_sync(self.quota.weights.import_files, records)
        await to_thread.run_sync(self.keys.remember)
        await to_thread.run_sync(self.arrivals.remove_old)
        await self.pool.start()
        self.controller.start()
        collecting = _collect_daily(
            Retention(self.settings, self.database, self.objects, self.uploads, "retention")
        )
        self._collecting = asyncio.create_task(collecting, name="garbage collection")
        self.ready = True

    async def end(self) -> None:
        """Cancel the solves in flight and stop the workers. Jobs keep running."""
        self.ready = False
        self._collecting.cancel()
        self.streams.end()
        await self.inference.end()
        await self.solves.end()
        await self.pool.end()
        await self.hosts.end()
        await to_thread.run_sync(self.controller.stop)
        with suppress(SQLAlchemyError):  # the database is unreachable; the jobs keep running
            self.left = await to_thread.run_sync(self.jobs_here)
        await to_thread.run_sync(self.keys.close)
        self.database.close()

    def require_workers(self) -> None:
        """Raise `ProblemError` with ``not-ready`` until the workers have started."""
        if not self.ready:
            raise ProblemError.of("not-ready", "the workers are starting")

    def access_policy(self) -> AccessPolicy:
        """Return who may use the service."""
        return AccessPolicy.of(self.settings, self.keys)

    def jobs_here(self) -> list[Job]:
        """Return the jobs that this host runs."""
        return self.queue.held(self.capacity.host)

    async def update_metrics(self) -> None:
        """Update the metrics that are read from the store, the database, the disks and GPUs."""
        self.metrics.store_bytes.set((await self.store_statistics())["bytes"])
        self.metrics.show_gpus(await self.gpu_usage())
        await to_thread.run_sync(self._update_metrics)

    def _update_metrics(self) -> None:
        self._count_jobs()
        self.metrics.oldest_queued.set(self.queue.longest_wait())
        self.metrics.owner_bytes.clear()
        with self.database.read() as connection:
            for owner, sizes in bytes_by_owner(connection).items():
                for kind, size in sizes.items():
                    self.metrics.owner_bytes.labels(owner, kind).set(size)
        folders = {"data": self.settings.home, "store": self.store.layout.root}
        for name, folder in folders.items():
            self.metrics.disk_free.labels(name).set(shutil.disk_usage(folder).free)

    def _count_jobs(self) -> None:
        """Update the job metrics. States without a job are removed."""
        self.metrics.jobs.clear()
        for (kind, state), number in self.queue.counts().items():
            self.metrics.jobs.labels(kind, state).set(number)

    def require_database(self) -> None:
        """Check the database. Raises `ProblemError` with ``not-ready`` if it does not answer."""
        try:
            with self.database.read() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            problem = Problem.of("not-ready", "the database cannot be reached")
            raise ProblemError(problem, {"Retry-After": "5"}) from error

    def require_disk(self) -> None:
        """Check the disks of the data and of the store.

        Raises `ProblemError` with ``not-ready`` if one has no space beside the reserve, or is gone.
        """
        for what, folder in (("data", self.settings.home), ("store", self.store.layout.root)):
            try:
                require_room(folder, 0)
            except OSError as error:
                raise ProblemError.of(
                    "not-ready",
                    f"the disk of the {what} cannot be written to: {error.strerror}. Free some of "
                    f"it: the service leaves a reserve to the database and the logs",
                    headers={"Retry-After": "30"},
                ) from error

    async def parse(self, document: Mapping[str, Any], caller: Caller) -> ParsedRequest:
        """Parse a request in a thread, because texts and generators can be slow to parse."""
        return await self.work(caller, parse_request, document)

    async def work(
        self, caller: Caller, function: Callable[..., _Result], *arguments: Any
    ) -> _Result:
        """Run a slow function in one of a few threads. Each owner has a share of them.

        Reads use other threads. Groups of more than `Settings.group_entries` are refused.
        """

        def bounded() -> _Result:
            with limited_entries(self.settings.group_entries):
                return function(*arguments)

        return await self._heavy.run(caller.share, bounded)

    async def read_body(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Read or write a large body in one of few threads: parsed JSON takes much memory."""
        return await to_thread.run_sync(partial(function, *arguments), limiter=self._reading)

    async def make_piece(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Make a piece of a response in one of a few threads that are reserved for this."""
        return await to_thread.run_sync(partial(function, *arguments), limiter=self._making)

    async def store_statistics(self) -> dict[str, Any]:
        """Return the statistics of the store, at most some seconds old: reading them is slow."""
        return await self._statistics.get()

    async def store_contents(self) -> StoreContents:
        """Return the entries of the store, at most some seconds old."""
        return await self._contents.get()

    async def renew_store(self) -> None:
        """Read the statistics and the entries of the store anew, after an eviction."""
        await self._statistics.renew()
        await self._contents.renew()

    async def gpu_usage(self) -> dict[str, GpuUsage]:
        """Return the usage of this host's GPUs, at most some seconds old."""
        return await self._gpu_usage.get()

    async def store_upload(
        self, caller: Caller, function: Callable[..., _Result], *arguments: Any
    ) -> _Result:
        """Check and store an uploaded file in a thread: two at a time, because files are large."""
        return await self._storing.run(caller.share, partial(function, *arguments))

    async def decompose(
        self, document: Mapping[str, Any], caller: Caller, request: Request
    ) -> dict[str, Any]:
        """Return a rep as a sum of irreps. It is cancelled when all callers have disconnected.

        The last ones are kept in memory. Raises `ProblemError`, also if it takes longer than a
        request may wait.
        """
        most = min(self.settings.wait_most, self.settings.solve_seconds)
        self.solves.require_room(caller)  # before the request is parsed
        async with CancelOnDisconnect(request):
            parsed, cost = await self.work(caller, self._affordable_decomposition, document)
            # by the text, because names of groups and irreps depend on more than the key
            found = self._decompositions.pop(parsed.task, None)
            if found is None:
                found = await self._finish(parsed, cost, caller, "the decomposition", most)
        if len(found["irreps"]) <= _MOST_IRREPS and len(parsed.task) <= _LONGEST_REQUEST:
            self._decompositions[parsed.task] = found
            while len(self._decompositions) > _DECOMPOSITIONS:
                self._decompositions.popitem(last=False)
        return found

    async def find_polynomials(
        self, task: PolynomialTask, document: Mapping[str, Any], caller: Caller, request: Request
    ) -> dict[str, Any]:
        """Return the document of a Hilbert series, of generators or of all equivariant polynomials.

        It is cancelled when all callers have disconnected. Raises `ProblemError`, also if it takes
        longer than a request may wait.
        """
        most = min(self.settings.wait_most, self.settings.solve_seconds)
        self.solves.require_room(caller)
        async with CancelOnDisconnect(request):
            parsed, cost = await self.work(caller, self._affordable_polynomials, task, document)
            return await self._finish(parsed, cost, caller, "the search for polynomials", most)

    async def check(
        self, asked: ParsedRequest, file: Path, digest: str, caller: Caller, request: Request
    ) -> dict[str, Any]:
        """Check the file of a basis that a caller has sent, and publish what is proven.

        Return the document of `solver_process`. It is cancelled when the caller has disconnected.
        Raises `ProblemError`, with ``not-sound`` if the file does not have the basis.
        """
        most = min(self.settings.wait_most, self.settings.solve_seconds)
        self.solves.require_room(caller)
        async with CancelOnDisconnect(request):
            cost = await self.work(caller, estimate, asked.canonical, asked.method)
            task = check_of(asked, file, digest)
            return await self._finish(task, cost, caller, "the check of the basis", most)

    async def _finish(
        self, task: ParsedRequest, cost: Cost, caller: Caller, what: str, most: float
    ) -> dict[str, Any]:
        """Return the document of a worker's task, which a caller waits for.

        Raises `ProblemError` if it fails, or does not end in `most` seconds.
        """
        solve = self.solves.start(task, caller, cost.operations, most)
        with self.solves.wanted(solve, caller):
            if not await solve.wait(most):
                raise ProblemError(out_of_time(what, most, most))
        if solve.document is None:
            assert solve.problem is not None
            raise ProblemError(solve.problem)
        return solve.document

    def _affordable_decomposition(self, document: Mapping[str, Any]) -> tuple[ParsedRequest, Cost]:
        parsed = parse_decomposition(document)
        cost = require_below(
            estimate_decomposition(parsed.canonical),
            f"the decomposition of {parsed.canonical}",
            self.settings.decompose_operations,
            self.settings.solve_memory,
        )
        return parsed, cost

    def _affordable_polynomials(
        self, task: PolynomialTask, document: Mapping[str, Any]
    ) -> tuple[ParsedRequest, Cost]:
        parsed, cost = parse_polynomials(task, document)
        require_below(
            cost,
            f"the search for polynomials of {parsed.rep} of degree {document['degree']}",
            self.settings.decompose_operations,
            self.settings.solve_memory,
        )
        return parsed, cost

    @asynccontextmanager
    async def receive(self, request: Request, owner: str) -> AsyncIterator[Path]:
        """Receive the body of a request as a file (see `Uploads.receive`), within the quota.

        Raises `ProblemError` with ``quota-exceeded``, and with ``rate-limited`` for too many
        uploads at once.
        """
        declared = int(request.headers.get("content-length", "0"))
        with (
            self._uploads_of_owner.slot(owner),
            self._uploads_at_once.slot("all"),
            self.quota.upload(owner) as incoming,
        ):
            await to_thread.run_sync(incoming.start, declared)
            upload = Upload(owner, declared)
            body = self._paced(request, owner)
            async with self.uploads.receive(body, incoming.take, upload) as path:
                yield path

    async def _paced(self, request: Request, owner: str) -> AsyncIterator[bytes]:
        """Yield the body of an upload, not faster than its owner may send."""
        async for piece in request.stream():
            await self._upload_rate.pace(owner, len(piece))
            yield piece


def _service(request: Request) -> Service:  # async: FastAPI runs plain functions in a thread
    service: Service = request.app.state.service
    return service


#: The running service, as a route's argument.
TheService = Annotated[Service, Depends(_service)]
