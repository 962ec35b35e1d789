"""`intertwine jobs`: a service's jobs from a shell."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers.program import PROGRAM, Ended, environment, intertwine
from helpers.service import running_service
from intertwine_api.storage.database import Database
from intertwine_api.work.job import Job, Limits, NewJob
from intertwine_api.work.queue import Queue

pytestmark = pytest.mark.slow  # real processes, or networks that are compiled

QUICK = {"rep": "V**2", "group": "SO(3)"}
ENDLESS = {"rep": "V**9", "group": "SO(4)", "method": "krylov"}
HOPELESS = {"rep": "V**3", "group": "SO(3)", "method": "orbits"}
WARNINGS = ["3 × W3 do not depend on the input: name W3, or give an integer ch", "W5 is left out"]


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("jobs") / "data"
    with running_service(folder, jobs="1", solve_operations="1e20") as http:
        yield http


def jobs(http: httpx.Client, *arguments: str) -> Ended:
    return intertwine("jobs", *arguments, "--remote", str(http.base_url))


def submit(http: httpx.Client, request: dict[str, Any], **more: Any) -> str:
    answer = http.post("/v1/jobs", json={"kind": "solve", **request, **more})
    job: str = answer.raise_for_status().json()["id"]
    return job


@pytest.fixture(scope="module")
def good(http: httpx.Client) -> str:
    """A job that has succeeded."""
    job = submit(http, QUICK, name="squares", labels=["nice", "small"])
    assert jobs(http, "watch", job).code == 0
    return job


@pytest.fixture(scope="module")
def bad(http: httpx.Client) -> str:
    """A job that has failed."""
    job = submit(http, HOPELESS)
    assert jobs(http, "watch", job).code == 1
    return job


@pytest.fixture
def endless(http: httpx.Client) -> Iterator[str]:
    job = submit(http, ENDLESS)
    yield job
    http.post(f"/v1/jobs/{job}:cancel")
    assert jobs(http, "watch", job).code == 1


def begun(queue: Queue, name: str) -> Job:
    """A job that runs on another host."""
    queue.submit(NewJob("train", "local", {}, Limits(seconds=600, memory=10**9), name))
    job = queue.claim("another host", slots=10)
    assert job is not None
    return queue.begin(job.id, job.attempt)


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service with three jobs, two of them with warnings. No network is trained."""
    data = tmp_path_factory.mktemp("trainings") / "data"
    data.mkdir()
    database = Database(f"sqlite:///{data / 'intertwine.db'}")
    queue = Queue(database, lease_seconds=3600)
    try:
        database.migrate()
        job = begun(queue, "complete")
        queue.succeed(job.id, job.attempt, {"test_loss": 0.25})
        job = begun(queue, "narrow")
        queue.succeed(job.id, job.attempt, {"test_loss": 0.25, "warnings": WARNINGS})
        job = begun(queue, "running")
        queue.heartbeat(job.id, job.attempt, {"stage": "training", "warnings": WARNINGS[:1]})
    finally:
        database.close()
    with running_service(data, jobs="0") as http:
        yield http


def test_watch_ends_with_the_job_and_its_exit_code(http: httpx.Client, good: str, bad: str) -> None:
    ended = jobs(http, "watch", good)
    assert (ended.code, ended.out) == (0, "succeeded\n")
    assert ended.err.splitlines()[-1] == f"squares ({good}): succeeded"
    ended = jobs(http, "watch", bad)
    assert ended.code == 1
    assert ended.out.startswith("failed, ")


def test_json_output_is_one_document(http: httpx.Client, good: str, bad: str) -> None:
    ended = jobs(http, "watch", bad, "--json")
    assert (ended.code, ended.err) == (1, "")
    assert ended.json["problem"]["code"] == "method-not-applicable"
    assert jobs(http, "show", good, "--json").json == http.get(f"/v1/jobs/{good}").json()
    assert jobs(http, "logs", good, "--json").json["job"] == good


def test_list_shows_a_line_for_each(http: httpx.Client, good: str, bad: str) -> None:
    header, *rows = jobs(http, "list").out.splitlines()
    assert header.split() == ["ID", "NAME", "KIND", "CREATED", "STATE"]
    assert [row.split()[0] for row in rows if row.split()[0] in (good, bad)] == [bad, good]
    assert [job["id"] for job in jobs(http, "list", "--label", "small", "--json").json] == [good]
    assert [j["id"] for j in jobs(http, "list", "--state", "failed", "--json").json] == [bad]
    assert len(jobs(http, "list", "--limit", "1", "--json").json) == 1
    assert jobs(http, "list", "--kind", "train").out == "ID  NAME  KIND  CREATED  STATE\n"


def test_show_prints_the_job(http: httpx.Client, good: str) -> None:
    shown = dict(line.split(maxsplit=1) for line in jobs(http, "show", good).out.splitlines())
    assert shown["job"] == good
    assert shown["name"] == "squares"
    assert shown["state"] == "succeeded"
    assert shown["labels"] == "nice, small"
    assert shown["owner"] == "local"


def test_show_prints_a_line_for_each_warning(trainings: httpx.Client) -> None:
    found = {job["name"]: job["id"] for job in jobs(trainings, "list", "--json").json}
    for name, warnings in (("complete", []), ("narrow", WARNINGS), ("running", WARNINGS[:1])):
        lines = jobs(trainings, "show", found[name]).out.splitlines()
        assert [x.split(maxsplit=1)[1] for x in lines if x.startswith("warning")] == warnings
        assert not any("[" in line for line in lines)


def test_list_marks_limited_networks(trainings: httpx.Client) -> None:
    _, *rows = jobs(trainings, "list").out.splitlines()
    limited = {row.split()[1]: row.endswith(" (limited)") for row in rows}
    assert limited == {"running": True, "narrow": True, "complete": False}


def test_logs_are_printed_as_they_are(http: httpx.Client, good: str) -> None:
    whole = http.get(f"/v1/jobs/{good}/logs").text
    assert jobs(http, "logs", good).out == whole
    assert jobs(http, "logs", good, "--follow").out == whole
    assert jobs(http, "logs", good, "--tail", "0").out == ""


def test_cancel_retry_and_delete(http: httpx.Client, endless: str) -> None:
    other = submit(http, QUICK)  # waits for the endless one
    ended = jobs(http, "cancel", other)
    assert (ended.code, ended.out) == (0, f"{other} is cancelled, cancelled by local\n")
    assert jobs(http, "retry", other, "--json").json[0]["state"] == "queued"
    assert jobs(http, "cancel", other).code == 0
    ended = jobs(http, "delete", other)
    assert (ended.code, ended.out) == (0, f"{other} is deleted\n")
    ended = jobs(http, "show", other)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"intertwine: there is no job {other}")


def test_unfinished_jobs_are_not_deleted(http: httpx.Client, endless: str) -> None:
    ended = jobs(http, "delete", endless)
    assert (ended.code, ended.out) == (2, "")
    assert "Traceback" not in ended.err


def test_each_of_several_jobs_is_attempted_and_reported(http: httpx.Client, endless: str) -> None:
    first, second = (submit(http, QUICK) for _ in range(2))  # which wait for the endless one
    missing = "intertwine: there is no job nonexistent\n"
    ended = jobs(http, "cancel", first, "nonexistent", second)
    assert (ended.code, ended.err) == (2, missing)
    assert ended.out == "".join(
        f"{job} is cancelled, cancelled by local\n" for job in (first, second)
    )
    ended = jobs(http, "retry", "nonexistent", first, second, "--json")
    assert (ended.code, ended.err) == (2, missing)
    assert [(job["id"], job["state"]) for job in ended.json] == [
        (first, "queued"),
        (second, "queued"),
    ]
    jobs(http, "cancel", first, second)
    ended = jobs(http, "delete", first, "nonexistent", endless, second)
    assert (ended.code, ended.out) == (2, f"{first} is deleted\n{second} is deleted\n")
    said = ended.err.splitlines(keepends=True)
    assert said[0] == missing
    assert said[1].startswith(f"intertwine: job {endless} is ")
    assert jobs(http, "delete", first, second, "--json").json == {"deleted": []}


def test_no_job_is_attempted_after_the_connection_fails() -> None:
    ended = intertwine("jobs", "delete", "a", "b", "c", "--json", "--remote", "http://127.0.0.1:1")
    assert (ended.code, ended.json) == (3, {"deleted": []})
    first, second = ended.err.splitlines()
    assert first.startswith("intertwine: http://127.0.0.1:1 cannot be reached")
    assert second == "intertwine: not tried: b, c"


@pytest.mark.parametrize("limit", ["0", "-1"])
def test_a_limit_that_lists_nothing_is_refused(limit: str) -> None:
    ended = intertwine("jobs", "list", "--limit", limit, "--remote", "http://127.0.0.1:1")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "Usage: intertwine jobs list [OPTIONS]\n"
        "Try 'intertwine jobs list --help' for help.\n\n"
        f"Error: Invalid value for '--limit': {limit} is not in the range x>=1.\n"
    )


def test_ctrl_c_says_how_to_resume_watching(http: httpx.Client, endless: str) -> None:
    command = [PROGRAM, "jobs", "watch", endless, "--remote", str(http.base_url)]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True
    )
    assert running.stderr is not None
    assert running.stderr.readline().startswith(f"{endless}: ")
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=120)
    assert (running.returncode, out) == (130, "")
    assert err.splitlines()[-1].startswith(f"detached: job {endless} continues. Resume with ")
    assert http.get(f"/v1/jobs/{endless}").json()["ended"] is None


@pytest.mark.parametrize(
    "arguments",
    [("jobs", "list"), ("jobs", "watch", "a"), ("jobs", "cancel", "a"), ("models", "list")],
    ids=" ".join,
)
def test_an_unreachable_service_has_its_own_exit_code(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    ended = intertwine(*arguments, "--remote", "http://127.0.0.1:1", cwd=tmp_path)
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith("intertwine: http://127.0.0.1:1 cannot be reached")
    assert "Traceback" not in ended.err


def test_an_invalid_address_is_bad_input() -> None:
    ended = intertwine("jobs", "list", "--remote", "lab")
    assert (ended.code, ended.out) == (2, "")
    assert "is not the address of a service: give one like http://127.0.0.1:8000" in ended.err
