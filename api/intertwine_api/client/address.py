"""Where a service is, who asks it, and how long it may take; and why it could not be reached."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from intertwine.errors import InvalidSetting

from intertwine_api.client.errors import ConnectionFailed
from intertwine_api.client.steps import Ask

if TYPE_CHECKING:
    import httpx


#: Where a service is found if nobody says where.
HERE = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class ServerAddress:
    """The service at `url`, which may have a path of its own; `key` says who asks.

    A connection is made within `connect_timeout` seconds, and an answer begins, and goes on,
    within `answer_timeout`.
    """

    url: str = field(repr=False)
    key: str | None = field(repr=False)
    connect_timeout: float
    answer_timeout: float

    @property
    def shown(self) -> str:
        """The address without a password in it, which a proxy may want."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    def options(self, ask: Ask) -> dict[str, Any]:
        """The arguments with which httpx builds a request, but for its body."""
        import httpx

        most = math.inf if ask.within is None else ask.within
        answer = min(self.answer_timeout + ask.patience, most)
        connect = min(self.connect_timeout, most)
        return {
            "method": ask.method,
            "url": f"{self.url}{ask.path}",
            "params": dict(ask.query) or None,
            "headers": {**self._who(), **ask.headers, **_length(ask)},
            "timeout": httpx.Timeout(answer, connect=connect),
        }

    def failure(self, error: httpx.TransportError) -> ConnectionFailed:
        """What it means that a request failed."""
        return ConnectionFailed(f"{self.shown} {_what_happened(error, self)}")

    def _who(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"} if self.key else {}


def server_address(
    url: str | None, key: str | None, connect_timeout: float, answer_timeout: float
) -> ServerAddress:
    """The place that is given, or that INTERTWINE_URL and INTERTWINE_KEY name, or this machine.

    Raises `InvalidSetting` for an address that is none of a service.
    """
    url = (url or os.environ.get("INTERTWINE_URL") or HERE).strip().rstrip("/")
    key = (key or os.environ.get("INTERTWINE_KEY") or "").strip() or None
    if not _is_address(url):
        raise InvalidSetting(
            f"the address of a service is like {HERE} or https://lab.example.org/intertwine, "
            f"not {url!r}"
        )
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
        raise InvalidSetting("a key is one word of letters, digits and signs: itw_…")
    for name, seconds in (("connect", connect_timeout), ("answer", answer_timeout)):
        if not seconds > 0:
            raise InvalidSetting(f"{name}_timeout is a positive number of seconds, not {seconds!r}")
    return ServerAddress(url, key, connect_timeout, answer_timeout)


def _is_address(url: str) -> bool:
    """Whether a service may be there: as we read it, and as httpx will."""
    import httpx

    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises for one that is no number
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        return False
    is_whole = parts.scheme in ("http", "https") and bool(parts.hostname)
    return is_whole and not (parts.query or parts.fragment)


def _length(ask: Ask) -> dict[str, str]:
    """The length of the body: sent in pieces, it would else be of unknown length."""
    return {"content-length": str(sum(map(len, ask.body)))} if ask.body else {}


def _what_happened(error: httpx.TransportError, place: ServerAddress) -> str:
    import httpx

    said = str(error) or type(error).__name__
    if isinstance(error, httpx.ConnectTimeout):
        seconds = _seconds_given(error, "connect", place.connect_timeout)
        return (
            f"did not take a connection in {seconds:.3g} seconds: is it behind a VPN, "
            f"a tunnel, or a proxy (HTTPS_PROXY)?"
        )
    if isinstance(error, httpx.TimeoutException):
        seconds = _seconds_given(error, "read", place.answer_timeout)
        longer = "; answer_timeout= gives it longer" if seconds >= place.answer_timeout else ""
        return f"took a request and did not answer in {seconds:.3g} seconds{longer}"
    if isinstance(error, httpx.ProxyError):
        return f"cannot be reached through the proxy ({said}): NO_PROXY names what needs none"
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return f"is not trusted ({said}): SSL_CERT_FILE names the certificates of your lab"
    if isinstance(error, httpx.ConnectError):
        return (
            f"cannot be reached ({said}): is the service running there (intertwine serve), "
            f"and are name and port right?"
        )
    return f"broke off ({said}): it may have been stopped, or restarted"


def _seconds_given(error: httpx.TransportError, phase: str, usual: float) -> float:
    """How long this request might take; `usual` where that is not known."""
    try:
        given = error.request.extensions.get("timeout", {}).get(phase)
    except RuntimeError:  # the error came before there was a request
        return usual
    return usual if given is None else float(given)
