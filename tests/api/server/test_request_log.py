"""Request ids, the access log, the audit log and the metrics, of a real service."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from helpers.example_jobs import soon
from helpers.patience import PATIENCE
from helpers.program import called, intertwine
from helpers.service import SO3, UNKNOWN, ServiceProcess, metric, problem, service_process
from intertwine_api.server.app import create_app
from intertwine_api.storage.database import Database
from intertwine_api.storage.keys import Keys
from intertwine_api.work.settings import Settings

SOLVE = {"kind": "solve", **SO3}


class Logged:
    """A service with JSON lines, a key of alice's, and what it has logged."""

    def __init__(self, service: ServiceProcess, token: str) -> None:
        headers = {"authorization": f"Bearer {token}"}
        self.client = httpx.Client(base_url=service.address, headers=headers, timeout=60)
        self.service, self.token, self.key_id = service, token, token.split("_")[1]

    def lines(self, logger: str, request_id: str) -> list[dict[str, Any]]:
        """The lines of a logger on a request; waits for the first."""
        give_up = time.monotonic() + PATIENCE
        while True:
            text = self.log()
            found = [json.loads(line) for line in text.splitlines() if f'"{request_id}"' in line]
            found = [line for line in found if line["logger"] == f"intertwine.{logger}"]
            if found or time.monotonic() > give_up:
                return found
            time.sleep(0.02)

    def log(self) -> str:
        return (self.service.data.parent / f"{self.service.data.name}.log").read_text()

    def audited(self) -> list[dict[str, Any]]:
        """The records in the file of the data folder."""
        text = (self.service.data / "audit.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    data = tmp_path_factory.mktemp("logged") / "data"
    token = called("keys", "create", "alice", "--data", data).out.strip()
    settings = {"log_format": "json", "access_log": "true", "jobs": "0", "workers": "1"}
    with service_process(data, **settings) as service:
        lab = Logged(service, token)
        yield lab
        lab.client.close()


class TestRequestIds:
    def test_a_valid_id_is_kept_and_another_is_replaced(self, lab: Logged) -> None:
        for own in ("a", "0" * 64, "7f.3-b_C"):
            answer = lab.client.get("/v1/groups", headers={"x-request-id": own})
            assert answer.headers["x-request-id"] == own
        for own in ("", "0" * 65, "a b", 'a"', "a\x80", "ü".encode().decode("latin-1"), "a\tb"):
            answer = lab.client.get("/healthz", headers={"x-request-id": own.encode("latin-1")})
            assert len(answer.headers["x-request-id"]) == 32
            int(answer.headers["x-request-id"], 16)
        made = {lab.client.get("/healthz").headers["x-request-id"] for _ in range(20)}
        assert len(made) == 20

    @pytest.mark.parametrize(
        ("method", "path", "more", "status", "code"),
        [
            ("GET", "/v1/groups", {"authorization": ""}, 401, "unauthorized"),
            ("GET", "/metrics", {}, 403, "forbidden"),
            ("GET", f"/v1/bases/{UNKNOWN}", {}, 404, "not-found"),
            ("GET", "/nothing", {}, 404, "not-found"),
            ("POST", "/healthz", {}, 405, "method-not-allowed"),
            ("GET", "/v1/jobs?limit=0", {}, 422, "invalid-request"),
            ("GET", "/v1/groups", {"origin": "https://evil.example"}, 403, "origin-not-allowed"),
            ("POST", "/v1/bases", {"content-type": "text/plain"}, 415, "unsupported-media-type"),
        ],
    )
    def test_every_problem_has_it(
        self, lab: Logged, method: str, path: str, more: dict[str, str], status: int, code: str
    ) -> None:
        headers = {"x-request-id": "mine", **more}
        content = b"{}" if "content-type" in more else None
        answer = lab.client.request(method, path, headers=headers, content=content)
        document = problem(answer, status, code)
        assert document["request_id"] == "mine"

    def test_an_unexpected_error_has_it_too(self, tmp_path: Path) -> None:
        """The app in this process, with a route that fails."""
        app = create_app(Settings(data=tmp_path, workers=1, jobs=0))

        @app.get("/fails")
        async def fails() -> None:
            raise RuntimeError("secret of the service")

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost"
            ) as client:
                return await client.get("/fails", headers={"x-request-id": "mine"})

        answer = asyncio.run(ask())
        document = problem(answer, 500, "internal")
        assert (document["request_id"], answer.headers["x-request-id"]) == ("mine", "mine")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "secret" not in answer.text

    def test_concurrent_requests_do_not_share_it(self, lab: Logged) -> None:
        async def ask(client: httpx.AsyncClient, number: int) -> bool:
            own = f"number-{number}"
            answer = await client.get(f"/v1/bases/{UNKNOWN}", headers={"x-request-id": own})
            return bool(answer.json()["request_id"] == own == answer.headers["x-request-id"])

        async def ask_all() -> list[bool]:
            headers, url = dict(lab.client.headers), lab.service.address
            async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
                return await asyncio.gather(*(ask(client, number) for number in range(50)))

        assert all(asyncio.run(ask_all()))


class TestAccessLog:
    def test_a_request_is_one_line(self, lab: Logged) -> None:
        answer = lab.client.get(f"/v1/bases/{UNKNOWN}", headers={"x-request-id": "one-line"})
        (line,) = lab.lines("access", "one-line")
        assert 0 < line.pop("ms") < 60_000
        assert line.pop("time").endswith("Z")
        assert line == {
            **{"level": "info", "logger": "intertwine.access", "message": "request"},
            **{"request_id": "one-line", "method": "GET", "route": "/v1/bases/{key}"},
            **{"path": f"/v1/bases/{UNKNOWN}", "status": 404, "received": 0},
            **{"sent": len(answer.content), "owner": "alice", "key": lab.key_id},
            "client": "127.0.0.1",
        }

    def test_bodies_are_counted_and_heads_are_heads(self, lab: Logged) -> None:
        body = json.dumps(SO3).encode()
        headers = {"content-type": "application/json", "x-request-id": "a-body"}
        lab.client.post("/v1/reps:parse", content=body, headers=headers)
        assert lab.lines("access", "a-body")[0]["received"] == len(body)
        lab.client.head("/v1/groups", headers={"x-request-id": "a-head"})
        (line,) = lab.lines("access", "a-head")
        assert (line["method"], line["route"]) == ("HEAD", "/v1/groups")

    def test_no_secret_is_logged(self, lab: Logged) -> None:
        headers = {"x-request-id": "secrets", "cookie": "hidden-cookie"}
        lab.client.get("/v1/jobs?label=hidden-query&key=itw_hidden", headers=headers)
        wrong = {**headers, "authorization": "Bearer itw_hidden_token", "x-request-id": "wrong"}
        lab.client.get("/v1/jobs", headers=wrong)
        assert lab.lines("access", "secrets")[0]["path"] == "/v1/jobs"
        assert lab.lines("access", "wrong")[0]["owner"] is None
        text = lab.log()
        assert "hidden" not in text
        assert lab.token.split("_", 2)[2] not in text

    def test_a_line_cannot_be_forged(self, lab: Logged) -> None:
        lab.client.get("/v1/a%0A%7B%22forged%22:1%7D%1b", headers={"x-request-id": "forged-one"})
        (line,) = lab.lines("access", "forged-one")
        assert line["path"] == '/v1/a\n{"forged":1}\x1b'
        for text in lab.log().splitlines():
            assert "logger" in json.loads(text)

    def test_without_the_setting_there_is_none(self, client: httpx.Client) -> None:
        assert client.get("/v1/groups").headers["x-request-id"]


class TestAudit:
    def test_who_did_what_is_logged(self, lab: Logged) -> None:
        file = io.BytesIO()
        np.savez(file, X=np.ones((4, 3)), Y=np.ones((4, 1)))
        sent = {"content-type": "application/zip", "x-request-id": "upload"}
        dataset = lab.client.post("/v1/datasets?name=mine", content=file.getvalue(), headers=sent)
        lab.client.delete(dataset.json()["links"]["self"], headers={"x-request-id": "remove"})
        job = lab.client.post("/v1/jobs", json=SOLVE, headers={"x-request-id": "submit"}).json()
        here = job["links"]["self"]
        lab.client.post(f"{here}:cancel", headers={"x-request-id": "cancel"})
        lab.client.post(f"{here}:retry", headers={"x-request-id": "retry"})
        lab.client.post(f"{here}:cancel")
        lab.client.delete(here, headers={"x-request-id": "delete"})
        expected = {
            "upload": ("dataset created", dataset.json()["id"]),
            "remove": ("dataset deleted", dataset.json()["id"]),
            "submit": ("job created", job["id"]),
            "cancel": ("job cancelled", job["id"]),
            "retry": ("job retried", job["id"]),
            "delete": ("job deleted", job["id"]),
        }
        in_file = {line["request_id"]: line for line in lab.audited() if "request_id" in line}
        for request, (message, subject) in expected.items():
            (line,) = lab.lines("audit", request)
            assert (line["message"], line["id"]) == (message, subject)
            assert (line["by"], line["key"]) == ("alice", lab.key_id)
            assert in_file[request] == line

    def test_refused_actions_are_not_logged_as_done(self, lab: Logged) -> None:
        before = len(lab.audited())
        lab.client.post("/v1/jobs/nothing:cancel")
        lab.client.delete(f"/v1/datasets/{UNKNOWN}")
        lab.client.post("/v1/jobs", json={"kind": "solve", "rep": "V+"})
        assert len(lab.audited()) == before

    def test_keys_made_by_commands_are_in_the_file(self, lab: Logged) -> None:
        data = lab.service.data
        made = intertwine("keys", "create", "bob", "--scope", "metrics:read", "--data", data)
        key = made.out.split("_")[1]
        assert intertwine("keys", "revoke", key, "--data", data).code == 0
        created, revoked = lab.audited()[-2:]
        assert (created["message"], created["id"]) == ("key created", key)
        assert (created["owner"], created["scopes"]) == ("bob", ["metrics:read"])
        assert created["by"].endswith(" with the command line")
        assert (revoked["message"], revoked["id"]) == ("key revoked", key)
        assert "itw_" not in (data / "audit.jsonl").read_text()
        assert lab.audited()[0]["message"] == "key created"  # that of alice

    def test_a_rotated_file_begins_anew(self, lab: Logged) -> None:
        file = lab.service.data / "audit.jsonl"
        lines = lab.audited()
        file.rename(file.with_suffix(".1"))
        job = lab.client.post("/v1/jobs", json=SOLVE).json()
        (line,) = lab.audited()
        assert line["id"] == job["id"]
        file.write_text("".join(f"{json.dumps(line)}\n" for line in (*lines, line)))


class TestMetrics:
    def test_they_have_a_scope_of_their_own(self, lab: Logged) -> None:
        database = Database(f"sqlite:///{lab.service.data}/intertwine.db")
        token = Keys(database).create("prometheus", ["metrics:read"])[1]
        database.close()
        headers = {"authorization": f"Bearer {token}"}
        with httpx.Client(base_url=lab.service.address, headers=headers, timeout=60) as client:
            before = metric(client, "intertwine_auth_failures_total")
            httpx.get(f"{lab.service.address}/v1/groups", timeout=60)
            # a request is counted after its response
            soon(lambda: metric(client, "intertwine_auth_failures_total") == before + 1)
            lab.client.get(f"/v1/bases/{UNKNOWN}")
            route = {"route": "/v1/bases/{key}"}
            soon(lambda: metric(client, "intertwine_request_seconds_count", **route) >= 1)
            assert metric(client, "intertwine_requests_total", **route, status="404") >= 1
            for folder in ("data", "store"):
                assert metric(client, "intertwine_disk_free_bytes", folder=folder) > 0
            file = io.BytesIO()
            np.savez(file, X=np.ones((5, 3)), Y=np.ones((5, 1)))
            sent = {"content-type": "application/zip"}
            made = lab.client.post("/v1/datasets", content=file.getvalue(), headers=sent).json()
            owned = {"kind": "datasets", "owner": "alice"}
            assert metric(client, "intertwine_owner_bytes", **owned) == made["bytes"]
            lab.client.post("/v1/jobs", json=SOLVE)
            time.sleep(0.1)
            assert metric(client, "intertwine_jobs_oldest_queued_seconds") >= 0.1
            problem(client.get("/v1/groups"), 403, "forbidden")
