"""The address, key and timeouts of a service, and the messages of failed connections."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from intertwine.errors import InvalidSetting

from intertwine_api.client.errors import ConnectionFailed
from intertwine_api.client.messages import HttpRequest

if TYPE_CHECKING:
    import httpx


#: The address of a service on this machine.
DEFAULT_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class ServerAddress:
    """The `url` of a service, which may have a path, and the caller's API `key`.

    `connect_timeout` and `answer_timeout` (for each read) are in seconds.
    """

    url: str = field(repr=False)
    key: str | None = field(repr=False)
    connect_timeout: float
    answer_timeout: float

    @property
    def display_url(self) -> str:
        """Return the address without its user name and password."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    def options(self, request: HttpRequest) -> dict[str, Any]:
        """Return the arguments of httpx's `build_request`, except for the body."""
        import httpx

        most = math.inf if request.max_seconds is None else request.max_seconds
        answer = min(self.answer_timeout + request.extra_seconds, most)
        connect = min(self.connect_timeout, most)
        return {
            "method": request.method,
            "url": f"{self.url}{request.path}",
            "params": dict(request.query) or None,
            "headers": self._headers(request),
            "timeout": httpx.Timeout(answer, connect=connect),
        }

    def failure(self, error: httpx.TransportError) -> ConnectionFailed:
        """Return the `ConnectionFailed` for an error of httpx."""
        return ConnectionFailed(f"{self.display_url} {_what_happened(error, self)}")

    def _headers(self, request: HttpRequest) -> dict[str, str]:
        headers = dict(request.headers)
        if self.key:
            headers["authorization"] = f"Bearer {self.key}"
        if request.body:  # httpx does not set the length of a body sent in pieces
            headers["content-length"] = str(sum(map(len, request.body)))
        return headers


def server_address(
    url: str | None, key: str | None, connect_timeout: float, answer_timeout: float
) -> ServerAddress:
    """Return the given address, else that of INTERTWINE_URL and INTERTWINE_KEY, else the default.

    Raises `InvalidSetting` if the address, the key or a timeout is invalid.
    """
    url = (url or os.environ.get("INTERTWINE_URL") or DEFAULT_URL).strip().rstrip("/")
    key = (key or os.environ.get("INTERTWINE_KEY") or "").strip() or None
    if not _is_address(url):
        raise InvalidSetting(
            f"{url!r} is not the address of a service: give one like {DEFAULT_URL} or "
            f"https://lab.example.org/intertwine"
        )
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
        raise InvalidSetting("a key is one word of printable ASCII characters: itw_…")
    for name, seconds in (("connect", connect_timeout), ("answer", answer_timeout)):
        if not seconds > 0:
            raise InvalidSetting(
                f"{name}_timeout is {seconds!r}: give a positive number of seconds"
            )
    return ServerAddress(url, key, connect_timeout, answer_timeout)


def _is_address(url: str) -> bool:
    """Return whether both urllib and httpx read it as an HTTP address without a query."""
    import httpx

    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises ValueError if the port is invalid
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        return False
    is_whole = parts.scheme in ("http", "https") and bool(parts.hostname)
    return is_whole and not (parts.query or parts.fragment)


def _what_happened(error: httpx.TransportError, address: ServerAddress) -> str:
    import httpx

    reason = str(error) or type(error).__name__
    if isinstance(error, httpx.ConnectTimeout):
        seconds = _seconds_given(error, "connect", address.connect_timeout)
        return (
            f"did not accept a connection in {seconds:.3g} seconds: is it behind a VPN, "
            f"a tunnel, or a proxy (HTTPS_PROXY)?"
        )
    if isinstance(error, httpx.TimeoutException):
        seconds = _seconds_given(error, "read", address.answer_timeout)
        hint = ": increase answer_timeout=" if seconds >= address.answer_timeout else ""
        return f"accepted a request and did not answer in {seconds:.3g} seconds{hint}"
    if isinstance(error, httpx.ProxyError):
        return f"cannot be reached through the proxy ({reason}): to bypass it, set NO_PROXY"
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return f"is not trusted ({reason}): set SSL_CERT_FILE to your lab's certificates"
    if isinstance(error, httpx.ConnectError):
        return (
            f"cannot be reached ({reason}): is the service running there (intertwine serve), "
            f"and are host and port correct?"
        )
    return f"closed the connection ({reason}): it may have been stopped or restarted"


def _seconds_given(error: httpx.TransportError, phase: str, usual: float) -> float:
    """Return the request's timeout for a phase, in seconds, or `usual` if it is unknown."""
    try:
        timeout = error.request.extensions.get("timeout", {}).get(phase)
    except RuntimeError:  # httpx raised the error before it had built the request
        return usual
    return usual if timeout is None else float(timeout)
