"""A worker process, which solves: it reads tasks, and writes messages, as lines of JSON.

It is spawned, never forked. A timeout, a lack of memory or a crash in native code fails its own
task alone.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from intertwine.errors import IntertwineError

from intertwine_api.storage.background import yield_processors

Send = Callable[[dict[str, Any]], None]

_INTERVAL = 0.2  # seconds between two messages of progress


def main() -> int:
    """Read tasks from standard input until it is closed."""
    arguments = _arguments()
    if arguments.long:
        yield_processors()
    if arguments.memory:
        _limit_memory(arguments.memory)
    outbox = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    # a library may print, and must not break the messages
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def send(message: dict[str, Any]) -> None:
        outbox.write(json.dumps(message, allow_nan=False) + "\n")
        outbox.flush()

    from intertwine_cache import open_store_at

    store = open_store_at(Path(arguments.store), arguments.store_limit)
    send({"ready": os.getpid()})
    for line in sys.stdin:
        try:
            task = json.loads(line)
            if task.pop("decompose", False):
                _decompose(task, send)
            else:
                _solve(task, store, send, arguments.unkept)
        except MemoryError:
            send({"failed": {"code": "out-of-memory"}})
    return 0


def _decompose(task: dict[str, Any], send: Send) -> None:
    from intertwine.irreps import decompose
    from intertwine.reps import read_rep

    from intertwine_api.wire.problems import from_error

    try:
        found = decompose(read_rep(task["rep"], task.get("group")))
    except IntertwineError as error:
        send({"failed": from_error(error).model_dump()})
        return
    send({"done": {"cached": False, "blob": None, "document": found.to_json()}})


def _solve(task: dict[str, Any], store: Any, send: Send, unkept: int) -> None:
    from intertwine.bases import to_bytes
    from intertwine.invariants import METHODS, Progress, solve

    from intertwine_api.wire.basis_request import parse_request
    from intertwine_api.wire.problems import from_error

    last = 0.0

    def report(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last > _INTERVAL:
            last = time.monotonic()
            send({"progress": {"stage": progress.stage, "fraction": progress.fraction}})

    try:
        asked = parse_request(task)
        basis = solve(
            asked.canonical,
            method=asked.method,
            backend=asked.backend,
            tolerance=asked.tolerance,
            progress=report,
            store=store,
        )
    except IntertwineError as error:
        send({"failed": from_error(error).model_dump()})
        return
    method = basis.certificate.method
    done: dict[str, Any] = {
        "cached": bool(basis.cached),
        "blob": None,
        "method": method if method in METHODS else "several",  # an assembled basis names them all
    }
    if store.near.manifest(asked.key) is None and basis.nbytes <= unkept:
        done["blob"] = base64.b64encode(to_bytes(basis)).decode()
    send({"done": done})


def _limit_memory(limit: int) -> None:
    try:
        import resource
    except ImportError:  # the platform has no such limit
        return
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", required=True, help="the folder of the store")
    parser.add_argument("--store-limit", type=int, required=True, help="its limit in bytes")
    parser.add_argument("--memory", type=int, default=0, help="the bytes of memory to take at most")
    parser.add_argument("--long", action="store_true", help="its tasks may take long")
    parser.add_argument(
        "--unkept",
        type=int,
        default=0,
        help="the largest basis, in bytes, to send in a message where the store cannot keep it",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
