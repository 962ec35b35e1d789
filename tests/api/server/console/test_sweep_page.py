"""A sweep as a table: the settings that differ, the last losses, the order, and the best."""

from __future__ import annotations

import re
from copy import deepcopy
from html import unescape
from typing import Any

import pytest
from helpers.driven_jobs import TRAINING, DrivenJobs
from helpers.read_pages import EVIL, read_page, text_of
from helpers.service import problem

LABEL = "sweep of rates"
TABLE = {"label": LABEL}


@pytest.fixture(scope="module")
def sweep(driven: DrivenJobs) -> list[str]:
    """Three trainings with different rates and widths; the ids, from the first. The last has no
    losses.
    """
    ids = []
    for scale, rate, width in ((1.0, 0.003, 8), (0.25, 0.01, 16), (None, 0.0003, None)):
        request = deepcopy(TRAINING)
        request["training"]["learning_rate"] = rate
        request["model"] |= {} if width is None else {"ch": width}
        if width is None:
            del request["model"]["ch"]
        changes: dict[str, Any] = {"request": request, "name": f"rate {rate}", "labels": (LABEL,)}
        job = driven.queued("ada", **changes) if scale is None else driven.running("ada", **changes)
        if scale is not None:
            driven.train(job, range(1, 5), scale)
        ids.append(job.id)
    return ids


def page(driven: DrivenJobs, owner: str = "root", **query: str) -> str:
    address = "/jobs/sweep?" + "&".join(f"{name}={value}" for name, value in query.items())
    return read_page(driven.client, address, driven.keys[owner])


def names(text: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="[^"]*jobs/\w+">([^<]*)</a>', text)


def headings(text: str) -> dict[str, str]:
    """The address of each heading, by its text."""
    found = re.findall(r'<th scope="col"[^>]*><a href="/lab/([^"]*)"[^>]*>([^<]*)</a>', text)
    return {title: f"/{unescape(address)}" for address, title in found}


def test_it_has_the_settings_that_differ_and_the_last_losses(
    driven: DrivenJobs, sweep: list[str]
) -> None:
    text = page(driven, **TABLE)
    assert list(headings(text)) == [
        *("Job", "State", "ch", "learning_rate", "Training loss", "Test loss"),
        *("Learning rate", "Time"),
    ]
    rows = re.findall(r"<tr>\s*<td><input.*?</tr>", text, re.DOTALL)
    assert " ".join(text_of(f"<main>{rows[0]}</main>").split()) == (
        "rate 0.01 running, 4 of 10 16 0.01 0.0625 lowest 0.125 lowest 0.003 4 s"
    )
    assert text_of(f"<main>{rows[2]}</main>") == "rate 0.0003 queued – 0.0003 – – – –"


def test_it_is_sorted_by_a_loss_or_by_the_column_that_is_clicked(
    driven: DrivenJobs, sweep: list[str]
) -> None:
    text = page(driven, **TABLE)
    assert names(text) == ["rate 0.01", "rate 0.003", "rate 0.0003"]
    assert re.search(r'aria-sort="ascending"><a [^>]*>Test loss</a> ↑', text)
    by_rate = read_page(driven.client, headings(text)["learning_rate"], driven.keys["root"])
    assert names(by_rate) == ["rate 0.0003", "rate 0.003", "rate 0.01"]
    turned = read_page(driven.client, headings(by_rate)["learning_rate"], driven.keys["root"])
    assert names(turned) == ["rate 0.01", "rate 0.003", "rate 0.0003"]
    by_width = read_page(driven.client, headings(text)["ch"], driven.keys["root"])
    assert names(by_width) == ["rate 0.003", "rate 0.01", "rate 0.0003"]  # without a value: last
    turned = read_page(driven.client, headings(by_width)["ch"], driven.keys["root"])
    assert names(turned) == ["rate 0.01", "rate 0.003", "rate 0.0003"]
    assert names(page(driven, **TABLE, sort="nothing")) == names(text)


def test_the_list_of_jobs_leads_to_it(driven: DrivenJobs, sweep: list[str]) -> None:
    listed = read_page(driven.client, f"/jobs?label={LABEL}", driven.keys["root"])
    link = re.search(r'href="/lab/(jobs/sweep\?[^"]+)"', listed)
    assert link
    assert len(names(read_page(driven.client, f"/{unescape(link[1])}", driven.keys["root"]))) == 3
    assert "jobs/sweep" not in read_page(driven.client, "/jobs", driven.keys["root"])


def test_others_see_only_their_own(driven: DrivenJobs, sweep: list[str]) -> None:
    assert len(names(page(driven, "ada", **TABLE))) == 3
    assert "No training has this label." in text_of(page(driven, "bob", **TABLE))
    answer = driven.client.get("/jobs/sweep?owner=ada", headers=driven.keys["bob"])
    problem(answer, 403, "forbidden")
    assert len(names(page(driven, **TABLE, owner="ada"))) == 3


def test_names_are_shown_as_text(driven: DrivenJobs) -> None:
    for rate in (0.1, EVIL):
        request = deepcopy(TRAINING)
        request["training"]["learning_rate"] = rate
        request[EVIL] = rate
        driven.queued("ada", request=request, name=EVIL, labels=("evil",))
    text = page(driven, label="evil", sort=EVIL)
    assert names(text) == ["&lt;script&gt;alert(1)&lt;/script&gt;"] * 2
