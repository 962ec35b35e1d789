"""Bases: asked for, waited for, listed, sent dense, and applied."""

from __future__ import annotations

import io
import math
import re
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from intertwine.bases import Basis
from intertwine.invariants import estimate
from jaxtyping import Shaped
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from intertwine_api.asking import Asked
from intertwine_api.middleware import is_safetensors
from intertwine_api.problems import READING, SAFETENSORS, SOLVING, Problem, ProblemError, documented
from intertwine_api.schemas import (
    BasisManifest,
    BasisPage,
    BasisRequest,
    Digest,
    Pending,
    Progress,
    Projected,
    ProjectRequest,
)
from intertwine_api.service import Service, TheService
from intertwine_api.solves import Solve

router = APIRouter(prefix="/v1", tags=["bases"])

_PENDING: dict[int | str, dict[str, Any]] = {
    202: {"model": Pending, "description": "The solve goes on; ask again at `Location`."}
}
_READ_MOST = 2000  # manifests that are read for one page, however few of them pass the filter
_PART = 4 * 2**20  # bytes of a dense matrix that are handed over at a time
Key = Annotated[Digest, Path(description="the key of a basis")]


@router.post(
    "/bases",
    summary="Find the basis of a rep's invariants",
    operation_id="find_basis",
    response_model=BasisManifest,
    responses={**_PENDING, **documented(*READING, *SOLVING)},
)
async def find_basis(
    asked_for: BasisRequest,
    service: TheService,
    prefer: Annotated[str | None, Header(description="wait=N: for how many seconds")] = None,
) -> Any:
    """Answer at once where the basis is known; else solve, waiting as long as `Prefer: wait` says.

    Equal requests in flight share one solve, and a caller who leaves does not stop it.
    """
    asked = await service.ask(asked_for.model_dump(exclude_none=True))
    found = await run_in_threadpool(service.find, asked.key, asked)
    if found is not None:
        return found
    held = service.solves.unkept(asked.key)
    if held is not None:
        return await run_in_threadpool(service.unkept_manifest, asked, held[1], cached=True)
    wait = _wait(prefer, service)
    solve = service.solves.running(asked.key)
    if solve is None:
        await run_in_threadpool(_refuse_costly, asked, service)
        solve = service.solves.start(asked)
    if not await solve.wait(wait):
        return _pending(solve, {"Preference-Applied": f"wait={wait:g}"} if prefer else {})
    return await run_in_threadpool(_ended, solve, asked, service)


@router.get(
    "/bases",
    summary="List the bases that are known",
    operation_id="list_bases",
    response_model=BasisPage,
    responses=documented("invalid-request"),
)
def list_bases(
    service: TheService,
    limit: Annotated[int, Query(ge=1, le=200, description="how many at most")] = 50,
    after: Annotated[Digest | None, Query(description="the cursor, from `next`")] = None,
    group: Annotated[str | None, Query(description="only of this group, as printed")] = None,
    method: Annotated[str | None, Query(description="only found by this method")] = None,
) -> BasisPage:
    """The bases in the store, in the order of their keys.

    A page with a filter may be short, or empty, and yet not the last: `has_more` says.
    """
    page: list[BasisManifest] = []
    last = None
    for read, document in enumerate(service.manifests(after=after or "")):
        if len(page) == limit or read == _READ_MOST:
            return BasisPage(data=page, has_more=True, next=last)
        last = document.key
        if group in (None, document.group) and method in (None, document.method):
            page.append(document)
    return BasisPage(data=page, has_more=False, next=None)


@router.get(
    "/bases/{key}",
    summary="A basis by its key, or how far its solve is",
    operation_id="get_basis",
    response_model=BasisManifest,
    responses={**_PENDING, **documented("not-found", "invalid-request", *SOLVING)},
)
async def get_basis(key: Key, service: TheService) -> Any:
    """The manifest; while it is being solved, its progress; or the problem that ended it."""
    solve = service.solves.running(key)  # before the look into the store: it may end meanwhile
    found = await run_in_threadpool(service.find, key)
    if found is not None:
        return found
    if solve is not None and not solve.done.is_set():
        return _pending(solve)
    if solve is not None:
        return await run_in_threadpool(_ended, solve, solve.asked, service)
    held = service.solves.unkept(key)
    if held is not None:
        return await run_in_threadpool(service.unkept_manifest, *held, cached=True)
    problem = service.solves.failure(key)
    raise ProblemError(problem or Problem.of("not-found", f"no basis is known under {key}"))


@router.get(
    "/bases/{key}/dense.npy",
    summary="The dense matrix of a basis",
    operation_id="get_dense",
    response_class=Response,
    responses={
        200: {"content": {"application/x-npy": {}}, "description": "The matrix as a .npy file."},
        **documented("not-found", "too-large", "invalid-request"),
    },
)
async def get_dense(key: Key, service: TheService) -> Response:
    """The matrix Q of shape (size, rank), rows in the order of the canonical rep."""
    return await service.work(_dense, key, service)


def _dense(key: str, service: Service) -> Response:
    basis = service.basis(key)
    matrix = np.ascontiguousarray(basis.dense(max_bytes=service.settings.dense_bytes))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(matrix))
    content = matrix.reshape(-1).view(np.uint8).data  # sent as it lies: no second copy

    async def parts() -> AsyncIterator[bytes | memoryview]:
        yield header.getvalue()
        for start in range(0, len(content), _PART):
            yield content[start : start + _PART]

    headers = {
        "Content-Disposition": f'attachment; filename="{key[:12]}.npy"',
        "Content-Length": str(header.tell() + len(content)),
    }
    return StreamingResponse(parts(), media_type="application/x-npy", headers=headers)


@router.post(
    "/bases/{key}:project",
    summary="Project vectors on the invariants",
    operation_id="project",
    response_model=Projected,
    responses={
        200: {"content": {SAFETENSORS: {}}, "description": "As the request: JSON, or safetensors."},
        **documented("not-found", "format", "invalid-request", "malformed", "body-too-large"),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": ProjectRequest.model_json_schema()},
                SAFETENSORS: {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
async def project(key: Key, service: TheService, request: Request) -> Any:
    """QQᴴv and Qᴴv for each vector v, in the order of the canonical rep.

    Vectors come as JSON, or as a safetensors body with an array `vectors` of shape (k, size) (of
    shape (k, size, 2), real and imaginary parts, if complex); the answer is of the same kind.
    """
    body = await request.body()
    binary = is_safetensors(dict(request.scope["headers"]))
    return await service.work(_project, key, body, binary, service)


def _project(key: str, body: bytes, binary: bool, service: Service) -> Any:
    basis = service.basis(key)
    vectors = _checked(_from_safetensors(body) if binary else _from_json(body), basis)
    coordinates = basis.H @ vectors.T
    result = {"vectors": (basis @ coordinates).T, "coordinates": coordinates.T}
    if not all(np.all(np.isfinite(array)) for array in result.values()):
        raise ProblemError(Problem.of("invalid-request", "the vectors are too long for float64"))
    if binary:
        from safetensors.numpy import save

        return Response(save({k: _real_view(v) for k, v in result.items()}), media_type=SAFETENSORS)
    both = np.iscomplexobj(result["vectors"])
    document = Projected(
        vectors=result["vectors"].real.tolist(),
        coordinates=result["coordinates"].real.tolist(),
        imaginary=result["vectors"].imag.tolist() if both else None,
        coordinates_imaginary=result["coordinates"].imag.tolist() if both else None,
    )
    return Response(document.model_dump_json(), media_type="application/json")  # off the loop


def _real_view(array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    array = np.ascontiguousarray(array)
    return array.view(np.float64).reshape(*array.shape, 2) if np.iscomplexobj(array) else array


def _from_safetensors(body: bytes) -> Shaped[np.ndarray, "..."]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        vectors: Shaped[np.ndarray, "..."] = load(body)["vectors"]
    except (SafetensorError, KeyError, ValueError) as error:
        raise ProblemError(Problem.of("format", f"no array `vectors`: {error}")) from error
    if vectors.ndim == 3 and vectors.shape[2] == 2:
        return vectors[..., 0] + 1j * vectors[..., 1]
    return vectors


def _from_json(body: bytes) -> Shaped[np.ndarray, "..."]:
    try:
        request = ProjectRequest.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from error
    parts = [request.vectors, request.imaginary]
    try:
        real, imaginary = (np.array(part, dtype=float) for part in parts)
    except ValueError as error:
        raise ProblemError(Problem.of("invalid-request", "the vectors differ in length")) from error
    if not request.imaginary:
        return real
    if real.shape != imaginary.shape:
        raise ProblemError(Problem.of("invalid-request", "imaginary parts are shaped otherwise"))
    return real + 1j * imaginary


def _checked(vectors: Shaped[np.ndarray, "..."], basis: Basis) -> Shaped[np.ndarray, "..."]:
    """The vectors as an array of shape (k, size) of finite numbers."""
    if vectors.size == 0:
        vectors = vectors.reshape(0, basis.shape[0])
    if vectors.ndim != 2 or vectors.shape[1] != basis.shape[0]:
        detail = f"vectors of shape {vectors.shape} are no (k, {basis.shape[0]})"
        raise ProblemError(Problem.of("invalid-request", detail))
    if not np.all(np.isfinite(vectors)):
        raise ProblemError(Problem.of("invalid-request", "the vectors have entries not finite"))
    return vectors.astype(complex if np.iscomplexobj(vectors) else float)


def _wait(prefer: str | None, service: Service) -> float:
    match = re.search(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})", prefer or "")
    wanted = float(match[1]) if match else service.settings.wait_seconds
    return min(wanted, service.settings.wait_most)


def _refuse_costly(asked: Asked, service: Service) -> None:
    cost = estimate(asked.canonical, asked.method)
    limits = service.settings
    if cost.operations > limits.solve_operations or cost.memory > limits.solve_memory:
        raise ProblemError(
            Problem.of(
                "too-costly",
                f"{asked.canonical} would take about {cost.operations:.2g} operations and "
                f"{cost.memory / 1e9:.3g} GB; this service spends {limits.solve_operations:.2g} "
                f"and {limits.solve_memory / 1e9:.3g} GB on a solve",
                estimate={"operations": cost.operations, "bytes": cost.memory},
                limit={"operations": limits.solve_operations, "bytes": limits.solve_memory},
            )
        )


def _pending(solve: Solve, more: Mapping[str, str] | None = None) -> JSONResponse:
    fraction = solve.fraction if math.isfinite(solve.fraction) else 0.0
    document = Pending(
        key=solve.asked.key,
        state=solve.state,
        progress=Progress(stage=solve.stage, fraction=min(1.0, max(0.0, fraction))),
    )
    headers = {"Location": f"/v1/bases/{solve.asked.key}", "Retry-After": "1", **(more or {})}
    return JSONResponse(document.model_dump(), 202, headers=headers)


def _ended(solve: Solve, asked: Asked, service: Service) -> BasisManifest:
    if solve.problem is not None:
        raise ProblemError(solve.problem)
    found = service.read(solve.asked.key, cached=solve.cached, asked=asked)
    if found is not None:
        return found
    held = service.solves.unkept(solve.asked.key)
    if held is not None:
        return service.unkept_manifest(asked, held[1], cached=solve.cached)
    raise ProblemError(
        Problem.of(
            "not-kept",
            f"the basis of {asked.canonical} was found, but {service.store.layout.root} could not "
            f"keep it, and it is too large for this service's memory: see that the store can be "
            f"written to, and has room",
        )
    )
