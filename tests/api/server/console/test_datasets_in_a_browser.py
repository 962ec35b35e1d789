"""The pages of datasets in a real browser: an upload by a session, and no scripts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from helpers.browser import IN_A_BROWSER, TOO_WIDE, UNNAMED, Browser, Tab
from helpers.example_lab import LARGEST, Lab

pytestmark = IN_A_BROWSER


def log_in(tab: Tab, lab: Lab) -> None:
    """Begin a session, and go on to the datasets."""
    tab.go(f"{lab.address}/lab/login?after=/datasets")
    tab.type("#key", lab.tokens["jobs:write"])
    tab.click("main button")


def test_a_file_is_uploaded_shown_and_deleted(lab: Lab, visitor: Browser, tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(20, 6))
    names = ("broken", "large", "largest", "crosses.npz")
    broken, large, largest, crosses = (tmp_path / name for name in names)
    broken.write_bytes(b"no samples")
    large.write_bytes(bytes(LARGEST + 1))
    largest.write_bytes(bytes(LARGEST))
    np.savez(crosses, X=X, Y=np.cross(X[:, :3], X[:, 3:]))
    with visitor.tab(width=390) as tab:
        log_in(tab, lab)
        tab.wait_for("ann uses")  # the storage, which a script loads
        assert tab.run(TOO_WIDE) is None
        assert tab.run(UNNAMED) == []

        tab.attach("#file", large)
        tab.click("#send")
        tab.wait_for("The file has 10,000,001 bytes, and at most 10,000,000 are accepted")
        tab.attach("#file", largest)
        tab.run("for (const id of ['send', 'cancel']) document.getElementById(id).click()")
        tab.wait_for("The upload was cancelled.")
        assert tab.run("document.getElementById('cancel').hidden")
        tab.attach("#file", broken)
        tab.click("#send")
        tab.wait_for("neither a safetensors file nor an npz file")
        assert tab.run("document.querySelector('#upload-problem [role=alert]') !== null")

        tab.run("document.querySelector('#name').value = ''")
        tab.attach("#file", crosses)
        for field, text in (("rep_in", "V+V"), ("rep_out", "V"), ("group", "SO(3)")):
            tab.type(f"#{field}", text)
        tab.click("#send")
        tab.wait_for("Yes: they have the sizes of the samples.")
        assert tab.run("document.querySelector('h1').textContent") == "crosses"
        assert tab.run("document.querySelectorAll('#samples tbody tr').length") == 26
        assert tab.run(TOO_WIDE) is None
        assert tab.run(UNNAMED) == []

        tab.click("details summary")
        tab.click("details button")
        tab.wait_for("Upload a dataset")
        assert tab.run("document.querySelector('tbody').textContent.includes('crosses')") is False
    # the browser reports the upload that ended and the one that was refused, and nothing else
    expected = ("422", "refused", "ERR_ABORTED")
    assert all(any(text in each for text in expected) for each in tab.page.complaints)


def test_without_scripts_the_page_shows_programs(lab: Lab, visitor: Browser) -> None:
    with visitor.tab(scripts=False) as tab:
        log_in(tab, lab)
        tab.wait_for("From a program")
        assert tab.run("document.querySelector('#upload').checkVisibility()") is False
        assert tab.run("document.querySelector('[data-copies]').checkVisibility()") is False
        assert "-T crosses.npz" in tab.run("document.querySelector('#curl').textContent")
        tab.click("#storage a")
        tab.wait_for("ann uses")
    assert tab.page.complaints == []
