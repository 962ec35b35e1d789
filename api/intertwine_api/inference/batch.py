"""Rows of several callers as one array, and what comes of it as answers of theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

Rows = Shaped[np.ndarray, "n d"]
Outputs = Shaped[np.ndarray, "n m"]

#: Takes (n, d) to (n, m), row by row: what it makes of a row depends on that row alone.
Function = Callable[[Rows], Outputs]


def sizes(most: int) -> tuple[int, ...]:
    """The sizes that batches of at most so many rows are padded to: powers of two, and the most.

    >>> sizes(10)
    (1, 2, 4, 8, 10)
    """
    return (*(2**k for k in range((most - 1).bit_length())), most)


def padded(rows: int, most: int) -> int:
    """The least of the `sizes` that has room for so many rows."""
    return min(1 << (rows - 1).bit_length(), most)


class Call:
    """What one caller asked for: rows, of which some were taken and some answered."""

    __slots__ = ("_answer", "_answered", "future", "rows", "taken")

    def __init__(self, rows: Rows, future: asyncio.Future[Outputs]) -> None:
        self.rows, self.future = rows, future
        self.taken = self._answered = 0
        self._answer: Outputs | None = None

    @property
    def waiting(self) -> int:
        """The rows that nobody has taken."""
        return len(self.rows) - self.taken

    def take(self, most: int) -> Piece:
        """The next of its rows, so many at most."""
        start, self.taken = self.taken, min(len(self.rows), self.taken + most)
        return Piece(self, start, self.taken)

    def drop(self) -> int:
        """Take what waits, for nothing; how many rows that were."""
        dropped, self.taken = self.waiting, len(self.rows)
        return dropped

    def put(self, start: int, outputs: Outputs) -> None:
        """Some of its answer. The caller gets it when it is whole."""
        self._answered += len(outputs)
        if len(outputs) == len(self.rows):
            self._answer = outputs
        else:
            if self._answer is None:
                self._answer = np.empty((len(self.rows), *outputs.shape[1:]), outputs.dtype)
            self._answer[start : start + len(outputs)] = outputs
        if self._answered == len(self.rows) and not self.future.done():
            self.future.set_result(self._answer)

    def fail(self, error: Exception) -> None:
        """Give the caller an error instead of an answer."""
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(frozen=True)
class Piece:
    """Rows of a call, from `start` up to `stop`, that are in one batch."""

    call: Call
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def inputs(self) -> Rows:
        """The rows themselves."""
        return self.call.rows[self.start : self.stop]


def compute(function: Function, pieces: Sequence[Piece], most: int) -> list[Outputs | Exception]:
    """The outputs of each piece, found in one call of the function.

    Where that fails, each piece is tried alone, so that only those fail that make it fail.
    """
    try:
        return list(_joined(function, pieces, most))
    except Exception as error:  # the caller is told, whatever it is
        if len(pieces) == 1:
            return [error]
    return [outcome for piece in pieces for outcome in compute(function, [piece], most)]


def _joined(function: Function, pieces: Sequence[Piece], most: int) -> list[Outputs]:
    first = pieces[0].inputs
    ends = np.cumsum([len(piece) for piece in pieces]).tolist()
    batch = np.zeros((padded(ends[-1], most), *first.shape[1:]), first.dtype)
    for piece, end in zip(pieces, ends, strict=True):
        batch[end - len(piece) : end] = piece.inputs
    outputs = function(batch)
    if len(outputs) != len(batch):
        raise ValueError(f"the function made {len(outputs)} rows of {len(batch)}")
    return [outputs[end - len(piece) : end] for piece, end in zip(pieces, ends, strict=True)]
