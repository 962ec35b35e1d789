"""Clients that do not read, send only half, or say nothing, against a real server."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from helpers.example_stores import until
from helpers.hostile import PeakMemory, head, hostile_to, is_open, status
from helpers.patience import PATIENCE, in_one_of
from helpers.service import ServiceProcess, followed, service_process
from intertwine_api.server.connections import room_for_connections
from intertwine_api.storage.database import Database
from intertwine_api.storage.keys import Keys
from intertwine_api.wire.safetensors_body import SAFETENSORS
from safetensors.numpy import save

MB = 10**6
STALL = 3.0  # seconds
BINARY = {"content-type": SAFETENSORS}
JSON, ZIP = {"content-type": "application/json"}, {"content-type": "application/zip"}
#: A basis of 121 MB as a matrix, and of a few kB as it is stored.
LARGE = {"rep": "(36V)*(36V)", "group": "SO(3)"}


def is_alive(address: str) -> bool:
    return httpx.get(f"{address}/healthz", timeout=60).status_code == 200


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    data = tmp_path_factory.mktemp("connections") / "data"
    with service_process(data, jobs="0", workers="1", stall_seconds=str(STALL)) as service:
        yield service


@pytest.fixture(scope="module")
def matrix(service: ServiceProcess) -> str:
    """The path of a dense matrix of 121 MB."""
    with httpx.Client(base_url=service.address, timeout=120) as client:
        manifest = followed(client, client.post("/v1/bases", json=LARGE)).json()
    assert manifest["size"] * manifest["rank"] * 8 > 120 * MB
    path: str = manifest["links"]["dense"]
    return path


@pytest.mark.slow
class TestSlowReaders:
    def test_a_matrix_is_sent_in_pieces_that_are_the_matrix(
        self, service: ServiceProcess, matrix: str
    ) -> None:
        peak = PeakMemory(service.pid)
        found = np.load(io.BytesIO(httpx.get(service.address + matrix, timeout=60).content))
        peak.watch(0.1)
        assert peak.growth < 40 * MB
        rng = np.random.default_rng(0)
        rows = rng.choice(found.shape[0], 50, replace=False)
        np.testing.assert_allclose(found.T @ found, np.eye(found.shape[1]), atol=1e-10)
        assert np.abs(found[rows]).max() > 0

    def test_those_that_read_nothing_take_a_few_megabytes_each(
        self, service: ServiceProcess, matrix: str
    ) -> None:
        peak = PeakMemory(service.pid)
        with hostile_to(service.address) as hostile:
            for _ in range(14):
                hostile.ask("GET", matrix)
            peak.watch(2)
            assert is_alive(service.address)
        assert peak.growth < 14 * 6 * MB  # it was 1,900 MB

    def test_they_are_ended_after_a_time(self, service: ServiceProcess, matrix: str) -> None:
        def are_ended_in_time() -> bool:
            with hostile_to(service.address) as hostile:
                connections = [hostile.ask("GET", matrix) for _ in range(3)]
                begun = time.monotonic()
                time.sleep(STALL / 2)
                # an open connection is not read here, which would be progress
                are_open = open_sockets(service, connections) == 3
                until(lambda: open_sockets(service, connections) == 0)
                return are_open and time.monotonic() - begun < STALL * 1.5 + 5

        assert in_one_of([are_ended_in_time] * 5)

    def test_a_slow_reader_that_goes_on_reading_gets_all(
        self, service: ServiceProcess, matrix: str
    ) -> None:
        def is_served() -> bool:  # unless this reader is stopped for longer than it may be
            with hostile_to(service.address) as hostile:
                connection = hostile.ask("GET", matrix)
                begun = time.monotonic()
                while time.monotonic() - begun < 2.5 * STALL:  # 100 kB a second
                    left = 50_000
                    while left:
                        received = len(connection.recv(left))
                        if not received:
                            return False
                        left -= received
                    time.sleep(0.5)
                return open_sockets(service, [connection]) == 1

        assert in_one_of([is_served] * 5)


def open_sockets(service: ServiceProcess, connections: list[socket.socket]) -> int:
    """How many of the connections the service still has."""
    ports = {connection.getsockname()[1] for connection in connections}
    found = psutil.Process(service.pid).net_connections("tcp")
    return sum(each.raddr != () and each.raddr.port in ports for each in found)


class TestReplies:
    """Large responses are bounded in bytes until they are read."""

    @pytest.fixture
    def keyed(
        self, tmp_path: Path
    ) -> Iterator[tuple[ServiceProcess, Callable[[str], dict[str, str]]]]:
        data = tmp_path / "data"
        settings = {"key_replies_bytes": str(2 * 2**22), "replies_bytes": str(3 * 2**22)}
        service = ServiceProcess(data, jobs="0", workers="1", **settings)
        database = Database(f"sqlite:///{data}/intertwine.db")
        database.migrate()
        scopes = ("bases:solve", "jobs:write")
        tokens = {who: Keys(database).create(who, scopes)[1] for who in ("ada", "bob")}
        database.close()
        with service_process(data, service=service):
            yield service, lambda who: {"authorization": f"Bearer {tokens[who]}"}

    @pytest.mark.parametrize("kind", ["dense", "blob"])
    def test_a_key_and_all_keys_have_a_limit(
        self, keyed: tuple[ServiceProcess, Callable[[str], dict[str, str]]], kind: str
    ) -> None:
        service, key = keyed
        with httpx.Client(base_url=service.address, headers=key("ada"), timeout=120) as client:
            if kind == "dense":
                found = followed(client, client.post("/v1/bases", json=LARGE))
                link = found.json()["links"]["dense"]
            else:
                weights = save({"w": np.zeros(10**6)})
                for who in ("ada", "bob"):  # only who has uploaded them may read them
                    headers = {**BINARY, **key(who)}
                    sent = client.post("/v1/blobs", content=weights, headers=headers)
                link = sent.json()["links"]["self"]
        with hostile_to(service.address) as hostile:
            streams = {"dense": 2, "blob": 1}[kind]  # of 2 MB, and of 4 MB
            for who, count in (("ada", 2 * streams), ("bob", streams)):
                held = [hostile.ask("GET", link, key(who)) for _ in range(count)]
                assert [status(each) for each in held] == [200] * count
            for who in ("ada", "bob"):
                answer = httpx.get(service.address + link, headers=key(who), timeout=60)
                assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
            small = httpx.get(f"{service.address}/v1/groups", headers=key("bob"), timeout=60)
            assert small.status_code == 200
        until(
            lambda: (
                httpx.get(service.address + link, headers=key("bob"), timeout=60).status_code == 200
            ),
            20,
        )


@pytest.mark.slow
class TestStalledRequests:
    @pytest.mark.parametrize(
        "sent",
        [
            b"",
            b"GET /healthz HT",
            head("POST", "/v1/bases", {**JSON, "content-length": "1000"}) + b"{",
            head("POST", "/v1/bases", {**JSON, "transfer-encoding": "chunked"}) + b"5\r\nab",
            head("GET", "/healthz", {"content-length": "1000"}) + b"{",
            head("POST", "/v1/datasets", {**ZIP, "content-length": "1000"}) + b"PK",
        ],
        ids=[
            "nothing",
            "half a head",
            "half a body",
            "half a chunk",
            "an unread body",
            "an upload",
        ],
    )
    def test_they_are_ended(self, service: ServiceProcess, sent: bytes) -> None:
        def is_ended_in_time() -> bool:
            with hostile_to(service.address) as hostile:
                connection = hostile.connect()
                connection.sendall(sent)
                begun = time.monotonic()
                time.sleep(STALL / 2)
                was_open = is_open(connection)
                until(lambda: not is_open(connection))
                return was_open and time.monotonic() - begun < STALL * 1.5 + 5

        assert in_one_of([is_ended_in_time] * 5)

    def test_a_head_that_trickles_is_ended_too(self, service: ServiceProcess) -> None:
        def is_ended_in_time() -> bool:
            with hostile_to(service.address) as hostile:
                connection = hostile.connect()
                connection.sendall(b"GET /healthz HTTP/1.1\r\n")
                begun = time.monotonic()
                while is_open(connection) and time.monotonic() - begun < PATIENCE:
                    with suppress(ConnectionError):  # it is ended just then
                        connection.sendall(b"x: y\r\n")
                    time.sleep(0.2)
                return time.monotonic() - begun < STALL + 5

        assert in_one_of([is_ended_in_time] * 3)

    def test_a_request_that_waits_for_the_service_is_not_stalled(
        self, service: ServiceProcess
    ) -> None:
        waited = {"prefer": f"wait={3 * STALL:.0f}"}
        slow = {"rep": "V**9", "group": "SO(3)", "method": "krylov"}
        begun = time.monotonic()
        answer = httpx.post(f"{service.address}/v1/bases", json=slow, headers=waited, timeout=60)
        assert answer.status_code in (200, 202)
        assert time.monotonic() - begun > STALL or answer.status_code == 200


@pytest.mark.slow
class TestBodiesOfRefusedRequests:
    def test_they_are_read_slowly_and_the_client_gets_its_response(
        self, service: ServiceProcess
    ) -> None:
        """64 MB in a second for all: no faster than the upload of one owner."""
        sent = bytes(48 * MB)

        def ask(_: int) -> int:
            refused = f"{service.address}/v1/datasets?group=%7B"
            return httpx.post(refused, content=sent, headers=ZIP, timeout=60).status_code

        begun = time.monotonic()
        with ThreadPoolExecutor(4) as clients:
            assert list(clients.map(ask, range(4))) == [422] * 4
        assert time.monotonic() - begun > 2
        assert is_alive(service.address)

    def test_so_are_those_that_are_too_large(self, service: ServiceProcess) -> None:
        begun = time.monotonic()
        refused = httpx.post(
            f"{service.address}/v1/bases", content=bytes(48 * MB), headers=JSON, timeout=60
        )
        assert refused.json()["code"] == "body-too-large"
        assert time.monotonic() - begun > 0.6


@pytest.mark.slow
class TestTooMany:
    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[ServiceProcess]:
        """A service that may open 256 files, and waits for its clients for as long as they like."""
        service = ServiceProcess(tmp_path / "data", jobs="0", workers="1", stall_seconds="600")
        service.limit_files(256)
        with service_process(service.data, service=service):
            yield service

    def test_idle_connections_do_not_stop_a_service_with_few_descriptors(
        self, small: ServiceProcess
    ) -> None:
        with hostile_to(small.address) as hostile:
            connections = [hostile.connect() for _ in range(400)]
            until(lambda: is_answered(small.address))
            until(lambda: psutil.Process(small.pid).num_fds() < 200)
            until(lambda: 100 < sum(map(is_open, connections)) <= 128)
            # Of a burst, all within a tenth of a second, some are refused. A later client is not.
            latest = hostile.connect()
            until(lambda: is_answered(small.address))
            assert is_open(latest)
            assert not is_open(connections[0])  # those that have waited longest are closed

    def test_half_sent_requests_give_way_soon(self, small: ServiceProcess) -> None:
        with hostile_to(small.address) as hostile:
            for _ in range(300):
                hostile.connect().sendall(b"POST /v1/bases HTTP/1.1\r\n")
            until(lambda: is_answered(small.address))

    def test_the_limit_is_half_of_the_descriptors(self) -> None:
        assert room_for_connections(4096, 256) == 128
        assert room_for_connections(4096, 2**16) == 4096
        assert room_for_connections(10, 20_000) == 10


def is_answered(address: str) -> bool:
    try:
        return is_alive(address)
    except httpx.TransportError:
        return False
