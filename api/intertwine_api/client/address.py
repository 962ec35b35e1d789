"""The address, key and timeouts of a service, and the messages of failed connections."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from intertwine.errors import InvalidSetting

from intertwine_api.client.errors import ConnectionFailed
from intertwine_api.client.messages import HttpRequest, display_url

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
        return display_url(self.url)

    def options(self, request: HttpRequest) -> dict[str, Any]:
        """Return the arguments of httpx's `build_request`, except for the body."""
        import httpx

        answer = self.answer_seconds(request)
        connect = self.connect_timeout
        if request.max_seconds is not None:
            connect = min(connect, request.max_seconds)
        return {
            "method": request.method,
            "url": f"{self.url}{request.path}",
            "params": dict(request.query) or None,
            "headers": self._headers(request),
            "timeout": httpx.Timeout(answer, connect=connect),
        }

    def answer_seconds(self, request: HttpRequest) -> float:
        """Return the timeout of the answer to a request, in seconds."""
        most = math.inf if request.max_seconds is None else request.max_seconds
        return min(self.answer_timeout + request.extra_seconds, most)

    def too_slow(self, received: int, seconds: float) -> ConnectionFailed:
        """Return the `ConnectionFailed` for an answer whose content arrives too slowly."""
        return ConnectionFailed(
            f"{self.display_url} sent only {received:,} bytes of an answer in {seconds:.3g} "
            f"seconds: increase answer_timeout= if the network is that slow"
        )

    def failure(self, error: httpx.TransportError) -> ConnectionFailed:
        """Return the `ConnectionFailed` for an error of httpx."""
        return ConnectionFailed(f"{self.display_url} {_what_happened(error, self)}")

    def _headers(self, request: HttpRequest) -> dict[str, str]:
        headers = {**request.headers, "accept-encoding": "identity"}
        if self.key:
            headers["authorization"] = f"Bearer {self.key}"
        if request.body:  # httpx does not set the length of a body sent in pieces
            headers["content-length"] = str(sum(map(len, request.body)))
        return headers


def server_address(
    url: str | None,
    key: str | None,
    connect_timeout: float,
    answer_timeout: float,
    allow_plain_http: bool | None = None,
) -> ServerAddress:
    """Return the given address, else that of INTERTWINE_URL, else the default; and its key.

    The key is the given one, else that of INTERTWINE_KEY, else that of `intertwine login`.
    Raises `InvalidSetting` if the address, the key or a timeout is invalid, or if a key or password
    would be sent unencrypted to another machine and neither `allow_plain_http` nor
    INTERTWINE_ALLOW_HTTP allows it.
    """
    url = (url or os.environ.get("INTERTWINE_URL") or DEFAULT_URL).strip().rstrip("/")
    if not _is_address(url):
        raise InvalidSetting(
            f"{_without_password(url)!r} is not the address of a service: give one like "
            f"{DEFAULT_URL} or https://lab.example.org/intertwine"
        )
    key = (key or "").strip() or _own_key(url)
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
        raise InvalidSetting("a key is one word of printable ASCII characters: itw_…")
    if allow_plain_http is None:
        allow_plain_http = os.environ.get(_ALLOW_HTTP, "").strip().lower() in _YES
    if not allow_plain_http:
        _require_encrypted(urlsplit(url), key)
    for name, seconds in (("connect", connect_timeout), ("answer", answer_timeout)):
        if not seconds > 0:
            raise InvalidSetting(
                f"{name}_timeout is {seconds!r}: give a positive number of seconds"
            )
    return ServerAddress(url, key, connect_timeout, answer_timeout)


def _own_key(url: str) -> str | None:
    """Return the user's own key of a service, from the environment or `intertwine login`."""
    from intertwine_cache import service_key

    try:
        return service_key(url)
    except ValueError as error:
        raise InvalidSetting(str(error)) from error


_ALLOW_HTTP = "INTERTWINE_ALLOW_HTTP"
_YES = ("1", "true", "yes", "on")


def _require_encrypted(parts: SplitResult, key: str | None) -> None:
    """Raise `InvalidSetting` if a key or password would be readable on the way to the service."""
    if parts.scheme == "https" or not (key or parts.password) or _is_local(parts.hostname or ""):
        return
    secret = "API key" if key else "password"
    raise InvalidSetting(
        f"{display_url(parts.geturl())} is not encrypted, so others could read the {secret}: give "
        f"an https:// address or an SSH tunnel to the service (ssh -L); on a network that you "
        f"trust, set {_ALLOW_HTTP}=1 or allow_plain_http=True"
    )


def _is_local(host: str) -> bool:
    """Return whether requests to a host stay on this machine: a loopback name without a proxy."""
    from urllib.request import getproxies, proxy_bypass

    try:
        is_loopback = ip_address(host).is_loopback
    except ValueError:  # a name
        is_loopback = host == "localhost"
    has_proxy = not getproxies().keys().isdisjoint(("http", "all"))
    return is_loopback and not (has_proxy and not proxy_bypass(host))


def _without_password(url: str) -> str:
    """Return a text that may not be an address, without a user name and password."""
    before, at, after = url.rpartition("@")
    scheme, separator, _ = before.partition("://")
    return f"{scheme}{separator}{after}" if at and separator else after


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
    if isinstance(error, httpx.RemoteProtocolError) and "connect" not in reason:
        return f"answered, but not in HTTP ({reason[:200]}): check the host and the port"
    return f"closed the connection ({reason}): it may have been stopped or restarted"


def _seconds_given(error: httpx.TransportError, phase: str, usual: float) -> float:
    """Return the request's timeout for a phase, in seconds, or `usual` if it is unknown."""
    try:
        timeout = error.request.extensions.get("timeout", {}).get(phase)
    except RuntimeError:  # httpx raised the error before it had built the request
        return usual
    return usual if timeout is None else float(timeout)
