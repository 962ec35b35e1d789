"""Attack a service, and time what its other callers notice.

A service with keys runs on loopback, with one worker and a training of `ann` as a job. In each row
`eve` attacks it in one way, from a process of her own, while `ann` asks three things again and
again: `/healthz`, a basis in the store, and a small basis that nobody has solved. The memory is
that of the service's own process. The goals are in the heading; a row that misses one ends in `!`.

Real attackers have processors of their own. So eve makes her large requests before the first time
that counts, and her process is a session of its own: Linux shares processors among sessions first.

    python benchmarks/attack.py                  all attacks, about four minutes
    python benchmarks/attack.py --only uploads --seconds 30
    python benchmarks/attack.py --no-training
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import platform
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from safetensors.numpy import save
from serve import quantiles

#: The most milliseconds (99th percentiles), seconds and megabytes.
HEALTH_MS, CACHED_MS, SOLVE_S, MEMORY_MB = 50.0, 100.0, 5.0, 1000.0
_PAUSE = 0.02  # seconds between two requests of one kind
_SETTLE = 2.0  # seconds between the start of an attack and the first time that counts


@dataclass(frozen=True)
class Caller:
    """The key of an owner, and the port of the service."""

    port: int
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """The headers of each request."""
        return {"Authorization": f"Bearer {self.token}"}

    def connect(self, timeout: float = 60.0) -> http.client.HTTPConnection:
        """Return a connection to the service."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def ask(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        document: Mapping[str, Any] | bytes | None = None,
        **headers: str,
    ) -> tuple[int, bytes]:
        """Return status and body of a GET, or of a POST of a document."""
        is_encoded = document is None or isinstance(document, bytes)
        body = document if is_encoded else json.dumps(document).encode()
        kind = {} if document is None else {"Content-Type": "application/json"}
        method = "GET" if document is None else "POST"
        connection.request(method, path, body, {**self.headers, **kind, **headers})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def once(
        self,
        path: str,
        document: Mapping[str, Any] | bytes | None = None,
        timeout: float = 60.0,
    ) -> tuple[int, bytes]:
        """Ask on a connection that is closed afterwards."""
        connection = self.connect(timeout)
        try:
            return self.ask(connection, path, document)
        finally:
            connection.close()


# -- the attacks: each works in a few threads until its process is killed

MARK = 7654321


def varied(body: bytes) -> bytes:
    """Return a request with another number for `MARK`, so that the service has no answer to it."""
    return body.replace(b"%d" % MARK, b"%d" % (10**6 + secrets.randbelow(9 * 10**6)))


def crooked_so8(seed: int) -> dict[str, Any]:
    """so(8) in a frame that is not orthogonal, another one for each seed."""
    rng = np.random.default_rng(seed)
    frame = rng.normal(size=(8, 8)) + 2 * np.eye(8)
    back = np.linalg.inv(frame)
    generators = []
    for i in range(8):
        for j in range(i):
            matrix = np.zeros((8, 8))
            matrix[i, j], matrix[j, i] = 1.0, -1.0
            generators.append((frame @ matrix @ back).tolist())
    return {"lie_algebra": generators}


def decompositions(eve: Caller) -> None:
    """Decompositions that take minutes; the caller hangs up after some seconds."""
    asked = {"rep": "V**4", "group": crooked_so8(secrets.randbits(30))}
    eve.once("/v1/reps:decompose", asked, timeout=4)


def solves(eve: Caller) -> None:
    """Solves that take minutes, each another one, without waiting for them."""
    asked = {"rep": f"V**9+{secrets.randbits(20)}V0", "group": "SO(3)", "method": "krylov"}
    connection = eve.connect()
    try:
        eve.ask(connection, "/v1/bases", asked, Prefer="wait=0")
    finally:
        connection.close()


def irreps(eve: Caller) -> None:
    """The irreps of large powers, which a GET finds."""
    eve.once(f"/v1/groups/SO({6 + secrets.randbelow(3)})/irreps?power=4", timeout=4)


def estimates(eve: Caller) -> None:
    """Bases of large generators, whose cost takes long to estimate."""
    eve.once("/v1/bases", varied(large_generator()), timeout=30)


@cache
def large_generator() -> bytes:
    """A request with a generator of 220 × 220 numbers. `MARK` stands for one of them."""
    matrix = np.random.default_rng(0).normal(size=(220, 220)).round(3).tolist()
    matrix[0][0] = MARK
    return json.dumps({"rep": "V", "group": {"lie_algebra": [matrix]}}).encode()


def exact_strings(eve: Caller) -> None:
    """Generators of 10⁴ different exact strings, which are evaluated to 100 digits."""
    eve.once("/v1/bases", varied(exact_generator()))


@cache
def exact_generator() -> bytes:
    """A request with a generator of 100 × 100 strings. `MARK` stands for a number in each."""
    rows = [[f"sin({i}*7+{j})/({i}+{MARK})+cos({j})" for j in range(100)] for i in range(100)]
    return json.dumps({"rep": "V", "group": {"lie_algebra": [rows]}}).encode()


def large_groups(eve: Caller) -> None:
    """Groups of millions of coordinates."""
    n = 10**7 if secrets.randbelow(2) else 900_000 + secrets.randbelow(10**5)
    eve.once(f"/v1/groups/Z({n})")


def slow_readers(eve: Caller) -> None:
    """A dense matrix of 125 MB that is asked for and not read."""
    _, body = eve.once("/v1/bases", {"rep": "1318V**2", "group": "O(3)"})
    path = json.loads(body)["links"]["dense"]
    with socket.create_connection(("127.0.0.1", eve.port)) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.sendall(head("GET", path, eve))
        time.sleep(20)


def half_requests(eve: Caller) -> None:
    """Connections that send half a request, and then nothing."""
    with suppress(OSError):
        held = [socket.create_connection(("127.0.0.1", eve.port)) for _ in range(50)]
        for raw in held:
            raw.sendall(head("POST", "/v1/bases", eve)[:-20])
        time.sleep(20)
        for raw in held:
            raw.close()


def uploads(eve: Caller) -> None:
    """Archives that expand a thousandfold, and samples that are large indeed."""
    if secrets.randbelow(2):
        kind, content = "application/zip", bomb()
    else:
        kind = "application/vnd.safetensors"
        content = samples()[:-8] + np.float64(secrets.randbits(30)).tobytes()
    connection = eve.connect()
    try:
        headers = {**eve.headers, "Content-Type": kind}
        connection.request("POST", "/v1/datasets?name=x", content, headers)
        connection.getresponse().read()
    finally:
        connection.close()


def unfinished_bodies(eve: Caller) -> None:
    """Vectors of 20 MB for a model that does not exist, all but the last bytes."""
    size = 20 * 2**20
    start = head(
        "POST", "/v1/models/nobody:forward", eve, f"Content-Length: {size}",
        "Content-Type: application/vnd.safetensors",
    )  # fmt: skip
    with suppress(OSError), socket.create_connection(("127.0.0.1", eve.port)) as raw:
        raw.sendall(start)
        raw.settimeout(5)
        raw.sendall(b"\0" * (size - 100))
        time.sleep(5)


def nothing(eve: Caller) -> None:
    """No attack: the training alone."""
    time.sleep(1)


#: The attacks, each with its number of threads.
ATTACKS: Mapping[Callable[[Caller], None], int] = {
    nothing: 1,
    decompositions: 66,
    solves: 8,
    irreps: 16,
    estimates: 8,
    exact_strings: 8,
    large_groups: 20,
    slow_readers: 14,
    half_requests: 8,
    uploads: 6,
    unfinished_bodies: 20,
}


def head(method: str, path: str, caller: Caller, *more: str) -> bytes:
    """Return the first bytes of a request."""
    own = [f"{name}: {value}" for name, value in caller.headers.items()]
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *own, *more]
    return "\r\n".join([*lines, "", ""]).encode()


@cache
def samples() -> bytes:
    """Return a safetensors file of 14 MB. Its last eight bytes are a number."""
    rng = np.random.default_rng(0)
    return save({"X": rng.normal(size=(200_000, 6)), "Y": rng.normal(size=(200_000, 3))})


@cache
def bomb() -> bytes:
    """Return an npz file of a megabyte that expands to 900 MB."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("X.npy", "w", force_zip64=True) as member,
    ):
        shape = (900_000_000 // 48, 6)
        header = {"descr": "<f8", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(member, header)  # type: ignore[arg-type]
        for _ in range(900):
            member.write(bytes(10**6))
    return stream.getvalue()


#: What is made before an attack.
PREPARED = (large_generator, exact_generator, samples, bomb)


def attack(name: str, caller: Caller) -> None:
    """Attack until this process is killed."""
    (act,) = (act for act in ATTACKS if act.__name__ == name)
    for make in PREPARED:
        make()

    def go_on() -> None:
        while True:
            with suppress(OSError, http.client.HTTPException, ValueError, KeyError):
                act(caller)
            time.sleep(0.01)

    for _ in range(ATTACKS[act]):
        threading.Thread(target=go_on, daemon=True).start()
    print("attacks", flush=True)
    sys.stdin.read()  # until the parent has gone


# -- the service, and what ann notices


@contextmanager
def service(folder: Path, *, with_training: bool) -> Iterator[tuple[int, Caller, Caller]]:
    """A service of two owners; its process id, and the callers ann and eve."""
    from intertwine_api.storage.database import Database
    from intertwine_api.storage.keys import Keys

    database = Database(f"sqlite:///{folder / 'intertwine.db'}")
    database.migrate()
    scopes = ("bases:solve", "jobs:write", "models:forward")
    tokens = {owner: Keys(database).create(owner, scopes)[1] for owner in ("ann", "eve")}
    database.close()
    limits = {"INTERTWINE_WORKERS": "1", "INTERTWINE_JOBS": "1"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                Path(sys.executable).with_name("intertwine"),
                "serve",
                "--port",
                "0",
                "--data",
                folder,
            ],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **limits},
            start_new_session=True,  # Linux shares processors among sessions first
        )
    try:
        assert process.stdout is not None
        found = re.search(r"http://[\d.]+:(\d+)", process.stdout.readline())
        assert found is not None, (folder / "log").read_text()
        ann, eve = (Caller(int(found[1]), tokens[owner]) for owner in ("ann", "eve"))
        until(lambda: ann.once("/readyz")[0] == 200)
        if with_training:
            train(ann)
        yield process.pid, ann, eve
    finally:
        process.terminate()
        process.wait(60)
        for other in psutil.process_iter():  # the training goes on without its service
            with suppress(psutil.Error):
                if str(folder) in " ".join(other.cmdline()):
                    other.kill()


def train(ann: Caller) -> None:
    """Start a training that outlasts the benchmark, and wait until it trains."""
    asked = {
        "kind": "train",
        "dataset": {"name": "Inertia", "size": 1000},
        "model": {"type": "EMLP", "ch": 128},
        "training": {"epochs": 100_000, "batch_size": 500},
    }
    status, body = ann.once("/v1/jobs", asked)
    assert status == 202, body
    path = f"/v1/jobs/{json.loads(body)['id']}"
    until(lambda: json.loads(ann.once(path)[1])["progress"].get("epoch", 0) > 0)


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until a condition holds."""
    give_up = time.monotonic() + seconds
    while True:
        with suppress(OSError, http.client.HTTPException):
            if condition():
                return
        assert time.monotonic() < give_up, "the service or its training did not start"
        time.sleep(0.1)


@dataclass
class Noticed:
    """The seconds of each request of ann's, and the most bytes of the service."""

    health: list[float] = field(default_factory=list)
    cached: list[float] = field(default_factory=list)
    solved: list[float] = field(default_factory=list)
    memory: int = 0

    def row(self, name: str) -> str:
        """Return a row of the table."""
        (health, health_99), (cached, cached_99) = quantiles(self.health), quantiles(self.cached)
        solve, memory = max(self.solved, default=float("nan")), self.memory / 1e6
        reached = (
            1e3 * health_99 < HEALTH_MS
            and 1e3 * cached_99 < CACHED_MS
            and solve < SOLVE_S
            and memory < MEMORY_MB
        )
        return (
            f"{name:18}{1e3 * health:>9.1f}{1e3 * health_99:>8.1f}{1e3 * cached:>9.1f}"
            f"{1e3 * cached_99:>8.1f}{np.median(self.solved or [float('nan')]):>9.2f}{solve:>7.2f}"
            f"{memory:>8.0f}{'' if reached else ' !'}"
        )


_NUMBERS = count(1)


def watch(pid: int, ann: Caller, seconds: float) -> Noticed:
    """Ask as ann for some seconds, and return what she notices."""
    noticed, end = Noticed(), time.monotonic() + seconds
    _, body = ann.once("/v1/bases", {"rep": "V**2*V.T+5V0", "group": "SO(3)"})
    known = json.loads(body)["links"]["self"]

    def again(times: list[float], ask: Callable[[http.client.HTTPConnection], int]) -> None:
        connection = ann.connect()
        while time.monotonic() < end:
            begun = time.perf_counter()
            assert ask(connection) == 200
            times.append(time.perf_counter() - begun)
            time.sleep(_PAUSE)
        connection.close()

    def small(connection: http.client.HTTPConnection) -> int:
        n = next(_NUMBERS)
        return ann.ask(connection, "/v1/bases", {"rep": f"{n}V*V", "group": "O(3)"})[0]

    def measure() -> None:
        process = psutil.Process(pid)
        while time.monotonic() < end:
            noticed.memory = max(noticed.memory, process.memory_info().rss)
            time.sleep(0.1)

    threads = [
        threading.Thread(target=again, args=(noticed.health, lambda c: ann.ask(c, "/healthz")[0])),
        threading.Thread(target=again, args=(noticed.cached, lambda c: ann.ask(c, known)[0])),
        threading.Thread(target=again, args=(noticed.solved, small)),
        threading.Thread(target=measure),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return noticed


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table. Return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [act.__name__ for act in ATTACKS]
    parser.add_argument("--seconds", type=float, default=15.0, help="for each attack")
    parser.add_argument("--only", choices=names, action="append", help="attack in this way alone")
    parser.add_argument("--no-training", action="store_true", help="run no training meanwhile")
    parser.add_argument("--attack", nargs=3, help=argparse.SUPPRESS)  # in a process of its own
    given = parser.parse_args(arguments)
    if given.attack:
        name, port, token = given.attack
        attack(name, Caller(int(port), token))
        return 0
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(
        f"{'':18}{'healthz ms':>17}{'cached ms':>17}{'small solve s':>16}{'MB':>8}\n"
        f"{'attack':18}{'p50':>9}{f'<{HEALTH_MS:g}':>8}{'p50':>9}{f'<{CACHED_MS:g}':>8}"
        f"{'p50':>9}{f'<{SOLVE_S:g}':>7}{f'<{MEMORY_MB:g}':>8}"
    )
    missed = 0
    for name in given.only or names:
        with (
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
            service(Path(folder), with_training=not given.no_training) as (pid, ann, eve),
        ):
            row = attacked(name, pid, ann, eve, given.seconds).row(name)
        missed += row.endswith("!")
        print(row, flush=True)
    return 1 if missed else 0


def attacked(name: str, pid: int, ann: Caller, eve: Caller, seconds: float) -> Noticed:
    """Return what ann notices while eve attacks."""
    attacker = subprocess.Popen(
        [sys.executable, __file__, "--attack", name, str(eve.port), eve.token],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert attacker.stdout is not None
        assert attacker.stdout.readline() == "attacks\n"
        time.sleep(_SETTLE)
        return watch(pid, ann, seconds)
    finally:
        attacker.kill()
        attacker.wait()


if __name__ == "__main__":
    sys.exit(main())
