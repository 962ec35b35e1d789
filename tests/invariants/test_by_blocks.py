"""Large reps that are direct sums of few small ones are solved block by block."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.oracle import assert_proven, examine, null_space, projector_distance
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.bases import Permuted, Sum, from_bytes, to_bytes
from intertwine.errors import SolveError
from intertwine.groups import SO, Group, parse_group
from intertwine.invariants import solve
from intertwine.invariants.arrivals import require_sound
from intertwine.invariants.by_blocks import in_block_problems
from intertwine.invariants.problem import problems_of
from intertwine.reps import T, V
from intertwine.reps.canonical_form import canonical
from scipy.linalg import block_diag

SO3 = np.asarray(SO(3).lie_algebra, dtype=float)


def spin_two() -> Any:
    """The generators of SO(3) on traceless symmetric matrices."""
    matrices = []
    for i, j in ((0, 1), (0, 2), (1, 2)):
        unit = np.zeros((3, 3))
        unit[i, j] = unit[j, i] = np.sqrt(0.5)
        matrices.append(unit.ravel())
    matrices += [
        np.diag([1, -1, 0]).ravel() / np.sqrt(2),
        np.diag([1, 1, -2]).ravel() / np.sqrt(6),
    ]
    b = np.array(matrices)
    return np.array([b @ (np.kron(a, np.eye(3)) + np.kron(np.eye(3), a)) @ b.T for a in SO3])


def sums(vectors: int, tensors: int, scalars: int, seed: int | None = None) -> Group:
    """SO(3) on a sum of copies, whose coordinates are shuffled without reordering a block."""
    sizes = [3] * vectors + [5] * tensors + [1] * scalars
    owners = np.repeat(np.arange(len(sizes)), sizes)
    shuffled = owners if seed is None else np.random.default_rng(seed).permutation(owners)
    order = np.zeros(len(owners), dtype=int)
    for block in range(len(sizes)):
        order[np.flatnonzero(shuffled == block)] = np.flatnonzero(owners == block)
    matrices = [
        block_diag(*[a] * vectors, *[b] * tensors, np.zeros((scalars, scalars)))
        for a, b in zip(SO3, spin_two(), strict=True)
    ]
    return Group(lie_algebra=[matrix[np.ix_(order, order)] for matrix in matrices])


@pytest.mark.slow
@settings(deadline=None, max_examples=6)
@given(st.integers(3, 5), st.integers(2, 3), st.integers(0, 2), st.integers(0, 50))
def test_ranks_are_those_of_the_multiplicities(a: int, s: int, t: int, seed: int) -> None:
    group = sums(a + 4, s, t, seed)
    for power, rank in ((1, t), (2, (a + 4) ** 2 + s**2 + t**2)):
        basis = solve(T(power)(group), store=False)
        assert isinstance(basis.storage, Permuted)
        assert basis.rank == rank
        assert_proven(examine(T(power)(group), basis))
        assert set(basis.certificate.residuals) == {group.digest}
        assert len(basis.certificate.residuals[group.digest]) == 3


def test_real_and_complex_generators_are_split_together() -> None:
    turns = [block_diag(*[a] * 9) for a in SO3]
    group = Group(lie_algebra=[*turns, 1j * np.diag([0.0] * 9 + [1.0] * 18)])
    rep = V(group) * V(group).T
    basis = solve(rep, store=False)
    assert isinstance(basis.storage, Permuted)
    assert basis.rank == 3**2 + 6**2
    assert_proven(examine(rep, basis))


def test_the_projector_is_that_of_other_methods() -> None:
    rep = T(2)(sums(7, 0, 3, seed=3))
    basis = solve(rep, store=False)
    assert isinstance(basis.storage, Permuted)
    assert projector_distance(basis.dense(), null_space(rep)) < 1e-10


def test_three_factors_of_three_kinds() -> None:
    group = sums(6, 2, 1)
    basis = solve(T(3)(group), store=False)
    a, s, t = 6, 2, 1
    expected = a**3 + 3 * a * a * s + 3 * a * s * s + s**3 + t**3 + 3 * t * (a * a + s * s)
    assert basis.rank == expected


def test_groups_that_are_not_orthogonal_keep_their_dual() -> None:
    group = Group(lie_algebra=[block_diag(*[a] * 13) for a in parse_group("SL(2)").lie_algebra])
    for rep in ((V * V.T)(group), (V**2)(group)):
        basis = solve(rep, store=False)
        assert isinstance(basis.storage, Permuted)
        assert basis.rank == 169
        assert_proven(examine(rep, basis))


def test_discrete_groups_are_split_too() -> None:
    turn = np.array([[-0.5, -np.sqrt(0.75)], [np.sqrt(0.75), -0.5]])
    flip = np.diag([1.0, -1.0])
    group = Group(discrete_generators=[block_diag(*[h] * 12) for h in (turn, flip)])
    assert solve(T(3)(group), store=False).rank == 12**3


def test_mixed_blocks_and_small_groups_are_solved_whole() -> None:
    joined = np.asarray(sums(8, 0, 0).lie_algebra) + 0
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((24, 24)))[0]
    turned = Group(lie_algebra=turn @ joined @ turn.T)
    for group in (turned, SO(3), sums(2, 0, 0)):
        (problem,) = problems_of((V(group), V(group)))
        assert in_block_problems(problem) is None


def test_a_basis_from_elsewhere_must_have_the_same_blocks() -> None:
    rep = canonical(T(1)(sums(7, 0, 3))).rep
    basis = from_bytes(to_bytes(solve(rep, store=False)))
    require_sound(rep, basis)
    storage = basis.storage
    assert isinstance(storage, Permuted)
    assert isinstance(storage.inner, Sum)
    moved = Permuted(np.roll(storage.rows, 1), storage.inner)
    with pytest.raises(SolveError, match="direct sum of the blocks"):
        require_sound(rep, type(basis)(moved, basis.certificate))


@pytest.mark.slow
def test_a_thousand_vectors() -> None:
    group = Group(lie_algebra=[np.kron(np.eye(1000), a) for a in SO3])
    assert solve(T(1)(group), store=False).shape == (3000, 0)
