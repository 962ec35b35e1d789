"""Requests are sent again where that is safe and may help, and not elsewhere."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from helpers.patience import PATIENCE, quickest, seconds_of
from helpers.scripted_service import (
    HANG_UP,
    Reply,
    job_document,
    json_reply,
    problem_document,
    problem_reply,
    scripted_service,
)
from intertwine.errors import InvalidGroup, InvalidSetting, NotFound, ParseError
from intertwine_api.client import Client
from intertwine_api.client.connection import Connection, run
from intertwine_api.client.errors import ConnectionFailed, ServiceError
from intertwine_api.client.messages import HttpRequest, HttpResponse
from intertwine_api.client.retries import Attempts, Retries, send

GOOD = json_reply(job_document())
BUSY = problem_reply(503, "not-ready")


class Scripted(Connection):
    """A session without wires: requests have these outcomes, and `slept` are the pauses."""

    def __init__(self, *outcomes: HttpResponse | ConnectionFailed) -> None:
        self.retries, self.outcomes = Retries(), iter(outcomes)
        self.slept: list[float] = []

    async def request(self, request: HttpRequest) -> HttpResponse:
        outcome = next(self.outcomes, HttpResponse(204, {}))
        if isinstance(outcome, ConnectionFailed):
            raise outcome
        return outcome

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def pauses(ask: HttpRequest, *outcomes: HttpResponse | ConnectionFailed) -> list[float]:
    """The pauses of a request with these outcomes, in seconds."""
    session = Scripted(*outcomes)
    run(send(session, ask))
    return session.slept


class TestWhatIsSentAgain:
    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    def test_reads_are_retried_if_the_service_is_busy(self, status: int) -> None:
        with scripted_service([problem_reply(status, "busy"), GOOD]) as there:
            with Client(there.url) as lab:
                assert lab.job("a").state == "queued"
            assert [request.path for request in there.asked] == ["/v1/jobs/a"] * 2

    def test_reads_are_retried_after_a_broken_connection(self) -> None:
        with scripted_service([HANG_UP, Reply(cut=True), GOOD]) as there:
            with Client(there.url) as lab:
                assert lab.job("a").id == "a"
            assert len(there.asked) == 3

    def test_submissions_are_retried_with_one_idempotency_key(self) -> None:
        with scripted_service([HANG_UP, BUSY, GOOD]) as there:
            with Client(there.url) as lab:
                lab.train_request({"dataset": "d"})
            assert len({request.headers["idempotency-key"] for request in there.asked}) == 1
            assert len({request.body for request in there.asked}) == 1
            assert len(there.asked) == 3

    def test_each_submission_has_a_new_idempotency_key(self) -> None:
        with scripted_service([GOOD]) as there, Client(there.url) as lab:
            lab.train_request({"dataset": "d"})
            lab.train_request({"dataset": "d"})
            keys = {request.headers["idempotency-key"] for request in there.asked}
        assert len(keys) == 2

    def test_cancel_is_retried_but_retry_is_not(self) -> None:
        with scripted_service([GOOD, BUSY, GOOD]) as there, Client(there.url) as lab:
            lab.job("a").cancel()
        with scripted_service([GOOD, BUSY, GOOD]) as there, Client(there.url) as lab:
            job = lab.job("a")
            with pytest.raises(ServiceError) as caught:
                job.retry()
            assert len(there.asked) == 2
        assert (caught.value.code, caught.value.status) == ("not-ready", 503)

    def test_a_retried_deletion_accepts_not_found(self) -> None:
        gone = problem_reply(404, "not-found")
        with scripted_service([GOOD, HANG_UP, gone]) as there, Client(there.url) as lab:
            lab.job("a").delete()
        with scripted_service([GOOD, gone]) as there, Client(there.url) as lab:
            job = lab.job("a")
            with pytest.raises(NotFound):
                job.delete()

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 500, 507])
    def test_permanent_errors_are_not_retried(self, status: int) -> None:
        with scripted_service([problem_reply(status, "some-code", "because"), GOOD]) as there:
            with (
                Client(there.url) as lab,
                pytest.raises(ServiceError, match=r"^because$") as caught,
            ):
                lab.job("a")
            assert len(there.asked) == 1
        assert (caught.value.status, caught.value.code) == (status, "some-code")

    def test_retries_are_limited(self) -> None:
        with scripted_service([BUSY]) as there, Client(there.url, retries=2) as lab:
            with pytest.raises(ServiceError):
                lab.job("a")
            assert len(there.asked) == 3


class TestHowLongItPauses:
    READ = HttpRequest("GET", "/")

    def test_backoff_is_exponential_with_jitter(self) -> None:
        found = [pauses(self.READ, *[ConnectionFailed("broken")] * 4) for _ in range(20)]
        for n, each in enumerate(zip(*found, strict=True)):
            assert 0.125 * 2**n <= min(each) < max(each) <= 0.25 * 2**n
        assert len({round(first, 6) for first, *_ in found}) > 10

    def test_retry_after_is_obeyed(self) -> None:
        (pause,) = pauses(self.READ, HttpResponse(429, {"retry-after": "7"}), HttpResponse(204, {}))
        assert pause == 7

    def test_a_long_retry_after_is_an_error(self) -> None:
        busy = HttpResponse(429, {"retry-after": "3600"}, b'{"code": "rate-limited"}')
        with pytest.raises(ServiceError) as caught:
            pauses(self.READ, busy)
        assert caught.value.retry_after == 3600

    def test_a_date_in_retry_after_is_ignored(self) -> None:
        later = HttpResponse(503, {"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"})
        assert pauses(self.READ, later)[0] <= 0.25

    def test_retries_through_outages_end_after_the_given_seconds(self, monkeypatch: Any) -> None:
        clock = [1000.0]
        monkeypatch.setattr(time, "monotonic", lambda: clock[0])
        attempts = Attempts(Retries(outage=300).through_outages)
        while (pause := attempts.pause()) is not None:
            assert 0 < pause <= 8
            clock[0] += pause + 0.5  # and each attempt takes its time
        assert 1300 <= clock[0] <= 1301

    def test_pauses_have_a_maximum(self) -> None:
        assert Retries().pause(10_000) <= Retries().longest

    def test_pauses_end_at_the_deadline(self) -> None:
        attempts = Attempts(Retries(first=8).within(0.5))
        pause = attempts.pause(HttpResponse(429, {"retry-after": "7"}))
        assert pause is not None
        assert pause <= 0.5


class TestWhatItSays:
    @pytest.mark.slow
    def test_no_service_is_listening(self) -> None:
        with scripted_service([GOOD]) as there:
            url = there.url
        with Client(url) as lab, pytest.raises(ConnectionFailed) as caught:
            lab.job("a")
        assert str(caught.value) == (
            f"{url} cannot be reached ([Errno 111] Connection refused): is the service running "
            f"there (intertwine serve), and are host and port correct?"
        )

        def ask() -> None:
            with Client(url) as lab, pytest.raises(ConnectionFailed):
                lab.job("a")

        assert quickest(lambda: seconds_of(ask), 6, tries=3) < 6

    def test_the_answer_times_out(self) -> None:
        is_over = threading.Event()

        def slow(request: object) -> Reply:
            is_over.wait(PATIENCE)
            return GOOD

        with scripted_service(slow) as there:
            with (
                Client(there.url, answer_timeout=0.1, retries=0) as lab,
                pytest.raises(ConnectionFailed, match=r"in 0\.1 seconds: increase answer_timeout="),
            ):
                lab.job("a")
            is_over.set()

    def test_the_answer_is_from_another_program(self) -> None:
        page = Reply(
            404,
            b"<html><title>Not here</title>  <b>nginx</b></html>",
            {"content-type": "text/html"},
        )
        with (
            scripted_service([page]) as there,
            Client(there.url) as lab,
            pytest.raises(ServiceError) as caught,
        ):
            lab.job("a")
        assert str(caught.value) == (
            f"the answer of {there.url}/v1/jobs/a is not from Intertwine (expected "
            f"application/json): status 404, text/html, 'Not here nginx': check the address, "
            f"whether a login page or a proxy answers in place of the service, and whether the "
            f"service runs another version"
        )
        assert caught.value.code == "foreign-answer"

    def test_redirects_name_the_new_address(self) -> None:
        moved = Reply(308, b"", {"location": "https://lab.example.org/"})
        with scripted_service([moved]) as there, Client(there.url) as lab:
            with pytest.raises(ServiceError, match=r"give the address https://lab\.example\.org/"):
                lab.job("a")
            assert len(there.asked) == 1

    def test_the_library_s_errors_keep_their_types(self) -> None:
        with (
            scripted_service([problem_reply(422, "invalid-group", "singular")]) as there,
            Client(there.url) as lab,
            pytest.raises(InvalidGroup, match=r"^singular$"),
        ):
            lab.job("a")

    @pytest.mark.parametrize(
        ("text", "offset"), [("V V", 2), ("V+" * 60 + "?", 120), ("V V" + "+V" * 80, 2), ("", 0)]
    )
    def test_syntax_errors_are_parse_errors(self, text: str, offset: int) -> None:
        ours = ParseError(text, offset, "an operator", "write V*V")
        where = {"offset": offset, "expected": ours.expected, "caret": ours.caret}
        document = problem_document(422, "syntax", str(ours), **where)
        with (
            scripted_service([json_reply(document, 422)]) as there,
            Client(there.url) as lab,
            pytest.raises(ParseError) as caught,
        ):
            lab.job("a")
        assert str(caught.value) == str(ours)
        assert (caught.value.offset, caught.value.hint) == (offset, ours.hint)


class TestWhere:
    def test_the_path_in_the_address_is_kept(self) -> None:
        with scripted_service([GOOD], path="/lab/intertwine/") as there, Client(there.url) as lab:
            lab.job("a/b ?#")
            assert there.asked[0].path == "/lab/intertwine/v1/jobs/a%2Fb%20%3F%23"

    def test_the_key_is_sent_and_never_shown(self) -> None:
        with scripted_service([GOOD]) as there, Client(there.url, " itw_secret\n") as lab:
            lab.job("a")
            assert there.asked[0].headers["authorization"] == "Bearer itw_secret"
            assert "secret" not in repr(lab) + repr(vars(lab)) + repr(lab._connection.address)

    def test_the_environment_sets_address_and_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with scripted_service([GOOD]) as there:
            monkeypatch.setenv("INTERTWINE_URL", there.url)
            monkeypatch.setenv("INTERTWINE_KEY", "itw_env")
            with Client() as lab:
                lab.job("a")
            assert there.asked[0].headers["authorization"] == "Bearer itw_env"
        monkeypatch.delenv("INTERTWINE_URL")
        with Client() as lab:
            assert lab.url == "http://127.0.0.1:8000"

    @pytest.mark.parametrize(
        "url",
        [
            *("lab:8000", "ftp://lab", "http://", "http://lab?x=1", "lab", "http://[::1"),
            *("http://127.0.0.1:80x", "http://127.0.0.1:99999", "http://lab\x00"),
        ],
    )
    def test_invalid_addresses_are_refused(self, url: str) -> None:
        with pytest.raises(InvalidSetting, match="is not the address of a service: give one like"):
            Client(url)

    def test_a_password_in_the_address_is_used_and_not_shown(self) -> None:
        with scripted_service([GOOD]) as there:
            url = there.url.replace("//", "//ann:secret@")
            with Client(url) as lab:
                lab.job("a")
                assert there.asked[0].headers["authorization"] == "Basic YW5uOnNlY3JldA=="
                assert repr(lab) == f"Client({there.url!r})"
                assert "secret" not in repr(lab._connection.address)
        with Client(url, retries=0) as lab, pytest.raises(ConnectionFailed) as caught:
            lab.job("a")
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("key", ["two words", "clé", "a\tb"])
    def test_a_key_with_invalid_characters_is_refused(self, key: str) -> None:
        with pytest.raises(InvalidSetting, match="a key is one word"):
            Client(key=key)

    def test_invalid_timeouts_are_refused(self) -> None:
        with pytest.raises(InvalidSetting, match="answer_timeout is 0: give a positive number"):
            Client(answer_timeout=0)
