"""Direct products of groups."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from intertwine.groups.generators import Generator, refuse_large
from intertwine.groups.group import Group
from intertwine.groups.refinement import DEFAULT_TOLERANCE, Refinement
from intertwine.groups.rounding import Defect, Judgement
from intertwine.operators import Permutation, dense


class DirectProduct(Group):
    """G₁ × G₂ acting on V₁ ⊗ V₂ by g₁ ⊗ g₂, of size d₁d₂.

    (If groups act on different terms or factors, combine their reps instead: ``V(Z(3)) * V(S(4))``
    is solved group by group, and much faster.)
    """

    def __init__(self, left: Group, right: Group) -> None:
        self.left, self.right = left, right
        d = left.d * right.d
        lie = [(a, right.d, True) for a in left.lie_generators]
        lie += [(a, left.d, False) for a in right.lie_generators]
        discrete = [(h, right.d, True) for h in left.group_generators]
        discrete += [(h, left.d, False) for h in right.group_generators]
        matrices = sum(not isinstance(item[0], Permutation) for item in (*lie, *discrete))
        refuse_large(matrices * d * d + (len(lie) + len(discrete) - matrices) * d, "the product")
        super().__init__(
            lie_algebra=[_extend(*item) for item in lie],
            discrete_generators=[_extend(*item) for item in discrete],
            d=d,
        )
        self.is_exact = left.is_exact and right.is_exact
        self.known_precision = max(left.known_precision, right.known_precision)

    @cached_property
    def _judgement(self) -> Judgement:
        """The factors' judgements: g ⊗ 1 and 1 ⊗ h do not depend on each other's digits."""
        sides = [(side, side._judgement) for side in (self.left, self.right)]
        defects = [
            Defect(f"{defect} (in the factor {side!r})", defect.size)
            for side, judgement in sides
            for defect in judgement.defects
        ]
        return Judgement(tuple(defects), max(judgement.precision for _, judgement in sides))

    @property
    def _meaning(self) -> str:
        meanings = (self.left._meaning, self.right._meaning)
        return ", ".join(meanings) if any(meanings) else ""

    def refined(self, tolerance: Any = DEFAULT_TOLERANCE) -> Group:
        """Return the product of the nearest exact groups of the factors."""
        if self.copy_numbers:
            return self.unnumbered.refined(tolerance).numbered(list(self.copy_numbers))
        made = DirectProduct(self.left.refined(tolerance), self.right.refined(tolerance))
        found = [side.refinement for side in (made.left, made.right) if side.refinement]
        if found:
            made.refinement = Refinement.joined(found)
        return made

    @cached_property
    def factors(self) -> tuple[Group, ...]:
        """The groups of the product, each as its own copy: ``S(5)#1`` and ``S(5)#2``.

        A factor that is already a copy, and occurs once, is kept. Next to reps of the factors,
        ``V(G)`` means ``V(G.factors[0]) * V(G.factors[1])``, which is the same matrix.
        """
        leaves = self.leaves
        taken = [leaf for leaf in leaves if leaf.copy_numbers and leaves.count(leaf) == 1]
        found: list[Group] = []
        for position, leaf in enumerate(leaves, 1):
            number = position
            while leaf not in taken and leaf.numbered(number) in (*taken, *found):
                number += 1
            found.append(leaf if leaf in taken else leaf.numbered(number))
        return tuple(found)

    @property
    def leaves(self) -> tuple[Group, ...]:
        """The groups that are multiplied, from left to right, products of products taken apart."""
        if self.copy_numbers:
            unnumbered = self.unnumbered
            assert isinstance(unnumbered, DirectProduct)
            return tuple(leaf.numbered(list(self.copy_numbers)) for leaf in unnumbered.factors)
        sides = (
            side.leaves if isinstance(side, DirectProduct) else (side,)
            for side in (self.left, self.right)
        )
        return tuple(leaf for side in sides for leaf in side)

    @property
    def _label(self) -> str:
        if self.copy_numbers:
            return f"{self.unnumbered._label}{super()._label}"
        labels = [f"{leaf._label}/{leaf.d}" for leaf in self.leaves if leaf._label]
        return ",".join(labels)

    @property
    def is_more_than_its_generators(self) -> bool:
        """Whether factors are numbered, declared exact, or have a known precision."""
        are_meant = any(leaf.is_exact or leaf.known_precision for leaf in self.leaves)
        return bool(self._label) or are_meant

    @property
    def is_written_as_one(self) -> bool:
        """False: (S(3)*S(3))#1 needs its parentheses."""
        return False

    def __repr__(self) -> str:
        return f"{self.left!r}*{self.right!r}"


def _extend(generator: Generator, size: int, on_left: bool) -> Generator:
    """Return the generator ⊗ 1 of that size, or 1 ⊗ the generator."""
    if isinstance(generator, Permutation):
        here, there = np.arange(generator.shape[0]), np.arange(size)
        signs = np.ones(len(here), dtype=int) if generator.signs is None else generator.signs
        if on_left:
            indices = generator.indices[:, None] * size + there
            return Permutation(indices.ravel(), np.repeat(signs, size))
        indices = there[:, None] * len(here) + generator.indices
        return Permutation(indices.ravel(), np.tile(signs, size))
    matrix = np.asarray(dense(generator))
    return np.kron(matrix, np.eye(size)) if on_left else np.kron(np.eye(size), matrix)
