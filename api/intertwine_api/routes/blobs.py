"""Blobs: the bytes of bases, by content, for ever the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from fastapi import Path as InPath
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Scope, Send

from intertwine_api.problems import Problem, ProblemError, documented, respond
from intertwine_api.schemas import Digest
from intertwine_api.service import TheService

router = APIRouter(prefix="/v1", tags=["blobs"])

_SAFETENSORS = "application/vnd.safetensors"
_CHUNK = 4 * 2**20  # bytes read at a time: of the default 64 KB, handing over costs the most

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {_SAFETENSORS: {}}, "description": "The bytes, as safetensors."},
    206: {"content": {_SAFETENSORS: {}}, "description": "The bytes of the `Range` asked for."},
    304: {"description": "The caller has these bytes: its `If-None-Match` names them."},
    **documented("not-found", "invalid-request", "range-not-satisfiable", "malformed"),
}


class _Blob(FileResponse):
    chunk_size = _CHUNK

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file; a range that it does not have is a problem like every other."""
        refused = 0

        async def watched(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] >= 400:
                refused = message["status"]
            if not refused:
                await send(message)

        await super().__call__(scope, receive, watched)
        if refused:
            code = "range-not-satisfiable" if refused == 416 else "malformed"
            asked = dict(scope["headers"]).get(b"range", b"").decode("latin-1")
            size = Path(self.path).stat().st_size
            problem = Problem.of(code, f"the range {asked!r} is not in {size:,} bytes")
            await respond(problem, {"Content-Range": f"bytes */{size}"})(scope, receive, send)


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
    digest: Annotated[Digest, InPath(description="the sha256 of the bytes")],
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
