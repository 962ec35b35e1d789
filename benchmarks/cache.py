"""A store in tiers: hits from near and far, bytes through each tier, and the cost of a dead one.

One run prints three tables: the time of one basis from each tier beside that of its solve; the
rate of a large blob through each tier beside curl's, and the memory that it takes; and a session
of small solves with a tier that does not answer beside one without tiers. Everything is on
loopback, and S3 is moto's server.

    python benchmarks/cache.py
    python benchmarks/cache.py --megabytes 1000 --repeat 5
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from helpers.example_tiers import s3_server, silent_server, web_folder
from intertwine.groups import SO
from intertwine.reps import V
from intertwine_cache import Chain, Places, Store, open_store
from intertwine_cache.tier import FolderTier, ObjectTier, Tier

_SOLVES = 200
_PIECE = 2**20


class Lab:
    """A folder, an S3 bucket and a web server with the same files, and a new near folder each."""

    def __init__(self, folder: Path, s3: str, web: str) -> None:
        self.folder = folder
        self.tiers: dict[str, Tier] = {
            "folder": FolderTier(folder / "shared", is_writable=True, limit=10**12),
            "web server": ObjectTier(web, is_writable=False),
            "S3": ObjectTier(s3, is_writable=True),
        }
        self._near = 0

    def near(self) -> Store:
        """A new near folder."""
        self._near += 1
        return Store(self.folder / f"near{self._near}", 10**12)

    def publish(self, store: Store) -> None:
        """Copy what a store has to every writable tier."""
        for manifest in store.manifests():
            for tier in self.tiers.values():
                if tier.is_writable:
                    tier.publish(manifest, store.layout.blob(manifest.digest))


@contextlib.contextmanager
def lab() -> Iterator[Lab]:
    """Real servers on loopback."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        os.environ["XDG_CONFIG_HOME"] = str(folder / "config")
        (folder / "shared" / "v1").mkdir(parents=True)
        with s3_server(folder) as environment, web_folder(folder / "shared" / "v1") as web:
            os.environ.update(environment)
            yield Lab(folder, "s3://lab/bases", web)


def median(measure: Callable[[], float], repeat: int) -> float:
    """The median of several measurements."""
    return statistics.median(measure() for _ in range(repeat))


def hits(lab: Lab, repeat: int) -> None:
    """Print the time of a basis from each tier."""
    rep = (V**6)(SO(3))
    first = lab.near()

    def seconds(store: Store | Chain | bool) -> float:
        begun = time.perf_counter()
        rep.equivariant_basis(store=store)
        return time.perf_counter() - begun

    solve = median(lambda: seconds(False), repeat)
    seconds(first)
    lab.publish(first)
    rows = {"solved": solve, "near folder": median(lambda: seconds(first), repeat)}
    from intertwine_cache import Keyring

    keyring = Keyring(lab.folder / "key")
    for name, tier in lab.tiers.items():
        rows[name] = median(lambda tier=tier: seconds(Chain(lab.near(), [tier], keyring)), repeat)
    print(f"{f'{rep}':24}{'ms':>9}{'of the solve':>14}")
    for name, value in rows.items():
        print(f"{name:24}{1e3 * value:9.1f}{value / solve:14.2f}")


def rates(lab: Lab, megabytes: int, repeat: int) -> None:
    """Print the rate of a blob through each tier, and curl's."""
    blob = os.urandom(_PIECE)
    store = lab.near()
    entry = store.publish("0" * 64, lambda write: [write(blob) for _ in range(megabytes)], {})
    assert entry is not None
    manifest, path = entry
    lab.publish(store)
    web = lab.tiers["web server"].address
    url = f"{web}blobs/{manifest.digest[:2]}/{manifest.digest}"

    def curl() -> float:
        begun = time.perf_counter()
        subprocess.run(["curl", "-sf", "-o", lab.folder / "curled", url], check=True)
        return time.perf_counter() - begun

    def fetch(tier: Tier) -> float:
        near = lab.near()
        begun = time.perf_counter()
        near.adopt(manifest, lambda write: tier.read(manifest, write))
        seconds = time.perf_counter() - begun
        shutil.rmtree(near.layout.root)
        return seconds

    def copied() -> float:
        near = lab.near()
        begun = time.perf_counter()
        with path.open("rb") as file:
            pieces = iter(lambda: file.read(_PIECE), b"")
            near.adopt(manifest, lambda write: [write(piece) for piece in pieces])
        seconds = time.perf_counter() - begun
        shutil.rmtree(near.layout.root)
        return seconds

    base = median(curl, repeat)
    print(f"\n{f'{megabytes} MB':24}{'MB/s':>9}{'of curl':>14}")
    print(f"{'curl, not hashed':24}{megabytes / base:9.0f}{1.0:14.2f}")
    rows = {"a file, hashed, synced": copied}
    rows |= {name: (lambda tier=tier: fetch(tier)) for name, tier in lab.tiers.items()}
    for name, measure in rows.items():
        value = median(measure, repeat)
        print(f"{name:24}{megabytes / value:9.0f}{base / value:14.2f}")
    print(
        f"the peak of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB"
    )


def dead_tiers(lab: Lab) -> None:
    """Print the time of a session of small solves, without tiers and with a dead one."""

    def session(store: Store | Chain) -> float:
        begun = time.perf_counter()
        for k in range(_SOLVES):
            (k * V + V**2)(SO(3)).equivariant_basis(store=store)
        return time.perf_counter() - begun

    session(lab.near())
    alone = session(lab.near())
    print(f"\n{f'{_SOLVES} small solves':24}{'s':>9}{'more':>14}")
    print(f"{'no far tier':24}{alone:9.2f}{0:14.2f}")
    with silent_server() as silent:
        for name, address in (("nobody listens", "http://127.0.0.1:9/"), ("no answer", silent)):
            places = Places(lab.near().layout.root, (address,))
            seconds = session(open_store(places))
            print(f"{name:24}{seconds:9.2f}{seconds - alone:14.2f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=200, help="of the large blob")
    parser.add_argument("--repeat", type=int, default=3, help="measurements of each value")
    given = parser.parse_args(arguments)
    import logging

    logging.getLogger("intertwine.cache").setLevel(logging.ERROR)
    with lab() as there:
        hits(there, given.repeat)
        rates(there, given.megabytes, given.repeat)
        dead_tiers(there)


if __name__ == "__main__":
    main()
