"""Blobs at a service: bytes by what they are, checked when they come."""

from __future__ import annotations

import hashlib

from intertwine.errors import FormatError

from intertwine_api.client.retries import Retries, answered
from intertwine_api.client.safetensors_body import MEDIA_TYPE
from intertwine_api.client.steps import Ask, Operation, Pieces


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
        headers={"content-type": MEDIA_TYPE},
        body=body,
        repeatable=True,  # the same bytes are the same blob
    )
    answer = yield from answered(ask, retries)
    return str(answer.document["digest"])
