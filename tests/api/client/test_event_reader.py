"""Server-sent events come out of the bytes as they went in, wherever those are cut."""

from __future__ import annotations

import itertools
import json

import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.errors import FormatError
from intertwine_api.client.following import EventReader, JobEvent

EVENTS = [
    JobEvent(1, "state", {"state": "running", "reason": "naïve: ρ(g) 🙂\n\r"}),
    JobEvent(2, "metrics", {"rows": [{"epoch": 1, "train_loss": 0.5}]}),
    JobEvent(0, "end", {}),
]


def stream(newline: str = "\n", space: str = " ") -> bytes:
    """The events as a server sends them, with comments among them."""
    lines = [":", ": still here", ""]
    for event in EVENTS:
        if event.seq:
            lines.append(f"id:{space}{event.seq}")
        text = json.dumps(event.data, ensure_ascii=False)
        lines += [f"event:{space}{event.type}", f"data:{space}{text}", "", ": still here", ""]
    return "".join(line + newline for line in lines).encode()


def read(*pieces: bytes) -> list[JobEvent]:
    reader = EventReader()
    return [event for piece in pieces for event in reader.feed(piece)]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("space", [" ", ""], ids=["a space", "no space"])
def test_they_come_as_they_were_sent(newline: str, space: str) -> None:
    sent = stream(newline, space)
    assert read(sent) == EVENTS
    assert read(*(sent[i : i + 1] for i in range(len(sent)))) == EVENTS
    for cut in range(len(sent)):
        assert read(sent[:cut], b"", sent[cut:]) == EVENTS


@laws
@given(st.lists(st.integers(0, len(stream("\r\n"))), max_size=8))
def test_they_come_in_any_pieces(cuts: list[int]) -> None:
    sent = stream("\r\n")
    ends = [0, *sorted(cuts), len(sent)]
    assert read(*(sent[a:b] for a, b in itertools.pairwise(ends))) == EVENTS


def test_data_may_take_several_lines() -> None:
    assert read(b'id: 3\ndata: {"a":\ndata:  1}\n\n') == [JobEvent(3, "message", {"a": 1})]


def test_what_is_not_ended_is_no_event_yet() -> None:
    assert read(b'id: 1\nevent: state\ndata: {"state": "running"}\n') == []


@pytest.mark.parametrize(
    "sent", [b"data: {\n\n", b"data: [1]\n\n", b"id: one\ndata: {}\n\n", b"data: \xff\n\n"]
)
def test_what_is_none_of_ours_is_an_error(sent: bytes) -> None:
    with pytest.raises(FormatError, match="event"):
        read(sent)


def test_a_line_without_end_is_not_read_for_ever() -> None:
    with pytest.raises(FormatError, match="the stream has an event of more than 16,777,216 bytes"):
        read(*[b"x" * 2**20] * 20)
