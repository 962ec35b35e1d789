"""The last requests that failed because of the service, for admins."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

_MOST = 100
_MOST_OF_A_KIND = 20


@dataclass(frozen=True)
class FailedRequest:
    """A response with a status from 500 on, or one that an unexpected error ended.

    `code` is that of the problem, or the class of the error; `at` is in seconds since 1970.
    """

    at: float
    method: str
    route: str
    path: str
    status: int
    code: str
    request_id: str
    owner: str | None


class RecentErrors:
    """The last failed requests of this process, in memory.

    At most 20 have the same route, status and code: health checks that fail every few seconds do
    not replace all others.
    """

    def __init__(self) -> None:
        self._failed: deque[FailedRequest] = deque(maxlen=_MOST)

    def add(self, failed: FailedRequest) -> None:
        """Add a request, and drop the oldest one if there are too many."""
        same = [each for each in self._failed if _kind(each) == _kind(failed)]
        if len(same) >= _MOST_OF_A_KIND:
            self._failed.remove(same[0])
        self._failed.append(failed)

    def newest(self) -> list[FailedRequest]:
        """Return the requests, the newest first."""
        return list(reversed(self._failed))


def _kind(failed: FailedRequest) -> tuple[str, int, str]:
    return failed.route, failed.status, failed.code
