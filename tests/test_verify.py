"""`intertwine.verify`: is a linear map what it is said to be?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.errors import IntertwineError, InvalidRep, NotConcrete
from intertwine.groups import SO, C, Group, O, S, SO13p, U, Z, parse_group
from intertwine.reps import Rep, Scalar, T, V, parse
from intertwine.verify import NotEquivariant, assert_equivariant, equivariance_error

#: (group, rep in, rep out) with equivariant maps between them.
PAIRS = [
    ("SO(3)", "V+V0", "V**2"),
    ("O(3)", "V", "V**3"),
    ("SO13p", "V", "V.T"),
    ("SL(2)", "V", "V**2*V.T"),
    ("S(4)", "V**2", "V+V0"),
    ("U(2)", "V", "V**2*V.T"),
    ("C(5)", "2V+3V0", "V+V0"),
]


def _maps(rep_in: Rep, rep_out: Rep) -> Any:
    return (rep_in >> rep_out).equivariant_basis()


@pytest.mark.parametrize(("group", "text_in", "text_out"), PAIRS)
def test_every_map_of_a_basis_is_equivariant(group: str, text_in: str, text_out: str) -> None:
    G = parse_group(group)
    rep_in, rep_out = parse(text_in)(G), parse(text_out)(G)
    basis = _maps(rep_in, rep_out)
    assert basis.rank > 0
    weights = np.random.default_rng(0).standard_normal(basis.rank)
    vector = basis @ weights
    matrix = vector.reshape(rep_out.size(), rep_in.size())
    for W in (basis, basis.dense(), vector, matrix):
        assert equivariance_error(W, rep_in, rep_out) < 1e-12
        assert_equivariant(W, rep_in, rep_out)


@pytest.mark.parametrize(("group", "text_in", "text_out"), PAIRS)
def test_a_random_map_is_not(group: str, text_in: str, text_out: str) -> None:
    G = parse_group(group)
    rep_in, rep_out = parse(text_in)(G), parse(text_out)(G)
    W = np.random.default_rng(1).standard_normal((rep_out.size(), rep_in.size()))
    assert equivariance_error(W, rep_in, rep_out) > 1e-2
    with pytest.raises(NotEquivariant, match="equivariance error of"):
        assert_equivariant(W, rep_in, rep_out)


@pytest.mark.parametrize(("group", "text_in", "text_out"), PAIRS)
def test_the_error_is_the_one_its_definition_says(group: str, text_in: str, text_out: str) -> None:
    G = parse_group(group)
    rep_in, rep_out = parse(text_in)(G), parse(text_out)(G)
    W = np.random.default_rng(2).standard_normal((rep_out.size(), rep_in.size()))
    after = np.stack([rep_out.rho_dense(g) @ W for g in G.samples(5)])
    before = np.stack([W @ rep_in.rho_dense(g) for g in G.samples(5)])
    norms = [np.linalg.norm(a) + np.linalg.norm(b) for a, b in zip(after, before, strict=True)]
    expected = np.linalg.norm(after - before) / np.linalg.norm(norms)
    assert equivariance_error(W, rep_in, rep_out) == pytest.approx(expected, rel=1e-10)


@settings(deadline=None, max_examples=10)
@given(st.floats(1e-6, 1e-1), st.floats(1e-30, 1e30), st.integers(0, 10))
def test_the_error_grows_with_the_slip_and_not_with_the_scale(
    slip: float, scale: float, seed: int
) -> None:
    G = SO(3)
    rep_in, rep_out = (V + V**0)(G), T(2)(G)
    basis = _maps(rep_in, rep_out)
    rng = np.random.default_rng(seed)
    right = basis @ rng.standard_normal(basis.rank)
    wrong = rng.standard_normal(right.shape)
    wrong -= basis.project(wrong)
    W = right / np.linalg.norm(right) + slip * wrong / np.linalg.norm(wrong)
    error = equivariance_error(W, rep_in, rep_out)
    assert 0.05 * slip < error < 2 * slip
    assert equivariance_error(scale * W, rep_in, rep_out) == pytest.approx(error, rel=1e-6)


def test_the_error_lies_between_zero_and_one() -> None:
    assert equivariance_error(np.eye(3), V(O(3)), V(O(3))) == 0.0
    flips = Group(discrete_generators=[-np.eye(2)])
    always_odd = [equivariance_error(np.ones((1, 2)), V(flips), Scalar, seed=s) for s in range(5)]
    assert all(0.0 <= error <= 1.0 for error in always_odd)
    assert max(always_odd) > 0.5


def test_a_basis_of_wrong_maps_is_distinguished_from_a_correct_one() -> None:
    rep_in, rep_out = V(SO(3)), T(2)(SO(3))
    wrong = np.linalg.qr(np.random.default_rng(0).standard_normal((27, 4)))[0]
    assert equivariance_error(wrong, rep_in, rep_out) > 0.1


def test_the_group_may_be_given_apart() -> None:
    basis = _maps(V(SO(3)), T(2)(SO(3)))
    assert equivariance_error(basis, V, T(2), SO(3)) < 1e-12
    assert equivariance_error(basis, V(SO(3)), T(2), SO(3)) < 1e-12
    assert_equivariant(basis, V, T(2), SO(3))
    # the epsilon tensor is not invariant under reflections
    assert equivariance_error(basis, V, T(2), O(3)) > 0.1


def test_without_a_group_there_is_nothing_to_check_against() -> None:
    with pytest.raises(NotConcrete):
        equivariance_error(np.eye(3), V, V)


def test_groups_mix() -> None:
    rep_in = V(Z(3)) * V(S(4)) + V(O(3)) ** 2
    rep_out = V(O(3)) ** 2 + 2 * V(Z(3)) * V(S(4))
    basis = _maps(rep_in, rep_out)
    assert equivariance_error(basis, rep_in, rep_out) < 1e-12
    moved = np.roll(basis.dense(), 1, axis=0)
    assert equivariance_error(moved, rep_in, rep_out) > 0.1


def test_complex_groups_are_checked_with_the_inverse_not_the_transpose() -> None:
    G = U(2)
    assert equivariance_error(np.eye(2), V(G), V(G)) < 1e-15
    assert equivariance_error(np.eye(2), V(G), V(G).T) > 0.1


def test_large_boosts_do_not_drown_the_error() -> None:
    G = SO13p()
    metric = np.diag([-1.0, 1.0, 1.0, 1.0])
    assert equivariance_error(metric, V(G), V(G).T) < 1e-12
    assert equivariance_error(np.eye(4), V(G), V(G).T) > 1e-2


def test_more_samples_and_another_seed_may_be_asked_for() -> None:
    rep = V(C(4))
    W = np.array([[1.0, 0.0], [0.0, 2.0]])
    assert equivariance_error(W, rep, rep, seed=1) == equivariance_error(W, rep, rep, seed=1)
    assert equivariance_error(W, rep, rep, samples=50) > 0.01
    assert equivariance_error(W, rep, rep, samples=0) == 0.0


@pytest.mark.parametrize(
    ("W", "rep_in", "rep_out"),
    [
        (np.zeros((9, 3)), V, T(2)),
        (np.zeros((27, 0)), V, T(2)),
        (np.zeros(27), V, T(2)),
        (np.zeros((0, 3)), V, 0 * V),
        (np.zeros((3, 0)), 0 * V, V),
    ],
    ids=["zero", "no maps", "zero vector", "to nothing", "from nothing"],
)
def test_maps_that_do_nothing_are_equivariant(W: Any, rep_in: Rep, rep_out: Rep) -> None:
    assert equivariance_error(W, rep_in, rep_out, SO(3)) == 0.0


@pytest.mark.parametrize("shape", [(3, 9), (9, 4), (26,), (28,), (3, 3), (27, 2, 2), ()], ids=str)
def test_maps_of_the_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidRep, match="do not fit reps of sizes 3 → 9"):
        equivariance_error(np.zeros(shape), V, T(2), SO(3))


def test_the_complaint_names_the_map_its_error_and_the_tolerance() -> None:
    with pytest.raises(NotEquivariant) as caught:
        assert_equivariant(np.eye(3)[:1], V(SO(3)), Scalar, tolerance=1e-3)
    message = str(caught.value)
    assert message.startswith("the map from V(SO(3)) to V⁰ has an equivariance error of 0.")
    assert message.endswith(", more than 0.001")
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value, IntertwineError)


def test_the_tolerance_is_the_callers() -> None:
    W = np.eye(3) + 1e-5 * np.diag([1.0, 0.0, -1.0])
    assert_equivariant(W, V, V, SO(3), tolerance=1e-4)
    with pytest.raises(NotEquivariant):
        assert_equivariant(W, V, V, SO(3), tolerance=1e-7)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_not_equivariant(bad: float) -> None:
    W = np.eye(3)
    W[0, 0] = bad
    with np.errstate(all="ignore"), pytest.raises(NotEquivariant):
        assert_equivariant(W, V, V, SO(3))


def test_it_takes_arrays_of_jax() -> None:
    import jax.numpy as jnp

    assert equivariance_error(jnp.eye(3), V, V, SO(3)) < 1e-6
    assert equivariance_error(jnp.ones((3, 3)), V, V, SO(3)) > 0.1


def test_it_takes_integers_and_lists() -> None:
    assert equivariance_error(np.eye(3, dtype=int), V, V, SO(3)) == 0.0
    assert equivariance_error([[1, 0, 0], [0, 1, 0], [0, 0, 2]], V, V, SO(3)) > 0.01


def test_reps_of_the_users_own_are_checked_too() -> None:
    class Axial(Rep):
        """Pseudovectors: det(g) g."""

        def rho(self, M: Any) -> Any:
            return np.linalg.det(M) * M

    epsilon = np.zeros((3, 3, 3))
    for i, j, k in [(0, 1, 2), (1, 2, 0), (2, 0, 1)]:
        epsilon[i, j, k], epsilon[i, k, j] = 1.0, -1.0
    cross = epsilon.reshape(3, 9)
    assert equivariance_error(cross, T(2), Axial(), O(3)) < 1e-12
    assert equivariance_error(cross, T(2), V, O(3)) > 0.1
