"""Sums as collections of their terms, and the linear equations of invariants."""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from intertwine.errors import InvalidRep, NotConcrete
from intertwine.groups import SO, Group, O, S, SO13p, U, Z
from intertwine.reps import Rep, Scalar, Sum, T, V

G = SO(3)


def test_a_sum_yields_its_terms_in_the_order_of_coordinates() -> None:
    rep = (2 * Scalar + V + Scalar + V**2)(G)
    assert list(rep) == [Scalar, Scalar, V(G), Scalar, V(G) ** 2]
    assert len(rep) == 5
    assert sum(term.size() for term in rep) == rep.size()
    assert sum(rep) == rep
    many = 10**12 * V
    assert len(many) == 10**12
    assert list(itertools.islice(many, 2)) == [V, V]


def test_a_sum_is_true_and_no_array_even_without_terms() -> None:
    for rep in (0 * V, 2 * V(G) + Scalar):
        assert rep
        assert np.asarray(rep).shape == ()
    assert list(0 * V) == []


@pytest.mark.parametrize("xp", [np, jnp])
def test_the_parts_of_vectors_are_found_by_rep(xp) -> None:
    rep = (2 * Scalar + V + Scalar)(G)
    parts = rep.as_dict(xp.arange(12.0).reshape(2, 6))
    assert {**parts}.keys() == {Scalar, V(G)}
    np.testing.assert_array_equal(parts[Scalar][1], [[6], [7], [11]])
    np.testing.assert_array_equal(parts[V(G)], [[[2, 3, 4]], [[8, 9, 10]]])
    assert all(isinstance(part, type(xp.ones(1))) for part in parts.values())
    with pytest.raises(InvalidRep, match=r"has size 6, and the vectors shape \(5,\)"):
        rep.as_dict(np.ones(5))


def test_a_term_of_a_rep_and_its_part_transform_together() -> None:
    rep, g, v = (V**2 + 2 * V)(G), G.sample(), np.arange(15.0)
    before, after = rep.as_dict(v), rep.as_dict(rep.rho(g) @ v)
    for term, part in before.items():
        np.testing.assert_allclose(part @ term.rho_dense(g).T, after[term])


@pytest.mark.parametrize(
    ("rep", "expected"),
    [
        ((V**2 + Scalar)(S(3)), True),
        (V(S(3)).T, True),
        (V(Z(4)) * V(S(3)), True),
        (Scalar, True),
        (V(SO(2)), False),
        ((V + Scalar)(O(2)), False),
        (V(S(3)) * V(O(2)), False),
    ],
)
def test_permutations_are_recognised(rep: Rep, expected: bool) -> None:
    assert rep.is_permutation is expected
    assert rep.concrete


def test_a_rep_without_a_group_is_not_concrete_and_may_permute_or_not() -> None:
    assert not (V + Scalar).concrete
    with pytest.raises(NotConcrete, match="has no group yet"):
        _ = V.is_permutation


def test_reps_of_ones_own_may_set_these_attributes() -> None:
    class Own(Rep):
        is_permutation = True

        def __init__(self) -> None:
            self.concrete = True

        def rho(self, M):
            return M

    assert Own().concrete
    assert Own().is_permutation
    assert not Own().is_concrete


@pytest.mark.parametrize(
    "rep",
    [
        T(1, 1)(SO13p()) + 2 * Scalar,
        (V**3 + V)(O(2)),
        (V >> V)(U(2)),
        T(2)(SO(3)) * V(S(3)) + V(S(3)) ** 2,
        Scalar + Scalar,
    ],
    ids=repr,
)
def test_the_kernel_of_the_constraints_are_the_invariants(rep: Rep) -> None:
    C, Q = rep.constraint_matrix(), rep.equivariant_basis()
    assert C.shape[1] == rep.size()
    assert np.abs(C @ Q.dense()).max(initial=0) <= 1e-13
    assert rep.size() - np.linalg.matrix_rank(C.dense()) == Q.rank
    v = np.random.default_rng(0).standard_normal((C.shape[0], 2))
    np.testing.assert_allclose(C.H @ v, np.asarray(C.dense()).conj().T @ v, atol=1e-13)


def test_there_is_a_block_for_each_generator() -> None:
    group: Group = O(3)
    assert V(group).constraint_matrix().shape == (group.num_constraints() * 3, 3)
    assert isinstance(V(group) + Scalar, Sum)
    with pytest.raises(NotConcrete):
        V.constraint_matrix()
