"""The page of the system: what everyone sees, what admins see, and the page in an outage."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.driven_jobs import DrivenJobs
from helpers.example_lab import Lab, log_in
from helpers.idle_service import IdleService, idle_service
from intertwine_api.storage.database import Database
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work.gpu_usage import GpuUsage

HEADINGS = ["Recent errors", "Queue", "Hosts", "GPUs", "Solves", "Uploads", "Storage", "Versions"]
HEADINGS += ["Settings"]


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[IdleService]:
    with idle_service(tmp_path / "data") as idle:
        yield idle


@pytest.fixture
def root(idle: IdleService) -> str:
    return idle.service.keys.create("root", ["admin"])[1]


def words(text: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def headings(text: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", text)


def health(text: str) -> str:
    found = re.search(r'<dl id="health">(.*?)</dl>', text, re.DOTALL)
    assert found
    return words(found[1])


def errors(text: str) -> list[list[str]]:
    """The cells of the recent errors, without their times."""
    found = re.search(r'<table id="errors">.*?<tbody>(.*?)</tbody>', text, re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", found[1], re.DOTALL) if found else []
    return [[words(cell) for cell in re.findall(r"<t[dh].*?</t[dh]>", row)][1:] for row in rows]


class TestEveryone:
    def test_sees_its_health_and_nothing_else(self, idle: IdleService, root: str) -> None:
        user = idle.service.keys.create("ada", ["bases:read"])[1]
        for key, more in (
            ("", "Log in with a key that has the scope"),
            ("itw_no_key", "Log in with a key that has the scope"),
            ("x" * 1000, "Log in with a key that has the scope"),
            (user, "Your key has no scope admin"),
        ):
            page = idle.get("/system", key)
            assert page.status_code == 200
            assert headings(page.text) == ["Health", "Documents of the service"]
            assert more in words(page.text)
            assert str(idle.service.settings.home) not in page.text
            assert idle.service.capacity.host not in page.text

    def test_an_invalid_cookie_is_no_caller(self, idle: IdleService, root: str) -> None:
        name, sessions = idle.service.sessions.cookie, idle.service.sessions
        for value, is_admin in (("wrong", False), (sessions.encrypt(root), True)):
            page = idle.get("/system", cookie=f"{name}={value}")
            assert ("Hosts" in headings(page.text)) == is_admin

    def test_a_revoked_key_is_no_admin(self, idle: IdleService, root: str) -> None:
        idle.service.keys.revoke(root.split("_")[1])
        assert "Hosts" not in headings(idle.get("/system", root).text)

    def test_the_health_is_that_of_readyz(self, idle: IdleService) -> None:
        text = health(idle.get("/system").text)
        assert text.startswith("Workers not ready : the workers are starting Database ok Disks ok")
        idle.service.ready = True
        idle.app.state.system._checked["Workers"]._seconds = 0.0
        assert health(idle.get("/system").text).startswith("Workers ok Database ok Disks ok")
        assert idle.get("/readyz").status_code == 200


class TestAdmins:
    def test_see_every_part(self, lab: Lab, driven: DrivenJobs) -> None:
        job = driven.running(owner="ada")
        driven.queued()
        page = driven.client.get("/system", headers={"accept": "text/html"})
        driven.queue.cancel(job.id, "by a test")
        assert headings(page.text) == ["Health", *HEADINGS, "Documents of the service"]
        text = words(page.text)
        assert health(page.text).startswith("Workers ok Database ok Disks ok Datasets and weights ")
        assert "The oldest queued job has waited for" in text
        assert re.search(r"here – \d+ – \d{4}-", text)  # another host, which runs jobs
        assert "(this host) local 0 0 –" in text
        assert f"({lab.data})" in text
        assert re.search(r"Python 3\.\d+\.\d+ jax \d", text)
        assert "INTERTWINE_KEY_JOBS 100 Unfinished jobs of one owner." in text
        assert len(page.text) < 100_000

    def test_a_session_of_an_admin_sees_it_too(self, lab: Lab, driven: DrivenJobs) -> None:
        import httpx

        token = driven.keys["root"]["authorization"].removeprefix("Bearer ")
        with httpx.Client(base_url=lab.address, headers={"accept": "text/html"}) as visitor:
            assert "Hosts" not in headings(visitor.get("/lab/system").text)
            log_in(visitor, token)
            assert "Hosts" in headings(visitor.get("/lab/system").text)

    def test_a_password_of_the_database_is_not_shown(self, idle: IdleService, root: str) -> None:
        idle.service.database.url = Database("postgresql://lab:hunter2@db.example/lab").url
        text = idle.get("/system", root).text
        assert "lab:***@db.example" in text
        assert "hunter2" not in text

    def test_gpus(self, idle: IdleService, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
        assert "This host has no NVIDIA GPU" in words(idle.get("/system", root).text)
        usage = {"0": GpuUsage(2e9, 8e10, 0.25), "1": GpuUsage(None, None, None)}

        async def read() -> dict[str, GpuUsage]:
            return usage

        idle.app.state.system._parts["gpus"]._call = read
        idle.app.state.system._parts["gpus"]._seconds = 0.0
        text = words(idle.get("/system", root).text)
        assert "Device Memory used Memory Busy 0 2 GB 80 GB 25 % 1 – – –" in text


class TestRecentErrors:
    def test_have_the_id_that_the_response_had(self, idle: IdleService, root: str) -> None:
        @idle.app.get("/v1/fails")
        async def fails() -> None:
            raise RuntimeError("secret of the service")

        answers = [
            idle.get("/v1/fails", root),
            idle.get("/readyz", **{"x-request-id": "mine.1"}),
            idle.get("/nothing", root),  # an error of the caller
        ]
        assert [answer.status_code for answer in answers] == [500, 503, 404]
        failed = answers[0].headers["x-request-id"]
        text = idle.get("/system", root).text
        assert errors(text) == [
            ["mine.1", "GET /readyz", "/readyz", "503", "not-ready", "–"],
            [failed, "GET /v1/fails", "/v1/fails", "500", "RuntimeError", "root"],
        ]
        assert "journalctl -u intertwine | grep ID" in text
        assert "secret of the service" not in text

    def test_have_the_code_of_a_page_that_failed(self, idle: IdleService, root: str) -> None:
        idle.service.settings.queue = 0
        idle.service.keys.create("ada", ["bases:solve"])
        page = idle.get("/?rep=V**3&group=SO(3)", root)
        assert page.status_code == 503
        ((_, request, route, status, code, owner),) = errors(idle.get("/system", root).text)
        assert (request, route, status, code, owner) == ("GET /", "/", "503", "queue-full", "root")

    def test_may_be_too_long_to_have_a_code(self, idle: IdleService, root: str) -> None:
        @idle.app.get("/v1/fails")
        async def fails() -> None:
            raise ProblemError.of("solve", "x" * 200_000)

        answer = idle.get("/v1/fails", root)
        assert (answer.status_code, answer.json()["code"]) == (500, "solve")
        assert errors(idle.get("/system", root).text)[0][3:5] == ["500", "–"]

    def test_escape_what_a_path_has(self, idle: IdleService, root: str) -> None:
        @idle.app.get("/v1/fails/{name}")
        async def fails(name: str) -> None:
            raise RuntimeError

        idle.get("/v1/fails/<script>alert(1)<b>", root)
        text = idle.get("/system", root).text
        assert "/v1/fails/&lt;script&gt;" in text
        assert "<script>" not in text


class TestOutages:
    def test_of_the_database(self, idle: IdleService, root: str) -> None:
        """Its file is gone, and a folder is there instead: it cannot be opened."""
        before = idle.get("/system", root)
        assert "Hosts" in headings(before.text)
        system, access = idle.app.state.system, idle.service.access
        for call in (*system._checked.values(), *system._parts.values()):
            call._seconds = 0.0
        idle.service.database.close()
        file = Path(str(idle.service.database.url.database))
        for part in file.parent.glob(f"{file.name}*"):
            part.unlink()
        file.mkdir()
        for later in (0.0, 60.0):  # while the caller is cached, and afterwards
            access._clock = lambda later=later: time.monotonic() + later
            page = idle.get("/system", root)
            assert page.status_code == 200
            assert headings(page.text) == headings(before.text)
            text = words(page.text)
            assert "Database not ready : the database cannot be reached" in text
            assert "Access the database is unavailable" in text
            assert text.count("It cannot be shown: the database is unavailable") == 2
            assert "GB free of" in text
            assert "(this host) local – 0 –" in text
        access._clock = lambda: time.monotonic() + 1000
        page = idle.get("/system", root)
        assert page.status_code == 200
        assert headings(page.text) == ["Health", "Documents of the service"]
        assert "the database cannot be reached" in health(page.text)

    def test_of_the_bucket(self, tmp_path: Path, dead_bucket: str) -> None:
        with idle_service(tmp_path, objects=dead_bucket) as idle:
            text = words(idle.get("/system").text)
        reason = r"Datasets and weights not ready : (the bucket .* unavailable|it does not answer)"
        assert re.search(reason, text)
        assert "Database ok" in text
        assert f"Datasets and weights {dead_bucket}" in text

    def test_of_the_disk(
        self, idle: IdleService, root: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(folder: Path, *_: object) -> None:
            raise OSError(5, "Input/output error", str(folder))

        monkeypatch.setattr("intertwine_api.server.service.require_room", fails)
        monkeypatch.setattr("shutil.disk_usage", fails)
        monkeypatch.setattr(idle.service.store, "statistics", lambda: fails(Path()))
        page = idle.get("/system", root)
        assert page.status_code == 200
        text = words(page.text)
        assert "Disks not ready : the disk of the data cannot be written to" in text
        assert "Disks unknown: the disk cannot be read: Input/output error" in text
        assert "No job waits." in text
