"""The README's promises beside its code, which `test_pages` runs."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

from documents import ROOT, blocks, console, run_shell
from program import KEYS

README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]


def test_what_it_says_of_make_are_targets_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)\b", TEXT, re.MULTILINE))
    assert {"serve", "try", "test", "docs"} <= named <= targets
    assert {"serve", "try", "test", "check", "bench"} <= targets
    variables = re.findall(r"\b([A-Z]+)=", TEXT)
    assert all(re.search(rf"^{name} +\?=", makefile, re.MULTILINE) for name in variables)


def test_it_begins_with_two_commands() -> None:
    first = next(block for block in blocks(README) if block.language == "shell")
    assert first.text == "make serve\nmake test\n"


def test_the_notebook_has_five_lines() -> None:
    notebook = next(block for block in blocks(README) if block.language == "python")
    assert len(notebook.text.splitlines()) == 5


def test_make_try_of_another_rep_is_the_command_it_stands_for(tmp_path: Any) -> None:
    assert "make try REP='T(2,2)' GROUP='SO13p'" in TEXT
    ended = run_shell("intertwine basis --group=SO13p -- 'T(2,2)'", tmp_path)
    assert "4 invariants in 256 dimensions" in ended.stdout


def test_the_example_of_json_has_the_keys_in_their_order() -> None:
    (example,) = (block for block in blocks(README) if block.language == "console")
    ((command, shown),) = console(example)
    assert command.endswith("--json")
    keys = list(json.loads(re.sub(r" \.\.\.", " 0", shown)))
    assert keys == KEYS


def test_the_extras_are_those_of_the_project() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)
    assert sorted(listed) == sorted(PROJECT["optional-dependencies"])


def test_it_names_the_oldest_python_and_the_jax_that_it_gets() -> None:
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert f"Python {oldest} is the oldest" in TEXT
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^jax==(\S+)(?: ; (.*?))?(?: \\)?$", lock, re.MULTILINE)
    (ours,) = (version for version, marker in pins if "python_full_version < '3.12'" in marker)
    assert f"JAX {ours}" in TEXT


def test_the_licence_and_the_paper_are_named() -> None:
    assert f"Licence: [{PROJECT['license']}](LICENSE)" in TEXT
    assert "2104.09459" in TEXT
    for author in ("Finzi", "Welling", "Wilson"):
        assert author in TEXT
