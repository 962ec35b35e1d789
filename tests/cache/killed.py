"""A program whose children act on a store, each killed with SIGKILL at another step of the act.

``python killed.py FOLDER ACT`` copies the store ``FOLDER/store`` for each child, and prints as
JSON the steps of the act, and for each child its copy, the number of the step, and whether it was
killed before or after it. ``python killed.py FOLDER ACT fail`` kills nobody: there the step, and
every one after it, fails for want of space.

The steps are not listed here: they are the calls that the act makes, in its own thread, to the
functions of `intertwine_cache.disk` and to those of `os` that change a disk.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import intertwine_cache.disk
from intertwine_cache import Store, verify
from intertwine_cache.eviction import evict

KEY = hashlib.sha256(b"a").hexdigest()
PIECES = [b"head" * 16, b"data" * 5000, b"tail"]
SYSTEM_CALLS = (
    "chmod fsync link mkdir open rename replace rmdir symlink truncate unlink utime write"
)


def publish(store: Store) -> None:
    """Publish PIECES under KEY."""

    def write_to(write: Callable[[bytes], Any]) -> None:
        for piece in PIECES:
            write(piece)

    store.publish(KEY, write_to, {"rank": 3})


ACTS: dict[str, Callable[[Store], Any]] = {
    "publish": publish,
    "read": lambda store: store.read(KEY),
    "reject": lambda store: store.reject(KEY, "no basis"),
    "remove": lambda store: store.remove(KEY),
    "clear": lambda store: store.clear(),
    "evict": lambda store: evict(store.layout, limit=1000),
    "repair": lambda store: list(verify(store, repair=True)),
}


class Steps:
    """Counts the steps of an act; kills the process at one of them, or lets all fail from there."""

    def __init__(self, last: int = sys.maxsize, how: str = "") -> None:
        self.names: list[str] = []
        self.last, self.how = last, how
        self.thread = threading.current_thread()
        disk = intertwine_cache.disk
        for name, value in list(vars(disk).items()):
            if callable(value) and getattr(value, "__module__", "") == disk.__name__:
                setattr(disk, name, self.watch(f"disk.{name}", value))
        for name in SYSTEM_CALLS.split():
            setattr(os, name, self.watch(f"os.{name}", getattr(os, name)))

    def watch(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with a step around it."""

        def watched(*arguments: Any, **options: Any) -> Any:
            if threading.current_thread() is not self.thread:
                return function(*arguments, **options)
            number = len(self.names)
            self.names.append(name)
            if number >= self.last and self.how == "fail":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if number == self.last and self.how == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return function(*arguments, **options)
            finally:
                if number == self.last:
                    os.kill(os.getpid(), signal.SIGKILL)

        return watched


def fork(act: Callable[[], None]) -> int:
    """Run in a child; how it ended."""
    child = os.fork()
    if child == 0:
        try:
            act()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(folder: Path, act: Callable[[Store], Any], hows: list[str]) -> None:
    """Print the steps and the children."""

    def copy(name: str) -> Path:
        target = folder / name
        if (folder / "store").exists():
            shutil.copytree(folder / "store", target, symlinks=True)
        return target

    def count() -> None:
        store = Store(copy("counted"))
        steps = Steps()
        act(store)
        (folder / "steps.json").write_text(json.dumps(steps.names))

    assert fork(count) == 0
    names = json.loads((folder / "steps.json").read_text())
    children = []
    for number in range(len(names)):
        for how in hows:
            root = copy(f"{number}-{how}")

            def stopped(root: Path = root, number: int = number, how: str = how) -> None:
                store = Store(root)
                Steps(number, how)
                act(store)

            ended = fork(stopped)
            assert ended == (0 if how == "fail" else -signal.SIGKILL), (number, names[number], how)
            children.append([str(root), number, how])
    print(json.dumps({"steps": names, "children": children}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), ACTS[sys.argv[2]], sys.argv[3:] or ["before", "after"])
