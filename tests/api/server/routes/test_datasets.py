"""Datasets and weights over HTTP: sent, checked, listed, and deleted."""

from __future__ import annotations

import io
import itertools
import json
import struct
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from helpers.documents import ROOT
from helpers.example_stores import run_with_mounts, until
from helpers.hostile import PeakMemory, hostile_to
from helpers.patience import PATIENCE, quickest, seconds_of
from helpers.service import UNKNOWN, ServiceProcess, problem, running_service, service_process
from intertwine_api.storage.database import Database
from intertwine_api.storage.keys import Keys
from safetensors.numpy import load, save

SAFETENSORS = {"content-type": "application/vnd.safetensors"}
NPZ = {"content-type": "application/zip"}
REPS = {"rep_in": "5V0+5V", "rep_out": "V**2", "group": "SO(3)"}
_RANDOM = np.random.default_rng(0)
X = _RANDOM.normal(size=(50, 20)).astype(np.float32)
Y = _RANDOM.normal(size=(50, 9)).astype(np.float32)


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def lying_header() -> bytes:
    """A header that says of X that it is larger than the file."""
    entry = {"dtype": "F32", "shape": [50, 20_000], "data_offsets": [0, 4_000_000]}
    header = json.dumps({"X": entry}).encode()
    return struct.pack("<Q", len(header)) + header + b"\0" * 4000


def spoilt() -> np.ndarray:
    array = X.copy()
    array[7, 3] = np.nan
    return array


def send(client: httpx.Client, content: bytes, **query: str) -> httpx.Response:
    kind = NPZ if content[:2] == b"PK" else SAFETENSORS
    return client.post("/v1/datasets", content=content, params=query, headers=kind)


class Uploading:
    """A service with a key for each of some owners."""

    def __init__(self, process: ServiceProcess, tokens: dict[str, str]) -> None:
        self.address, self.pid, self._tokens = process.address, process.pid, tokens
        self.uploads = process.data / "uploads"
        self._clients: dict[str, httpx.Client] = {}

    @classmethod
    @contextmanager
    def service(cls, folder: Path, **settings: str) -> Iterator[Uploading]:
        process = ServiceProcess(folder / "data", jobs="0", workers="1", **settings)
        database = Database(f"sqlite:///{process.data}/intertwine.db")
        database.migrate()
        scopes = ("jobs:write",)
        tokens = {who: Keys(database).create(who, scopes)[1] for who in ("ada", "bob", "cid")}
        database.close()
        with service_process(process.data, service=process):
            lab = cls(process, tokens)
            yield lab
            for client in lab._clients.values():
                client.close()

    def key(self, owner: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self._tokens[owner]}"}

    def client(self, owner: str) -> httpx.Client:
        if owner not in self._clients:
            self._clients[owner] = httpx.Client(
                base_url=self.address, headers=self.key(owner), timeout=60
            )
        return self._clients[owner]


@pytest.fixture(scope="module")
def sent(client: httpx.Client) -> dict[str, Any]:
    answer = send(client, save({"X": X, "Y": Y}), name="mine", **REPS)
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    assert answer.headers["location"] == document["links"]["self"]
    return document


class TestSending:
    def test_what_is_known_of_it_is_told(self, client: httpx.Client, sent: dict[str, Any]) -> None:
        assert (sent["samples"], sent["name"], sent["owner"]) == (50, "mine", "local")
        assert {name: sent[name] for name in REPS} == REPS
        assert sent["inputs"] == {"shape": [50, 20], "dtype": "float32"}
        assert sent["targets"] == {"shape": [50, 9], "dtype": "float32"}
        assert client.get(sent["links"]["self"]).json() == sent
        listed = client.get("/v1/datasets").json()
        assert sent in listed["data"]
        assert "Inertia" in listed["builtin"]

    def test_its_samples_are_a_blob(self, client: httpx.Client, sent: dict[str, Any]) -> None:
        arrays = load(client.get(sent["links"]["blob"]).content)
        np.testing.assert_array_equal(arrays["X"], X)
        np.testing.assert_array_equal(arrays["Y"], Y)

    def test_the_same_samples_are_the_same_dataset_in_any_file(
        self, client: httpx.Client, sent: dict[str, Any]
    ) -> None:
        for content in (npz(X=X, Y=Y), npz(inputs=X, targets=Y), save({"x": X, "y": Y})):
            again = send(client, content, name="mine", **REPS).json()
            assert again == sent
        whatever = {"content-type": "application/octet-stream"}
        answer = client.post("/v1/datasets", content=npz(X=X, Y=Y), params=REPS, headers=whatever)
        assert answer.json()["id"] == sent["id"]

    def test_a_group_comes_as_generators_too(self, client: httpx.Client) -> None:
        group = {"discrete_generators": [[[0, -1], [1, 0]]]}
        content = save({"X": X[:, :2].copy(), "Y": Y[:, :1].copy()})
        told = send(client, content, rep_in="V", rep_out="V0", group=json.dumps(group)).json()
        assert told["group"] == group

    @pytest.mark.parametrize(
        ("content", "query", "code", "said"),
        [
            (save({"X": X, "Y": Y}), {**REPS, "rep_in": "6V"}, "invalid-rep", "size 18"),
            (save({"X": X, "Y": Y}), {**REPS, "rep_out": "V"}, "invalid-rep", "size 3"),
            (save({"X": X, "Y": Y}), {**REPS, "rep_in": "5V0+"}, "syntax", ""),
            (save({"X": X, "Y": Y}), {**REPS, "group": "Nothing(3)"}, "syntax", ""),
            (save({"X": X, "Y": Y}), {**REPS, "group": "{"}, "invalid-request", ""),
            (save({"X": X, "Y": Y}), {"name": "a\0b"}, "invalid-request", ""),
            (save({"X": spoilt(), "Y": Y}), {}, "format", "row 7"),
            (save({"X": X, "Y": Y[:-1].copy()}), {}, "format", "49"),
            (save({"X": X}), {}, "format", "two arrays"),
            (save({"X": X, "Y": Y})[:-10], {}, "format", "no whole safetensors"),
            (lying_header(), {}, "format", ""),
            (struct.pack("<Q", 2**62) + b"{}", {}, "format", "neither"),
            (npz(X=X, Y=np.array([{}] * 50, dtype=object)), {}, "format", "pickled"),
            (npz(X=X, Y=Y)[:-100], {}, "format", "no whole npz"),
            (b"\x80\x04\x95" + b"x" * 100, {}, "format", "pickled"),
            (b"", {}, "format", "neither"),
        ],
        ids=[
            *("wide input", "wide output", "syntax", "unknown group", "no generators", "nul"),
            *("nan", "short", "one array", "cut", "lying header", "huge header"),
            *("objects in npz", "cut npz", "pickle", "nothing"),
        ],
    )
    def test_what_is_wrong_with_a_file_is_said(
        self, client: httpx.Client, content: bytes, query: dict[str, str], code: str, said: str
    ) -> None:
        answer = send(client, content, **query)
        assert said in problem(answer, 422, code)["detail"]

    @pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x"])
    def test_what_is_no_file_is_refused(self, client: httpx.Client, kind: str) -> None:
        for path in ("/v1/datasets", "/v1/blobs"):
            answer = client.post(path, content=b"{}", headers={"content-type": kind})
            problem(answer, 415, "unsupported-media-type")

    @pytest.mark.slow
    def test_a_file_that_is_too_large_is_refused_and_leaves_nothing(self, tmp_path: Path) -> None:
        data = tmp_path / "data"
        with running_service(data, dataset_bytes="10000", jobs="0", workers="1") as client:
            assert send(client, save({"X": X[:10], "Y": Y[:10]})).status_code == 201
            content = save({"X": X[:30], "Y": Y[:30] * 2})
            refused = problem(send(client, content * 3), 413, "body-too-large")
            assert refused["limit_bytes"] == 10_000
            pieces = (content for _ in range(3))
            answer = client.post("/v1/datasets", content=pieces, headers=SAFETENSORS)
            problem(answer, 413, "body-too-large")
            bomb = io.BytesIO()
            np.savez_compressed(bomb, X=np.zeros((10_000, 20)), Y=np.zeros(10_000))
            assert len(bomb.getvalue()) < 10_000
            problem(send(client, bomb.getvalue()), 422, "too-large")
            assert list((data / "uploads").iterdir()) == []

    @pytest.mark.slow
    def test_who_leaves_in_the_middle_leaves_nothing(self, tmp_path: Path) -> None:
        data = tmp_path / "data"
        with running_service(data, jobs="0", workers="1") as client:

            def half() -> Iterator[bytes]:
                yield b"x" * 10**6
                raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                client.post("/v1/datasets", content=half(), headers=SAFETENSORS)
            assert client.get("/v1/datasets").json()["data"] == []
            give_up = time.monotonic() + PATIENCE
            uploads = data / "uploads"  # made when the service begins to read the body
            while not uploads.exists() or list(uploads.iterdir()):  # until it sees the end of it
                assert time.monotonic() < give_up
                time.sleep(0.05)
        assert "Traceback" not in (tmp_path / "data.log").read_text()


class TestDeleting:
    def test_its_samples_go_with_it(self, client: httpx.Client) -> None:
        document = send(client, save({"X": X + 1, "Y": Y})).json()
        links = document["links"]
        assert client.delete(links["self"]).status_code == 204
        for link in links.values():
            problem(client.get(link), 404, "not-found")
        problem(client.delete(links["self"]), 404, "not-found")

    def test_of_another_digest_there_is_none(self, client: httpx.Client) -> None:
        problem(client.get(f"/v1/datasets/{UNKNOWN}"), 404, "not-found")
        problem(client.delete(f"/v1/datasets/{UNKNOWN}"), 404, "not-found")
        problem(client.get("/v1/datasets/.."), 404, "not-found")
        problem(client.get("/v1/datasets/Inertia"), 422, "invalid-request")


class TestTheList:
    def test_pages_are_followed_by_their_cursors(self, client: httpx.Client) -> None:
        sent = [send(client, save({"X": X + n, "Y": Y})).json()["id"] for n in range(2, 7)]
        asked, seen = {"limit": "2"}, []
        while True:
            page = client.get("/v1/datasets", params=asked).json()
            seen += [dataset["id"] for dataset in page["data"]]
            if not page["has_more"]:
                break
            asked["after"] = page["next"]
        assert [name for name in seen if name in sent] == sent[::-1]
        assert len(set(seen)) == len(seen)

    @pytest.mark.parametrize("params", [{"limit": 0}, {"after": "x"}, {"after": "\0"}], ids=str)
    def test_a_page_that_cannot_be_is_refused(self, client: httpx.Client, params: Any) -> None:
        problem(client.get("/v1/datasets", params=params), 422, "invalid-request")


class TestDeletingWhatAJobWaitsFor:
    @pytest.mark.slow
    def test_a_job_that_waits_ends_well_without_its_dataset(self, tmp_path: Path) -> None:
        data = tmp_path / "data"
        train = {"kind": "train", "model": {"ch": 8, "num_layers": 1}, "training": {"epochs": 2}}
        with running_service(data, jobs="0", workers="1") as client:
            sent = send(client, save({"X": X, "Y": Y}), **REPS).json()
            job = client.post("/v1/jobs", json={**train, "dataset": sent["id"]}).json()
            assert client.delete(sent["links"]["self"]).status_code == 204
            problem(client.get(sent["links"]["self"]), 404, "not-found")
        with running_service(data, workers="1") as client:
            client.get(job["links"]["events"])  # until it ends
            ended = client.get(job["links"]["self"]).json()
            assert (ended["state"], ended["reason"]) == ("succeeded", "done")
            result = ended["result"]
            model = client.get(f"/v1/models/{result['model']}/versions/1").json()
            assert model["provenance"]["data"] == {"digest": sent["id"]}
            told = model["provenance"]["model"]
            assert {name: told[name] for name in REPS} == REPS


class TestOwners:
    def test_data_are_their_owners(self, tmp_path: Path) -> None:
        service = ServiceProcess(tmp_path / "data", jobs="0", workers="1")
        database = Database(f"sqlite:///{service.data}/intertwine.db")
        database.migrate()
        tokens = [Keys(database).create(name, ["jobs:write"])[1] for name in ("alice", "bob")]
        database.close()
        with (
            service_process(service.data, service=service),
            httpx.Client(base_url=service.address, timeout=60) as hers,
            httpx.Client(base_url=service.address, timeout=60) as his,
        ):
            for client, token in zip((hers, his), tokens, strict=True):
                client.headers["authorization"] = f"Bearer {token}"
            content = save({"X": X, "Y": Y})
            document = send(hers, content).json()
            assert document["owner"] == "alice"
            assert hers.get(document["links"]["blob"]).headers["cache-control"].startswith("priv")
            for link in document["links"].values():
                problem(his.get(link), 404, "not-found")
            problem(his.delete(document["links"]["self"]), 404, "not-found")
            job = {"kind": "train", "dataset": document["id"], "model": {**REPS}}
            problem(his.post("/v1/jobs", json=job), 404, "not-found")
            assert send(his, content).json()["id"] == document["id"]
            assert hers.delete(document["links"]["self"]).status_code == 204
            assert his.get(document["links"]["blob"]).status_code == 200
            problem(hers.get(document["links"]["blob"]), 404, "not-found")

    @pytest.mark.slow
    def test_an_admin_deletes_their_own_or_who_they_name(self, tmp_path: Path) -> None:
        service = ServiceProcess(tmp_path / "data", jobs="0", workers="1")
        database = Database(f"sqlite:///{service.data}/intertwine.db")
        database.migrate()
        keys = Keys(database)
        scopes = {"alice": "jobs:write", "bob": "jobs:write", "boss": "admin"}
        tokens = [keys.create(owner, [scope])[1] for owner, scope in scopes.items()]
        database.close()
        with service_process(service.data, service=service):
            alice, bob, boss = (
                httpx.Client(
                    base_url=service.address,
                    headers={"authorization": f"Bearer {token}"},
                    timeout=60,
                )
                for token in tokens
            )
            sent = [send(one, save({"X": X, "Y": Y})).json() for one in (alice, bob, boss)]
            [address] = {one["links"]["self"] for one in sent}
            problem(alice.delete(address, params={"owner": "bob"}), 403, "forbidden")
            assert boss.delete(address).status_code == 204
            assert alice.get(address).status_code == bob.get(address).status_code == 200
            said = problem(boss.delete(address), 422, "invalid-request")["detail"]
            assert said == "2 owners have this dataset: choose one, as in owner=alice"
            assert boss.delete(address, params={"owner": "bob"}).status_code == 204
            problem(bob.get(address), 404, "not-found")
            assert boss.delete(address).status_code == 204
            problem(alice.get(address), 404, "not-found")
            for client in (alice, bob, boss):
                client.close()


class TestWeights:
    def test_a_file_of_weights_is_a_blob(self, client: httpx.Client) -> None:
        content = save({"layer": X})
        answer = client.post("/v1/blobs", content=content, headers=SAFETENSORS)
        assert answer.status_code == 201
        document = answer.json()
        assert document["bytes"] == len(content)
        assert answer.headers["location"] == f"/v1/blobs/{document['digest']}"
        assert client.get(answer.headers["location"]).content == content
        again = client.post("/v1/blobs", content=content, headers=SAFETENSORS)
        assert again.json() == document

    @pytest.mark.parametrize(
        "content",
        [b"", b"\x80\x04\x95", lying_header(), save({}), npz(X=X)],
        ids=["nothing", "pickle", "lying header", "no arrays", "npz"],
    )
    def test_what_is_none_is_refused(self, client: httpx.Client, content: bytes) -> None:
        answer = client.post("/v1/blobs", content=content, headers=SAFETENSORS)
        problem(answer, 422, "format")


class TestQuotas:
    """Uploads of several owners to a service with small quotas."""

    @pytest.fixture
    def lab(self, tmp_path: Path) -> Iterator[Uploading]:
        with Uploading.service(tmp_path, owner_bytes=str(2 * 10**6)) as lab:
            yield lab

    @pytest.mark.slow
    def test_an_owner_keeps_so_much_and_others_as_much_again(self, lab: Uploading) -> None:
        ada, bob = lab.client("ada"), lab.client("bob")
        kept = [send(ada, samples(400_000, seed)) for seed in range(4)]
        assert [answer.status_code for answer in kept] == [201] * 4
        for refused in (
            send(ada, samples(600_000, 5)),
            ada.post("/v1/datasets", content=iter([samples(600_000, 5)]), headers=SAFETENSORS),
            ada.post("/v1/blobs", content=samples(600_000, 5), headers=SAFETENSORS),
        ):
            found = problem(refused, 507, "quota-exceeded")
            assert found["limit_bytes"] == 2 * 10**6
            assert found["used_bytes"] > 1_600_000
        assert send(bob, samples(600_000, 5)).status_code == 201
        assert ada.delete(kept[0].headers["location"]).status_code == 204
        assert ada.post("/v1/blobs", content=samples(600_000, 6), headers=SAFETENSORS).is_success
        job = {"kind": "train", "dataset": kept[1].json()["id"], "model": {"type": "MLP"}}
        problem(send(ada, samples(400_000, 7)), 507, "quota-exceeded")
        problem(ada.post("/v1/jobs", json=job), 507, "quota-exceeded")

    @pytest.mark.slow
    def test_uploads_at_once_are_bounded_for_an_owner_and_do_not_block_others(
        self, lab: Uploading
    ) -> None:
        with hostile_to(lab.address) as hostile:
            for _ in range(2):
                headers = {**SAFETENSORS, **lab.key("cid"), "content-length": "1000000"}
                hostile.ask("POST", "/v1/datasets", headers, b"x" * 1000)
            until(lambda: len([*lab.uploads.glob("*")]) == 2)
            third = problem(send(lab.client("cid"), samples(1000, 0)), 429, "rate-limited")
            assert "uploads of this owner" in third["detail"]
            assert send(lab.client("bob"), samples(1000, 0)).status_code == 201
        until(lambda: send(lab.client("cid"), samples(1000, 0)).status_code == 201)


@pytest.mark.slow
def test_a_large_file_is_checked_without_memory_of_the_service_and_without_holding_up_others(
    tmp_path: Path,
) -> None:
    size = 160 * 10**6
    with Uploading.service(tmp_path) as lab:
        ada, bob = lab.client("ada"), lab.client("bob")
        peak, seeds = PeakMemory(lab.pid), itertools.count()

        def longest_wait() -> float:
            with ThreadPoolExecutor(1) as pool:
                large = pool.submit(send, ada, samples(size, next(seeds)))
                waits = [0.0]
                while not large.done():
                    waits.append(seconds_of(lambda: bob.get("/healthz").raise_for_status()))
                    assert send(bob, samples(1000, next(seeds))).status_code == 201
                    peak.watch(0.1)
                assert large.result().status_code == 201
            assert ada.delete(large.result().headers["location"]).status_code == 204
            return max(waits)

        assert quickest(longest_wait, 1, tries=3) < 1
        assert peak.growth < size / 2


@pytest.mark.slow
def test_uploads_leave_the_reserve_of_a_small_disk_free(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import json, shutil
        from pathlib import Path
        import httpx
        sys.path.insert(0, sys.argv[2])
        from helpers.service import running_service
        data = Path(sys.argv[1]) / "data"
        data.mkdir()
        mount("-t", "tmpfs", "-o", "size=80m", "tmpfs", data)
        with running_service(data, jobs="0", workers="1") as client:
            free = []
            def body():
                for _ in range(60):
                    yield b"x" * 2**20
                    free.append(shutil.disk_usage(data).free)
            answer = client.post(
                "/v1/datasets", content=body(), headers={"content-type": "application/zip"}
            )
            declared = client.post(
                "/v1/blobs",
                content=b"x" * 30 * 2**20,
                headers={"content-type": "application/vnd.safetensors"},
            )
            ready = client.get("/readyz").status_code
            left = [path.name for path in (data / "uploads").iterdir()]
        print(json.dumps([answer.json()["code"], declared.json()["code"], min(free), ready, left]))
    """)
    done = run_with_mounts(program, tmp_path, ROOT / "tests")
    assert done.stdout, done.stderr
    *codes, free, ready, left = json.loads(done.stdout)
    assert codes == ["disk-full", "disk-full"]
    assert free > 60 * 2**20  # of a reserve of 64 MB; the database writes too
    assert (ready, left) == (200, [])


def samples(size: int, seed: int) -> bytes:
    """A file of samples of about this number of bytes, other ones for each seed."""
    array = np.random.default_rng(seed).integers(0, 255, (size // 16, 8), np.uint8)
    numbers = array.view(np.uint64).astype(np.float64)
    return save({"X": numbers, "Y": numbers})
