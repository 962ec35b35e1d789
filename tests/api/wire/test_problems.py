"""Bad input over HTTP: always a problem with a stable code."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import pytest
from helpers.service import SO3, UNKNOWN, problem
from intertwine.bases import from_bytes
from intertwine_api.work.settings import Settings


class TestBadInput:
    @pytest.mark.parametrize(
        ("document", "code"),
        [
            ({}, "invalid-request"),
            ({"rep": 5}, "invalid-request"),
            ({"rep": "V", "grp": "SO(3)"}, "invalid-request"),
            ({"rep": "V", "group": 5}, "invalid-request"),
            ({"rep": "V⊗⊗V", "group": "SO(3)"}, "syntax"),
            ({"rep": "V", "group": "SO(3"}, "syntax"),
            ({"rep": "V"}, "not-concrete"),
            ({"rep": "V**999999", "group": "SO(3)"}, "syntax"),
            ({"rep": "V**40", "group": "SO(3)"}, "too-costly"),
            ({"rep": "V" * 5000, "group": "SO(3)"}, "too-large"),
            ({"rep": "V*" * 10**6, "group": "SO(3)"}, "too-large"),
            ({"rep": "V", "group": "SO(0)"}, "invalid-group"),
            ({"rep": "V", "group": "SO(100000)"}, "too-large"),
            ({"rep": "V", "group": {"lie_algebra": [[[1, 2]]]}}, "invalid-group"),
            ({"rep": "V", "group": {"lie_algebra": [[["nan"]]]}}, "syntax"),
            ({"rep": "V", "group": {"discrete_generators": [[[0.0]]]}}, "invalid-group"),
            ({"rep": "V", "group": {"lie_algebra": "SO(3)"}}, "invalid-request"),
            ({"rep": "V(SO(3))", "group": "O(3)"}, "invalid-rep"),
            ({**SO3, "method": "magic"}, "unknown-method"),
            ({**SO3, "backend": "torch"}, "unknown-method"),
            ({**SO3, "method": "orbits"}, "method-not-applicable"),
            ({"rep": "V.__class__", "group": "SO(3)"}, "syntax"),
        ],
        ids=lambda value: str(value)[:50],
    )
    def test_is_a_problem_with_a_code(self, client: httpx.Client, document: Any, code: str) -> None:
        problem(client.post("/v1/bases", json=document), 422, code)

    @pytest.mark.parametrize(
        "body",
        [b"", b"{", b"\xff\xfe{}", b'{"rep": "\xff"}', b"[" * 100_000, b"null", b'"V"'],
        ids=lambda body: repr(body[:12]),
    )
    def test_a_body_that_is_no_document_is_refused(self, client: httpx.Client, body: bytes) -> None:
        answer = client.post(
            "/v1/bases", content=body, headers={"content-type": "application/json"}
        )
        assert answer.status_code in (400, 422)
        problem(answer, answer.status_code, answer.json()["code"])

    def test_numbers_that_are_none_are_refused(self, client: httpx.Client) -> None:
        for number in ("NaN", "Infinity", "1e999"):
            body = f'{{"rep": "V", "group": {{"lie_algebra": [[[{number}]]]}}}}'
            answer = client.post(
                "/v1/bases", content=body, headers={"content-type": "application/json"}
            )
            assert answer.status_code in (400, 422), answer.text
            problem(answer, answer.status_code, answer.json()["code"])

    @pytest.mark.parametrize(
        "document",
        [
            {"rep": "\ud800", "group": "SO(3)"},
            {"rep": "V", "group": "\ud800"},
            {"rep": "V", "group": "SO(3)", "method": "\ud800"},
            {"rep": "V", "group": "SO(3)", "\ud800": 1},
            {"rep": "V", "group": {"name": "\ud800", "d": 2}},
            {"rep": "V", "group": {"lie_algebra": [[["\ud800"]]]}},
        ],
        ids=["rep", "group", "method", "key", "name", "entry"],
    )
    def test_text_that_no_utf8_can_say_is_refused(
        self, client: httpx.Client, document: Any
    ) -> None:
        body = json.dumps(document).encode()
        headers = {"content-type": "application/json"}
        for address in ("/v1/bases", "/v1/reps:parse"):
            answer = client.post(address, content=body, headers=headers)
            problem(answer, 422, answer.json()["code"])

    def test_a_thousand_faults_make_a_short_answer(
        self, client: httpx.Client, known: dict[str, Any]
    ) -> None:
        bodies = [
            (known["links"]["project"], {"vectors": [[""]] * 10_000}),
            ("/v1/bases", {"rep": "V", **{f"key{i}": 1 for i in range(10_000)}}),
            ("/v1/bases", {"rep": "V", "group": {"discrete_generators": [[0.5] * 10_000]}}),
            ("/v1/bases", {"rep": "V", "group": {"lie_algebra": [[[1.0]]] * 10_000}}),
        ]
        for address, document in bodies:
            answer = client.post(address, json=document)
            problem(answer, 422, answer.json()["code"])
            assert len(answer.content) < 20_000

    def test_vectors_past_every_float_are_refused(
        self, client: httpx.Client, known: dict[str, Any]
    ) -> None:
        Q = from_bytes(client.get(known["links"]["blob"]).content).dense()
        column = Q[:, np.argmax(np.count_nonzero(Q, axis=0))]  # its norm in ones is past 1
        vector = (1.7e308 * np.sign(column)).tolist()
        answer = client.post(known["links"]["project"], json={"vectors": [vector]})
        problem(answer, 422, "invalid-request")

    def test_a_huge_body_is_refused_by_its_length(self, client: httpx.Client) -> None:
        body = b" " * (Settings().json_bytes + 1)
        answer = client.post("/v1/bases", content=body)
        assert problem(answer, 413, "body-too-large")["limit_bytes"] == Settings().json_bytes

    def test_a_huge_body_that_does_not_say_its_length_is_refused(
        self, client: httpx.Client
    ) -> None:
        pieces = (b" " * 2**16 for _ in range(Settings().json_bytes // 2**16 + 1))
        headers = {"content-type": "application/json"}
        answer = client.post("/v1/bases", content=pieces, headers=headers)
        problem(answer, 413, "body-too-large")

    def test_other_addresses_and_methods(self, client: httpx.Client) -> None:
        problem(client.get("/v1/nothing"), 404, "not-found")

    @pytest.mark.parametrize(
        ("path", "allowed"),
        [
            ("/v1/bases", "GET, HEAD, POST"),
            (f"/v1/bases/{UNKNOWN}", "GET, HEAD"),
            (f"/v1/bases/{UNKNOWN}:project", "POST"),
            (f"/v1/blobs/{UNKNOWN}", "GET, HEAD"),
            ("/healthz", "GET, HEAD"),
        ],
    )
    def test_other_methods_are_told_which_there_are(
        self, client: httpx.Client, path: str, allowed: str
    ) -> None:
        answer = client.delete(path)
        problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == allowed
