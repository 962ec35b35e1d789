"""`intertwine open`: the addresses that it opens in the browser."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from helpers.program import called

DEFAULT = "http://127.0.0.1:8000"
_JOBS = ("jobs", "jobs/a1", "jobs/compare?job=a1&job=b2")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that the browser was asked to open."""
    found: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: found.append(address) or True)
    monkeypatch.delenv("INTERTWINE_URL", raising=False)
    return found


def test_the_front_page(opened: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert called("open").out == f"{DEFAULT}/\n"
    assert called("open", "--remote", "https://lab.example.org/intertwine/").code == 0
    monkeypatch.setenv("INTERTWINE_URL", "http://lab:9000")
    assert called("open").code == 0
    assert opened == [f"{DEFAULT}/", "https://lab.example.org/intertwine/", "http://lab:9000/"]


def test_a_basis(opened: list[str]) -> None:
    ended = called("open", "basis", "V>>V**2+'&", "--group", "SO(3)#1")
    assert ended.out == f"{opened[0]}\n"
    parts = urlsplit(opened[0])
    assert (parts.path, parse_qs(parts.query)) == (
        "/",
        {"rep": ["V>>V**2+'&"], "group": ["SO(3)#1"]},
    )


def test_a_group_and_the_catalogue(opened: list[str]) -> None:
    for place in ("before", "behind"):
        remote = ("--remote", "http://lab:1")
        first, last = (remote, ()) if place == "before" else ((), remote)
        assert called("open", *first, "group", "PointGroup(4/mmm)", *last).code == 0
    assert called("open", "group").code == 0
    assert opened == [
        *2 * ["http://lab:1/groups?name=PointGroup%284%2Fmmm%29"],
        f"{DEFAULT}/groups",
    ]


def test_jobs(opened: list[str]) -> None:
    for ids in ((), ("a1",), ("a1", "b2")):
        assert called("open", "job", *ids).code == 0
    assert opened == [f"{DEFAULT}/{path}" for path in _JOBS]
    ended = called("open", "job", "../x")
    assert (ended.code, len(opened)) == (2, 3)
    assert "`intertwine jobs list` shows them" in ended.err


def test_models(opened: list[str]) -> None:
    for arguments in ((), ("inertia",), ("inertia", "2")):
        assert called("open", "model", *arguments).code == 0
    paths = ("models", "models/inertia", "models/inertia/versions/2")
    assert opened == [f"{DEFAULT}/{path}" for path in paths]
    for wrong in (("../x",), ("a/b",), ("inertia", "0"), ("inertia", "new")):
        ended = called("open", "model", *wrong)
        assert (ended.code, len(opened)) == (2, 3), wrong
    assert "`intertwine models list` shows them" in called("open", "model", "..").err


def test_generators_are_a_part_of_the_address(opened: list[str], tmp_path: Path) -> None:
    given = json.dumps({"discrete_generators": [[1, 0]]})
    path = tmp_path / "group.json"
    path.write_text(given)
    assert called("open", "group", "--generators", path).code == 0
    assert parse_qs(urlsplit(opened[0]).query) == {"generators": [given]}
    path.write_text(" " * 10 + "9" * 30_000)
    ended = called("open", "basis", "V", "--generators", path)
    assert (ended.code, len(opened)) == (2, 1)
    assert "paste them there" in ended.err
    assert called("open", "basis", "V", "--generators", tmp_path / "none.json").code == 2


def test_without_a_browser_the_address_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    monkeypatch.delenv("INTERTWINE_URL", raising=False)
    ended = called("open")
    assert (ended.code, ended.out) == (0, f"{DEFAULT}/\n")
    assert "open the address on another one" in ended.err


def test_an_invalid_address_is_refused(opened: list[str]) -> None:
    ended = called("open", "--remote", "lab:8000")
    assert (ended.code, opened) == (2, [])
    assert "is not the address of a service" in ended.err
