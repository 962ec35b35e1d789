"""Every page of the console in a real browser: accessible, narrow, behind a proxy, no scripts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from helpers.browser import IN_A_BROWSER, TOO_WIDE, UNNAMED, Browser, Tab
from helpers.console_pages import (
    LARGEST_SCREENSHOT,
    PAGES,
    SCREENSHOTS,
    ConsolePage,
    Screenshot,
    content,
    learn,
)
from helpers.documents import ROOT
from helpers.driven_jobs import TRAINING, DrivenJobs, driven_jobs
from helpers.example_lab import Lab
from helpers.service import running_service
from PIL import Image

pytestmark = IN_A_BROWSER

#: The service does not know this path, which a proxy removes.
PREFIX = "/behind/a/proxy"
#: What CI keeps: each page as on a desk, and as on a phone in the dark.
PICTURES = ROOT / "build" / "console"
#: `make screenshots` sets it to docs/.
DOCUMENTED = Path(os.environ.get("INTERTWINE_SCREENSHOTS") or PICTURES / "documentation")
_COLOURS = 64  # of a screenshot: enough for text and curves, in a third of the bytes
SETTLED = (
    "!document.querySelector('[data-source], [data-poll]') && "
    "[...document.images].every(image => image.complete && image.naturalWidth)"
)
#: Notes tasks that block the page for more than 50 ms. It begins with one of its own.
LONG_TASKS = """
globalThis.longTasks = [];
new PerformanceObserver(found => {
  for (const each of found.getEntries()) longTasks.push(each.duration);
}).observe({ type: "longtask" });
setTimeout(() => { for (const end = performance.now() + 80; performance.now() < end; ); });
"""


@pytest.fixture(scope="module")
def keyless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DrivenJobs]:
    data = tmp_path_factory.mktemp("pages") / "data"
    with (
        running_service(data, workers="1", jobs="0") as client,
        driven_jobs(str(client.base_url).rstrip("/"), data) as keyless,
    ):
        yield keyless


@pytest.fixture(scope="module")
def made(keyless: DrivenJobs) -> dict[str, str]:
    return content(keyless)


def root(keyless: DrivenJobs) -> str:
    return str(keyless.client.base_url).rstrip("/")


def faults(tab: Tab, page: ConsolePage, prefix: str) -> list[str]:
    """What the browser reports, and requests that leave the prefix."""
    own = tab.run("location.href")
    expected = ["ERR_ABORTED"]  # requests that the browser ends when it leaves a page
    if page.is_problem:
        expected += [own, own.replace(PREFIX, "", 1)]
    found = [each for each in tab.page.complaints if not any(text in each for text in expected)]
    for address in tab.page.requested:
        if not urlsplit(address).path.startswith(f"{prefix}/"):
            found.append(f"{address} is not below {prefix}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page(
    keyless: DrivenJobs, made: dict[str, str], visitor: Browser, page: ConsolePage
) -> None:
    address = f"{root(keyless)}{PREFIX}/{page.path.format_map(made)}"
    found = []
    with visitor.tab(prefix=PREFIX) as tab:
        tab.go(address)
        tab.wait_for(page.shows)
        tab.wait_until(SETTLED)
        tab.picture(PICTURES / f"{page.name}.png")
        found += [f"in light: {each}" for each in tab.violations()]
        found += [f"in dark: {each}" for each in tab.violations(dark=True)]
        found += [f"without a name: {each}" for each in tab.run(UNNAMED)]
        tab.resize(390)
        found += [f"wider than a phone: {each}" for each in [tab.run(TOO_WIDE)] if each]
        tab.picture(PICTURES / f"{page.name}-phone.png", dark=True)
        found += faults(tab, page, PREFIX)
    with visitor.tab(prefix=PREFIX, scripts=False) as tab:
        tab.go(address)
        tab.wait_for(page.shows)
        found += [f"without scripts: {each}" for each in faults(tab, page, PREFIX)]
    assert found == []


def test_axe_finds_a_colour_that_is_unreadable_in_the_dark_and_a_missing_label(
    keyless: DrivenJobs, visitor: Browser
) -> None:
    with visitor.tab() as tab:
        tab.go(f"{root(keyless)}/system")
        tab.wait_for("Documents of the service")
        tab.run("document.querySelector('h1').style.color = 'light-dark(#111, #222)'")
        assert tab.violations() == []
        (found,) = tab.violations(dark=True)
        assert found.startswith("color-contrast: h1: ")
        tab.run("document.querySelector('main').append(document.createElement('input'))")
        (found,) = tab.violations()
        assert found.startswith("label: input: ")


@pytest.mark.parametrize("picture", SCREENSHOTS, ids=lambda picture: picture.file)
def test_screenshots_of_the_documentation(
    keyless: DrivenJobs, made: dict[str, str], visitor: Browser, picture: Screenshot
) -> None:
    page = next(page for page in PAGES if page.name == picture.page)
    path = DOCUMENTED / picture.file
    with visitor.tab() as tab:
        tab.resize(picture.width, picture.height)
        tab.go(f"{root(keyless)}/{page.path.format_map(made)}")
        tab.wait_for(page.shows)
        tab.wait_until(SETTLED)
        tab.picture(path, dark=picture.is_dark, whole=False)
    with Image.open(path) as taken:
        assert taken.size == (picture.width, picture.height)
        taken.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    assert path.stat().st_size < LARGEST_SCREENSHOT


def test_under_the_path_of_a_lab_after_a_login(
    lab: Lab, driven: DrivenJobs, visitor: Browser
) -> None:
    made = content(driven)
    token = driven.keys["root"]["authorization"].removeprefix("Bearer ")
    found = []
    with visitor.tab() as tab:
        tab.go(f"{lab.address}/lab/login")
        tab.wait_for("Log in")
        found += [f"login: {each}" for dark in (False, True) for each in tab.violations(dark=dark)]
        tab.type("#key", token)
        tab.click("main button")
        tab.wait_for("Log out")
        for page in PAGES:
            tab.page.complaints.clear()
            tab.go(f"{lab.address}/lab/{page.path.format_map(made)}")
            tab.wait_for(page.shows)
            tab.wait_until(SETTLED)
            found += [f"{page.name}: {each}" for each in faults(tab, page, "/lab")]
    assert found == []


def test_live_curves_of_five_jobs_do_not_block_the_page(
    keyless: DrivenJobs, visitor: Browser
) -> None:
    request = {**TRAINING, "training": {"epochs": 300, "learning_rate": 0.01}}
    jobs = [keyless.running(request=request, name=f"seed {seed}") for seed in range(5)]
    for job in jobs:
        learn(keyless, job, range(1, 201))
    query = "&".join(f"job={job.id}" for job in jobs)
    picture = "document.querySelector('#curves img').src"
    rounds = []
    with visitor.tab() as tab:
        tab.go(f"{root(keyless)}/jobs/compare?{query}")
        tab.wait_for("Comparison of jobs")
        tab.wait_until(SETTLED)
        tab.run(LONG_TASKS)
        tab.wait_until("longTasks.splice(0).length")
        for epoch in (201, 221, 241):
            before = tab.run(picture)
            for job in jobs:
                learn(keyless, job, range(epoch, epoch + 20))
            tab.wait_until(f"{picture} !== {before!r} && {SETTLED}")
            tab.wait(0.2)
            rounds.append(tab.run("longTasks.splice(0)"))
            if not rounds[-1]:
                break
    assert tab.page.complaints == []
    assert rounds[-1] == [], rounds  # a busy machine may delay any task, but hardly each time
