"""`intertwine catalogue`: from a list of reps to a web folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.program import Ended, intertwine


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "INTERTWINE_CACHE": str(tmp_path / "store"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }


def build(folder: Path, lines: str, environment: dict[str, str]) -> Ended:
    listed = folder / "reps.txt"
    listed.write_text(lines, "utf-8")
    public = str(folder / "public")
    return intertwine(
        "catalogue", "build", public, "--list", str(listed), "--json", env=environment
    )


def bases(folder: Path) -> list[tuple[str, str, int]]:
    document = json.loads((folder / "public" / "catalogue.json").read_text("utf-8"))
    return [(row["group"], row["rep"], row["rank"]) for row in document["bases"]]


def test_a_list_becomes_a_folder(tmp_path: Path, environment: dict[str, str]) -> None:
    ended = build(tmp_path, "SO(3): V**2\nSO(3): V*V.T\nS(4): V>>V\n", environment)
    assert ended.code == 0
    assert (ended.json["bases"], ended.json["failed"]) == (2, 0)  # two texts are of one rep
    assert bases(tmp_path) == [("SO(3)", "V²", 1), ("S(4)", "V²", 2)]


@pytest.mark.slow
def test_what_is_not_solved_is_left_out_and_said(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    ended = build(tmp_path, "SO(3): V**40\nSO(3): V**2\n", environment)
    assert (ended.code, ended.json["failed"]) == (1, 1)
    assert "SO(3): V**40 is left out: " in ended.err
    assert bases(tmp_path) == [("SO(3)", "V²", 1)]


@pytest.mark.slow
def test_without_a_store_nothing_else_is_written(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    ended = build(tmp_path, "SO(3): V**2\n", {**environment, "INTERTWINE_CACHE": "off"})
    assert ended.code == 0
    assert not (tmp_path / "store").exists()


def test_a_wrong_line_is_refused_before_anything_is_solved(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    ended = build(tmp_path, "SO(3): V**2\nSO(3): V**\n", environment)
    assert (ended.code, ended.out) == (2, "")
    assert "line 2, 'SO(3): V**'" in ended.err
    assert not (tmp_path / "public").exists()


def test_the_default_list_can_be_printed() -> None:
    lines = intertwine("catalogue", "list").out.splitlines()
    assert "SO(3): V**4" in lines
    assert len(lines) > 300
