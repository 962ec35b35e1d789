"""Each kind of addition has a list of files, which is short, and whose files exist."""

from __future__ import annotations

import re

import pytest
from helpers.documents import ROOT

MOST = {
    "A group": 4,
    "A storage of bases": 4,
    "A kind of job": 4,
    "An endpoint with client method and command": 7,
    "A layer": 5,
}
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## How to add")[2]
LISTS = {
    title: re.findall(r"^\d+\. `([^`]+)`", body, re.MULTILINE)
    for title, body in re.findall(
        r"^### ([^\n]+)\n(.*?)(?=^### |\Z)", TEXT, re.MULTILINE | re.DOTALL
    )
}


def test_every_kind_of_addition_has_its_list() -> None:
    assert set(LISTS) == set(MOST)


@pytest.mark.parametrize("title", MOST)
def test_an_addition_touches_few_files_which_exist(title: str) -> None:
    files = LISTS[title]
    assert 0 < len(set(files)) == len(files) <= MOST[title]
    assert any("test" in name or "example" in name for name in files)
    for name in files:
        path = ROOT / name
        assert path.parent.is_dir() if "<" in name else path.is_file(), name


@pytest.mark.parametrize("kind", ["solve", "train"])
def test_only_the_registry_imports_a_kind_of_job(kind: str) -> None:
    pattern = re.compile(rf"{kind}_job import {kind.upper()}\b")
    sources = (ROOT / "api" / "intertwine_api").rglob("*.py")
    knowing = [path.name for path in sources if pattern.search(path.read_text(encoding="utf-8"))]
    assert knowing == ["kinds.py"]


def test_a_catalogue_group_is_named_only_in_the_listed_files() -> None:
    sources = [*(ROOT / "solver").rglob("*.py"), *(ROOT / "api").rglob("*.py")]
    naming = {
        str(path.relative_to(ROOT))
        for path in sources
        if re.search(r"\bScaling\b", path.read_text(encoding="utf-8"))
    }
    assert naming == {name for name in LISTS["A group"] if name.startswith("solver")}
