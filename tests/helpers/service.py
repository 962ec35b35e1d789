"""The service in a separate process, tested over HTTP."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from helpers.patience import PATIENCE
from helpers.program import PROGRAM, environment

SO3 = {"rep": "V**2*V.T+5V0", "group": "SO(3)"}
#: Takes about a second, and 729 numbers.
SLOWER = {"rep": "V**6", "group": "SO(3)", "method": "krylov"}
UNKNOWN = "0" * 64


class ServiceProcess:
    """`intertwine serve` with a folder and settings ``INTERTWINE_…``, which a test may kill."""

    def __init__(self, data: Path, **settings: str) -> None:
        # requests wait for their solves for as long as they may, because the machine may be busy
        settings = {"wait_seconds": "60", **settings}
        named = {f"INTERTWINE_{name.upper()}": text for name, text in settings.items()}
        self.data, self._environment = data, environment(**named)
        self._log = data.parent / f"{data.name}.log"
        self._process: subprocess.Popen[str] | None = None
        self._most_files: int | None = None
        self.port = 0  # a free one; a test may want the same once more
        self.address, self.announced = "", ""

    def limit_files(self, most: int) -> None:
        """Start it with at most this number of open files."""
        self._most_files = most

    def start(self) -> str:
        """Start it on a free port and wait until it is ready; its address."""
        command = [PROGRAM, "serve", "--port", str(self.port), "--data", self.data]
        if self._most_files is not None:
            command = ["sh", "-c", f'ulimit -n {self._most_files}; exec "$@"', "sh", *command]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
                text=True,
            )
        assert self._process.stdout is not None
        self.announced = ""
        while "Ctrl-C" not in self.announced:
            line = self._process.stdout.readline()
            assert line, f"{self.announced!r}: {self._log.read_text()}"
            self.announced += line
        found = re.search(r"http://[\d.]+:\d+", self.announced)
        assert found, self.announced
        self.address = found[0].replace("0.0.0.0", "127.0.0.1")
        with httpx.Client(base_url=self.address, timeout=120) as client:
            _wait_until_ready(client)
        return self.address

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._wait()

    def hang_up(self) -> None:
        """Send SIGHUP."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def end(self, seconds: float = PATIENCE) -> str:
        """End it with a signal; its output since."""
        assert self._process is not None
        self._process.terminate()
        return self._wait(seconds)

    def end_jobs(self) -> None:
        """Kill the jobs that it left running."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):  # it has ended meanwhile, or is not ours
                if process.environ().get("INTERTWINE_DATA") == str(self.data):
                    process.kill()

    @property
    def pid(self) -> int:
        """The id of the process."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None

    def _wait(self, seconds: float = PATIENCE) -> str:
        process, self._process = self._process, None
        assert process is not None
        printed, _ = process.communicate(timeout=seconds)
        return printed


@contextmanager
def service_process(
    data: Path, service: ServiceProcess | None = None, **settings: str
) -> Iterator[ServiceProcess]:
    """A started service that tests may kill; in the end, it and its jobs are killed."""
    service = service or ServiceProcess(data, **settings)
    try:
        service.start()
        yield service
    finally:
        if service.is_running:
            service.end()
        service.end_jobs()


@contextmanager
def running_service(data: Path, **settings: str) -> Iterator[httpx.Client]:
    """`intertwine serve` on a free port, ready, with settings ``INTERTWINE_…``; then ended."""
    with (
        service_process(data, **settings) as service,
        httpx.Client(base_url=service.address, timeout=120) as client,
    ):
        yield client


def solver_processes(data: Path) -> list[psutil.Process]:
    """The workers of the service with this folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended meanwhile, or is not ours
            command = " ".join(process.cmdline())
            if "solver_process" in command and str(data) in command:
                found.append(process)
    return found


@contextmanager
def stopped_workers(data: Path) -> Iterator[None]:
    """A time in which the workers of a service with this folder do nothing: no solve ends."""
    workers = solver_processes(data)
    assert workers
    for worker in workers:
        worker.suspend()
    try:
        yield
    finally:
        for worker in workers:
            with suppress(psutil.NoSuchProcess):  # it was killed, to end its solve
                worker.resume()


def metric(client: httpx.Client, name: str, **labels: str) -> float:
    """The value of one of the service's metrics, or zero."""
    shown = ",".join(f'{key}="{value}"' for key, value in labels.items())
    sample = f"{name}{{{shown}}}" if shown else name
    for line in client.get("/metrics").text.splitlines():
        if line.startswith(f"{sample} "):
            return float(line.rpartition(" ")[2])
    return 0.0


def followed(
    client: httpx.Client, answer: httpx.Response, seconds: float = PATIENCE
) -> httpx.Response:
    """Follow the URL of a 202 until it returns another status; that response."""
    give_up = time.monotonic() + seconds
    while answer.status_code == 202:
        assert time.monotonic() < give_up, answer.text
        time.sleep(0.05)
        answer = client.get(answer.headers["location"])
    return answer


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The response's problem document, which must have this status and code."""
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), answer.text
    document: dict[str, Any] = answer.json()
    assert (document["status"], document["code"]) == (status, code), document
    assert document["type"] == f"/problems#{code}"
    assert document["title"]
    assert document["detail"]
    assert "Traceback" not in answer.text
    return document


def _wait_until_ready(client: httpx.Client) -> None:
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass  # it is not listening yet
        assert time.monotonic() < give_up, "the service did not become ready"
        time.sleep(0.05)
