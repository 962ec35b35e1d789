"""The state of a basis: known, being solved here, in a job, or failed; and its document."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import urlencode

from intertwine.bases import Basis, from_bytes
from intertwine.bases.files import read_basis
from intertwine.errors import FormatError
from intertwine.invariants import describe
from intertwine.reps.document import is_given_by_generators
from intertwine_cache import Manifest, Store
from pydantic import ValidationError

from intertwine_api.wire.bases import BasisManifest
from intertwine_api.wire.basis_request import ParsedRequest
from intertwine_api.wire.problems import Problem, ProblemError, printable
from intertwine_api.work.job import Job
from intertwine_api.work.queue import Queue
from intertwine_api.work.service_metrics import ServiceMetrics
from intertwine_api.work.solves import Solve, Solves


@dataclass(frozen=True)
class Known:
    """The basis is in the store, or in memory where the store could not keep it."""

    document: BasisManifest


@dataclass(frozen=True)
class Solving:
    """A worker of this process is solving."""

    solve: Solve


@dataclass(frozen=True)
class InJob:
    """A job, which has not ended, solves."""

    job: Job


@dataclass(frozen=True)
class Failed:
    """The last solve failed."""

    problem: Problem


BasisState: TypeAlias = Known | Solving | InJob | Failed


class BasisStates:
    """Answers where the basis of a key is. Its methods read files and the database."""

    def __init__(self, store: Store, solves: Solves, queue: Queue, metrics: ServiceMetrics) -> None:
        self._store, self._solves, self._queue, self._metrics = store, solves, queue, metrics

    def of(self, key: str, request: ParsedRequest | None = None) -> BasisState | None:
        """Return the state of a basis; None if nothing is known under the key.

        A document has rep and group as requested, if there is a request.
        """
        here = self.here(key, request)
        if here is not None:
            return here
        problem = self._solves.failure(key)
        if problem is not None:
            return Failed(problem)
        job = self._queue.latest(key)
        return None if job is None else self.after_job(job, key, request)

    def here(
        self, key: str, request: ParsedRequest | None = None
    ) -> Known | Solving | Failed | None:
        """Return the state as this process and the store have it, without the database.

        A document has rep and group as requested, if there is a request.
        """
        solve = self._solves.running(key)  # before the store, because it may end in between
        found = self._read(key, cached=True, request=request)
        state: Known | Solving | Failed | None
        if found is not None:
            level, state = "disk", Known(found)
        elif solve is not None:
            is_done = solve.done.is_set()
            level, state = "solve", self.after_solve(solve, request) if is_done else Solving(solve)
        else:
            state = self._in_memory(key, request, cached=True)
            level = "none" if state is None else "memory"
        self._metrics.lookups.labels(level).inc()
        return state

    def after_solve(self, solve: Solve, request: ParsedRequest | None = None) -> Known | Failed:
        """Return the state after a solve in this process has ended."""
        if solve.problem is not None:
            return Failed(solve.problem)
        request = request or solve.request
        found = self._read(request.key, cached=solve.cached, request=request)
        if found is not None:
            return Known(found)
        return self._in_memory(request.key, request, cached=solve.cached) or Failed(
            Problem.of(
                "not-kept",
                f"the basis of {request.canonical} was found, but {self._store.layout.root} could "
                f"not keep it, and it is too large for this service's memory: see that the store "
                f"can be written to, and has room",
            )
        )

    def after_job(self, job: Job, key: str, request: ParsedRequest | None = None) -> BasisState:
        """Return the state of a basis that a job solves or has solved."""
        if not job.has_ended:
            return InJob(job)
        found = self._read(key, cached=True, request=request)
        return Failed(_problem_of(job)) if found is None else Known(found)

    def basis(self, key: str) -> Basis:
        """Return the basis of a key. Raises `ProblemError` with ``not-found``."""
        held = self._solves.unkept(key)
        if held is not None:
            return from_bytes(held[1])
        found = self._store.read(key)
        if found is not None and found[0].is_basis:
            try:
                return read_basis(found[1], key)
            except FileNotFoundError:
                pass  # evicted meanwhile
            except FormatError as error:
                self._store.reject(key, str(error))
        raise ProblemError.of("not-found", f"no basis is known under the key {key}")

    def documents(self, after: str) -> Iterator[BasisManifest]:
        """Yield the documents of all bases in the store whose keys follow `after`, in order."""
        for manifest in self._store.manifests(after):
            with suppress(FormatError):  # reported and quarantined when it is read
                yield document_of(manifest, cached=True)

    def _read(
        self, key: str, *, cached: bool, request: ParsedRequest | None
    ) -> BasisManifest | None:
        found = self._store.read(key)
        if found is None or not found[0].is_basis:
            return None
        try:
            return document_of(found[0], cached=cached, request=request)
        except FormatError as error:
            self._store.reject(key, str(error))
            return None

    def _in_memory(self, key: str, request: ParsedRequest | None, *, cached: bool) -> Known | None:
        held = self._solves.unkept(key)
        if held is None:
            return None
        own, blob = held
        return Known(unkept_document(request or own, blob, cached=cached))


def _problem_of(job: Job) -> Problem:
    """Return why a job has ended without a basis; only its owner may see its log."""
    if job.problem is not None:
        return Problem(**{name: value for name, value in job.problem.items() if name != "log"})
    why = "was cancelled" if job.state == "cancelled" else "succeeded, and the store has it no more"
    return Problem.of("not-found", f"the job that solved for it {why}: ask for the basis again")


def document_of(
    manifest: Manifest, *, cached: bool, request: ParsedRequest | None = None
) -> BasisManifest:
    """Return the document of an entry of the store, with rep and group as requested, if they were.

    Raises `FormatError` if its details are not those of a basis.
    """
    details = dict(manifest.details)
    if request is not None:
        details["group"] = None if request.rep.G is None else repr(request.rep.G)
    try:
        return _document(
            manifest.key, details, manifest.size, manifest.digest, cached=cached, request=request
        )
    except (KeyError, TypeError, ValidationError, RecursionError) as error:
        raise FormatError(f"the manifest {manifest.key} is not of a basis: {error!r}") from error


def unkept_document(request: ParsedRequest, blob: bytes, *, cached: bool) -> BasisManifest:
    """Return the document of a basis that the store could not keep."""
    basis = from_bytes(blob)
    details = {**describe(request.canonical), "certificate": basis.certificate.to_json()}
    return _document(request.key, details, len(blob), None, cached=cached, request=request)


def _document(
    key: str,
    details: dict[str, Any],
    size: int,
    digest: str | None,
    *,
    cached: bool,
    request: ParsedRequest | None,
) -> BasisManifest:
    details = printable(details)  # other users of the store may give a group any name
    certificate = details["certificate"]
    here = f"/v1/bases/{key}"
    links = {"self": here, "project": f"{here}:project"}
    for kind, suffix in (("dense", "npy"), ("file", "safetensors")):
        links[kind] = f"{here}/{kind}.{suffix}"
        if request is not None and not is_given_by_generators(request.rep):
            links[f"{kind}_as_asked"] = f"{links[kind]}?{urlencode({'rep': str(request.rep)})}"
        elif request is None or request.rep == request.canonical:
            links[f"{kind}_as_asked"] = links[kind]
        # else it is left out: an address cannot define the names in a text
    if digest is not None:
        links["blob"] = f"/v1/blobs/{digest}"
    return BasisManifest(
        key=key,
        group=details["group"],
        rep=details["canonical"] if request is None else str(request.rep),
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
