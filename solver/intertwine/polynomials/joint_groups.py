"""The generators of a rep's groups, all together, and their images under reps of these groups."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.errors import NotConcrete
from intertwine.groups import Group, Trivial, require_exact
from intertwine.operators import dense
from intertwine.reps import Base, Rep
from intertwine.reps.generator_images import act_unitarily, images
from intertwine.reps.syntax import atoms, drho_of, groups_of, rho_of

_NEAR_IDENTITY = 0.5
"""The size of random elements of the Lie algebra, for polynomials of degree 1."""

MATRICES = 8
"""How many joint matrices are in memory besides the images of the generators."""

#: Square matrices of one size, one for each generator.
Matrices = Sequence[Inexact[np.ndarray, "_ _"]]


@dataclass(frozen=True, eq=False)
class JointAction:
    """Several groups as one: `group` acts on the direct sum of their spaces.

    Its Lie generators are those of the first group, then of the second, and so on, and likewise its
    discrete generators. For a single group it is that group; for no group, the trivial one.
    """

    groups: tuple[Group, ...]
    group: Group

    def elements(self, matrix: Any) -> dict[Group, Inexact[np.ndarray, "d d"]]:
        """Return the elements of the groups in a block-diagonal matrix."""
        found, at = {}, 0
        array = np.asarray(dense(matrix))
        for group in self.groups:
            found[group] = array[at : at + group.d, at : at + group.d]
            at += group.d
        return found

    def lie(self, rep: Rep) -> Matrices:
        """Return dρ(A) for the Lie generators."""
        return [self.drho(rep, generator) for generator in self.group.lie_generators]

    def discrete(self, rep: Rep) -> Matrices:
        """Return ρ(h) for the discrete generators."""
        return [self.rho(rep, generator) for generator in self.group.group_generators]

    def rho(self, rep: Rep, matrix: Any) -> Inexact[np.ndarray, "n n"]:
        """Return ρ(g) for an element of `group`, in double precision."""
        return in_double(rho_of(rep, self._given(rep, matrix)))

    def drho(self, rep: Rep, matrix: Any) -> Inexact[np.ndarray, "n n"]:
        """Return dρ(A) for an element of the Lie algebra of `group`, in double precision."""
        return in_double(drho_of(rep, self._given(rep, matrix)))

    def near_identity(self, degree: int) -> JointAction:
        """Return the same action with random elements nearer to 1, as polynomials of a degree need.

        They would magnify the entries of others beyond double precision. Unitary groups need no
        change.
        """
        if act_unitarily(Base(group) for group in self.groups):
            return self
        group = copy.copy(self.group)
        scale = 1.0 if self.group.z_scale is None else np.asarray(self.group.z_scale)
        group.z_scale = scale * _NEAR_IDENTITY / max(1, degree)
        return JointAction(self.groups, group)

    def _given(self, rep: Rep, matrix: Any) -> Mapping[Group, Any] | Any:
        return self.elements(matrix) if groups_of(rep) else np.asarray(dense(matrix))


def joint_action(reps: Iterable[Rep]) -> JointAction:
    """Return the joint action of the groups of some concrete reps.

    Raises `NotConcrete` for a rep without a group, `RoundedGenerators` for rounded generators, and
    the errors of `images` for reps of the user's own.
    """
    reps = list(reps)
    for rep in reps:
        if not rep.is_concrete:
            raise NotConcrete(f"{rep} has no group yet: call it with one, as in rep(SO(3))")
        for atom in dict.fromkeys(atoms(rep)):
            images(atom)
    groups = tuple(dict.fromkeys(group for rep in reps for group in groups_of(rep)))
    for group in groups:
        require_exact(group)
    if len(groups) < 2:
        group = groups[0] if groups else Trivial(1)
        return JointAction((group,), group)
    d = sum(group.d for group in groups)
    lie, discrete, at = [], [], 0
    for group in groups:
        place = slice(at, at + group.d)
        lie += [_within(np.zeros((d, d)), place, a) for a in group.lie_generators]
        discrete += [_within(np.eye(d), place, h) for h in group.group_generators]
        at += group.d
    return JointAction(groups, Group(lie_algebra=lie, discrete_generators=discrete, d=d))


def joint_size(reps: Iterable[Rep]) -> tuple[int, int]:
    """Return the size of some concrete reps and the spaces of their groups together, and the number
    of these groups' generators.
    """
    reps = list(reps)
    groups = dict.fromkeys(group for rep in reps for group in groups_of(rep))
    size = sum(rep.size() for rep in reps) + sum(group.d for group in groups)
    return size, sum(len(g.lie_generators) + len(g.group_generators) for g in groups)


def _within(
    whole: Inexact[np.ndarray, "n n"], place: slice, generator: Any
) -> Inexact[np.ndarray, "n n"]:
    matrix = in_double(generator)
    found = whole.astype(np.result_type(whole, matrix))
    found[place, place] = matrix
    return found


def in_double(matrix: Any) -> Inexact[np.ndarray, "n n"]:
    """Return a matrix, permutation or operator as a dense array in double precision."""
    array = np.asarray(dense(matrix))
    return array.astype(np.result_type(array.dtype, np.float64))
