"""Names of irreps of finite groups: partitions, charges of abelian groups, and letters.

Letters name the irreps of any other group by their place in its character table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import Num

from intertwine.irreps.character_tables import CharacterTable
from intertwine.irreps.element_images import IrrepImages
from intertwine.irreps.names.scheme import Step
from intertwine.operators import Permutation
from intertwine.reps.functors.power_sums import partitions, symmetric_group_character

_WHOLE = 1e-6  # the largest distance of a value from an integer or a root of unity
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
        """Return the usual form of a name; None if the text is not a name of this scheme."""
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

    def name_of_character(self, character: Callable[[Permutation], complex]) -> str | None:
        """Return the partition λ with χ^λ = χ, compared on one permutation of each cycle type."""
        n = self._n
        types = list(partitions(n))
        values = [character(_with_cycles(cycles)) for cycles in types]
        for rows in types:
            expected = [symmetric_group_character(rows, cycles) for cycles in types]
            if np.abs(np.array(values) - expected).max() <= _WHOLE:
                return _partition(rows)
        return None


def _with_cycles(lengths: Sequence[int]) -> Permutation:
    """Return a permutation with cycles of these lengths."""
    indices, start = np.arange(sum(lengths)), 0
    for length in lengths:
        indices[start : start + length] = np.roll(indices[start : start + length], 1)
        start += length
    return Permutation(indices)


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
        # random weights: fixed ones such as √2, √3 give a multiple of 1 for some angles
        weights = np.random.default_rng(27).standard_normal(len(generators))
        combined = sum(w * g for w, g in zip(weights, generators, strict=True))
        vector = np.linalg.eig(np.asarray(combined, dtype=complex))[1][:, 0]
        charges = []
        for order, g in zip(self._orders, generators, strict=True):
            value = complex(np.vdot(vector, g @ vector))
            turns = float(np.angle(value)) / (2 * np.pi) * order
            is_eigenvector = abs(abs(value) - 1) <= _WHOLE
            if not (is_eigenvector and abs(turns - round(turns)) <= _WHOLE * order):
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
        """Return the usual form of a name; None if the text is not a name of this scheme."""
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


class Letters:
    """Any finite group: 3a, 3b, … by dimension over ℂ, in the order of `character_table`.

    Over ℝ, an irrep of type ℂ is a sum 1b+1c, and one of type ℍ is 2(2a).
    """

    def __init__(self, table: CharacterTable) -> None:
        self._table = table
        self.example = table.names[-1]

    def name(self, images: IrrepImages) -> str | None:
        """Return the name of an irrep."""
        table = self._table
        classes = table.classes
        every = classes.enumeration.images(images.generators)
        traces = np.trace(every[classes.representatives], axis1=1, axis2=2)
        norms = table.values.conj() * classes.sizes @ traces / table.order
        counts = np.rint(norms.real)
        if not np.abs(norms - counts).max() <= _WHOLE:
            return None
        inside = [table.names[i] for i in np.flatnonzero(counts)]
        if len(inside) == 1:
            return f"2({inside[0]})" if counts.max() == 2 else inside[0]
        return "+".join(inside)

    def read(self, text: str, is_complex: bool) -> str | None:
        """Return the usual form of a name; None if the text is not a name of this scheme."""
        names, values = self._table.names, self._table.values
        if text in names:
            if is_complex:
                return text
            i = names.index(text)
            indicator = self._table.indicators[i]
            if indicator == 0:
                differences = np.abs(values - values[i].conj()).max(axis=1)
                partner = int(np.argmin(differences))
                return "+".join(names[j] for j in sorted((i, partner)))
            return text if indicator == 1 else f"2({text})"
        if is_complex:
            return None
        known = [self.read(name, is_complex=False) for name in names]
        return text if text in known else None

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
