"""Benchmarks of tiers: hits, transfer rates, lists of keys, a dead tier, and many processes.

One run prints five tables:

- the time of one basis from each tier, compared with its solve, and with curl for the same files;
- the rate of a large blob through each tier, compared with curl, and the memory that it takes;
- the time to list many keys, compared with the bare requests;
- a session of small solves with a tier that does not answer, compared with one without tiers;
- 64 processes that ask one service for the same bases. Each basis is solved once.

Everything is on loopback: `intertwine serve`, moto's S3 server, and, if they are installed, Ceph's
S3 gateway and nginx. Without nginx, files are served by Python.

    python benchmarks/cache.py
    python benchmarks/cache.py --megabytes 1000 --repeat 5
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import httpx
from helpers.ceph import ceph_gateway
from helpers.example_tiers import nginx_folder, s3_server, silent_server, web_folder
from helpers.service import service_process
from intertwine.groups import SO
from intertwine.reps import V
from intertwine_cache import Chain, Keyring, Manifest, Places, Store, open_store
from intertwine_cache.layout import blob_path, manifest_path
from intertwine_cache.tiers.folder import FolderTier
from intertwine_cache.tiers.object_store import ObjectTier
from intertwine_cache.tiers.opening import open_tier
from intertwine_cache.tiers.service import SERVICE_ROOT
from intertwine_cache.tiers.tier import Tier

_SOLVES = 200
_KEYS = 10_000
_PIECE = 2**20
_BUCKET = "s3://lab/bases"
#: How curl signs a request without a body.
_SIGNED = (
    *("--aws-sigv4", "aws:amz:us-east-1:s3", "--user", "testkey:testsecret"),
    *("-H", f"x-amz-content-sha256: {hashlib.sha256(b'').hexdigest()}"),
)


@dataclass(frozen=True)
class Place:
    """A far tier: its address, and how curl gets the files below its root."""

    address: str
    url: str
    environment: Mapping[str, str] = field(default_factory=dict)
    curl_options: tuple[str, ...] = ()

    def tier(self) -> Tier:
        """The opened tier."""
        with patch.dict(os.environ, self.environment):
            return open_tier(self.address, is_writable=True, limit=10**12)

    def curl(self, folder: Path, *paths: str) -> float:
        """The seconds in which curl writes files to a folder, with one connection."""
        command = ["curl", "--silent", "--fail", *self.curl_options]
        for path in paths:
            command += [self.url + path, "-o", str(folder / "curled")]
        begun = time.perf_counter()
        subprocess.run(command, check=True)
        return time.perf_counter() - begun


class Lab:
    """A folder, a service, a web server and S3 servers with the same files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._near = folder, 0
        self.places: dict[str, Place] = {}
        self.shared, self.served = folder / "shared", folder / "service" / "cache"

    def near(self) -> Store:
        """A new near folder."""
        self._near += 1
        return Store(self.folder / f"near{self._near}", 10**12)

    def publish(self, store: Store) -> None:
        """Copy the files of a store to every tier; to the service on its disk."""
        tiers = [place.tier() for place in self.places.values()]
        tiers.append(FolderTier(self.served, is_writable=True, limit=10**12))
        for manifest in store.manifests():
            for tier in tiers:
                if tier.is_writable:
                    tier.publish(manifest, store.layout.blob(manifest.digest))


@contextlib.contextmanager
def lab() -> Iterator[Lab]:
    """Real servers on loopback."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name,
        contextlib.ExitStack() as servers,
    ):
        there = Lab(Path(name))
        os.environ["XDG_CONFIG_HOME"] = str(there.folder / "config")
        os.environ.pop("INTERTWINE_KEY", None)
        root = there.shared / "v1"
        for part in ("manifests", "blobs"):
            (root / part).mkdir(parents=True)
        there.places["folder"] = Place(str(there.shared), f"file://{root}/")
        service = servers.enter_context(service_process(there.folder / "service"))
        there.places["service"] = Place(service.address, service.address + SERVICE_ROOT)
        if shutil.which("nginx"):
            web = servers.enter_context(nginx_folder(there.folder / "nginx", root))
            there.places["web folder (nginx)"] = Place(web, web)
        else:
            web = servers.enter_context(web_folder(root))
            there.places["web folder (Python)"] = Place(web, web)
        s3 = {"S3 (moto)": servers.enter_context(s3_server(there.folder))}
        if shutil.which("radosgw"):
            (there.folder / "ceph").mkdir()
            ceph = servers.enter_context(ceph_gateway(there.folder / "ceph"))
            s3["S3 (Ceph)"] = ceph.environment
        for kind, environment in s3.items():
            url = f"{environment['AWS_ENDPOINT_URL']}/{_BUCKET.removeprefix('s3://')}/"
            there.places[kind] = Place(_BUCKET, url, environment, _SIGNED)
        yield there


def median(measure: Callable[[], float], repeat: int) -> float:
    """The median of several measurements."""
    return statistics.median(measure() for _ in range(repeat))


def hits(lab: Lab, repeat: int) -> None:
    """Print the time of a basis from each tier, in a new near folder each time."""
    rep = (V**8)(SO(3))
    first = lab.near()

    def seconds(store: Store | Chain | bool, place: str = "") -> float:
        begun = time.perf_counter()
        basis = rep.equivariant_basis(method="krylov", store=store)
        taken = time.perf_counter() - begun
        assert basis.cached == place, (basis.cached, place)
        return taken

    solve = median(lambda: seconds(False), repeat)
    stored = median(lambda: seconds(lab.near()), repeat)
    seconds(first)
    lab.publish(first)
    (manifest,) = first.manifests()
    print(f"{f'{rep}, {manifest.size:,} bytes':32}{'ms':>9}{'of the solve':>14}{'curl, ms':>11}")
    print(f"{'solved':32}{1e3 * solve:9.1f}{1:14.2f}")
    print(f"{'solved and stored':32}{1e3 * stored:9.1f}{stored / solve:14.2f}")
    near = median(lambda: seconds(first, first.name), repeat)
    print(f"{'near folder':32}{1e3 * near:9.1f}{near / solve:14.2f}")
    keyring = Keyring(lab.folder / "key")
    paths = manifest_path(manifest.key), blob_path(manifest.digest)
    for name, place in lab.places.items():
        tier = place.tier()
        value = median(
            lambda tier=tier: seconds(Chain(lab.near(), [tier], keyring), tier.address), repeat
        )
        curl = median(lambda place=place: place.curl(lab.folder, *paths), repeat)
        print(f"{name:32}{1e3 * value:9.1f}{value / solve:14.2f}{1e3 * curl:11.1f}")


#: Fetches a small blob and then a large one; prints the seconds and the growth of the memory.
_FETCH = """
import json, sys, time
from pathlib import Path
from intertwine_cache import Places, open_store

near, address, small, large = sys.argv[1:]
store = open_store(Places(Path(near), (address,)), 10**12)

def fetch(key):
    assert store.fetch(key, lambda path, is_trusted: None, 10**12) is not None, key

def resident(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))

fetch(small)
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # reset the peak
before = resident("VmRSS")
begun = time.perf_counter()
fetch(large)
print(json.dumps([time.perf_counter() - begun, resident("VmHWM") - before]))
"""


def rates(lab: Lab, megabytes: int, repeat: int) -> None:
    """Print the rate of a blob through each tier, and that of curl from the same server.

    A fresh process fetches it into a new near folder, where it is hashed and synced to the disk.
    Its memory is the growth of its resident memory at the peak. The ratio is the median of ratios.
    """
    piece, store = os.urandom(_PIECE), lab.near()
    small, large = (digit * 64 for digit in "01")
    store.publish(small, lambda write: write(piece), {})
    store.publish(large, lambda write: [write(piece) for _ in range(megabytes)], {})
    manifest = store.manifest(large)
    assert manifest is not None
    lab.publish(store)
    print(f"\n{f'{megabytes} MB':32}{'MB/s':>9}{'curl, MB/s':>14}{'ratio':>11}{'memory, MB':>13}")
    for name, place in lab.places.items():

        def fetched(place: Place = place) -> tuple[float, float]:
            near = lab.near().layout.root
            done = subprocess.run(
                [sys.executable, "-c", _FETCH, near, place.address, small, large],
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, **place.environment},
            )
            assert done.returncode == 0, done.stderr
            shutil.rmtree(near)
            seconds, memory = json.loads(done.stdout)
            return seconds, memory

        rows = []
        for _ in range(repeat):  # in turns, since other programs may use the disk
            curl = place.curl(lab.folder, blob_path(manifest.digest))
            seconds, memory = fetched()
            rows.append((megabytes / seconds, megabytes / curl, curl / seconds, memory / 2**20))
        rate, base, ratio, grown = map(statistics.median, zip(*rows, strict=True))
        print(f"{name:32}{rate:9.0f}{base:14.0f}{ratio:11.2f}{grown:13.0f}")


def lists(lab: Lab, repeat: int) -> None:
    """Print the time to list many keys of a folder and of S3, and that of curl for its pages."""
    store, keys = Store(lab.folder / "listed"), set()
    store.layout.create()
    for number in range(_KEYS):
        manifest = Manifest(hashlib.sha256(b"%d" % number).hexdigest(), "0" * 64, 0, 0.0, {})
        path = store.layout.manifest(manifest.key)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(manifest.to_bytes())
        keys.add(manifest.key)

    def seconds(tier: Tier) -> float:
        begun = time.perf_counter()
        assert set(tier.keys()) == keys
        return time.perf_counter() - begun

    print(f"\n{f'{_KEYS:,} keys listed':32}{'s':>9}{'curl, s':>14}{'ratio':>11}")
    folder = FolderTier(store.layout.root, is_writable=False, limit=10**9)
    print(f"{'folder':32}{median(lambda: seconds(folder), repeat):9.2f}")
    for name, place in lab.places.items():
        if place.address != _BUCKET:
            continue
        with patch.dict(os.environ, place.environment):
            _put_empty("s3://lab/listed", map(manifest_path, keys))
            bucket = ObjectTier("s3://lab/listed", is_writable=False)
        value = median(lambda bucket=bucket: seconds(bucket), repeat)
        curl = median(lambda place=place: _pages(place, "listed/manifests/"), repeat)
        print(f"{name:32}{value:9.2f}{curl:14.2f}{value / curl:11.2f}")


def _put_empty(address: str, paths: Iterator[str]) -> None:
    import obstore
    from obstore.store import from_url

    target = from_url(address, client_options={"allow_http": True})
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda path: obstore.put(target, path, b"{}"), paths))


def _pages(place: Place, prefix: str) -> float:
    """The seconds of the requests for all pages of a list."""
    bucket, begun, token = place.url.removesuffix("bases/"), time.perf_counter(), ""
    while True:
        query = f"list-type=2&prefix={quote(prefix, safe='')}"
        if token:  # in the order in which they are signed
            query = f"continuation-token={quote(token, safe='')}&{query}"
        command = ["curl", "--silent", "--fail", *place.curl_options]
        url = f"{bucket.rstrip('/')}?{query}"
        page = subprocess.run([*command, url], capture_output=True, text=True, check=True)
        found = re.search("<NextContinuationToken>(.*?)<", page.stdout)
        if found is None:
            return time.perf_counter() - begun
        token = found[1]


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


_NOTEBOOK = """
import http.client, json, sys, time
port, number, reps = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
begun = time.perf_counter()
server = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
def ask(method, path, body=None):
    headers = {"Content-Type": "application/json", "Prefer": "wait=60"}
    server.request(method, path, body, headers)
    answer = server.getresponse()
    content = json.loads(answer.read())
    if answer.status == 503:
        time.sleep(float(answer.headers["Retry-After"]))
        return ask(method, path, body)
    if answer.status == 202:
        time.sleep(0.1)
        return ask("GET", answer.headers["Location"])
    assert answer.status == 200, content
    return content["digest"]
place = number * len(reps) // 64  # each begins with another one
digests = {}
for rep in reps[place:] + reps[:place]:
    digests[rep] = ask("POST", "/v1/bases", json.dumps({"rep": rep, "group": "SO(3)"}))
print(json.dumps([time.perf_counter() - begun, digests]))
"""


def notebooks(lab: Lab) -> None:
    """Print how long 64 processes take that ask one service for the same 50 uncached bases."""
    from helpers.service import metric, service_process

    reps = [f"V**4+{copies}V" for copies in range(1, 51)]
    with (
        service_process(lab.folder / "service", jobs="0") as service,
        httpx.Client(base_url=service.address, timeout=60) as client,
        contextlib.ExitStack() as stack,
    ):
        port = service.address.rpartition(":")[2]
        command = [sys.executable, "-I", "-S", "-c", _NOTEBOOK, port]
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [*command, str(number), json.dumps(reps)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for number in range(64)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        begun = time.perf_counter()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        answers = [json.loads(process.communicate()[0]) for process in processes]
        wall = time.perf_counter() - begun
        outcomes = {
            name: metric(client, "intertwine_solves_total", outcome=name)
            for name in ("solved", "joined", "failed")
        }
    assert all(digests == answers[0][1] for _, digests in answers)
    assert outcomes["solved"] == len(reps), outcomes
    print(f"\n{'64 processes, 50 bases':24}{'':>9}")
    print(f"{'solves, each once':24}{outcomes['solved']:9.0f}")
    print(f"{'requests per second':24}{64 * len(reps) / wall:9.0f}")
    print(f"{'seconds in all':24}{wall:9.2f}")
    print(f"{'median of a process':24}{statistics.median(s for s, _ in answers):9.2f}")


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
        lists(there, given.repeat)
        dead_tiers(there)
        notebooks(there)


if __name__ == "__main__":
    main()
