"""Names of the irreps of the spin groups: weights that may be half-integral."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np

from intertwine.groups.lie_groups import Spin
from intertwine.irreps.element_images import IrrepImages
from intertwine.irreps.names.highest_weights import highest_weight
from intertwine.irreps.names.scheme import Step
from intertwine.operators import dense

_NUMBER = r"-?(?:1?\d{1,3}/2|\d{1,3})"  # up to 999 and 1999/2, so that steps stay within
_ROWS = re.compile(rf"\[\s*({_NUMBER}(?:\s*,\s*{_NUMBER}){{0,31}})\s*\]")
_HALF = Fraction(1, 2)


class SpinRotations:
    """Spin(n): weights [1/2, 1/2] as those of SO(n), or half-integral; over ℂ.

    Spin(3) has ``j=1/2``, and Spin(2) has ``m=1/2``. For even n the two half-spin reps in V are
    [1/2, 1/2] and [1/2, −1/2].
    """

    def __init__(self, n: int) -> None:
        self._n, self._rank = n, n // 2
        self._symbol = {2: "m", 3: "j"}.get(n)
        self.example = f"{self._symbol}=1/2" if self._symbol else "[1/2, 1/2]"
        generators = (np.asarray(dense(a)) for a in Spin(n).lie_generators)
        pairs = {(i, j): next(generators) for i in range(n) for j in range(i + 1, n)}
        self._planes = [pairs[2 * k, 2 * k + 1] for k in range(self._rank)]

    def name(self, images: IrrepImages) -> str | None:
        """Return the name of an irrep; None for one over ℝ that is a sum of irreps over ℂ."""
        if images.type != "ℝ" and not images.is_complex:
            return None
        # γᵢγⱼ/2 turns from j to i
        found = highest_weight([1j * images.lie(plane) for plane in self._planes])
        return None if found is None else self._text(found[0])

    def _text(self, rows: Sequence[Fraction]) -> str:
        if self._symbol:
            return f"{self._symbol}={rows[0]}"
        last = self._rank
        while last > 1 and not rows[last - 1]:
            last -= 1
        return f"[{', '.join(map(str, rows[:last]))}]"

    def _rows(self, text: str) -> tuple[Fraction, ...] | None:
        if self._symbol and (
            short := re.fullmatch(rf"(?:{self._symbol}\s*=\s*)?({_NUMBER})", text)
        ):
            text = f"[{short[1]}]"
        match = _ROWS.fullmatch(text)
        if match is None:
            return None
        rows = [Fraction(row.strip()) for row in match[1].split(",")]
        if len(rows) > self._rank:
            return None
        return tuple(rows + [Fraction(0)] * (self._rank - len(rows)))

    def read(self, text: str, is_complex: bool) -> str | None:
        """Return the usual form of a name; None if the text is not a name of this scheme."""
        rows = self._rows(text)
        if rows is None or len({row.denominator for row in rows}) > 1:
            return None
        bounded = rows if self._n % 2 else (*rows[:-1], abs(rows[-1]))
        is_sorted = all(a >= b for a, b in pairwise(bounded))
        return self._text(rows) if is_sorted and bounded[-1] >= 0 else None

    def step(self, name: str) -> Step | None:
        """Return a step to this irrep from a smaller one; None for the trivial irrep.

        V has the weights (±1/2, …, ±1/2), all of them extremal: μ ⊗ V contains μ plus such a weight
        if that is dominant (Kumar 1988).
        """
        rows = self._rows(name)
        assert rows is not None
        if not any(rows):
            return None
        return Step(self._text([row - _HALF if row > 0 else row + _HALF for row in rows]))
