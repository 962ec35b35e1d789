"""Routes of bases as matrices: the dense matrix, the file, and projections."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import chain
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from intertwine.arrays import join_complex
from intertwine.bases import Basis, to_arrays
from intertwine.bases.safetensors_file import file_pieces
from intertwine.errors import InvalidRep, TooLarge
from intertwine.invariants import in_order_of
from intertwine.reps import canonical, parse
from intertwine.reps.syntax import groups_of
from jaxtyping import Inexact, Shaped
from pydantic import ValidationError

from intertwine_api.server.access import BasesReader
from intertwine_api.server.middleware import is_safetensors
from intertwine_api.server.problem_responses import documented
from intertwine_api.server.routes.bases import Key
from intertwine_api.server.service import Service, TheService
from intertwine_api.wire.bases import Projected, ProjectRequest
from intertwine_api.wire.problems import ProblemError
from intertwine_api.wire.safetensors_body import SAFETENSORS, read_array, write_arrays

router = APIRouter(prefix="/v1", tags=["bases"])

AsWritten = Annotated[
    str | None,
    Query(description="the rep whose order the rows have; by default the canonical rep"),
]

_CHUNK = 2**19  # bytes of a matrix that are computed and sent at a time
MOST_CSV_ENTRIES = 100_000
"""The most entries of a matrix that is sent as CSV: some 2 MB."""


@router.get(
    "/bases/{key}/dense.npy",
    summary="Get the dense matrix of a basis",
    response_class=Response,
    responses={
        200: {"content": {"application/x-npy": {}}, "description": "The matrix as a .npy file."},
        **documented("not-found", "too-large", "invalid-request", "invalid-rep", "syntax"),
    },
)
async def get_dense(
    key: Key, service: TheService, caller: BasesReader, rep: AsWritten = None
) -> Response:
    """Return the matrix Q of shape (size, rank), column by column (``fortran_order``).

    The columns are computed from the stored form of the basis while they are sent.
    """
    return await service.work(caller, _dense, key, rep, service)


@router.get(
    "/bases/{key}/dense.csv",
    summary="Get the dense matrix of a small basis as CSV",
    response_class=Response,
    responses={
        200: {"content": {"text/csv": {}}, "description": "The matrix, one line for each row."},
        **documented("not-found", "too-large", "invalid-request", "invalid-rep", "syntax"),
    },
)
async def get_csv(
    key: Key, service: TheService, caller: BasesReader, rep: AsWritten = None
) -> Response:
    """Return the matrix Q as CSV (RFC 4180) without a header, for at most 100,000 entries.

    Numbers have all their digits. Complex ones are written as in Python: ``(0.5-0.5j)``.
    """
    return await service.work(caller, _csv, key, rep, service)


@router.get(
    "/bases/{key}/file.safetensors",
    summary="Get a basis as a file",
    response_class=Response,
    responses={
        200: {
            "content": {SAFETENSORS: {}},
            "description": "The basis with its rep, group and certificate.",
        },
        **documented("not-found", "too-large", "invalid-request", "invalid-rep", "syntax"),
    },
)
async def get_file(
    key: Key, service: TheService, caller: BasesReader, rep: AsWritten = None
) -> Response:
    """Return a basis with its rep, its group's generators and its certificate (docs/format.md)."""
    return await service.work(caller, _file, key, rep, service)


def _file(key: str, rep: str | None, service: Service) -> Response:
    basis = as_written(service.bases.basis(key), rep)
    if basis.nbytes > service.settings.dense_bytes:
        raise TooLarge(
            f"the basis takes {basis.nbytes / 1e9:,.3g} GB, more than the "
            f"{service.settings.dense_bytes / 1e9:,.3g} GB allowed: get its blob"
        )
    head, *arrays = file_pieces(*to_arrays(basis))
    headers = {
        "Content-Disposition": f'attachment; filename="{key[:12]}.safetensors"',
        "Content-Length": str(len(head) + sum(map(len, arrays))),
    }
    pieces = _sent(chain([head], arrays), service)
    return StreamingResponse(pieces, media_type=SAFETENSORS, headers=headers)


async def _sent(pieces: Iterable[bytes | memoryview], service: Service) -> AsyncIterator[bytes]:
    """Yield the bytes of the pieces in chunks, each made in a thread."""
    chunks = _chunks(pieces)
    while chunk := await service.make_piece(next, chunks, b""):
        yield chunk


def _chunks(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """Yield the bytes of the pieces in chunks of equal size, except the last."""
    chunk = bytearray()
    for piece in pieces:
        at = 0
        while at < len(piece):
            part = piece[at : at + _CHUNK - len(chunk)]
            at += len(part)
            chunk += part
            if len(chunk) == _CHUNK:
                yield bytes(chunk)
                chunk.clear()
    if chunk:
        yield bytes(chunk)


def as_written(basis: Basis, text: str | None) -> Basis:
    """Return the basis with rows in the order of the rep `text`, if given.

    Raises `InvalidRep` for another rep.
    """
    if text is None:
        return basis
    own = basis.rep
    if own is None:
        detail = "the basis is from an earlier version and has no group: delete it, and solve again"
        raise ProblemError.of("invalid-request", detail)
    rep, groups = parse(text), groups_of(own)
    if not rep.is_concrete and len(groups) == 1:
        rep = rep(groups[0])
    if not rep.is_concrete or canonical(rep).rep != canonical(own).rep:
        raise InvalidRep(f"{text} is not a reordering of the basis's rep {own!r}")
    return in_order_of(rep, basis)


def _dense(key: str, rep: str | None, service: Service) -> Response:
    basis = as_written(service.bases.basis(key), rep)
    basis.require_dense_fits(service.settings.dense_bytes)
    header = io.BytesIO()
    description = {
        "descr": np.lib.format.dtype_to_descr(basis.dtype),
        "fortran_order": True,
        "shape": basis.shape,
    }
    np.lib.format.write_array_header_1_0(header, description)
    columns = map(_bytes_of, basis.storage.columns(_CHUNK))  # holds no block while it is sent
    headers = {
        "Content-Disposition": f'attachment; filename="{key[:12]}.npy"',
        "Content-Length": str(header.tell() + basis.dense_bytes),
    }
    pieces = _sent(chain([header.getvalue()], columns), service)
    return StreamingResponse(pieces, media_type="application/x-npy", headers=headers)


def _csv(key: str, rep: str | None, service: Service) -> Response:
    basis = as_written(service.bases.basis(key), rep)
    entries = basis.shape[0] * basis.shape[1]
    if entries > MOST_CSV_ENTRIES:
        raise TooLarge(
            f"the matrix has {entries:,} entries; at most {MOST_CSV_ENTRIES:,} are sent as CSV. "
            f"Get dense.npy"
        )
    lines = (",".join(map(repr, row)) for row in basis.dense().tolist())
    headers = {"Content-Disposition": f'attachment; filename="{key[:12]}.csv"'}
    body = "".join(f"{line}\r\n" for line in lines)
    return Response(body, media_type="text/csv", headers=headers)


def _bytes_of(block: Inexact[np.ndarray, "n k"]) -> memoryview:
    """Return the bytes of a block, column by column."""
    return np.ascontiguousarray(block.T).reshape(-1).view(np.uint8).data


@router.post(
    "/bases/{key}:project",
    summary="Project vectors onto the invariants",
    response_model=Projected,
    responses={
        200: {"content": {SAFETENSORS: {}}, "description": "JSON or safetensors, as the request."},
        **documented(
            "not-found",
            "format",
            "invalid-request",
            "malformed",
            "body-too-large",
            "unsupported-media-type",
        ),
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
async def project(key: Key, service: TheService, caller: BasesReader, request: Request) -> Any:
    """Return QQᴴv and Qᴴv for each vector v, in the order of the canonical rep.

    Send JSON, or a safetensors body with an array `vectors` of shape (k, size); complex vectors
    have shape (k, size, 2), with real and imaginary parts. The response has the same format.
    """
    basis = await service.work(caller, service.bases.basis, key)  # before the body is read
    body = await request.body()
    binary = is_safetensors(dict(request.scope["headers"]))
    return await service.work(caller, _project, basis, body, binary)


def _project(basis: Basis, body: bytes, binary: bool) -> Any:
    vectors = _checked(read_array(body, "vectors") if binary else _from_json(body), basis)
    coordinates = basis.H @ vectors.T
    result = {"vectors": (basis @ coordinates).T, "coordinates": coordinates.T}
    if not all(np.all(np.isfinite(array)) for array in result.values()):
        raise ProblemError.of(
            "invalid-request", "the projections overflow float64: send smaller vectors"
        )
    if binary:
        return Response(b"".join(write_arrays(result)), media_type=SAFETENSORS)
    both = np.iscomplexobj(result["vectors"])
    document = Projected(
        vectors=result["vectors"].real.tolist(),
        coordinates=result["coordinates"].real.tolist(),
        imaginary=result["vectors"].imag.tolist() if both else None,
        coordinates_imaginary=result["coordinates"].imag.tolist() if both else None,
    )
    content = document.model_dump_json()  # in this thread
    return Response(content, media_type="application/json")


def _from_json(body: bytes) -> Shaped[np.ndarray, "..."]:
    try:
        request = ProjectRequest.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from error
    parts = [request.vectors, request.imaginary]
    try:
        real, imaginary = (np.array(part, dtype=float) for part in parts)
    except ValueError as error:
        raise ProblemError.of("invalid-request", "the vectors differ in length") from error
    if not request.imaginary:
        return real
    if real.shape != imaginary.shape:
        raise ProblemError.of("invalid-request", "imaginary has another shape than vectors")
    return join_complex(real, imaginary)


def _checked(vectors: Shaped[np.ndarray, "..."], basis: Basis) -> Shaped[np.ndarray, "..."]:
    """Return the vectors as a finite array of shape (k, size). Raises `ProblemError`."""
    if vectors.size == 0:
        vectors = vectors.reshape(0, basis.shape[0])
    if vectors.ndim != 2 or vectors.shape[1] != basis.shape[0]:
        detail = f"vectors has shape {vectors.shape}: send shape (k, {basis.shape[0]})"
        raise ProblemError.of("invalid-request", detail)
    if not np.all(np.isfinite(vectors)):
        raise ProblemError.of("invalid-request", "the vectors have non-finite entries")
    return vectors.astype(complex if np.iscomplexobj(vectors) else float)
