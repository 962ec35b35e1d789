"""The service as its users have it: a process of its own, asked over HTTP."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from program import PROGRAM, environment

SO3 = {"rep": "V**2*V.T+5V0", "group": "SO(3)"}
#: Takes about a second, and 729 numbers.
SLOWER = {"rep": "V**6", "group": "SO(3)", "method": "krylov"}
UNKNOWN = "0" * 64


@contextmanager
def running_service(data: Path, **settings: str) -> Iterator[httpx.Client]:
    """`intertwine serve` on a free port, ready, with settings ``INTERTWINE_…``; then ended."""
    env = environment(**{f"INTERTWINE_{name.upper()}": text for name, text in settings.items()})
    command = [PROGRAM, "serve", "--port", "0", "--data", data]
    with (data.parent / f"{data.name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=env, text=True)
        try:
            assert process.stdout is not None
            announced = process.stdout.readline()
            found = re.search(r"http://[\d.]+:\d+", announced)
            assert found, f"{announced!r}: {Path(log.name).read_text()}"
            with httpx.Client(base_url=found[0], timeout=120) as client:
                _wait_until_ready(client)
                yield client
        finally:
            process.terminate()
            process.wait(timeout=30)
            process.stdout.close()  # type: ignore[union-attr]


def metric(client: httpx.Client, name: str, **labels: str) -> float:
    """The value of one of the service's metrics; zero where it has none yet."""
    shown = ",".join(f'{key}="{value}"' for key, value in labels.items())
    sample = f"{name}{{{shown}}}" if shown else name
    for line in client.get("/metrics").text.splitlines():
        if line.startswith(f"{sample} "):
            return float(line.rpartition(" ")[2])
    return 0.0


def followed(client: httpx.Client, answer: httpx.Response, seconds: float = 120) -> httpx.Response:
    """The answer at the address of a 202, when it is no 202 any more."""
    give_up = time.monotonic() + seconds
    while answer.status_code == 202:
        assert time.monotonic() < give_up, answer.text
        time.sleep(0.05)
        answer = client.get(answer.headers["location"])
    return answer


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of an answer that is one, of this status and code."""
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
    give_up = time.monotonic() + 60
    while True:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass  # it is not listening yet
        assert time.monotonic() < give_up, "the service did not become ready"
        time.sleep(0.05)
