"""Authentication and scopes: API keys, sent as `Authorization: Bearer itw_…`.

Without keys, every caller of a service on loopback is its owner ``local`` and has every scope.
From the first key on, every request needs a key.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from intertwine_api.server.limits import ConcurrencyLimit, RateLimiter, retrieve_error
from intertwine_api.server.middleware import media_type, path_of
from intertwine_api.server.problem_responses import database_problem, respond
from intertwine_api.storage.keys import LOCAL, Caller, Keys
from intertwine_api.wire.problems import ProblemError

_CACHE_SECONDS = 3.0  # a revoked key is accepted for at most this long
_CACHE_SIZE = 1000
_JSON_OF_A_TOKEN = 2**14  # bytes: parsing JSON blocks the event loop
_REFUSED = (401, 429, 503)
_REFUSALS_PER_SECOND, _REFUSALS_BURST = 20.0, 200
_HOLD_SECONDS = 2.0
_PATIENCE = 1.0  # seconds for a page that needs no caller, if the database does not answer
_OUTAGE_SECONDS = 900.0  # that a caller is remembered while the database is unavailable
_UNKNOWN = "unknown"  # no key has this id
_LONGEST = 200  # characters; longer tokens are rejected without a lookup
_FORMS = ("/jobs", "/models", "/datasets", "/cache", "/keys")  # pages whose routes check tokens
_GUARDED_PAGES = (*_FORMS, "", "/groups", "/irreps", "/characters", "/tiles", "/metrics")
_OPTIONAL = ("/system",)  # pages that show more to admins
_GUARDED = ("/v1/", "/pictures/", *(f"{page}/" for page in _FORMS))

_BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="An API key, as `intertwine keys create` shows it once. "
    "A service on loopback without keys needs no authentication.",
)


class Access:
    """Finds the callers of keys, and caches each for a few seconds.

    With `open_to_all`, a service without keys serves every caller as ``local``.
    """

    def __init__(
        self,
        keys: Keys,
        *,
        open_to_all: bool,
        seconds: float = _CACHE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys, self._open_to_all = keys, open_to_all
        self._seconds, self._clock = seconds, clock
        self._callers: OrderedDict[str, tuple[float, Caller | None]] = OrderedDict()

    async def caller(self, authorization: str | None) -> Caller:
        """Return the caller of a header. Raises `ProblemError` with ``unauthorized``."""
        token = _token(authorization)
        if len(token) > _LONGEST:
            raise _unauthorized(token)
        caller = await self._cached(token)
        if caller is None:
            raise _unauthorized(token)
        return caller

    async def is_open(self) -> bool:
        """Whether callers need no key."""
        return await self._cached("") is not None

    async def known_caller(self, authorization: str | None) -> Caller | None:
        """Return the caller of a header; None for a missing or invalid one.

        While the database is unavailable, it is the caller of up to 15 minutes ago, so that admins
        can see what is wrong. Use it only for pages that show the state of the service.
        """
        token = _token(authorization)
        if len(token) > _LONGEST:
            return None
        finding = asyncio.create_task(self._cached(token))
        finding.add_done_callback(retrieve_error)
        await asyncio.wait([finding], timeout=_PATIENCE)
        if finding.done() and finding.exception() is None:
            return finding.result()
        if finding.done() and not isinstance(finding.exception(), SQLAlchemyError):
            return finding.result()  # raises it
        until, caller = self._callers.get(token, (float("-inf"), None))
        return caller if self._clock() < until + _OUTAGE_SECONDS else None

    def forget(self) -> None:
        """Look up every caller anew, because keys were created or revoked in this process."""
        self._callers.clear()

    async def _cached(self, token: str) -> Caller | None:
        now = self._clock()
        until, caller = self._callers.get(token, (now, None))
        if until <= now:
            caller = await run_in_threadpool(self._find, token)
            self._callers[token] = now + self._seconds, caller
            while len(self._callers) > _CACHE_SIZE:
                self._callers.popitem(last=False)
        return caller

    def _find(self, token: str) -> Caller | None:
        if self._open_to_all and not self._keys.any():
            return LOCAL
        key = self._keys.find(token) if token else None
        if key is None:
            return None
        return Caller(key.owner, frozenset(key.scopes), key.id, key.priority)


def _token(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _unauthorized(token: str) -> ProblemError:
    detail = (
        "the key is unknown, expired or revoked: send another"
        if token
        else "send a key as `Authorization: Bearer itw_…`; `intertwine keys create` makes one"
    )
    challenge = 'Bearer realm="intertwine"' + (', error="invalid_token"' if token else "")
    return ProblemError.of("unauthorized", detail, headers={"WWW-Authenticate": challenge})


class Guard:
    """Authenticate requests of the API and of the console before their body is read.

    The page of the system needs no caller, but learns who it is.

    It also enforces the limits per key. A request that has no header, and that reads or is a form
    of the console, is authenticated by the key that `session_key` finds in its cookies.

    Refusals of one key that come too fast are held for two seconds, so that a client that repeats
    refused requests at once does not take the processor. Unknown keys count as one. At most `held`
    refusals of a key wait at once, because each keeps a connection open.
    """

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        limiter: RateLimiter,
        concurrency: ConcurrencyLimit,
        held: int,
        session_key: Callable[[Mapping[str, str]], str | None],
    ) -> None:
        self.app, self.access, self.limiter, self.concurrency = app, access, limiter, concurrency
        self._session_key = session_key
        self._refusals = RateLimiter(_REFUSALS_PER_SECOND, _REFUSALS_BURST)
        self._held = ConcurrencyLimit(held, "held refusals")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its caller, or respond with a problem."""
        if scope["type"] != "http" or not (_is_guarded(scope) or _is_optional(scope)):
            await self.app(scope, receive, send)
            return
        key: str | None = _UNKNOWN

        async def slowed(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in _REFUSED:
                await self._hold(key)
            await send(message)

        try:
            authorization = self._authorization(scope)
            if _is_optional(scope):
                caller = await self.access.known_caller(authorization)
            else:
                caller = await self._caller(authorization)
            scope.setdefault("state", {}).update(caller=caller, authorization=authorization)
            key = None if caller is None else caller.key_id
            if key is None:
                await self.app(scope, receive, send)
            else:
                await self._limited(key, scope, receive, slowed)
        except ProblemError as error:
            await respond(error.problem, error.headers)(scope, receive, slowed)

    async def _hold(self, key: str | None) -> None:
        """Wait, if refusals of a key come too fast and not too many are waiting already."""
        if key is None or self._refusals.take(key).granted or self._held[key] >= self._held.most:
            return
        with self._held.slot(key):
            await asyncio.sleep(_HOLD_SECONDS)

    def _authorization(self, scope: Scope) -> str | None:
        sent = Headers(scope=scope).get("authorization")
        if sent is not None or not _takes_sessions(scope):
            return sent
        key = self._session_key(Request(scope).cookies)
        return None if key is None else f"Bearer {key}"

    async def _caller(self, authorization: str | None) -> Caller:
        try:
            return await self.access.caller(authorization)
        except SQLAlchemyError as error:
            raise ProblemError(database_problem(error), {"Retry-After": "5"}) from error

    async def _limited(self, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        headers = self.limiter.headers(self.limiter.require(key))

        async def with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        async def with_costs() -> Message:
            message = await receive()
            self.limiter.spend(key, len(message.get("body", b"")) / _JSON_OF_A_TOKEN)
            return message

        is_json = media_type(dict(scope["headers"])) == "application/json"
        with self.concurrency.slot(key):
            await self.app(scope, with_costs if is_json else receive, with_limits)


def _takes_sessions(scope: Scope) -> bool:
    """Whether the cookie of a session may authenticate a request: reads, and forms with a token."""
    page = "/" + path_of(scope).lstrip("/").partition("/")[0]
    is_form = scope["method"] == "POST" and page in _FORMS
    return is_form or scope["method"] in ("GET", "HEAD")


def _is_optional(scope: Scope) -> bool:
    return path_of(scope).rstrip("/") in _OPTIONAL


def _is_guarded(scope: Scope) -> bool:
    path = path_of(scope)
    return path.startswith(_GUARDED) or path.rstrip("/") in _GUARDED_PAGES


@dataclass(frozen=True)
class Required:
    """A dependency that requires one of the scopes, and returns the caller."""

    scopes: tuple[str, ...]

    async def __call__(
        self,
        request: Request,
        _: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    ) -> Caller:
        """Return the caller. Raises `ProblemError` with ``unauthorized`` or ``forbidden``."""
        caller: Caller | None = getattr(request.state, "caller", None)
        if caller is None:  # fail closed on paths that the guard does not cover
            raise _unauthorized("")
        caller.require(*self.scopes)
        return caller


def requires(*scopes: str) -> Required:
    """Return the dependency that requires one of the scopes."""
    return Required(scopes)


async def _known(request: Request) -> Caller | None:
    caller: Caller | None = request.state.caller
    return caller


#: The problems of every guarded route: before and during authentication.
AUTH_PROBLEMS = (
    "origin-not-allowed", "host-not-allowed", "unauthorized", "forbidden", "rate-limited",
)  # fmt: skip

#: The caller of a request, as a route's argument.
BlobsReader = Annotated[Caller, Depends(requires("bases:read", "jobs:write", "models:forward"))]
BasesReader = Annotated[Caller, Depends(requires("bases:read"))]
BasesWriter = Annotated[Caller, Depends(requires("bases:write"))]
Admin = Annotated[Caller, Depends(requires("admin"))]
JobsWriter = Annotated[Caller, Depends(requires("jobs:write"))]
MaybeCaller = Annotated[Caller | None, Depends(_known)]
ModelsReader = Annotated[Caller, Depends(requires("models:forward", "jobs:write"))]
