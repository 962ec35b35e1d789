"""Copies of a group: equal generators, and yet different groups, as ``SO(3)#1`` and ``SO(3)#2``.

Groups are equal by content, so that two groups of equal generators are one group that acts on all
of a rep. Copies are told apart by their number, which is part of equality, digest and keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from intertwine.errors import InvalidGroup, TooLarge

if TYPE_CHECKING:
    from intertwine.groups.group import Group

#: The number of a copy; of a copy's copy one number more; of a group itself none.
CopyNumbers = tuple[int, ...]

MAX_COPIES = 1000
"""The most copies that are made at once."""
MAX_NUMBER = 10**6
"""The largest number of a copy."""
MAX_NESTED = 16
"""How often copies may be copied."""


def checked_numbers(value: Any) -> CopyNumbers:
    """The numbers of a copy, from an integer or a sequence of them."""
    numbers = tuple(value) if isinstance(value, list | tuple) else (value,)
    wrong = [n for n in numbers if isinstance(n, bool) or not isinstance(n, int | np.integer)]
    if wrong or not all(1 <= n <= MAX_NUMBER for n in numbers):
        raise InvalidGroup(
            f"the number of a copy is an integer from 1 to {MAX_NUMBER:,}, not "
            f"{', '.join(map(repr, numbers))}"
        )
    if len(numbers) > MAX_NESTED:
        raise TooLarge(f"a copy of a copy is made at most {MAX_NESTED} times, not {len(numbers)}")
    return tuple(map(int, numbers))


def count_copies(n: Any) -> int:
    """The number of copies to make, checked."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise InvalidGroup(f"the number of copies is an integer from 1 on, not {n!r}")
    if n > MAX_COPIES:
        raise TooLarge(f"{n:,} copies of a group were asked for; at most {MAX_COPIES:,} are made")
    return int(n)


def labelled_digest(digest: str, label: str) -> str:
    """The digest of a copy; of a group that is none it is the digest of its generators."""
    if not label:
        return digest
    return hashlib.sha256(f"intertwine copy {label}\n{digest}\n".encode()).hexdigest()


def written(numbers: CopyNumbers) -> str:
    """The numbers as text, such as ``#1``."""
    return "".join(f"#{n}" for n in numbers)


def with_number(show: Callable[[Group], str]) -> Callable[[Group], str]:
    """A ``__repr__`` that shows a copy as its unnumbered, followed by its number."""

    def __repr__(self: Group) -> str:
        unnumbered = self.unnumbered
        if unnumbered is self:
            return show(self)
        text = repr(unnumbered)
        whole = text if unnumbered.is_written_as_one else f"({text})"
        return f"{whole}{written(self.copy_numbers)}"

    return __repr__
