"""Time the pages of the console, and weigh them.

The service runs in a separate process with a store of many bases, and one client asks for each page
again and again, as a browser does. `page` is the size of the HTML, `whole` includes its assets and
its picture. `p95` must stay below 150 ms and `whole` below 200 kB; a row that misses one ends in
`!`, and the exit code is then 1.

    python benchmarks/console.py                 the table, with 5,000 bases in the store
    python benchmarks/console.py --bases 100     quicker
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from html import unescape
from pathlib import Path
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
    "system": "/system",
    "problems": "/problems",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table. Return 1 if a page is too slow or too large."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bases", type=int, default=5_000, help="bases in the store")
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
            client.headers["accept"] = "text/html"
            print(f"{'':14}{'p50 ms':>9}{'p95 ms':>9}{'page kB':>9}{'whole kB':>10}")
            for name, path in PAGES.items():
                times, page, whole = measure(client, path, given.rounds)
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


def measure(client: httpx.Client, path: str, rounds: int) -> tuple[list[float], int, int]:
    """Return the sorted seconds of the requests, and the bytes of the page, alone and in all."""
    while "data-poll" in client.get(path).text:  # until the basis is known
        time.sleep(0.1)
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        page = client.get(path)
        times.append(time.perf_counter() - started)
    sources = set(re.findall(r'(?:src|href)="([^"]*(?:static|pictures)/[^"]+)"', page.text))
    assets = (client.get(urljoin(path, unescape(source))) for source in sources)
    size = len(page.content)
    return sorted(times), size, size + sum(len(asset.content) for asset in assets)


if __name__ == "__main__":
    sys.exit(main())
