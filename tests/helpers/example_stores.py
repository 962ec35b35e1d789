"""Stores for tests: keys, contents, and the ways to corrupt a file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from intertwine_cache import Manifest, Store, verify

from helpers.patience import PATIENCE

MB = 10**6


def key(name: str) -> str:
    """A key in the solver's form."""
    return hashlib.sha256(name.encode()).hexdigest()


def digest(content: bytes) -> str:
    """The digest of a content."""
    return hashlib.sha256(content).hexdigest()


def publish(store: Store, name: str, content: bytes, **details: Any) -> tuple[Manifest, Path]:
    """Publish a content under the key of a name; it must succeed."""
    entry = store.publish(key(name), lambda write: write(content), details)
    assert entry is not None
    store.wait_for_eviction()
    return entry


def content(store: Store, name: str) -> bytes | None:
    """The content that the store has under the key of a name."""
    entry = store.read(key(name))
    return None if entry is None else entry[1].read_bytes()


def quarantined(store: Store) -> dict[str, str]:
    """The files in quarantine, and the reason for each."""
    notes = store.layout.quarantine.glob("*.reason")
    return {note.name.removesuffix(".reason"): note.read_text().strip() for note in notes}


def faults(store: Store) -> dict[str, str]:
    """The faults that `verify` finds, by file name."""
    return {finding.path.name: finding.reason for finding in verify(store)}


def leftovers(store: Store) -> list[str]:
    """Temporary files."""
    return sorted(path.name for path in store.layout.temporaries.glob("*"))


def age(path: Path, seconds: float) -> None:
    """Move a file's times into the past by this much."""
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def overwrite(path: Path, content: bytes) -> None:
    """Overwrite a file's bytes in place, keeping its mode."""
    mode = path.stat().st_mode
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(mode)


def flip(path: Path) -> None:
    """Flip one bit in the middle of a file and restore its times, like a failing disk."""
    stat = path.stat()
    spoilt = bytearray(path.read_bytes())
    spoilt[len(spoilt) // 2] ^= 1
    overwrite(path, bytes(spoilt))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def truncate(path: Path) -> None:
    """Cut off the end of a file."""
    overwrite(path, path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    """Add a byte to a file."""
    overwrite(path, path.read_bytes() + b"\0")


def empty(path: Path) -> None:
    """Cut off everything."""
    overwrite(path, b"")


def replace_by_folder(path: Path) -> None:
    """Put a folder where the file was."""
    path.unlink()
    path.mkdir()


#: What can happen to a blob that is still there.
BLOB_FAULTS: dict[str, Callable[[Path], None]] = {
    "a bit flipped": flip,
    "truncated": truncate,
    "lengthened": lengthen,
    "emptied": empty,
    "replaced by a folder": replace_by_folder,
}


def edit(path: Path, **changes: Any) -> None:
    """Change entries of a manifest; None takes one out."""
    document = {**json.loads(path.read_bytes()), **changes}
    kept = {name: value for name, value in document.items() if value is not None}
    overwrite(path, json.dumps(kept).encode())


def exchange_blobs(store: Store, first: str, second: str) -> None:
    """Let the manifests of two keys name each other's blob, with correct checksums."""
    a, b = store.manifest(first), store.manifest(second)
    assert a is not None
    assert b is not None
    for own, other in ((a, b), (b, a)):
        changed = dataclasses.replace(own, digest=other.digest, size=other.size)
        overwrite(store.layout.manifest(own.key), changed.to_bytes())


#: What can stand in place of a manifest, and the reason that is then given.
MANIFEST_FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (empty, "Expecting value"),
    "truncated": (truncate, "Expecting"),
    "no JSON": (lambda path: overwrite(path, b"\x89PNG\r\n"), "codec can't decode"),
    "no UTF-8": (lambda path: overwrite(path, b'{"version": "\xff"}'), "codec can't decode"),
    "a list": (lambda path: overwrite(path, b"[]"), "no manifest"),
    "a number": (lambda path: overwrite(path, b"1"), "no manifest"),
    "nested deeply": (lambda path: overwrite(path, b"[" * 10**6), "no manifest"),
    "of the future": (lambda path: edit(path, version=2), "version 2 is not 1"),
    "of no version": (lambda path: edit(path, version=None), "version"),
    "of another key": (lambda path: edit(path, key=key("another")), "stands under"),
    "of no key": (lambda path: edit(path, key=None), "key"),
    "without a digest": (lambda path: edit(path, digest=None), "digest"),
    "with a path for a digest": (lambda path: edit(path, digest="../../etc/passwd"), "no digest"),
    "with a number for a digest": (lambda path: edit(path, digest=7), "no digest"),
    "with a text for a size": (lambda path: edit(path, size="7"), "size or time"),
    "with a fraction for a size": (lambda path: edit(path, size=7.5), "size or time"),
    "with a truth for a size": (lambda path: edit(path, size=True), "size or time"),
    "with a text for a time": (lambda path: edit(path, created="today"), "size or time"),
    "of no time": (lambda path: edit(path, created=float("nan")), "size or time"),
    "of the end of time": (lambda path: edit(path, created=float("inf")), "size or time"),
    "of a time past every calendar": (lambda path: edit(path, created=10**400), "size or time"),
    "with a list for details": (lambda path: edit(path, details=[]), "details"),
    "with other details": (lambda path: edit(path, details={"rank": 7}), "checksum"),
    "of another size": (lambda path: edit(path, size=8), "checksum"),
}


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait until the condition holds; fail after a timeout."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)


@cache
def _own_mounts() -> tuple[str, ...] | None:
    """The command that runs a program with its own mounts, if the system allows it."""
    if shutil.which("unshare") and shutil.which("mount"):
        for command in (("unshare", "--mount"), ("unshare", "--mount", "--map-root-user")):
            attempt = "mount -t tmpfs -o size=1m tmpfs /tmp"
            done = subprocess.run([*command, "sh", "-c", attempt], capture_output=True, check=False)
            if done.returncode == 0:
                return command
    return None


def run_with_mounts(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a Python program with its own mounts, which end with it.

    `mount(…)` takes the arguments of the command.
    """
    command = _own_mounts()
    if command is None:
        pytest.skip("this system does not let a program have mounts of its own")
    preamble = (
        "import subprocess, sys\n"
        "def mount(*words): subprocess.run(['mount', *map(str, words)], check=True)\n"
    )
    return subprocess.run(
        [*command, sys.executable, "-c", preamble + program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
