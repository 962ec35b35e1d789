"""What the routes share: the store, the solves in flight, and the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request
from intertwine.bases import Basis, from_bytes, load_basis
from intertwine.errors import FormatError, InvalidSetting
from intertwine.invariants import describe
from intertwine_cache import Manifest, Store, default_place
from intertwine_cache.place import default_limit
from pydantic import ValidationError

from intertwine_api.asking import Asked, ask, to_decompose
from intertwine_api.metrics import Metrics
from intertwine_api.pool import Pool
from intertwine_api.problems import Problem, ProblemError, printable
from intertwine_api.schemas import BasisManifest
from intertwine_api.settings import Settings
from intertwine_api.solves import Solves

_Result = TypeVar("_Result")


class Service:
    """One running service."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = _store(settings)
        self.metrics = Metrics()
        self.pool = Pool(settings, str(self.store.layout.root), self.store.limit)
        self.solves = Solves(self.pool, settings.queue, self.metrics)
        self.ready = False
        self._heavy = CapacityLimiter(2)

    async def start(self) -> None:
        """Start the workers."""
        await self.pool.start()
        self.ready = True

    async def end(self) -> None:
        """Give up the solves in flight, and end the workers."""
        self.ready = False
        await self.solves.end()
        await self.pool.end()

    async def ask(self, document: Mapping[str, Any]) -> Asked:
        """Read a request off the event loop: texts and generators may take a while."""
        return await self.work(ask, document)

    async def work(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Run what may take a while in a thread: a few at a time, so that reads have theirs."""
        return await to_thread.run_sync(partial(function, *arguments), limiter=self._heavy)

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
            return _from_manifest(found[0], cached=cached, asked=asked)
        except FormatError as error:
            self.store.reject(key, str(error))
            return None

    def manifests(self, after: str) -> Iterator[BasisManifest]:
        """The documents of all that the store has, in the order of their keys, from `after` on."""
        for manifest in self.store.manifests(after):
            with suppress(FormatError):  # told, and put away, when somebody asks for it
                yield _from_manifest(manifest, cached=True)

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
        basis = from_bytes(blob)
        details = {**describe(asked.canonical), "certificate": basis.certificate.to_json()}
        return _document(asked.key, details, len(blob), None, cached=cached, rep=str(asked.rep))


def _from_manifest(
    manifest: Manifest, *, cached: bool, asked: Asked | None = None
) -> BasisManifest:
    """The document of an entry. Raises `FormatError` where its details are not a basis's."""
    details, rep = dict(manifest.details), ""
    if asked is not None:
        details["group"] = None if asked.rep.G is None else repr(asked.rep.G)
        rep = str(asked.rep)
    try:
        return _document(
            manifest.key, details, manifest.size, manifest.digest, cached=cached, rep=rep
        )
    except (KeyError, TypeError, ValidationError) as error:
        raise FormatError(f"the manifest {manifest.key} is not of a basis: {error!r}") from error


def _document(
    key: str, details: dict[str, Any], size: int, digest: str | None, *, cached: bool, rep: str
) -> BasisManifest:
    details = printable(details)  # whoever shares the store may have named a group anything
    certificate = details["certificate"]
    here = f"/v1/bases/{key}"
    links = {"self": here, "dense": f"{here}/dense.npy", "project": f"{here}:project"}
    if digest is not None:
        links["blob"] = f"/v1/blobs/{digest}"
    return BasisManifest(
        key=key,
        group=details["group"],
        rep=rep or details["canonical"],
        canonical=details["canonical"],
        size=certificate["size"],
        rank=certificate["rank"],
        method=certificate["method"],
        cached=cached,
        digest=digest,
        bytes=size,
        certificate=certificate,
        links=links,
    )


def _store(settings: Settings) -> Store:
    try:
        place = settings.data / "cache" if settings.data is not None else default_place()
        limit = default_limit()
    except ValueError as error:
        raise InvalidSetting(str(error)) from error
    if place is None:
        raise InvalidSetting(
            "the service needs a store, and INTERTWINE_CACHE=off says that there is none: "
            "name a folder with --data"
        )
    store = Store(place, limit)
    store.layout.create()
    return store


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


#: The running service, as a route's argument.
TheService = Annotated[Service, Depends(_service)]
