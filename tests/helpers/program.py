"""The program `intertwine`, run in a separate process, or called in this one."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from intertwine_api.cli.program import main

PROGRAM = Path(sys.executable).with_name("intertwine")
#: Names the folder of compiled programs that the processes of one test run share (see conftest.py).
SHARED_PROGRAMS = "INTERTWINE_TESTS_PROGRAMS"

#: The keys of ``intertwine basis --json``, in their order.
KEYS = [
    *("key", "group", "rep", "canonical", "size", "rank", "method", "backend", "device"),
    *("residual", "orthonormality", "gap", "iterations", "seconds", "notes", "bytes", "cached"),
]


@dataclass(frozen=True)
class Ended:
    """How the program ended: its exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on standard output, without NaN and infinity."""

        def refuse(constant: str) -> None:
            raise ValueError(f"{constant} is no JSON")

        return json.loads(self.out, parse_constant=refuse)


def environment(**changes: str) -> dict[str, str]:
    """A reproducible environment without the user's cache.

    Many tests train networks of the same shapes in processes of their own. They share compiled
    programs, like the processes of a user.
    """
    return {
        **os.environ,
        "COLUMNS": "100",
        "INTERTWINE_CACHE": "off",
        "INTERTWINE_PROGRAMS": os.environ.get(SHARED_PROGRAMS, "off"),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        **changes,
    }


def intertwine(
    *arguments: str | bytes | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    memory: int | None = None,
    timeout: float = 300,
) -> Ended:
    """Run the program to its end, optionally with limited address space in bytes."""
    command = [PROGRAM, *arguments]
    return _run(command, cwd=cwd, env=env, memory=memory, timeout=timeout)


def called(*arguments: str | bytes | Path, cwd: Path | None = None) -> Ended:
    """Call the program in this process, which takes a tenth of the time."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with (
        # the programs of this process are not kept, whichever test imports JAX first
        patch.dict(os.environ, environment(INTERTWINE_PROGRAMS="off")),
        contextlib.chdir(cwd or Path.cwd()),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = main([os.fsdecode(argument) for argument in arguments])
    return Ended(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


def python(program: str, *arguments: str, memory: int | None = None, timeout: float = 300) -> str:
    """The output of a Python program in a fresh interpreter; it must succeed."""
    command = [sys.executable, "-c", program, *arguments]
    ended = _run(command, cwd=None, env=None, memory=memory, timeout=timeout)
    assert ended.code == 0, ended.err
    return ended.out


def _run(
    command: Sequence[Any],
    *,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    memory: int | None,
    timeout: float,
) -> Ended:
    if memory is not None:
        limited = f'ulimit -v {memory // 1024} 2>/dev/null; exec "$@"'
        command = ["sh", "-c", limited, "sh", *command]
    ended = subprocess.run(
        command,
        cwd=cwd,
        env=environment(**(env or {})),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())
