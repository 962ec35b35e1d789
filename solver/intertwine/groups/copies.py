"""Copies of a group: different groups with equal generators, as ``SO(3)#1`` and ``SO(3)#2``.

Groups are equal by content: two groups with equal generators are one group that acts on all of a
rep. Copies differ by their number, which is part of equality, digest and keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from intertwine.errors import InvalidGroup, TooLarge
from intertwine.integers import checked_integer, is_integer

if TYPE_CHECKING:
    from intertwine.groups.group import Group

#: The number of a copy, one more for a copy of a copy; empty for a group that is not a copy.
CopyNumbers = tuple[int, ...]

MAX_COPIES = 1000
"""The largest number of copies made at once."""
MAX_NUMBER = 10**6
"""The largest number of a copy."""
MAX_NESTED = 16
"""The largest depth of copies of copies."""


def checked_numbers(value: Any) -> CopyNumbers:
    """Return the numbers of a copy, from an integer or a sequence of them."""
    numbers = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not all(is_integer(n) and 1 <= n <= MAX_NUMBER for n in numbers):
        raise InvalidGroup(
            f"the number of a copy is an integer from 1 to {MAX_NUMBER:,}, not "
            f"{', '.join(map(repr, numbers))}"
        )
    if len(numbers) > MAX_NESTED:
        raise TooLarge(f"copies of copies are nested {len(numbers)} deep; at most {MAX_NESTED}")
    return tuple(map(int, numbers))


def count_copies(n: Any) -> int:
    """Check the number of copies to make and return it."""
    count = checked_integer(n, "the number of copies", 1, InvalidGroup)
    if count > MAX_COPIES:
        raise TooLarge(f"{count:,} copies of a group are too many; at most {MAX_COPIES:,}")
    return count


def labelled_digest(digest: str, label: str) -> str:
    """Return the digest of a copy; without a label, the digest of the generators."""
    if not label:
        return digest
    return hashlib.sha256(f"intertwine copy {label}\n{digest}\n".encode()).hexdigest()


def written(numbers: CopyNumbers) -> str:
    """Return the numbers as text, such as ``#1``."""
    return "".join(f"#{n}" for n in numbers)


def with_number(show: Callable[[Group], str]) -> Callable[[Group], str]:
    """Wrap a ``__repr__`` so that it shows a copy as its original, followed by its number."""

    def __repr__(self: Group) -> str:
        unnumbered = self.unnumbered
        if unnumbered is self:
            return show(self)
        text = repr(unnumbered)
        whole = text if unnumbered.is_written_as_one else f"({text})"
        return f"{whole}{written(self.copy_numbers)}"

    return __repr__
