"""Pages of documentation as programs: their code blocks, run as they are printed.

A ``python`` block is run with the names of the page's blocks before it; a ``text`` or ``json``
block after it is its output. ``python torch`` is a language of its own, for programs of PyTorch on
pages whose other programs do not need it. A ``shell`` block is run by bash. A ``console`` block has
commands behind ``$``, each followed by what it prints; there ``...`` stands for anything.
"""

from __future__ import annotations

import ast
import doctest
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.program import PROGRAM, environment

ROOT = Path(__file__).resolve().parents[2]
PRINTED = ("text", "json")
IN_PYTORCH = "python torch"
#: Where the pages' examples find a service.
ADDRESS = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its text, and the line where it begins."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [
        Block(match[1].strip(), match[2], text.count("\n", 0, match.start()) + 1) for match in found
    ]


def same(printed: str, expected: str) -> bool:
    """Whether the output equals that on the page, where ``...`` matches anything."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(expected.strip(), printed.strip(), flags)


_RUNNER = """
import contextlib, io, json, sys
sys.modules.update(dict.fromkeys(sys.argv[2:]))  # importing these fails
outputs, names = [], {"__name__": "__main__"}
for line, text in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile("\\n" * line + text, sys.argv[1], "exec"), names)
    outputs.append(printed.getvalue())
print(json.dumps(outputs))
"""


def run_python(
    page: Path,
    folder: Path,
    address: str = ADDRESS,
    language: str = "python",
    without: Sequence[str] = (),
) -> list[str]:
    """What each Python block of a page prints, run in a fresh interpreter where a warning fails.

    The service's address on the page is replaced by `address`. Modules named in `without` are
    missing.
    """
    programs = [
        (block.line, block.text.replace(ADDRESS, address))
        for block in blocks(page)
        if block.language == language
    ]
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", _RUNNER, str(page), *without],
        input=json.dumps(programs),
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(),
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    printed: list[str] = json.loads(ended.stdout)
    return printed


def definitions(page: Path) -> dict[str, Any]:
    """The functions and classes of a page's Python blocks, by name; nothing else there is run."""
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    names: dict[str, Any] = {"__name__": page.stem}
    for block in blocks(page):
        if block.language == "python":
            module = ast.parse(block.text)
            module.body = [statement for statement in module.body if isinstance(statement, kinds)]
            exec(compile(module, str(page), "exec"), names)
    return names


def printed_by_python(page: Path, language: str = "python") -> Iterator[tuple[int, Block]]:
    """For each block of output, the index of its Python block among the Python blocks."""
    number, before = -1, ""
    for block in blocks(page):
        number += block.language == language
        if block.language in PRINTED and before == language:
            yield number, block
        before = block.language


def require_same(page: Path, printed: Sequence[str], language: str = "python") -> None:
    """Require that the Python blocks have printed what the page shows."""
    for number, block in printed_by_python(page, language):
        assert same(printed[number], block.text), f"{page.name}:{block.line}\n{printed[number]}"


def run_shell(
    command: str, folder: Path, typed: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command with `intertwine` on the path; standard error joins standard output."""
    path = f"{PROGRAM.parent}:{environment().get('PATH', '')}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=environment(PATH=path, INTERTWINE_CACHE=str(folder / "cache"), **variables),
        timeout=300,
        check=False,
    )


def console(block: Block) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with its output."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        yield command, printed
