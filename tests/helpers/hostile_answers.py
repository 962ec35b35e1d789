"""Answers that are not a service's: of login pages, proxies, other programs, and attackers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, repeat

from helpers.scripted_service import HANG_UP, Reply, json_reply

#: What must not be shown, in the places where an answer may have it.
SECRET = "s3cr3t"
_HTML = b"<!doctype html>\n<html><title>Sign in</title>\x1b[31m<form action='/login'></form></html>"
_PIECE = bytes(2**20)


@dataclass(frozen=True)
class Hostile:
    """A kind of answer in place of the honest one; None if it would be the same.

    `breaks` says whether it breaks the connection, which a client reports as such.
    """

    name: str
    answer: Callable[[Reply], Reply | None]
    breaks: bool = False


def raw(*pieces: bytes) -> Reply:
    """These bytes in place of a response."""
    return Reply(raw=lambda: pieces)


def _raw_answer(headers: str, body: Iterable[bytes]) -> Reply:
    head = f"HTTP/1.1 200 OK\r\n{headers}connection: close\r\n\r\n".encode()
    return Reply(raw=lambda: chain([head], body))


def _kind(honest: Reply) -> str:
    return honest.headers.get("content-type", "application/json")


def _page(honest: Reply, status: int = 200, kind: str = "text/html; charset=utf-8") -> Reply:
    return Reply(status, _HTML, {"content-type": kind})


def _redirect(honest: Reply, to: str) -> Reply:
    return Reply(302, b"", {"location": to})


def _bomb(honest: Reply) -> Reply:
    """A gigabyte in a megabyte."""
    return Reply(200, _BOMB, {"content-type": _kind(honest), "content-encoding": "gzip"})


_BOMB = gzip.compress(bytes(2**20), 9) * 2**10


def _endless(honest: Reply) -> Reply:
    return _raw_answer(f"content-type: {_kind(honest)}\r\n", repeat(_PIECE))


def _long(honest: Reply) -> Reply:
    return _raw_answer(
        f"content-type: {_kind(honest)}\r\ncontent-length: {10**15}\r\n", repeat(_PIECE)
    )


def _truncated(honest: Reply) -> Reply | None:
    if not honest.body:
        return None
    half = honest.body[: len(honest.body) // 2]
    return _raw_answer(f"content-type: {_kind(honest)}\r\n", [half])


def _short(honest: Reply) -> Reply | None:
    if not honest.body:
        return None
    half = len(honest.body) // 2
    headers = f"content-type: {_kind(honest)}\r\ncontent-length: {half}\r\n"
    return _raw_answer(headers, [honest.body])


def _cut(honest: Reply) -> Reply | None:
    half = honest.body[: len(honest.body) // 2]
    return replace(honest, body=half, cut=True) if honest.body else None


def _of_another_type(honest: Reply) -> Reply | None:
    other = {**honest.headers, "content-type": "text/html"}
    return replace(honest, headers=other) if honest.body else None


def _json(text: bytes) -> Callable[[Reply], Reply]:
    return lambda honest: Reply(200, text, {"content-type": "application/json"})


def _problem(honest: Reply) -> Reply:
    return Reply(500, b"{}", {"content-type": "application/problem+json"})


HOSTILE = (
    Hostile("login page", _page),
    Hostile("login page of the expected type", lambda honest: _page(honest, kind=_kind(honest))),
    Hostile("login page with status 401", lambda honest: _page(honest, 401)),
    Hostile("page of a proxy", lambda honest: _page(honest, 502)),
    Hostile("redirect to a login page", lambda honest: _redirect(
        honest, f"https://ann:{SECRET}@sso.example.org/login?token={SECRET}#{SECRET}"
    )),
    Hostile("redirect to itself", lambda honest: _redirect(honest, "?")),
    Hostile("redirect to nowhere", lambda honest: _redirect(honest, "http://[::1"), breaks=True),
    Hostile("nothing", lambda honest: Reply(200, b"")),
    Hostile("nothing of the expected type", lambda honest: Reply(
        200, b"", {"content-type": _kind(honest)}
    ) if _kind(honest) != "text/event-stream" else None),
    Hostile("empty object", _json(b"{}")),
    Hostile("empty list", _json(b"[]")),
    Hostile("null", _json(b"null")),
    Hostile("number", _json(b"1e999")),
    Hostile("not a number", _json(b'{"data": [NaN], "has_more": false, "next": null}')),
    Hostile("deep JSON", _json(b"[" * 200_000)),
    Hostile("invalid UTF-8", _json(b'{"id": "\xff\xfe"}')),
    Hostile("problem without fields", _problem),
    Hostile("problem of another service", lambda honest: json_reply(
        {"type": "about:blank", "title": "Forbidden", "status": 403}, 403
    )),
    Hostile("other content type", _of_another_type),
    Hostile("gzip bomb", _bomb),
    Hostile("endless body", _endless),
    Hostile("content-length of a petabyte", _long),
    Hostile("truncated body", _truncated, breaks=True),
    Hostile("content-length that is too short", _short, breaks=True),
    Hostile("broken connection", _cut, breaks=True),
    Hostile("hang up", lambda honest: HANG_UP, breaks=True),
    Hostile("another protocol", lambda honest: raw(b"SSH-2.0-OpenSSH_9.6\r\n"), breaks=True),
    Hostile("status 101", lambda honest: raw(b"HTTP/1.1 101 Switching\r\n\r\n"), breaks=True),
)  # fmt: skip


def changed_parts(body: bytes, fields: Collection[str] = ()) -> Iterator[bytes]:
    """Yield a JSON document once for each of its parts: without it, and with other types of it.

    `fields` are those whose parts are changed, by default all.
    """
    document = json.loads(body)
    for path in _paths(document, ()):
        if fields and path[0] not in fields:
            continue
        for other in (None, ["x"], {"x": 1}, "x", 10**400):
            yield json.dumps(_with(document, path, other)).encode()
        yield json.dumps(_without(document, path)).encode()


_Path = tuple[str | int, ...]


def _paths(part: object, path: _Path) -> Iterator[_Path]:
    items: Iterable[tuple[str | int, object]] = ()
    if isinstance(part, dict):
        items = part.items()
    elif isinstance(part, list):
        items = enumerate(part)
    for name, item in items:
        yield (*path, name)
        if name != "config":  # of a model: it has a checksum
            yield from _paths(item, (*path, name))


def _with(document: object, path: _Path, value: object) -> object:
    whole = json.loads(json.dumps(document))
    part = whole
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    return whole


def _without(document: object, path: _Path) -> object:
    whole = json.loads(json.dumps(document))
    part = whole
    for name in path[:-1]:
        part = part[name]
    del part[path[-1]]
    return whole
