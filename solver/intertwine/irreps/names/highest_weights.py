"""Names of the irreps of classical Lie groups, by highest weights.

A Cartan subalgebra acts on an irrep by commuting matrices. The highest weight is the largest tuple
of their eigenvalues, in lexicographic order (Fulton and Harris, *Representation Theory*, 1991,
§§14, 19). It does not depend on the irrep's basis.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
from jaxtyping import Inexact, Num

from intertwine.groups.elementary import unit_matrix
from intertwine.irreps.element_images import IrrepImages
from intertwine.irreps.names.scheme import Step

_WHOLE = 1e-6
"""Weights are multiples of 1/2 up to this."""
_LARGEST_ROW = 999
_DIAGRAM = re.compile(r"\[\s*([-±]?\d{1,3}(?:\s*,\s*[-±]?\d{1,3}){0,31})\s*\]")
_HALF = r"\s*(\d{1,3}|1?\d{1,3}/2)\s*"  # up to 999 and 1999/2, so that steps stay within
_PAIR = rf"\({_HALF},{_HALF}\)"
_PAIRS = re.compile(rf"{_PAIR}(?:\s*[+⊕]\s*{_PAIR})?")

_Weight = tuple[Fraction, ...]


def highest_weight(
    cartan: Sequence[Inexact[np.ndarray, "n n"]],
) -> tuple[_Weight, Inexact[np.ndarray, "n k"]] | None:
    """Return the largest common eigenvalues of commuting Hermitian matrices, and their eigenspace.

    None if the matrices are not Hermitian, or the eigenvalues are not multiples of 1/2.
    """
    n = cartan[0].shape[0] if cartan else 1
    space: Inexact[np.ndarray, "n k"] = np.eye(n, dtype=np.complex128)
    weight = []
    for matrix in cartan:
        size = 1 + float(np.abs(matrix).max(initial=0.0))
        if not np.abs(matrix - matrix.conj().T).max(initial=0.0) <= _WHOLE * size:
            return None
        values, vectors = np.linalg.eigh(space.conj().T @ matrix @ space)
        top = Fraction(round(2 * float(values[-1])), 2)
        if not abs(float(values[-1]) - float(top)) <= _WHOLE * size:
            return None
        space = space @ vectors[:, values > float(top) - 0.25]
        weight.append(top)
    return tuple(weight), space


def rotation(n: int, i: int, j: int) -> Num[np.ndarray, "n n"]:
    """Return the generator of counterclockwise rotations of the coordinates i and j."""
    found: Num[np.ndarray, "n n"] = unit_matrix(n, j, i) - unit_matrix(n, i, j)
    return found


def _diagram(rows: Sequence[Fraction | int], keep: bool = False) -> str:
    """Return a Young diagram such as [2, 1], without its empty rows."""
    last = len(rows)
    while not keep and last > 1 and rows[last - 1] == 0:
        last -= 1
    return f"[{', '.join(str(row) for row in rows[:last]) or '0'}]"


def _rows(text: str, most: int) -> tuple[int, ...] | None:
    """Return the rows of a weight in square brackets, with zeros up to `most` rows."""
    match = _DIAGRAM.fullmatch(text)
    if match is None:
        return None
    rows = [int(row.strip().lstrip("±")) for row in match[1].split(",")]
    while len(rows) > most and rows[-1] == 0:
        rows.pop()
    rows += [0] * (most - len(rows))
    if len(rows) > most or any(a < b for a, b in pairwise(rows)):
        return None
    return tuple(rows)


def _box_removed(rows: Sequence[int]) -> tuple[int, ...]:
    """Return the rows after the last box is removed, of a row that may be negative."""
    last = max(k for k, row in enumerate(rows) if row)
    less = rows[last] - (1 if rows[last] > 0 else -1)
    return (*rows[:last], less, *rows[last + 1 :])


class Rotations:
    """SO(n): ``l=2`` for n = 3, ``m=±1`` (over ℂ, ``m=1``) for n = 2, else weights [2, 1].

    For n = 4, 8, … and over ℂ the last row may be negative. For other even n an irrep over ℝ is
    the sum of both signs, and is written ±.
    """

    def __init__(self, n: int) -> None:
        self.n, self._rank = n, n // 2
        self._is_paired = n % 4 == 2  # an irrep over ℝ has both signs of the last row
        self.example = "l=2" if n == 3 else "m=±1" if n == 2 else "[2, 1]"

    def name(self, images: IrrepImages) -> str | None:
        """Return the name of an irrep."""
        found = highest_weight(self._cartan(images))
        if found is None or any(row.denominator > 1 for row in found[0]):
            return None
        return self._text([int(row) for row in found[0]], images.is_complex)

    def _cartan(self, images: IrrepImages) -> list[Num[np.ndarray, "n n"]]:
        """Return Hermitian images of a Cartan subalgebra, whose weights are the rows."""
        return [-1j * images.lie(rotation(self.n, 2 * k, 2 * k + 1)) for k in range(self._rank)]

    def _text(self, rows: Sequence[int], is_complex: bool) -> str:
        n = self.n
        if n == 3:
            return f"l={rows[0]}"
        is_pair = self._is_paired and not is_complex and rows[-1] != 0
        last = f"±{abs(rows[-1])}" if is_pair else str(rows[-1])
        if n == 2:
            return f"m={last}"
        return f"[{', '.join([*map(str, rows[:-1]), last])}]" if is_pair else _diagram(rows)

    def read(self, text: str, is_complex: bool) -> str | None:
        """Return the usual form of a name; None if the text is not a name of this scheme."""
        symbol = {3: "l", 2: "m"}.get(self.n)
        if symbol and (short := re.fullmatch(rf"(?:{symbol}\s*=\s*)?([-±]?\d{{1,3}})", text)):
            text = f"[{short[1]}]"
        rows = _rows(text, self._rank)
        if rows is None or ("±" in text and (is_complex or not self._is_paired)):
            return None
        least = -rows[-2] if self._rank > 1 else -999
        if rows[-1] < (least if self.n % 2 == 0 else 0):
            return None
        return self._text(rows, is_complex)

    def step(self, name: str) -> Step | None:
        """Return a step to this irrep from a smaller one; None for the trivial irrep."""
        is_complex = "±" not in name
        rows = _rows(f"[{name[2:]}]" if name[1:2] == "=" else name, self._rank)
        assert rows is not None
        return Step(self._text(_box_removed(rows), is_complex)) if any(rows) else None


class RotationsAndReflections:
    """O(n): ``2e`` and ``2o`` for n = 3, as in e3nn; A1, A2, E1, E2, … for n = 2; else Young
    diagrams whose first two columns have at most n boxes.

    In ``le`` and ``lo`` the inversion acts by 1 and −1. A diagram and the one with another first
    column, of n minus as many boxes, differ by the determinant (Weyl, *The Classical Groups*, 1939,
    §V.7). A2 of O(2) is the determinant, and Ek has the charges ±k.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.example = "2e" if n == 3 else "E1" if n == 2 else "[2, 1]"

    def name(self, images: IrrepImages) -> str | None:
        """Return the name of an irrep."""
        n = self.n
        found = highest_weight(
            [-1j * images.lie(rotation(n, 2 * k, 2 * k + 1)) for k in range(n // 2)]
        )
        if found is None or any(row.denominator > 1 for row in found[0]):
            return None
        rows, space = [abs(int(row)) for row in found[0]], found[1]
        if n == 3:
            return f"{rows[0]}{'e' if images.element(-np.eye(3))[0, 0].real > 0 else 'o'}"
        last = np.diag([1.0] * (n - 1) + [-1.0])  # of a coordinate with weight 0
        moved = complex(np.vdot(space[:, 0], images.element(last) @ space[:, 0]))
        if rows[-1] == 0 or n % 2:
            if not abs(abs(moved.real) - 1) <= _WHOLE:
                return None
            rows = rows if moved.real > 0 else _associate(rows, n)
        return self._text(rows)

    def _text(self, rows: Sequence[int]) -> str:
        if self.n == 2:
            return f"E{rows[0]}" if rows[0] > 1 or sum(rows) == 1 else f"A{1 + sum(rows) // 2}"
        return _diagram(rows)

    def read(self, text: str, is_complex: bool) -> str | None:
        """Return the usual form of a name; None if the text is not a name of this scheme."""
        if self.n == 3:
            match = re.fullmatch(r"(\d{1,3})([eo])", text)
            return f"{int(match[1])}{match[2]}" if match else None
        if self.n == 2:
            match = re.fullmatch(r"A([12])|E([1-9]\d{0,2})", text)
            return match[0] if match else None
        rows = _rows(text, self.n)
        if rows is None or rows[-1] < 0:
            return None
        columns = sum(row > 0 for row in rows) + sum(row > 1 for row in rows)
        return _diagram(rows) if columns <= self.n else None

    def step(self, name: str) -> Step | None:
        """Return a step to this irrep from a smaller one; None for the trivial irrep."""
        if self.n == 3:
            degree, is_even = int(name[:-1]), name[-1] == "e"
            if degree == 0:
                return None if is_even else Step("1e")
            other = "o" if is_even else "e"
            is_natural = is_even == (degree % 2 == 0)
            return Step(f"{degree - is_natural}{other}")
        if self.n == 2:
            k = int(name[1:])
            if name[0] == "A":
                return Step("E1") if k == 2 else None
            return Step(f"E{k - 1}" if k > 1 else "A1")
        rows = _rows(name, self.n)
        assert rows is not None
        return Step(_diagram(_box_removed(rows))) if any(rows) else None


def _associate(rows: Sequence[int], n: int) -> list[int]:
    """Return the diagram whose first column has n minus as many boxes."""
    length = n - sum(row > 0 for row in rows)
    return [*[max(row, 1) for row in rows], *[1] * n][:length]


class LinearMaps:
    """GL(n), U(n), SL(n) and SU(n): Young diagrams [2, 1], for SU(2) ``j=3/2``.

    The rows of GL(n) and U(n) may be negative: V* of U(2) is [0, −1]. U(1) has charges ``m=3``.
    Diagrams of SL(n) and SU(n) have at most n − 1 rows.
    """

    def __init__(self, n: int, is_special: bool, is_unitary: bool) -> None:
        self.n, self._is_special, self._is_unitary = n, is_special, is_unitary
        self._spin = n == 2 and is_special and is_unitary
        self._charge = n == 1 and not is_special and is_unitary
        self.example = "j=3/2" if self._spin else "m=3" if self._charge else "[2, 1]"

    def name(self, images: IrrepImages) -> str | None:
        """Return the name of an irrep; None for one over ℝ that is a sum of irreps over ℂ."""
        if images.type != "ℝ" and not images.is_complex:
            return None
        n, cartan = self.n, []
        for k in range(n - 1 if self._is_special else n):
            diagonal = unit_matrix(n, k, k)
            if self._is_special:
                diagonal = diagonal - unit_matrix(n, n - 1, n - 1)
            both = images.lie(1j * diagonal if self._is_unitary else diagonal)
            cartan.append(-1j * both if self._is_unitary else both)
        found = highest_weight(cartan)
        if found is None or any(row.denominator > 1 for row in found[0]):
            return None
        return self._text([int(row) for row in found[0]])

    def _text(self, rows: Sequence[int]) -> str:
        if self._spin:
            return f"j={Fraction(rows[0], 2)}"
        if self._charge:
            return f"m={rows[0]}"
        return _diagram(rows, keep=bool(rows) and rows[-1] < 0)

    def read(self, text: str, is_complex: bool) -> str | None:
        """Return the usual form of a name; None if the text is not a name of this scheme."""
        if self._spin and (spin := re.fullmatch(rf"(?:j\s*=)?{_HALF}", text)):
            return self._text([int(2 * Fraction(spin[1]))])
        if self._charge and (charge := re.fullmatch(r"(?:m\s*=\s*)?(-?\d{1,3})", text)):
            return self._text([int(charge[1])])
        rows = _rows(text, self.n)
        if rows is None or "±" in text:
            return None
        if self._is_special:
            rows = tuple(row - rows[-1] for row in rows)[:-1]  # a full column is the determinant
        return self._text(rows) if max(rows, default=0) <= _LARGEST_ROW else None

    def step(self, name: str) -> Step | None:
        """Return a step to this irrep from a smaller one; None for the trivial irrep."""
        if name[1:2] == "=":
            count = Fraction(name[2:]) * (2 if self._spin else 1)
            rows: tuple[int, ...] | None = (int(count),)
        else:
            rows = _rows(name, self.n - 1 if self._is_special else self.n)
        assert rows is not None
        if not any(rows):
            return None
        return Step(self._text(_box_removed(rows)), is_dual=min(rows) < 0)


class Symplectic:
    """Sp(m): Young diagrams [2, 1] of at most m rows."""

    example = "[2, 1]"

    def __init__(self, m: int) -> None:
        self._m = m

    def name(self, images: IrrepImages) -> str | None:
        """Return the name of an irrep."""
        m = self._m
        found = highest_weight(
            [
                images.lie(unit_matrix(2 * m, k, k) - unit_matrix(2 * m, m + k, m + k))
                for k in range(m)
            ]
        )
        if found is None or any(row.denominator > 1 for row in found[0]):
            return None
        return _diagram([int(row) for row in found[0]])

    def read(self, text: str, is_complex: bool) -> str | None:
        """Return the usual form of a name; None if the text is not a name of this scheme."""
        rows = _rows(text, self._m)
        return None if rows is None or rows[-1] < 0 or "±" in text else _diagram(rows)

    def step(self, name: str) -> Step | None:
        """Return a step to this irrep from a smaller one; None for the trivial irrep."""
        rows = _rows(name, self._m)
        assert rows is not None
        return Step(_diagram(_box_removed(rows))) if any(rows) else None


class Lorentz:
    """SO⁺(1, 3): pairs of spins (1/2, 1/2), over ℝ also sums such as (1, 0)+(0, 1).

    The spins are those of (J + iK)/2 and (J − iK)/2, for rotations J and boosts K.
    """

    example = "(1/2, 1/2)"

    def name(self, images: IrrepImages) -> str | None:
        """Return the name of an irrep."""
        found = highest_weight(self._cartan(images))
        if found is None:
            return None
        a, b = found[0]
        return self._text(a, b, images.is_complex)

    def _cartan(self, images: IrrepImages) -> list[Num[np.ndarray, "n n"]]:
        """Return the third components of the two spins."""
        turn = -1j * images.lie(rotation(4, 1, 2))
        boost = images.lie(unit_matrix(4, 0, 3) + unit_matrix(4, 3, 0))
        return [(turn + boost) / 2, (turn - boost) / 2]

    def _text(self, a: Fraction, b: Fraction, is_complex: bool) -> str:
        if is_complex or a == b:
            return f"({a}, {b})"
        a, b = max(a, b), min(a, b)
        return f"({a}, {b})+({b}, {a})"

    def read(self, text: str, is_complex: bool) -> str | None:
        """Return the usual form of a name; None if the text is not a name of this scheme."""
        match = _PAIRS.fullmatch(text)
        if match is None:
            return None
        a, b = Fraction(match[1]), Fraction(match[2])
        is_sum = match[3] is not None
        if is_sum and (is_complex or (Fraction(match[3]), Fraction(match[4])) != (b, a) or a == b):
            return None
        return self._text(a, b, is_complex) if (a + b).denominator == 1 else None

    def step(self, name: str) -> Step | None:
        """Return a step to this irrep from a smaller one; None for the trivial irrep."""
        match = _PAIRS.fullmatch(name)
        assert match is not None
        a, b, half = Fraction(match[1]), Fraction(match[2]), Fraction(1, 2)
        if a == b == 0:
            return None
        less = (
            (a - half, b - half) if a and b else (a - half, b + half) if a else (a + half, b - half)
        )
        return Step(self._text(*less, is_complex=match[3] is None))
