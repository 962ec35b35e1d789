"""Invariants of large reps of abelian groups: products of weight vectors whose weights cancel."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import pytest
from helpers.oracle import assert_proven, examine, projector_distance
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.bases import SparseStorage, from_bytes, to_bytes
from intertwine.errors import AmbiguousRank
from intertwine.groups import Group
from intertwine.invariants import solve
from intertwine.invariants.by_weights import is_by_weights
from intertwine.invariants.problem import problems_of
from intertwine.invariants.tolerances import DEFAULT
from intertwine.reps import Rep, T, V
from scipy.stats import ortho_group, unitary_group

_FEW = settings(deadline=None, max_examples=12)

#: Charges of each plane of V under two circles: V has 24 dimensions.
CHARGES = st.lists(st.tuples(*[st.integers(-3, 3)] * 2), min_size=12, max_size=12).filter(np.any)


def rotations(charges: Any) -> Any:
    """The generator that rotates plane i with charge i."""
    found = np.zeros((2 * len(charges), 2 * len(charges)))
    for i, charge in enumerate(charges):
        found[2 * i, 2 * i + 1], found[2 * i + 1, 2 * i] = -charge, charge
    return found


def torus(charges: Any, frame: Any = None) -> Group:
    """A torus by the charges of planes (rows) under its circles (columns)."""
    matrices = [rotations(column) for column in np.asarray(charges, dtype=float).T]
    if frame is not None:
        matrices = [frame @ matrix @ frame.T for matrix in matrices]
        matrices = [(matrix - matrix.T) / 2 for matrix in matrices]
    return Group(lie_algebra=matrices)


def zero_sums(charges: Any, power: int, modulus: int | None = None) -> int:
    """Count the tuples of charges ±c that add up to zero, by adding all of them."""
    each = np.asarray(charges).reshape(len(charges), -1)
    each = np.concatenate([each, -each])
    sums = reduce(lambda a, b: (a[:, None] + b[None]).reshape(-1, each.shape[1]), [each] * power)
    return int(np.all(sums % modulus == 0 if modulus else sums == 0, axis=1).sum())


def solved(rep: Rep) -> Any:
    """The basis of a rep, which must have been found by weights."""
    basis = solve(rep, store=False)
    assert isinstance(basis.storage, SparseStorage)
    assert basis.certificate.method == "irreps"
    return basis


@_FEW
@given(CHARGES, st.sampled_from([1, 2]))
def test_the_rank_is_the_number_of_zero_sums(charges: Any, power: int) -> None:
    rep = T(power)(torus(charges))
    basis = solved(rep)
    assert basis.rank == zero_sums(charges, power)
    assert_proven(examine(rep, basis))


@pytest.mark.slow
@_FEW
@given(CHARGES, st.integers(0, 100))
def test_a_frame_conjugates_the_projector(charges: Any, seed: int) -> None:
    q = ortho_group.rvs(24, random_state=seed)
    plain, turned = solved(T(2)(torus(charges))), solved(T(2)(torus(charges, q)))
    assert plain.rank == turned.rank
    assert_proven(examine(T(2)(torus(charges, q)), turned))
    assert projector_distance(np.kron(q, q) @ plain.dense(), turned.dense()) < 1e-10


def test_three_factors() -> None:
    charges = np.arange(12)[:, None] - 3
    rep = T(3)(torus(charges))
    basis = solved(rep)
    assert basis.rank == zero_sums(charges, 3)
    g = np.asarray(rep.G.sample(seed=3))
    v = np.asarray(basis @ np.random.default_rng(0).standard_normal(basis.rank))
    moved = np.einsum("ai,bj,ck,ijk->abc", g, g, g, v.reshape(24, 24, 24), optimize=True)
    np.testing.assert_allclose(moved.ravel(), v, atol=1e-12)
    v = np.random.default_rng(1).standard_normal((24**3, 2))
    np.testing.assert_allclose(basis.H @ (basis @ (basis.H @ v)), basis.H @ v, atol=1e-12)


def test_charges_may_be_irrational() -> None:
    charges = np.array([1, np.sqrt(2), 1 + np.sqrt(2), np.sqrt(3), np.pi] + 8 * [np.sqrt(5)])
    # exact sums, as integers along 1, √2, √3, π and √5
    exact = np.array(
        [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]]
        + 8 * [[0, 0, 0, 0, 1]]
    )
    for power in (1, 2, 3):
        assert solved(T(power)(torus(charges[:, None]))).rank == zero_sums(exact, power)


@pytest.mark.parametrize("modulus", [2, 5, 24])
@pytest.mark.parametrize("is_turned", [False, True])
def test_cyclic_groups_count_charges_modulo_their_order(modulus: int, is_turned: bool) -> None:
    charges = np.arange(14) % modulus
    angles = 2 * np.pi * charges / modulus
    h = np.eye(28)
    for i, (c, s) in enumerate(zip(np.cos(angles), np.sin(angles), strict=True)):
        h[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [[c, -s], [s, c]]
    q = ortho_group.rvs(28, random_state=6) if is_turned else np.eye(28)
    rep = T(2)(Group(discrete_generators=[q @ h @ q.T]))
    basis = solve(rep, store=False)
    assert basis.rank == zero_sums(charges, 2, modulus)
    assert_proven(examine(rep, basis))


def test_complex_characters() -> None:
    charges = np.arange(30) - 7
    u = unitary_group.rvs(30, random_state=7)
    matrix = u @ np.diag(1j * charges) @ u.conj().T
    group = Group(lie_algebra=[(matrix - matrix.conj().T) / 2])
    sums = (charges[:, None] + charges).ravel()
    assert solved((V**2)(group)).rank == int((sums == 0).sum())
    rep = (V * V.T)(group)
    basis = solved(rep)
    assert basis.rank == 30
    assert_proven(examine(rep, basis))


def test_real_scalings_cancel_in_the_dual() -> None:
    group = Group(lie_algebra=[np.diag(np.arange(30.0) - 4)])
    assert solved((V * V.T)(group)).rank == 30
    assert solved((V**2)(group)).rank == 9


def test_a_circle_times_a_cyclic_group_needs_both() -> None:
    charges = np.arange(1, 14)
    signs = np.diag(np.repeat(np.where(charges % 2, 1.0, -1.0), 2))
    group = Group(lie_algebra=[rotations(charges)], discrete_generators=[signs])
    assert solved(T(2)(group)).rank == 26
    # of three charges with sum zero, none or two are odd: the product of these signs is −1
    assert solved(T(3)(group)).rank == 0
    other = Group(lie_algebra=group.lie_algebra, discrete_generators=[-signs])
    assert solved(T(3)(other)).rank == zero_sums(charges, 3)


@pytest.mark.parametrize("power", [1, 2])
def test_charges_that_nearly_cancel_are_refused(power: int) -> None:
    charges = np.arange(2, 15.0)
    charges[0] = 2e-9 if power == 1 else 3 + 1e-8
    with pytest.raises(AmbiguousRank):
        solve(T(power)(torus(charges[:, None])), store=False)


def test_an_ambiguous_rank_is_not_hidden_by_the_size_that_the_next_method_refuses() -> None:
    group = Group(lie_algebra=[np.diag([1j, 1j * (1 + 3e-10), -1j])])
    with pytest.raises(AmbiguousRank, match="neither rounding"):
        solve((V**8 * V.T**8)(group), store=False)


def test_charges_of_few_digits_are_refused_where_these_matter() -> None:
    charges = np.arange(1.0, 14) * 0.1234567
    charges[1] += 1.1e-6
    with pytest.raises(AmbiguousRank, match="precision"):
        solve(T(3)(torus(charges[:, None])), store=False)
    exact = Group(lie_algebra=[rotations(charges)], refine=0)
    assert solved(T(3)(exact)).rank < zero_sums(np.arange(1, 14), 3)


def test_a_thousand_dimensions_take_no_matrix_of_the_basis() -> None:
    basis = solved(T(2)(torus(np.arange(1, 501)[:, None])))
    assert basis.shape == (10**6, 1000)
    assert basis.nbytes < 2**20
    w = np.random.default_rng(2).standard_normal(1000)
    np.testing.assert_allclose(basis.H @ (basis @ w), w, atol=1e-13)
    x = (basis @ w).reshape(1000, 1000)
    a = rotations(np.arange(1, 501)) / 500
    assert np.abs(a @ x + x @ a.T).max() < 1e-13


def test_many_products_of_few_weights_are_left_to_irreps() -> None:
    group = torus(np.repeat([1.0], 12)[:, None])
    (problem,) = problems_of((V(group),) * 6)
    assert problem.weights is not None
    assert not is_by_weights(problem, DEFAULT)
    (small,) = problems_of((V(group),) * 4)
    assert is_by_weights(small, DEFAULT)


def test_a_basis_by_weights_is_written_and_read() -> None:
    basis = solved(T(2)(torus(np.arange(12)[:, None], ortho_group.rvs(24, random_state=8))))
    read = from_bytes(to_bytes(basis))
    np.testing.assert_array_equal(read.dense(), basis.dense())


def test_a_rep_of_ones_own_has_weights_too() -> None:
    class Doubled(Rep):
        def rho(self, M: Any) -> Any:
            return np.asarray(M) @ np.asarray(M)

    group = torus(np.arange(12)[:, None])
    assert solved((V * V.T)(group)).rank == zero_sums(np.arange(12), 2)
    charges = np.concatenate([np.arange(12), -np.arange(12)])
    mixed = solved(V(group) * Doubled()(group))
    assert mixed.rank == int(((charges[:, None] + 2 * charges) == 0).sum())
