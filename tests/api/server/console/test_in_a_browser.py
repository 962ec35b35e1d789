"""The console in a real browser: typing, solving, downloads, a login, and no scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from helpers.browser import IN_A_BROWSER, UNNAMED, Browser
from helpers.example_lab import Lab
from helpers.service import running_service, stopped_workers
from intertwine.bases import from_bytes
from intertwine.reps import read_rep
from intertwine.verify import equivariance_error

pytestmark = IN_A_BROWSER


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("console") / "data"


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[httpx.Client]:
    with running_service(folder, workers="1", jobs="0") as client:
        yield client


def root(service: httpx.Client) -> str:
    return str(service.base_url).rstrip("/")


def test_from_a_text_to_the_file(service: httpx.Client, visitor: Browser) -> None:
    with visitor.tab() as tab:
        tab.go(f"{root(service)}/")
        tab.wait_for("Examples")
        tab.type("#rep", "V>>V**2")
        tab.type("#group", "SO(3)")
        tab.wait_for("27 coordinates")  # while it is typed
        tab.click("button[type=submit]")
        tab.wait_for("Rank 1")
        tab.wait_for("l=3")  # the irreps, which the script loads
        assert tab.run("location.search") == "?rep=V%3E%3EV**2&group=SO%283%29"
        tab.wait_until("document.querySelector('figure img').naturalWidth > 50")
        tab.click("[data-copies=python]")
        tab.wait_for("Press Ctrl+C")  # a headless browser does not allow more
        assert tab.run("getSelection().toString()").startswith("from intertwine.reps")
        link = tab.run("document.querySelector('a[download]').href")
        assert tab.run(UNNAMED) == []
    assert tab.page.complaints == []
    assert all(address.startswith(root(service)) for address in tab.page.requested)
    basis = from_bytes(httpx.get(link).content)
    maps = read_rep("V", "SO(3)"), read_rep("V**2", "SO(3)")
    assert basis.shape == (27, 1)
    assert equivariance_error(basis, *maps) < 1e-10


def test_an_error_while_typing(service: httpx.Client, visitor: Browser) -> None:
    with visitor.tab() as tab:
        tab.go(f"{root(service)}/?rep=V&group=SO(3)&check=1")
        tab.wait_for("3 coordinates")
        tab.type("#rep", "V>>(V+")
        tab.wait_for("a syntax error")
        caret = tab.run("document.querySelector('#reading pre').textContent").split("\n")[1]
        assert caret.index("^") == len("  V>>(V+")
        assert tab.run("document.querySelector('#reading').getAttribute('aria-live')") == "polite"
        tab.type("#rep", "V>>(V+V0)")
        tab.wait_for("12 coordinates")
        tab.type("#rep", "")
        tab.type("#group", "")
        tab.wait_until("!document.querySelector('#reading').textContent.trim()")
    # the browser reports each answer that is a problem, and nothing else
    assert all("422" in each or "refused" in each for each in tab.page.complaints)


def test_a_slow_solve_is_followed_without_a_reload(
    service: httpx.Client, folder: Path, visitor: Browser
) -> None:
    with visitor.tab() as tab:
        with stopped_workers(folder):
            tab.go(f"{root(service)}/?rep=V**2>>V**3&group=O(3)")
            tab.wait_for("Solving")
            tab.run("globalThis.isTheSamePage = true")
        tab.wait_for("Rank 0")
        assert tab.run("globalThis.isTheSamePage")
    assert tab.page.complaints == []


def test_it_can_be_used_without_scripts(service: httpx.Client, visitor: Browser) -> None:
    with visitor.tab(scripts=False) as tab:
        tab.go(f"{root(service)}/")
        tab.wait_for("Examples")
        tab.type("#rep", "V**2")
        tab.type("#group", "Z(5)")
        tab.click("button[type=submit]")
        tab.wait_for("Rank 5")
        tab.wait_until("document.querySelector('figure img').naturalWidth > 50")
        tab.click("#irreps a")
        tab.wait_for("Multiplicity")
        assert tab.run("document.querySelectorAll('tbody tr').length") == 3
    assert tab.page.complaints == []


def test_a_key_opens_a_session(lab: Lab, visitor: Browser) -> None:
    with visitor.tab() as tab:
        tab.go(f"{lab.address}/lab/groups?name=SO(3)")
        tab.wait_for("Log in with an API key")
        tab.click("main a.button")
        tab.type("#key", lab.tokens["bases:solve"])
        tab.click("main button")
        tab.wait_for("Killing form")
        tab.wait_for("l=2")  # the script sends the session's cookie
        assert tab.run("document.cookie") == ""
        tab.click("nav form button")
        tab.wait_for("Access")
        tab.go(f"{lab.address}/lab/")
        tab.wait_for("Log in with an API key")
    # the browser reports the answers without a session, and nothing else
    assert all("401" in each or "refused" in each for each in tab.page.complaints)
