"""Admins list the solves and uploads that are in flight, and end them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers.example_jobs import soon
from helpers.hostile import Hostile, status
from helpers.program import Ended, intertwine
from helpers.service import SO3, ServiceProcess, problem, service_process
from intertwine_api.storage.database import Database
from intertwine_api.storage.keys import Keys

pytestmark = pytest.mark.slow  # a service with keys, and commands as processes

#: Solved by Krylov's method in some minutes.
LONG = {"rep": "V**9", "group": "SO(3)", "method": "krylov"}
NOBODY = "0" * 16


class Lab:
    """A service with an admin and a user."""

    def __init__(self, service: ServiceProcess) -> None:
        self.service = service
        database = Database(f"sqlite:///{service.data}/intertwine.db")
        database.migrate()
        keys = Keys(database)
        scopes = ["bases:solve", "jobs:write"]
        self.tokens = {"boss": keys.create("boss", ["admin"])[1]}
        self.tokens["ada"] = keys.create("ada", scopes)[1]
        database.close()

    def client(self, owner: str) -> httpx.Client:
        headers = {"authorization": f"Bearer {self.tokens[owner]}"}
        return httpx.Client(base_url=self.service.address, headers=headers, timeout=60)

    def listed(self, what: str) -> list[dict[str, Any]]:
        with self.client("boss") as boss:
            answer = boss.get(f"/v1/admin/{what}")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]
        return found

    def command(self, *arguments: str, owner: str = "boss") -> Ended:
        remote = ("--remote", self.service.address, "--key", self.tokens[owner])
        return intertwine("admin", *arguments, *remote)

    def audited(self, message: str) -> list[dict[str, Any]]:
        lines = (self.service.data / "audit.jsonl").read_text().splitlines()
        return [line for line in map(json.loads, lines) if line["message"] == message]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    service = ServiceProcess(tmp_path_factory.mktemp("admin") / "data", jobs="0", workers="1")
    lab = Lab(service)
    with service_process(service.data, service=service):
        yield lab


def test_a_solve_is_ended_and_those_who_wait_are_told(lab: Lab) -> None:
    with lab.client("ada") as ada, ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(ada.post, "/v1/bases", json=LONG, headers={"prefer": "wait=60"})
        [solve] = soon(lambda: [s for s in lab.listed("solves") if s["state"] == "running"])
        assert (solve["owner"], solve["kind"], solve["callers"]) == ("ada", "solve", 1)
        assert solve["rep"] == "V⁹"
        assert solve["operations"] > 0
        shown = lab.command("solves")
        assert shown.code == 0, shown.err
        assert solve["id"] in shown.out
        ended = lab.command("solves", "--end", solve["id"])
        assert ended.out == f"{solve['id']} is ended\n"
        document = problem(waiting.result(timeout=300), 409, "ended-by-admin")
        assert document["detail"] == "an admin (boss) has ended the solve"
        assert lab.listed("solves") == []
        problem(ada.get(f"/v1/bases/{solve['key']}"), 409, "ended-by-admin")
        assert ada.post("/v1/bases", json=SO3).json()["rank"] == 6  # the worker is free
    [line] = lab.audited("solve ended")
    assert (line["by"], line["id"], line["owner"]) == ("boss", solve["id"], "ada")


def test_an_upload_is_ended_and_its_file_deleted(lab: Lab) -> None:
    headers = {
        "authorization": f"Bearer {lab.tokens['ada']}",
        "content-type": "application/zip",
        "content-length": "5000000",
    }
    hostile = Hostile(lab.service.address)
    connection = hostile.ask("POST", "/v1/datasets", headers, b"x" * 2_000_000)
    [upload] = soon(lambda: [u for u in lab.listed("uploads") if u["bytes"] == 2_000_000])
    assert (upload["owner"], upload["state"]) == ("ada", "receiving")
    assert upload["declared"] == 5_000_000
    assert len(list((lab.service.data / "uploads").iterdir())) == 1
    [same] = lab.command("uploads", "--json").json
    assert same["id"] == upload["id"]
    assert lab.command("uploads", "--end", upload["id"], "--json").json == {"ended": [upload["id"]]}
    assert status(connection) == 409
    connection.close()
    assert lab.listed("uploads") == []
    assert list((lab.service.data / "uploads").iterdir()) == []
    [line] = lab.audited("upload ended")
    assert (line["by"], line["owner"], line["bytes"]) == ("boss", "ada", 2_000_000)


@pytest.mark.parametrize("what", ["solves", "uploads"])
def test_only_what_is_in_flight_is_ended_and_only_by_admins(lab: Lab, what: str) -> None:
    with lab.client("boss") as boss:
        problem(boss.delete(f"/v1/admin/{what}/{NOBODY}"), 404, "not-found")
        problem(boss.delete(f"/v1/admin/{what}/a"), 422, "invalid-request")
    with lab.client("ada") as ada:
        problem(ada.get(f"/v1/admin/{what}"), 403, "forbidden")
        problem(ada.delete(f"/v1/admin/{what}/{NOBODY}"), 403, "forbidden")
    refused = lab.command(what, owner="ada")
    assert (refused.code, refused.out) == (2, "")
    assert "a key with the scope admin" in refused.err
    missing = lab.command(what, "--end", NOBODY)
    assert missing.code == 2
    assert "it may have ended" in missing.err


def test_jobs_are_listed_and_cancelled_without_the_service(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path / "data", jobs="0", workers="1")
    with service_process(service.data, service=service):
        answer = httpx.post(f"{service.address}/v1/jobs", json={"kind": "solve", **SO3}, timeout=60)
        job = answer.json()["id"]
    here = ("--data", service.data)
    [listed] = intertwine("admin", "jobs", "--json", *here).json
    assert (listed["id"], listed["state"], listed["host"]) == (job, "queued", None)
    assert listed["owner"] == "local"
    assert job in intertwine("admin", "jobs", *here).out
    ended = intertwine("admin", "jobs", "--end", job, *here)
    assert (ended.code, ended.out) == (0, f"{job} is cancelled\n")
    assert intertwine("admin", "jobs", "--json", *here).json == []
    missing = intertwine("admin", "jobs", "--end", "1234", *here)
    assert missing.code == 2
    assert "there is no job 1234" in missing.err
    last = json.loads((service.data / "audit.jsonl").read_text().splitlines()[-1])
    assert (last["message"], last["id"], last["owner"]) == ("job cancelled", job, "local")
    assert last["by"].endswith("with the command line")
