"""Pages of the console: read as a browser asks for them, and checked for injected scripts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape

import httpx
import intertwine

HTML = {"accept": "text/html"}
#: A text that would be a script if a page did not escape it.
EVIL = "<script>alert(1)</script>"


def read_page(client: httpx.Client, path: str, headers: Mapping[str, str] | None = None) -> str:
    """A page, which has the strict policy, and neither scripts nor styles of its own."""
    answer = client.get(path, headers={**HTML, **(headers or {})})
    assert answer.status_code == 200, answer.text
    require_safe(answer)
    return answer.text


def require_safe(answer: httpx.Response) -> None:
    """Check the policy of a page, and that it has neither scripts nor styles of its own."""
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert f"<p>Intertwine {intertwine.__version__} ·" in answer.text  # no value hides a global
    assert "<script>" not in answer.text
    assert not re.search(r"<style|\sstyle=|\son\w+=", answer.text)


def text_of(page: str) -> str:
    """The text of the main part of a page, with single spaces."""
    main = page.partition("<main")[2].partition("</main>")[0].partition(">")[2]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())


def code_of(page: str, name: str) -> str:
    """The code in the element with an id."""
    found = re.search(rf'<pre id="{name}"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert found, name
    return unescape(found[1])


def token_of(page: str, action: str) -> str:
    """The token of the form that is sent to an address, which ends like this."""
    found = re.search(rf'action="[^"]*{action}">\s*<[^>]*name="token" value="(\w+)"', page)
    assert found, action
    return found[1]
