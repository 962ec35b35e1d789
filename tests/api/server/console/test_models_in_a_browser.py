"""The pages of models in a real browser: a trial, on a phone without scripts too, and deletion."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.browser import IN_A_BROWSER, TOO_WIDE, UNNAMED, Browser, Tab
from helpers.driven_jobs import driven_jobs
from helpers.example_models import small_model, trained
from helpers.service import ServiceProcess, service_process
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.storage.models import Models

pytestmark = IN_A_BROWSER

_LOADED = "document.querySelector('h1')?.textContent.startsWith({!r})"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service with two versions of a model, which a training has made."""
    process = ServiceProcess(tmp_path_factory.mktemp("models") / "data", workers="1", jobs="0")
    with (
        service_process(process.data, process),
        driven_jobs(process.address, process.data) as driven,
    ):
        models = Models(driven.database, FolderObjects(driven.data / "objects"))
        job = driven.running()
        driven.train(job, range(1, 5))
        for name in (job.id, None):
            models.publish("inertia", "local", name, trained(small_model(key=1)))
        yield process.address


def require_good(tab: Tab, heading: str) -> None:
    """Wait for a page, and check that it fits the screen and that a screen reader can name it."""
    tab.wait_until(_LOADED.format(heading))
    assert tab.run(TOO_WIDE) is None
    assert tab.run(UNNAMED) == []


@pytest.mark.parametrize(("width", "scripts"), [(None, True), (390, False)], ids=["desk", "phone"])
def test_a_model_is_found_and_tried(
    address: str, visitor: Browser, width: int | None, scripts: bool
) -> None:
    with visitor.tab(width=width, scripts=scripts) as tab:
        tab.go(f"{address}/models")
        require_good(tab, "Models")
        tab.click("tbody th a")
        require_good(tab, "inertia")
        tab.click("tbody tr:nth-child(2) th a")
        require_good(tab, "inertia, version 1")
        tab.wait_until("document.querySelector('main img').naturalWidth > 100")
        tab.click("form[action$=try] button")
        tab.wait_for("the model is equivariant under g")
        require_good(tab, "Try inertia, version 1")
        tab.type("#x", "[1, 2, 3, 4, 5, 6, 7, 8]")
        tab.click("form[action$=try] button")
        tab.wait_for("6, 7, 8")
        require_good(tab, "Try inertia, version 1")
        before = tab.run("document.querySelector('table.matrix').innerText")
        tab.click("a[href$='element=1']")
        tab.wait_until(f"document.querySelector('table.matrix')?.innerText !== {before!r}")
        tab.wait_for("6, 7, 8")
    assert [each for each in tab.page.complaints if "ERR_ABORTED" not in each] == []
    assert all(each.startswith(address) for each in tab.page.requested)


def test_a_version_is_deleted_after_its_name_is_typed(address: str, visitor: Browser) -> None:
    with visitor.tab() as tab:
        tab.go(f"{address}/models/inertia/versions/2")
        tab.type("#confirmation", "inertia")
        tab.click("form[action$=delete] button")
        tab.wait_for("type inertia/2 to delete it")
        tab.type("#confirmation", "inertia/2")
        tab.click("form[action$=delete] button")
        tab.wait_until(f"{_LOADED.format('inertia')} && !location.pathname.includes('versions')")
        assert tab.run("document.querySelectorAll('tbody tr').length") == 1
