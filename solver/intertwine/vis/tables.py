"""The general invariant tensor as a matrix of letters, as tables of crystals print it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from html import escape
from itertools import product
from math import lcm
from typing import Any

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.bases import Basis
from intertwine.errors import MethodNotApplicable, TooLarge
from intertwine.irreps.surds import root_of_rational, root_text
from intertwine.reps import Rep
from intertwine.reps.functors.tensor_powers import TensorFunctor
from intertwine.reps.syntax import Tensor, is_a
from intertwine.vis.sparsity import sparsify_basis

MAX_COLUMNS = 12
"""The most columns of a table."""
MAX_ROWS = 100
"""The most rows of a table."""
_ZERO = 1e-9  # entries and coefficients below this are zeros, relative to the largest
_INDEPENDENT = 1e-6  # a row this far from the span of others is independent of them
_SAME = 1e-10  # a number this near to a fraction is read as it
_DENOMINATOR = 1000


@dataclass(frozen=True, eq=False)
class TensorTable:
    """A general invariant tensor: each entry is a sum of independent entries, the `parameters`.

    Entry (i, j) is Σₖ `coefficients[i, j, k]` · parameterₖ. `rows` and `columns` are the labels of
    the indices.
    """

    rep: Rep
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    parameters: tuple[str, ...]
    coefficients: Float[np.ndarray, "m n r"]

    @property
    def entries(self) -> tuple[tuple[str, ...], ...]:
        """The entries as text, such as ``c11``, ``-c14``, ``(c11-c12)/2`` and ``0``."""
        return tuple(tuple(self._text(entry) for entry in row) for row in self.coefficients)

    def _text(self, coefficients: Float[np.ndarray, " r"]) -> str:
        terms = [
            (float(value), name)
            for value, name in zip(coefficients, self.parameters, strict=True)
            if abs(value) > _ZERO
        ]
        fractions = [_fraction(value) for value, _ in terms]
        known = [fraction for fraction in fractions if fraction is not None]
        if len(known) < len(terms):
            return _sum((_number(value), name) for value, name in terms)
        below = lcm(*(fraction.denominator for fraction in known))
        text = _sum(
            (str(fraction * below), name) for fraction, (_, name) in zip(known, terms, strict=True)
        )
        if below == 1:
            return text
        return f"({text})/{below}" if len(terms) > 1 else f"{text}/{below}"

    def __str__(self) -> str:
        table = self.entries
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join(
            "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
            for row in table
        )

    def __repr__(self) -> str:
        shape = f"{len(self.rows)} × {len(self.columns)}"
        return f"<the invariants of {self.rep!r}, {shape}, {len(self.parameters)} parameters>"

    def _repr_html_(self) -> str:
        rows = (
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.entries
        )
        return f"<table>{''.join(rows)}</table>"

    def to_json(self) -> dict[str, Any]:
        """Return the labels, the parameters, and the entries as text."""
        return {
            "rows": list(self.rows),
            "columns": list(self.columns),
            "parameters": list(self.parameters),
            "entries": [list(row) for row in self.entries],
        }


def tensor_table(rep: Rep, basis: Basis | None = None) -> TensorTable:
    """Return the general invariant of a concrete rep as a matrix of its independent entries.

    The parameters are entries of the matrix: each one, row by row, that does not depend on those
    before. The others are their combinations, as in the tables of Nye, *Physical Properties of
    Crystals* (1985): for ``Indexed(V, "ijkl=jikl=klij")`` of a cubic crystal c11, c12 and c44.

    Entries are those of the full tensors, not of the orthonormal basis. A product of reps, such as
    ``Sym(2, V) >> V``, has its first factors (half of them, rounded down) in the rows. The tensors
    of `Indexed`, `Sym`, `Alt` and `Schur` alone are split in the same way by their indices. Two
    indices in which tensors are symmetric are one index over the pairs in Voigt's order, 11, 22,
    33, 23, 13, 12, unless they are the two indices of a matrix. Other reps have a row for each
    coordinate.

    `basis` is that of the rep, if it is known. Raises `TooLarge` for more than 100 rows or 12
    columns, `MethodNotApplicable` if the invariants have no real basis, and the errors of a solve.
    """
    rows, columns, entries = table_entries(rep)
    found = rep.equivariant_basis() if basis is None else basis
    matrix = found.dense()
    if np.iscomplexobj(matrix):
        matrix = sparsify_basis(found)
        if np.iscomplexobj(matrix):
            raise MethodNotApplicable(
                f"the invariants of {rep!r} have no real basis, and a table has real numbers: take "
                f"the dense basis"
            )
    values = entries @ matrix
    pivots = _independent_rows(values)
    coefficients = values @ np.linalg.pinv(values[pivots]) if pivots else np.zeros((len(values), 0))
    names = [_name(row, column) for row, column in product(rows, columns)]
    return TensorTable(
        rep,
        tuple(rows),
        tuple(columns),
        tuple(names[k] for k in pivots),
        coefficients.reshape(len(rows), len(columns), len(pivots)),
    )


def table_entries(rep: Rep) -> tuple[list[str], list[str], Inexact[np.ndarray, "mn N"]]:
    """Return the labels of rows and columns, and the matrix from the coordinates of a rep to the
    entries, row by row.

    Raises `NotConcrete`, and `TooLarge` for more than 100 rows or 12 columns.
    """
    rep._require_group()
    rows, columns, entries = _split(rep)
    if len(rows) > MAX_ROWS or len(columns) > MAX_COLUMNS:
        raise TooLarge(
            f"the table of {rep!r} has {len(rows):,} rows and {len(columns):,} columns; at most "
            f"{MAX_ROWS} and {MAX_COLUMNS} are printed: take a smaller rep, or the dense basis"
        )
    return rows, columns, entries


#: Labels, and the matrix from the coordinates of a rep to the entries with these labels.
_Axis = tuple[list[str], Inexact[np.ndarray, "_ _"]]


def _split(rep: Rep) -> tuple[list[str], list[str], Inexact[np.ndarray, "mn N"]]:
    """Return the labels of rows and columns, and the matrix from coordinates to entries."""
    factors = list(rep.factors) if is_a(rep, Tensor) else [rep]
    if len(factors) == 1 and isinstance(rep, TensorFunctor) and rep.degree > 1:
        return _split_indices(rep)
    axes = [_axis(factor) for factor in factors]
    middle = len(axes) // 2
    rows, columns = axes[:middle] or axes, axes[middle:] if middle else []
    entries: Inexact[np.ndarray, "mn N"] = np.eye(1)
    for _, matrix in axes:
        _require_few(len(entries) * len(matrix), rep)
        entries = np.kron(entries, matrix)
    return _labels(rows), _labels(columns), entries


def _require_few(count: int, rep: Rep) -> None:
    if count > MAX_ROWS * MAX_COLUMNS:
        raise TooLarge(
            f"the table of {rep!r} has more than {MAX_ROWS * MAX_COLUMNS:,} entries: take a "
            f"smaller rep, or the dense basis"
        )


def _labels(axes: Sequence[_Axis]) -> list[str]:
    return [_joined([one for one in each if one]) for each in product(*(a[0] for a in axes))]


def _joined(labels: Sequence[str]) -> str:
    return ("," if any(len(label) > 1 for label in labels) else "").join(labels)


def _name(row: str, column: str) -> str:
    parts = [label for label in (row, column) if label]
    separator = "," if any("," in label or len(label) > 3 for label in parts) else ""
    is_long = any(label.isdigit() and len(label) > 1 for label in parts) and len(parts) > 1
    return "c" + ("," if is_long else separator).join(parts)


def _axis(factor: Rep) -> _Axis:
    """Return one index over a factor: pairs for symmetric matrices, else its coordinates."""
    n = factor.size()
    if n == 1:
        return [""], np.eye(1)
    indices = getattr(factor, "indices", None)
    if isinstance(factor, TensorFunctor) and indices is not None and factor.degree > 1:
        size = factor.part.size()
        full = np.asarray(factor.embed.dense())
        if factor.degree == 2 and _is_symmetric(full.reshape(size, size, -1), 0):
            return _pairs(size), full[[i * size + j for i, j in _voigt(size)]]
        labels = [_joined([str(i + 1) for i in each]) for each in indices.tolist()]
        places = np.ravel_multi_index(indices.T, (size,) * factor.degree)
        return labels, full[places]
    return [str(k + 1) for k in range(n)], np.eye(n)


def _split_indices(rep: TensorFunctor) -> tuple[list[str], list[str], Inexact[np.ndarray, "mn N"]]:
    """Return the labels and entries of tensors with related indices, split by their indices."""
    n, k = rep.part.size(), rep.degree
    _require_few(max(1, n**k // 2**k), rep)
    full = np.asarray(rep.embed.dense()).reshape(*[n] * k, -1)
    units: list[int] = []  # of one or two indices
    at = 0
    while at < k:
        is_pair = k > 2 and at + 1 < k and _is_symmetric(full, at)
        units.append(2 if is_pair else 1)
        at += units[-1]
    middle = max(1, len(units) // 2)
    axes, places = [], np.zeros(1, np.int64)
    for width in units:
        tuples = _voigt(n) if width == 2 else [(i,) for i in range(n)]
        axes.append(_pairs(n) if width == 2 else [str(i + 1) for i in range(n)])
        flat = np.array([sum(i * n ** (width - 1 - p) for p, i in enumerate(t)) for t in tuples])
        places = (places[:, None] * n**width + flat).ravel()
    rows, columns = (
        [_joined(each) for each in product(*part)] for part in (axes[:middle], axes[middle:])
    )
    return rows, columns, full.reshape(n**k, -1)[places]


def _is_symmetric(full: Inexact[np.ndarray, "..."], axis: int) -> bool:
    return bool(np.allclose(full, full.swapaxes(axis, axis + 1), atol=1e-12))


def _voigt(n: int) -> list[tuple[int, int]]:
    """Return the pairs i ≤ j in Voigt's order: equal ones, then the others from the last on."""
    others = [(i, j) for i in range(n) for j in range(i + 1, n)]
    return [(i, i) for i in range(n)] + others[::-1]


def _pairs(n: int) -> list[str]:
    return [str(k + 1) for k in range(n * (n + 1) // 2)]


def _independent_rows(values: Float[np.ndarray, "N r"]) -> list[int]:
    """Return the first rows that span all: each one that is independent of those before."""
    left, found = values.copy(), list[int]()
    scale = float(np.linalg.norm(values, axis=1).max(initial=0.0))
    for k in range(len(values)):
        if len(found) == values.shape[1]:
            break
        length = float(np.linalg.norm(left[k]))
        if length <= _INDEPENDENT * scale:
            continue
        found.append(k)
        unit = left[k] / length
        left = left - np.outer(left @ unit, unit)
    return found


def _fraction(value: float) -> Fraction | None:
    found = Fraction(value).limit_denominator(_DENOMINATOR)
    return found if abs(float(found) - value) <= _SAME * max(1.0, abs(value)) else None


def _number(value: float) -> str:
    """Return a coefficient: a fraction, the square root of a fraction, or six digits."""
    fraction = _fraction(value)
    if fraction is not None:
        return str(fraction)
    square = root_of_rational(value)
    return f"{value:.6g}" if square is None else root_text(square)


def _sum(terms: Any) -> str:
    text = ""
    for number, name in terms:
        sign, size = ("-", number[1:]) if number.startswith("-") else ("+", number)
        factor = "" if size == "1" else size if size.isdigit() else f"{size}·"
        text += ("" if sign == "+" and not text else sign) + factor + name
    return text or "0"
