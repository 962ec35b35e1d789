"""Claims by many processes at once: each job is taken once, and no host takes too many."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.example_queues import new_job
from intertwine_api.storage.database import Database
from intertwine_api.storage.tables import events, jobs
from intertwine_api.work.queue import Queue
from sqlalchemy import func, select

PROGRAM = Path(__file__).with_name("claimants.py")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


def claimants(url: str, places: int, roles: list[str], ended: list[int]) -> list[Any]:
    """Start a process for each role at once, and return their answers."""
    done = subprocess.run(
        [sys.executable, PROGRAM, url, str(places), *roles],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["ended"] == ended, done.stderr
    answers: list[Any] = said["answers"]
    return answers


def hand_in(database: Database, count: int) -> set[str]:
    """So many jobs of four owners and three priorities; which."""
    queue = Queue(database)
    owners = ("ada", "bea", "cleo", "dora")
    return {
        queue.submit(new_job(owners[number % 4], priority=number % 3))[0].id
        for number in range(count)
    }


def taken_once(database: Database, answers: list[Any], wanted: set[str]) -> None:
    """Each of the jobs was taken by one of the processes, and the database says the same."""
    taken = [job for answer in answers for job in answer["taken"]]
    assert len(taken) == len(wanted)
    assert set(taken) == wanted
    with database.read() as connection:
        assert set(connection.execute(select(jobs.c.attempt)).scalars()) == {1}
        numbers = select(events.c.job, func.count(), func.max(events.c.seq)).group_by(events.c.job)
        per_job = {(count, last) for _, count, last in connection.execute(numbers)}
    assert len(per_job) == 1, "each has the same events, numbered without a gap"


def exactly(url: str, database: Database, count: int) -> float:
    """Eight processes take so many jobs, each once; the seconds that it took."""
    wanted = hand_in(database, count)
    answers = claimants(url, 10**6, ["claim"] * 8, [0] * 8)
    taken_once(database, answers, wanted)
    assert all(answer["taken"] for answer in answers), "each of them took part"
    return max(float(answer["seconds"]) for answer in answers)


class TestClaims:
    @pytest.mark.slow
    def test_of_eight_processes_claim_each_job_once(
        self, database_url: str, database: Database
    ) -> None:
        exactly(database_url, database, 400)

    @pytest.mark.slow
    def test_of_eight_processes_take_each_of_a_thousand_once(
        self, database_url: str, database: Database
    ) -> None:
        seconds = exactly(database_url, database, 1000)
        print(f"{1000 / seconds:.0f} claims per second")

    def test_of_one_host_never_hold_more_than_its_places(
        self, database_url: str, database: Database
    ) -> None:
        wanted = hand_in(database, 40)
        answers = claimants(database_url, 2, ["work"] * 4, [0] * 4)
        taken_once(database, answers, wanted)
        assert max(answer["most"] for answer in answers) <= 2
        assert Queue(database).page(state="succeeded", limit=100)[1] is None

    def test_that_are_killed_in_the_middle_take_nothing_with_them(
        self, database_url: str, database: Database
    ) -> None:
        wanted = hand_in(database, 30)
        answers = claimants(database_url, 10**6, ["die", "claim", "claim"], [-signal.SIGKILL, 0, 0])
        late = Queue(database).claim("here", 1)  # what the dying one had in its hands
        taken_once(database, [*answers[1:], {"taken": [late.id] if late else []}], wanted)
