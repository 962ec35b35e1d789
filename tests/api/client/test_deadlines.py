"""A timeout is kept, whatever the service does meanwhile; without one an outage is waited out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
from helpers.patience import PATIENCE, quickest, seconds_of
from helpers.scripted_service import (
    HANG_UP,
    Reply,
    Request,
    job_document,
    json_reply,
    problem_reply,
    scripted_service,
)
from helpers.service import UNKNOWN
from intertwine_api.client import AsyncClient, Client, Job
from intertwine_api.client.errors import ConnectionFailed, WaitedTooLong
from intertwine_api.client.retries import Deadline

pytestmark = pytest.mark.slow  # it waits for deadlines

RUNNING = json_reply(job_document(state="running"))
RESULT = {"model": "m", "version": 1, "test_loss": 0.5, "equivariance_error": 0.0}
DONE = json_reply(job_document(state="succeeded", result={**RESULT, "is_equivariant": True}))
PROGRESS = {"stage": "solving", "fraction": 0.5}
PENDING = json_reply({"key": UNKNOWN, "state": "running", "progress": PROGRESS}, 202)


def takes(least: float, most: float, call: Callable[[], object]) -> None:
    """Require that a call takes this long, in the quickest of some tries."""
    assert least <= quickest(lambda: seconds_of(call), most) < most


@pytest.fixture
def silent() -> Iterator[Callable[[Request], Reply]]:
    """Answers of a service that takes requests and says nothing to them."""
    over = threading.Event()

    def wait(request: Request) -> Reply:
        over.wait(PATIENCE)
        return HANG_UP

    yield wait
    over.set()


def job_of(lab: Client) -> Job:
    return Job(lab._connection, {"id": "a", "state": "running"})


class TestDeadline:
    def test_a_deadline_expires(self) -> None:
        deadline = Deadline(0.05)
        assert deadline.left <= 0.05
        time.sleep(0.06)
        assert deadline.left == 0
        assert str(deadline) == "0.05 seconds"

    def test_without_a_timeout_it_never_expires(self) -> None:
        assert Deadline().left > 1e9
        assert Deadline().answer_timeout is None

    @pytest.mark.parametrize("timeout", [0, -5, 0.3])
    def test_the_answer_timeout_is_at_least_a_second(self, timeout: float) -> None:
        assert Deadline(timeout).answer_timeout == 1

    def test_the_answer_timeout_is_the_remaining_time(self) -> None:
        left = Deadline(100).answer_timeout
        assert left is not None
        assert 50 < left <= 100


class TestAServiceThatIsAway:
    @pytest.mark.parametrize("call", [Job.wait, Job.result])
    def test_a_service_that_is_down(self, call: Callable[..., Any]) -> None:
        with scripted_service([RUNNING]) as there:
            url = there.url

        def wait() -> None:
            with Client(url) as lab, pytest.raises(WaitedTooLong) as caught:
                call(job_of(lab), timeout=0.3)
            assert str(caught.value).startswith(
                f"no answer in 0.3 seconds: the service is unavailable or busy: "
                f"{url} cannot be reached"
            )

        takes(0.3, 1, wait)

    @pytest.mark.parametrize("away", [HANG_UP, problem_reply(503, "not-ready")], ids=["", "busy"])
    def test_a_service_that_goes_down_during_the_wait(self, away: Reply) -> None:
        def wait() -> None:
            with (
                scripted_service([RUNNING, away]) as there,
                Client(there.url) as lab,
                pytest.raises(WaitedTooLong, match=r"no answer in 0\.6 seconds"),
            ):
                job_of(lab).wait(timeout=0.6)

        takes(0.6, 1.5, wait)

    def test_a_service_that_does_not_answer(self, silent: Callable[[Request], Reply]) -> None:
        def wait() -> None:
            with (
                scripted_service(silent) as there,
                Client(there.url) as lab,
                pytest.raises(WaitedTooLong, match=r"did not answer in 2 seconds$"),
            ):
                job_of(lab).wait(timeout=2)

        takes(1, 4, wait)

    def test_a_service_that_goes_down_before_the_result(self) -> None:
        def wait() -> None:
            with (
                scripted_service([DONE, HANG_UP]) as there,
                Client(there.url) as lab,
                pytest.raises(WaitedTooLong),
            ):
                job_of(lab).result(timeout=0.3)

        takes(0.3, 1, wait)

    @pytest.mark.parametrize("first", [[], [PENDING]], ids=["at once", "later"])
    def test_the_wait_for_a_basis_times_out(self, first: list[Reply]) -> None:
        def wait() -> None:
            with (
                scripted_service([*first, HANG_UP]) as there,
                Client(there.url) as lab,
                pytest.raises(WaitedTooLong),
            ):
                lab.basis("V**2", "SO(3)", timeout=0.3)

        takes(0.3, 1, wait)

    def test_the_asynchronous_client_times_out_too(self) -> None:
        async def ask(url: str) -> None:
            async with AsyncClient(url) as lab:
                job = await lab.job("a")
                with pytest.raises(WaitedTooLong):
                    await job.result(timeout=0.3)

        def wait() -> None:
            with scripted_service([RUNNING, HANG_UP]) as there:
                anyio.run(ask, there.url)

        takes(0.3, 1, wait)

    def test_a_timeout_of_zero_polls_once(self) -> None:
        with scripted_service([DONE]) as there, Client(there.url) as lab:
            assert job_of(lab).wait(timeout=0).state == "succeeded"

    def test_a_service_that_never_answered_is_a_failed_connection(self) -> None:
        with (
            scripted_service([HANG_UP]) as there,
            Client(there.url, retries=0) as lab,
            pytest.raises(ConnectionFailed),
        ):
            job_of(lab).wait(timeout=60)


class TestAnOutage:
    def test_the_outage_limit_is_in_seconds(self) -> None:
        def wait() -> None:
            with (
                scripted_service([RUNNING, HANG_UP]) as there,
                Client(there.url, retries=0, outage=0.4) as lab,
                pytest.raises(ConnectionFailed, match="closed the connection"),
            ):
                job_of(lab).wait()

        takes(0.5, 1.5, wait)  # with the pause between two looks

    def test_the_wait_survives_a_short_outage(self) -> None:
        replies = [RUNNING, *[HANG_UP] * 2, DONE]
        with scripted_service(replies) as there, Client(there.url, retries=0, outage=60) as lab:
            assert job_of(lab).wait(timeout=60).state == "succeeded"
