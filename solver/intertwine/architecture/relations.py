"""Integer relations, which say what rescalings of its input a network cannot see.

Take a network of products λ ⊗ μ → ν. Numbers χ(λ) with χ(λ)χ(μ) = χ(ν) for each of them
are a symmetry of the network beside the group: multiply each part λ of the input by χ(λ), and each
part ν of the output is multiplied by χ(ν), whatever the weights. A pseudo-scalar that enters by its
square alone is of this kind, with χ = −1. Such χ are the characters of ℤⁿ modulo the relations
λ + μ − ν, n being the number of irreps: fewer relations leave more symmetries. (The center of the
group always gives some, which are intended.)
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any


class Relations:
    """A subgroup of ℤⁿ, n symbols, as rows in echelon form."""

    def __init__(self, symbols: Sequence[Hashable]) -> None:
        self._places = {symbol: i for i, symbol in enumerate(symbols)}
        self._rows: dict[int, list[int]] = {}

    def add(self, relation: Mapping[Any, int]) -> None:
        """Add a vector, given by its nonzero entries, and its multiples."""
        new = [0] * len(self._places)
        for symbol, entry in relation.items():
            new[self._places[symbol]] += entry
        for i in range(len(new)):
            if not new[i]:
                continue
            if i not in self._rows:
                self._rows[i] = new if new[i] > 0 else [-x for x in new]
                return
            old = self._rows[i]
            while new[i]:  # Euclid, on rows
                q = old[i] // new[i]
                old, new = new, [x - q * y for x, y in zip(old, new, strict=True)]
            self._rows[i] = old if old[i] > 0 else [-x for x in old]

    def among(self, symbols: Sequence[Hashable]) -> tuple[tuple[int, ...], ...]:
        """Return the Hermite normal form of the vectors that are zero outside these symbols, which
        must be the last: the same for equal subgroups.
        """
        first = len(self._places) - len(symbols)
        assert [*self._places][first:] == [*symbols]
        rows = [row[first:] for i, row in sorted(self._rows.items()) if i >= first]
        for below in range(len(rows)):
            pivot = next(i for i, x in enumerate(rows[below]) if x)
            for above in range(below):
                q = rows[above][pivot] // rows[below][pivot]
                rows[above] = [x - q * y for x, y in zip(rows[above], rows[below], strict=True)]
        return tuple(map(tuple, rows))
