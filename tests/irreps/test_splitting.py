"""Subspaces with close eigenvalues: many different irreps in one product."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.oblique_groups import conjugate, random_frame
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.groups import Group
from intertwine.irreps.actions import Action, MatrixRep
from intertwine.irreps.splitting import leak, polished
from intertwine.irreps.words import similar
from intertwine.reps import T
from scipy.stats import ortho_group

FLIP, SIGN = np.eye(2)[::-1], np.diag([1.0, -1])


def _extraspecial(k: int) -> Group:
    """The real group of order 2^(2k + 1), irreducible of dimension 2^k: V ⊗ V is a sum of all its
    4^k characters, each once.
    """
    found = [
        np.kron(np.kron(np.eye(2**i), h), np.eye(2 ** (k - i - 1)))
        for i in range(k)
        for h in (FLIP, SIGN)
    ]
    return Group(discrete_generators=found)


def _turned(k: int, seed: int) -> Group:
    return conjugate(_extraspecial(k), ortho_group.rvs(2**k, random_state=seed))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-13, 1e-10, 1e-8]))
def test_a_polished_subspace_is_invariant_and_near(seed: int, error: float) -> None:
    rng = np.random.default_rng(seed)
    u = ortho_group.rvs(7, random_state=rng)
    blocks = np.zeros((3, 7, 7))
    blocks[:, :3, :3] = ortho_group.rvs(3, size=3, random_state=rng)
    blocks[:, 3:, 3:] = ortho_group.rvs(4, size=3, random_state=rng)
    action = Action(u @ blocks @ u.T, 0)
    rep = MatrixRep(action, action)
    w = np.linalg.qr(u[:, :3] + error * rng.standard_normal((7, 3)))[0]
    found = polished(rep, w)
    assert leak(rep, w) > 1e-14
    assert leak(rep, found) <= 1e-15
    np.testing.assert_allclose(found.T @ found, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(found, w, atol=20 * error)


@pytest.mark.parametrize("k", [3, pytest.param(4, marks=pytest.mark.slow)])
def test_a_product_of_many_characters_in_any_orthogonal_frame(k: int) -> None:
    basis = T(4)(_turned(k, 1)).equivariant_basis(store=False)
    assert basis.certificate.method == "irreps"
    assert basis.shape == (16**k, 4**k)
    assert basis.certificate.residual < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("condition", [2, 100])
def test_in_an_oblique_frame_too(condition: float) -> None:
    group = conjugate(_extraspecial(4), random_frame(16, condition, np.random.default_rng(3)))
    for rep, rank in ((T(2), 1), (T(1, 1), 1), (T(3), 0)):
        basis = rep(group).equivariant_basis(store=False, method="irreps")
        assert basis.rank == rank


def test_fingerprints_that_are_not_clearly_different_are_similar() -> None:
    known = [np.array([1.0, 2.0]), np.array([1.0, 2.0 + 1e-8]), np.array([1.0, 2.1])]
    assert similar(known, np.array([1.0, 2.0])) == [0, 1]
    assert similar([], np.array([1.0])) == []
