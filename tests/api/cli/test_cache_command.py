"""`intertwine cache`, and what the other commands say of the store."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers.example_stores import age, publish
from helpers.example_stores import key as key_of
from helpers.example_tiers import Proxied, s3_gateway, s3_server, web_folder
from helpers.program import Ended, intertwine
from helpers.scripted_service import Reply, Request, problem_reply, scripted_service
from helpers.service import running_service
from intertwine_cache import Keyring, Manifest, Store
from intertwine_cache.archive import ArchiveWriter
from intertwine_cache.layout import blob_path

ASKED = ("basis", "V**2*V.T+5V0", "--group", "SO(3)", "--json")


class Used:
    """A store in a folder of its own, and the program that uses it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str, **env: str) -> Ended:
        return intertwine(*arguments, env={"INTERTWINE_CACHE": str(self.folder), **env})

    @property
    def manifests(self) -> list[Path]:
        return sorted(self.folder.glob("v1/manifests/??/*.json"))

    @property
    def blobs(self) -> list[Path]:
        return sorted(self.folder.glob("v1/blobs/??/*"))


@pytest.fixture
def store(tmp_path: Path) -> Used:
    return Used(tmp_path / "store")


def test_the_second_process_reads_and_says_so(store: Used) -> None:
    first, second = (store.run(*ASKED).json for _ in range(2))
    assert (first["cached"], second["cached"]) == (False, True)
    told = {"cached", "bytes"}
    assert {k: v for k, v in first.items() if k not in told} == {
        k: v for k, v in second.items() if k not in told
    }
    assert f", from {store.folder}" in store.run(*ASKED[:-1]).out


def test_without_the_cache_nothing_is_read_or_kept(store: Used) -> None:
    assert not store.run(*ASKED, "--no-cache").json["cached"]
    assert store.manifests == []
    store.run(*ASKED)
    assert not store.run(*ASKED, "--no-cache").json["cached"]


@pytest.mark.slow
def test_a_named_method_is_never_answered_by_another(store: Used) -> None:
    assert store.run(*ASKED).json["method"] == "orbits+svd"
    named = store.run(*ASKED, "--method", "krylov").json
    assert (named["method"], named["cached"]) == ("krylov", False)
    assert store.run(*ASKED, "--method", "krylov").json["cached"]


def test_what_there_is_can_be_seen(store: Used) -> None:
    key = store.run(*ASKED).json["key"]
    statistics = store.run("cache", "stats", "--json").json
    assert (statistics["entries"], statistics["place"]) == (1, str(store.folder))
    assert statistics["bytes"] == sum(blob.stat().st_size for blob in store.blobs)
    (listed,) = store.run("cache", "list", "--json").json
    assert listed["key"] == key
    assert (listed["canonical"], listed["group"]) == ("5V⁰+V³", "SO(3)")
    assert "32 × 6" in store.run("cache", "list").out
    for named in (key, key[:8]):
        shown = store.run("cache", "show", named).json
        assert shown["certificate"]["rank"] == 6
        assert shown == listed


@pytest.mark.slow
@pytest.mark.parametrize("key", ["ffff", "../..", "", "x"])
def test_what_is_not_there_is_said(store: Used, key: str) -> None:
    for rep in ("V**2", "V**3"):
        store.run("basis", rep, "--group", "SO(3)")
    ended = store.run("cache", "show", key)
    assert ended.code == 2
    assert ended.err.startswith("intertwine: ")
    assert "see intertwine cache list" in ended.err


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def _cut(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-8])


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [_flip, _cut], ids=["changed", "cut off"])
def test_a_spoilt_blob_is_found_and_repaired_by_the_next_request(store: Used, spoil: Any) -> None:
    store.run(*ASKED)
    assert store.run("cache", "verify").out == "everything is in order\n"
    spoil(store.blobs[0])
    found = store.run("cache", "verify")
    assert found.code == 1
    assert str(store.blobs[0]) in found.out
    assert store.run("cache", "verify", "--repair").code == 0
    assert store.run("cache", "verify").code == 0
    assert store.run("cache", "stats", "--json").json["quarantined"] >= 1
    assert [store.run(*ASKED).json["cached"] for _ in range(2)] == [False, True]


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [_flip, _cut], ids=["changed", "cut off"])
def test_whoever_asks_never_sees_a_spoilt_blob(store: Used, spoil: Any) -> None:
    rank = store.run(*ASKED).json["rank"]
    spoil(store.blobs[0])
    again = store.run(*ASKED).json
    assert (again["rank"], again["cached"]) == (rank, False)
    assert store.run(*ASKED).json["cached"]


@pytest.mark.slow
def test_a_manifest_of_a_later_version_is_put_aside(store: Used) -> None:
    store.run(*ASKED)
    (path,) = store.manifests
    path.write_text(path.read_text().replace('"version": 1', '"version": 2', 1))
    assert not store.run(*ASKED).json["cached"]
    (reason,) = store.folder.glob("v1/quarantine/*.json.reason")
    assert reason.read_text() == "version 2 is not 1\n"


def test_it_can_be_emptied(store: Used) -> None:
    store.run(*ASKED)
    assert store.run("cache", "clear", "--json").json == {"deleted": 1}
    assert (store.manifests, store.blobs) == ([], [])
    assert not store.run(*ASKED).json["cached"]


def test_a_store_that_is_full_keeps_nothing_and_delivers(store: Used) -> None:
    for _ in range(2):
        ended = store.run(*ASKED, INTERTWINE_CACHE_SIZE="100")
        assert (ended.code, ended.json["rank"], ended.json["cached"]) == (0, 6, False)
        assert "Traceback" not in ended.err
    assert store.blobs == []


@pytest.mark.slow
def test_a_place_that_is_a_file_keeps_nothing_and_delivers(store: Used) -> None:
    store.folder.write_text("no folder")
    ended = store.run(*ASKED)
    assert (ended.code, ended.json["rank"], ended.json["cached"]) == (0, 6, False)
    assert "Traceback" not in ended.err
    doctor = store.run("doctor", "--json")
    assert doctor.code == 1
    (found,) = (check for check in doctor.json["checks"] if check["check"] == "cache")
    assert not found["ok"]
    assert "INTERTWINE_CACHE" in found["advice"]


@pytest.mark.parametrize("command", [("cache", "stats"), ASKED])
def test_settings_that_cannot_be_meant_are_refused(store: Used, command: Any) -> None:
    ended = store.run(*command, INTERTWINE_CACHE_SIZE="much")
    assert ended.code == 2
    assert "INTERTWINE_CACHE_SIZE is a size such as 500MB or 20GB, not 'much'" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.slow
def test_turned_off_there_is_none(store: Used) -> None:
    ended = store.run("cache", "stats", INTERTWINE_CACHE="off")
    assert (ended.code, ended.out) == (2, "")
    assert "INTERTWINE_CACHE=off" in ended.err
    assert not store.run(*ASKED, INTERTWINE_CACHE="off").json["cached"]
    found = store.run("doctor", "--json", INTERTWINE_CACHE="off").json["checks"]
    assert "off" in next(check["found"] for check in found if check["check"] == "cache")


@pytest.mark.slow
def test_the_doctor_looks_at_the_store_and_the_port(store: Used) -> None:
    store.run(*ASKED)
    checks = {check["check"]: check for check in store.run("doctor", "--json").json["checks"]}
    assert "1 basis, " in checks["cache"]["found"]
    assert "free on its disk" in checks["cache"]["found"]
    assert "port 8000" in checks["service"]["found"]


class TestTiers:
    """`intertwine cache trust` and `key`, and what `doctor` says of far tiers."""

    @pytest.mark.slow
    def test_a_service_is_trusted_by_its_address(self, client: httpx.Client, store: Used) -> None:
        address = str(client.base_url)
        config = {"XDG_CONFIG_HOME": str(store.folder.parent)}
        first, second = (
            store.run("cache", "trust", address, "--json", **config).json for _ in range(2)
        )
        described = client.get("/v1/store").json()
        assert first == {
            "trusted": address,
            "fingerprint": described["fingerprint"],
            "new": True,
        }
        assert second == {**first, "new": False}
        kept = (store.folder.parent / "intertwine" / "trusted-keys").read_text()
        assert kept == f"{described['public_key']} {address}\n"

    @pytest.mark.slow
    def test_a_service_prints_the_key_that_it_gives_out(self, tmp_path: Path) -> None:
        with running_service(tmp_path / "data") as client:
            printed = intertwine("cache", "key", "--data", str(tmp_path / "data"), "--json").json
            assert printed == {
                name: client.get("/v1/store").json()[name] for name in ("public_key", "fingerprint")
            }

    def test_a_user_has_a_key_too(self, store: Used) -> None:
        config = {"XDG_CONFIG_HOME": str(store.folder.parent)}
        ours, again = (store.run("cache", "key", "--json", **config).json for _ in range(2))
        assert ours == again
        theirs = store.run("cache", "key", "--json", XDG_CONFIG_HOME=str(store.folder)).json
        assert theirs["public_key"] != ours["public_key"]

    @pytest.mark.slow
    def test_doctor_asks_each_tier(self, client: httpx.Client, store: Used) -> None:
        there, not_there = str(client.base_url).rstrip("/"), "http://127.0.0.1:9"
        tiers = f"{store.folder},{there},{not_there}"
        checked = store.run("doctor", "--json", INTERTWINE_CACHE=tiers)
        found = [each for each in checked.json["checks"] if each["check"] == "tier"]
        assert [each["ok"] for each in found] == [True, False]
        assert found[0]["found"] == f"{there} answers, read-only"
        assert found[1]["found"].startswith(f"{not_there}: ")
        assert checked.code == 1

    @pytest.mark.slow
    def test_doctor_says_what_an_object_store_cannot_do(self, store: Used, tmp_path: Path) -> None:
        def ignore_conditions_and_refuse(request: Proxied) -> bool:
            del request.headers["If-None-Match"]
            is_refused = request.command == "PUT" and "/refused/" in request.path
            if is_refused:
                request.send_error(403)
            return is_refused

        tiers = f"{store.folder},s3://lab/bases,s3://lab/refused,s3://lab/x?read-only"
        with s3_server(tmp_path) as s3, s3_gateway(s3, ignore_conditions_and_refuse) as env:
            checked = store.run("doctor", "--json", INTERTWINE_CACHE=tiers, **env)
        first, second, third = (c for c in checked.json["checks"] if c["check"] == "tier")
        assert first["found"].startswith("s3://lab/bases answers; its server ignores conditions")
        assert second["found"].startswith(
            "s3://lab/refused answers, read-only; it refuses to be written to: "
        )
        assert third["found"] == "s3://lab/x answers, read-only"
        assert [each["ok"] for each in (first, second, third)] == [True, True, True]

    @pytest.mark.slow
    def test_stats_show_what_the_tiers_have_saved(self, store: Used, tmp_path: Path) -> None:
        assert store.run("cache", "stats", "--json").json["tiers"] == {}
        assert store.run(*ASKED).code == 0  # what another user has solved
        near = Used(tmp_path / "near")
        config = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
        tiers = f"{near.folder},{store.folder}?read-only"
        assert near.run(*ASKED, INTERTWINE_CACHE=tiers, **config).json["cached"]
        (counts,) = near.run("cache", "stats", "--json").json["tiers"].items()
        assert counts[0] == str(store.folder)
        assert (counts[1]["hits"], counts[1]["misses"]) == (1, 0)
        assert counts[1]["bytes"] == sum(blob.stat().st_size for blob in store.blobs)
        *_, header, row = near.run("cache", "stats").out.splitlines()
        assert header.split()[:3] == ["TIER", "HITS", "MISSES"]
        assert row.split()[:3] == [str(store.folder), "1", "0"]


class Person:
    """A near folder and a key of one's own, and the program that uses them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, Store(folder / "near")
        self.keyring = Keyring(folder / "config" / "intertwine" / "signing-key")

    def run(self, *arguments: str | Path, **env: str) -> Ended:
        config = {"XDG_CONFIG_HOME": str(self.folder / "config")}
        near = {"INTERTWINE_CACHE": self.store.name}
        return intertwine("cache", *arguments, env={**near, **config, **env})

    def solve(self, *names: str) -> None:
        for name in names:
            publish(self.store, name, name.encode() * 1000, canonical=f"V³+{name}", group="SO(3)")

    @property
    def keys(self) -> list[str]:
        return [manifest.key for manifest in self.store.manifests()]

    def manifest(self, name: str) -> Manifest:
        found = self.store.manifest(key_of(name))
        assert found is not None
        return found


@pytest.fixture
def ann(tmp_path: Path) -> Person:
    return Person(tmp_path / "ann")


@pytest.fixture
def ben(tmp_path: Path) -> Person:
    return Person(tmp_path / "ben")


def report(source: object, destination: object, **changes: Any) -> dict[str, Any]:
    """What a copy prints as JSON."""
    numbers = dict.fromkeys(("present", "missing", "bytes", "copied", "unsigned"), 0)
    empty: dict[str, Any] = {"untrusted": {}, "invalid": {}, "refused": {}}
    return {"source": str(source), "destination": str(destination), **numbers, **empty, **changes}


class TestCopies:
    """`intertwine cache push`, `pull` and `sync`."""

    @pytest.mark.slow
    def test_a_folder_gets_what_it_lacks_and_a_colleague_pulls_it(
        self, ann: Person, ben: Person, tmp_path: Path
    ) -> None:
        ann.solve("a", "b")
        shared = tmp_path / "shared"
        planned = ann.run("push", shared, "--dry-run", "--json")
        expected = report(ann.store.name, shared, missing=2, bytes=2000)
        assert (planned.code, planned.json) == (0, expected)
        assert not shared.exists()
        assert ann.run("push", shared, "--json").json == {**expected, "copied": 2}
        assert ann.run("push", shared, "--json").json == report(ann.store.name, shared, present=2)

        refused = ben.run("pull", shared, "--json")
        print_of_ann = ann.run("key", "--json").json["fingerprint"]
        assert refused.code == 1
        assert refused.json == report(shared, ben.store.name, untrusted={print_of_ann: 2})
        remedy = f"intertwine cache trust {ann.keyring.public_key}"
        assert f"fingerprint {print_of_ann}. If it is right: {remedy}\n" in refused.err
        assert ben.keys == []
        assert ben.run(*remedy.split()[2:], "--json").json["fingerprint"] == print_of_ann
        pulled = ben.run("pull", shared, "--json")
        assert (pulled.code, pulled.json["copied"]) == (0, 2)
        assert ben.keys == ann.keys
        assert ben.store.read(key_of("a")) is not None

    def test_what_is_not_signed_is_left_out_of_folders(
        self, ann: Person, ben: Person, tmp_path: Path
    ) -> None:
        ann.solve("a")
        for destination in (ben.store.name, str(tmp_path / "other")):
            ended = ben.run("sync", ann.store.name, destination, "--json")
            assert (ended.code, ended.json["unsigned"], ended.json["copied"]) == (1, 1, 0)
            assert "1 left out: without a signature" in ended.err
        assert ben.keys == []

    @pytest.mark.slow
    def test_between_object_stores_and_folders(
        self, ann: Person, ben: Person, tmp_path: Path
    ) -> None:
        ann.solve("a", "b", "c")
        with s3_server(tmp_path) as s3:
            near, bucket = ann.store.name, "s3://lab/bases"
            sent = ann.run("push", bucket, "--match", "*+[ab]", "--json", **s3)
            assert sent.json == report(near, bucket, missing=2, bytes=2000, copied=2)
            (tmp_path / "near").mkdir()
            copied = ben.run("sync", bucket, "s3://lab/copy", "--json", **s3)
            assert copied.json["copied"] == 2
            trusted = {**s3, "INTERTWINE_TRUSTED_KEYS": ann.keyring.public_key}
            pulled = ben.run("pull", "s3://lab/copy", key_of("b"), "--json", **trusted)
            assert pulled.json == report(
                "s3://lab/copy", ben.store.name, missing=1, bytes=1000, copied=1
            )
            assert ben.keys == [key_of("b")]
            read_only = ann.run("push", f"{bucket}?read-only", **s3)
            assert (read_only.code, "is read-only: give a folder" in read_only.err) == (2, True)

    @pytest.mark.slow
    def test_into_a_bucket_that_becomes_read_only_fails(self, ann: Person, tmp_path: Path) -> None:
        ann.solve(*"abcdefghij")
        written = 0

        def refuse(request: Proxied) -> bool:
            nonlocal written
            written += request.command == "PUT" and "/manifests/" in request.path
            is_refused = request.command == "PUT" and written > 3
            if is_refused:
                request.send_error(403)
            return is_refused

        with s3_server(tmp_path) as s3, s3_gateway(s3, refuse) as env:
            ended = ann.run("push", "s3://lab/bases", "--json", **env)
            found = ended.json
            assert ended.code == 1
            assert found["copied"] == 3
            assert len(found["refused"]) == 7
            assert all("it refuses to be written to" in why for why in found["refused"].values())
            reason = "7 left out: s3://lab/bases does not take them: it refuses to be written to: "
            assert reason in ended.err
            again = ann.run("push", "s3://lab/bases", "--json", **s3)
            assert (again.code, again.json["copied"], again.json["present"]) == (0, 7, 3)

    def test_into_a_service_say_what_it_refuses(self, ann: Person) -> None:
        ann.solve("a")

        def answer(asked: Request) -> Reply:
            return Reply(404) if asked.method == "GET" else problem_reply(422, "not-sound", "bad")

        publish(ann.store, "b", b"b" * 1000, canonical="V", request={"rep": "V"})
        with scripted_service(answer) as service:
            ended = ann.run("push", service.url, "--json", INTERTWINE_KEY="itw_secret")
        assert (ended.code, ended.json["copied"]) == (1, 0)
        assert ended.json["refused"] == {
            key_of("a"): "no text defines its rep, so the service could not check it",
            key_of("b"): "bad",
        }

    @pytest.mark.slow
    def test_a_web_folder_needs_keys(self, ann: Person, ben: Person, tmp_path: Path) -> None:
        ann.solve("a", "b")
        ann.run("push", tmp_path / "shared")
        trusted = {"INTERTWINE_TRUSTED_KEYS": ann.keyring.public_key}
        with web_folder(tmp_path / "shared" / "v1") as address:
            refused = ben.run("pull", address, **trusted)
            assert (refused.code, "cannot list its keys: name the keys" in refused.err) == (2, True)
            assert ben.run("pull", address, key_of("a"), "--json", **trusted).json["copied"] == 1
            absent = ben.run("pull", address, key_of("x"), "--json", **trusted)
            assert absent.code == 1
            assert absent.json["invalid"] == {key_of("x"): f"{address} does not have it"}
        assert ben.keys == [key_of("a")]

    @pytest.mark.slow
    def test_all_bases_of_a_service_are_pulled(self, ben: Person, tmp_path: Path) -> None:
        store = Store(tmp_path / "data" / "cache")
        for name in "abc":
            publish(store, name, name.encode() * 1000, canonical=f"V³+{name}", group="SO(3)")
        with running_service(tmp_path / "data", workers="1") as client:
            address = str(client.base_url).rstrip("/")
            assert ben.run("trust", address).code == 0
            pulled = ben.run("pull", address, "--json")
        assert (pulled.code, pulled.json["copied"]) == (0, 3)
        assert sorted(ben.keys) == sorted(map(key_of, "abc"))

    def test_what_cannot_be_meant_is_refused(self, ann: Person, ben: Person) -> None:
        ann.solve("a", "b")
        for arguments, code, reason in (
            (("push", ann.store.name), 2, "is both the source and the destination"),
            (("push", "ftp://host/x"), 2, "a cache cannot be at 'ftp://host/x'"),
            (("push", "http://127.0.0.1:9/"), 2, "is read-only: give a folder"),
            (("pull", ben.store.name, "abc"), 2, "'abc' is not a whole key"),
            (("pull", "http://127.0.0.1:9/", "0" * 64), 3, "http://127.0.0.1:9/: "),
        ):
            ended = ann.run(*arguments)
            assert (ended.code, ended.out) == (code, "")
            assert reason in ended.err
            assert "Traceback" not in ended.err

    def test_more_than_the_near_folder_keeps_is_refused(
        self, ann: Person, ben: Person, tmp_path: Path
    ) -> None:
        ann.solve("a", "b")
        ann.run("push", tmp_path / "shared")
        limits = {
            "INTERTWINE_CACHE_SIZE": "1999",
            "INTERTWINE_TRUSTED_KEYS": ann.keyring.public_key,
        }
        ended = ben.run("pull", tmp_path / "shared", **limits)
        assert (ended.code, ben.keys) == (2, [])
        assert "2,000 bytes do not fit into the near folder, which keeps 1,999" in ended.err


class TestArchives:
    """`intertwine cache export` and `import`."""

    @pytest.mark.slow
    def test_go_to_a_machine_without_a_network(
        self, ann: Person, ben: Person, tmp_path: Path
    ) -> None:
        ann.solve("a", "b", "c")
        path = tmp_path / "bases.tar"
        planned = ann.run("export", path, "--dry-run", "--json")
        assert (planned.json["missing"], path.exists()) == (3, False)
        written = ann.run("export", path, "--match", "*+[ab]", "--json")
        assert written.json == report(ann.store.name, path, missing=2, bytes=2000, copied=2)
        again = ann.run("export", path)
        assert (again.code, "delete it, or give another name" in again.err) == (2, True)

        refused = ben.run("import", path, "--json")
        assert (refused.code, refused.json["copied"], ben.keys) == (1, 0, [])
        assert f"intertwine cache trust {ann.keyring.public_key}" in refused.err
        ben.run("trust", ann.keyring.public_key)
        read = ben.run("import", path, "--json")
        assert (read.code, read.json["copied"]) == (0, 2)
        assert sorted(ben.keys) == sorted(map(key_of, "ab"))
        assert ben.run("import", path, "--json").json["present"] == 2

    def test_with_other_files_are_refused(self, ben: Person, tmp_path: Path) -> None:
        path = tmp_path / "hostile.tar"
        with tarfile.open(path, "w") as tar:
            tar.addfile(tarfile.TarInfo("../near/v1/blobs/x"))
        ended = ben.run("import", path)
        assert (ended.code, ended.out, ben.keys) == (2, "", [])
        assert "is refused: '../near/v1/blobs/x' is not a file of a store" in ended.err
        assert "Traceback" not in ended.err
        absent = ben.run("import", tmp_path / "absent.tar")
        assert (absent.code, "absent.tar" in absent.err) == (2, True)

    def test_with_a_blob_of_other_bytes_or_a_forged_signature(
        self, ann: Person, ben: Person, tmp_path: Path
    ) -> None:
        ann.solve("a", "b")
        path = tmp_path / "forged.tar"
        forged = ann.keyring.sign(ann.manifest("a"))
        forged = Manifest(
            key_of("a"), ann.manifest("b").digest, forged.size, forged.created, forged.details
        )
        wrong = tmp_path / "wrong"
        wrong.write_bytes(b"x" * 1000)
        with ArchiveWriter(path) as archive:
            archive.publish(ann.keyring.sign(ann.manifest("b")), wrong)
            archive.publish(forged, wrong)
        ended = ben.run("import", path, "--json", INTERTWINE_TRUSTED_KEYS=ann.keyring.public_key)
        assert (ended.code, ended.json["unsigned"], ended.json["copied"]) == (1, 1, 0)
        assert list(ended.json["invalid"]) == [key_of("b")]
        assert "do not have the digest" in ended.json["invalid"][key_of("b")]
        assert ben.keys == []


class TestGarbageCollection:
    """`intertwine cache gc`."""

    @staticmethod
    def age(store: Store, days: float) -> None:
        for path in [*store.layout.all_manifests(), *store.layout.all_blobs()]:
            age(path, days * 86_400)

    def test_of_the_near_folder_keeps_what_fits(self, ann: Person) -> None:
        ann.solve("a", "b")
        self.age(ann.store, 9)
        ann.solve("c")
        planned = ann.run("gc", "--max-size", "2.5KB", "--dry-run", "--json")
        expected = {
            **{"tier": ann.store.name, "kept": 2, "kept_bytes": 2000, "deleted": 1},
            **{"damaged": {}, "blobs": 1, "freed": 1000, "waiting": 0},
        }
        assert (planned.code, planned.json, len(ann.keys)) == (0, expected, 3)
        assert ann.run("gc", "--max-size", "2.5KB", "--json").json == expected
        assert (len(ann.keys), key_of("c") in ann.keys) == (2, True)
        printed = ann.run("gc", "--max-age", "5d")
        assert "freed       1,000\n" in printed.out
        assert ann.keys == [key_of("c")]

    @pytest.mark.slow
    def test_of_a_bucket(self, ann: Person, tmp_path: Path) -> None:
        ann.solve("a", "b")
        with s3_server(tmp_path) as s3:
            ann.run("push", "s3://lab/bases", **s3)
            found = ann.run("gc", "s3://lab/bases", "--max-age", "1", "--json", **s3)
            assert (found.code, found.json["kept"], found.json["deleted"]) == (0, 2, 0)
            found = ann.run("gc", "s3://lab/bases", "--max-size", "1000", "--json", **s3)
            assert (found.json["kept"], found.json["deleted"]) == (1, 1)
            assert (found.json["blobs"], found.json["waiting"]) == (0, 1000)  # for a day
            refused = ann.run("gc", "s3://lab/bases?read-only", **s3)
            assert (refused.code, "is read-only" in refused.err) == (2, True)

    @pytest.mark.slow
    def test_of_a_catalogue(self, tmp_path: Path) -> None:
        listed, folder = tmp_path / "reps.txt", tmp_path / "public"
        listed.write_text("SO(3): V**2\nSO(3): V**3\n")
        env = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
        build = ("catalogue", "build", folder, "--list", listed, "--json")
        assert intertwine(*build, env=env).json["bases"] == 2
        first, second = sorted(folder.glob("manifests/??/*.json"))
        blob = folder / blob_path(json.loads(first.read_bytes())["digest"])
        for path in (first, blob):
            age(path, 9 * 86_400)
        collect = ("cache", "gc", folder.as_uri(), "--max-age", "5d", "--json")
        found = intertwine(*collect, env={**env, "INTERTWINE_CACHE": str(tmp_path / "near")}).json
        assert (found["kept"], found["deleted"], found["blobs"]) == (1, 1, 1)
        assert sorted(folder.glob("manifests/??/*.json")) == [second]
        assert not blob.exists()
        assert (folder / "index.html").exists()
        assert intertwine(*build, env=env).json["bases"] == 2  # it is solved again
        assert len(list(folder.glob("manifests/??/*.json"))) == 2

    def test_says_what_it_deletes_because_nobody_can_use_it(self, ann: Person) -> None:
        ann.solve("a", "b")
        ann.store.layout.blob(ann.manifest("a").digest).unlink()
        self.age(ann.store, 2)
        ended = ann.run("gc")
        assert ended.code == 0
        assert f"{key_of('a')} is deleted: its blob is missing\n" in ended.err
        assert ann.keys == [key_of("b")]

    @pytest.mark.slow
    def test_of_other_tiers_is_refused(self, ann: Person, tmp_path: Path) -> None:
        for arguments, code, reason in (
            (("http://127.0.0.1:9",), 2, "set INTERTWINE_CACHE_SIZE where it runs"),
            (("http://127.0.0.1:9/",), 2, "give the folder or object store that it serves"),
            (("ftp://host/x",), 2, "a cache cannot be at 'ftp://host/x'"),
            ((str(tmp_path / "none"),), 2, f"there is no folder {tmp_path / 'none'}"),
            (((tmp_path / "none").as_uri(),), 2, "a cache cannot be at file://"),
            (("--max-size", "much"), 2, "--max-size is a size such as 500MB or 20GB, not 'much'"),
            (("--max-age", "1y"), 2, "--max-age is a number of days such as 90d, not '1y'"),
        ):
            ended = ann.run("gc", *arguments)
            assert (ended.code, ended.out) == (code, "")
            assert reason in ended.err
            assert "Traceback" not in ended.err
        unreachable = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ALLOW_HTTP": "1"}
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        ended = ann.run("gc", "s3://lab/bases", **unreachable, **keys)
        assert (ended.code, "s3://lab/bases: " in ended.err) == (3, True)


class TestExplain:
    """`intertwine cache explain`."""

    def test_says_which_tiers_have_a_basis(self, ann: Person, ben: Person, tmp_path: Path) -> None:
        ann.solve("a")
        shared, empty = tmp_path / "shared", tmp_path / "empty"
        ann.run("push", shared)
        tiers = f"{ben.store.name},{empty},http://127.0.0.1:9/,{shared}"
        ended = ben.run("explain", key_of("a"), "--json", INTERTWINE_CACHE=tiers)
        assert ended.code == 0
        near, first, second, third = ended.json["tiers"]
        assert near == {"tier": ben.store.name, "state": "does not have it"}
        assert first == {"tier": str(empty), "state": "does not have it"}
        assert second.pop("reason").startswith("http://127.0.0.1:9/: ")
        assert second == {"tier": "http://127.0.0.1:9/", "state": "cannot be reached"}
        assert (third["state"], third["bytes"], third["trusted"]) == ("has it", 1000, False)
        assert third["signer"] == ann.run("key", "--json").json["fingerprint"]
        assert third["use"] == "only if it can be proven complete"
        trusted = {"INTERTWINE_TRUSTED_KEYS": ann.keyring.public_key}
        ended = ben.run("explain", key_of("a"), INTERTWINE_CACHE=tiers, **trusted)
        assert f"{shared}: has it\n  bytes: 1,000\n" in ended.out
        assert "trusted: yes" in ended.out

    @pytest.mark.slow
    def test_finds_the_key_of_a_rep(self, ben: Person) -> None:
        solved = intertwine(*ASKED, env={"INTERTWINE_CACHE": ben.store.name}).json
        of_rep = ("--rep", "V**2*V.T+5V0", "--group", "SO(3)")
        for asked in (of_rep, (solved["key"],), (solved["key"][:8],)):
            found = ben.run("explain", *asked, "--json").json
            assert found["key"] == solved["key"]
            assert found["tiers"][0]["state"] == "has it"

    def test_says_why_an_entry_was_put_aside(self, ben: Person) -> None:
        ben.solve("a")
        ben.store.layout.manifest(key_of("a")).write_bytes(b"[]")
        for _ in range(2):
            (near,) = ben.run("explain", key_of("a"), "--json").json["tiers"]
            assert near["state"] == "does not have it"
            assert near["quarantined"].startswith("no manifest")

    @pytest.mark.parametrize(
        "arguments", [(), ("abc", "--rep", "V"), ("abc", "--group", "SO(3)"), ("abc",)]
    )
    def test_needs_one_key(self, ben: Person, arguments: tuple[str, ...]) -> None:
        ended = ben.run("explain", *arguments)
        assert (ended.code, ended.out) == (2, "")
