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

from intertwine.groups import Group
from intertwine.operators import Permutation, as_signed_permutation, dense
from intertwine.reps.canonical import Atoms
from intertwine.reps.images import Images, images
from intertwine.reps.key import basis_key
from intertwine.reps.syntax import tensor

#: One matrix a slot: how a generator acts on each factor of the product.
Slots = tuple[Inexact[np.ndarray, "m m"], ...]


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

    def independent_lie(self, dependent: float) -> Iterator[Slots]:
        """An orthonormal basis of the Lie span (in V, scaled to norm √d), in each slot.

        Combinations are real, so that reps that are only real-linear in A stay right. Generators
        are normalised one by one first, unless they vanish beside the others.
        """
        if self.group is None or not self.lie_count:
            return
        flat = np.stack([np.ravel(np.asarray(dense(a))) for a in self.group.lie_generators])
        flat = np.concatenate([flat.real, flat.imag], axis=1)
        norms = np.linalg.norm(flat, axis=1)
        weights = np.where(norms > 1e-14 * norms.max(), 1 / np.maximum(norms, 1e-300), 0.0)
        u, s, _ = np.linalg.svd(weights[:, None] * flat, full_matrices=False)
        kept = s > dependent * max(1.0, s[0])
        combinations = (u[:, kept] / s[kept]).T * weights * np.sqrt(self.group.d)
        stacks = {
            atom: np.stack([np.asarray(dense(a)) for a in image.lie])
            for atom, image in zip(self.atoms, self.images, strict=True)
        }
        for combination in combinations:
            yield tuple(np.tensordot(combination, stacks[atom], axes=1) for atom in self.atoms)

    @cached_property
    def seed(self) -> int:
        """The seed of all random numbers of its solve: part of the problem's own key."""
        text = basis_key(tensor(self.atoms))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def norm2(matrix: Inexact[np.ndarray, "m n"]) -> float:
    """The spectral norm."""
    values: Float[np.ndarray, " k"] = np.linalg.svd(matrix, compute_uv=False)
    return float(values.max(initial=0.0))
