"""Bases from a service: the same that a solve here would find."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from intertwine.errors import FormatError, InvalidRep

from intertwine_api.client.errors import WaitedTooLong
from intertwine_api.client.retries import Deadline, Retries, answered
from intertwine_api.client.steps import Ask, Operation, Pause, ask_json
from intertwine_api.wire.safetensors_body import SAFETENSORS, Pieces
from intertwine_api.wire.wire_format import SentRep

if TYPE_CHECKING:
    from intertwine.bases import Basis
    from intertwine.groups import Group
    from intertwine.reps import Rep


_WAIT = 20  # seconds for which a request waits for its solve
_ANSWER = 1  # second, at most, between the end of that and the answer
_FIRST_LOOK, _LONGEST_LOOK = 0.2, 2.0


def find_basis(
    rep: str | Rep,
    group: str | Group | Mapping[str, Any] | None,
    options: Mapping[str, Any],
    deadline: Deadline,
    retries: Retries,
) -> Operation[Basis]:
    """The basis of a rep, solved there and in the order of the rep's own coordinates.

    Raises `WaitedTooLong` when the deadline comes first, and whatever a solve may end in.
    """
    sent = SentRep.of(rep, group)
    retries = retries.until(deadline)
    wait = int(min(_WAIT, max(0, deadline.left - _ANSWER)))
    ask = ask_json(
        "POST",
        "/v1/bases",
        {**sent.document, **{k: v for k, v in options.items() if v is not None}},
        headers={"prefer": f"wait={wait}"},
        repeatable=True,
        patience=wait,
    )
    answer, pause = (yield from answered(ask, retries)), _FIRST_LOOK
    while answer.status == 202:
        if not deadline.left:
            raise WaitedTooLong(
                f"the basis of {sent.rep} was not found in {deadline}; the solve goes on, and the "
                f"same request finds what came of it"
            )
        yield Pause(min(pause, deadline.left))
        pause = min(1.5 * pause, _LONGEST_LOOK)
        key = answer.document["key"]
        answer = yield from answered(Ask("GET", f"/v1/bases/{key}"), retries.patient)
    manifest = answer.document
    _require_same(sent, manifest, options)
    from intertwine.invariants import in_order_of

    return in_order_of(sent.rep, (yield from _download(manifest, retries)))


def _download(manifest: Mapping[str, Any], retries: Retries) -> Operation[Basis]:
    from intertwine.bases import Basis, Certificate, Dense, from_bytes

    if manifest["digest"] is not None:
        blob = yield from download_blob(manifest["digest"], retries)
        found = from_bytes(blob)
        return Basis(found.storage, found.certificate, cached=manifest["cached"])
    # a service whose store is full has no blob to give, but the matrix
    import numpy as np

    answer = yield from answered(Ask("GET", f"/v1/bases/{manifest['key']}/dense.npy"), retries)
    try:
        matrix = np.load(io.BytesIO(answer.content), allow_pickle=False)
    except ValueError as error:
        raise FormatError(f"the matrix that came cannot be read: {error}") from error
    certificate = Certificate.from_json(manifest["certificate"])
    return Basis(Dense(matrix), certificate, cached=manifest["cached"])


def _require_same(sent: SentRep, manifest: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """That the service solved what was meant: both sides name it by its generators."""
    from intertwine.reps import basis_key

    if manifest["key"] != basis_key(sent.rep, **options):
        raise InvalidRep(
            f"the service read {sent.rep} as another rep ({manifest['canonical']}): this may be "
            f"a rep of your own, or another version of Intertwine"
        )


def download_blob(digest: str, retries: Retries) -> Operation[bytes]:
    """The bytes of a digest. Raises `FormatError` where others came."""
    content = (yield from answered(Ask("GET", f"/v1/blobs/{digest}"), retries)).content
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise FormatError(f"the bytes that came have the sha256 {found}, not {digest}: ask again")
    return content


def upload_blob(body: Pieces, retries: Retries) -> Operation[str]:
    """Keep a safetensors file there; its digest."""
    ask = Ask(
        "POST",
        "/v1/blobs",
        headers={"content-type": SAFETENSORS},
        body=body,
        repeatable=True,  # the same bytes are the same blob
    )
    answer = yield from answered(ask, retries)
    return str(answer.document["digest"])
