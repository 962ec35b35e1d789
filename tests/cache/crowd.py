"""A program whose children share a store: ``python crowd.py ROLES FOLDER COUNT SECONDS``.

It prints what each child answered, as JSON. All children begin at the same moment.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from intertwine.bases import Basis, Certificate, Dense
from intertwine.bases.store import obtain
from intertwine_cache import Store, verify
from intertwine_cache.eviction import evict

NAMES = "abcdefgh"


def key(name: str) -> str:
    """The key of a name."""
    return hashlib.sha256(name.encode()).hexdigest()


def content(name: str) -> bytes:
    """What belongs under the key of a name."""
    return name.encode() * 20_000


def append(path: Path, line: str) -> None:
    """Add a line to a file that others write to as well."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def ask(folder: Path, seconds: float, together: int = 1) -> Any:
    """Ask for one basis, whose solve is counted, takes a while, and never gives the same twice.

    It does not end before so many have begun.
    """

    def solve() -> Basis:
        append(folder / "solves", str(os.getpid()))
        while len((folder / "solves").read_text().splitlines()) < together:
            time.sleep(0.01)
        time.sleep(seconds)
        rng = np.random.default_rng(int.from_bytes(os.urandom(8), "little"))
        matrix = np.linalg.qr(rng.standard_normal((100, 10)))[0]
        certificate = Certificate("svd", "numpy", "cpu", 100, 10, 0.0, 0.0, 1e9, 1, seconds)
        return Basis(Dense(matrix), certificate)

    basis = obtain(Store(folder / "store"), key("a"), {}, solve)
    return [basis.cached, basis.dense().ravel()[:5].tolist(), basis.certificate.to_json()]


def repeat(act: Callable[[Store], None]) -> Callable[[Path, float], Any]:
    """Act until the time is over, and several times; what was wrong, if anything."""

    def acting(folder: Path, seconds: float) -> Any:
        store = Store(folder / "store", limit=10**6)
        turns, end = 0, time.monotonic() + seconds
        while turns < 4 or time.monotonic() < end:
            act(store)
            turns += 1
        store.wait_for_eviction()
        return turns

    return acting


def use(store: Store) -> None:
    """Read any key; what is served must be what belongs there. Publish it if it is missing."""
    name = random.choice(NAMES)
    entry = store.read(key(name))
    if entry is None:
        entry = store.publish(key(name), lambda write: write(content(name)), {"name": name})
    if entry is not None:
        try:
            whole = entry[1].read_bytes()
        except FileNotFoundError:
            return  # deleted since
        assert whole == content(name), name
        assert entry[0].details == {"name": name}


def look(store: Store) -> None:
    """Everything that lists."""
    for manifest in store.manifests():
        assert manifest.key == key(manifest.details["name"])
    store.statistics()
    for finding in verify(store):
        assert finding.reason == "its blob is missing", finding


ROLES: dict[str, Callable[[Path, float], Any]] = {
    "ask": ask,
    "ask without locks": lambda folder, together: ask(folder, 0.0, int(together)),
    "use": repeat(use),
    "look": repeat(look),
    "clear": repeat(lambda store: time.sleep(0.01 + 0 * store.clear())),
    "evict": repeat(lambda store: time.sleep(0.01 + 0 * evict(store.layout, 50_000))),
    "repair": repeat(lambda store: time.sleep(0.01 + 0 * len(list(verify(store, repair=True))))),
    "remove": repeat(lambda store: time.sleep(0.002 + store.remove(key(random.choice(NAMES))) * 0)),
}


def main(roles: list[str], folder: Path, count: int, seconds: float) -> None:
    """Fork the children, let them go, and collect their answers."""
    gate, opener = os.pipe()
    children = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            os.close(opener)
            os.read(gate, 1)  # ends when the parent closes its end
            status = 1
            try:
                answer = ROLES[roles[number % len(roles)]](folder, seconds)
                (folder / f"answer-{number}").write_text(json.dumps(answer))
                status = 0
            finally:
                if status:
                    traceback.print_exc()
                sys.stderr.flush()
                os._exit(status)
        children.append(child)
    os.close(opener)
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    answers = [
        json.loads((folder / f"answer-{number}").read_text()) if status == 0 else None
        for number, status in enumerate(ended)
    ]
    print(json.dumps({"ended": ended, "answers": answers}))


if __name__ == "__main__":
    main(sys.argv[1].split(","), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
