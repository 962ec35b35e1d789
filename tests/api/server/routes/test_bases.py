"""Bases over HTTP: found, listed, sent dense, and applied."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from helpers.service import SLOWER, SO3, UNKNOWN, followed, problem, running_service
from intertwine.bases import from_bytes
from intertwine.groups import SO, SO13p, U
from intertwine.reps import V, canonical, read_rep
from intertwine_cache import Store
from safetensors.numpy import load, save


class TestFindingABasis:
    def test_the_answer_is_a_manifest_with_its_evidence(self, known: dict[str, Any]) -> None:
        assert (known["size"], known["rank"]) == (32, 6)
        assert (known["group"], known["rep"], known["canonical"]) == ("SO(3)", "V³+5V⁰", "5V⁰+V³")
        certificate = known["certificate"]
        assert certificate["residual"] < 1e-10
        assert certificate["orthonormality"] < 1e-10
        assert certificate["gap"] is None or certificate["gap"] > 1e3
        both = {"dense", "dense_as_asked", "file", "file_as_asked"}
        assert set(known["links"]) == {"self", "blob", "project", *both}
        assert known["order"] == "canonical"

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

    def test_rounded_generators_are_refused_refined_or_taken_as_they_are(
        self, client: httpx.Client
    ) -> None:
        rounded = {"discrete_generators": [[[-0.5, -0.866025], [0.866025, -0.5]]]}

        def ask(**more: Any) -> httpx.Response:
            group = {**rounded, **more}
            return client.post("/v1/bases", json={"rep": "V>>V**2", "group": group})

        for _ in range(2):
            refused = problem(ask(), 422, "rounded-generators")
            assert "discrete generator 1 is orthogonal to 7.0e-07" in refused["detail"].lower()
            assert ask(refine=0).json()["rank"] == 0
        assert ask(refine=1e-5).json()["rank"] == 2
        charges = {"lie_algebra": [[[0.5, 0], [0, -0.5000003]]], "precision": 1e-5}
        unknown = client.post("/v1/bases", json={"rep": "V**2", "group": charges})
        problem(unknown, 422, "ambiguous-rank")
        problem(ask(refine=1e-9), 422, "invalid-group")
        problem(ask(refine=2), 422, "invalid-request")

    def test_a_tolerance_asks_for_what_is_nearly_equivariant(self, client: httpx.Client) -> None:
        learned = {"lie_algebra": [[[0.002, 1.001], [-0.998, -0.001]]]}
        request = {"rep": "V**2", "group": learned, "tolerance": 5e-3}
        answer = client.post("/v1/bases", json=request).json()
        assert answer["rank"] == 2
        certificate = answer["certificate"]
        assert (certificate["kind"], certificate["tolerance"]) == ("approximate", 5e-3)
        assert certificate["kept_values"][-1] <= 5e-3 < certificate["dropped_values"][0]
        assert client.post("/v1/bases", json=request).json()["cached"]
        exact = {"rep": "V**2", "group": learned}
        problem(client.post("/v1/bases", json=exact), 422, "ambiguous-rank")
        exact["group"] = {**learned, "refine": 0}
        assert client.post("/v1/bases", json=exact).json()["rank"] == 0
        problem(client.post("/v1/bases", json={**request, "tolerance": 2}), 422, "invalid-request")
        method = client.post("/v1/bases", json={**request, "method": "irreps"})
        problem(method, 422, "method-not-applicable")

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
        group = {"discrete_generators": [[[1, 1e-9], [0, 1]]], "refine": 0}
        asked = {"rep": "V", "group": group}
        problem(client.post("/v1/bases", json=asked), 422, "ambiguous-rank")
        pending = client.post("/v1/bases", json=asked, headers={"prefer": "wait=0"})
        problem(followed(client, pending), 422, "ambiguous-rank")

    def test_nothing_is_known_of_other_keys(self, client: httpx.Client) -> None:
        for address in ("", "/dense.npy", "/dense.csv"):
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

    @pytest.mark.slow
    def test_a_page_reads_no_more_than_it_may(self, tmp_path: Path) -> None:
        def write(number: int, details: dict[str, Any]) -> None:
            path = layout.manifest(f"{number:064x}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(replace(entry, key=path.stem, details=details).to_bytes())

        with running_service(tmp_path / "data", workers="1") as client:
            known = client.post("/v1/bases", json=SO3).json()
            store = Store(tmp_path / "data" / "cache")
            layout, entry = store.layout, store.manifest(known["key"])
            assert entry is not None
            for number in range(2100):
                write(number, {} if number == 7 else dict(entry.details))
            asked: dict[str, str] = {"group": "S(99)"}
            page = client.get("/v1/bases", params=asked).json()
            assert (page["data"], page["has_more"]) == ([], True)
            page = client.get("/v1/bases", params={**asked, "after": page["next"]}).json()
            assert page == {"data": [], "has_more": False, "next": None}
            page = client.get("/v1/bases", params={"limit": 10}).json()
            assert [int(manifest["key"], 16) for manifest in page["data"]] == [
                *range(7),
                *range(8, 11),
            ]
            problem(client.get(f"/v1/bases/{7:064x}"), 404, "not-found")

    @pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 10**9}, {"after": "../etc"}])
    def test_a_page_that_cannot_be_is_refused(self, client: httpx.Client, params: Any) -> None:
        problem(client.get("/v1/bases", params=params), 422, "invalid-request")


class TestUsingABasis:
    def test_the_dense_matrix_is_a_npy_file(
        self, client: httpx.Client, known: dict[str, Any]
    ) -> None:
        answer = client.get(known["links"]["dense"])
        matrix = np.load(io.BytesIO(answer.content), allow_pickle=False)
        assert matrix.shape == (32, 6)
        np.testing.assert_allclose(matrix.T @ matrix, np.eye(6), atol=1e-12)

    def test_so_is_a_complex_one_and_an_empty_one(self, client: httpx.Client) -> None:
        for asked, dtype in (
            ({"rep": "V*V.T", "group": "U(2)"}, np.complex128),
            ({"rep": "V", "group": "SO(3)"}, np.float64),
        ):
            known = client.post("/v1/bases", json=asked).json()
            matrix = np.load(io.BytesIO(client.get(known["links"]["dense"]).content))
            assert matrix.shape == (known["size"], known["rank"])
            assert matrix.dtype == dtype
            blob = client.get(known["links"]["blob"]).content
            np.testing.assert_array_equal(matrix, from_bytes(blob).dense())

    @pytest.mark.parametrize(
        ("text", "group"),
        [
            ("V+2V0", "SO(3)"),
            ("V*(V+V0)+V0", "S(4)"),
            ("V(S(3))*V(SO(2))+V(SO(2))+V(S(3))", None),
            ("V+V0+V**2", {"discrete_generators": [[[0, -1], [1, 0]]]}),
        ],
        ids=["rotations", "permutations", "two groups", "by generators"],
    )
    def test_rows_come_in_the_order_asked_for(
        self, client: httpx.Client, text: str, group: Any
    ) -> None:
        known = client.post("/v1/bases", json={"rep": text, "group": group}).json()
        rep = read_rep(text, group)
        right = rep.equivariant_basis(store=False).dense()
        dense = np.load(io.BytesIO(client.get(known["links"]["dense_as_asked"]).content))
        file = from_bytes(client.get(known["links"]["file_as_asked"]).content)
        for found in (dense, file.dense()):
            np.testing.assert_allclose(found @ found.T, right @ right.T, atol=1e-12)
        assert file.rep == rep
        blob = from_bytes(client.get(known["links"]["blob"]).content)
        assert blob.rep == canonical(rep).rep
        right = blob.rep.equivariant_basis(store=False).dense()
        np.testing.assert_allclose(blob.dense() @ blob.dense().T, right @ right.T, atol=1e-12)

    @pytest.mark.parametrize(
        ("text", "code"),
        [("V**3", "invalid-rep"), ("V(SO(4))", "invalid-rep"), ("V+", "syntax")],
    )
    def test_another_rep_than_its_own_is_refused(
        self, client: httpx.Client, known: dict[str, Any], text: str, code: str
    ) -> None:
        for name in ("dense", "file"):
            answer = client.get(known["links"][name], params={"rep": text})
            problem(answer, answer.status_code, code)

    def test_many_vectors_come_as_safetensors(
        self, client: httpx.Client, known: dict[str, Any]
    ) -> None:
        vectors = np.random.default_rng(0).normal(size=(20_000, 32))
        headers = {"content-type": "application/vnd.safetensors"}
        answer = client.post(
            known["links"]["project"], content=save({"vectors": vectors}), headers=headers
        )
        Q = from_bytes(client.get(known["links"]["blob"]).content).dense()
        np.testing.assert_allclose(load(answer.content)["vectors"], vectors @ Q @ Q.T, atol=1e-12)

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


def test_a_lorentz_basis_is_the_librarys(client: httpx.Client) -> None:
    known = client.post("/v1/bases", json={"rep": "T(2,2)", "group": "SO13p"}).json()
    assert (known["size"], known["rank"]) == (256, 4)
    Q = from_bytes(client.get(known["links"]["blob"]).content).dense()
    ours = (V**2 * V.T**2)(SO13p()).equivariant_basis(store=False).dense()
    np.testing.assert_allclose(Q @ Q.T, ours @ ours.T, atol=1e-10)
