"""Who may do what: keys, their scopes, and whose a job is."""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from helpers.example_jobs import soon
from helpers.example_models import small_model
from helpers.patience import PATIENCE, quickest, seconds_of
from helpers.service import SO3, UNKNOWN, ServiceProcess, problem, service_process
from intertwine.nn.saving import to_config
from intertwine_api.server.access import Access
from intertwine_api.server.app import create_app
from intertwine_api.storage import tables
from intertwine_api.storage.database import Database
from intertwine_api.storage.keys import Keys
from intertwine_api.wire.problems import ProblemError
from intertwine_api.wire.vocabulary import SCOPES, USER_SCOPES
from intertwine_api.work.settings import Settings
from safetensors.numpy import save
from sqlalchemy import insert

#: To solve is of no use to who may not read, and what is sent may have to be solved.
BASES = {"bases:read", "bases:solve", "bases:write"}
OPEN = ("/system", "/healthz", "/readyz", "/problems", "/docs", "/openapi.json")


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


class Lab:
    """A service with keys: one for each scope, and two for owners of jobs."""

    def __init__(self, service: ServiceProcess) -> None:
        self.service, self.database = service, Database(f"sqlite:///{service.data}/intertwine.db")
        self.database.migrate()
        self.keys = Keys(self.database)
        self.tokens = {scope: self.token(scope) for scope in SCOPES}

    def token(self, *scopes: str, owner: str = "somebody") -> str:
        return self.keys.create(owner, scopes)[1]

    def client(self, token: str) -> httpx.Client:
        return httpx.Client(base_url=self.service.address, headers=bearer(token), timeout=60)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    data = tmp_path_factory.mktemp("access") / "data"
    service = ServiceProcess(data, jobs="0", workers="1", event_heartbeat="0.5")
    lab = Lab(service)
    with service_process(data, service=service):
        yield lab
    lab.database.close()


class TestKeys:
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            bearer("itw_nothing_nothing"),
            bearer("itw_" + "x" * 5000),
            {"authorization": "Basic eDp5"},
            {"authorization": "Bearer"},
        ],
        ids=["none", "unknown", "too long", "another scheme", "no token"],
    )
    def test_requests_without_a_key_are_refused(self, lab: Lab, headers: dict[str, str]) -> None:
        for path in ("/v1/bases", "/v1/jobs", "/v1/nothing", f"/v1/blobs/{UNKNOWN}", "/metrics"):
            answer = httpx.get(lab.service.address + path, headers=headers, timeout=60)
            problem(answer, 401, "unauthorized")
            assert answer.headers["www-authenticate"].startswith('Bearer realm="intertwine"')

    def test_some_pages_need_no_key(self, lab: Lab) -> None:
        for path in OPEN:
            assert httpx.get(lab.service.address + path, timeout=60).status_code == 200

    def test_the_key_is_checked_before_the_body(self, lab: Lab) -> None:
        for path in ("/v1/bases", "/v1/datasets", "/v1/jobs"):
            answer = httpx.post(lab.service.address + path, content=b"{", timeout=60)
            problem(answer, 401, "unauthorized")

    def test_responses_have_the_remaining_quota(self, lab: Lab) -> None:
        with lab.client(lab.tokens["bases:read"]) as client:
            answer = client.get("/v1/bases")
        assert answer.status_code == 200
        assert answer.headers["ratelimit-policy"] == '"key";q=1000;w=2'
        assert answer.headers["ratelimit"].startswith('"key";r=')

    @pytest.mark.slow
    def test_a_revoked_key_is_refused_within_seconds(self, lab: Lab) -> None:
        def seconds() -> float:
            key, token = lab.keys.create("somebody", ["bases:read"])
            with lab.client(token) as client:
                assert client.get("/v1/bases").status_code == 200
                lab.keys.revoke(key.id)
                return seconds_of(lambda: soon(lambda: client.get("/v1/bases").status_code == 401))

        assert quickest(seconds, 5) < 5

    @pytest.mark.slow
    def test_event_streams_of_a_revoked_key_end(self, lab: Lab) -> None:
        def seconds() -> float:
            key, token = lab.keys.create("somebody", ["jobs:write", "bases:solve"])
            with lab.client(token) as client:
                links = client.post("/v1/jobs", json={"kind": "solve", **SO3}).json()["links"]
                begun = time.monotonic()
                with client.stream("GET", links["events"]) as stream:
                    lines = stream.iter_lines()
                    next(lines)
                    lab.keys.revoke(key.id)
                    assert "event: end" not in list(lines)
                taken = time.monotonic() - begun
            with lab.client(lab.tokens["admin"]) as admin:
                admin.post(links["cancel"])
            return taken

        assert quickest(seconds, 10) < 10


class TestScopes:
    @pytest.mark.parametrize(
        ("method", "path", "scopes"),
        [
            ("GET", "/v1/bases", BASES),
            ("GET", f"/v1/bases/{UNKNOWN}", BASES),
            ("GET", "/v1/groups", BASES),
            ("POST", "/v1/reps:parse", BASES),
            ("GET", f"/v1/blobs/{UNKNOWN}", {*BASES, "jobs:write", "models:forward"}),
            ("POST", "/v1/blobs", {"jobs:write"}),
            ("GET", "/v1/datasets", {"jobs:write"}),
            ("POST", "/v1/datasets", {"jobs:write"}),
            ("GET", "/v1/jobs", {"jobs:write"}),
            ("POST", "/v1/jobs", {"jobs:write"}),
            ("GET", "/v1/jobs/1234", {"jobs:write"}),
            ("GET", "/v1/jobs/1234/events", {"jobs:write"}),
            ("POST", "/v1/jobs/1234:cancel", {"jobs:write"}),
            ("POST", "/v1/models/nothing:forward", {"models:forward"}),
            ("GET", "/v1/models/nothing", {"models:forward", "jobs:write"}),
            ("DELETE", "/v1/models/nothing", {"jobs:write"}),
            ("GET", "/metrics", {"metrics:read"}),
            ("PUT", f"/v1/store/blobs/00/{UNKNOWN}", {"bases:write"}),
            ("PUT", f"/v1/store/manifests/00/{UNKNOWN}.json", {"bases:write"}),
            ("GET", "/v1/admin/solves", set()),
            ("DELETE", f"/v1/admin/uploads/{UNKNOWN[:16]}", set()),
        ],
        ids=lambda value: str(value) if isinstance(value, str) else "",
    )
    @pytest.mark.sampled(5)
    def test_each_endpoint_requires_its_scope(
        self, lab: Lab, method: str, path: str, scopes: set[str]
    ) -> None:
        for scope, token in lab.tokens.items():
            with lab.client(token) as client:
                status = client.request(method, path).status_code
            assert (status != 403) == (scope in {*scopes, "admin"}), (scope, status)

    def test_solving_requires_another_scope_than_reading(self, lab: Lab) -> None:
        with lab.client(lab.token("bases:read")) as reader:
            problem(reader.post("/v1/bases", json=SO3), 403, "forbidden")
            with lab.client(lab.token("bases:solve")) as solver:
                assert solver.post("/v1/bases", json=SO3).status_code == 200
            assert reader.post("/v1/bases", json=SO3).json()["cached"]

    def test_solve_jobs_require_the_solve_scope(self, lab: Lab) -> None:
        job = {"kind": "solve", **SO3}
        with lab.client(lab.token("jobs:write")) as client:
            problem(client.post("/v1/jobs", json=job), 403, "forbidden")
        with lab.client(lab.token("jobs:write", "bases:solve")) as client:
            links = client.post("/v1/jobs", json=job).json()["links"]
            assert client.post(links["cancel"]).json()["state"] == "cancelled"

    def test_the_priority_of_jobs_is_limited_by_the_key(self, lab: Lab) -> None:
        scopes = ("bases:solve", "jobs:write")
        solve = {"kind": "solve", "rep": "V**2", "group": "SO(3)"}

        def priority(token: str, **more: int) -> int | str:
            with lab.client(token) as client:
                answer = client.post("/v1/jobs", json={**solve, **more})
            if answer.status_code == 202:
                return int(answer.json()["priority"])
            detail = str(problem(answer, 403, "forbidden")["detail"])
            assert "ask the operator for a key with a larger one" in detail
            return detail

        usual = lab.token(*scopes)
        assert priority(usual) == priority(usual, priority=0) == 0
        assert priority(usual, priority=-5) == -5
        assert "at most 0, and this asks for 1:" in str(priority(usual, priority=1))
        urgent = lab.keys.create("urgent", scopes, priority=10)[1]
        assert priority(urgent, priority=10) == 10
        assert "at most 10, and this asks for 11:" in str(priority(urgent, priority=11))
        patient = lab.keys.create("patient", scopes, priority=-10)[1]
        assert priority(patient) == -10
        assert "at most -10, and this asks for 0:" in str(priority(patient, priority=0))
        assert priority(lab.token("admin"), priority=100) == 100

    def test_every_endpoint_under_v1_requires_a_scope(self, tmp_path: Path) -> None:
        """Whatever is added later: a key without the scope gets no further than that."""
        document = create_app(Settings(data=tmp_path)).openapi()
        guarded = {path: ops for path, ops in document["paths"].items() if path.startswith("/v1/")}
        assert len(guarded) > 20
        for path, operations in guarded.items():
            for operation in operations.values():
                assert operation["security"] == [{"key": []}], path
                assert {"401", "403", "429"} <= set(operation["responses"]), path


class TestOwners:
    def test_jobs_of_other_owners_are_not_found(self, lab: Lab) -> None:
        scopes = ("jobs:write", "bases:solve")
        alice, bob = (lab.token(*scopes, owner=name) for name in ("alice", "bob"))
        with (
            lab.client(alice) as hers,
            lab.client(bob) as his,
            lab.client(lab.tokens["admin"]) as admin,
        ):
            job: dict[str, Any] = hers.post("/v1/jobs", json={"kind": "solve", **SO3}).json()
            here = job["links"]["self"]
            assert job["owner"] == "alice"
            for method, path in (
                *(("GET", here + more) for more in ("", "/events", "/metrics", "/logs")),
                *(("POST", f"{here}:{action}") for action in ("cancel", "retry")),
                ("DELETE", here),
            ):
                problem(his.request(method, path), 404, "not-found")
            assert his.get("/v1/jobs").json()["data"] == []
            problem(his.get("/v1/jobs", params={"owner": "alice"}), 403, "forbidden")
            assert [j["id"] for j in hers.get("/v1/jobs").json()["data"]] == [job["id"]]
            assert admin.get(here).json()["id"] == job["id"]
            found = admin.get("/v1/jobs", params={"owner": "alice"}).json()["data"]
            assert [j["id"] for j in found] == [job["id"]]
            assert admin.post(f"{here}:cancel").json()["state"] == "cancelled"
            assert hers.get(here).json()["reason"] == "cancelled by somebody"


class TestBlobs:
    """Who may read the bytes of bases, datasets and weights, by digest."""

    def test_bases_take_the_scope_to_read_bases(self, lab: Lab) -> None:
        with lab.client(lab.tokens["bases:solve"]) as client:
            link = client.post("/v1/bases", json=SO3).json()["links"]["blob"]
        for scope in SCOPES:
            with lab.client(lab.tokens[scope]) as client:
                for method in ("GET", "HEAD"):
                    status = client.request(method, link).status_code
                    assert (status == 200) == (scope in {*BASES, "admin"}), (scope, status)

    def test_datasets_are_readable_by_their_owners_with_the_scope(self, lab: Lab) -> None:
        file = io.BytesIO()
        np.savez(file, X=np.ones((4, 3)), Y=np.ones((4, 1)))
        alice = lab.token("jobs:write", owner="alice")
        with lab.client(alice) as hers:
            zipped = {"content-type": "application/zip"}
            answer = hers.post("/v1/datasets", content=file.getvalue(), headers=zipped)
            link = answer.json()["links"]["blob"]
        assert statuses(lab, link, "alice", "jobs:write") == [200]
        others = [scope for scope in USER_SCOPES if scope != "jobs:write"]
        assert statuses(lab, link, "alice", *others) == [404] * len(others)
        assert set(statuses(lab, link, "bob", *USER_SCOPES)) == {404}
        assert statuses(lab, link, "boss", "admin") == [200]

    def test_weights_are_readable_by_who_may_call_the_model(self, lab: Lab) -> None:
        content = save({"w": np.arange(3.0)})
        sent = {"content-type": "application/vnd.safetensors"}
        config, blob = to_config(small_model())
        with lab.client(lab.token("jobs:write", owner="alice")) as hers:
            link = hers.post("/v1/blobs", content=content, headers=sent).json()["links"]["self"]
            digest = hers.post("/v1/blobs", content=blob, headers=sent).json()["digest"]
            assert statuses(lab, link, "boss", "admin") == [200]
            own = dict(zip(USER_SCOPES, statuses(lab, link, "alice", *USER_SCOPES), strict=True))
            assert {scope for scope, status in own.items() if status == 200} == {"jobs:write"}
            assert set(statuses(lab, link, "bob", *USER_SCOPES)) == {404}  # no model has them
            link = f"/v1/blobs/{digest}"
            saved = {"config": config, "weights": digest}
            job = {"kind": "train", "dataset": {"name": "Inertia"}, "model": saved}
            with lab.client(lab.token("jobs:write", owner="bob")) as his:
                problem(his.post("/v1/jobs", json=job), 404, "not-found")  # reads them neither
            assert hers.post("/v1/jobs", json=job).status_code == 202
        assert statuses(lab, link, "alice", "jobs:write", "models:forward") == [200, 404]
        assert set(statuses(lab, link, "bob", *USER_SCOPES)) == {404}
        publish(lab, digest)
        with lab.client(lab.token("jobs:write", owner="bob")) as his:
            assert his.post("/v1/jobs", json=job).status_code == 202
        allowed = ("jobs:write", "models:forward", "admin")
        found = dict(zip(SCOPES, statuses(lab, link, "bob", *SCOPES), strict=True))
        assert {scope for scope, status in found.items() if status == 200} == set(allowed)
        assert (found["bases:read"], found["metrics:read"]) == (404, 403)


def statuses(lab: Lab, link: str, owner: str, *scopes: str) -> list[int]:
    """The status of a blob for keys of an owner with one scope each."""
    found = []
    for scope in scopes:
        with lab.client(lab.token(scope, owner=owner)) as client:
            found.append(client.get(link).status_code)
    return found


def publish(lab: Lab, digest: str) -> None:
    """Make a stored file the weights of a model."""
    with lab.database.write() as connection:
        model = {"name": "shared", "owner": "alice", "created": 0.0, "last_version": 1}
        connection.execute(insert(tables.models).values(model))
        version = {
            **{"model": "shared", "version": 1, "config": {}, "weights": digest, "bytes": 1},
            **{"metrics": {}, "is_equivariant": True, "provenance": {}, "created": 0.0},
        }
        connection.execute(insert(tables.versions).values(version))


class TestAccess:
    """The cache of callers, without a server."""

    @pytest.fixture
    def keys(self, tmp_path: Path) -> Iterator[Keys]:
        database = Database(f"sqlite:///{tmp_path}/keys.db")
        database.migrate()
        yield (keys := Keys(database))
        keys.close()
        database.close()

    def test_without_keys_every_caller_is_local(self, keys: Keys) -> None:
        access = Access(keys, open_to_all=True)
        caller = asyncio.run(access.caller(None))
        assert (caller.owner, caller.key_id, caller.is_admin) == ("local", None, True)

    def test_open_access_must_be_allowed(self, keys: Keys) -> None:
        access = Access(keys, open_to_all=False)
        with pytest.raises(ProblemError, match="send a key"):
            asyncio.run(access.caller(None))

    def test_revoking_the_last_key_does_not_open_the_service(self, keys: Keys) -> None:
        key, token = keys.create("somebody", ["admin"])
        keys.revoke(key.id)
        access = Access(keys, open_to_all=True)
        for authorization in (None, f"Bearer {token}"):
            with pytest.raises(ProblemError):
                asyncio.run(access.caller(authorization))

    def test_a_page_for_everyone_knows_its_caller_and_waits_for_none(
        self, keys: Keys, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now, locked = 0.0, threading.Event()
        _, token = keys.create("somebody", ["admin"])
        sent = f"Bearer {token}"

        def waits(_: str) -> None:
            locked.wait(PATIENCE)

        async def story() -> None:
            nonlocal now
            access = Access(keys, open_to_all=False, clock=lambda: now)

            async def owner(authorization: str | None) -> str | None:
                caller = await access.known_caller(authorization)
                return None if caller is None else caller.owner

            for unknown in (None, "Bearer itw_no_key", f"Bearer {'x' * 1000}", "Basic eDp5"):
                assert await owner(unknown) is None
            assert await owner(sent) == "somebody"
            monkeypatch.setattr(keys, "find", waits)
            monkeypatch.setattr("intertwine_api.server.access._PATIENCE", 0.05)
            for at, known in ((100.0, "somebody"), (890.0, "somebody"), (904.0, None)):
                now = at
                assert await owner(sent) == known
            locked.set()

        asyncio.run(story())

    def test_callers_are_cached_for_some_seconds(self, keys: Keys) -> None:
        now = 0.0
        access = Access(keys, open_to_all=True, seconds=3.0, clock=lambda: now)
        key, token = keys.create("somebody", ["bases:read"])
        asyncio.run(access.caller(f"Bearer {token}"))
        keys.revoke(key.id)
        now = 2.9
        assert asyncio.run(access.caller(f"bearer {token}")).owner == "somebody"
        now = 3.1
        with pytest.raises(ProblemError, match="revoked"):
            asyncio.run(access.caller(f"Bearer {token}"))
