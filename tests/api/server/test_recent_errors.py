"""The failed requests in memory: the last ones, and not all of one kind."""

from __future__ import annotations

from intertwine_api.server.recent_errors import FailedRequest, RecentErrors


def failed(number: int, route: str, code: str = "not-ready") -> FailedRequest:
    return FailedRequest(float(number), "GET", route, route, 503, code, f"id-{number}", None)


def test_the_newest_is_first() -> None:
    errors = RecentErrors()
    for number in range(3):
        errors.add(failed(number, f"/{number}"))
    assert [each.request_id for each in errors.newest()] == ["id-2", "id-1", "id-0"]


def test_the_last_hundred_are_kept() -> None:
    errors = RecentErrors()
    for number in range(150):
        errors.add(failed(number, f"/{number}"))
    assert [each.at for each in errors.newest()] == [float(n) for n in reversed(range(50, 150))]


def test_a_check_that_fails_for_hours_does_not_replace_others() -> None:
    errors = RecentErrors()
    errors.add(failed(0, "/v1/bases"))
    for number in range(1, 1000):
        errors.add(failed(number, "/readyz"))
    kept = errors.newest()
    assert [each.at for each in kept] == [*(float(n) for n in reversed(range(980, 1000))), 0.0]
