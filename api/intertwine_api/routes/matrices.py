"""Bases as matrices: sent dense, and applied to vectors."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from intertwine.bases import Basis
from jaxtyping import Shaped
from pydantic import ValidationError

from intertwine_api.middleware import is_safetensors
from intertwine_api.problems import SAFETENSORS, Problem, ProblemError, documented
from intertwine_api.routes.bases import Key
from intertwine_api.schemas import Projected, ProjectRequest
from intertwine_api.service import Service, TheService
from intertwine_api.vectors import complex_of, from_safetensors, to_safetensors

router = APIRouter(prefix="/v1", tags=["bases"])

_PART = 4 * 2**20  # bytes of a dense matrix that are handed over at a time


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
    vectors = _checked(from_safetensors(body, "vectors") if binary else _from_json(body), basis)
    coordinates = basis.H @ vectors.T
    result = {"vectors": (basis @ coordinates).T, "coordinates": coordinates.T}
    if not all(np.all(np.isfinite(array)) for array in result.values()):
        raise ProblemError(Problem.of("invalid-request", "the vectors are too long for float64"))
    if binary:
        return Response(to_safetensors(result), media_type=SAFETENSORS)
    both = np.iscomplexobj(result["vectors"])
    document = Projected(
        vectors=result["vectors"].real.tolist(),
        coordinates=result["coordinates"].real.tolist(),
        imaginary=result["vectors"].imag.tolist() if both else None,
        coordinates_imaginary=result["coordinates"].imag.tolist() if both else None,
    )
    return Response(document.model_dump_json(), media_type="application/json")  # off the loop


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
    return complex_of(real, imaginary)


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
