"""Server-sent events, read from the bytes of a stream as they come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from intertwine.errors import FormatError

_LONGEST = 2**24  # bytes of one event


@dataclass(frozen=True)
class ServerEvent:
    """One event of a stream: its number, if it has one, its type, and what it says."""

    seq: int | None
    type: str
    data: dict[str, Any]


@dataclass
class EventReader:
    """The events in the bytes that are fed to it, wherever those are cut."""

    _rest: bytes = b""
    _lines: list[str] = field(default_factory=list)
    _after_return: bool = False

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        """The events that end in this piece. Raises `FormatError` for what are none."""
        for line in self._whole_lines(piece):
            if line:
                self._lines.append(line)
            elif event := _event(self._take()):
                yield event
        if len(self._rest) + sum(map(len, self._lines)) > _LONGEST:
            raise FormatError(f"an event of more than {_LONGEST:,} bytes")

    def _take(self) -> list[str]:
        lines, self._lines = self._lines, []
        return lines

    def _whole_lines(self, piece: bytes) -> Iterator[str]:
        """The lines that end in a piece: by a newline, a return, or both (one line end)."""
        begins = int(self._after_return and piece.startswith(b"\n"))
        if piece:
            self._after_return = piece.endswith(b"\r")
        text = self._rest + piece[begins:]
        *whole, self._rest = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace")


def _event(lines: list[str]) -> ServerEvent | None:
    """The event of its lines; None where they are a comment, such as a heartbeat."""
    fields: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(name, []).append(value.removeprefix(" "))
    if "data" not in fields:
        return None
    try:
        data = json.loads("\n".join(fields["data"]))
        seq = int(fields["id"][-1]) if "id" in fields else None
    except ValueError as error:
        raise FormatError(f"an event that is none of ours: {error}") from error
    if not isinstance(data, dict):
        raise FormatError(f"the data of an event are an object, not {data!r}")
    return ServerEvent(seq, fields.get("event", ["message"])[-1], data)
