"""How much one key may ask: requests a second, requests at once, jobs, streams."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from helpers.patience import PATIENCE, quickest, seconds_of
from helpers.service import SO3, ServiceProcess, problem, service_process
from intertwine_api.server.limits import ByteBudget, ConcurrencyLimit, FairLimiter, RateLimiter
from intertwine_api.storage.database import Database
from intertwine_api.storage.keys import Keys
from intertwine_api.wire.problems import ProblemError


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class TestFairThreads:
    """`FairLimiter`: slow functions run in threads, and each name has a share of these."""

    def test_many_calls_of_one_name_leave_threads_to_others(self) -> None:
        limiter = FairLimiter(most=3, share=1)
        running: Counter[str | None] = Counter()
        most: Counter[str | None] = Counter()
        lock = threading.Lock()
        all_at_work, without_name = threading.Event(), threading.Event()

        def slow(name: str | None) -> None:
            with lock:
                running[name] += 1
                most[name] = max(most[name], running[name])
                most["all"] = max(most["all"], running.total())
                if running.total() == 3:
                    all_at_work.set()
                if running[None] == 2:
                    without_name.set()
            assert all_at_work.wait(PATIENCE)
            assert name is not None or without_name.wait(PATIENCE)
            time.sleep(0.01)
            with lock:
                running[name] -= 1

        async def ask() -> None:
            names: list[str | None] = ["ann"] * 30 + ["bob"] * 10 + [None] * 10
            await asyncio.gather(*(limiter.run(name, partial(slow, name)) for name in names))

        asyncio.run(ask())
        assert (most["ann"], most["bob"], most["all"]) == (1, 1, 3)
        assert most[None] >= 2

    def test_one_who_leaves_takes_no_thread(self) -> None:
        async def ask() -> None:
            limiter = FairLimiter(most=1, share=1)
            may_end = threading.Event()
            first = asyncio.create_task(limiter.run("ann", partial(may_end.wait, PATIENCE)))
            await asyncio.sleep(0.02)
            ran: list[int] = []
            leaving = asyncio.create_task(limiter.run("ann", partial(ran.append, 1)))
            await asyncio.sleep(0.02)
            leaving.cancel()
            await asyncio.sleep(0.02)
            may_end.set()
            await first
            await limiter.run("ann", partial(ran.append, 2))
            assert ran == [2]

        asyncio.run(ask())

    def test_one_who_leaves_a_thread_at_work_still_takes_the_share(self) -> None:
        async def ask() -> None:
            limiter = FairLimiter(most=5, share=1)
            at_once = 0
            most = 0
            lock = threading.Lock()

            def slow() -> None:
                nonlocal at_once, most
                with lock:
                    at_once += 1
                    most = max(most, at_once)
                time.sleep(0.05)
                with lock:
                    at_once -= 1

            for _ in range(6):
                task = asyncio.create_task(limiter.run("ann", slow))
                await asyncio.sleep(0.02)
                task.cancel()
            await limiter.run("ann", slow)
            assert most == 1

        asyncio.run(ask())


class TestRates:
    def limiter(self) -> tuple[RateLimiter, Clock]:
        clock = Clock()
        return RateLimiter(10, 3, clock), clock

    def test_a_burst_and_then_as_many_as_flow_in(self) -> None:
        limiter, clock = self.limiter()
        assert [limiter.take("a").granted for _ in range(4)] == [True, True, True, False]
        clock.now = 0.25
        assert [limiter.take("a").granted for _ in range(3)] == [True, True, False]
        clock.now = 1000.0
        assert [limiter.take("a").granted for _ in range(4)] == [True, True, True, False]

    def test_each_has_its_own(self) -> None:
        limiter, _ = self.limiter()
        for _ in range(4):
            limiter.take("a")
        assert limiter.take("b").granted

    def test_who_is_refused_hears_when_to_ask_again(self) -> None:
        clock = Clock()
        limiter = RateLimiter(0.1, 1, clock)
        limiter.require("a")
        clock.now = 2.0
        with pytest.raises(ProblemError) as refused:
            limiter.require("a")
        assert refused.value.problem.code == "rate-limited"
        assert refused.value.headers["Retry-After"] == "8"
        assert refused.value.headers["RateLimit"] == '"key";r=0;t=8'
        assert refused.value.headers["RateLimit-Policy"] == '"key";q=1;w=10'

    def test_a_costly_request_takes_the_tokens_of_later_ones(self) -> None:
        limiter, clock = self.limiter()
        assert limiter.take("a").granted
        limiter.spend("a", 7.0)  # 5 more than there are
        refused = limiter.take("a")
        assert (refused.granted, refused.remaining) == (False, 0)
        assert refused.wait == pytest.approx(0.6)
        clock.now = 0.55
        assert not limiter.take("a").granted
        clock.now = 0.65
        assert limiter.take("a").granted

    def test_a_stream_waits_until_no_token_is_missing(self) -> None:
        async def send() -> float:
            limiter = RateLimiter(1000, 100)
            begun = time.monotonic()
            for _ in range(6):
                await limiter.pace("a", 50)
            await limiter.pace("b", 100)
            return time.monotonic() - begun

        # 200 more than the burst
        assert 0.19 < quickest(lambda: asyncio.run(send()), 0.3) < 0.3

    def test_a_refusal_costs_no_token(self) -> None:
        limiter, clock = self.limiter()
        for _ in range(100):
            limiter.take("a")
        clock.now = 0.1
        assert limiter.take("a").granted


class TestAtOnce:
    def test_past_the_most_the_next_is_refused_until_one_ends(self) -> None:
        concurrency = ConcurrencyLimit(2, "streams of events")
        with concurrency.slot("a"):
            with concurrency.slot("a"):
                with pytest.raises(ProblemError, match="2 streams of events") as refused:
                    concurrency.enter("a")
                assert refused.value.headers["Retry-After"] == "1"
                concurrency.enter("b")
            with concurrency.slot("a"):
                assert concurrency["a"] == 2
        assert (concurrency["a"], concurrency["b"]) == (0, 1)

    def test_whoever_fails_is_counted_out(self) -> None:
        concurrency = ConcurrencyLimit(1, "things")
        with pytest.raises(ValueError, match="no"), concurrency.slot("a"):
            raise ValueError("no")
        assert concurrency["a"] == 0


class TestBytes:
    def test_a_key_and_all_keys_have_a_limit(self) -> None:
        budget = ByteBudget(10, 6, "bodies")
        with budget.account() as hers, budget.account() as also_hers, budget.account() as his:
            hers.take("a", 4)
            also_hers.take("a", 2)
            with pytest.raises(ProblemError) as caught:
                also_hers.take("a", 1)
            assert caught.value.problem.code == "rate-limited"
            his.take("b", 4)
            with pytest.raises(ProblemError) as caught:
                his.take("b", 1)
            assert (caught.value.problem.code, caught.value.headers["Retry-After"]) == ("busy", "1")
            assert (budget["a"], budget["b"], budget.total) == (6, 4, 10)
        assert (budget["a"], budget["b"], budget.total) == (0, 0, 0)

    def test_callers_without_a_key_have_the_limit_of_all(self) -> None:
        budget = ByteBudget(10, 6, "bodies")
        with budget.account() as account:
            account.take(None, 10)
            with pytest.raises(ProblemError):
                account.take(None, 1)
        assert budget.total == 0

    def test_an_error_returns_the_bytes(self) -> None:
        budget = ByteBudget(10, 6, "bodies")

        def fail() -> None:
            with budget.account() as account:
                account.take("a", 5)
                raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            fail()
        assert (budget["a"], budget.total) == (0, 0)


@contextmanager
def service_with_keys(
    folder: Path, *owners: str, **settings: str
) -> Iterator[tuple[httpx.Client, ...]]:
    """A service that runs no jobs, and a client with a key for each owner."""
    service = ServiceProcess(folder / "data", jobs="0", workers="1", **settings)
    database = Database(f"sqlite:///{service.data}/intertwine.db")
    database.migrate()
    scopes = ("bases:solve", "jobs:write")
    tokens = [Keys(database).create(owner, scopes)[1] for owner in owners]
    database.close()
    with service_process(service.data, service=service):
        clients = tuple(
            httpx.Client(
                base_url=service.address, headers={"authorization": f"Bearer {token}"}, timeout=120
            )
            for token in tokens
        )
        yield clients
        for client in clients:
            client.close()


class TestAKey:
    @pytest.mark.slow
    def test_asks_so_often_and_is_then_told_to_wait(self, tmp_path: Path) -> None:
        settings = {"key_requests_per_second": "2", "key_requests_burst": "4"}
        owners = ("bob", "alice", "ann", "amy", "ada")
        with service_with_keys(tmp_path, *owners, **settings) as (his, *others):
            answers: list[httpx.Response] = []

            def ask(hers: httpx.Client) -> float:
                answers[:] = []
                return seconds_of(lambda: answers.extend(hers.get("/v1/groups") for _ in range(8)))

            # so soon that one more is allowed at most: on a busy machine, another key tries it
            hers = next(hers for hers in others if ask(hers) < 0.5)
            refused = [answer for answer in answers if answer.status_code != 200]
            assert 3 <= len(refused) <= 4
            for answer in refused:
                problem(answer, 429, "rate-limited")
                assert answer.headers["retry-after"] == "1"
            left = [answer.headers["ratelimit"].split(";")[1] for answer in answers[:4]]
            assert left == ["r=3", "r=2", "r=1", "r=0"]
            assert his.get("/v1/groups").status_code == 200
            assert hers.get("/healthz").status_code == 200
            time.sleep(1.1)
            assert hers.get("/v1/groups").status_code == 200

    @pytest.mark.slow
    def test_refusals_that_come_too_fast_are_held_for_seconds(self, tmp_path: Path) -> None:
        settings = {"key_requests_per_second": "0.01", "key_requests_burst": "1"}
        owners = ("alice", "bob", "ben", "bert", "bill")
        with service_with_keys(tmp_path, *owners, **settings) as (hers, *others):

            def seconds_of_a_refusal() -> float:
                begun = time.monotonic()
                problem(hers.get("/v1/groups"), 429, "rate-limited")
                return time.monotonic() - begun

            assert hers.get("/v1/groups").status_code == 200
            assert min(seconds_of_a_refusal() for _ in range(200)) < 0.5
            assert any(seconds_of_a_refusal() >= 1 for _ in range(200))
            unused = iter(others)  # a key may ask once

            def ask() -> None:
                assert next(unused).get("/v1/groups").status_code == 200

            assert quickest(lambda: seconds_of(ask), 1, tries=4) < 1

    @pytest.mark.slow
    def test_so_are_those_of_unknown_keys_and_known_ones_do_not_wait(self, tmp_path: Path) -> None:
        with service_with_keys(tmp_path, "alice") as (hers,):
            url = f"{hers.base_url}/v1/groups"
            times: list[float] = []
            with httpx.Client(timeout=120) as stranger:
                while max(times[200:], default=0.0) < 1 and len(times) < 2000:
                    begun = time.monotonic()
                    headers = {"authorization": f"Bearer itw_{len(times)}"}
                    problem(stranger.get(url, headers=headers), 401, "unauthorized")
                    times.append(time.monotonic() - begun)
            assert sorted(times[:200])[150] < 0.5
            assert max(times[200:]) >= 1

            def ask() -> None:
                assert hers.get("/v1/groups").status_code == 200

            assert quickest(lambda: seconds_of(ask), 1) < 1

    @pytest.mark.slow
    def test_has_so_many_requests_in_the_works_at_once(self, tmp_path: Path) -> None:
        with service_with_keys(tmp_path, "alice", "bob", key_requests_at_once="2") as (hers, his):
            job = hers.post("/v1/jobs", json={"kind": "solve", **SO3}).json()
            with hers.stream("GET", job["links"]["events"]):
                with hers.stream("GET", job["links"]["events"]):
                    problem(hers.get("/v1/groups"), 429, "rate-limited")
                    assert his.get("/v1/groups").status_code == 200
                begun = time.monotonic()
                while hers.get("/v1/groups").status_code == 429:
                    assert time.monotonic() - begun < PATIENCE


class TestWithoutKeys:
    def test_nobody_is_counted(self, client: httpx.Client) -> None:
        answers = [client.get("/v1/groups") for _ in range(150)]
        assert {answer.status_code for answer in answers} == {200}
        assert "ratelimit" not in answers[-1].headers
