"""The pages of keys and of the system in a real browser: the first key, a phone, and no scripts."""

from __future__ import annotations

import re
from pathlib import Path

from helpers.browser import IN_A_BROWSER, TOO_WIDE, UNNAMED, Browser, Tab
from helpers.service import ServiceProcess, service_process
from intertwine_api.storage.database import Database
from intertwine_api.storage.keys import Keys

pytestmark = IN_A_BROWSER

_SECRET = "document.querySelector('#new-key').textContent"


def opened(tab: Tab, address: str, shows: str) -> None:
    tab.go(address)
    tab.wait_for(shows)
    assert tab.run(TOO_WIDE) is None
    assert tab.run(UNNAMED) == []


def test_from_the_first_key_on_the_pages_need_one(tmp_path: Path, visitor: Browser) -> None:
    with service_process(tmp_path / "data", workers="1", jobs="0") as service:
        with visitor.tab(width=390) as tab:
            opened(tab, f"{service.address}/system", "Recent errors")
            opened(tab, f"{service.address}/keys", "This service has no keys.")
            tab.type("#owner", "root")
            tab.click("form[method=post] button")
            tab.wait_for("from now on the service requires one")
            assert tab.run(TOO_WIDE) is None
            assert tab.run(UNNAMED) == []
            token = tab.run(_SECRET)
            assert re.fullmatch(r"itw_[0-9a-f]{16}_[\w-]{43}", token)
            tab.click("[data-copies=new-key]")
            tab.wait_for("Press Ctrl+C")  # a headless browser does not allow more
            assert tab.run("getSelection().toString()") == token
        assert tab.page.complaints == []
        assert all(address.startswith(service.address) for address in tab.page.requested)
        _made_and_revoked_without_scripts(service, visitor, token)


def _made_and_revoked_without_scripts(
    service: ServiceProcess, visitor: Browser, token: str
) -> None:
    """An admin logs in, creates a key and revokes it, in a browser that runs no scripts."""
    with visitor.tab(scripts=False) as tab:
        opened(tab, f"{service.address}/login?after=/keys", "API key")
        tab.type("#key", token)
        tab.click("main button")
        tab.wait_for("(yours)")
        tab.type("#owner", "ada")
        tab.click("form[action*='keys/'] button")
        tab.wait_for("This is the key of ada")
        made = tab.run(_SECRET)
        opened(tab, f"{service.address}/keys/{made.split('_')[1]}", "Revoke the key")
        tab.click("form[action$=revoke] button")
        tab.wait_for("revoked, at")
        opened(tab, f"{service.address}/system", "Recent errors")
    assert tab.page.complaints == []
    database = Database(f"sqlite:///{service.data}/intertwine.db")
    try:
        assert Keys(database).find(made) is None
        assert Keys(database).find(token) is not None
    finally:
        database.close()
