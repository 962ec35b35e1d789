"""Large reps that are direct sums of small ones, coordinate by coordinate.

If the generators are block-diagonal with few different blocks, V = ⊕ m_c V_c, and a product of
copies of V is a sum of products of the V_c. Each of these is solved once, over a group with one
block of each kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Int

from intertwine.bases import Permuted, Storage, Sum
from intertwine.groups import Group
from intertwine.invariants.problem import Problem
from intertwine.memory import require_memory
from intertwine.operators import coordinate_blocks, diagonal_blocks
from intertwine.reps.syntax import Base, Dual, Rep, is_a, tensor

_FROM = 24
"""The least size of a V that is split."""
_MOST_PROBLEMS = 64
_REMEMBERED = 16


@dataclass(frozen=True)
class Block(Rep):
    """The rep on some consecutive coordinates, which the group does not mix with others."""

    start: int
    stop: int
    G: Any = None

    def size(self) -> int:
        """The number of coordinates."""
        return self.stop - self.start

    def rho(self, M: Any) -> Any:
        """The diagonal block of M."""
        return np.asarray(M)[self.start : self.stop, self.start : self.stop]

    def drho(self, A: Any) -> Any:
        """The diagonal block of A."""
        return self.rho(A)


@dataclass(frozen=True, eq=False)
class Split:
    """V = ⊕ m_c V_c: `group` acts on ⊕ V_c, and `parts` are the V_c. `coordinates[c]` has a row for
    each of the m_c copies of V_c, with its coordinates in V.
    """

    group: Group
    parts: tuple[Rep, ...]
    coordinates: tuple[Int[np.ndarray, "_ _"], ...]


@dataclass(frozen=True, eq=False)
class BlockProblem:
    """A product as a direct sum of `multiplicities[i]` copies of `problems[i]`. Row i of its basis
    is row `rows[i]` of the direct sum of their bases.
    """

    problems: tuple[Problem, ...]
    multiplicities: tuple[int, ...]
    rows: Int[np.ndarray, " n"]

    def joined(self, storages: list[Storage]) -> Storage:
        """Return the basis from those of the problems."""
        return Permuted(self.rows, Sum(list(zip(self.multiplicities, storages, strict=True))))


def in_block_problems(problem: Problem) -> BlockProblem | None:
    """Return a product of V and V* as a direct sum of few smaller ones, or None.

    Products that orbits or weights solve faster as a whole are not split.
    """
    atoms = [atom.rep if is_a(atom, Dual) else atom for atom in problem.atoms]
    if problem.group is None or problem.group.d < _FROM:
        return None
    if not all(is_a(atom, Base) for atom in atoms):
        return None
    if problem.permutations is not None or problem.weights is not None:
        return None
    split = _split(problem.group)
    if split is None or len(split.parts) ** len(atoms) > _MOST_PROBLEMS:
        return None
    require_memory(6 * 8 * problem.size, f"splitting {tensor(problem.atoms)} into blocks")
    problems, multiplicities, order = [], [], []
    for chosen in product(range(len(split.parts)), repeat=len(atoms)):
        factors = [
            split.parts[c].T if is_a(atom, Dual) else split.parts[c]
            for c, atom in zip(chosen, problem.atoms, strict=True)
        ]
        problems.append(Problem(tuple(factors), split.group))
        coordinates = [split.coordinates[c] for c in chosen]
        multiplicities.append(prod(len(each) for each in coordinates))
        order.append(_flat(coordinates, problem.group.d))
    rows = np.empty(problem.size, dtype=np.intp)
    rows[np.concatenate(order)] = np.arange(problem.size)
    return BlockProblem(tuple(problems), tuple(multiplicities), rows)


def _flat(coordinates: list[Int[np.ndarray, "_ _"]], d: int) -> Int[np.ndarray, " n"]:
    """Return the rows of products of blocks in a product of copies of V: copy by copy, and within a
    copy with the last slot fastest.
    """
    p, total = len(coordinates), np.zeros((1,) * (2 * len(coordinates)), dtype=np.intp)
    for slot, each in enumerate(coordinates):
        shape = [1] * (2 * p)
        shape[slot], shape[p + slot] = each.shape
        total = total * d + each.reshape(shape)
    return total.ravel()


@lru_cache(_REMEMBERED)
def _split(group: Group) -> Split | None:
    """Return V as a direct sum of blocks; None if there are too many different or large blocks."""
    generators = [*group.lie_generators, *group.group_generators]
    if not generators:
        return None
    blocks = coordinate_blocks(generators, group.d)
    if sum(len(each) for each in blocks) == 1:
        return None
    kinds: list[tuple[Any, Int[np.ndarray, "_ _"]]] = []
    for each in blocks:
        stack = np.stack([diagonal_blocks(generator, each) for generator in generators], axis=1)
        flat = stack.reshape(len(each), -1) + 0.0  # no negative zeros
        _, first, inverse = np.unique(flat, axis=0, return_index=True, return_inverse=True)
        if len(first) > _MOST_PROBLEMS:
            return None
        inverse = inverse.ravel()
        kinds += [(stack[k], each[inverse == i]) for i, k in enumerate(first)]
    stops = np.cumsum([len(matrices[0]) for matrices, _ in kinds])
    if len(kinds) > _MOST_PROBLEMS or 2 * stops[-1] > group.d:
        return None
    small = []
    for k, generator in enumerate(generators):
        matrix = np.zeros((stops[-1], stops[-1]), dtype=generator.dtype)
        for (matrices, _), stop in zip(kinds, stops, strict=True):
            start = stop - len(matrices[k])
            block = matrices[k]  # complex if any generator is
            matrix[start:stop, start:stop] = block if np.iscomplexobj(matrix) else block.real
        small.append(matrix)
    lie = len(group.lie_generators)
    reduced = Group(
        lie_algebra=small[:lie],
        discrete_generators=small[lie:],
        d=int(stops[-1]),
        refine=0 if group.is_exact else None,
        precision=group.known_precision or None,
    )
    parts: tuple[Rep, ...] = (Base(reduced),)
    if len(kinds) > 1:
        parts = tuple(
            Block(int(stop) - len(matrices[0]), int(stop), reduced)
            for (matrices, _), stop in zip(kinds, stops, strict=True)
        )
    return Split(reduced, parts, tuple(coordinates for _, coordinates in kinds))
