"""The store as a tier of other stores: manifests and blobs of bases, below one address."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Response
from intertwine.training.recipe.description import Digest
from intertwine_cache import fingerprint
from starlette.concurrency import run_in_threadpool

from intertwine_api.server.access import BasesReader
from intertwine_api.server.problem_responses import documented
from intertwine_api.server.routes.blobs import RESPONSES, blob_response
from intertwine_api.server.service import Service, TheService
from intertwine_api.wire.bases import StoreDescription
from intertwine_api.wire.problems import ProblemError

router = APIRouter(prefix="/v1/store", tags=["store"])

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
    "/manifests/{folder}/{key}.json",
    summary="Get the manifest of a stored basis",
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
    if found is None or found[0].details.get("kind") == "irreps":
        return None
    return service.keyring.vouch_for(found[0]).to_bytes()


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
