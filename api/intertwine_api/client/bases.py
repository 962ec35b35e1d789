"""Bases that the service solves, and the upload and download of blobs."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from intertwine.errors import FormatError, InvalidRep

from intertwine_api.client.connection import Session
from intertwine_api.client.errors import WaitedTooLong
from intertwine_api.client.messages import HttpRequest, json_request
from intertwine_api.client.retries import send
from intertwine_api.wire.safetensors_body import SAFETENSORS, Pieces
from intertwine_api.wire.wire_format import SentRep

if TYPE_CHECKING:
    from intertwine.bases import Basis
    from intertwine.groups import Group
    from intertwine.reps import Rep


_WAIT = 20  # seconds that the service may hold a request until its solve ends
_ANSWER = 1  # seconds reserved for the answer after that
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
        request = HttpRequest("GET", f"/v1/bases/{key}")
        response = await send(session, request, through_outages=True)
    manifest = response.document
    _require_same(sent, manifest, options)
    from intertwine.invariants import in_order_of

    return in_order_of(sent.rep, (await _download(session, manifest)))


async def _download(session: Session, manifest: Mapping[str, Any]) -> Basis:
    from intertwine.bases import Basis, Certificate, Dense, from_bytes

    if manifest["digest"] is not None:
        blob = await download_blob(session, manifest["digest"])
        found = from_bytes(blob)
        return Basis(found.storage, found.certificate, cached=manifest["cached"])
    # a service with a full store keeps no blob, and sends the matrix instead
    import numpy as np

    request = HttpRequest("GET", f"/v1/bases/{manifest['key']}/dense.npy")
    response = await send(session, request)
    try:
        matrix = np.load(io.BytesIO(response.content), allow_pickle=False)
    except ValueError as error:
        raise FormatError(f"the matrix from the service cannot be read: {error}") from error
    certificate = Certificate.from_json(manifest["certificate"])
    return Basis(Dense(matrix), certificate, cached=manifest["cached"])


def _require_same(sent: SentRep, manifest: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Raise `InvalidRep` if the service solved another rep: the keys hash the generators."""
    from intertwine.reps import basis_key

    if manifest["key"] != basis_key(sent.rep, **options):
        raise InvalidRep(
            f"the service read {sent.rep} as another rep ({manifest['canonical']}): it may be a "
            f"rep that you defined, or the service may run another version of Intertwine"
        )


async def download_blob(session: Session, digest: str) -> bytes:
    """Return the bytes of a digest. Raises `FormatError` if the received bytes differ from it."""
    content = (await send(session, HttpRequest("GET", f"/v1/blobs/{digest}"))).content
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise FormatError(f"the received bytes have the sha256 {found}, not {digest}: try again")
    return content


async def upload_blob(session: Session, body: Pieces) -> str:
    """Upload a safetensors file and return its digest."""
    request = HttpRequest(
        "POST",
        "/v1/blobs",
        headers={"content-type": SAFETENSORS},
        body=body,
        idempotent=True,  # blobs are addressed by their content
    )
    response = await send(session, request)
    return str(response.document["digest"])
