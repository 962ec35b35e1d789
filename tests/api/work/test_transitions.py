"""The state machine of jobs, and any sequence of what may happen to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, get_args

import pytest
from helpers.databases import Databases
from helpers.example_queues import LIMITS, leased, let_time_pass, new_job, queued, running
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intertwine_api.storage.database import Database
from intertwine_api.wire.problems import Problem, ProblemError
from intertwine_api.wire.vocabulary import ENDED, HELD, State
from intertwine_api.work.events import Events
from intertwine_api.work.job import Job
from intertwine_api.work.queue import Fenced, Queue
from intertwine_api.work.transitions import MOVES, move

STATES: tuple[State, ...] = get_args(State)
ATTEMPTS = 2
PROBLEM = Problem.of("internal", "it broke")


class TestMoves:
    def test_lead_from_every_state_to_states(self) -> None:
        assert set(MOVES) == set(STATES) == {"queued", *HELD, *ENDED}
        assert {state for states in MOVES.values() for state in states} <= set(STATES)

    def test_lead_from_the_queue_to_every_state(self) -> None:
        reached = {"queued"}
        for _ in STATES:
            reached |= {state for start in reached for state in MOVES[start]}  # type: ignore[index]
        assert reached == set(STATES)

    def test_lead_from_an_end_only_back_to_the_queue(self) -> None:
        assert MOVES["succeeded"] == ()
        assert MOVES["failed"] == MOVES["cancelled"] == ("queued",)

    @pytest.mark.parametrize(
        ("state", "made"), [("queued", queued), ("leased", leased), ("running", running)]
    )
    def test_that_are_not_there_are_not_made(
        self, database: Database, state: State, made: Any
    ) -> None:
        job = made(Queue(database))
        for target in set(STATES) - set(MOVES[state]):
            with (
                pytest.raises(ValueError, match=f"from {state} to {target}"),
                database.write() as connection,
            ):
                move(connection, job, target, "no reason")
        assert Queue(database).get(job.id) == job

    @pytest.mark.parametrize("old", [{"attempt": 0}, {"attempt": 2}, {"state": "leased"}])
    def test_from_what_a_job_no_longer_is_are_refused(
        self, database: Database, old: dict[str, Any]
    ) -> None:
        job = running(Queue(database))
        with pytest.raises(Fenced, match="is no longer"), database.write() as connection:
            move(connection, replace(job, **old), "failed", "no reason")
        assert Queue(database).get(job.id) == job


@dataclass
class Model:
    """A job as it should be."""

    id: str
    state: State = "queued"
    attempt: int = 0
    most: int = ATTEMPTS
    states: int = 1
    """how many events of its state there should be"""

    def goes(self, state: State) -> None:
        self.state = state
        self.states += 1


class Course:
    """Whatever is done to the queue is done to the models too, and they must agree."""

    def __init__(self, database: Database) -> None:
        self.database, self.queue, self.events = database, Queue(database), Events(database)
        self.models: list[Model] = []

    def do(self, is_sensible: bool, job: int, choice: int, attempts_ago: int) -> None:
        """Do something that fits the state of one of the jobs, or anything."""
        if not self.models:
            self.submit()
        model = self.models[job % len(self.models)]
        choices = SENSIBLE[model.state] if is_sensible else ANYTHING
        what = choices[choice % len(choices)]
        if what in ("submit", "claim"):
            getattr(self, what)()
        else:
            getattr(self, what)(model, model.attempt - (0 if is_sensible else attempts_ago))

    def submit(self) -> None:
        limits = replace(LIMITS, attempts=ATTEMPTS)
        self.models.append(Model(self.queue.submit(new_job(limits=limits))[0].id))

    def claim(self) -> None:
        let_time_pass(self.database)
        waiting = [model for model in self.models if model.state == "queued"]
        job = self.queue.claim("here", 3)
        held = sum(model.state in HELD for model in self.models)
        if held >= 3 or not waiting:
            assert job is None
            return
        assert job is not None
        assert job.id == waiting[0].id  # the oldest
        waiting[0].attempt += 1
        waiting[0].goes("leased")

    def said(self, model: Model, attempt: int, states: tuple[State, ...], say: Any) -> Job | None:
        """The answer to what an attempt says; none if it is, and should be, refused."""
        if attempt == model.attempt and model.state in states:
            answer: Job = say(model.id, attempt)
            return answer
        with pytest.raises(Fenced):
            say(model.id, attempt)
        return None

    def begin(self, model: Model, attempt: int) -> None:
        if self.said(model, attempt, ("leased",), self.queue.begin):
            model.goes("running")

    def beat(self, model: Model, attempt: int) -> None:
        answer = self.said(model, attempt, HELD, self.queue.heartbeat)
        assert answer in (None, model.state)

    def place(self, model: Model, attempt: int) -> None:
        states: tuple[State, ...] = (*HELD, *ENDED)
        self.said(model, attempt, states, lambda *job: self.queue.placed(*job, "12:3"))

    def succeed(self, model: Model, attempt: int) -> None:
        states: tuple[State, ...] = ("running", "cancelling")
        if self.said(model, attempt, states, lambda *job: self.queue.succeed(*job, {})):
            model.goes("succeeded")

    def fail(self, model: Model, attempt: int) -> None:
        states: tuple[State, ...] = ("leased", "running")
        if self.said(model, attempt, states, lambda *job: self.queue.fail(*job, PROBLEM)):
            model.goes("failed")

    def lose(self, model: Model, attempt: int) -> None:
        if self.said(model, attempt, HELD, lambda *job: self.queue.lose(*job, "gone")):
            again: State = "queued" if model.attempt < model.most else "failed"
            model.goes("cancelled" if model.state == "cancelling" else again)

    def end(self, model: Model, attempt: int) -> None:
        say = lambda *job: self.queue.cancelled(*job, "gone")  # noqa: E731
        if self.said(model, attempt, ("cancelling",), say):
            model.goes("cancelled")

    def cancel(self, model: Model, _: int) -> None:
        self.queue.cancel(model.id, "by hand")
        if model.state == "queued":
            model.goes("cancelled")
        elif model.state in ("leased", "running"):
            model.goes("cancelling")

    def retry(self, model: Model, _: int) -> None:
        if model.state in ("failed", "cancelled"):
            self.queue.retry(model.id)
            model.goes("queued")
            model.most = model.attempt + ATTEMPTS
        else:
            with pytest.raises(ProblemError, match=f"is {model.state}"):
                self.queue.retry(model.id)

    def delete(self, model: Model, _: int) -> None:
        if model.state in ENDED:
            self.queue.delete(model.id)
            self.models.remove(model)
        else:
            with pytest.raises(ProblemError, match=f"is {model.state}"):
                self.queue.delete(model.id)

    def check(self) -> None:
        """The database says what the models say."""
        jobs = {job.id: job for job in self.queue.page(limit=1000)[0]}
        assert set(jobs) == {model.id for model in self.models}
        for model in self.models:
            job = jobs[model.id]
            assert (job.state, job.attempt) == (model.state, model.attempt)
            assert job.has_ended == (job.ended is not None)
            assert (job.state in HELD) <= (job.host == "here")
            assert (job.state == "failed") == (job.problem is not None)
            assert (job.state == "succeeded") == (job.result is not None)
            assert (job.state == "running") <= (job.started is not None)
            told = self.events.after(model.id)
            assert [event.seq for event in told] == list(range(1, job.last_event + 1))
            assert len(told) == model.states
            last = {"state": job.state, "reason": job.reason, "attempt": job.attempt}
            assert told[-1].data == last


#: What may well happen to a job in each state; twice what leads to rare places.
SENSIBLE: dict[str, tuple[str, ...]] = {
    "queued": ("claim", "claim", "claim", "cancel", "submit"),
    "leased": ("begin", "begin", "lose", "lose", "fail", "place", "cancel"),
    "running": ("lose", "lose", "succeed", "fail", "beat", "cancel"),
    "cancelling": ("end", "lose", "succeed", "fail", "beat"),
    "succeeded": ("delete", "place", "submit"),
    "failed": ("retry", "retry", "delete"),
    "cancelled": ("retry", "delete", "submit"),
}
ANYTHING = tuple(dict.fromkeys(what for state in SENSIBLE.values() for what in state))
courses = st.lists(
    st.tuples(
        st.sampled_from((True, True, True, False)),
        st.integers(0, 1),
        st.integers(0, 2**30),
        st.sampled_from((0, 1, -1)),
    ),
    min_size=20,
    max_size=50,
)


@pytest.fixture
def fresh(databases: Databases) -> Iterator[Any]:
    """Makes a database for each course."""
    return databases.migrated


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=courses)
@pytest.mark.slow
def test_any_course_of_events_is_as_it_should_be(
    fresh: Any, kind: str, steps: list[tuple[bool, int, int, int]]
) -> None:
    with fresh(kind) as url:
        database = Database(url)
        course = Course(database)
        for step in steps:
            course.do(*step)
        course.check()
        database.close()
