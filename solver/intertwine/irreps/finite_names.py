"""Names of the irreps of symmetric groups, by partitions, and of abelian groups, by charges."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import Num

from intertwine.irreps.element_images import IrrepImages
from intertwine.irreps.highest_weights import Step

_WHOLE = 1e-6
_PARTITION = re.compile(r"\[\s*([1-9]\d{0,2}(?:\s*,\s*[1-9]\d{0,2}){0,31})\s*\]")
_CHARGES = re.compile(r"(?:m\s*=\s*)?(±?)\s*(\(?)\s*(-?\d{1,6}(?:\s*,\s*-?\d{1,6}){0,31})\s*(\)?)")
_CYCLIC = re.compile(r"([12]?)(?:(A|B)|E([1-9]\d{0,5})?)")


class Partitions:
    """S(n): partitions of n, such as [3, 1]. [n] is the trivial irrep, and [1, …, 1] the sign.

    The elements of Jucys and Murphy, Σ (j k) over j < k, have a common eigenvector whose
    eigenvalues are the contents of the cells of a standard tableau (Jucys 1974, Murphy 1981).
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self.example = f"[{n - 1}, 1]"

    def name(self, images: IrrepImages) -> str | None:
        """Return the name of an irrep."""
        swaps, d = images.generators, images.dimension  # (0 i) for i = 1, …, n − 1
        space: Num[np.ndarray, "d k"] = np.eye(d)
        rows = [1]
        for k in range(1, self._n):
            total = swaps[k - 1].copy()
            for j in range(1, k):
                total = total + swaps[j - 1] @ swaps[k - 1] @ swaps[j - 1]
            values, vectors = np.linalg.eigh(space.conj().T @ total @ space)
            content = round(float(values[-1]))
            row = next((i for i, x in enumerate([*rows, 0]) if x - i == content), None)
            if row is None or not abs(float(values[-1]) - content) <= _WHOLE * self._n:
                return None
            rows = [*rows, 0] if row == len(rows) else rows
            rows[row] += 1
            space = space @ vectors[:, values > content - 0.5]
        return _partition(rows)

    def read(self, text: str, is_complex: bool) -> str | None:
        """Return the usual form of a name; None if it is none."""
        match = _PARTITION.fullmatch(text)
        rows = [int(row) for row in match[1].split(",")] if match else []
        is_sorted = rows == sorted(rows, reverse=True)
        return _partition(rows) if is_sorted and sum(rows) == self._n else None

    def step(self, name: str) -> Step | None:
        """Return a step to this irrep from a smaller one; None for the trivial irrep."""
        rows = [int(row) for row in name[1:-1].split(",")]
        if len(rows) == 1:
            return None
        rows[-1] -= 1  # the last box moves to the first row: V ⊗ λ is λ restricted, and induced
        rows[0] += 1
        return Step(_partition([row for row in rows if row]))


def _partition(rows: Sequence[int]) -> str:
    return f"[{', '.join(map(str, rows))}]"


class Charges:
    """Finite abelian groups: m, where the generator hₖ of order o acts by exp(2πi mₖ/o).

    ``m=(1, 0)`` has a charge for each discrete generator as given. Over ℝ, the sum of m and −m is
    ``m=±(1, 0)``. A group with one generator has ``m=1`` over ℂ; over ℝ it has Mulliken's A
    (h = 1), B (h = −1), and E1, E2, … for ±1, ±2, …, or E if there is only one.
    """

    def __init__(self, orders: Sequence[int]) -> None:
        self._orders = tuple(orders)
        self._cyclic = len(orders) == 1
        self.example = (
            "A" if self._cyclic else f"m=({', '.join(['1'] + ['0'] * (len(orders) - 1))})"
        )

    def name(self, images: IrrepImages) -> str | None:
        """Return the name of an irrep."""
        generators = images.generators
        combined = sum(np.sqrt(k + 2) * g for k, g in enumerate(generators))
        vector = np.linalg.eig(np.asarray(combined, dtype=complex))[1][:, 0]
        charges = []
        for order, g in zip(self._orders, generators, strict=True):
            turns = float(np.angle(np.vdot(vector, g @ vector))) / (2 * np.pi) * order
            if not abs(turns - round(turns)) <= _WHOLE * order:
                return None
            charges.append(round(turns))
        return self._text(charges, images.is_complex)

    def _text(self, charges: Sequence[int], is_complex: bool) -> str:
        """Return the name of charges, each taken between −o/2 and o/2."""
        pairs = zip(charges, self._orders, strict=True)
        small = [(m % o) - (o if 2 * (m % o) > o else 0) for m, o in pairs]
        is_real = all(2 * m % o == 0 for m, o in zip(small, self._orders, strict=True))
        if self._cyclic and not is_complex:
            m, order = abs(small[0]), self._orders[0]
            if is_real:
                return "B" if m else "A"
            return f"E{m}" if order not in (3, 4) else "E"
        if not is_real and not is_complex:
            halves = zip(small, self._orders, strict=True)
            first = next(m for m, o in halves if 2 * m % o)
            if first < 0:
                small = [m if 2 * m == o else -m for m, o in zip(small, self._orders, strict=True)]
        inside = ", ".join(map(str, small))
        sign = "±" if not is_real and not is_complex else ""
        return f"m={sign}{inside}" if self._cyclic else f"m={sign}({inside})"

    def read(self, text: str, is_complex: bool) -> str | None:
        """Return the usual form of a name; None if it is none."""
        symbol = _CYCLIC.fullmatch(text) if self._cyclic else None
        if symbol:
            order = self._orders[0]
            if symbol[2]:
                if symbol[1] or (symbol[2] == "B" and order % 2):
                    return None
                m = 0 if symbol[2] == "A" else order // 2
            else:
                m = int(symbol[3] or 1)
                if not 2 * m < order or bool(symbol[1]) != is_complex:
                    return None
                m = -m if symbol[1] == "2" else m
            return self._text([m], is_complex)
        match = _CHARGES.fullmatch(text)
        charges = [int(m) for m in match[3].split(",")] if match else []
        if match is None or len(charges) != len(self._orders) or bool(match[2]) != bool(match[4]):
            return None
        found = self._text(charges, is_complex)
        return None if match[1] and "±" not in found and not found.startswith("E") else found

    def step(self, name: str) -> Step | None:
        """Return None: irreps are searched in tensors."""
        return None


def order_of_element(matrix: Num[np.ndarray, "d d"], most: int) -> int | None:
    """Return the least k > 0 with hᵏ = 1, from the eigenvalues; None above `most`."""
    order = 1
    for value in np.linalg.eigvals(matrix):
        turns = Fraction(float(np.angle(value)) / (2 * np.pi)).limit_denominator(most)
        if abs(np.exp(2j * np.pi * float(turns)) - value) > _WHOLE:
            return None
        order = int(np.lcm(order, turns.denominator))
    return order if order <= most else None
