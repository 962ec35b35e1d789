"""The store as a tier of other stores: manifests and blobs of bases, below one address.

Others read from it, and send what they have solved.
"""

from __future__ import annotations

import json
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from intertwine.training.recipe.description import Digest
from intertwine_cache import Manifest, Store, fingerprint
from intertwine_cache.store import digest_of
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from intertwine_api.server.access import BasesReader, BasesWriter
from intertwine_api.server.middleware import FILE_TYPES
from intertwine_api.server.problem_responses import PARSE_PROBLEMS, SOLVE_PROBLEMS, documented
from intertwine_api.server.routes.bases import PENDING, solved
from intertwine_api.server.routes.blobs import RESPONSES, blob_response
from intertwine_api.server.service import Service, TheService
from intertwine_api.storage.arrivals import Arrivals
from intertwine_api.storage.keys import Caller
from intertwine_api.wire.bases import (
    BasisManifest,
    BasisRequest,
    PublishedBasis,
    SentBlob,
    StoreDescription,
    StoreKeys,
)
from intertwine_api.wire.basis_request import ParsedRequest
from intertwine_api.wire.problems import ProblemError
from intertwine_api.wire.safetensors_body import require_small_header
from intertwine_api.work.basis_states import Known
from intertwine_api.work.logs import audit

router = APIRouter(prefix="/v1/store", tags=["store"])

_MOST_MANIFEST = 2**18  # bytes: its request has at most a quarter
_MOST_HEADER = 2**22  # bytes, as readers accept
_FILE = {"schema": {"type": "string", "format": "binary"}}
_MANIFEST: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {}}, "description": "The manifest, signed."},
    **documented("not-found", "invalid-request"),
}
_Folder = Annotated[str, Path(description="the first two digits", pattern="^[0-9a-f]{2}$")]


@router.get("", summary="Describe the store for others that read from it")
async def describe_store(service: TheService, caller: BasesReader) -> StoreDescription:
    """Return the version of the layout, and the public key that signs the manifests."""
    key = await run_in_threadpool(lambda: service.keyring.public_key)
    return StoreDescription(layout=1, public_key=key, fingerprint=fingerprint(key))


@router.get(
    "/manifests",
    summary="List the keys of the store",
    responses=documented("invalid-request"),
)
async def list_store_keys(
    service: TheService,
    caller: BasesReader,
    limit: Annotated[int, Query(ge=1, le=1000, description="the size of a page")] = 1000,
    after: Annotated[Digest | None, Query(description="the `next` of the previous page")] = None,
) -> StoreKeys:
    """Return the keys of the bases in the store, so that others can copy all of them.

    A page can be shorter than `limit` without being the last: check `has_more`.
    """
    return await service.work(caller, _keys, service.store, limit, after or "")


def _keys(store: Store, limit: int, after: str) -> StoreKeys:
    keys: list[str] = []
    last = None
    for read, key in enumerate(store.layout.keys(after)):
        if read == limit:
            return StoreKeys(data=keys, has_more=True, next=last)
        last = key
        manifest = store.manifest(key)
        if manifest is not None and manifest.is_basis:
            keys.append(key)
    return StoreKeys(data=keys, has_more=False, next=None)


@router.get(
    "/manifests/{folder}/{key}.json",
    summary="Get the manifest of a stored basis",
    operation_id="get_store_manifest",
    response_class=Response,
    responses=_MANIFEST,
)
@router.head(
    "/manifests/{folder}/{key}.json",
    summary="Get the size of the manifest of a stored basis",
    operation_id="head_store_manifest",
    response_class=Response,
    responses=_MANIFEST,
)
async def get_manifest(
    folder: _Folder,
    key: Annotated[Digest, Path(description="the key of the basis")],
    service: TheService,
    caller: BasesReader,
) -> Response:
    """Return the manifest of a basis in the store: the digest of its blob, and the evidence.

    It is signed with the key of this service, which has solved or checked the basis.
    """
    content = None
    if key.startswith(folder):
        content = await run_in_threadpool(_signed_manifest, service, key)
    if content is None:
        raise ProblemError.of("not-found", f"the store has no basis with the key {key}")
    return Response(content, media_type="application/json")


def _signed_manifest(service: Service, key: str) -> bytes | None:
    found = service.store.read(key)
    if found is None or not found[0].is_basis:
        return None
    return service.keyring.vouch_for(found[0]).to_bytes()


@router.put(
    "/manifests/{folder}/{key}.json",
    status_code=201,
    summary="Publish a basis that was solved elsewhere",
    response_model=PublishedBasis,
    responses={
        200: {"model": PublishedBasis, "description": "The key has an entry, which stays."},
        **PENDING,
        **documented(*PARSE_PROBLEMS, *SOLVE_PROBLEMS, "not-sound", "wrong-state", "too-many-jobs"),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    },
)
async def put_manifest(
    folder: _Folder,
    key: Annotated[Digest, Path(description="the key of the basis")],
    request: Request,
    service: TheService,
    caller: BasesWriter,
) -> Response:
    """Publish a basis whose blob was sent before, unless its key has an entry.

    The manifest has the `request` of the basis in its `details`, from which the service computes
    the key again. It checks the basis as a solve is checked, counts the invariants, and writes its
    own certificate: no claim of the sender is used. A basis that is wrong is refused as
    `not-sound`. Where the invariants cannot be counted, and for approximate bases, the service
    solves instead; a status of 202 says that it has not finished.
    """
    manifest = await _sent_manifest(request, folder, key, service)
    known = await run_in_threadpool(service.store.read, key)
    if known is not None:
        await run_in_threadpool(service.arrivals.remove, caller.owner, manifest.digest)
        return _published(known[0], "known", 200)
    parsed = await service.parse(_request_of(manifest), caller)
    if parsed.key != key:
        detail = f"the request in the manifest has the key {parsed.key}, not {key}"
        raise ProblemError.of("invalid-request", detail)
    reason = "approximate bases cannot be proven"
    if parsed.tolerance is None:
        reason = await _checked(manifest, parsed, service, caller, request)
        stored = None if reason else await run_in_threadpool(service.store.manifest, key)
        if stored is not None:
            return _published(stored, "checked", 201)
    state = await run_in_threadpool(service.bases.here, key, parsed)
    if isinstance(state, Known):  # another caller was faster
        return _published(state.document, "known", 200)
    answer = await solved(parsed, state, service, caller, request, service.settings.wait_seconds)
    await run_in_threadpool(service.arrivals.remove, caller.owner, manifest.digest)
    if isinstance(answer, JSONResponse):
        return answer
    return _published(answer, "solved", 201, reason)


async def _sent_manifest(request: Request, folder: str, key: str, service: Service) -> Manifest:
    content = await request.body()
    if len(content) > _MOST_MANIFEST:
        detail = f"a manifest has at most {_MOST_MANIFEST:,} bytes, and this {len(content):,}"
        raise ProblemError.of("body-too-large", detail, limit_bytes=_MOST_MANIFEST)
    _require_folder(folder, key)
    try:
        return await service.read_body(Manifest.from_bytes, key, content)
    except json.JSONDecodeError as error:
        raise ProblemError.of("malformed", f"the manifest is not JSON: {error}") from error
    except ValueError as error:
        raise ProblemError.of("invalid-request", f"the manifest is refused: {error}") from error


def _request_of(manifest: Manifest) -> dict[str, Any]:
    try:
        asked = BasisRequest.model_validate(manifest.details.get("request"))
    except ValidationError as error:
        detail = f"`request` in the details of the manifest cannot be read: {error.errors()[0]}"
        raise ProblemError.of("invalid-request", detail) from error
    return asked.model_dump(exclude_none=True)


async def _checked(
    manifest: Manifest, parsed: ParsedRequest, service: Service, caller: Caller, request: Request
) -> str:
    """Publish the basis that was sent, if it is proven. Return why it cannot be, or ""."""
    about = {"id": manifest.key, "digest": manifest.digest, "bytes": manifest.size}
    find, owner = service.arrivals.find, caller.owner
    file = await run_in_threadpool(find, owner, manifest.digest)
    if file is None:
        detail = f"the blob {manifest.digest} has not arrived: send it before its manifest"
        raise ProblemError.of("wrong-state", detail)
    size = (await run_in_threadpool(file.stat)).st_size
    if size != manifest.size:
        detail = f"the blob has {size:,} bytes, and the manifest says {manifest.size:,}"
        raise ProblemError.of("invalid-request", detail)
    try:
        found = await service.check(parsed, file, manifest.digest, caller, request)
    except ProblemError as error:
        if error.problem.code == "not-sound":
            audit("basis refused", caller, **about, reason=error.problem.detail)
            await run_in_threadpool(service.arrivals.remove, owner, manifest.digest)
        raise
    if "unproven" in found:
        return str(found["unproven"])
    audit("basis created", caller, **about, stored=found["digest"])
    await run_in_threadpool(service.arrivals.remove, owner, manifest.digest)
    return ""


def _published(
    entry: Manifest | BasisManifest,
    outcome: Literal["known", "checked", "solved"],
    status: int,
    reason: str = "",
) -> Response:
    size = entry.size if isinstance(entry, Manifest) else entry.bytes
    document = PublishedBasis(
        key=entry.key, digest=entry.digest, bytes=size, outcome=outcome, reason=reason
    )
    return JSONResponse(document.model_dump(), status)


def _require_folder(folder: str, name: str) -> None:
    if not name.startswith(folder):
        detail = f"{name} belongs in the folder {name[:2]}, not in {folder}"
        raise ProblemError.of("invalid-request", detail)


@router.put(
    "/blobs/{folder}/{digest}",
    status_code=201,
    summary="Send the bytes of a basis",
    response_model=SentBlob,
    responses=documented(
        "format",
        "invalid-request",
        "unsupported-media-type",
        "body-too-large",
        "disk-full",
        "malformed",
        "quota-exceeded",
    ),
    openapi_extra={"requestBody": {"required": True, "content": dict.fromkeys(FILE_TYPES, _FILE)}},
)
async def put_store_blob(
    folder: _Folder,
    digest: Annotated[Digest, Path(description="the sha256 of the bytes")],
    request: Request,
    service: TheService,
    caller: BasesWriter,
) -> SentBlob:
    """Send the bytes of a basis, and then its manifest.

    They can be read by nobody. They are deleted after an hour without a manifest, and earlier
    if their owner sends more than `INTERTWINE_DATASET_BYTES` of them.
    """
    _require_folder(folder, digest)
    async with service.receive(request, caller.owner) as file:
        size = await service.store_upload(
            caller, _keep_arrival, service.arrivals, caller.owner, file, digest
        )
    return SentBlob(digest=digest, bytes=size)


def _keep_arrival(arrivals: Arrivals, owner: str, file: FilePath, digest: str) -> int:
    """Keep the bytes of a basis. Raises `FormatError` or `ProblemError` if they are not that."""
    with file.open("rb") as content:
        require_small_header(content.read(8), _MOST_HEADER)
    found = digest_of(file)
    if found != digest:
        detail = f"the bytes have the digest {found}, not {digest}: send them again"
        raise ProblemError.of("invalid-request", detail)
    size = file.stat().st_size
    arrivals.add(owner, file, digest)
    return size


@router.get(
    "/blobs/{folder}/{digest}",
    summary="Get the blob of a stored basis",
    operation_id="get_store_blob",
    response_class=Response,
    responses=RESPONSES,
)
@router.head(
    "/blobs/{folder}/{digest}",
    summary="Get the size of the blob of a stored basis",
    operation_id="head_store_blob",
    response_class=Response,
    responses=RESPONSES,
)
async def get_store_blob(
    folder: _Folder,
    digest: Annotated[Digest, Path(description="the sha256 of the bytes")],
    service: TheService,
    caller: BasesReader,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return the bytes of a basis, or a `Range` of them."""
    path = None
    if digest.startswith(folder):
        path = await run_in_threadpool(service.store.blob, digest)
    return await run_in_threadpool(blob_response, path, digest, service, caller, if_none_match)
