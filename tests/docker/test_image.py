"""The built image: it serves only with a key, solves, trains, uses PostgreSQL, and ends cleanly.

`make image` builds it and runs these tests.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from helpers.container import Image, init_of, kill
from helpers.databases import Databases
from helpers.service import SO3, followed, problem
from sqlalchemy import make_url

FOLDER = os.environ.get("INTERTWINE_IMAGE")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FOLDER is None, reason="`make image` builds the image and runs these tests"),
]

TRAINING = {
    "kind": "train",
    "name": "inertia",
    "dataset": {"name": "Inertia", "size": 30, "seed": 0},
    "model": {"type": "EMLP", "ch": 8, "num_layers": 1},
    "training": {"epochs": 3, "batch_size": 16},
}


@pytest.fixture(scope="module")
def image() -> Image:
    assert FOLDER is not None
    return Image(Path(FOLDER))


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    databases = Databases()
    yield databases
    databases.close()


@contextmanager
def running(
    image: Image, volumes: dict[Path, str], **settings: str
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The image's own command, on a free port; its address, once it is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"port": str(port), "workers": "1", "jobs": "1", **settings}
    command = [*image.config["Entrypoint"], *image.config["Cmd"]]
    process = image.start(command, volumes, settings)
    address = f"http://127.0.0.1:{port}"
    try:
        give_up = time.monotonic() + 120
        while not _is_ready(address):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < give_up
            time.sleep(0.1)
        yield address, process
    finally:
        kill(process)


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", timeout=60).status_code == 200
    except httpx.TransportError:
        return False


def first_key(image: Image, volumes: dict[Path, str], **settings: str) -> dict[str, str]:
    """The header with a new key, from the command that the documentation names."""
    made = image.intertwine("keys", "create", "alice", volumes=volumes, **settings)
    assert made.returncode == 0, made.stderr
    return {"authorization": f"Bearer {made.stdout.strip()}"}


def health_check(image: Image, **settings: str) -> int:
    """The exit code of the image's health check."""
    kind, *command = image.config["Healthcheck"]["Test"]
    assert kind == "CMD"
    return image.run(command, {}, **settings).returncode


class TestConfiguration:
    def test_it_runs_as_a_user_with_an_init_process(self, image: Image) -> None:
        assert image.config["User"] == "10001"
        assert image.config["Entrypoint"][0] == "dumb-init"
        assert image.config["StopSignal"] == "SIGTERM"
        assert list(image.config["Volumes"]) == ["/data"]

    def test_it_is_not_open(self, image: Image) -> None:
        assert "INTERTWINE_ALLOW_UNAUTHENTICATED" not in image.environment
        assert image.environment["INTERTWINE_REQUIRE_KEYS"] == "true"

    def test_it_has_no_build_tools(self, image: Image) -> None:
        programs = {path.name for path in (image.root / "opt/venv/bin").iterdir()}
        assert {"intertwine", "dumb-init", "python3"} <= programs
        assert not programs & {"pip", "uv", "hatchling"}
        assert not (image.root / "opt/tools").exists()
        assert not (image.root / "src").exists()

    def test_the_data_folder_is_private(self, image: Image) -> None:
        data = (image.root / "data").stat()
        assert (data.st_mode & 0o777, data.st_uid) == (0o700, 10001)


def test_without_a_key_it_refuses_every_request(image: Image, tmp_path: Path) -> None:
    volumes = {tmp_path: "/data"}
    with running(image, volumes) as (address, _):
        problem(httpx.get(f"{address}/v1/bases", timeout=60), 401, "unauthorized")
        problem(httpx.post(f"{address}/v1/bases", json=SO3, timeout=60), 401, "unauthorized")
        key = first_key(image, volumes)  # beside the running service, as `docker exec` does
        give_up = time.monotonic() + 120
        while httpx.get(f"{address}/v1/bases", headers=key, timeout=60).status_code != 200:
            assert time.monotonic() < give_up
            time.sleep(0.1)


def test_it_solves_trains_and_ends(image: Image, tmp_path: Path) -> None:
    volumes = {tmp_path: "/data"}
    key = first_key(image, volumes)
    with running(image, volumes) as (address, process):
        problem(httpx.get(f"{address}/v1/bases", timeout=60), 401, "unauthorized")
        with httpx.Client(base_url=address, headers=key, timeout=60) as client:
            basis = followed(client, client.post("/v1/bases", json=SO3)).json()
            assert basis["rank"] == 6
            picture = client.get(f"/pictures/{basis['key']}.svg")
            assert (picture.status_code, picture.text[:5]) == (200, "<?xml"), picture.text
            submitted = client.post("/v1/jobs", json=TRAINING)
            assert submitted.status_code == 202, submitted.text
            job = _ended(client, submitted.json()["links"]["self"])
            assert job["state"] == "succeeded", job
            rows = {"inputs": [[0.5] * 20]}
            answer = client.post("/v1/models/inertia:forward", json=rows)
            assert len(answer.json()["outputs"][0]) == 9, answer.text
        assert init_of(process).name() == "dumb-init"
        inside = psutil.Process(process.pid).children(recursive=True)
        assert [p.name() for p in inside if p.status() == psutil.STATUS_ZOMBIE] == []

        port = address.rpartition(":")[2]
        assert health_check(image, port=port) == 0
        init_of(process).send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 128 + signal.SIGTERM, (out, err)  # ended in order, as asked
        assert "job created" in err  # the audit log
        assert not re.search("WARNING|ERROR|CRITICAL|Traceback", err), err
        assert health_check(image, port=port) == 1

    for path in tmp_path.rglob("*"):
        assert path.stat().st_uid == 10001, path
    # the next container has the model
    with running(image, volumes) as (address, _):
        assert [
            m["name"]
            for m in httpx.get(f"{address}/v1/models", headers=key, timeout=60).json()["data"]
        ]


def _ended(client: httpx.Client, url: str, seconds: float = 120) -> dict[str, object]:
    """The job, once it has ended."""
    give_up = time.monotonic() + seconds
    while True:
        job: dict[str, object] = client.get(url).json()
        if job["state"] in ("succeeded", "failed", "cancelled"):
            return job
        assert time.monotonic() < give_up, job
        time.sleep(0.2)


def test_it_uses_postgresql(image: Image, tmp_path: Path, databases: Databases) -> None:
    volumes = {tmp_path: "/data"}
    with databases.empty("postgresql") as url, over_tcp(url) as database:
        key = first_key(image, volumes, database=database)
        with running(image, volumes, database=database) as (address, _):
            assert httpx.get(f"{address}/v1/jobs", headers=key, timeout=60).json()["data"] == []
            answer = httpx.post(
                f"{address}/v1/jobs", json={"kind": "solve", **SO3}, headers=key, timeout=60
            )
            assert answer.status_code == 202, answer.text
            with httpx.Client(base_url=address, headers=key, timeout=60) as client:
                assert _ended(client, answer.json()["links"]["self"])["state"] == "succeeded"
    assert not (tmp_path / "intertwine.db").exists()


@contextmanager
def over_tcp(url: str) -> Iterator[str]:
    """The URL of a PostgreSQL database on a loopback port, which leads to the server's socket.

    The container's user may not enter the folder of the socket.
    """
    parsed = make_url(url)
    path = f"{parsed.query['host']}/.s.PGSQL.5432"

    class ToSocket(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as server:
                server.connect(path)
                back = threading.Thread(target=_copy, args=(server, self.request))
                back.start()
                _copy(self.request, server)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), ToSocket) as forwarder:
        forwarder.daemon_threads = True
        thread = threading.Thread(target=forwarder.serve_forever)
        thread.start()
        try:
            port = forwarder.server_address[1]
            yield f"postgresql://{parsed.username}@127.0.0.1:{port}/{parsed.database}"
        finally:
            forwarder.shutdown()
            thread.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copy a connection's bytes in one direction until it ends."""
    with suppress(OSError):  # the other direction has ended
        while data := source.recv(2**16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
