"""The service over HTTP: a real server, asked as scripts ask it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from documents import ROOT
from intertwine.bases import from_bytes
from intertwine.groups import SO, SO13p, U
from intertwine.invariants import estimate
from intertwine.reps import V
from intertwine_api.problems import CODES
from intertwine_api.settings import Settings
from program import intertwine
from safetensors.numpy import load, save
from service import SO3, followed, metric, running_service

#: Takes about a second, and 729 numbers.
SLOWER = {"rep": "V**6", "group": "SO(3)", "method": "krylov"}
UNKNOWN = "0" * 64


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with running_service(tmp_path_factory.mktemp("service") / "data") as client:
        yield client


@pytest.fixture(scope="module")
def known(client: httpx.Client) -> dict[str, Any]:
    """The manifest of a basis that the service has."""
    document: dict[str, Any] = client.post("/v1/bases", json=SO3).json()
    return document


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of an answer that is one, of this status and code."""
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), answer.text
    document: dict[str, Any] = answer.json()
    assert (document["status"], document["code"]) == (status, code), document
    assert document["type"] == f"/problems#{code}"
    assert document["title"]
    assert document["detail"]
    assert "Traceback" not in answer.text
    return document


class TestFindingABasis:
    def test_the_answer_is_a_manifest_with_its_evidence(self, known: dict[str, Any]) -> None:
        assert (known["size"], known["rank"]) == (32, 6)
        assert (known["group"], known["rep"], known["canonical"]) == ("SO(3)", "V³+5V⁰", "5V⁰+V³")
        certificate = known["certificate"]
        assert certificate["residual"] < 1e-10
        assert certificate["orthonormality"] < 1e-10
        assert certificate["gap"] is None or certificate["gap"] > 1e3
        assert set(known["links"]) == {"self", "blob", "dense", "project"}

    def test_the_second_time_it_is_cached_whatever_the_order_of_writing(
        self, client: httpx.Client, known: dict[str, Any]
    ) -> None:
        again = client.post("/v1/bases", json={"rep": "5V0+V*V*V.T", "group": "SO(3)"}).json()
        assert again["cached"]
        assert again["key"] == known["key"]
        assert client.get(known["links"]["self"]).json()["cached"]

    def test_a_named_method_has_a_key_of_its_own(
        self, client: httpx.Client, known: dict[str, Any]
    ) -> None:
        named = client.post("/v1/bases", json={**SO3, "method": "svd"}).json()
        assert named["key"] != known["key"]
        assert named["method"] == "svd"

    def test_a_group_comes_as_generators_too(
        self, client: httpx.Client, known: dict[str, Any]
    ) -> None:
        group = {"lie_algebra": SO(3).lie_algebra.tolist()}
        answer = client.post("/v1/bases", json={"rep": SO3["rep"], "group": group}).json()
        assert (answer["key"], answer["cached"]) == (known["key"], True)
        exact = {"discrete_generators": [[["1/2", "-sqrt(3)/2"], ["sqrt(3)/2", "1/2"]]]}
        assert client.post("/v1/bases", json={"rep": "V**2", "group": exact}).json()["rank"] == 2

    def test_a_name_is_its_owners(self, client: httpx.Client) -> None:
        """It is not in the key: who asks next with the same generators does not see it."""
        group = {"lie_algebra": [[[0, 3], [-3, 0]]]}
        for name in ("alice's", "bob's"):
            answer = client.post("/v1/bases", json={"rep": "V", "group": {**group, "name": name}})
            assert answer.json()["group"] == name
        plain = client.post("/v1/bases", json={"rep": "V", "group": group}).json()
        assert plain["group"].startswith("<Group of size 2")
        assert client.get(plain["links"]["self"]).json()["group"] == plain["group"]

    def test_the_text_may_name_its_groups(self, client: httpx.Client) -> None:
        answer = client.post("/v1/bases", json={"rep": "2V(Z(3))*V(S(4)) + V(O(3))**2"}).json()
        assert (answer["size"], answer["rank"], answer["group"]) == (33, 3, None)

    def test_a_rank_of_zero_is_an_answer(self, client: httpx.Client) -> None:
        answer = client.post("/v1/bases", json={"rep": "T(3,0)", "group": "SO13p"}).json()
        assert (answer["size"], answer["rank"]) == (64, 0)

    def test_who_does_not_wait_is_told_where_to_look(self, client: httpx.Client) -> None:
        pending = client.post("/v1/bases", json=SLOWER, headers={"prefer": "wait=0"})
        assert pending.status_code == 202
        assert pending.headers["preference-applied"] == "wait=0"
        assert int(pending.headers["retry-after"]) >= 1
        document = pending.json()
        assert set(document) == {"key", "state", "progress"}
        assert pending.headers["location"] == f"/v1/bases/{document['key']}"
        manifest = followed(client, pending).json()
        assert (manifest["key"], manifest["rank"]) == (document["key"], 15)
        assert manifest["method"] == "krylov"

    def test_what_ended_a_solve_stands_at_its_address(self, client: httpx.Client) -> None:
        group = {"discrete_generators": [[[1, 1e-9], [0, 1]]]}
        asked = {"rep": "V", "group": group}
        problem(client.post("/v1/bases", json=asked), 422, "ambiguous-rank")
        pending = client.post("/v1/bases", json=asked, headers={"prefer": "wait=0"})
        problem(followed(client, pending), 422, "ambiguous-rank")

    def test_nothing_is_known_of_other_keys(self, client: httpx.Client) -> None:
        for address in ("", "/dense.npy"):
            problem(client.get(f"/v1/bases/{UNKNOWN}{address}"), 404, "not-found")
        answer = client.post(f"/v1/bases/{UNKNOWN}:project", json={"vectors": [[1.0]]})
        problem(answer, 404, "not-found")


class TestList:
    def test_pages_are_followed_by_their_cursors(
        self, client: httpx.Client, known: dict[str, Any]
    ) -> None:
        for n in (2, 3, 4, 5):
            client.post("/v1/bases", json={"rep": "V**2", "group": f"S({n})"})
        seen, after = [], {}
        while True:
            page = client.get("/v1/bases", params={"limit": 2, **after}).json()
            assert len(page["data"]) <= 2
            seen += [manifest["key"] for manifest in page["data"]]
            if not page["has_more"]:
                break
            after = {"after": page["next"]}
        assert seen == sorted(set(seen))
        assert known["key"] in seen
        only = client.get("/v1/bases", params={"group": "S(4)"}).json()["data"]
        assert {manifest["group"] for manifest in only} == {"S(4)"}
        only = client.get("/v1/bases", params={"method": "orbits"}).json()["data"]
        assert {manifest["method"] for manifest in only} == {"orbits"}

    @pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 10**9}, {"after": "../etc"}])
    def test_a_page_that_cannot_be_is_refused(self, client: httpx.Client, params: Any) -> None:
        problem(client.get("/v1/bases", params=params), 422, "invalid-request")


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

    @pytest.mark.parametrize(
        "digest", [UNKNOWN[1:], UNKNOWN.replace("0", "A"), "..%2f..%2fetc%2fpasswd", "%00", "*"]
    )
    def test_what_is_no_digest_is_refused(self, client: httpx.Client, digest: str) -> None:
        answer = client.get(f"/v1/blobs/{digest}")
        assert answer.status_code in (404, 422)
        problem(answer, answer.status_code, answer.json()["code"])

    def test_of_another_digest_there_is_none(self, client: httpx.Client) -> None:
        problem(client.get(f"/v1/blobs/{UNKNOWN}"), 404, "not-found")


class TestUsingABasis:
    def test_the_dense_matrix_is_a_npy_file(
        self, client: httpx.Client, known: dict[str, Any]
    ) -> None:
        answer = client.get(known["links"]["dense"])
        matrix = np.load(io.BytesIO(answer.content), allow_pickle=False)
        assert matrix.shape == (32, 6)
        np.testing.assert_allclose(matrix.T @ matrix, np.eye(6), atol=1e-12)

    def test_vectors_are_projected(self, client: httpx.Client, known: dict[str, Any]) -> None:
        Q = from_bytes(client.get(known["links"]["blob"]).content).dense()
        vectors = np.random.default_rng(0).standard_normal((3, 32))
        answer = client.post(known["links"]["project"], json={"vectors": vectors.tolist()}).json()
        np.testing.assert_allclose(answer["vectors"], vectors @ Q @ Q.T, atol=1e-12)
        np.testing.assert_allclose(answer["coordinates"], vectors @ Q, atol=1e-12)
        headers = {"content-type": "application/vnd.safetensors"}
        body = save({"vectors": vectors})
        binary = client.post(known["links"]["project"], content=body, headers=headers)
        np.testing.assert_array_equal(load(binary.content)["vectors"], answer["vectors"])

    def test_complex_vectors_are_projected(self, client: httpx.Client) -> None:
        known = client.post("/v1/bases", json={"rep": "V*V.T", "group": "U(2)"}).json()
        Q = (V * V.T)(U(2)).equivariant_basis().dense()
        vectors = np.array([[1, 2j, 3, 4 - 1j]])
        asked = {"vectors": vectors.real.tolist(), "imaginary": vectors.imag.tolist()}
        answer = client.post(known["links"]["project"], json=asked).json()
        found = np.array(answer["vectors"]) + 1j * np.array(answer["imaginary"])
        np.testing.assert_allclose(found, vectors @ Q.conj() @ Q.T, atol=1e-12)
        headers = {"content-type": "application/vnd.safetensors"}
        for kind in (np.float64, np.float32):
            parts = np.stack([vectors.real, vectors.imag], axis=-1).astype(kind)
            body = save({"vectors": parts})
            binary = client.post(known["links"]["project"], content=body, headers=headers)
            pair = load(binary.content)["vectors"]
            np.testing.assert_allclose(pair[..., 0] + 1j * pair[..., 1], found, atol=1e-6)

    @pytest.mark.parametrize(
        ("vectors", "status", "code"),
        [
            ([[1.0, 2.0]], 422, "invalid-request"),
            ([[1.0], [1.0, 2.0]], 422, "invalid-request"),
            ([["x"] * 32], 422, "invalid-request"),
            ("x", 422, "invalid-request"),
        ],
    )
    def test_vectors_that_do_not_fit_are_refused(
        self, client: httpx.Client, known: dict[str, Any], vectors: Any, status: int, code: str
    ) -> None:
        problem(client.post(known["links"]["project"], json={"vectors": vectors}), status, code)

    @pytest.mark.parametrize("body", [b"", b"no safetensors", save({"w": np.ones((1, 32))})])
    def test_bodies_that_hold_no_vectors_are_refused(
        self, client: httpx.Client, known: dict[str, Any], body: bytes
    ) -> None:
        headers = {"content-type": "application/vnd.safetensors"}
        problem(
            client.post(known["links"]["project"], content=body, headers=headers), 422, "format"
        )


class TestRepsAndGroups:
    def test_a_text_is_read(self, client: httpx.Client) -> None:
        answer = client.post("/v1/reps:parse", json={"rep": "V+V**2*V.T", "group": "SO13p"}).json()
        assert (answer["rep"], answer["size"], answer["group"]) == ("V+V²⊗V*", 68, "SO13p()")
        assert answer["dimension"] == "68"
        assert "otimes" in answer["latex"]
        first, second = (term["rep"] for term in answer["ast"]["terms"])
        assert first == {"kind": "base", "group": "SO13p()"}
        assert [factor["kind"] for factor in second["factors"]] == ["base", "base", "dual"]
        without = client.post("/v1/reps:parse", json={"rep": "V**2"}).json()
        assert (without["size"], without["dimension"]) == (None, "d**2")

    def test_an_error_says_where_it_is(self, client: httpx.Client) -> None:
        document = problem(client.post("/v1/reps:parse", json={"rep": "V⊗⊗V"}), 422, "syntax")
        assert document["offset"] == 2
        assert document["expected"] == "a rep such as V, V², T(2,1) or an integer"
        assert document["caret"] == "  V⊗⊗V\n    ^"

    def test_the_catalogue_and_its_groups(self, client: httpx.Client) -> None:
        names = [group["name"] for group in client.get("/v1/groups").json()]
        assert {"SO", "RubiksCube", "Z"} <= set(names)
        found = client.get("/v1/groups/Z(3)*S(4)").json()
        assert (found["d"], found["permutation"], found["lie_generators"]) == (12, True, 0)
        problem(client.get("/v1/groups/E8"), 422, "syntax")


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
        body = b" " * (Settings().body_bytes + 1)
        problem(client.post("/v1/bases", content=body), 413, "body-too-large")

    def test_other_addresses_and_methods(self, client: httpx.Client) -> None:
        problem(client.get("/v1/nothing"), 404, "not-found")
        problem(client.delete("/v1/bases"), 405, "method-not-allowed")


class TestWatching:
    def test_it_is_alive_and_ready(self, client: httpx.Client) -> None:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/readyz").json() == {"status": "ready"}

    def test_what_it_did_is_counted(self, client: httpx.Client, known: dict[str, Any]) -> None:
        hits = metric(client, "intertwine_cache_lookups_total", level="disk")
        client.post("/v1/bases", json=SO3)
        assert metric(client, "intertwine_cache_lookups_total", level="disk") == hits + 1
        assert metric(client, "intertwine_solves_total", outcome="solved") >= 1
        assert metric(client, "intertwine_solve_seconds_count") >= 1
        assert metric(client, "intertwine_store_bytes") > 0
        assert metric(client, "intertwine_queue") == 0

    def test_the_home_page_says_what_is_running(self, client: httpx.Client) -> None:
        page = client.get("/")
        assert page.headers["content-type"].startswith("text/html")
        for link in ("docs", "v1/bases", "v1/groups", "problems", "metrics"):
            assert f'href="{link}"' in page.text
            assert client.get(f"/{link}").status_code == 200

    def test_every_code_is_documented(self, client: httpx.Client) -> None:
        page = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
        shown = client.get("/problems").text
        for code, (status, title) in CODES.items():
            assert f"| `{code}` | {status} | {title} |" in page
            assert f'id="{code}"' in shown

    def test_every_setting_is_documented(self) -> None:
        page = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
        for name, field in Settings.model_fields.items():
            row = next(line for line in page.splitlines() if f"`INTERTWINE_{name.upper()}`" in line)
            assert field.description
            assert field.description in row

    def test_the_openapi_document_has_examples_and_problems(self, client: httpx.Client) -> None:
        document = client.get("/openapi.json").json()
        assert "HTTPValidationError" not in json.dumps(document)
        asked = document["components"]["schemas"]["BasisRequest"]["properties"]
        assert asked["rep"]["examples"] == ["V**2*V.T+5V0"]
        for path, operations in document["paths"].items():
            for operation in operations.values():
                assert operation["operationId"], path
                assert operation["summary"], path


class TestManyAtOnce:
    def test_sixty_four_who_ask_share_one_solve(self, tmp_path: Path) -> None:
        asked = {"rep": "V**7", "group": "SO(3)"}
        with running_service(tmp_path / "data") as client, ThreadPoolExecutor(64) as threads:

            def ask(_: int) -> httpx.Response:
                return httpx.post(f"{client.base_url}/v1/bases", json=asked, timeout=120)

            answers = [followed(client, answer) for answer in threads.map(ask, range(64))]
            assert {answer.status_code for answer in answers} == {200}
            assert {answer.json()["rank"] for answer in answers} == {36}
            assert len({answer.json()["digest"] for answer in answers}) == 1
            assert metric(client, "intertwine_solves_total", outcome="solved") == 1
            assert metric(client, "intertwine_solve_seconds_count") == 1

    def test_two_services_on_one_store_share_a_solve(self, tmp_path: Path) -> None:
        asked = {"rep": "V**7", "group": "SO(3)"}
        with (
            running_service(tmp_path / "data") as one,
            running_service(tmp_path / "data") as other,
            ThreadPoolExecutor(2) as threads,
        ):
            answers = list(threads.map(lambda c: c.post("/v1/bases", json=asked), (one, other)))
            ended = [followed(c, a) for c, a in zip((one, other), answers, strict=True)]
            assert [answer.json()["rank"] for answer in ended] == [36, 36]
            assert len({answer.json()["digest"] for answer in ended}) == 1
            counts = [metric(c, "intertwine_solves_total", outcome="solved") for c in (one, other)]
            assert sum(counts) == 1

    def test_a_caller_who_leaves_stops_nothing(self, tmp_path: Path) -> None:
        with running_service(tmp_path / "data") as client:
            with pytest.raises(httpx.ReadTimeout):
                client.post("/v1/bases", json=SLOWER, timeout=0.05)
            answer = followed(client, client.post("/v1/bases", json=SLOWER))
            assert answer.json()["rank"] == 15
            assert metric(client, "intertwine_solve_seconds_count") == 1

    def test_after_a_restart_it_is_still_known(self, tmp_path: Path) -> None:
        for cached in (False, True):
            with running_service(tmp_path / "data") as client:
                assert client.post("/v1/bases", json=SO3).json()["cached"] is cached


class TestLimits:
    def test_of_time(self, tmp_path: Path) -> None:
        with running_service(tmp_path / "data", solve_seconds="2") as client:
            asked = {"rep": "V**9", "group": "SO(3)"}
            document = problem(client.post("/v1/bases", json=asked), 422, "out-of-time")
            assert document["limit_seconds"] == 2
            assert client.post("/v1/bases", json=SO3).json()["rank"] == 6  # that solve alone ended
            assert client.get("/v1/bases").json()["data"][0]["canonical"] == "5V⁰+V³"

    def test_of_memory_that_is_reached(self, tmp_path: Path) -> None:
        asked = {"rep": "V**7", "group": "SO(3)", "method": "svd"}
        limit = estimate((V**7)(SO(3)), "svd").memory + 2_000_000  # the rest is the process's own
        with running_service(tmp_path / "data", solve_memory=str(limit)) as client:
            document = problem(client.post("/v1/bases", json=asked), 422, "out-of-memory")
            assert document["limit_bytes"] == limit
            assert client.post("/v1/bases", json=SO3).json()["rank"] == 6  # that solve alone ended

    def test_of_memory_that_is_foreseen(self, tmp_path: Path) -> None:
        with running_service(
            tmp_path / "data", solve_memory="700000000", solve_operations="1e99"
        ) as client:
            asked = {"rep": "V**8", "group": "SO(3)", "method": "svd"}
            document = problem(client.post("/v1/bases", json=asked), 422, "too-costly")
            assert document["estimate"]["bytes"] > document["limit"]["bytes"] == 700_000_000
            assert client.post("/v1/bases", json=SO3).json()["rank"] == 6

    def test_of_cost(self, tmp_path: Path) -> None:
        with running_service(tmp_path / "data", solve_operations="1e6") as client:
            asked = {"rep": "V**8", "group": "SO(3)"}
            document = problem(client.post("/v1/bases", json=asked), 422, "too-costly")
            assert document["estimate"]["operations"] > document["limit"]["operations"] == 1e6

    def test_of_the_queue(self, tmp_path: Path) -> None:
        with running_service(tmp_path / "data", queue="1", workers="1") as client:
            slow = {"rep": "V**8", "group": "SO(3)"}
            client.post("/v1/bases", json=slow, headers={"prefer": "wait=0"})
            answer = client.post("/v1/bases", json=SO3)
            problem(answer, 503, "queue-full")
            assert "retry-after" in answer.headers

    def test_of_a_dense_matrix(self, tmp_path: Path) -> None:
        with running_service(tmp_path / "data", dense_bytes="100") as client:
            known = client.post("/v1/bases", json=SO3).json()
            problem(client.get(known["links"]["dense"]), 422, "too-large")

    @pytest.mark.skipif(sys.platform != "linux", reason="looks for the workers in /proc")
    def test_a_worker_that_dies_costs_its_solve_alone(self, tmp_path: Path) -> None:
        with running_service(tmp_path / "data", workers="1") as client:
            asked = {"rep": "V**9", "group": "SO(3)"}
            pending = client.post("/v1/bases", json=asked, headers={"prefer": "wait=0"})
            while client.get(pending.headers["location"]).json()["state"] != "running":
                time.sleep(0.02)
            for worker in _workers(tmp_path / "data"):
                os.kill(worker, signal.SIGSEGV)
            document = problem(followed(client, pending), 500, "worker-died")
            assert "SIGSEGV" in document["detail"]
            assert client.post("/v1/bases", json=SO3).json()["rank"] == 6


def _workers(data: Path) -> list[int]:
    listed = subprocess.run(["pgrep", "-f", f"worker.*{data}"], capture_output=True, check=True)
    return [int(line) for line in listed.stdout.split()]


CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_schema_conformance", "response_headers_conformance"),
)


@pytest.mark.slow
def test_whatever_the_openapi_document_allows_is_answered_as_it_says(tmp_path: Path) -> None:
    """By schemathesis: no undocumented status, no undocumented document, no 500."""
    settings = {"workers": "1", "solve_seconds": "2", "solve_operations": "1e10"}
    with running_service(tmp_path / "data", **settings) as client:
        ended = subprocess.run(
            [
                *(Path(sys.executable).with_name("st"), "run", f"{client.base_url}/openapi.json"),
                *("--checks", ",".join(CHECKS), "--seed", "7", "--no-color"),
                *("--max-examples", "30", "--max-time", "150"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
    assert ended.returncode == 0, ended.stdout[-5000:]
    assert "Traceback" not in (tmp_path / "data.log").read_text()


class TestAStoreThatKeepsNothing:
    def test_a_basis_is_delivered_all_the_same(self, tmp_path: Path) -> None:
        with running_service(tmp_path / "data", cache_size="100") as client:
            first = client.post("/v1/bases", json=SO3).json()
            assert (first["rank"], first["digest"], first["cached"]) == (6, None, False)
            assert "blob" not in first["links"]
            again = client.get(first["links"]["self"]).json()
            assert (again["rank"], again["cached"]) == (6, True)
            assert client.post("/v1/bases", json=SO3).json()["cached"]
            assert metric(client, "intertwine_solves_total", outcome="solved") == 1
            assert client.get(first["links"]["dense"]).status_code == 200


class TestOpenDoors:
    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
    def test_other_addresses_than_loopback_are_refused(self, host: str) -> None:
        ended = intertwine("serve", "--host", host, "--port", "0")
        assert ended.code == 2
        assert "--allow-unauthenticated" in ended.err
        assert "because the service asks nobody who they are" in ended.err

    def test_settings_that_cannot_be_are_refused(self) -> None:
        ended = intertwine("serve", env={"INTERTWINE_PORT": "http", "INTERTWINE_WORKERS": "0"})
        assert ended.code == 2
        assert ended.err.startswith("intertwine: port: ")
        assert "workers: " in ended.err
        assert "Traceback" not in ended.err

    @pytest.mark.parametrize(
        ("env", "said"),
        [
            ({"INTERTWINE_CACHE_SIZE": "much"}, "is a size such as 500MB or 20GB, not 'much'"),
            ({"INTERTWINE_CACHE": "off"}, "name a folder with --data"),
        ],
        ids=["a limit that is no size", "no store"],
    )
    def test_a_store_that_cannot_be_is_said(self, env: dict[str, str], said: str) -> None:
        ended = intertwine("serve", "--port", "0", env=env)
        assert (ended.code, ended.out) == (2, "")
        assert said in ended.err
        assert "Traceback" not in ended.err

    def test_a_port_that_is_taken_is_said(self, client: httpx.Client, tmp_path: Path) -> None:
        ended = intertwine("serve", "--port", str(client.base_url.port), "--data", tmp_path)
        assert ended.code == 2
        assert "in use" in ended.err


def test_a_lorentz_basis_is_the_librarys(client: httpx.Client) -> None:
    known = client.post("/v1/bases", json={"rep": "T(2,2)", "group": "SO13p"}).json()
    assert (known["size"], known["rank"]) == (256, 4)
    Q = from_bytes(client.get(known["links"]["blob"]).content).dense()
    ours = (V**2 * V.T**2)(SO13p()).equivariant_basis(store=False).dense()
    np.testing.assert_allclose(Q @ Q.T, ours @ ours.T, atol=1e-10)
