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
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intertwine.errors import IntertwineError

from intertwine_api.storage.background import yield_processors

if TYPE_CHECKING:
    from intertwine_api.wire.polynomial_request import PolynomialTask

Send = Callable[[dict[str, Any]], None]

_INTERVAL = 0.2  # seconds between two messages of progress
_UPLOAD_SECONDS = 3600.0  # after which an upload is no longer waited for


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

    from intertwine_cache import Chain, open_store_at

    from intertwine_api.work.tier_reports import reports_of

    store = open_store_at(Path(arguments.store), arguments.store_limit)
    sending = threading.Lock()

    def send(message: dict[str, Any]) -> None:
        if isinstance(store, Chain) and not {"ready", "progress"} & message.keys():
            message = {**message, "tiers": reports_of(store)}
        with sending:
            outbox.write(json.dumps(message, allow_nan=False) + "\n")
            outbox.flush()

    send({"ready": os.getpid()})
    for line in sys.stdin:
        try:
            task = json.loads(line)
            if task.pop("decompose", False):
                _decompose(task, send)
            elif "polynomials" in task:
                _find_polynomials(task.pop("polynomials"), task, send)
            elif "check" in task:
                _check(Path(task.pop("check")), task, store, send)
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
        found = decompose(read_rep(task["rep"], task.get("group"), task.get("reps")))
    except IntertwineError as error:
        send({"failed": from_error(error).model_dump()})
        return
    send({"done": {"cached": False, "blob": None, "document": found.to_json()}})


def _find_polynomials(what: PolynomialTask, task: dict[str, Any], send: Send) -> None:
    from intertwine_api.wire.polynomial_request import find_polynomials
    from intertwine_api.wire.problems import from_error

    try:
        document = find_polynomials(what, task)
    except IntertwineError as error:
        send({"failed": from_error(error).model_dump()})
        return
    send({"done": {"cached": False, "blob": None, "document": document}})


def _check(file: Path, task: dict[str, Any], store: Any, send: Send) -> None:
    """Publish the basis in a file that a caller has sent, if it is proven to be that of a request.

    It is written anew, with a certificate of what is measured here. The document says where it is,
    or, under ``unproven``, why nothing shows that no column is missing.
    """
    from intertwine.bases.files import read_basis
    from intertwine.bases.store import publish_basis
    from intertwine.errors import FormatError, SolveError, Unproven
    from intertwine.invariants import describe
    from intertwine.invariants.arrivals import certified
    from intertwine.invariants.solver import request_document

    from intertwine_api.wire.basis_request import parse_request
    from intertwine_api.wire.problems import Problem, from_error

    done: dict[str, Any] = {"cached": False, "blob": None, "outcome": "checked"}
    try:
        asked = parse_request(task)
        try:
            basis = certified(asked.canonical, read_basis(file, asked.key))
        except Unproven as error:
            send({"done": {**done, "document": {"unproven": str(error)}}})
            return
        except (SolveError, FormatError) as error:
            reason = str(error).replace(str(file), "the file")
            send(
                {"failed": Problem.of("not-sound", f"the basis is refused: {reason}").model_dump()}
            )
            return
        kept = publish_basis(
            store,
            asked.key,
            basis,
            describe(asked.canonical),
            request_document(asked.canonical, asked.method, asked.backend),
        )
    except FileNotFoundError:
        gone = Problem.of("wrong-state", "the blob was deleted meanwhile: send it again")
        send({"failed": gone.model_dump()})
        return
    except IntertwineError as error:
        send({"failed": from_error(error).model_dump()})
        return
    if kept is None:
        detail = f"the basis of {asked.canonical} is sound, and the store could not keep its bytes"
        send({"failed": Problem.of("not-kept", detail).model_dump()})
        return
    done["document"] = {"digest": kept[0].digest, "bytes": kept[0].size}
    _send_done(done, asked.key, store, send)


def _solve(task: dict[str, Any], store: Any, send: Send, unkept: int) -> None:
    from intertwine.bases import to_bytes
    from intertwine.invariants import METHODS, Progress, solve
    from intertwine_cache import Chain

    from intertwine_api.wire.basis_request import parse_request
    from intertwine_api.wire.problems import from_error

    last = 0.0

    def report(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last > _INTERVAL:
            last = time.monotonic()
            send({"progress": {"stage": progress.stage, "fraction": progress.fraction}})

    is_expected = task.pop("expected", False)  # because another host had its lease
    try:
        asked = parse_request(task)
        if isinstance(store, Chain):
            store.ask_again(asked.key, is_expected=is_expected)
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
    _send_done(done, asked.key, store, send)


def _send_done(done: dict[str, Any], key: str, store: Any, send: Send) -> None:
    """Send a result at once, and another message when its uploads to far tiers have ended."""
    from intertwine_cache import Chain

    if not (isinstance(store, Chain) and store.is_uploading(key)):
        send({"done": done})
        return
    chain = store

    def wait() -> None:
        chain.finish(_UPLOAD_SECONDS, key)
        send({"uploaded": key})

    send({"done": {**done, "uploading": key}})
    threading.Thread(target=wait, name="end of uploads", daemon=True).start()


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
