"""Time the store of bases: writing a basis, and reading it in another process.

Every number is the median over fresh processes, after the imports and with the files in memory.
The bare file is the stored one: read as a whole, or mapped as the store maps it. "digest" hashes
it, which a host does once for each file; "checked" is every later process. "again" is the median
of later reads in the same process, and "overhead" is what that takes beyond mapping the bare file.

    python benchmarks/store.py                     the table; needs 250 MB of disk
    python benchmarks/store.py --bytes 1e9         bases of another size
    python benchmarks/store.py --folder /mnt/lab   on another disk
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

SIZES = (10_000, 1_000_000, 10_000_000, 100_000_000)
GROUP, REP, RANK = "SO(4)", "T(8)", 196  # its basis has 103 MB; solving it takes minutes
COLUMNS = ("keep", "read bare", "map bare", "digest", "checked", "again", "overhead")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bytes", type=float, nargs="+", default=list(SIZES), help="sizes")
    parser.add_argument("--folder", type=Path, help="where to put the store")
    parser.add_argument("--repeat", type=int, default=5, help="processes for each number")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.child is not None:
        print(json.dumps(CHILDREN[given.child](given.folder)))
        return 0
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("milliseconds " + "".join(f"{name:>11}" for name in COLUMNS), flush=True)
    for size in map(int, given.bytes):
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            times = measure(Path(folder), size, given.repeat)
        numbers = "".join(f"{1e3 * times[name]:>11.2f}" for name in COLUMNS)
        print(f"{shown(size):<13}{numbers}", flush=True)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        first, later = whole_request(Path(folder), given.repeat)
    print(
        f"\n{REP} of {GROUP} (103 MB) from `rep.equivariant_basis()`, the first of its process: "
        f"{1e3 * first:.0f} ms with its digest checked, {1e3 * later:.0f} ms checked before"
    )
    return 0


def shown(size: int) -> str:
    """A size in bytes, with a unit."""
    unit, name = max((u, n) for u, n in ((1, "B"), (10**3, "kB"), (10**6, "MB")) if u <= size)
    return f"{size / unit:,.3g} {name}"


def measure(folder: Path, size: int, repeat: int) -> dict[str, float]:
    """Seconds by column, for a basis of this size in bytes."""
    rows = max(1, size // 800)
    keeping = []
    for number in range(repeat):
        shutil.rmtree(folder / "v1", ignore_errors=True)
        keeping.append(keep(folder, key_of("bench"), rows, 100, seed=number))
    found: dict[str, list[float]] = {name: [] for name in COLUMNS}
    for _ in range(repeat):
        for name in ("read bare", "map bare"):
            found[name].append(child(folder, name)[0])
        shutil.rmtree(folder / "v1" / "checked")
        found["digest"].append(child(folder, "obtain")[0])
        first, again = child(folder, "obtain")
        found["checked"].append(first)
        found["again"].append(again)
    times = {name: statistics.median(values) for name, values in found.items() if values}
    mapped = min(child(folder, "map bare")[1] for _ in range(repeat))
    return {**times, "keep": statistics.median(keeping), "overhead": times["again"] - mapped}


def whole_request(folder: Path, repeat: int) -> tuple[float, float]:
    """Seconds of a request by a user's program, with and without hashing."""
    keep(folder, json.loads(run(folder, "key")), 4**8, RANK, seed=0)
    first, later = [], []
    for _ in range(repeat):
        shutil.rmtree(folder / "v1" / "checked")
        first.append(child(folder, "request")[0])
        later.append(child(folder, "request")[0])
    return statistics.median(first), statistics.median(later)


def keep(folder: Path, key: str, rows: int, columns: int, seed: int) -> float:
    """Seconds to publish a stand-in for a basis: any matrix of its shape."""
    import numpy as np
    from intertwine.bases import Basis, Certificate, Dense
    from intertwine.bases.store import obtain
    from intertwine_cache import Store

    matrix = np.random.default_rng(seed).standard_normal((rows, columns))
    matrix *= np.sqrt(columns) / np.linalg.norm(matrix)  # as long as a basis is
    certificate = Certificate("krylov", "numpy", "cpu", rows, columns, 0.0, 0.0, 1e9, 10, 1.0)
    basis, store = Basis(Dense(matrix), certificate), Store(folder)
    seconds = timed(lambda: obtain(store, key, {}, lambda: basis))
    store.wait_for_eviction()
    return seconds


def key_of(name: str) -> str:
    """A key."""
    import hashlib

    return hashlib.sha256(name.encode()).hexdigest()


def timed(act: Callable[[], Any]) -> float:
    """The seconds of a call."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def twice(act: Callable[[], Any]) -> tuple[float, float]:
    """Seconds the first time, and the median of later times."""
    first = timed(act)
    return first, statistics.median(timed(act) for _ in range(50 if first < 0.02 else 3))


def run(folder: Path, name: str) -> str:
    """The output of a fresh process."""
    done = subprocess.run(
        [sys.executable, __file__, "--child", name, "--folder", folder],
        env={**os.environ, "INTERTWINE_CACHE": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def child(folder: Path, name: str) -> list[float]:
    """The seconds that a fresh process measured."""
    seconds: list[float] = json.loads(run(folder, name))
    return seconds


def run_obtain(folder: Path) -> tuple[float, float]:
    """The basis from the store."""
    from intertwine.bases.store import obtain
    from intertwine_cache import Store

    store = Store(folder)

    def read() -> None:
        assert obtain(store, key_of("bench"), {}, NotImplemented).cached

    return twice(read)


def run_read_bare(folder: Path) -> tuple[float, float]:
    """The file as bytes."""
    (blob,) = (folder / "v1" / "blobs").glob("??/*")
    return twice(blob.read_bytes)


def run_map_bare(folder: Path) -> tuple[float, float]:
    """The file mapped."""
    import mmap

    import numpy as np

    assert mmap
    (blob,) = (folder / "v1" / "blobs").glob("??/*")
    return twice(lambda: np.memmap(blob, mode="r"))


def run_request(folder: Path) -> tuple[float]:
    """Request the basis as a user's program does."""
    from intertwine.groups import parse_group
    from intertwine.reps import parse

    rep = parse(REP)(parse_group(GROUP))
    found: list[Any] = []
    seconds = timed(lambda: found.append(rep.equivariant_basis()))
    assert found[0].cached, "the store was not found: is intertwine installed with its cache?"
    return (seconds,)


def run_key(folder: Path) -> str:
    """The key of that request."""
    from intertwine.groups import parse_group
    from intertwine.reps import basis_key, parse

    return basis_key(parse(REP)(parse_group(GROUP)))


CHILDREN: dict[str, Callable[[Path], Any]] = {
    "obtain": run_obtain,
    "read bare": run_read_bare,
    "map bare": run_map_bare,
    "request": run_request,
    "key": run_key,
}

if __name__ == "__main__":
    sys.exit(main())
