"""The pages of the store in a browser: on a phone, with and without scripts, an admin evicts."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.browser import IN_A_BROWSER, TOO_WIDE, UNNAMED, browser
from helpers.example_lab import Lab
from intertwine.invariants import solve
from intertwine.reps import basis_key, read_rep
from intertwine_cache import Store

pytestmark = IN_A_BROWSER


@pytest.mark.parametrize("scripts", [True, False])
def test_an_admin_evicts_a_basis(lab: Lab, tmp_path: Path, scripts: bool) -> None:
    store = Store(lab.data / "cache")
    rep = read_rep("V(Z(7))+3V0")
    solve(rep, store=store, progress=False)
    path = f"{lab.address}/lab/cache"
    with browser(tmp_path) as visitor, visitor.tab(width=390, scripts=scripts) as tab:
        tab.go(f"{lab.address}/lab/login?after=/cache")
        tab.type("#key", lab.keys.create("root", ["admin"])[1])
        tab.click("main button")
        tab.wait_for("Show what this would evict")
        assert tab.run("location.href") == path
        for address, shows in (
            (f"{path}/shrink?to=999TB", "nothing has to be evicted"),
            (f"{path}/entries", "Entries of the store"),
            (f"{path}/{basis_key(rep)}", "Evidence"),
        ):
            assert (tab.run(TOO_WIDE), tab.run(UNNAMED)) == (None, [])
            tab.go(address)
            tab.wait_for(shows)
        assert (tab.run(TOO_WIDE), tab.run(UNNAMED)) == (None, [])
        assert not tab.run("document.querySelector('details').open")
        tab.click("summary")
        tab.wait_for("solved again when it is next requested")
        tab.click("details button")
        tab.wait_for("The eviction freed")
    assert tab.page.complaints == []
    assert store.manifest(basis_key(rep)) is None
