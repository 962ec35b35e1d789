"""What is said of a job that is watched."""

from __future__ import annotations

from typing import Any

import pytest
from intertwine_api.client.displays import WatchedJob
from intertwine_api.client.following import JobEvent, JobSnapshot, ServiceUnavailable
from intertwine_api.wire.vocabulary import duration

JOB = {
    "id": "a1",
    "name": "inertia",
    "state": "running",
    "reason": "begun",
    "progress": {},
    "last_event": 1,
}
ROW = {"epoch": 1, "train_loss": 0.5, "test_loss": 0.25, "validation_loss": None}


def heard(*told: Any, **document: Any) -> WatchedJob:
    watched = WatchedJob()
    for one in (JobSnapshot({**JOB, **document}), *told):
        watched.update(one)
    return watched


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "running"),
        ({"progress": {"stage": "compiling"}}, "compiling"),
        (
            {"state": "queued", "queue": {"position": 3, "why": "1 job runs here"}},
            "number 3 in the queue, 1 job runs here",
        ),
        ({"state": "queued", "queue": None}, "queued, begun"),
        ({"state": "cancelling", "reason": "cancelled by bob"}, "cancelling, cancelled by bob"),
        ({"state": "succeeded", "reason": "done"}, "succeeded"),
        (
            {"state": "failed", "problem": {"code": "x", "detail": "out of paper"}},
            "failed, out of paper",
        ),
    ],
)
def test_the_headline_says_what_it_does_or_why_it_does_not(document: Any, said: str) -> None:
    assert heard(**document).headline == f"inertia (a1): {said}"
    assert heard(**document, name="").headline == f"a1: {said}"


def test_a_service_that_is_away_is_said_until_it_is_back() -> None:
    away = heard(ServiceUnavailable("nobody there"))
    assert away.headline == "inertia (a1): nobody there"
    away.update(JobEvent(4, "progress", {"epoch": 2, "epochs": 4}))
    assert away.headline == "inertia (a1): running"


def test_states_change_with_events() -> None:
    told = JobEvent(2, "state", {"state": "failed", "reason": "its process is gone"})
    assert heard(told).headline == "inertia (a1): failed, its process is gone"


def test_what_the_document_knows_already_changes_nothing() -> None:
    before = {"state": "queued", "reason": "handed in"}
    watched = heard(JobEvent(7, "state", before), JobEvent(8, "progress", {}), last_event=8)
    assert watched.headline == "inertia (a1): running"
    watched.update(JobEvent(3, "metrics", {"rows": [ROW]}))
    assert watched.rows == [ROW]


def test_epochs_are_counted_and_else_the_fraction() -> None:
    assert heard(progress={"epoch": 3, "epochs": 10, "fraction": 0.3}).done == (3, 10, "epochs")
    assert heard(progress={"fraction": 0.336}).done == (34, 100, "%")
    assert heard().done == (0, 100, "%")
    assert heard(state="succeeded", progress={"fraction": 0.5}).done == (100, 100, "%")
    assert heard(state="succeeded", progress={"epoch": 7, "epochs": 10}).done == (7, 10, "epochs")


def test_losses_are_those_of_the_last_epoch() -> None:
    progress = {"epoch": 1, "epochs": 9, "train_loss": 0.7, "eta_seconds": 75.4}
    watched = heard(progress=progress)
    assert watched.figures == "train loss 0.7, 1:15 to go"
    watched.update(JobEvent(5, "metrics", {"rows": [ROW, {**ROW, "epoch": 2, "test_loss": 1e-7}]}))
    assert watched.figures == "train loss 0.5, test loss 1e-07, 1:15 to go"
    watched.update(JobSnapshot({**JOB, "state": "succeeded", "progress": progress}))
    assert watched.figures == "train loss 0.5, test loss 1e-07"


def test_an_epoch_that_a_retry_repeats_is_there_once() -> None:
    watched = heard(
        JobEvent(5, "metrics", {"rows": [ROW, {**ROW, "epoch": 2}]}),
        JobEvent(9, "metrics", {"rows": [{**ROW, "epoch": 2, "train_loss": 0.4}]}),
    )
    assert [(row["epoch"], row["train_loss"]) for row in watched.rows] == [(1, 0.5), (2, 0.4)]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1:00"), (3599, "59:59"), (7805, "2:10:05")],
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_warning_is_said_once_whether_in_the_progress_or_in_the_result() -> None:
    watched = heard(progress={"epoch": 1, "warnings": ["blind"]})
    assert (watched.new_warnings(), watched.new_warnings()) == (["blind"], [])
    watched.update(JobEvent(3, "progress", {"epoch": 2, "warnings": ["blind", "narrow"]}))
    assert watched.new_warnings() == ["narrow"]
    watched.update(
        JobSnapshot({**JOB, "state": "succeeded", "result": {"warnings": ["blind", "narrow"]}})
    )
    assert watched.new_warnings() == []
    assert heard(progress=None).new_warnings() == []
