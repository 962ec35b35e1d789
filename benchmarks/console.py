"""Time the pages of the console, and weigh them.

The service runs in a separate process with a store of many bases and a database of many jobs, and
one client asks for each page again and again, as a browser does. `page` is the size of the HTML,
`whole` includes its assets and its picture. `p95` must stay below 150 ms and `whole` below 200 kB;
a row that misses one ends in `!`, and the exit code is then 1.

    python benchmarks/console.py                            with 5,000 bases and 10,000 jobs
    python benchmarks/console.py --bases 100 --jobs 100     quicker
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urljoin

import httpx
from serve import serving

MOST_SECONDS, MOST_BYTES = 0.15, 200_000
#: Each page with the name of its row.
PAGES = {
    "front page": "/",
    "check": "/?rep=V>>V**2&group=SO(3)&check=1",
    "error": "/?rep=V>>(V&group=SO(3)&check=1",
    "small basis": "/?rep=V>>V**2&group=SO(3)",
    "sum": "/?rep=V**2*V.T%2B5V0&group=SO(3)",
    "cube": "/?rep=V>>V&group=RubiksCube()",
    "large basis": "/?rep=V**8&group=SO(3)",
    "irreps": "/irreps?rep=V>>V**2&group=SO(3)",
    "groups": "/groups",
    "Lie group": "/groups?name=Lorentz()",
    "finite group": "/groups?name=RubiksCube()",
    "characters": "/characters?name=S(5)",
    "jobs": "/jobs",
    "queued jobs": "/jobs?state=queued",
    "label": "/jobs?label=sweep",
    "older jobs": "/jobs?after={old}",
    "running job": "/jobs/{running}",
    "queued job": "/jobs/{queued}",
    "comparison": "/jobs/compare?{compared}",
    "curves": "/jobs/losses.svg?{compared}",
    "sweep": "/jobs/sweep?label=sweep",
    "models": "/models",
    "model": "/models/model-0",
    "version": "/models/model-0/versions/1",
    "trial": "/models/model-0/versions/1/try",
    "cache": "/cache",
    "entries": "/cache/entries?after={key}",
    "search": "/cache/entries?search=s(11)",
    "entry": "/cache/{key}",
    "keys": "/keys",
    "system": "/system",
    "problems": "/problems",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table. Return 1 if a page is too slow or too large."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bases", type=int, default=5_000, help="bases in the store")
    parser.add_argument("--jobs", type=int, default=10_000, help="jobs in the database")
    parser.add_argument("--rounds", type=int, default=40, help="requests for each page")
    given = parser.parse_args(arguments)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), given.bases)
        with (
            serving(Path(folder)) as port,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client,
        ):
            names = {**fill_jobs(Path(folder), given.jobs), "key": first_key(Path(folder))}
            fill_models(Path(folder), names["running"], 2 + given.jobs // 50)
            client.headers["accept"] = "text/html"
            print(f"{'':14}{'p50 ms':>9}{'p95 ms':>9}{'page kB':>9}{'whole kB':>10}")
            for name, path in PAGES.items():
                times, page, whole = measure(client, path.format_map(names), given.rounds)
                p50, p95 = (times[int(share * (len(times) - 1))] for share in (0.5, 0.95))
                is_missed = p95 > MOST_SECONDS or whole > MOST_BYTES
                missed |= is_missed
                print(
                    f"{name:14}{1e3 * p50:>9.1f}{1e3 * p95:>9.1f}{page / 1e3:>9.1f}"
                    f"{whole / 1e3:>10.1f}{' !' if is_missed else ''}",
                    flush=True,
                )
    return int(missed)


def fill(folder: Path, count: int) -> None:
    """Put small bases into the store of a service."""
    from intertwine.invariants import solve
    from intertwine.reps import read_rep
    from intertwine_cache import Store

    store = Store(folder / "cache")
    for number in range(count):
        rep = read_rep(f"V(S({2 + number % 20}))+{1 + number}V0")
        solve(rep, store=store, progress=False)
    store.wait_for_eviction()


def first_key(folder: Path) -> str:
    """Return the first key in the store of a service."""
    from intertwine_cache import Store

    return next(Store(folder / "cache").layout.keys())


def fill_jobs(folder: Path, count: int) -> dict[str, str]:
    """Put jobs into the database of a running service: a tenth waits, and 50 trainings run.

    None is started, because those that wait are due tomorrow. Return what the addresses of `PAGES`
    name.
    """
    from intertwine_api.storage.database import Database
    from intertwine_api.storage.tables import jobs, metrics
    from intertwine_api.work.job import Limits, NewJob, values_of
    from sqlalchemy import insert

    request = {
        "dataset": {"name": "Inertia", "size": 1000, "seed": 0},
        "model": {"type": "EMLP", "group": "SO(3)", "rep_in": "5V0+5V", "rep_out": "V**2"},
        "training": {"epochs": 1000, "learning_rate": 0.003, "batch_size": 500},
    }
    now, ids = time.time(), [secrets.token_hex(8) for _ in range(count)]
    running, queued = ids[-50:], ids[-count // 10 - 50 : -50]
    rows = []
    for number, name in enumerate(ids):
        at = now - count + number
        state = "queued" if name in queued else "running" if name in running else "succeeded"
        labels = ("sweep", f"run {number % 7}")
        new = NewJob("train", "local", request, Limits(600, 10**9), f"job {number}", labels)
        row = {
            **values_of(new),
            **{"id": name, "state": state, "reason": "done", "attempt": int(state != "queued")},
            **{"not_before": now + 86_400, "created": at, "updated": at, "last_event": 1},
            **{"started": None, "ended": None, "lease_expires": None, "progress": None},
            "host": None if state == "queued" else f"host {number % 20}",
        }
        if state == "running":
            progress = {"stage": "training", "epoch": 500, "epochs": 1000, "eta_seconds": 60.0}
            row |= {"started": at, "lease_expires": now + 86_400, "progress": progress}
        elif state == "succeeded":
            row |= {"started": at, "ended": at + 1}
        rows.append(row)
    losses = [
        {
            **{"job": name, "epoch": epoch, "train_loss": 1 / epoch, "test_loss": 2 / epoch},
            **{"learning_rate": 0.003, "seconds": epoch / 10},
        }
        for name in running
        for epoch in range(1, 501)
    ]
    database = Database(f"sqlite:///{folder / 'intertwine.db'}")
    with database.write() as connection:
        connection.execute(insert(jobs), rows)
        connection.execute(insert(metrics), losses)
    database.close()
    return {
        "old": f"{now - count / 2!r}-0",
        "running": running[0],
        "queued": queued[-1],
        "compared": "&".join(f"job={name}" for name in running[:5]),
    }


def fill_models(folder: Path, job: str, count: int) -> None:
    """Publish models: as many names, and as many versions of the first, which a job has trained."""
    from intertwine.groups import SO
    from intertwine.nn import EMLP
    from intertwine.nn.saving import to_config
    from intertwine.reps import Scalar, V
    from intertwine_api.storage.database import Database
    from intertwine_api.storage.folder_objects import FolderObjects
    from intertwine_api.storage.models import Models

    config, blob = to_config(EMLP(5 * Scalar + 5 * V, V**2, SO(3), ch=128, num_layers=3, key=0))
    trained = SimpleNamespace(
        config=config,
        blob=blob,
        metrics={"train_loss": 0.1, "test_loss": 0.2, "epochs": 1000, "seconds": 60.0},
        equivariance_error=3e-8,
        is_equivariant=True,
        provenance={"seeds": {"training": 0}, "training": {"dtype": "float32"}},
    )
    database = Database(f"sqlite:///{folder / 'intertwine.db'}")
    models = Models(database, FolderObjects(folder / "objects"))
    models.publish("model-0", "local", job, trained)
    for number in range(count):
        models.publish("model-0", "local", None, trained)
        models.publish(f"model-{number}", "local", None, trained)
    database.close()


def measure(client: httpx.Client, path: str, rounds: int) -> tuple[list[float], int, int]:
    """Return the sorted seconds of the requests, and the bytes of the page, alone and in all."""
    while "data-poll" in client.get(path).text:  # until the basis is known
        time.sleep(0.1)
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        page = client.get(path)
        times.append(time.perf_counter() - started)
    sources = set(
        re.findall(r'(?:src|href)="([^"]*(?:static|pictures|losses)[/.][^"]+)"', page.text)
    )
    assets = (client.get(urljoin(path, unescape(source))) for source in sources)
    size = len(page.content)
    return sorted(times), size, size + sum(len(asset.content) for asset in assets)


if __name__ == "__main__":
    sys.exit(main())
