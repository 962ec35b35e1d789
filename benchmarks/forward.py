"""Time calls of a model over HTTP and in process: rows per second and latency of single rows.

In process: `batched` is the service's batcher around the model, `one at a time` the same with
batches of one row, `nothing` the batcher around a function that does nothing (its ceiling), and
`direct` the model called by itself. Over HTTP: a server with batching and one without, each a
separate process with one event loop, and `empty`, an endpoint that reads and returns as much
but does nothing. The clients are one process of plain sockets with keep-alive.

Rounds are interleaved; each number is the median of them, and each ratio that of the ratios
within a round.

    python benchmarks/forward.py              the tables; some minutes
    python benchmarks/forward.py --quick      the same with rounds of a fraction of a second
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from serve import get, load, once, quantiles

CLIENTS = (1, 16, 64)
WIDTHS = (384, 64)
ROWS = 64
Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Row:
    """Rows per second, and the latency of one row in milliseconds."""

    rate: float
    p50: float
    p99: float

    @classmethod
    def of(cls, times: list[float], wall: float) -> Row:
        """The row of the seconds that each call took, and the wall time of them all."""
        p50, p99 = quantiles(times) if times else (math.nan, math.nan)
        return cls(len(times) / wall, 1e3 * p50, 1e3 * p99)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS, help="of the EMLP")
    parser.add_argument("--quick", action="store_true", help="3 rounds of half a second")
    given = parser.parse_args(arguments)
    rounds, seconds = (3, 0.5) if given.quick else (given.rounds, given.seconds)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for width in given.widths:
        model = _model(width)
        print(f"\nEMLP for Inertia, SO(3), width {width}\n")
        in_process(model, rounds, seconds)
        over_http(model, rounds, seconds)
    return 0


def _model(width: int) -> Any:
    from intertwine.groups import SO
    from intertwine.nn import EMLP
    from intertwine.reps import Scalar, V

    return EMLP(5 * Scalar + 5 * V, V**2, SO(3), ch=width)


# -- in process


def in_process(model: Any, rounds: int, seconds: float) -> None:
    """Print the table of calls in this process."""
    from intertwine.nn.saving import to_config
    from intertwine_api.server.batcher import sizes
    from intertwine_api.server.loaded_model import load as load_model

    loaded = load_model(*to_config(model), sizes(ROWS))
    for size in loaded.sizes:
        loaded.compile(size)
    x = np.random.default_rng(0).normal(size=(1, loaded.width)).astype(loaded.dtype)
    nothing = np.zeros((ROWS, 9), loaded.dtype)
    cases: dict[str, Callable[[int], Row]] = {
        "batched": lambda n: asyncio.run(_batcher(loaded, ROWS, x, n, seconds)),
        "one at a time": lambda n: asyncio.run(_batcher(loaded, 1, x, n, seconds)),
        "nothing": lambda n: asyncio.run(
            _batcher(lambda x: nothing[: len(x)], ROWS, x, n, seconds)
        ),
        "direct": lambda n: _direct(loaded, x, seconds),
    }
    print_table("in process", "one at a time", cases, rounds)


async def _batcher(
    function: Function, rows: int, x: np.ndarray, callers: int, seconds: float
) -> Row:
    """Callers of the batcher in one event loop, each with one row after the other."""
    from intertwine_api.server.batcher import Batcher, BatchSettings

    batcher = Batcher(function, BatchSettings(rows=rows))
    times: list[float] = []

    async def caller() -> None:
        await batcher.call(x)
        while time.perf_counter() < end:
            started = time.perf_counter()
            await batcher.call(x)
            times.append(time.perf_counter() - started)

    started = time.perf_counter()
    end = started + seconds
    await asyncio.gather(*(caller() for _ in range(callers)))
    wall = time.perf_counter() - started
    await batcher.end()
    return Row.of(times, wall)


def _direct(function: Function, x: np.ndarray, seconds: float) -> Row:
    """The function itself, one row after the other, without any event loop."""
    times: list[float] = []
    begun = time.perf_counter()
    while time.perf_counter() < begun + seconds:
        started = time.perf_counter()
        function(x)
        times.append(time.perf_counter() - started)
    return Row.of(times, time.perf_counter() - begun)


# -- over HTTP


def over_http(model: Any, rounds: int, seconds: float) -> None:
    """Print the table of calls over HTTP."""
    vector = np.random.default_rng(0).normal(size=model.rep_in.size()).round(6).tolist()
    answer = json.dumps({"outputs": np.asarray(model(np.array(vector))).tolist()})
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        publish(model, Path(folder))
        batched, single = (
            stack.enter_context(serving(Path(folder), answer, batch_rows=str(rows)))
            for rows in (ROWS, 1)
        )
        clients = stack.enter_context(ProcessPoolExecutor(1, mp_context=get_context("spawn")))

        def case(port: int, path: str) -> Callable[[int], Row]:
            request = post(path, {"inputs": vector})
            return lambda n: clients.submit(_http, port, request, n, seconds).result()

        forward = "/v1/models/inertia:forward"
        cases = {
            "batched": case(batched, forward),
            "one at a time": case(single, forward),
            "empty": case(batched, "/v1/empty"),
        }
        print_table("over HTTP", "empty", cases, rounds)


def publish(model: Any, folder: Path) -> None:
    """Put the model into a service's folder under the name inertia."""
    from types import SimpleNamespace

    from intertwine.nn.saving import to_config
    from intertwine_api.storage.database import Database
    from intertwine_api.storage.folder_objects import FolderObjects
    from intertwine_api.storage.models import Models

    config, blob = to_config(model)
    trained = SimpleNamespace(
        config=config,
        blob=blob,
        metrics={},
        equivariance_error=None,
        is_equivariant=True,
        provenance={},
    )
    database = Database(f"sqlite:///{folder / 'intertwine.db'}")
    database.migrate()
    Models(database, FolderObjects(folder / "objects")).publish("inertia", "local", None, trained)
    database.close()


@contextmanager
def serving(folder: Path, answer: str, **settings: str) -> Iterator[int]:
    """The port of a server with settings ``INTERTWINE_…`` whose model is warm."""
    env = {f"INTERTWINE_{name.upper()}": text for name, text in settings.items()}
    script = Path(__file__).with_name("forward_server.py")
    process = subprocess.Popen(
        [sys.executable, script, folder, answer],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "INTERTWINE_WORKERS": "1", "INTERTWINE_JOBS": "0", **env},
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        once(port, get("/warm/inertia"))
        yield port
    finally:
        process.terminate()
        process.wait()


def post(path: str, document: Mapping[str, Any]) -> bytes:
    """The bytes of a POST of JSON."""
    body = json.dumps(document).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _http(port: int, request: bytes, clients: int, seconds: float) -> Row:
    times, _, wall = asyncio.run(load(port, request, clients, seconds))
    return Row.of(times, wall)


# -- tables


def print_table(
    title: str, base: str, cases: Mapping[str, Callable[[int], Row]], rounds: int
) -> None:
    """Measure the cases in turns, and print their medians, and ratios to one of them."""
    print(f"{title:16}{'clients':>8}{'rows/s':>10}{'p50 ms':>9}{'p99 ms':>9}  rows/s, to {base}")
    for clients in CLIENTS:
        found: dict[str, list[Row]] = {name: [] for name in cases}
        for _ in range(rounds):
            for name, measure in cases.items():
                found[name].append(measure(clients))
        for name, rows in found.items():
            rate, p50, p99 = (
                statistics.median(getattr(row, field) for row in rows)
                for field in ("rate", "p50", "p99")
            )
            ratios = [
                a.rate / b.rate if b.rate else math.nan
                for a, b in zip(rows, found[base], strict=True)
            ]
            print(
                f"{name:16}{clients:>8}{rate:>10,.0f}{p50:>9.2f}{p99:>9.2f}"
                f"  {statistics.median(ratios):.2f}",
                flush=True,
            )
    print()


if __name__ == "__main__":
    sys.exit(main())
