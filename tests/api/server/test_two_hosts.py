"""Two hosts of a service with their own disks share a PostgreSQL database, and some a far tier."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from helpers.databases import Databases
from helpers.example_stores import until
from helpers.example_tiers import s3_server
from helpers.hostile import hostile_to
from helpers.patience import quickest
from helpers.service import (
    SO3,
    ServiceProcess,
    followed,
    metric,
    service_process,
    stopped_workers,
)
from intertwine.invariants import solve
from intertwine.reps import basis_key, read_rep
from intertwine_api.storage.database import Database
from intertwine_api.storage.solve_leases import LEASE_SECONDS, Lease, SolveLeases
from intertwine_api.storage.tables import solving
from intertwine_api.work.host_coordination import ELSEWHERE, PATIENCE_SECONDS, HostCoordination
from intertwine_cache import Chain, Places, Store, open_store
from sqlalchemy import func, select

pytestmark = pytest.mark.slow  # real processes

#: Takes some seconds.
SLOW = {"rep": "V**8", "group": "SO(3)", "method": "krylov"}

Lab = Callable[..., tuple["Host", "Host"]]


class Host:
    """A service and its client."""

    def __init__(self, process: ServiceProcess, client: httpx.Client, database: str) -> None:
        self.process, self.client, self._database = process, client, database

    def ask(self, wait: int = 0) -> httpx.Response:
        """Ask for the slow basis."""
        return self.client.post("/v1/bases", json=SLOW, headers={"prefer": f"wait={wait}"})

    @contextmanager
    def solves(self) -> Iterator[httpx.Response]:
        """Ask for the slow basis; a worker solves until the end of the block, and then goes on.

        Yield the first response.
        """
        with stopped_workers(self.process.data):
            pending = self.ask()
            until(lambda: self.progress(pending)["state"] == "running")
            yield pending

    def progress(self, pending: httpx.Response) -> dict[str, Any]:
        """The document of the solve."""
        document: dict[str, Any] = self.client.get(pending.headers["location"]).json()
        return document

    def waits(self, pending: httpx.Response) -> bool:
        """Whether its solve waits for another host."""
        found = self.progress(pending)
        return (found["state"], found["progress"]["stage"]) == ("queued", ELSEWHERE)

    def outcomes(self, running: int = 0) -> dict[str, float]:
        """The number of solves by their outcome, when so many others run.

        A basis can be read from the store a moment before its solve is counted.
        """
        until(lambda: metric(self.client, "intertwine_queue") == running)
        counted = "solved", "joined"
        return {
            name: metric(self.client, "intertwine_solves_total", outcome=name) for name in counted
        }

    def leases(self) -> int:
        """The number of leases in the database."""
        with closing(Database(self._database)) as database, database.read() as connection:
            return connection.execute(select(func.count()).select_from(solving)).scalar_one()

    def crash(self) -> None:
        """Kill the service and its workers with SIGKILL, as if the host had lost its power."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            child.kill()
        self.process.kill()


@pytest.fixture
def lab(tmp_path: Path, server: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Starts two hosts of one service, with far tiers."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with ExitStack() as stack:
        url = stack.enter_context(server.empty("postgresql"))

        def start(*far: str, **settings: str) -> tuple[Host, Host]:
            settings = {"workers": "1", "jobs": "0", "database": url, **settings}
            settings["cache"] = ",".join([str(tmp_path / "unused"), *far])
            hosts = []
            for name in ("one", "other"):
                data = tmp_path / name
                if hosts:  # they are hosts of the same service
                    data.mkdir()
                    shutil.copy(hosts[0].process.data / "identity.json", data)
                process = stack.enter_context(service_process(data, **settings))
                client = httpx.Client(base_url=process.address, timeout=120)
                hosts.append(Host(process, stack.enter_context(client), url))
            return hosts[0], hosts[1]

        yield start
        for log in tmp_path.glob("o*.log"):
            assert "Traceback" not in log.read_text()


@contextmanager
def shared_tier(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a writable tier that both hosts can reach."""
    if kind == "folder":
        yield str(folder / "shared")
        return
    with s3_server(folder) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield "s3://lab/bases"


class TestASharedTier:
    @pytest.mark.parametrize("kind", ["folder", "s3"])
    def test_a_basis_that_both_are_asked_for_at_once_is_solved_once(
        self, lab: Lab, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with shared_tier(kind, tmp_path, monkeypatch) as address, ThreadPoolExecutor(4) as threads:
            hosts = lab(address)
            with stopped_workers(hosts[0].process.data), stopped_workers(hosts[1].process.data):
                asked = [threads.submit(host.ask, 60) for host in hosts * 2]
                for host in hosts:
                    until(lambda host=host: metric(host.client, "intertwine_queue") == 1)  # type: ignore[misc]
            answers = [
                followed(host.client, each.result())
                for host, each in zip(hosts * 2, asked, strict=True)
            ]
            assert {answer.status_code for answer in answers} == {200}
            assert len({answer.json()["digest"] for answer in answers}) == 1
            until(lambda: hosts[0].leases() == 0)  # rows that expire would stay
            outcomes = [host.outcomes() for host in hosts]
            assert sorted(each["solved"] for each in outcomes) == [0, 1]
            assert sorted(each["joined"] for each in outcomes) == [0, 1]
            files = [
                list((host.process.data / "cache" / "v1" / "blobs").glob("*/*")) for host in hosts
            ]
            assert [[file.name for file in own] for own in files] == [
                [answers[0].json()["digest"]]
            ] * 2

    def test_a_host_that_is_killed_is_replaced_soon(self, lab: Lab, tmp_path: Path) -> None:
        one, other = lab(str(tmp_path / "shared"))
        with one.solves():
            waiting = other.ask()
            until(lambda: other.waits(waiting))
            one.crash()
        begun = time.monotonic()
        with stopped_workers(other.process.data):
            until(lambda: other.progress(waiting).get("state") == "running")
        assert time.monotonic() - begun < LEASE_SECONDS + 30  # and not after a timeout of requests
        assert followed(other.client, waiting).status_code == 200
        assert other.outcomes() == {"solved": 1, "joined": 0}

    def test_a_solve_that_ends_without_a_result_is_replaced_at_once(
        self, lab: Lab, tmp_path: Path
    ) -> None:
        one, other = lab(str(tmp_path / "shared"))
        with one.solves() as first:
            waiting = other.ask()
            until(lambda: other.waits(waiting))
            for child in psutil.Process(one.process.pid).children(recursive=True):
                child.kill()
            # the lease of a service that lives does not expire
            with stopped_workers(other.process.data):
                until(lambda: other.progress(waiting).get("state") == "running")
        assert followed(one.client, first).json()["code"] == "worker-died"
        assert followed(other.client, waiting).status_code == 200

    def test_a_restart_of_the_database_costs_only_work(
        self, lab: Lab, server: Databases, tmp_path: Path
    ) -> None:
        one, other = lab(str(tmp_path / "shared"))
        with one.solves() as first:
            waiting = other.ask()
            until(lambda: other.waits(waiting))
            with server.stopped():
                time.sleep(3)
        ends = [followed(one.client, first), followed(other.client, waiting)]
        assert [answer.status_code for answer in ends] == [200, 200]
        assert [answer.json()["rank"] for answer in ends] == [91, 91]


def test_without_a_shared_tier_nobody_waits(lab: Lab, tmp_path: Path) -> None:
    one, other = lab()
    with one.solves() as first, other.solves() as second:
        assert one.progress(first).get("state") == "running"
    ends = [followed(one.client, first), followed(other.client, second)]
    assert [answer.status_code for answer in ends] == [200, 200]
    assert [host.outcomes()["solved"] for host in (one, other)] == [1, 1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of tests that share a service."""
    folder = tmp_path_factory.mktemp("lab")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        yield folder


@pytest.fixture(scope="module")
def own_url(databases: Databases) -> Iterator[str]:
    with databases.empty("postgresql") as url:
        yield url


@pytest.fixture(scope="module")
def host(folder: Path, own_url: str) -> Iterator[Host]:
    tiers = f"{folder / 'unused'},{folder / 'shared'}"
    with (
        service_process(
            folder / "data", workers="1", jobs="1", database=own_url, cache=tiers
        ) as process,
        httpx.Client(base_url=process.address, timeout=120) as client,
    ):
        yield Host(process, client, own_url)


@pytest.fixture
def elsewhere(host: Host, folder: Path, own_url: str) -> Iterator[SolveLeases]:
    """The leases of another host, which writes to the same folder."""
    database = Database(own_url)
    leases = SolveLeases(database, [str(folder / "shared")], [], seconds=120.0)
    yield leases
    leases.close()
    database.close()


class TestWaiting:
    """A service that waits for another host, which is the test itself."""

    def publish(self, folder: Path, rep: str) -> None:
        """Solve for a basis on the other host."""
        store = open_store(Places(folder / "near", (str(folder / "shared"),)))
        assert isinstance(store, Chain)
        solve(read_rep(rep, "SO(3)"), store=store)
        assert store.finish(60)

    def test_a_request_takes_the_result_and_needs_no_worker_meanwhile(
        self, host: Host, elsewhere: SolveLeases, folder: Path
    ) -> None:
        lease = elsewhere.take(basis_key(read_rep("V**3+3V", "SO(3)")))
        assert lease is not None
        asked = {"rep": "V**3+3V", "group": "SO(3)"}
        waiting = host.client.post("/v1/bases", json=asked, headers={"prefer": "wait=0"})
        until(lambda: host.waits(waiting))
        assert host.client.post("/v1/bases", json=SO3).status_code == 200  # by the one worker
        assert host.waits(waiting)
        before = host.outcomes(running=1)
        self.publish(folder, "V**3+3V")
        elsewhere.release(lease)
        assert followed(host.client, waiting).json()["rank"] == 1
        assert host.outcomes() == {**before, "joined": before["joined"] + 1}

    def test_a_job_takes_the_result(self, host: Host, elsewhere: SolveLeases, folder: Path) -> None:
        lease = elsewhere.take(basis_key(read_rep("V**3+4V", "SO(3)")))
        assert lease is not None
        sent = {"kind": "solve", "rep": "V**3+4V", "group": "SO(3)"}
        link = host.client.post("/v1/jobs", json=sent).json()["links"]["self"]

        def job() -> dict[str, Any]:
            document: dict[str, Any] = host.client.get(link).json()
            return document

        until(lambda: (job()["progress"] or {}).get("stage") == ELSEWHERE)
        self.publish(folder, "V**3+4V")
        elsewhere.release(lease)
        until(lambda: job()["state"] == "succeeded")
        assert job()["result"]["cached"] is True

    def test_of_a_caller_who_leaves_ends(self, host: Host, elsewhere: SolveLeases) -> None:
        assert elsewhere.take(basis_key(read_rep("V**3+5V", "SO(3)"))) is not None
        body = json.dumps({"rep": "V**3+5V", "group": "SO(3)"}).encode()
        headers = {
            **{"content-type": "application/json", "content-length": str(len(body))},
            "prefer": "wait=60",
        }
        before = metric(host.client, "intertwine_queue")
        with hostile_to(host.process.address) as hostile:
            hostile.ask("POST", "/v1/bases", headers, body)
            until(lambda: metric(host.client, "intertwine_queue") == before + 1)
        ended = "intertwine_solves_total"
        until(lambda: metric(host.client, ended, outcome="cancelled") == 1)

    def test_is_not_longer_than_a_solve_may_take(
        self, folder: Path, own_url: str, elsewhere: SolveLeases
    ) -> None:
        assert elsewhere.take(basis_key(read_rep("V**3+6V", "SO(3)"))) is not None
        key, said = basis_key(read_rep("V**3+6V", "SO(3)")), list[int]()
        with closing(Database(own_url)) as database:
            hosts = HostCoordination(SolveLeases(database, [], [str(folder / "shared")]))

            def waited() -> float:
                return asyncio.run(hosts.wait(key, 1.0, lambda: said.append(1)))

            assert 1.0 <= quickest(waited, 10) < 10
            assert said
            with hosts.turn(key, 1.0, lambda: said.append(2)) as lease:
                assert lease == Lease(key)
            assert said[-1] == 2

    def test_of_a_key_that_was_missing_a_moment_ago_asks_the_tiers_again(self, host: Host) -> None:
        asked = {"rep": "V**3+7V", "group": "SO(3)"}
        key = host.client.post("/v1/bases", json=asked).json()["key"]
        shared = Store(host.process.data.parent / "shared")
        until(lambda: shared.manifest(key) is not None)
        before = host.outcomes()
        assert Store(host.process.data / "cache").remove(key)
        assert followed(host.client, host.client.post("/v1/bases", json=asked)).json()["cached"]
        assert host.outcomes() == {**before, "joined": before["joined"] + 1}


def test_a_database_that_does_not_answer_stops_no_solve(caplog: pytest.LogCaptureFixture) -> None:
    async def solve_twenty(hosts: HostCoordination) -> None:
        for _ in range(20):
            await hosts.wait("a" * 64, 60.0, lambda: None)
            lease = await hosts.take("a" * 64)
            assert lease == Lease("a" * 64)
            hosts.release(lease)
        await hosts.end()

    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        url = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none"

        def seconds() -> float:
            caplog.clear()
            begun = time.monotonic()
            asyncio.run(solve_twenty(HostCoordination(SolveLeases(Database(url), ["a"], ["a"]))))
            return time.monotonic() - begun

        assert quickest(seconds, PATIENCE_SECONDS + 2, tries=3) < PATIENCE_SECONDS + 2
    assert [message.partition(":")[0] for message in caplog.messages] == [
        "solves are not coordinated with other hosts for 30 seconds, because the database is "
        "unavailable"
    ]
