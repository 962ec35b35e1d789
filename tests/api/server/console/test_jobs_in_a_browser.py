"""The pages of jobs in a real browser: live losses, cancel, compare, a restart, and no scripts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.browser import IN_A_BROWSER, TOO_WIDE, UNNAMED, Browser, Tab
from helpers.driven_jobs import DrivenJobs, driven_jobs
from helpers.service import ServiceProcess, service_process

pytestmark = IN_A_BROWSER

_PICTURE = "document.querySelector('#curves img')"
_DRAWN = f"{_PICTURE}?.complete && {_PICTURE}.naturalWidth > 100"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    process = ServiceProcess(tmp_path_factory.mktemp("jobs") / "data", workers="1", jobs="0")
    with service_process(process.data, process):
        yield process


@pytest.fixture(scope="module")
def driven(process: ServiceProcess) -> Iterator[DrivenJobs]:
    with driven_jobs(process.address, process.data) as driven:
        yield driven


def opened(tab: Tab, process: ServiceProcess, path: str) -> None:
    tab.go(f"{process.address}{path}")
    tab.wait_for("Intertwine")
    tab.run("globalThis.isTheSamePage = true")


def complaints(tab: Tab) -> list[str]:
    """What the browser reports, but for requests that it ends itself when it leaves a page."""
    return [each for each in tab.page.complaints if "ERR_ABORTED" not in each]


def test_the_curve_moves_and_the_job_is_cancelled(
    process: ServiceProcess, driven: DrivenJobs, visitor: Browser
) -> None:
    job = driven.running(name="<img src=x onerror=alert(1)>", labels=("<b>label</b>",))
    with visitor.tab() as tab:
        opened(tab, process, f"/jobs/{job.id}")
        tab.wait_for("No epoch has been evaluated yet.")
        driven.train(job, range(1, 4))
        tab.wait_for("epoch 3 of 10, 1:05 left")
        tab.wait_until(_DRAWN)
        first = tab.run(f"{_PICTURE}.src")
        driven.train(job, range(4, 8))
        tab.wait_for("(epoch 7)")
        tab.wait_until(f"{_PICTURE}.src !== {first!r} && {_DRAWN}")
        assert tab.run("globalThis.isTheSamePage")
        assert tab.run("document.querySelector('#state').getAttribute('aria-live')") == "polite"
        assert tab.run(UNNAMED) == []
        tab.click("#actions button")
        tab.wait_for("cancelling")
        assert driven.queue.get(job.id).state == "cancelling"
        driven.queue.cancelled(job.id, job.attempt, "it was ended")
        tab.wait_for("cancelled: it was ended")
        tab.wait_for("Retry")
        tab.click("#actions button")
        tab.wait_for("queued")
    driven.queue.cancel(job.id, "by the test")
    assert complaints(tab) == []
    assert all(address.startswith(process.address) for address in tab.page.requested)


def test_trainings_are_marked_and_compared(
    process: ServiceProcess, driven: DrivenJobs, visitor: Browser
) -> None:
    for scale in (1.0, 0.5):
        driven.train(driven.running(labels=("compared",)), range(1, 4), scale)
    with visitor.tab(width=390) as tab:
        opened(tab, process, "/jobs?label=compared")
        for number in (1, 2):
            tab.click(f"tbody tr:nth-child({number}) input")
        tab.click("form[action$=compare] button")
        tab.wait_for("Comparison of jobs")
        tab.wait_until(_DRAWN)
        assert tab.run("document.querySelectorAll('#results strong').length") == 2
        assert tab.run(TOO_WIDE) is None
        assert tab.run(UNNAMED) == []
        tab.go(f"{process.address}/jobs")
        tab.wait_for("Submitted, UTC")
        assert tab.run(TOO_WIDE) is None
        assert tab.run(UNNAMED) == []
    assert complaints(tab) == []


def test_an_open_page_goes_on_after_a_restart(
    process: ServiceProcess, driven: DrivenJobs, visitor: Browser
) -> None:
    job = driven.running()
    with visitor.tab() as tab:
        opened(tab, process, f"/jobs/{job.id}")
        process.port = int(process.address.rpartition(":")[2])
        process.end()
        tab.wait_for("The service does not answer.")
        driven.train(job, range(1, 3))
        process.start()
        tab.wait_for("epoch 2 of 10")
        driven.train(job, range(3, 5))
        tab.wait_for("epoch 4 of 10")
        tab.wait_until("!document.querySelector('#connection').textContent")
        assert tab.run("globalThis.isTheSamePage")


def test_open_pages_of_all_kinds_recover_from_a_restart(
    process: ServiceProcess, driven: DrivenJobs, visitor: Browser
) -> None:
    job = driven.running(labels=("restarted",))
    with visitor.tab() as explorer, visitor.tab() as jobs:
        opened(explorer, process, "/")
        opened(jobs, process, "/jobs?label=restarted")
        jobs.wait_for("starting")
        process.port = int(process.address.rpartition(":")[2])
        process.end()
        explorer.type("#group", "SO(3)")
        explorer.type("#rep", "V>>V**2")
        for tab in (explorer, jobs):
            tab.wait_for("The service does not answer.")
        driven.train(job, range(1, 3))
        process.start()
        explorer.wait_for("27 coordinates")  # nothing more is typed
        jobs.wait_for("epoch 2 of 10")
        jobs.wait_until("!document.querySelector('#connection').textContent")
        for tab in (explorer, jobs):
            assert tab.run("globalThis.isTheSamePage")


def test_the_choice_of_curves_stays_while_they_are_live(
    process: ServiceProcess, driven: DrivenJobs, visitor: Browser
) -> None:
    job = driven.running()
    driven.train(job, range(1, 4))
    with visitor.tab() as tab:
        opened(tab, process, f"/jobs/{job.id}")
        tab.type("#smooth", "0.5")
        tab.choose("#scale", "linear")
        tab.click("form.filters button")
        tab.wait_until(f"location.search === '?smooth=0.5&scale=linear' && {_DRAWN}")
        first = tab.run(f"{_PICTURE}.src")
        assert first.endswith("&smooth=0.5&scale=linear")
        tab.type("#smooth", "0.7")  # not sent yet
        driven.train(job, range(4, 6))
        tab.wait_for("(epoch 5)")
        tab.wait_until(f"{_PICTURE}.src !== {first!r} && {_DRAWN}")
        assert tab.run(f"{_PICTURE}.src").endswith("&smooth=0.5&scale=linear")
        assert tab.run("document.querySelector('#smooth').value") == "0.7"
    assert complaints(tab) == []


def test_the_page_of_a_job_that_was_deleted_says_so(
    process: ServiceProcess, driven: DrivenJobs, visitor: Browser
) -> None:
    job = driven.queued()
    with visitor.tab() as tab:
        opened(tab, process, f"/jobs/{job.id}")
        tab.wait_for("in the queue")
        driven.queue.cancel(job.id, "by the test")
        driven.queue.delete(job.id)
        tab.wait_for(f"There is no job {job.id}")
        assert tab.run("globalThis.isTheSamePage")


def test_without_scripts_the_page_reloads(
    process: ServiceProcess, driven: DrivenJobs, visitor: Browser
) -> None:
    job = driven.running()
    with visitor.tab(scripts=False) as tab:
        opened(tab, process, f"/jobs/{job.id}")
        driven.train(job, range(1, 3))
        tab.wait_for("epoch 2 of 10")
        tab.wait_until(_DRAWN)
        tab.click("#actions button")
        tab.wait_for("cancelling")
    assert complaints(tab) == []
