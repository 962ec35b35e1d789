"""Compare a training job with the same fit in a script; measure the service's latency meanwhile.

Each round runs a script in a separate process, which builds and fits the network; the same as a
job; and a job while four connections request /healthz, a hundred times per second each (which
takes part of a core by itself). All are timed from the start of the fit to its last epoch,
by the fit's own clock, compiling included; and, with what is around it, from the start of the
process to its end. Ratios are taken within a round.

    python benchmarks/remote.py                  five minutes
    python benchmarks/remote.py --rounds 1 --epochs 20
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serve import answer, get, quantiles, serving

_SCRIPT = """
import json, sys
from functools import partial
from intertwine.datasets import Inertia
from intertwine.nn import EMLP, Standardize
from intertwine.training import fit

asked = json.loads(sys.argv[1])
data = Inertia(asked["size"], seed=0)
train = Inertia(asked["size"] - asked["size"] // 10, seed=1)
test = Inertia(asked["size"] // 10, seed=2)
model = Standardize(EMLP(data.rep_in, data.rep_out, data.symmetry), train.stats)
fitted = fit(
    model, train, test=test, epochs=asked["epochs"], batch_size=500, learning_rate=0.01,
    schedule="warmup cosine", evaluate_every=max(1, asked["epochs"] // 200), progress=False,
    callback=lambda event: None,
)
print(fitted.history[-1].seconds)
"""
_PROBES = 4
_PAUSE = 0.01  # seconds between two requests of a connection


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--size", type=int, default=5000)
    given = parser.parse_args(arguments)
    asked = {"size": given.size, "epochs": given.epochs}
    task = f"EMLP of width 384 on Inertia({given.size}), {given.epochs} epochs"
    print(f"{task}; {os.cpu_count()} cores\n")
    print(f"{'':12}{'fit s':>8}{'whole s':>9}{'healthz p50 ms':>16}{'p99 ms':>8}{'answers':>9}")
    fits: dict[str, list[float]] = {"script": [], "job": [], "job, asked": []}
    for _ in range(given.rounds):
        for name, found in fits.items():
            seconds, whole, times = measure(name, asked)
            found.append(seconds)
            answers = ""
            if times:
                p50, p99 = (1e3 * t for t in quantiles(times))
                answers = f"{p50:>16.2f}{p99:>8.2f}{len(times):>9,}"
            print(f"{name:12}{seconds:>8.2f}{whole:>9.2f}{answers}", flush=True)
    print(f"\nbeside the script's fit, medians of {given.rounds}:")
    for name in ("job", "job, asked"):
        ratios = [job / script for job, script in zip(fits[name], fits["script"], strict=True)]
        print(f"{name:12}{statistics.median(ratios):>8.3f}")
    return 0


def measure(name: str, asked: dict[str, int]) -> tuple[float, float, list[float]]:
    """The seconds of a fit, of the whole run, and of each response meanwhile."""
    if name == "script":
        return *in_a_script(asked), []
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as port:
        return asyncio.run(as_a_job(port, asked, _PROBES if name == "job, asked" else 0))


def in_a_script(asked: dict[str, int]) -> tuple[float, float]:
    """The seconds of a fit, and of the process around it."""
    started = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-c", _SCRIPT, json.dumps(asked)],
        capture_output=True,
        text=True,
        check=True,
    )
    return float(ended.stdout), time.perf_counter() - started


async def as_a_job(
    port: int, asked: dict[str, int], connections: int
) -> tuple[float, float, list[float]]:
    """The seconds of a job's fit, of the job, and of each response meanwhile."""
    job = await asyncio.to_thread(submit, port, asked)
    done = asyncio.Event()
    probes = [asyncio.create_task(probe(port, done)) for _ in range(connections)]
    while (document := await asyncio.to_thread(read, port, job))["state"] != "succeeded":
        if document["state"] in ("failed", "cancelled"):
            raise SystemExit(json.dumps(document["problem"], indent=1))
        await asyncio.sleep(0.5)
    done.set()
    times = [seconds for found in await asyncio.gather(*probes) for seconds in found]
    started, ended = (read_time(document[name]) for name in ("started", "ended"))
    return document["result"]["seconds"], ended - started, times


async def probe(port: int, done: asyncio.Event) -> list[float]:
    """The seconds of each response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times = []
    while not done.is_set():
        started = time.perf_counter()
        await answer(reader, writer, get("/healthz"))
        times.append(time.perf_counter() - started)
        await asyncio.sleep(_PAUSE)
    writer.close()
    return times


def submit(port: int, asked: dict[str, int]) -> str:
    """The URL of a training job."""
    document = {
        "kind": "train",
        "dataset": {"name": "Inertia", "size": asked["size"]},
        "training": {"epochs": asked["epochs"]},
    }
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/jobs",
        json.dumps(document).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        return str(json.load(response)["links"]["self"])


def read(port: int, path: str) -> dict[str, Any]:
    """The document at a URL."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as response:
        document: dict[str, Any] = json.load(response)
    return document


def read_time(text: str) -> float:
    """Seconds since 1970."""
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    sys.exit(main())
