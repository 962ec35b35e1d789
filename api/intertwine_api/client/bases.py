"""Bases that the service solves, and the upload and download of blobs."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from intertwine.errors import FormatError, InvalidRep

from intertwine_api.client.connection import Session
from intertwine_api.client.errors import WaitedTooLong
from intertwine_api.client.messages import HttpRequest, HttpResponse, Schema, json_request
from intertwine_api.client.retries import send
from intertwine_api.wire.safetensors_body import SAFETENSORS, Pieces
from intertwine_api.wire.wire_format import SentRep

if TYPE_CHECKING:
    from intertwine.bases import Basis
    from intertwine.groups import Group
    from intertwine.reps import Rep


_WAIT = 20  # seconds that the service may hold a request until its solve ends
_ANSWER = 1  # seconds reserved for the answer after that
_NPY = "application/x-npy"
_NPY_HEADER = 2**12  # bytes, at most
_ENTRY = 16  # bytes of a complex number
_FIRST_POLL, _LONGEST_POLL = 0.2, 2.0


async def find_basis(
    session: Session,
    rep: str | Rep,
    group: str | Group | Mapping[str, Any] | None,
    options: Mapping[str, Any],
) -> Basis:
    """Return the basis of a rep, solved at the service, in the rep's own coordinates.

    Raises `WaitedTooLong` after the deadline, and the errors of a solve.
    """
    sent = SentRep.of(rep, group)
    deadline = session.retries.deadline
    wait = int(min(_WAIT, max(0, deadline.left - _ANSWER)))
    request = json_request(
        "POST",
        "/v1/bases",
        {**sent.document, **{k: v for k, v in options.items() if v is not None}},
        headers={"prefer": f"wait={wait}"},
        answer=Schema.BASIS,
        pending=Schema.PENDING_BASIS,
        idempotent=True,
        extra_seconds=wait,
    )
    response, pause = (await send(session, request)), _FIRST_POLL
    while response.status == 202:
        if not deadline.left:
            raise WaitedTooLong(
                f"the basis of {sent.rep} was not found in {deadline}: the solve continues at the "
                f"service, and the same request returns its result"
            )
        await session.sleep(min(pause, deadline.left))
        pause = min(1.5 * pause, _LONGEST_POLL)
        key = response.document["key"]
        request = HttpRequest(
            "GET", f"/v1/bases/{key}", answer=Schema.BASIS, pending=Schema.PENDING_BASIS
        )
        response = await send(session, request, through_outages=True)
    manifest = response.document
    _require_same(sent, manifest, options)
    from intertwine.invariants import in_order_of

    shape = (sent.rep.size(), manifest["rank"])
    with response.decoding():
        if manifest["size"] != shape[0] or not 0 <= shape[1] <= shape[0]:
            raise FormatError(f"a basis of {sent.rep} has {manifest['size']} × {shape[1]} entries")
    return in_order_of(sent.rep, (await _download(session, manifest, shape)))


async def _download(session: Session, manifest: Mapping[str, Any], shape: tuple[int, int]) -> Basis:
    """Return the basis of a manifest, in the order of the canonical rep."""
    from intertwine.bases import Basis, Certificate, Dense, from_bytes

    place = session.address.display_url if manifest["cached"] else ""
    if manifest["digest"] is not None:
        response = await download_blob(session, manifest["digest"], manifest["bytes"])
        with response.decoding():
            found = from_bytes(response.content)
            basis = Basis(found.storage, found.certificate, cached=place)
            _require_shape(basis.shape, shape)
        return basis
    # a service with a full store keeps no blob, and sends the matrix instead
    import numpy as np

    size, rank = shape
    request = HttpRequest(
        "GET",
        f"/v1/bases/{manifest['key']}/dense.npy",
        answer=_NPY,
        max_bytes=_NPY_HEADER + _ENTRY * size * rank,
    )
    response = await send(session, request)
    with response.decoding():
        try:
            matrix = np.load(io.BytesIO(response.content), allow_pickle=False)
        except (ValueError, EOFError, MemoryError) as error:
            raise FormatError(f"the matrix cannot be read: {error}") from error
        _require_shape(matrix.shape, shape)
        certificate = Certificate.from_json(manifest["certificate"])
    return Basis(Dense(matrix), certificate, cached=place)


def _require_shape(found: tuple[int, ...], expected: tuple[int, int]) -> None:
    if found != expected:
        raise FormatError(f"the basis has the shape {found}, not {expected}")


def _require_same(sent: SentRep, manifest: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Raise `InvalidRep` if the service solved another rep: the keys hash the generators."""
    from intertwine.reps import basis_key

    if manifest["key"] != basis_key(sent.rep, **options):
        raise InvalidRep(
            f"the service read {sent.rep} as another rep ({manifest['canonical']}): it may be a "
            f"rep that you defined, or the service may run another version of Intertwine"
        )


async def describe_store(session: Session) -> dict[str, Any]:
    """Return the description of the service's store: its layout, and the key that signs it."""
    response = await send(session, HttpRequest("GET", "/v1/store", answer=Schema.STORE))
    return dict(response.document)


async def download_blob(session: Session, digest: str, size: int) -> HttpResponse:
    """Return the response with the bytes of a digest, at most `size`.

    Raises `ForeignAnswer` if the received bytes differ from the digest.
    """
    path = f"/v1/blobs/{digest}"
    request = HttpRequest("GET", path, answer=SAFETENSORS, max_bytes=size)
    response = await send(session, request)
    found = hashlib.sha256(response.content).hexdigest()
    if found != digest:
        raise response.foreign(
            f"the received bytes have the sha256 {found}, not {digest}: try again"
        )
    return response


async def upload_blob(session: Session, body: Pieces) -> str:
    """Upload a safetensors file and return its digest."""
    request = HttpRequest(
        "POST",
        "/v1/blobs",
        headers={"content-type": SAFETENSORS},
        body=body,
        answer=Schema.BLOB,
        idempotent=True,  # blobs are addressed by their content
    )
    response = await send(session, request)
    return str(response.document["digest"])
