"""The store of a service as a tier of others: what is solved here is there for all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from helpers.example_stores import age, publish, until
from helpers.example_stores import digest as digest_of
from helpers.example_stores import key as key_of
from helpers.example_tiers import environment_of
from helpers.oblique_groups import conjugate, random_frame
from helpers.service import (
    UNKNOWN,
    ServiceProcess,
    followed,
    problem,
    running_service,
    service_process,
)
from helpers.support import run_python
from intertwine.bases import Basis, DenseStorage, Sum, from_bytes
from intertwine.bases.files import write_safetensors
from intertwine.groups import SO, Group
from intertwine.invariants import solve
from intertwine.reps import V, basis_key, read_rep
from intertwine_api.storage.database import Database
from intertwine_api.storage.keys import Keys, id_of
from intertwine_api.wire.vocabulary import SCOPES
from intertwine_cache import Keyring, Manifest, Store
from intertwine_cache.eviction import ABANDONED
from intertwine_cache.signing import signer_of
from intertwine_cache.tiers.opening import open_tier

ROOT = "/v1/store"


def manifest_link(key: str) -> str:
    return f"{ROOT}/manifests/{key[:2]}/{key}.json"


def blob_link(digest: str) -> str:
    return f"{ROOT}/blobs/{digest[:2]}/{digest}"


class TestTheLayout:
    def test_has_the_manifest_signed_with_the_key_of_the_service(
        self, client: httpx.Client, known: dict[str, Any], tmp_path: Path
    ) -> None:
        described = client.get(ROOT).json()
        content = client.get(manifest_link(known["key"])).content
        manifest = Manifest.from_bytes(known["key"], content)
        assert (manifest.digest, manifest.size) == (known["digest"], known["bytes"])
        trusting = Keyring(tmp_path / "own", [described["public_key"]])
        assert trusting.trusts(manifest)
        assert described["layout"] == 1
        assert len(described["fingerprint"].split()) == 16
        assert client.get(manifest_link(known["key"])).content == content

    def test_says_the_size_of_a_manifest(self, client: httpx.Client, known: dict[str, Any]) -> None:
        head = client.head(manifest_link(known["key"]))
        assert (head.status_code, head.content) == (200, b"")
        size = len(client.get(manifest_link(known["key"])).content)
        assert head.headers["content-length"] == str(size)
        assert client.head(manifest_link(UNKNOWN)).status_code == 404

    def test_has_the_blob_whole_and_in_parts(
        self, client: httpx.Client, known: dict[str, Any]
    ) -> None:
        link = blob_link(known["digest"])
        answer = client.get(link)
        assert from_bytes(answer.content).rank == known["rank"]
        assert "immutable" in answer.headers["cache-control"]
        head = client.head(link)
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) == known["bytes"]
        part = client.get(link, headers={"range": "bytes=8-15"})
        assert (part.status_code, part.content) == (206, answer.content[8:16])
        tag = answer.headers["etag"]
        assert client.get(link, headers={"if-none-match": tag}).status_code == 304

    def test_lists_its_keys_in_pages(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "data" / "cache")
        names = [str(number) for number in range(7)]
        for name in names:
            publish(store, name, name.encode())
        publish(store, "irreps", b"irreps", kind="irreps")
        expected = sorted(map(key_of, names))
        every = sorted([*expected, key_of("irreps")])
        with running_service(tmp_path / "data", workers="1") as client:
            whole = client.get(f"{ROOT}/manifests").json()
            assert whole == {"data": expected, "has_more": False, "next": None}
            first = client.get(f"{ROOT}/manifests", params={"limit": 5}).json()
            assert first == {
                "data": [key for key in every[:5] if key in expected],
                "has_more": True,
                "next": every[4],
            }
            after = {"limit": 5, "after": first["next"]}
            second = client.get(f"{ROOT}/manifests", params=after).json()
            assert [*first["data"], *second["data"]] == expected
            assert not second["has_more"]
            for wrong in ({"limit": 0}, {"limit": 1001}, {"after": "x"}):
                answer = client.get(f"{ROOT}/manifests", params=wrong)
                problem(answer, 422, "invalid-request")
            tier = open_tier(str(client.base_url).rstrip("/"), is_writable=False, limit=1)
            assert list(tier.keys()) == expected

    def test_has_nothing_else(self, client: httpx.Client, known: dict[str, Any]) -> None:
        key, digest = known["key"], known["digest"]
        for link in (
            manifest_link(UNKNOWN),
            blob_link(UNKNOWN),
            f"{ROOT}/manifests/{'00' if key[:2] != '00' else '11'}/{key}.json",
            f"{ROOT}/blobs/{'00' if digest[:2] != '00' else '11'}/{digest}",
        ):
            problem(client.get(link), 404, "not-found")
        problem(client.get(f"{ROOT}/manifests/zz/{key}.json"), 422, "invalid-request")
        problem(client.get(f"{ROOT}/blobs/ab/../../x"), 404, "not-found")


SOLVE = """
    import sys
    import intertwine_cache.chain
    import numpy as np
    from intertwine.groups import SO
    from intertwine.reps import V
    intertwine_cache.chain.PATIENCE_SECONDS = 60.0  # the service may be busy
    imported()
    basis = (V**2 * V.T + 5)(SO(3)).equivariant_basis()
    answer([basis.cached, np.round(basis.dense(), 12).tolist()])
"""


@pytest.mark.slow
class TestANotebook:
    """A process of another user, which shares nothing with the service but its address."""

    def solve(self, folder: Path, far: str, **environment: str) -> tuple[str, Any]:
        env = {**environment_of(folder), "INTERTWINE_CACHE": f"{folder / 'near'},{far}"}
        done = run_python(SOLVE, env={**env, **environment})
        assert done.status == 0, done.stderr
        return done.value[0], done.value[1]

    def test_has_what_the_service_solved_and_keeps_it_without_the_service(
        self, tmp_path: Path
    ) -> None:
        with running_service(tmp_path / "data") as client:
            client.post("/v1/bases", json={"rep": "V**2*V.T+5V0", "group": "SO(3)"})
            far = str(client.base_url).rstrip("/")
            place, dense = self.solve(tmp_path, far)
            assert place == far
            assert self.solve(tmp_path / "another", far)[1] == dense  # of one gauge for all
        assert self.solve(tmp_path, far) == (str(tmp_path / "near"), dense)
        ours = (V**2 * V.T + 5)(SO(3)).equivariant_basis(store=False).dense()
        theirs = np.array(dense)
        np.testing.assert_allclose(theirs @ theirs.T, ours @ ours.T, atol=1e-10)

    def test_sends_its_key(self, tmp_path: Path) -> None:
        service = ServiceProcess(tmp_path / "data", jobs="0")
        database = Database(f"sqlite:///{service.data}/intertwine.db")
        database.migrate()
        reader, other = (
            Keys(database).create("ann", [scope])[1] for scope in ("bases:solve", "jobs:write")
        )
        database.close()
        with service_process(service.data, service=service):
            headers = {"authorization": f"Bearer {reader}"}
            asked = {"rep": "V**2*V.T+5V0", "group": "SO(3)"}
            httpx.post(f"{service.address}/v1/bases", json=asked, headers=headers, timeout=60)
            assert self.solve(tmp_path / "a", service.address, INTERTWINE_KEY=reader)[0] == (
                service.address
            )
            for key in ("", other, "itw_wrong"):
                assert self.solve(tmp_path / f"b{key}", service.address, INTERTWINE_KEY=key)[0] == (
                    ""
                )

    def test_sends_what_it_solves_to_a_service_that_its_key_may_write_to(
        self, tmp_path: Path
    ) -> None:
        service = ServiceProcess(tmp_path / "data", jobs="0", workers="1")
        database = Database(f"sqlite:///{service.data}/intertwine.db")
        database.migrate()
        reader, writer = (
            Keys(database).create("ann", [scope])[1] for scope in ("bases:read", "bases:write")
        )
        database.close()

        with service_process(service.data, service=service):
            far = service.address

            def solve_as(name: str, key: str, far: str = far) -> tuple[str, Any, str]:
                folder = tmp_path / name
                env = {**environment_of(folder), "INTERTWINE_KEY": key}
                env["INTERTWINE_CACHE"] = f"{folder / 'near'},{far}"
                done = run_python(SOLVE, env=env)
                assert done.status == 0, done.stderr
                return done.value[0], done.value[1], done.stderr

            place, _, said = solve_as("reader", reader)
            assert place == ""
            assert said.count("is read-only from now on: ") == 1
            assert "lacks the scope bases:write" in said
            place, _, said = solve_as("shy", writer, f"{far}?read-only")
            assert (place, said) == ("", "")
            assert solve_as("after the shy", reader)[0] == ""
            place, ours, said = solve_as("writer", writer)
            assert (place, said) == ("", "")
            place, theirs, said = solve_as("another", reader)
            assert (place, said) == (far, "")
            assert theirs == ours

    def test_does_not_send_its_key_unencrypted_to_another_machine(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from intertwine_cache.tiers.opening import open_tier

        monkeypatch.setenv("INTERTWINE_KEY", "itw_secret")
        with pytest.raises(ValueError, match=r"sent unencrypted to http://lab\.example\.org"):
            open_tier("http://lab.example.org", is_writable=False, limit=1)
        open_tier("https://lab.example.org", is_writable=False, limit=1)
        open_tier("http://127.0.0.1:8000", is_writable=False, limit=1)


class Sent:
    """A basis that was solved elsewhere: its manifest and its bytes, which a test may change."""

    def __init__(self, folder: Path, rep: str, group: str | Group, **options: Any) -> None:
        store = Store(folder)
        self.rep = read_rep(rep, group)
        self.basis = solve(self.rep, store=store, **options)
        found = store.manifest(basis_key(self.rep, **options))
        assert found is not None
        self.manifest = found
        self.blob = store.layout.blob(self.manifest.digest).read_bytes()

    @property
    def key(self) -> str:
        return self.manifest.key

    def with_bytes(self, blob: bytes) -> Sent:
        """The manifest with other bytes: their digest and size are right."""
        other = copy(self)
        digest = hashlib.sha256(blob).hexdigest()
        other.manifest, other.blob = replace(self.manifest, digest=digest, size=len(blob)), blob
        return other

    def with_basis(self, basis: Basis) -> Sent:
        """The manifest with another basis, whose file names the right key."""
        pieces: list[bytes] = []
        of = {"key": self.key, "canonical": "", "group": None}
        write_safetensors(basis, lambda piece: pieces.append(bytes(piece)), of)
        return self.with_bytes(b"".join(pieces))

    def with_details(self, **details: Any) -> Sent:
        other = copy(self)
        other.manifest = replace(self.manifest, details={**self.manifest.details, **details})
        return other

    def put_blob(self, client: httpx.Client, **options: Any) -> httpx.Response:
        link = blob_link(options.pop("digest", self.manifest.digest))
        return client.put(link, content=self.blob, headers=FILE, **options)

    def put_manifest(self, client: httpx.Client, content: bytes | None = None) -> httpx.Response:
        content = self.manifest.to_bytes() if content is None else content
        return client.put(manifest_link(self.key), content=content, headers=JSON)

    def put(self, client: httpx.Client) -> httpx.Response:
        answer = self.put_blob(client)
        assert answer.status_code == 201, answer.text
        return self.put_manifest(client)

    def assert_served_right(self, client: httpx.Client) -> None:
        """After an attack, the service has nothing under the key, and then its own basis."""
        problem(client.get(manifest_link(self.key)), 404, "not-found")
        answer = client.post("/v1/bases", json=self.manifest.details["request"])
        found = from_bytes(client.get(blob_link(answer.json()["digest"])).content).dense()
        ours = from_bytes(self.blob).dense()
        np.testing.assert_allclose(found @ found.T, ours @ ours.T, atol=1e-9)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service to which these tests alone send bases."""
    with running_service(tmp_path_factory.mktemp("lab") / "data", workers="1") as client:
        yield client


FILE = {"content-type": "application/octet-stream"}
JSON = {"content-type": "application/json"}


class TestPublishing:
    def test_a_basis_that_was_solved_elsewhere_is_there_for_all(
        self, lab: httpx.Client, tmp_path: Path
    ) -> None:
        sent = Sent(tmp_path, "V**3+2V", "SO(3)")
        answer = sent.put(lab)
        assert (answer.status_code, answer.json()["outcome"]) == (201, "checked")
        manifest = Manifest.from_bytes(sent.key, lab.get(manifest_link(sent.key)).content)
        assert signer_of(manifest) == lab.get(ROOT).json()["public_key"]
        assert manifest.digest == answer.json()["digest"]
        found = from_bytes(lab.get(blob_link(manifest.digest)).content)
        np.testing.assert_array_equal(found.dense(), from_bytes(sent.blob).dense())
        document = lab.get(f"/v1/bases/{sent.key}").json()
        assert (document["rank"], document["certificate"]["rank_bound"]) == (1, 1)
        assert document["certificate"]["notes"] == ["found elsewhere, and checked here"]

    def test_the_claims_of_the_sender_are_not_kept(self, lab: httpx.Client, tmp_path: Path) -> None:
        sent = Sent(tmp_path, "V**4+2V", "S(3)")
        honest = from_bytes(sent.blob)
        claims = {"residual": 0.0, "version": "99", "notes": ("trust me",), "rank_bound": 77}
        lies = Basis(honest.storage, replace(honest.certificate, **claims))
        forged = {"key": "A" * 43 + "=", "value": "A" * 86 + "=="}
        lying = sent.with_basis(lies).with_details(
            signature=forged, certificate={"rank": 99}, group="<b>mine</b>", more=["x"] * 100
        )
        assert lying.put(lab).status_code == 201
        manifest = Manifest.from_bytes(sent.key, lab.get(manifest_link(sent.key)).content)
        assert signer_of(manifest) == lab.get(ROOT).json()["public_key"]
        assert manifest.details.keys() == {
            *("canonical", "group", "certificate", "request", "signature")
        }
        assert manifest.details["group"] == "S(3)"
        blob = lab.get(blob_link(manifest.digest)).content
        certificate = from_bytes(blob).certificate
        assert certificate.to_json() == manifest.details["certificate"]
        assert certificate.notes == ("found elsewhere, and checked here",)
        assert certificate.rank_bound == certificate.rank == honest.rank
        assert b"trust me" not in blob

    def test_the_first_of_two_writers_wins(self, lab: httpx.Client, tmp_path: Path) -> None:
        first, second = two_gauges(tmp_path, "V**4+V**2")
        basis = from_bytes(first.blob)
        assert second.blob != first.blob
        answers = [sent.put(lab) for sent in (first, second)]
        assert [answer.status_code for answer in answers] == [201, 200]
        assert [answer.json()["outcome"] for answer in answers] == ["checked", "known"]
        assert answers[0].json()["digest"] == answers[1].json()["digest"]
        stored = from_bytes(lab.get(blob_link(answers[0].json()["digest"])).content)
        np.testing.assert_array_equal(stored.dense(), basis.dense())

    def test_two_writers_at_once_get_one_basis(self, lab: httpx.Client, tmp_path: Path) -> None:
        writers = two_gauges(tmp_path, "V**4+2V**2")
        for sent in writers:
            sent.put_blob(lab)
        with ThreadPoolExecutor(2) as threads:
            answers = list(threads.map(lambda sent: sent.put_manifest(lab), writers))
        assert {answer.status_code for answer in answers} <= {200, 201}
        assert len({answer.json()["digest"] for answer in answers}) == 1

    def test_the_same_twice_is_known(self, lab: httpx.Client, tmp_path: Path) -> None:
        sent = Sent(tmp_path, "V**3+3V", "SO(3)")
        assert sent.put_blob(lab).status_code == sent.put_blob(lab).status_code == 201
        assert [sent.put_manifest(lab).status_code for _ in range(2)] == [201, 200]

    def test_what_cannot_be_proven_is_solved(self, lab: httpx.Client, tmp_path: Path) -> None:
        group = conjugate(SO(3), random_frame(3, 10.0, np.random.default_rng(0)))
        sent = Sent(tmp_path, "V**4", group)
        wrong = sent.with_basis(without_its_first_column(from_bytes(sent.blob)))
        answer = wrong.put(lab)
        assert (answer.status_code, answer.json()["outcome"]) == (201, "solved"), answer.text
        assert "rational" in answer.json()["reason"]
        found = from_bytes(lab.get(blob_link(answer.json()["digest"])).content)
        assert found.rank == sent.basis.rank == 3
        assert found.certificate.notes != ("found elsewhere, and checked here",)

    def test_an_approximate_basis_is_solved(self, lab: httpx.Client, tmp_path: Path) -> None:
        sent = Sent(tmp_path, "V**3", "SO(3)", tolerance=1e-3)
        answer = sent.put(lab)
        assert (answer.status_code, answer.json()["outcome"]) == (201, "solved"), answer.text
        assert lab.get(f"/v1/bases/{sent.key}").json()["certificate"]["tolerance"] == 1e-3


def two_gauges(folder: Path, rep: str) -> tuple[Sent, Sent]:
    """A basis, and another of the same space, whose three columns of V⁴ are turned."""
    first = Sent(folder, rep, "SO(3)", method="svd")
    basis = from_bytes(first.blob)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    assert isinstance(basis.storage, Sum)
    blocks = [
        (number, DenseStorage(np.asarray(block.apply(turn))) if block.shape[1] == 3 else block)
        for number, block in basis.storage.blocks
    ]
    return first, first.with_basis(Basis(Sum(blocks), basis.certificate))


def without_its_first_column(basis: Basis) -> Basis:
    matrix = basis.dense()[:, 1:]
    fewer = replace(basis.certificate, rank=matrix.shape[1])
    return Basis(DenseStorage(matrix), fewer)


def another_group(sent: Sent, folder: Path) -> Sent:
    """The basis of the permutations of three axes, as that of all rotations."""
    other = solve(read_rep(str(sent.rep), "S(3)"), method="svd", store=False)
    return sent.with_basis(other)


def swapped(sent: Sent, folder: Path) -> Sent:
    return sent.with_bytes(Sent(folder / "another", "V**2", "SO(3)").blob)


def swapped_and_renamed(sent: Sent, folder: Path) -> Sent:
    return sent.with_basis(from_bytes(Sent(folder / "another", "V**2", "SO(3)").blob))


def truncated(sent: Sent, folder: Path) -> Sent:
    return sent.with_basis(without_its_first_column(from_bytes(sent.blob)))


def half(sent: Sent, folder: Path) -> Sent:
    return sent.with_bytes(sent.blob[: len(sent.blob) // 2])


def no_file(sent: Sent, folder: Path) -> Sent:
    return sent.with_bytes(b"\x02" + bytes(7) + b"{}")


def not_numbers(sent: Sent, folder: Path) -> Sent:
    basis = from_bytes(sent.blob)
    return sent.with_basis(Basis(DenseStorage(basis.dense() * np.nan), basis.certificate))


ATTACKS = [
    pytest.param(another_group, "V**3", id="another group"),
    pytest.param(swapped, "V**4", id="swapped"),
    pytest.param(swapped_and_renamed, "V**5", id="swapped and renamed"),
    pytest.param(truncated, "V**6", id="a column missing"),
    pytest.param(truncated, "V**4+4V**2", id="another structure"),
    pytest.param(half, "V**4+5", id="half a file"),
    pytest.param(no_file, "V**4+6", id="no file"),
    pytest.param(not_numbers, "V**2*V.T*V.T*V+V0", id="no numbers"),
]


class TestPoison:
    """Nothing that is sent gets another basis under a key."""

    @pytest.mark.parametrize(("attack", "rep"), ATTACKS)
    def test_a_wrong_basis_is_refused(
        self, lab: httpx.Client, tmp_path: Path, attack: Callable[[Sent, Path], Sent], rep: str
    ) -> None:
        sent = Sent(tmp_path / "own", rep, "SO(3)")
        answer = attack(sent, tmp_path).put(lab)
        assert str(tmp_path) not in answer.text
        refused = problem(answer, 422, "not-sound")
        assert "/arrivals/" not in refused["detail"]
        sent.assert_served_right(lab)

    def test_a_manifest_of_another_key_is_refused(self, lab: httpx.Client, tmp_path: Path) -> None:
        own = Sent(tmp_path / "own", "V**4+20", "SO(3)")
        other = Sent(tmp_path / "other", "V**4+21", "SO(3)")
        other.put_blob(lab)
        problem(own.put_manifest(lab, other.manifest.to_bytes()), 422, "invalid-request")
        renamed = replace(other.manifest, key=own.key)
        refused = problem(own.put_manifest(lab, renamed.to_bytes()), 422, "invalid-request")
        assert f"has the key {other.key}" in refused["detail"]
        own.assert_served_right(lab)

    @pytest.mark.parametrize(
        "request_", [None, {}, "V", {"rep": 5}, {"rep": "V", "more": 1}, {"rep": "V" * 10**5}],
        ids=["none", "empty", "text", "number", "more", "long"],
    )  # fmt: skip
    def test_a_request_that_cannot_be_read_is_refused(
        self, lab: httpx.Client, tmp_path: Path, request_: Any
    ) -> None:
        sent = Sent(tmp_path, "V**4+22", "SO(3)").with_details(request=request_)
        sent.put_blob(lab)
        answer = sent.put_manifest(lab)
        assert answer.status_code == 422
        assert answer.json()["code"] in ("invalid-request", "too-large", "syntax")

    @pytest.mark.parametrize(
        ("content", "status", "code"),
        [
            (b"", 400, "malformed"),
            (b"{", 400, "malformed"),
            (b"[" * 10**5, 422, "invalid-request"),
            (b"[]", 422, "invalid-request"),
            (b"{}" + b" " * 2**18, 413, "body-too-large"),
            (b'"' + b"x" * 2**22 + b'"', 413, "body-too-large"),
        ],
        ids=["nothing", "half", "nested", "list", "large", "larger"],
    )
    def test_what_is_no_manifest_is_refused(
        self, lab: httpx.Client, tmp_path: Path, content: bytes, status: int, code: str
    ) -> None:
        sent = Sent(tmp_path, "V**4+23", "SO(3)")
        problem(sent.put_manifest(lab, content), status, code)

    def test_a_changed_manifest_is_refused(self, lab: httpx.Client, tmp_path: Path) -> None:
        sent = Sent(tmp_path, "V**4+24", "SO(3)")
        content = sent.manifest.to_bytes().replace(b'"size": ', b'"size": 1')
        refused = problem(sent.put_manifest(lab, content), 422, "invalid-request")
        assert "checksum" in refused["detail"]

    def test_a_blob_of_another_digest_or_size_is_refused(
        self, lab: httpx.Client, tmp_path: Path
    ) -> None:
        sent = Sent(tmp_path, "V**4+25", "SO(3)")
        refused = problem(sent.put_blob(lab, digest=UNKNOWN), 422, "invalid-request")
        assert f"not {UNKNOWN}" in refused["detail"]
        problem(sent.put_manifest(lab), 409, "wrong-state")
        sent.put_blob(lab)
        longer = replace(sent.manifest, size=sent.manifest.size + 1).to_bytes()
        problem(sent.put_manifest(lab, longer), 422, "invalid-request")
        sent.assert_served_right(lab)

    def test_a_header_that_says_it_is_huge_is_refused(
        self, lab: httpx.Client, tmp_path: Path
    ) -> None:
        sent = Sent(tmp_path, "V**4+26", "SO(3)")
        for size in (2**22 + 1, 2**60, 2**64 - 1):
            bomb = sent.with_bytes(size.to_bytes(8, "little") + b"{" * 1000)
            problem(bomb.put_blob(lab), 422, "format")
            problem(bomb.put_manifest(lab), 409, "wrong-state")
        sent.assert_served_right(lab)

    def test_a_folder_of_another_name_is_refused(self, lab: httpx.Client, tmp_path: Path) -> None:
        sent = Sent(tmp_path, "V**4+27", "SO(3)")
        for link in (blob_link(sent.manifest.digest), manifest_link(sent.key)):
            folder = link.split("/")[4]
            wrong = link.replace(f"/{folder}/", "/00/" if folder != "00" else "/11/")
            is_blob = "/blobs/" in link
            answer = lab.put(
                wrong,
                content=sent.blob if is_blob else sent.manifest.to_bytes(),
                headers=FILE if is_blob else JSON,
            )
            problem(answer, 422, "invalid-request")


class TestLimitsOfPublishing:
    @pytest.mark.slow
    def test_scopes_owners_and_bytes(self, tmp_path: Path) -> None:
        """One service for all of these, because it takes a while to start."""
        service = ServiceProcess(
            tmp_path / "data", jobs="0", workers="1", dataset_bytes="20000", solve_operations="1000"
        )
        database = Database(f"sqlite:///{service.data}/intertwine.db")
        database.migrate()
        keys = Keys(database)
        writer, other, admin = (
            keys.create(owner, [scope])[1]
            for owner, scope in (("ann", "bases:write"), ("bob", "bases:write"), ("eve", "admin"))
        )
        without = [
            keys.create("tim", [scope])[1]
            for scope in SCOPES
            if scope not in ("bases:write", "admin")
        ]
        database.close()
        with service_process(service.data, service=service):

            def as_(token: str) -> httpx.Client:
                headers = {"authorization": f"Bearer {token}"}
                return httpx.Client(base_url=service.address, headers=headers, timeout=60)

            sent = Sent(tmp_path / "a", "V**2", "SO(3)")
            for token in without:
                with as_(token) as client:
                    problem(sent.put_blob(client), 403, "forbidden")
                    problem(sent.put_manifest(client), 403, "forbidden")
            with httpx.Client(base_url=service.address, timeout=60) as client:
                problem(sent.put_blob(client), 401, "unauthorized")
            assert not list((service.data / "arrivals").glob("*/*"))
            with as_(writer) as ann, as_(other) as bob, as_(admin) as eve:
                assert sent.put_blob(ann).status_code == 201
                problem(sent.put_manifest(bob), 409, "wrong-state")  # he has not sent it
                assert sent.put_manifest(ann).status_code == 201
                assert bob.get(manifest_link(sent.key)).status_code == 200
                more = Sent(tmp_path / "b", "V**2+1", "SO(3)")
                assert more.put(eve).status_code == 201
                large = more.with_bytes(bytes(20_001))
                problem(large.put_blob(ann), 413, "body-too-large")
                pieces = iter([bytes(15_000), bytes(15_000)])  # of no declared length
                link = blob_link(large.manifest.digest)
                problem(ann.put(link, content=pieces, headers=FILE), 413, "body-too-large")
                for byte in range(5):  # as many as fit are kept
                    assert more.with_bytes(bytes([byte] + [0] * 8_999)).put_blob(ann).is_success
                kept = [path.stat().st_size for path in (service.data / "arrivals").glob("*/*")]
                assert kept == [9_000, 9_000]
                group = conjugate(SO(3), random_frame(3, 10.0, np.random.default_rng(0)))
                unproven = Sent(tmp_path / "c", "V**3", group)
                problem(unproven.put(ann), 422, "too-costly")
                problem(ann.get(manifest_link(unproven.key)), 404, "not-found")
                wrong = Sent(tmp_path / "d", "V**4", "SO(3)")
                problem(truncated(wrong, tmp_path).put(ann), 422, "not-sound")
            lines = map(json.loads, (service.data / "audit.jsonl").read_text().splitlines())
            found = [(each["message"], each["id"], each["key"]) for each in lines]
            assert found == [
                ("basis created", sent.key, id_of(writer)),
                ("basis created", more.key, id_of(admin)),
                ("basis refused", wrong.key, id_of(writer)),
            ]


#: Makes a process kill itself with SIGKILL, or its service first, before it writes a manifest.
KILLING = """
import os, signal
from pathlib import Path
import intertwine_cache.disk as disk

put_new, order = disk.put_new, Path(os.environ["KILL_AT_MANIFEST"])

def killed(temporary, target, *more):
    if "manifests" in target.parts and order.exists():
        who = order.read_text()
        order.unlink()
        if who == "service":
            os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    return put_new(temporary, target, *more)

disk.put_new = killed
"""


@pytest.mark.slow
class TestKilled:
    """Processes killed with SIGKILL between a blob and its manifest."""

    @pytest.fixture
    def order(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A file whose content is killed before the next manifest: a worker, or its service."""
        (tmp_path / "code").mkdir()
        (tmp_path / "code" / "sitecustomize.py").write_text(KILLING)
        folders = [str(tmp_path / "code"), *filter(None, [os.environ.get("PYTHONPATH")])]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))
        monkeypatch.setenv("KILL_AT_MANIFEST", str(tmp_path / "order"))
        return tmp_path / "order"

    def check_and_send_again(self, service: ServiceProcess, sent: Sent) -> None:
        """Nothing is served under the key, the upload can be repeated, leftovers are deleted."""
        store = Store(service.data / "cache")
        (left,) = store.layout.all_blobs()
        assert list(store.layout.all_manifests()) == []
        with httpx.Client(base_url=service.address, timeout=60) as client:
            for link in (manifest_link(sent.key), f"/v1/bases/{sent.key}"):
                problem(client.get(link), 404, "not-found")
            assert client.get("/v1/bases").json()["data"] == []
            age(left, 2 * ABANDONED)
            answer = sent.put(client)
            assert (answer.status_code, answer.json()["outcome"]) == (201, "checked")
            stored = client.get(blob_link(answer.json()["digest"])).content
            np.testing.assert_array_equal(from_bytes(stored).dense(), from_bytes(sent.blob).dense())
            until(lambda: [path.name for path in store.layout.all_blobs()] == [digest_of(stored)])

    def test_a_worker_that_publishes_what_was_sent(self, tmp_path: Path, order: Path) -> None:
        sent = Sent(tmp_path / "notebook", "V**3+2V", "SO(3)")
        with (
            service_process(tmp_path / "data", workers="1", jobs="0") as service,
            httpx.Client(base_url=service.address, timeout=60) as client,
        ):
            order.write_text("worker")
            problem(sent.put(client), 500, "worker-died")
            self.check_and_send_again(service, sent)

    def test_a_worker_that_publishes_what_it_solved(self, tmp_path: Path, order: Path) -> None:
        sent = Sent(tmp_path / "notebook", "V**3+2V", "SO(3)", method="krylov")
        with (
            service_process(tmp_path / "data", workers="1", jobs="0") as service,
            httpx.Client(base_url=service.address, timeout=60) as client,
        ):
            order.write_text("worker")
            asked = sent.manifest.details["request"]
            problem(followed(client, client.post("/v1/bases", json=asked)), 500, "worker-died")
            store = Store(service.data / "cache")
            assert len(list(store.layout.all_blobs())) == 1
            problem(client.get(manifest_link(sent.key)), 404, "not-found")
            again = followed(client, client.post("/v1/bases", json=asked)).json()
            assert (again["rank"], again["cached"]) == (1, False)

    def test_the_service(self, tmp_path: Path, order: Path) -> None:
        sent = Sent(tmp_path / "notebook", "V**3+2V", "SO(3)")
        with service_process(tmp_path / "data", workers="1", jobs="0") as service:
            order.write_text("service")
            with httpx.Client(base_url=service.address, timeout=60) as client:
                assert sent.put_blob(client).status_code == 201
                with pytest.raises(httpx.TransportError):
                    sent.put_manifest(client)
            service.kill()
            service.start()
            self.check_and_send_again(service, sent)

    def test_the_service_between_the_two_requests(self, tmp_path: Path) -> None:
        sent = Sent(tmp_path / "notebook", "V**3+2V", "SO(3)")
        with service_process(tmp_path / "data", workers="1", jobs="0") as service:
            with httpx.Client(base_url=service.address, timeout=60) as client:
                assert sent.put_blob(client).status_code == 201
            service.kill()
            (arrived,) = (service.data / "arrivals").glob("*/*")
            age(arrived, 3601)
            service.start()
            assert not arrived.exists()
            with httpx.Client(base_url=service.address, timeout=60) as client:
                for link in (manifest_link(sent.key), blob_link(sent.manifest.digest)):
                    problem(client.get(link), 404, "not-found")
                problem(sent.put_manifest(client), 409, "wrong-state")
                assert sent.put(client).status_code == 201
