"""Hosts and origins: the host names of the service, and the web pages that may call it.

Any web page can make a browser send requests from inside the user's network. Two checks, before all
others, refuse requests of foreign pages:

* `Host`. With DNS rebinding, a page of ``evil.example`` lets its own name point to the service's
  address. It cannot use an IP address or a loopback name. A service that requires keys answers to
  every name, because such a page has no key.
* `Origin` and `Sec-Fetch-Site`, which browsers set and pages cannot. The origin must be the
  service's own or an allowed one. Programs other than browsers send neither.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Receive, Scope, Send

from intertwine_api.server.middleware import path_of
from intertwine_api.server.problem_responses import database_problem, respond
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work.settings import Settings

_HOST = re.compile(r"(\[[0-9a-f:.%]+\]|[^\s\[\]:/@\\?#,]+)(?::([0-9]*))?")
_HEALTH = ("/healthz", "/readyz")  # requested by load balancers under any name; they reveal nothing
_DEFAULT_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True)
class HostRules:
    """The names that a service without keys answers to.

    These are loopback names, the `listed` names (``*.lab.org`` for subdomains, ``*`` for every
    name) and, unless the service listens on loopback, IP addresses.
    """

    listed: tuple[str, ...]
    on_loopback: bool

    @classmethod
    def of(cls, settings: Settings) -> HostRules:
        """Return the rules of the settings. The name that the service listens on is listed."""
        return cls((*settings.allowed_hosts, settings.host.lower()), settings.on_loopback)

    def accept(self, name: str) -> bool:
        """Return whether the service answers to a name, which is in lower case and without port."""
        if name == "localhost" or name.endswith(".localhost"):
            return True
        address = _address(name)
        if address is not None and (address.is_loopback or not self.on_loopback):
            return True
        return any(_matches(name, pattern) for pattern in self.listed)


class OriginGuard:
    """Refuse requests for other hosts, and requests of pages of other origins."""

    def __init__(
        self,
        app: ASGIApp,
        rules: HostRules,
        require_listed: bool,
        origins: Collection[str],
        is_open: Callable[[], Awaitable[bool]],
    ) -> None:
        """`is_open` tells whether the service serves callers without a key.

        With `require_listed`, the rules also apply to a service with keys.
        """
        self.app, self.rules, self.require_listed = app, rules, require_listed
        self.origins, self._is_open = frozenset(origins), is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or respond with ``host-not-allowed`` or ``origin-not-allowed``."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        try:
            await self._require_host(headers.get(b"host"), scope)
            self._require_origin(headers, scope)
        except ProblemError as error:
            await respond(error.problem, error.headers)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    async def _require_host(self, host: bytes | None, scope: Scope) -> None:
        if host is None:  # only HTTP/1.0 allows that, which no browser speaks
            return
        name, _ = _parts(host)
        if self.rules.accept(name) or path_of(scope) in _HEALTH:
            return
        try:
            if not self.require_listed and not await self._is_open():
                return
        except SQLAlchemyError as error:
            raise ProblemError(database_problem(error), {"Retry-After": "5"}) from error
        shown = host.decode("latin-1")[:100]
        raise ProblemError.of(
            "host-not-allowed",
            f"the service does not answer to the host {shown!r}: use the address that it prints "
            f"when it starts, or add the host to INTERTWINE_ALLOWED_HOSTS",
        )

    def _require_origin(self, headers: Mapping[bytes, bytes], scope: Scope) -> None:
        site = headers.get(b"sec-fetch-site")
        origin = headers.get(b"origin")
        if site in (b"same-origin", b"none"):  # `none`: the user typed the address
            return
        if origin is None and (site is None or _is_page_visit(headers, scope)):
            return
        if origin is not None:
            if origin.decode("latin-1").lower() in self.origins:
                return
            if site is None and _is_own(origin, headers.get(b"host", b"")):
                return
        shown = repr(origin.decode("latin-1")[:100]) if origin else "another site"
        raise ProblemError.of(
            "origin-not-allowed",
            f"a web page of {shown} may not call this service: add its origin to "
            f"INTERTWINE_ALLOWED_ORIGINS, or open the address in a new tab",
        )


def _is_page_visit(headers: Mapping[bytes, bytes], scope: Scope) -> bool:
    """Return whether the user followed a link of another site to one of the service's pages.

    Addresses under ``/v1`` are not pages: a GET may start work there.
    """
    visits = (headers.get(b"sec-fetch-mode"), headers.get(b"sec-fetch-dest"))
    path = path_of(scope)
    is_page = not path.startswith("/v1/") and path.rstrip("/") != "/metrics"
    return is_page and scope["method"] in ("GET", "HEAD") and visits == (b"navigate", b"document")


def _is_own(origin: bytes, host: bytes) -> bool:
    """Return whether an origin has the request's host and port.

    The scheme may differ, because a proxy that terminates TLS uses http.
    """
    try:
        parts = urlsplit(origin.decode("latin-1").lower())
    except ValueError:  # such as http://[
        return False
    if parts.scheme not in _DEFAULT_PORTS or not parts.netloc:
        return False  # `null`, the origin of files and sandboxed frames
    name, port = _parts(parts.netloc.encode("latin-1"))  # without a user name, or it is invalid
    own_name, own_port = _parts(host)
    if port == _DEFAULT_PORTS[parts.scheme]:
        port = ""
    if own_port in _DEFAULT_PORTS.values():
        own_port = ""
    return bool(name) and (name, port) == (own_name, own_port)


@lru_cache(256)
def _parts(host: bytes) -> tuple[str, str]:
    """Return name and port of a host in lower case; the name of an invalid one is empty."""
    match = _HOST.fullmatch(host.decode("latin-1").strip().lower())
    if match is None:
        return "", ""
    return match[1].removesuffix("."), match[2] or ""


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return None


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return name.endswith(pattern[1:])
    return pattern == "*" or name.strip("[]") == pattern.strip("[]")
