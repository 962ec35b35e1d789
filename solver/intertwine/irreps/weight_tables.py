"""The weights of a rep of a reductive group, with their multiplicities.

Weights of products are sums of weights, those of duals negatives, and those of functors follow from
power sums, all in integers. The weights of other reps are joint eigenvalues of a Cartan subalgebra.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from intertwine.errors import MethodNotApplicable, TooLarge
from intertwine.groups.group import Group
from intertwine.irreps.maximal_torus import UnclearWeights
from intertwine.irreps.root_systems import RootSystem, root_system
from intertwine.memory import require_memory
from intertwine.reps.functors.functor import is_functor
from intertwine.reps.functors.power_sums import in_power_sums
from intertwine.reps.own_matrices import matrix_of
from intertwine.reps.syntax import Base, Dual, Rep, ScalarRep, Sum, Tensor, groups_of, is_a

MAX_PRINTED = 1_000
"""The most weights of a table that is written as text."""
_LARGEST = 1_000
"""The largest size of a rep of unknown structure, whose matrices are diagonalised."""
_MOST_SUMS = 1_000_000
"""The most sums of two weights for one table: a second or two."""
_PICTURED = 2  # the largest number of labels and charges of a picture

#: Weights as labels and charges, with their multiplicities.
Character = Counter[tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class WeightTable:
    """The weights of a rep with their multiplicities, the highest first.

    `weights` has shape (k, rank + charges): Dynkin labels, then charges of the centre (see
    `RootSystem`). They are ordered by height, then by their labels. The sum of the multiplicities
    is the dimension, and reflections in roots permute the weights.
    """

    rep: Rep
    roots: RootSystem
    weights: Int[np.ndarray, "k w"]
    multiplicities: tuple[int, ...]

    @property
    def dimension(self) -> int:
        """The dimension of the rep: the sum of all multiplicities."""
        return sum(self.multiplicities)

    @property
    def highest(self) -> tuple[int, ...]:
        """The first weight: the highest weight of an irrep."""
        return tuple(self.weights[0].tolist())

    def multiplicity(self, weight: Sequence[int]) -> int:
        """Return the multiplicity of a weight; 0 if the rep does not have it."""
        return self._by_weight.get(tuple(int(x) for x in weight), 0)

    @cached_property
    def _by_weight(self) -> dict[tuple[int, ...], int]:
        return dict(zip(map(tuple, self.weights.tolist()), self.multiplicities, strict=True))

    @cached_property
    def positions(self) -> Float[np.ndarray, "k p"]:
        """Return the weights in Euclidean coordinates, in which reflections are orthogonal.

        The first simple root is along the first axis. Charges have axes of their own.
        """
        roots, n = self.roots, self.roots.rank
        own = self.weights[:, :n].astype(float)
        if n:
            lengths = roots.squared_lengths.astype(float)
            gram = roots.cartan_matrix * lengths  # (αᵢ, αⱼ) = ⟨αᵢ, αⱼ^∨⟩ (αⱼ, αⱼ)/2
            axes = np.linalg.cholesky(gram)
            own = np.linalg.solve(roots.cartan_matrix.T.astype(float), own.T).T @ axes
        return np.concatenate([own, self.weights[:, n:]], axis=1)

    @cached_property
    def _rows(self) -> list[tuple[list[int], list[int], int]]:
        if len(self.weights) > MAX_PRINTED:
            raise TooLarge(
                f"{self.rep} has {len(self.weights):,} weights: tables of at most "
                f"{MAX_PRINTED:,} are written as text; `weights` and `multiplicities` have all"
            )
        n = self.roots.rank
        return [
            (row[:n], row[n:], count)
            for row, count in zip(self.weights.tolist(), self.multiplicities, strict=True)
        ]

    @property
    def _texts(self) -> list[list[str]]:
        """The header and the rows: labels and charges, where there are any, and multiplicities."""
        parts = [self.roots.rank > 0, self.roots.charges > 0, True]
        head = ["weight", "charge" if self.roots.charges == 1 else "charges", "multiplicity"]
        rows = [
            [_tuple(labels), _tuple(charges, alone=True), f"{count:,}"]
            for labels, charges, count in self._rows
        ]
        return [[x for x, kept in zip(row, parts, strict=True) if kept] for row in (head, *rows)]

    def __str__(self) -> str:
        texts = self._texts
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        lines = [self._title]
        for row in texts:
            cells = [x.ljust(width) for x, width in zip(row, widths, strict=True)]
            lines.append("  ".join([*cells[:-1], row[-1].rjust(widths[-1])]))
        return "\n".join(lines)

    @property
    def _title(self) -> str:
        return f"{self.roots.type}, {self.dimension:,} dimensions"

    def __repr__(self) -> str:
        return (
            f"<weights of {self.rep!r}: {self.roots.type}, {len(self.weights):,} weights, "
            f"{self.dimension:,} dimensions>"
        )

    def _repr_html_(self) -> str:
        head, *body = self._texts
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in body
        )
        top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
        caption = f"<caption>{escape(self._title)}</caption>"
        return f"<table>{caption}<tr>{top}</tr>{rows}</table>"

    def to_json(self) -> dict[str, Any]:
        """Return the table as JSON values. Raises `TooLarge` above 1,000 weights."""
        return {
            "rep": str(self.rep),
            "group": repr(self.roots.group),
            "type": self.roots.type,
            "rank": self.roots.rank,
            "charges": self.roots.charges,
            "simple_roots": self.roots.simple_roots.tolist(),
            "dimension": self.dimension,
            "weights": [
                {"labels": labels, "charges": charges, "multiplicity": count}
                for labels, charges, count in self._rows
            ],
        }


def _tuple(values: Sequence[int], alone: bool = False) -> str:
    """Return (1, 0); a single value without parentheses if it may be `alone`."""
    text = ", ".join(map(str, values))
    return text if alone and len(values) == 1 else f"({text})"


def weights(rep: Rep, *, group: Group | None = None) -> WeightTable:
    """Return the weights of a concrete rep of one reductive group with a Lie algebra.

    Of a group with several components, they are the weights of the identity component. Scalars
    alone are a rep of any group; only for them, `group` is required.

    Raises `NotConcrete`, `MethodNotApplicable` for a rep of several groups, and the errors of
    `root_system`, such as those for finite groups and for groups that are not reductive. Raises
    `TooLarge` for more than 1,000,000 sums of weights, and for matrices of more than 1,000 rows
    that have to be diagonalised.
    """
    rep._require_group()
    groups = set(groups_of(rep)) or ({group} if group is not None else set())
    if len(groups) != 1:
        raise MethodNotApplicable(
            f"weights are those of a rep of one group, and {rep} has {len(groups) or 'no'} groups"
            + (": write the group as a product, such as SO(3)*SU(2)" if groups else "")
        )
    (own,) = groups
    finder = _Finder(root_system(own))
    try:
        found = finder.of(rep)
    except (UnclearWeights, np.linalg.LinAlgError) as error:
        raise MethodNotApplicable(
            f"the weights of {rep!r} are not clearly integers: its matrices may not be those of a "
            f"rep of {own!r}, or be too far from unitary"
        ) from error
    roots = finder.roots
    heights = roots.heights

    def order(weight: tuple[int, ...]) -> tuple[float, ...]:
        height = sum(a * h for a, h in zip(weight, heights.tolist(), strict=False))
        return (round(height, 6), *weight)

    listed = sorted((w for w, count in found.items() if count), key=order, reverse=True)
    table = np.array(listed, np.int64).reshape(len(listed), roots.rank + roots.charges)
    return WeightTable(rep, roots, table, tuple(found[w] for w in listed))


def describe_weights(rep: Rep) -> dict[str, Any]:
    """Return the weights of a rep as JSON values, as `WeightTable.to_json`.

    Raises the errors of `weights`.
    """
    return weights(rep).to_json()


class _Finder:
    """Finds the weights of the parts of a rep. It counts the sums that it computes."""

    def __init__(self, roots: RootSystem) -> None:
        self.roots, self.sums = roots, 0
        self.known: dict[Rep, Character] = {}

    def of(self, rep: Rep) -> Character:
        """Return the weights of a rep. Raises `UnclearWeights`."""
        if rep not in self.known:
            self.known[rep] = self._of(rep)
        return self.known[rep]

    def _of(self, rep: Rep) -> Character:
        if is_a(rep, ScalarRep):
            return self._one
        if is_a(rep, Dual):
            return _scaled(self.of(rep.rep), -1)
        if is_a(rep, Sum):
            total: Character = Counter()
            for m, term in rep.terms:
                for weight, count in self.of(term).items():
                    total[weight] += m * count
            return total
        if is_a(rep, Tensor):
            return self._product(map(self.of, rep.factors))
        if is_functor(rep):
            terms = in_power_sums(rep, rep.part.size())
            if terms is not None:
                return self._of_power_sums(self.of(rep.part), terms.items())
        if is_a(rep, Base):
            return Counter(map(tuple, self.roots.weights_of_base.tolist()))
        return self._of_matrices(rep)

    @property
    def _one(self) -> Character:
        return Counter({(0,) * (self.roots.rank + self.roots.charges): 1})

    def _product(self, factors: Iterable[Character]) -> Character:
        total = self._one
        for factor in factors:
            self.sums += len(total) * len(factor)
            if self.sums > _MOST_SUMS:
                raise TooLarge(
                    f"the weights of the rep take more than {_MOST_SUMS:,} sums of weights: take "
                    f"fewer or smaller factors"
                )
            new: Character = Counter()
            for a, m in total.items():
                for b, n in factor.items():
                    new[tuple(x + y for x, y in zip(a, b, strict=True))] += m * n
            total = new
        return total

    def _of_power_sums(
        self, part: Character, terms: Iterable[tuple[tuple[int, ...], Fraction]]
    ) -> Character:
        """Return Σ c ∏ p_m of the part's power sums: p_m has each weight m times as large."""
        total: dict[tuple[int, ...], Fraction] = {}
        for cycles, coefficient in terms:
            for weight, count in self._product(_scaled(part, m) for m in cycles).items():
                total[weight] = total.get(weight, Fraction(0)) + coefficient * count
        return Counter({weight: int(count) for weight, count in total.items() if count})

    def _of_matrices(self, rep: Rep) -> Character:
        """Return the joint eigenvalues of the simple coroots and the centre."""
        roots, n = self.roots, rep.size()
        if n > _LARGEST:
            raise TooLarge(
                f"{rep!r} has {n:,} dimensions: the matrices of at most {_LARGEST:,} are "
                f"diagonalised. Write it as a sum or product of smaller reps"
            )
        count = len(roots.elements)
        require_memory(16 * (4 * count + 4) * n * n, f"the weights of {rep!r}")
        cartan = np.zeros((count, n, n), complex)
        for column, a in zip(roots.elements.T, roots.basis, strict=True):
            cartan += column[:, None, None] * np.asarray(matrix_of(rep, "drho", a))
        found = roots.joint_eigenvalues(cartan)
        return Counter(map(tuple, found.tolist()))


def _scaled(character: Character, factor: int) -> Character:
    return Counter(
        {tuple(factor * x for x in weight): count for weight, count in character.items()}
    )
