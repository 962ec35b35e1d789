"""Blobs: the bytes of bases, by content, for ever the same."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from intertwine_api.problems import Problem, ProblemError, documented
from intertwine_api.schemas import Digest
from intertwine_api.service import TheService

router = APIRouter(prefix="/v1", tags=["blobs"])

_SAFETENSORS = "application/vnd.safetensors"
_CHUNK = (
    4 * 2**20
)  # bytes read at a time: in the default 64 KB, handing over costs more than reading

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {_SAFETENSORS: {}}, "description": "The bytes, as safetensors."},
    206: {"content": {_SAFETENSORS: {}}, "description": "The bytes of the `Range` asked for."},
    304: {"description": "The caller has these bytes: its `If-None-Match` names them."},
    **documented("not-found", "invalid-request", "range-not-satisfiable", "malformed"),
}


class _Blob(FileResponse):
    chunk_size = _CHUNK


@router.get(
    "/blobs/{digest}",
    summary="The bytes of a basis",
    operation_id="get_blob",
    response_class=_Blob,
    responses=_RESPONSES,
)
@router.head(
    "/blobs/{digest}",
    summary="The size of the bytes of a basis",
    operation_id="head_blob",
    response_class=_Blob,
    responses=_RESPONSES,
)
async def get_blob(
    digest: Annotated[Digest, Path(description="the sha256 of the bytes")],
    service: TheService,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Immutable content with a strong ETag, whole or by `Range`."""
    path = await run_in_threadpool(service.store.blob, digest)
    if path is None:
        raise ProblemError(Problem.of("not-found", f"there is no blob {digest}"))
    headers = {
        "ETag": f'"{digest}"',
        "Cache-Control": "public, max-age=31536000, immutable",
    }
    if _names(if_none_match, digest):
        return Response(status_code=304, headers=headers)
    service.metrics.bytes_sent.inc(path.stat().st_size)
    return _Blob(path, media_type=_SAFETENSORS, headers=headers)


def _names(if_none_match: str | None, digest: str) -> bool:
    """Whether an If-None-Match header names the digest (RFC 9110, weak comparison)."""
    tags = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    return "*" in tags or f'"{digest}"' in tags
