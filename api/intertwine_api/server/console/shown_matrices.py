"""Matrices on pages: small ones by their entries, and permutations by their cycles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from intertwine.groups.generators import Generator
from intertwine.operators import Permutation, dense

_LARGEST = 8  # rows of a matrix whose entries are shown
_MOST_MOVED = 60  # coordinates of a permutation that is written as cycles


@dataclass(frozen=True)
class ShownMatrix:
    """A matrix with its name: its entries as text, or else a text that describes it."""

    name: str
    rows: list[list[str]] | None
    text: str


def shown_matrix(name: str, generator: Generator) -> ShownMatrix:
    """Return what a page shows of a matrix: its entries, its cycles, or its size if it is large."""
    if isinstance(generator, Permutation):
        return ShownMatrix(name, None, _cycles(generator))
    matrix = np.asarray(dense(generator))
    if len(matrix) > _LARGEST:
        filled = np.count_nonzero(matrix)
        text = f"a matrix of {len(matrix)} × {len(matrix)} with {filled:,} nonzero entries"
        return ShownMatrix(name, None, text)
    return ShownMatrix(name, [[_entry(value) for value in row] for row in matrix], "")


def number_text(value: complex) -> str:
    """Return a number with four digits: 0.5, −1, 0.5+0.5i."""
    number = complex(value)
    real, imaginary = (part + 0.0 for part in (number.real, number.imag))  # no negative zero
    if not imaginary:
        return f"{real:.4g}".replace("-", "−")
    shown = f"{imaginary:+.4g}i".replace("+1i", "+i").replace("-1i", "-i")
    return (f"{real:.4g}{shown}" if real else shown.removeprefix("+")).replace("-", "−")


def _entry(value: complex) -> str:
    """Return the text of an entry of a matrix; numbers below rounding are zero."""
    number = complex(value)
    return number_text(complex(round(number.real, 12), round(number.imag, 12)))


def _cycles(permutation: Permutation) -> str:
    """Return where coordinates move, as cycles; signs as a note."""
    moves, seen, found = permutation.inverse.indices, set[int](), []
    moved = int(np.count_nonzero(moves != np.arange(len(moves))))
    if moved > _MOST_MOVED:
        return f"a permutation that moves {moved:,} of {len(moves):,} coordinates"
    for start in range(len(moves)):
        cycle, at = [], start
        while at not in seen:
            seen.add(at)
            cycle.append(at)
            at = int(moves[at])
        if len(cycle) > 1:
            found.append(f"({' '.join(map(str, cycle))})")
    signs = permutation.signs
    note = "" if signs is None else f", and {int(np.sum(signs < 0))} signs change"
    return ("".join(found) or "the identity") + note
