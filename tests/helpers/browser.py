"""A headless Chromium, controlled by the DevTools protocol over pipes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from select import select
from typing import Any

#: The program, under one of the names that distributions give it; None if it is not installed.
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None
)
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
_READ, _WRITE = 3, 4  # the descriptors that Chromium uses with --remote-debugging-pipe


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
    """A running browser. Messages are JSON, and end with a zero byte."""

    def __init__(self, to: int, source: int) -> None:
        self._to, self._source = to, source
        self._rest, self._count = b"", 0
        self._events: list[dict[str, Any]] = []

    def visit(self, address: str, shows: str, script: str = "0", seconds: float = 60) -> Page:
        """Open a page, wait until its visible text contains `shows`, and run a script in it.

        The page stays open for a second more.
        """
        with self.tab() as tab:
            tab.go(address)
            tab.wait_for(shows, seconds)
            tab.run(script)
            time.sleep(1)  # for late requests
        return tab.page

    @contextmanager
    def tab(self, *, width: int | None = None, scripts: bool = True) -> Iterator[Tab]:
        """A new tab, as of a phone of this `width` in pixels; with `scripts` off, pages run none.

        In the end, its `page` has all that happened.
        """
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Audits"):
            self.call(f"{domain}.enable", session)
        if width is not None:
            screen = {"width": width, "height": 844, "deviceScaleFactor": 2, "mobile": True}
            self.call("Emulation.setDeviceMetricsOverride", session, **screen)
        if not scripts:
            self.call("Emulation.setScriptExecutionDisabled", session, value=True)
        tab = Tab(self, session)
        yield tab
        tab.run("0")  # reads the events until now
        for event in self._events:
            _note(tab.page, event["method"], event["params"])
        self._events.clear()
        self.call("Target.closeTarget", targetId=target)

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                assert "error" not in answer, (method, answer)
                result: dict[str, Any] = answer["result"]
                return result
            if "method" in answer:
                self._events.append(answer)

    def _next(self, seconds: float = 60) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select([self._source], [], [], seconds)[0], "the browser does not answer"
            piece = os.read(self._source, 2**16)
            assert piece, "the browser has ended"
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


class Tab:
    """A page that a test uses as a person does."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session
        self.page = Page()

    def go(self, address: str) -> None:
        """Open an address."""
        self._browser.call("Page.navigate", self._session, url=address)

    def run(self, script: str) -> Any:
        """Run a script in the page, also if the page may run none itself; its value."""
        found = self._browser.call(
            "Runtime.evaluate", self._session, expression=script, returnByValue=True
        )
        assert "exceptionDetails" not in found, (script, found)
        return found["result"].get("value")

    def type(self, field: str, text: str) -> None:
        """Replace the text of a field, which a CSS selector names, by typed text."""
        self.wait_until(f"document.querySelector({field!r}) !== null")
        self.run(f"document.querySelector({field!r}).select()")
        self._browser.call("Input.insertText", self._session, text=text)

    def choose(self, field: str, file: Path) -> None:
        """Choose a file in a field, which a CSS selector names."""
        self.wait_until(f"document.querySelector({field!r}) !== null")
        script = f"document.querySelector({field!r})"
        found = self._browser.call("Runtime.evaluate", self._session, expression=script)
        self._browser.call(
            "DOM.setFileInputFiles",
            self._session,
            files=[str(file)],
            objectId=found["result"]["objectId"],
        )

    def click(self, element: str) -> None:
        """Click an element, which a CSS selector names, when the page has it."""
        self.wait_until(f"document.querySelector({element!r}) !== null")
        self.run(f"document.querySelector({element!r}).click()")

    def wait_for(self, shows: str, seconds: float = 60) -> None:
        """Wait until the visible text of the page contains `shows`."""
        deadline = time.monotonic() + seconds
        while shows not in self._visible_text():
            assert time.monotonic() < deadline, (shows, self.page.text[:2000])
            time.sleep(0.1)

    def wait_until(self, condition: str, seconds: float = 60) -> None:
        """Wait until an expression of JavaScript is true in the page."""
        deadline = time.monotonic() + seconds
        while not self.run(condition):
            assert time.monotonic() < deadline, (condition, self._visible_text()[:2000])
            time.sleep(0.05)

    def _visible_text(self) -> str:
        self.page.text = self.run("document.body?.innerText ?? ''")
        return self.page.text


def _note(page: Page, method: str, params: Mapping[str, Any]) -> None:
    match method:
        case "Network.requestWillBeSent":
            page.requested.append(params["request"]["url"])
        case "Network.loadingFailed":
            page.complaints.append(f"a request failed: {params}")
        case "Network.responseReceived" if params["response"]["status"] >= 400:
            page.complaints.append(f"a request was refused: {params['response']['url']}")
        case "Runtime.exceptionThrown":
            page.complaints.append(str(params["exceptionDetails"]))
        case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
            page.complaints.append(str(params["args"]))
        case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
            page.complaints.append(f"{params['entry']['text']} {params['entry'].get('url')}")
        case "Audits.issueAdded" if "contentSecurityPolicy" in str(params):
            page.complaints.append(str(params))


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with a new profile in a folder; in the end it is killed."""
    assert CHROMIUM is not None
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    options = (
        *("--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu"),
        *("--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking"),
        f"--user-data-dir={folder}",
    )
    # the descriptors are moved by a shell, because Python passes them under their own numbers only
    moved = f'exec "$@" {_READ}<&{to_read} {_WRITE}>&{from_write}'
    process = subprocess.Popen(
        ["bash", "-c", moved, "bash", CHROMIUM, *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(to_read, from_write),
    )
    os.close(to_read)
    os.close(from_write)
    try:
        yield Browser(to_write, from_read)
    finally:
        process.kill()
        process.wait()
        os.close(to_write)
        os.close(from_read)
