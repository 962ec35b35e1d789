"""Tables of the elements of a finite group found so far, with search and multiplication.

Permutations, also signed ones, are integers and exact. Matrices are first brought close to a
unitary frame; two of them are one element if they agree up to rounding. A pair that is neither
equal nor clearly different makes the table ambiguous.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Inexact, Int, Num

from intertwine.operators import Permutation, as_signed_permutation

MAX_ORDER = 20_000
"""The largest order of a group that is enumerated."""
MAX_ENTRIES = 20_000_000
"""The most matrix entries that all elements may have together (160 MB of float64)."""
_SAME = 1e-12
"""Unitary matrices with a smaller relative difference are one element, in a small group. Rounding
adds 2e-16 per letter of a word."""
_NOISE = 2e-14
"""The same for matrices that are not unitary, times the squared condition of their frame."""
_LONG = 25
"""Words have up to as many letters as there are elements, each with the rounding error of its
generator: every so many elements, the tolerance `_SAME` is added once more."""
_LARGEST_SAME = 1e-6
_APART = 1e-4
"""Different elements with a smaller relative difference make the table ambiguous. In the cyclic
group of order 20,000 neighbours are 3e-4 apart."""
_LARGEST_CONDITION = 1e9
"""The largest condition of a frame's invariant form (the frame's, squared) with which elements are
distinguished."""
_ON_CIRCLE = 1e-5
"""An element with an eigenvalue further off the unit circle has infinite order."""
_AVERAGES = 40
"""Rounds of averaging that bring matrices close to a unitary frame. In experiments, the condition
of frames fell from 1e4 to below 10."""
_UNITARY = 1e-9
_CELLS = 4
"""The width of a cell of the search table, in units of `_APART`."""
_LARGE = 100
"""The size of matrices whose orders are bounded first."""
_MOVED = 1e-3
"""A vector is moved by more than this part of its length, or not clearly."""
_LARGEST_NORM = 1e3
"""Elements with larger entries, in the nearly unitary frame, are taken for elements of no finite
group."""


@runtime_checkable
class ElementTable(Protocol):
    """The elements found so far, with search and multiplication."""

    limit: int

    def fresh(self) -> ElementTable:
        """Return a table of the same generators that contains only the identity."""

    def generator(self, k: int) -> Any:
        """Return the k-th generator."""

    def times(self, start: int, stop: int, k: int) -> Any:
        """Return the elements from start to stop, each times the k-th generator."""

    def powers(self, k: int) -> Any:
        """Return the powers of the k-th generator up to its order; None if that is unknown."""

    def append(self, block: Any) -> bool:
        """Add elements. Return False if they belong to no finite group."""

    def find(self, element: Any) -> int | None:
        """Return the index of an element, −1 if it is not there, None if this is ambiguous."""

    def is_distinct(self) -> bool:
        """Return whether all elements are clearly distinct."""


class PermutationTable:
    """Signed permutations of d coordinates, as permutations of the 2d points ±eᵢ."""

    def __init__(self, d: int, permutations: Sequence[Permutation]) -> None:
        self._d, self._permutations = d, permutations
        self._generators = [signed_points(permutation) for permutation in permutations]
        self.limit = min(MAX_ORDER, MAX_ENTRIES // (4 * d))
        self._rows = _Rows(np.arange(2 * d, dtype=np.int64)[None])
        self._places = {self._name(self._rows.array[0]): 0}

    def fresh(self) -> PermutationTable:
        """Return a table of the same generators that contains only the identity."""
        return PermutationTable(self._d, self._permutations)

    def generator(self, k: int) -> Int[np.ndarray, " m"]:
        """Return the k-th generator."""
        return self._generators[k]

    def times(self, start: int, stop: int, k: int) -> Int[np.ndarray, "b m"]:
        """Return the elements from start to stop, each times the k-th generator."""
        found: Int[np.ndarray, "b m"] = self._generators[k][self._rows.array[start:stop]]
        return found

    def powers(self, k: int) -> Int[np.ndarray, "b m"] | None:
        """Return the powers of the k-th generator up to its order; None if that is unknown."""
        one = self._rows.array[:1]
        found, step = one, self._generators[k]
        while len(found) <= self.limit:
            more = step[found[: self.limit + 1 - len(found)]]
            found, step = np.concatenate([found, more]), step[step]
            back = np.flatnonzero((found[1:] == one).all(axis=1))
            if len(back):
                return found[: 1 + int(back[0])]
        return None

    def append(self, block: Int[np.ndarray, "b m"]) -> bool:
        """Add elements. Return False if they belong to no finite group."""
        count = len(self._rows.array)
        self._places.update((self._name(row), count + i) for i, row in enumerate(block))
        self._rows.append(block)
        return True

    def find(self, element: Int[np.ndarray, " m"]) -> int:
        """Return the index of an element, −1 if it is not there, None if this is ambiguous."""
        return self._places.get(self._name(element), -1)

    def is_distinct(self) -> bool:
        """Return True: permutations are exact."""
        return True

    @staticmethod
    def _name(element: Int[np.ndarray, " m"]) -> bytes:
        return element[: len(element) // 2].tobytes()


class MatrixTable:
    """Matrices close to unitary ones, found by the value of one random linear functional."""

    def __init__(self, generators: Inexact[np.ndarray, "k d d"], same: float) -> None:
        d = generators.shape[1]
        self._generators, self._same = generators, same
        self.limit = _most_elements(d)
        self._rows = _Rows(np.eye(d, dtype=generators.dtype)[None])
        rng = np.random.default_rng(20211)
        functional = rng.standard_normal((d, d)) - 1j * rng.standard_normal((d, d))
        functional /= np.linalg.norm(functional)
        self._functional = functional if np.iscomplexobj(generators) else functional.real
        self._width = _CELLS * _APART * np.sqrt(d)
        self._cells: dict[int, list[int]] = defaultdict(list)
        self._enter(0, self._rows.array)

    @staticmethod
    def of(matrices: Sequence[Num[np.ndarray, "d d"]]) -> MatrixTable | None:
        """Return a table of generators, in a nearly unitary frame; None if they generate no finite
        group that can be recognised.
        """
        stack = np.stack(matrices).astype(np.result_type(*matrices, np.float64))
        sizes = np.abs(stack).max(axis=(1, 2))
        # powers of an element of finite order are bounded: so are its entries, in any fair frame
        if not np.all((sizes < _LARGEST_CONDITION) & (sizes > 1 / _LARGEST_CONDITION)):
            return None
        if any(_has_large_order(matrix) for matrix in stack):
            return None
        if not np.all(np.abs(np.abs(np.linalg.eigvals(stack)) - 1) <= _ON_CIRCLE):
            return None
        form = _nearly_invariant_form(stack)
        if form is None:
            return MatrixTable(stack, _SAME)
        values, vectors = np.linalg.eigh(form)
        if not values[0] > values[-1] / _LARGEST_CONDITION:
            return None
        root = np.sqrt(values)
        straight = (root[:, None] * vectors.conj().T) @ stack @ (vectors / root)
        noise = _NOISE * float(values[-1] / values[0])
        return MatrixTable(straight, min(max(_SAME, noise), _LARGEST_SAME))

    def fresh(self) -> MatrixTable:
        """Return a table of the same generators that contains only the identity."""
        return MatrixTable(self._generators, self._same)

    def generator(self, k: int) -> Inexact[np.ndarray, "d d"]:
        """Return the k-th generator."""
        found: Inexact[np.ndarray, "d d"] = self._generators[k]
        return found

    def times(self, start: int, stop: int, k: int) -> Inexact[np.ndarray, "b d d"]:
        """Return the elements from start to stop, each times the k-th generator."""
        found: Inexact[np.ndarray, "b d d"] = self._rows.array[start:stop] @ self._generators[k]
        return found

    def powers(self, k: int) -> Inexact[np.ndarray, "b d d"] | None:
        """Return the powers of the k-th generator up to its order; None if that is unknown."""
        found, step = self._rows.array[:1], self._generators[k]
        one = found[0]
        while len(found) <= self.limit and self._is_bounded(found):
            more = found[: self.limit + 1 - len(found)] @ step
            found, step = np.concatenate([found, more]), step @ step
            distances = np.linalg.norm(found[1:] - one, axis=(1, 2)) / np.linalg.norm(one)
            near = np.flatnonzero(distances <= _APART)
            if len(near):
                back = int(near[0])
                return found[: 1 + back] if distances[back] <= self._rounding(back) else None
        return None

    def append(self, block: Inexact[np.ndarray, "b d d"]) -> bool:
        """Add elements. Return False if they belong to no finite group."""
        if not self._is_bounded(block):
            return False
        self._enter(len(self._rows.array), block)
        self._rows.append(block)
        return True

    def find(self, element: Inexact[np.ndarray, "d d"]) -> int | None:
        """Return the index of an element, −1 if it is not there, None if this is ambiguous."""
        if not self._is_bounded(element[None]):
            return None
        cell = int(np.floor(self._values(element[None])[0] / self._width))
        near = [i for c in (cell - 1, cell, cell + 1) for i in self._cells.get(c, ())]
        if not near:
            return -1
        differences = (self._rows.array[near] - element).reshape(len(near), -1)
        distances = np.linalg.norm(differences, axis=1) / np.sqrt(len(element))
        nearest = int(np.argmin(distances))
        if distances[nearest] <= self._rounding(len(self._rows.array)):
            return near[nearest]
        return None if distances[nearest] <= _APART else -1

    def is_distinct(self) -> bool:
        """Return whether all elements are clearly distinct.

        Elements that are near have near values of the functional, so they are neighbours in its
        order.
        """
        values = self._values(self._rows.array)
        order = np.argsort(values, kind="stable")
        sorted_values, shift = values[order], 1
        near = _APART * np.sqrt(self._rows.array.shape[1])
        while shift < len(order):
            pairs = np.flatnonzero(sorted_values[shift:] - sorted_values[:-shift] <= near)
            if not len(pairs):
                return True
            a, b = self._rows.array[order[pairs]], self._rows.array[order[pairs + shift]]
            if np.linalg.norm(a - b, axis=(1, 2)).min() <= near:
                return False
            shift += 1
        return True

    def _rounding(self, count: int) -> float:
        """Return how much two words of one element may differ in a group of `count` elements."""
        return min(self._same * (1 + count / _LONG), _LARGEST_SAME)

    def _values(self, block: Inexact[np.ndarray, "b d d"]) -> Float[np.ndarray, " b"]:
        flat = block.reshape(len(block), -1)
        values: Float[np.ndarray, " b"] = np.real(flat @ self._functional.ravel())
        return values

    def _enter(self, first: int, block: Inexact[np.ndarray, "b d d"]) -> None:
        cells = np.floor(self._values(block) / self._width).astype(np.int64)
        for i, cell in enumerate(cells.tolist()):
            self._cells[cell].append(first + i)

    def _is_bounded(self, block: Inexact[np.ndarray, "b d d"]) -> bool:
        """Return whether elements may have finite order: in any frame |tr| is at most d."""
        d = block.shape[1]
        traces = np.abs(np.trace(block, axis1=1, axis2=2))
        return bool(np.all(traces <= d * (1 + _ON_CIRCLE)) and np.abs(block).max() <= _LARGEST_NORM)


class _Rows:
    """An array that grows at its end, at amortised cost."""

    def __init__(self, first: Num[np.ndarray, "1 ..."]) -> None:
        self._room, self._count = first, len(first)

    @property
    def array(self) -> Any:
        """A view of the rows."""
        return self._room[: self._count]

    def append(self, block: Num[np.ndarray, "b ..."]) -> None:
        """Add rows."""
        needed = self._count + len(block)
        if needed > len(self._room):
            room = np.empty((2 * needed, *block.shape[1:]), dtype=self._room.dtype)
            room[: self._count] = self.array
            self._room = room
        self._room[self._count : needed] = block
        self._count = needed


def _most_elements(d: int) -> int:
    """Return the largest number of d × d matrices in a table."""
    return min(MAX_ORDER, MAX_ENTRIES // d**2)


def _has_large_order(matrix: Inexact[np.ndarray, "d d"]) -> bool:
    """Return whether a large matrix clearly has a larger order than a table has elements: its
    powers move a random vector, and none up to the table's limit moves it back.

    This is much less work than its eigenvalues or powers. Few large matrices are in a table.
    """
    d = len(matrix)
    if d < _LARGE:
        return False
    start = np.random.default_rng(20212).standard_normal(d)
    vector, nearest, largest = start, np.inf, np.linalg.norm(start)
    with np.errstate(all="ignore"):
        for _ in range(_most_elements(d)):
            vector = matrix @ vector
            nearest = min(nearest, float(np.linalg.norm(vector - start)))
            largest = max(largest, np.linalg.norm(vector))
            if not nearest > _MOVED * largest:
                return False
    return True


def _nearly_invariant_form(
    stack: Inexact[np.ndarray, "k d d"],
) -> Inexact[np.ndarray, "d d"] | None:
    """Return a positive form that the generators nearly preserve, by averaging; None if it is 1."""
    one = np.eye(stack.shape[1])
    adjoints = np.swapaxes(stack.conj(), 1, 2)
    if np.abs(adjoints @ stack - one).max() <= _UNITARY:
        return None
    form = one.astype(stack.dtype)
    # powers 2ʲ turn slow rotations faster; their norms are bounded unless the group is infinite
    steps, moved = [stack], stack
    for _ in range(3):
        moved = moved @ moved
        steps.append(moved)
    every = np.concatenate(steps)
    every /= np.exp(np.linalg.slogdet(every)[1] / len(one))[:, None, None]
    adjoints = np.swapaxes(every.conj(), 1, 2)
    for _ in range(_AVERAGES):
        form = (form + np.mean(adjoints @ form @ every, axis=0)) / 2
        form = (form + form.conj().T) * (len(one) / (2 * np.trace(form).real))
    return form


def all_permutations(generators: Sequence[Any]) -> list[Permutation] | None:
    """Return the generators as signed permutations; None if one is not."""
    found = [as_signed_permutation(h) for h in generators]
    permutations = [p for p in found if p is not None]
    return permutations if len(permutations) == len(found) else None


def signed_points(permutation: Permutation) -> Int[np.ndarray, " m"]:
    """Return a signed permutation of d coordinates as one of 2d points; −eᵢ is the point d + i."""
    n = len(permutation.indices)
    negative = np.zeros(n, bool) if permutation.signs is None else permutation.signs < 0
    first = permutation.indices + n * negative
    second = permutation.indices + n * ~negative
    return np.concatenate([first, second]).astype(np.int64)
