"""Character tables of finite groups, with exact values.

Central characters are the common eigenvectors of the class sums' matrices (Burnside, *Theory of
Groups of Finite Order*, 1911, §223; Dixon 1967). Here one random Hermitian combination of these
matrices is diagonalised in floating point. The values are then made exact: χ(g) is a sum of roots
of unity, whose multiplicities are Fourier coefficients of the values on the powers of g, and these
are integers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from html import escape
from math import gcd
from typing import Any

import numpy as np
from jaxtyping import Complex, Int, Num

from intertwine.errors import MethodNotApplicable, SplitError, TooLarge
from intertwine.groups.conjugacy import ConjugacyClasses, conjugacy_classes
from intertwine.groups.group import Group
from intertwine.irreps.cyclotomic_numbers import cyclotomic_text

MAX_PRINTED = 100
"""The most classes of a table that is written as text."""
MAX_CLASSES = 1_500
"""The most classes of a table: an eigenvalue problem of this size takes seconds."""
_TRIES = 6  # random combinations of class sums that are tried
_GAP = 1e-7  # of the spread of the eigenvalues
_WHOLE = 1e-5  # the largest distance of a multiplicity from an integer
_ORTHONORMAL = 1e-9  # the largest error of an inner product of characters
_KEPT = 16


@dataclass(frozen=True, eq=False)
class CharacterTable:
    """The characters of the irreps over ℂ of a finite group, on its classes.

    `values[i, r]` is the character of irrep i on class r, correct to rounding; `exact(i, r)` is its
    exact value as text. Classes are ordered by the order of their elements, then their size, then
    the place of their first element among all elements; irreps by dimension, then by their values
    from class to class, the trivial one first. Both orders are the same in every process.
    """

    group: Group
    classes: ConjugacyClasses
    values: Complex[np.ndarray, "k k"]

    @property
    def order(self) -> int:
        """The number of elements."""
        return self.classes.enumeration.order

    @property
    def dimensions(self) -> list[int]:
        """The dimension of each irrep."""
        return [round(float(value)) for value in self.values[:, 0].real]

    @cached_property
    def indicators(self) -> list[int]:
        """Frobenius and Schur's indicators: 1, 0 and −1 for irreps of type ℝ, ℂ and ℍ."""
        squares = [powers[2 % len(powers)] for powers in self.classes.powers]
        means = self.values[:, squares] @ self.classes.sizes / self.order
        return [round(float(mean)) for mean in means.real]

    @cached_property
    def names(self) -> list[str]:
        """A name for each irrep: its dimension and a letter, such as 1a, 1b and 3a."""
        counts: dict[int, int] = {}
        found = []
        for d in self.dimensions:
            counts[d] = counts.get(d, 0) + 1
            found.append(f"{d}{_letters(counts[d])}")
        return found

    @cached_property
    def labels(self) -> list[str]:
        """The usual name of each irrep over ℂ, such as [3, 1] or T2g; else its name in `names`."""
        from intertwine.irreps.names.schemes import labels_of_table

        return labels_of_table(self)

    def multiplicities(self, irrep: int, class_index: int) -> Int[np.ndarray, " m"]:
        """Return how often each exp(2πij/m) is an eigenvalue of a class of elements of order m."""
        values = self.values[irrep, self.classes.powers[class_index]]
        return np.rint(np.fft.fft(values).real / len(values)).astype(np.int64)

    def exact(self, irrep: int, class_index: int) -> str:
        """Return a value exactly: an integer, with a square root, or a sum of roots of unity."""
        powers = self.classes.powers[class_index]
        m = len(powers)
        units = [1 % m, *(unit for unit in range(2, m) if gcd(unit, m) == 1)]
        counts = [int(a) for a in self.multiplicities(irrep, class_index)]
        return cyclotomic_text(counts, [complex(self.values[irrep, powers[u]]) for u in units])

    @cached_property
    def _rows(self) -> list[list[str]]:
        k = self.classes.count
        _require_printable(self.group, self.classes)
        return [[self.exact(i, r) for r in range(k)] for i in range(k)]

    def __str__(self) -> str:
        head = [["order", *map(str, self.classes.orders)]]
        head.append(["size", *(str(size) for size in self.classes.sizes)])
        body = [[name, *row] for name, row in zip(self.labels, self._rows, strict=True)]
        columns = list(zip(*head, *body, strict=True))
        widths = [max(map(len, column)) for column in columns]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if k == 0 else cell.rjust(width)
                for k, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (*head, *body)
        )

    def __repr__(self) -> str:
        return (
            f"<character table of {self.group!r}: {self.order:,} elements, "
            f"{self.classes.count} classes>"
        )

    def _repr_html_(self) -> str:
        def row(cells: list[str], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        head = row(["order", *map(str, self.classes.orders)], "th")
        head += row(["size", *(str(size) for size in self.classes.sizes)], "th")
        body = "".join(
            row([name, *cells], "td") for name, cells in zip(self.labels, self._rows, strict=True)
        )
        return f"<table>{head}{body}</table>"

    def to_json(self) -> dict[str, Any]:
        """Return the table as JSON values, exact values as text.

        Raises `TooLarge` above 100 classes.
        """
        return {
            "group": repr(self.group),
            "order": self.order,
            "classes": [
                {"order": order, "size": int(size)}
                for order, size in zip(self.classes.orders, self.classes.sizes, strict=True)
            ],
            "irreps": [
                {"label": label, "dimension": d, "indicator": indicator, "values": row}
                for label, d, indicator, row in zip(
                    self.labels, self.dimensions, self.indicators, self._rows, strict=True
                )
            ],
        }


def character_table(group: Group) -> CharacterTable:
    """Return the character table of a finite group of at most 4,000 elements and 1,500 classes.

    All multiplicities of eigenvalues are checked to be integers, and rows and columns to be
    orthogonal. Raises `MethodNotApplicable` for a group that is not finite (or not clearly, in
    floating point), and `TooLarge` for a larger one.
    """
    found = _character_table(group)
    # an equal group may have another name
    return found if found.group is group else replace(found, group=group)


@lru_cache(_KEPT)
def _character_table(group: Group) -> CharacterTable:
    classes = _classes_of(group)
    if classes.count > MAX_CLASSES:
        raise TooLarge(
            f"{group!r} has {classes.count:,} conjugacy classes: character tables have at most "
            f"{MAX_CLASSES:,}"
        )
    values = _characters(classes)
    rounded = np.round(values, 6) + 0.0
    parts = np.stack([-rounded.real, -rounded.imag], axis=2).reshape(len(values), -1)
    keys = [*parts.T[::-1], np.rint(values[:, 0].real)]  # the last is compared first
    return CharacterTable(group, classes, values[np.lexsort(keys)])


def describe_characters(group: Group) -> dict[str, Any]:
    """Return the character table of a group with at most 100 classes, as `CharacterTable.to_json`.

    Raises the errors of `character_table`, and `TooLarge` for more classes before any work on them.
    """
    _require_printable(group, _classes_of(group))
    return character_table(group).to_json()


@lru_cache(_KEPT)
def _classes_of(group: Group) -> ConjugacyClasses:
    classes = conjugacy_classes(group)
    if classes is None:
        raise MethodNotApplicable(
            f"{group!r} is not found to be a finite group of at most 20,000 elements: "
            f"only finite groups have a character table"
        )
    return classes


def _require_printable(group: Group, classes: ConjugacyClasses) -> None:
    if classes.count > MAX_PRINTED:
        raise TooLarge(
            f"{group!r} has {classes.count:,} conjugacy classes: character tables of at most "
            f"{MAX_PRINTED} are written as text; character_table(G).values has all numbers"
        )


def _characters(classes: ConjugacyClasses) -> Complex[np.ndarray, "k k"]:
    """Return the irreducible characters, checked. Raises `SplitError`."""
    failure = None
    for seed in range(_TRIES):
        try:
            values = _exact_values(classes, _approximate(classes, seed))
            _check(classes, values)
        except SplitError as error:
            failure = error
        else:
            return values
    assert failure is not None
    raise failure


def _approximate(classes: ConjugacyClasses, seed: int) -> Complex[np.ndarray, "k k"]:
    """Return the characters as eigenvectors of a random combination of the class sums.

    In the basis Cₜ/√|Cₜ| the combination is Hermitian, and the vectors √|Cₜ| χ(gₜ)/√n are
    orthonormal.
    """
    rng = np.random.default_rng((41, seed))
    k, root = classes.count, np.sqrt(classes.sizes)
    weights = (rng.standard_normal(k) + 1j * rng.standard_normal(k)) / root
    weights = weights + weights[classes.inverses].conj()
    matrix = classes.combination(weights) * root / root[:, None]
    values, vectors = np.linalg.eigh((matrix + matrix.conj().T) / 2)
    if k > 1 and not np.diff(values).min() > _GAP * (values[-1] - values[0]):
        raise SplitError("two characters have nearly equal eigenvalues of a random class sum")
    if not np.abs(vectors[0]).min() > 0:
        raise SplitError("a character vanishes on the identity")
    vectors = vectors * (np.abs(vectors[0]) / vectors[0])
    found: Complex[np.ndarray, "k k"] = (vectors / root[:, None]).T * np.sqrt(len(classes.of))
    return found


def _exact_values(
    classes: ConjugacyClasses, values: Complex[np.ndarray, "k k"]
) -> Complex[np.ndarray, "k k"]:
    """Return the characters with integer multiplicities of eigenvalues, correct to rounding."""
    found = np.empty_like(values)
    is_known = np.zeros(classes.count, dtype=bool)
    dimensions = np.rint(values[:, 0].real)
    for r in sorted(range(classes.count), key=lambda r: -len(classes.powers[r])):
        if is_known[r]:
            continue
        powers = classes.powers[r]
        counts = np.fft.fft(values[:, powers], axis=1) / len(powers)
        whole = np.rint(counts.real)
        if not np.abs(counts - whole).max() <= _WHOLE or whole.min() < 0:
            raise SplitError("an eigenvalue's multiplicity in a character is not an integer")
        if not np.array_equal(whole.sum(axis=1), dimensions):
            raise SplitError("the multiplicities of eigenvalues do not add to the dimension")
        exact = np.fft.ifft(whole, axis=1) * len(powers)
        fresh = np.flatnonzero(~is_known[powers])
        found[:, powers[fresh]] = exact[:, fresh]
        is_known[powers] = True
    return found


def _check(classes: ConjugacyClasses, values: Complex[np.ndarray, "k k"]) -> None:
    """Check sums of squares and orthogonality. Raises `SplitError`.

    The products of rows are algebraic integers over n, and all their conjugates occur: an error
    below 1/n everywhere shows that they vanish.
    """
    n, k = len(classes.of), classes.count
    dimensions = [round(float(d)) for d in values[:, 0].real]
    if sum(d * d for d in dimensions) != n or any(n % d for d in dimensions):
        raise SplitError("the squares of the dimensions do not add to the order of the group")
    rows: Num[np.ndarray, "k k"] = (values * classes.sizes) @ values.conj().T / n
    columns = values.conj().T @ values * classes.sizes / n
    for product in (rows, columns):
        if not np.abs(product - np.eye(k)).max() <= _ORTHONORMAL:
            raise SplitError("the characters are not orthonormal")


def _letters(number: int) -> str:
    """Return a, b, …, z, aa, ab, … for 1, 2, …"""
    text = ""
    while number:
        number, letter = divmod(number - 1, 26)
        text = chr(ord("a") + letter) + text
    return text
