"""What a method solves: one product of reps over one group, as matrices in slots."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.groups import Group
from intertwine.groups.enumeration import independent_generators
from intertwine.groups.lie_span import LieSpan
from intertwine.invariants.tolerances import Tolerances
from intertwine.operators import Permutation, as_signed_permutation, dense
from intertwine.reps.canonical_form import Atoms
from intertwine.reps.generator_images import Images, images
from intertwine.reps.key import basis_key
from intertwine.reps.syntax import Rep, tensor

_DEFECTIVE = 1e7  # eigenvectors of a condition from here on are those of a defective matrix

#: One matrix a slot: how a generator acts on each factor of the product.
Slots = tuple[Inexact[np.ndarray, "_ _"], ...]  # slots differ in size


@dataclass(frozen=True)
class Problem:
    """Find all v in ρ₁ ⊗ … ⊗ ρ_p with dρ(A)v = 0 and ρ(h)v = v; the empty product is one scalar.

    `atoms` are the factors, all over `group` (None for the scalar).
    """

    atoms: Atoms
    group: Group | None

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The size of each slot."""
        return tuple(atom.size() for atom in self.atoms)

    @cached_property
    def size(self) -> int:
        """n, the product of the sizes."""
        return prod(self.sizes)

    @cached_property
    def images(self) -> tuple[Images, ...]:
        """The generators' images, slot by slot; equal atoms share theirs."""
        known = {atom: images(atom) for atom in self.atoms}
        return tuple(known[atom] for atom in self.atoms)

    @property
    def lie_count(self) -> int:
        """The number of Lie generators as given."""
        return len(self.group.lie_generators) if self.group else 0

    @property
    def discrete_count(self) -> int:
        """The number of discrete generators."""
        return len(self.group.group_generators) if self.group else 0

    def lie(self, k: int) -> Slots:
        """dρᵢ(Aₖ) in each slot i."""
        return tuple(np.asarray(dense(image.lie[k])) for image in self.images)

    def discrete(self, k: int) -> Slots:
        """ρᵢ(hₖ) in each slot i."""
        return tuple(np.asarray(dense(image.discrete[k])) for image in self.images)

    @property
    def independent_discrete(self) -> tuple[int, ...]:
        """Indices of discrete generators that generate what all of them do."""
        found = independent_generators(self.group) if self.group and self.discrete_count else None
        return tuple(range(self.discrete_count)) if found is None else found

    @cached_property
    def is_complex(self) -> bool:
        """Whether any image has complex entries."""
        generators = (g for image in self.images for g in (*image.lie, *image.discrete))
        return any(np.issubdtype(g.dtype, np.complexfloating) for g in generators)

    @property
    def dtype(self) -> np.dtype[Any]:
        """float64, or complex128 for a complex rep."""
        return np.dtype(np.complex128 if self.is_complex else np.float64)

    @cached_property
    def permutations(self) -> tuple[tuple[Permutation, ...], ...] | None:
        """Each discrete generator as signed permutations in the slots; None if one is not.

        A Lie generator whose images all vanish constrains nothing.
        """
        if any(np.any(np.asarray(dense(a))) for image in self.images for a in image.lie):
            return None
        found = []
        for k in range(self.discrete_count):
            slots = [as_signed_permutation(image.discrete[k]) for image in self.images]
            if any(slot is None for slot in slots):
                return None
            found.append(tuple(slot for slot in slots if slot is not None))
        return tuple(found)

    @cached_property
    def lie_span(self) -> LieSpan:
        """The span of the Lie generators."""
        assert self.group is not None
        return LieSpan(self.group)

    def unit_lie(self, k: int) -> Slots:
        """dρᵢ(Aₖ / ‖Aₖ‖) in each slot i; zero for Aₖ = 0. No scale is too large or too small."""
        return tuple(self.lie_span.scaled(k, matrix) for matrix in self.lie(k))

    def independent_lie(self, tolerances: Tolerances) -> Iterator[Slots]:
        """An orthonormal basis of the Lie span (in V, scaled to norm √d), in each slot.

        Raises `AmbiguousRank` where a generator is nearly, but not quite, a combination of the
        others.
        """
        if not self.lie_count:
            return
        units = [self.unit_lie(k) for k in range(self.lie_count)]
        for combination in self.lie_span.combinations(tolerances.null, tolerances.distinct):
            yield tuple(
                sum(
                    (c * unit[i] for c, unit in zip(combination, units, strict=True)),
                    0 * units[0][i],
                )
                for i in range(len(self.atoms))
            )

    @cached_property
    def obliqueness(self) -> float:
        """How far the frame may push nonzero singular values of the constraints towards zero.

        For a discrete generator ∏ max(1, ‖ρᵢ(h)‖) max(1, ‖ρᵢ(h)⁻¹‖); for a Lie generator the
        squared condition of its eigenvectors, slot by slot, where the span is not closed under
        adjoints (in a good frame of a reductive group it is): S⁻¹AS may have a singular value
        cond(S)² times smaller than its largest. Nilpotent and defective generators, which no
        frame makes normal, are passed over.
        """
        worst = 1.0
        for k in range(self.discrete_count):
            worst = max(worst, prod(map(_stretch, self.discrete(k))))
        if self.lie_count and not self.lie_span.is_closed_under_adjoints:
            for k in range(self.lie_count):
                worst = max(worst, prod(map(_eigenvector_condition, self.unit_lie(k))))
        return worst

    @cached_property
    def seed(self) -> int:
        """The seed of all random numbers of its solve: part of the problem's own key."""
        text = basis_key(tensor(self.atoms))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def problems_of(term: Atoms) -> list[Problem]:
    """A canonical term group by group: invariants of G₁ × G₂ are those of each, tensored."""
    groups: dict[Group, list[Rep]] = {}
    for atom in term:
        groups.setdefault(atom.G, []).append(atom)
    return [Problem(tuple(atoms), group) for group, atoms in groups.items()] or [Problem((), None)]


def _stretch(matrix: Inexact[np.ndarray, "m m"]) -> float:
    values = np.linalg.svd(matrix, compute_uv=False)
    return float(max(1.0, values[0]) * max(1.0, 1 / values[-1])) if values.size else 1.0


def _eigenvector_condition(matrix: Inexact[np.ndarray, "m m"]) -> float:
    condition = float(np.linalg.cond(np.linalg.eig(matrix)[1])) if matrix.size else 1.0
    return condition**2 if condition < _DEFECTIVE else 1.0
