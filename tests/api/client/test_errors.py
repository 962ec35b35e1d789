"""Errors of the client: what they say, and that they survive a trip to another process."""

from __future__ import annotations

import pickle

import pytest
from intertwine.errors import IntertwineError, TooLarge
from intertwine_api.client.errors import (
    ConnectionFailed,
    JobCancelled,
    JobFailed,
    ServiceError,
    WaitedTooLong,
    detached,
    error_of,
)

PROBLEM = {"code": "out-of-memory", "status": 422, "detail": "9 GB of 8 GB", "limit_bytes": 8}


@pytest.mark.parametrize(
    "error",
    [
        ServiceError(PROBLEM, retry_after=3.0),
        JobFailed("a1", PROBLEM),
        JobCancelled("a1", {"code": "cancelled", "status": 409, "detail": "cancelled by ann"}),
        ConnectionFailed("nobody there"),
        WaitedTooLong("too long"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_they_are_the_same_in_another_process(error: IntertwineError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_a_problem_s_parts_are_at_hand() -> None:
    error = JobFailed("a1", PROBLEM)
    assert (error.code, error.status, error.problem, error.job) == (
        "out-of-memory",
        422,
        PROBLEM,
        "a1",
    )
    assert str(error) == "job a1 failed: 9 GB of 8 GB"


def test_each_is_of_the_kind_that_python_has_for_it() -> None:
    assert isinstance(ConnectionFailed("x"), ConnectionError)
    assert isinstance(WaitedTooLong("x"), TimeoutError)
    assert isinstance(JobCancelled("a", PROBLEM), JobFailed)


def test_a_code_that_the_library_knows_is_its_error() -> None:
    assert isinstance(error_of({"code": "too-large", "detail": "x"}), TooLarge)
    assert isinstance(error_of({"code": "name-taken", "detail": "x"}), ServiceError)


@pytest.mark.parametrize("missing", ["offset", "expected", "caret"])
def test_a_complaint_without_its_place_is_still_told(missing: str) -> None:
    whole = {"code": "syntax", "detail": "bad", "offset": 0, "expected": "x", "caret": "  V\n  ^"}
    error = error_of({name: value for name, value in whole.items() if name != missing})
    assert (type(error), str(error)) == (ServiceError, "bad")


def test_ctrl_c_is_python_s_own() -> None:
    assert type(detached("gone on")) is KeyboardInterrupt
    assert str(detached("gone on")) == "gone on"
