"""Blobs over HTTP: immutable, by digest, whole or in part."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from helpers.service import UNKNOWN, metric, problem
from intertwine.bases import from_bytes
from intertwine.groups import SO
from intertwine.reps import V
from intertwine_api.server.routes import blobs
from intertwine_api.server.routes.blobs import Blob
from intertwine_api.server.service import Service
from intertwine_api.storage.keys import LOCAL
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work.settings import Settings
from prometheus_client import Counter
from starlette.types import Message


class TestBlobs:
    def test_the_blob_is_the_basis(self, client: httpx.Client, known: dict[str, Any]) -> None:
        answer = client.get(known["links"]["blob"])
        assert answer.headers["content-type"] == "application/vnd.safetensors"
        assert answer.headers["etag"] == f'"{known["digest"]}"'
        assert "immutable" in answer.headers["cache-control"]
        ours = (V**2 * V.T + 5)(SO(3)).equivariant_basis()
        theirs = from_bytes(answer.content)
        permuted = (
            ours.storage.rows
        )  # ours is in the order of the text, theirs in the canonical one
        projector = (theirs.dense() @ theirs.dense().T)[np.ix_(permuted, permuted)]
        np.testing.assert_allclose(ours.dense() @ ours.dense().T, projector, atol=1e-10)

    def test_whoever_has_it_is_told_so(self, client: httpx.Client, known: dict[str, Any]) -> None:
        link, tag = known["links"]["blob"], f'"{known["digest"]}"'
        for header in (tag, f'"other", {tag}', f"W/{tag}", "*"):
            answer = client.get(link, headers={"if-none-match": header})
            assert (answer.status_code, answer.content) == (304, b"")
            assert answer.headers["etag"] == tag
        assert client.get(link, headers={"if-none-match": '"other"'}).status_code == 200

    def test_a_head_and_a_range(self, client: httpx.Client, known: dict[str, Any]) -> None:
        link = known["links"]["blob"]
        whole = client.get(link).content
        head = client.head(link)
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) == len(whole) == known["bytes"]
        part = client.get(link, headers={"range": "bytes=8-15"})
        assert (part.status_code, part.content) == (206, whole[8:16])
        assert client.get(link, headers={"range": "bytes=-4"}).content == whole[-4:]
        past = client.get(link, headers={"range": f"bytes={len(whole)}-"})
        problem(past, 416, "range-not-satisfiable")

    def test_other_units_than_bytes_are_ignored(
        self, client: httpx.Client, known: dict[str, Any]
    ) -> None:
        link = known["links"]["blob"]
        answer = client.get(link, headers={"range": "items=0-5"})
        assert (answer.status_code, len(answer.content)) == (200, known["bytes"])
        problem(client.get(link, headers={"range": "bytes=x"}), 400, "malformed")

    def test_the_bytes_that_are_sent_are_counted(
        self, client: httpx.Client, known: dict[str, Any]
    ) -> None:
        link, before = known["links"]["blob"], metric(client, "intertwine_blob_bytes_total")
        client.head(link)
        client.get(link, headers={"range": "bytes=0-9"})
        client.get(link)
        sent = metric(client, "intertwine_blob_bytes_total") - before
        assert sent == 10 + known["bytes"]

    def test_one_that_goes_before_it_is_sent_is_not_found(self, tmp_path: Path) -> None:
        path = tmp_path / UNKNOWN
        path.write_bytes(b"content")
        blob, sent = Blob(path, {}, Counter("sent", "bytes", registry=None)), []
        path.unlink()

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {"type": "http", "method": "GET", "headers": [], "asgi": {"spec_version": "2.4"}}
        asyncio.run(blob(scope, receive, send))
        assert sent[0]["status"] == 404
        assert json.loads(sent[1]["body"])["code"] == "not-found"

    def test_one_whose_dataset_is_just_deleted_is_not_found(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = Service(Settings(data=tmp_path, workers=1))
        digest, _ = service.objects.put_bytes(b"content")
        may_read = blobs._may_read

        def delete_and_ask(path: Path, *arguments: Any) -> bool:
            service.objects.remove(digest)  # after the look for it, before it is read
            return may_read(path, *arguments)

        monkeypatch.setattr(blobs, "_may_read", delete_and_ask)
        path = blobs._find(digest, service, LOCAL)
        with pytest.raises(ProblemError, match="there is no blob"):
            blobs.blob_response(path, digest, service, LOCAL, None)
        service.database.close()

    @pytest.mark.parametrize(
        "digest", [UNKNOWN[1:], UNKNOWN.replace("0", "A"), "..%2f..%2fetc%2fpasswd", "%00", "*"]
    )
    def test_what_is_no_digest_is_refused(self, client: httpx.Client, digest: str) -> None:
        answer = client.get(f"/v1/blobs/{digest}")
        assert answer.status_code in (404, 422)
        problem(answer, answer.status_code, answer.json()["code"])

    def test_of_another_digest_there_is_none(self, client: httpx.Client) -> None:
        problem(client.get(f"/v1/blobs/{UNKNOWN}"), 404, "not-found")
