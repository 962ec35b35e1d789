"""The reps that a catalogue solves: the default list, and lists in files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from intertwine.errors import IntertwineError, InvalidSetting
from intertwine.groups import parse_group
from intertwine.reps import Rep, read_rep

_MOST_SIZE = 1100
_MOST_POWERS, _MOST_ORDER = 8, 4
_COMMENT = "#"

#: Groups of real orthogonal matrices: V and V* are one rep, so that all tensors are V^k.
_SELF_DUAL = (
    *(f"SO({n})" for n in range(2, 7)),
    *(f"O({n})" for n in range(2, 7)),
    *(f"C({k})" for k in range(2, 7)),
    *(f"D({k})" for k in range(3, 7)),
    *(f"DkeR3({k})" for k in (2, 3, 4, 6)),
    *("SO2eR3()", "O2eR3()"),
    *(f"Z({n})" for n in range(2, 7)),
    *(f"S({n})" for n in range(2, 7)),
    *("Cube()", "RubiksCube()", "ZksZnxZn(4, 3)"),
)
#: Groups whose tensors T(p, q) = V^p ⊗ V*^q differ.
_WITH_DUALS = (
    *("SO11p()", "O11()", "SO13p()", "SO13()", "O13()"),
    *(f"SL({n})" for n in range(2, 5)),
    *(f"GL({n})" for n in range(2, 4)),
    *(f"Sp({m})" for m in range(1, 4)),
    *(f"U({n})" for n in range(1, 4)),
    *(f"SU({n})" for n in range(2, 5)),
)


@dataclass(frozen=True)
class Entry:
    """A group and a rep, as texts."""

    group: str
    rep: str

    def parse(self) -> Rep:
        """Return the concrete rep. Raises `ParseError`, `InvalidGroup` or `TooLarge`."""
        return read_rep(self.rep, self.group)


def default_entries() -> Iterator[Entry]:
    """Yield the tensors of the named groups, up to some 1,000 dimensions."""
    for group in _SELF_DUAL:
        d = parse_group(group).d
        for k in range(1, _highest_power(d, _MOST_POWERS) + 1):
            yield Entry(group, f"V**{k}" if k > 1 else "V")
    for group in _WITH_DUALS:
        d = parse_group(group).d
        for order in range(1, _highest_power(d, _MOST_ORDER) + 1):
            yield from (Entry(group, f"T({order - q},{q})") for q in range(order // 2 + 1))


def _highest_power(d: int, most: int) -> int:
    """Return the largest k up to `most` for which a tensor of k indices is small enough."""
    return max(k for k in range(1, most + 1) if k == 1 or d**k <= _MOST_SIZE)


def read_entries(text: str) -> Iterator[Entry]:
    """Yield the entries of lines like ``SO(3): V**2*V.T``. What follows a ``#`` is a comment.

    Raises `InvalidSetting` with the number of a line that has no colon, or no valid rep.
    """
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition(_COMMENT)[0].strip()
        if not content:
            continue
        group, colon, rep = (part.strip() for part in content.partition(":"))
        if not colon:
            raise InvalidSetting(
                f"line {number}, {content!r}: write a group, a colon and a rep, as in SO(3): V**2"
            )
        entry = Entry(group, rep)
        try:
            entry.parse()
        except IntertwineError as error:
            raise InvalidSetting(f"line {number}, {content!r}: {error}") from error
        yield entry
