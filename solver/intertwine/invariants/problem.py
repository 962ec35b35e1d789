"""What a method solves: one product of reps over one group, as matrices in slots."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.errors import AmbiguousRank
from intertwine.groups import Group
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
    def lie_norms(self) -> tuple[float, ...]:
        """The spectral norm of each Lie generator as given."""
        return tuple(map(norm2, map(np.asarray, self.group.lie_generators if self.group else ())))

    def unit_lie(self, k: int) -> Slots:
        """dρᵢ(Aₖ / ‖Aₖ‖) in each slot i; zero for Aₖ = 0. No scale is too large or too small."""
        norm = self.lie_norms[k]
        if not norm:
            return tuple(np.zeros_like(matrix) for matrix in self.lie(k))
        largest = float(np.abs(np.asarray(self.group.lie_generators[k])).max()) if self.group else 1
        # in two steps: neither the square of a tiny number nor its inverse may be out of range
        return tuple(matrix / largest / (norm / largest) for matrix in self.lie(k))

    @cached_property
    def unit_span(self) -> Float[np.ndarray, "k d2"]:
        """The Lie generators, each scaled to norm 1, flattened to real vectors."""
        assert self.group is not None
        rows = []
        for generator, norm in zip(self.group.lie_generators, self.lie_norms, strict=True):
            matrix = np.asarray(generator)
            largest = float(np.abs(matrix).max()) or 1.0
            flat = np.ravel(matrix / largest) / ((norm / largest) or 1.0)
            rows.append(np.concatenate([flat.real, flat.imag]))
        return np.stack(rows)

    def independent_lie(self, tolerances: Tolerances) -> Iterator[Slots]:
        """An orthonormal basis of the Lie span (in V, scaled to norm √d), in each slot.

        Combinations are real, so that reps that are only real-linear in A stay right. Raises
        `AmbiguousRank` where a generator is nearly, but not quite, a combination of the others:
        scaled up, a rounding error would be a constraint that nobody meant.
        """
        if self.group is None or not self.lie_count:
            return
        u, s, _ = np.linalg.svd(self.unit_span, full_matrices=False)
        doubtful = s[(s > tolerances.null * s[0]) & (s < tolerances.distinct * s[0])]
        if doubtful.size:
            raise AmbiguousRank(
                f"the rank is ambiguous: some Lie generators are combinations of the others but "
                f"for {doubtful[0] / s[0]:.2g} of their norm. Were they rounded? Give more "
                f"digits, or exact entries"
            )
        kept = s >= max(tolerances.distinct * s[0], np.finfo(float).tiny)
        combinations = (u[:, kept] / s[kept]).T * np.sqrt(self.group.d)
        units = [self.unit_lie(k) for k in range(self.lie_count)]
        for combination in combinations:
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
        condition of its eigenvectors, to the power of the slots, where the span is not closed
        under adjoints (in a good frame of a reductive group it is). Nilpotent and defective
        generators, which no frame makes normal, are passed over.
        """
        worst = 1.0
        for k in range(self.discrete_count):
            worst = max(worst, prod(map(_stretch, self.discrete(k))))
        if self.lie_count and not self._closed_under_adjoints:
            for k in range(self.lie_count):
                worst = max(worst, prod(map(_eigenvector_condition, self.unit_lie(k))))
        return worst

    @property
    def _closed_under_adjoints(self) -> bool:
        assert self.group is not None
        d, span = self.group.d, self.unit_span
        halves = span.shape[1] // 2
        matrices = (span[:, :halves] + 1j * span[:, halves:]).reshape(-1, d, d)
        adjoints = np.swapaxes(matrices, 1, 2).conj().reshape(len(span), -1)
        flat = np.concatenate([adjoints.real, adjoints.imag], axis=1)
        coefficients = np.linalg.lstsq(span.T, flat.T, rcond=None)[0]
        return bool(np.linalg.norm(span.T @ coefficients - flat.T) <= 1e-8 * np.linalg.norm(flat))

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
    return condition if condition < _DEFECTIVE else 1.0


def norm2(matrix: Inexact[np.ndarray, "m n"]) -> float:
    """The spectral norm."""
    largest = float(np.abs(matrix).max(initial=0.0))
    if not largest:
        return 0.0
    return largest * float(np.linalg.svd(matrix / largest, compute_uv=False)[0])
