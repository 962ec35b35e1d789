"""Routes of blobs: the immutable bytes of bases, models and datasets, by their sha256."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi import Path as InPath
from fastapi.responses import FileResponse, JSONResponse
from intertwine.errors import FormatError
from intertwine.training.recipe.description import Digest
from prometheus_client import Counter
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Scope, Send

from intertwine_api.server.access import BlobsReader, JobsWriter
from intertwine_api.server.middleware import FILE_TYPES
from intertwine_api.server.problem_responses import documented, respond
from intertwine_api.server.service import Service, TheService
from intertwine_api.storage.keys import Caller
from intertwine_api.storage.references import is_weights_of_model
from intertwine_api.wire.bases import BlobDocument
from intertwine_api.wire.problems import Problem, ProblemError
from intertwine_api.wire.safetensors_body import (
    MOST_HEADER_OF_WEIGHTS,
    SAFETENSORS,
    require_small_header,
)
from intertwine_api.work.logs import audit

router = APIRouter(prefix="/v1", tags=["blobs"])

_CHUNK = 2**20  # bytes read at a time; with the default of 64 KB, overhead dominates

_FILE = {"schema": {"type": "string", "format": "binary"}}
#: The documented responses of a blob.
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {SAFETENSORS: {}}, "description": "The bytes, as safetensors."},
    206: {"content": {SAFETENSORS: {}}, "description": "The bytes in the requested `Range`."},
    304: {"description": "The `If-None-Match` header matches the blob."},
    **documented("not-found", "invalid-request", "range-not-satisfiable", "malformed"),
}


class Blob(FileResponse):
    """A response with the file of a blob."""

    chunk_size = _CHUNK

    def __init__(self, path: Path, headers: Mapping[str, str], sent: Counter) -> None:
        super().__init__(path, media_type=SAFETENSORS, headers=headers, stat_result=path.stat())
        self.sent = sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, or a problem document if that fails."""
        asked = dict(scope["headers"]).get(b"range", b"").decode("latin-1")
        if asked.partition("=")[0].strip().lower() != "bytes":  # RFC 9110 §14.2: ignore other units
            headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
            scope = {**scope, "headers": headers}
        start: Message = {}
        refused = sending = False

        async def watched(message: Message) -> None:
            nonlocal start, refused, sending
            if message["type"] == "http.response.start":
                start, refused = message, message["status"] >= 400
            elif not refused:
                if not sending:  # the file is open, so eviction cannot affect it
                    sending = True
                    await send(start)
                self.sent.inc(len(message.get("body", b"")))
                await send(message)

        try:
            await super().__call__(scope, receive, watched)
        except FileNotFoundError:
            if sending:
                raise
            problem = Problem.of("not-found", f"the blob {Path(self.path).name} was just deleted")
            await respond(problem)(scope, receive, send)
            return
        if refused:
            code = "range-not-satisfiable" if start["status"] == 416 else "malformed"
            size = int(self.headers["content-length"])
            problem = Problem.of(code, f"the range {asked!r} is outside of the {size:,} bytes")
            await respond(problem, {"Content-Range": f"bytes */{size}"})(scope, receive, send)


@router.post(
    "/blobs",
    status_code=201,
    summary="Upload the weights of a model",
    response_model=BlobDocument,
    responses=documented(
        "format",
        "unsupported-media-type",
        "body-too-large",
        "disk-full",
        "malformed",
        "quota-exceeded",
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": dict.fromkeys(FILE_TYPES, _FILE),
        }
    },
)
async def upload_blob(request: Request, service: TheService, caller: JobsWriter) -> Response:
    """Store a safetensors file of weights to continue training from.

    The sha256 of the bytes identifies the blob.
    """
    async with service.receive(request, caller.owner) as file:
        document = await service.store_upload(caller, _keep, file, service, caller.owner)
    audit("weights created", caller, id=document.digest, bytes=document.bytes)
    headers = {"Location": document.links["self"]}
    return JSONResponse(document.model_dump(), 201, headers=headers)


@router.get(
    "/blobs/{digest}",
    summary="Download a blob",
    operation_id="get_blob",
    response_class=Response,
    responses=RESPONSES,
)
@router.head(
    "/blobs/{digest}",
    summary="Get the size of a blob",
    operation_id="head_blob",
    response_class=Response,
    responses=RESPONSES,
)
async def get_blob(
    digest: Annotated[Digest, InPath(description="the sha256 of the bytes")],
    service: TheService,
    caller: BlobsReader,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return the bytes of a basis, a model or a dataset, or a `Range` of them.

    Blobs are immutable, with a strong ETag. Bases require the scope `bases:read`, and weights of
    models `models:forward` or `jobs:write`. Datasets, and weights without a model, are readable by
    their owners and admins.
    """
    path = await run_in_threadpool(_find, digest, service, caller)
    return await run_in_threadpool(blob_response, path, digest, service, caller, if_none_match)


def blob_response(
    path: Path | None, digest: str, service: Service, caller: Caller, if_none_match: str | None
) -> Response:
    """Return the response with a blob's file. Raises `ProblemError` with ``not-found``."""
    shared = "public" if caller.key_id is None else "private"
    headers = {
        "ETag": f'"{digest}"',
        "Cache-Control": f"{shared}, max-age=31536000, immutable",
    }
    try:
        blob = None if path is None else Blob(path, headers, service.metrics.bytes_sent)
    except FileNotFoundError:  # evicted or deleted meanwhile
        blob = None
    if blob is None:
        raise ProblemError.of("not-found", f"there is no blob {digest}")
    if _names(if_none_match, digest):
        return Response(status_code=304, headers=headers)
    return blob


def _keep(file: Path, service: Service, owner: str) -> BlobDocument:
    """Store an uploaded file of weights. Raises `FormatError` unless it is safetensors."""
    from safetensors import SafetensorError, safe_open

    with file.open("rb") as content:
        require_small_header(content.read(8), MOST_HEADER_OF_WEIGHTS)
    try:
        with safe_open(file, "numpy") as arrays:  # reads and checks only the header
            names = list(arrays.keys())
    except SafetensorError as error:
        raise FormatError(f"the body is not a safetensors file: {error}") from error
    if not names:
        raise FormatError("the safetensors file has no arrays")
    digest, size = service.quota.weights.add(owner, file)
    return BlobDocument(digest=digest, bytes=size, links={"self": f"/v1/blobs/{digest}"})


def _find(digest: str, service: Service, caller: Caller) -> Path | None:
    path = service.store.blob(digest) if caller.may("bases:read") else None
    if path is None:
        with suppress(FileNotFoundError):  # deleted meanwhile
            path = service.objects.path(digest)
            if path is not None and not _may_read(path, service, caller):
                path = None
    return path


def _may_read(path: Path, service: Service, caller: Caller) -> bool:
    """Return whether the caller may read a dataset or weights.

    Datasets are private to their owners. Weights are readable by callers who may call their model,
    have uploaded them, or have a job that starts from them.
    """
    from intertwine.training.recipe.samples import Samples

    try:
        Samples.read(path)  # maps the file, and reads only the header
    except FormatError:
        return _may_read_weights(path.name, service, caller)
    try:
        caller.require("jobs:write")
        service.datasets.get(path.name, None if caller.is_admin else caller.owner)
    except ProblemError:
        return False
    return True


def _may_read_weights(digest: str, service: Service, caller: Caller) -> bool:
    if caller.is_admin:
        return True
    if caller.may("jobs:write"):
        return service.quota.weights.are_readable(caller.owner, digest)
    with service.database.read() as connection:
        return caller.may("models:forward") and is_weights_of_model(connection, digest)


def _names(if_none_match: str | None, digest: str) -> bool:
    """Return whether an If-None-Match header matches the digest (RFC 9110, weak comparison)."""
    tags = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    return "*" in tags or f'"{digest}"' in tags
