"""A headless Chromium, which Playwright controls.

The browser is the one of the system (Debian's `chromium-headless-shell`): nothing is downloaded.
Playwright runs scripts of a test also in pages that may run none, and under a strict Content
Security Policy, which stays in force: what a page does against it is among its complaints.

While a browser is open, Playwright's event loop counts as running in the thread, so fixtures that
open one belong to a module whose tests do not use asyncio.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import ConsoleMessage, Error, Request, Response, expect, sync_playwright
from playwright.sync_api import Page as OpenPage

#: The program, under one of the names that distributions give it; None if it is not installed.
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None
)
#: The mark of a test with a browser, which CI always has.
NEEDS_CHROMIUM = pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ, reason="Chromium is not installed"
)
#: The marks of a module of such tests.
IN_A_BROWSER = [pytest.mark.slow, NEEDS_CHROMIUM]
#: The first element that is wider than the page; null without one.
TOO_WIDE = """
document.scrollingElement.scrollWidth > innerWidth
  ? [...document.querySelectorAll("*")].find(e => e.getBoundingClientRect().right > innerWidth)
      ?.outerHTML ?? "the page"
  : null
"""
#: Elements that a screen reader could not name, and headings that skip a level.
UNNAMED = """
[...document.querySelectorAll(
  "input:not([type=hidden]), select, textarea, button, a, img, progress, table"
)].filter(e => !(
  e.textContent.trim() || e.getAttribute("aria-label") || e.alt || e.labels?.length
)).map(e => e.outerHTML).concat(
  [...document.querySelectorAll("h1, h2, h3, h4")].map(e => +e.tagName[1]).flatMap((n, i, all) =>
    n > (i ? all[i - 1] : 0) + 1 ? [`h${n} after h${all[i - 1]}`] : [])
)
"""
#: The serious and critical violations that axe finds: rule, element, and how to mend it.
_SERIOUS = """
async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .filter(found => ["serious", "critical"].includes(found.impact))
  .flatMap(found => found.nodes.map(node =>
    `${found.id}: ${node.target.join(" ")}: ${node.failureSummary.replace(/\\s+/g, " ")}`))
"""
_WIDTH, _HEIGHT = 1280, 900  # pixels
_NAVIGATES = re.compile("context was destroyed|because of a navigation|navigating and changing")


@cache
def _axe() -> str:
    """The program that checks accessibility, from the package that brings it."""
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


@dataclass
class Page:
    """What a page did while it was open."""

    text: str = ""
    """The visible text."""
    requested: list[str] = field(default_factory=list)
    """The addresses that it requested."""
    complaints: list[str] = field(default_factory=list)
    """Errors and warnings of the console, exceptions, failed requests and policy violations."""


class Browser:
    """A running browser."""

    def __init__(self, chromium: Chromium) -> None:
        self._chromium = chromium

    def visit(self, address: str, shows: str, script: str = "0", seconds: float = 60) -> Page:
        """Open a page, wait until its visible text contains `shows`, and run a script in it.

        The page stays open for a second more.
        """
        with self.tab() as tab:
            tab.go(address)
            tab.wait_for(shows, seconds)
            tab.run(script)
            tab.wait(1)  # for late requests
        return tab.page

    @contextmanager
    def tab(
        self, *, width: int | None = None, scripts: bool = True, prefix: str = ""
    ) -> Iterator[Tab]:
        """A new tab with its own cookies, as of a phone of this `width` in pixels.

        With `scripts` off, pages run none. With a `prefix`, the tab is in front of a proxy that
        removes this start from paths, as in ``/behind/a/proxy``; the service does not know of it.
        In the end, its `page` has all that happened.
        """
        is_phone = width is not None
        screen: dict[str, Any] = {"viewport": {"width": width or _WIDTH, "height": _HEIGHT}}
        if is_phone:
            screen |= {"device_scale_factor": 2, "is_mobile": True}
        context = self._chromium.new_context(java_script_enabled=scripts, **screen)
        if prefix:
            context.route(
                re.compile(f"^http://[^/]+{re.escape(prefix)}/"),
                lambda route: route.continue_(url=route.request.url.replace(prefix, "", 1)),
            )
        tab = Tab(context.new_page())
        yield tab
        context.close()


class Tab:
    """A page that a test uses as a person does."""

    def __init__(self, opened: OpenPage) -> None:
        self._opened = opened
        self.page = Page()
        opened.on("request", lambda request: self.page.requested.append(request.url))
        opened.on("requestfailed", self._note_failure)
        opened.on("response", self._note_refusal)
        opened.on("console", self._note_message)
        opened.on("pageerror", lambda error: self.page.complaints.append(str(error)))

    def go(self, address: str) -> None:
        """Open an address."""
        self._opened.goto(address, wait_until="commit")

    def run(self, script: str) -> Any:
        """Run a script in the page, also if the page may run none itself; its value."""
        return self._opened.evaluate(script)

    def type(self, field: str, text: str) -> None:
        """Replace the text of a field, which a CSS selector names, by typed text."""
        self._opened.locator(field).fill(text)

    def attach(self, field: str, file: Path) -> None:
        """Choose a file in a field, which a CSS selector names."""
        self._opened.locator(field).set_input_files(file)

    def click(self, element: str) -> None:
        """Click the first element that a CSS selector names, when it is visible."""
        self._opened.locator(element).first.click()

    def choose(self, field: str, value: str) -> None:
        """Choose an option of a list, which a CSS selector names, by its value."""
        self._opened.locator(field).select_option(value)

    def wait(self, seconds: float) -> None:
        """Let the page do what it does for some time."""
        self._opened.wait_for_timeout(1000 * seconds)

    def wait_for(self, shows: str, seconds: float = 60) -> None:
        """Wait until the visible text of the page contains `shows`."""
        body = self._opened.locator("body")
        expect(body).to_contain_text(shows, use_inner_text=True, timeout=1000 * seconds)
        self.page.text = self._text()

    def wait_until(self, condition: str, seconds: float = 60) -> None:
        """Wait until an expression of JavaScript is true in the page.

        Playwright's own way needs a page that runs scripts.
        """
        deadline = time.monotonic() + seconds
        while not self._now(condition):
            assert time.monotonic() < deadline, (condition, self._text()[:2000])
            self.wait(0.05)

    def violations(self, *, dark: bool = False) -> list[str]:
        """The serious and critical violations that axe finds in the page, in light or dark."""
        self._opened.emulate_media(color_scheme="dark" if dark else "light")
        if not self.run("'axe' in globalThis"):
            self.run(_axe())
        found: list[str] = self.run(_SERIOUS)
        return found

    def resize(self, width: int, height: int = _HEIGHT) -> None:
        """Give the window another size, in pixels."""
        self._opened.set_viewport_size({"width": width, "height": height})

    def picture(self, path: Path, *, dark: bool = False, whole: bool = True) -> None:
        """Save a screenshot as PNG: of the whole page, or of what the window shows."""
        self._opened.emulate_media(color_scheme="dark" if dark else "light")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._opened.screenshot(path=path, full_page=whole)

    def _now(self, condition: str) -> bool:
        try:
            return bool(self.run(condition))
        except Error as error:
            if _NAVIGATES.search(error.message):
                return False  # the next page will tell
            raise

    def _text(self) -> str:
        return str(self.run("document.body?.innerText ?? ''"))

    def _note_failure(self, request: Request) -> None:
        self.page.complaints.append(f"a request failed: {request.url}: {request.failure}")

    def _note_refusal(self, response: Response) -> None:
        if response.status >= 400:
            self.page.complaints.append(f"a request was refused: {response.url}")

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.page.complaints.append(f"{message.text} {message.location}")


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with new profiles, which keeps its downloads in a folder."""
    assert CHROMIUM is not None
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, downloads_path=folder)
        yield Browser(chromium)
        chromium.close()
