"""Servers that are programs of other projects, on free ports of loopback."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from helpers.patience import PATIENCE


def require_programs(name: str, programs: Sequence[str], packages: Sequence[str]) -> None:
    """Skip the test unless all programs are installed; in CI, where they must be, it fails."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        reason = (
            f"{name} is not installed (no {', '.join(missing)}): apt-get install "
            f"--no-install-recommends {' '.join(packages)}"
        )
        if "CI" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)


def free_ports(count: int) -> list[int]:
    """Different ports on which nobody listens.

    They are below those that systems give to connections and to servers that ask for any port:
    one of these could take a port before the program for which it was chosen does.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().randrange(10_000, 30_000)
        with contextlib.suppress(OSError):  # somebody listens
            socket.create_server(("127.0.0.1", port)).close()
            found += [port] * (port not in found)
    return found


@contextmanager
def running_program(
    command: Sequence[str | Path],
    log: Path,
    *,
    port: int | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """A program that runs until the end of the block, and listens on the port before it begins.

    It must stay in the foreground. Its output is added to `log`.
    """
    with log.open("a") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
        )
    try:
        give_up = time.monotonic() + PATIENCE
        while port is not None and not _is_open(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.02)
        yield
    finally:
        process.kill()
        process.wait()


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
