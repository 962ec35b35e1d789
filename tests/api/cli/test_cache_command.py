"""`intertwine cache`, and what the other commands say of the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers.program import Ended, intertwine
from helpers.service import running_service

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
    assert ", from the cache" in store.run(*ASKED[:-1]).out


def test_without_the_cache_nothing_is_read_or_kept(store: Used) -> None:
    assert not store.run(*ASKED, "--no-cache").json["cached"]
    assert store.manifests == []
    store.run(*ASKED)
    assert not store.run(*ASKED, "--no-cache").json["cached"]


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
    assert "1 bases" in checks["cache"]["found"]
    assert "free on its disk" in checks["cache"]["found"]
    assert "port 8000" in checks["service"]["found"]


class TestTiers:
    """`intertwine cache trust` and `key`, and what `doctor` says of far tiers."""

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

    def test_doctor_asks_each_tier(self, client: httpx.Client, store: Used) -> None:
        there, not_there = str(client.base_url).rstrip("/"), "http://127.0.0.1:9"
        tiers = f"{store.folder},{there},{not_there}"
        checked = store.run("doctor", "--json", INTERTWINE_CACHE=tiers)
        found = [each for each in checked.json["checks"] if each["check"] == "tier"]
        assert [each["ok"] for each in found] == [True, False]
        assert found[0]["found"] == f"{there} answers, read-only"
        assert found[1]["found"].startswith(f"{not_there}: ")
        assert checked.code == 1
