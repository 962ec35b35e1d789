"""Time the service: requests per second and their latency, with 1, 16 and 64 clients.

The service runs in a separate process with one event loop, as `intertwine serve` starts it; the
clients are one process of plain sockets with keep-alive, which takes little of the time.
`empty` is the endpoint /healthz, which does nothing: the baseline of the others. `ask` is a
POST of a request for a stored basis, `blob` has under 1 MB.

    python benchmarks/serve.py                 the tables; needs 2 GB of disk
    python benchmarks/serve.py --seconds 5     longer and more precise
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

CLIENTS = (1, 16, 64)
ASKED = {"rep": "V**2*V.T+5V0", "group": "SO(3)"}
LARGER = {"rep": "V**6", "group": "SO(3)", "method": "krylov"}  # a blob of 90 kB
LARGE = 10**9


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="for each number")
    parser.add_argument("--bytes", type=float, default=LARGE, help="the size of the large blob")
    given = parser.parse_args(arguments)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as port:
        small, larger = (json.loads(once(port, ask(document))) for document in (ASKED, LARGER))
        requests = {
            "empty": get("/healthz"),
            "manifest": get(small["links"]["self"]),
            "ask": ask(ASKED),
            "blob": get(larger["links"]["blob"]),
        }
        print(f"{'':10}{'clients':>8}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'MB/s':>8}")
        for name, request in requests.items():
            for clients in CLIENTS:
                times, size, wall = asyncio.run(load(port, request, clients, given.seconds))
                rate, (p50, p99) = len(times) / wall, quantiles(times)
                print(
                    f"{name:10}{clients:>8}{rate:>12,.0f}{1e3 * p50:>9.2f}{1e3 * p99:>9.2f}"
                    f"{rate * size / 1e6:>8,.1f}",
                    flush=True,
                )
        whole = Path(folder, "cache")
        print(f"\na cached read in one process: {overhead(whole, larger['key'])}")
        digest = put_blob(whole, int(given.bytes))
        once(port, get(f"/v1/blobs/{digest}", "Range: bytes=0-0"))  # hashed on its first read
        speeds = [stream(port, f"/v1/blobs/{digest}") for _ in range(3)]
        print(f"a blob of {given.bytes / 1e9:.2g} GB: {statistics.median(speeds):.2f} GB/s")
    return 0


@contextmanager
def serving(folder: Path) -> Iterator[int]:
    """The port of a service with its data in the folder."""
    program = Path(sys.executable).with_name("intertwine")
    process = subprocess.Popen(
        [program, "serve", "--port", "0", "--data", folder], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        found = re.search(r":(\d+)", process.stdout.readline().removeprefix("Intertwine"))
        assert found is not None
        port = int(re.findall(r"\d+", found[0])[0])
        while not ready(port):
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


def ready(port: int) -> bool:
    """Whether the service has its workers."""
    try:
        return b"ready" in once(port, get("/readyz"))
    except OSError:
        return False


def get(path: str, *headers: str) -> bytes:
    """The bytes of a GET."""
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def ask(document: dict[str, str]) -> bytes:
    """The bytes of a request for a basis."""
    body = json.dumps(document).encode()
    head = (
        "POST /v1/bases HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def once(port: int, request: bytes) -> bytes:
    """The body of one response."""

    async def exchange() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = await answer(reader, writer, request)
        writer.close()
        return body

    return asyncio.run(exchange())


async def answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> bytes:
    """Send a request on an open connection, and read the whole response."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    assert length is not None, head
    assert head.startswith((b"HTTP/1.1 2", b"HTTP/1.1 503")), head
    return await reader.readexactly(int(length[1]))


async def load(
    port: int, request: bytes, clients: int, seconds: float
) -> tuple[list[float], int, float]:
    """The seconds of each request, the bytes of a response, and the total wall time."""
    times: list[float] = []
    size = 0

    async def client() -> None:
        nonlocal size
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
        await answer(reader, writer, request)  # connected, and warm
        while time.perf_counter() < end:
            started = time.perf_counter()
            size = len(await answer(reader, writer, request))
            times.append(time.perf_counter() - started)
        writer.close()

    started = time.perf_counter()
    end = started + seconds
    await asyncio.gather(*(client() for _ in range(clients)))
    return times, size, time.perf_counter() - started


def quantiles(times: list[float]) -> tuple[float, float]:
    """The median and the 99th percentile."""
    ordered = sorted(times)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]


def overhead(place: Path, key: str) -> str:
    """The overhead of a checked read of the store over reading the bare file."""
    from intertwine.bases import load_basis
    from intertwine_cache import Store

    store = Store(place)
    found = store.read(key)
    assert found is not None
    path = found[1]

    def ours() -> None:
        entry = store.read(key)
        assert entry is not None
        load_basis(entry[1])

    bare, read = median_of(path.read_bytes), median_of(ours)
    return (
        f"{1e6 * read:,.0f} µs, {1e6 * (read - bare):,.0f} µs more than the bare file of "
        f"{path.stat().st_size / 1e3:,.0f} kB"
    )


def median_of(act: Callable[[], object], repeat: int = 300) -> float:
    """The median seconds of an action."""
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        act()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def put_blob(place: Path, size: int) -> str:
    """Publish a blob of this size, and return its digest."""
    from intertwine_cache import Store

    piece = hashlib.sha256(b"bench").digest() * 2**15  # 1 MB
    key = hashlib.sha256(b"a large blob").hexdigest()

    def write_to(write: Callable[[bytes], object]) -> None:
        for _ in range(size // len(piece)):
            write(piece)

    store = Store(place)
    published = store.publish(key, write_to, {})
    assert published is not None
    store.wait_for_eviction()
    return published[0].digest


def stream(port: int, path: str) -> float:
    """GB per second of one response, discarded as it arrives."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(get(path, "Connection: close"))
        buffer, seen, started = bytearray(2**20), 0, time.perf_counter()
        while got := connection.recv_into(buffer):
            seen += got
        return seen / (time.perf_counter() - started) / 1e9


if __name__ == "__main__":
    sys.exit(main())
