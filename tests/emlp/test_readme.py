"""EMLP's README, and the first lines of the page this library began with."""
# ruff: noqa: F403, F405 - the README imports with a star

import intertwine
import jax.numpy as jnp
import numpy as np
import pytest
from intertwine.errors import NotConcrete
from intertwine.groups import *
from intertwine.reps import *
from intertwine.reps import V
from intertwine.training import model_equivariance_error

# -- what a star brings


def test_a_star_brings_the_groups_of_emlp():
    names = "Group Trivial SO O C D Scaling SO13p SO13 O13 Lorentz SO11p O11 Sp Z S SL GL U SU"
    names += " Cube RubiksCube ZksZnxZn Embed SO2eR3 O2eR3 DkeR3"
    assert set(names.split()) <= set(globals())


def test_a_star_brings_the_reps_of_emlp():
    names = "V Vector Scalar Rep T LinearOperator equivariance_error vis sparsify_basis"
    assert set(names.split()) <= set(globals())


# -- the README's examples


def test_lorentz_equivariant_maps_from_four_vectors_to_tensors():
    G = O13()
    Q = (T(1, 0) >> T(2, 1))(G).equivariant_basis()
    assert Q.shape == (256, 3)
    assert equivariance_error(Q, T(1, 0), T(2, 1), G) <= 1e-12


def test_maps_from_one_cube_of_rubik_to_another():
    G = RubiksCube()
    Q = (V(G) >> V(G)).equivariant_basis()
    assert Q.shape == (2304, 9)


def test_maps_from_features_of_a_graph_to_others():
    G = S(5)
    repin = 10 * T(1) + 5 * T(2)
    repout = 3 * T(0) + T(2)
    Q = (repin(G) >> repout(G)).equivariant_basis()
    # partitions of the slots: 1 and 2 to scalars, 5 and 15 to edges
    assert Q.shape == (28 * 175, 3 * (10 * 1 + 5 * 2) + (10 * 5 + 5 * 15))
    assert equivariance_error(Q, repin, repout, G) <= 1e-13


@pytest.mark.parametrize("G", [S(5), O13()], ids=repr)
def test_the_ways_of_writing_that_rep_are_one(G: Group):
    first, second, third = 10 * T(1) + 5 * T(2), 10 * V + 5 * V**2, 5 * V * (2 + V)
    assert first == second
    assert canonical(first(G)).rep == canonical(third(G)).rep
    assert str(third) == "5V⊗(2V⁰+V)"


def test_going_wild_with_sums_products_and_duals():
    W = V(O13())
    repin = (W + 2 * W**2) * (W.T + 1 * W).T + W.T
    repout = 3 * W**0 + W + W * W.T
    Q = (repin >> repout).equivariant_basis()
    assert Q.shape == (repin.size() * repout.size(), 25)
    assert equivariance_error(Q, repin, repout) <= 1e-12


def test_mixing_reps_of_three_groups():
    rep = 2 * V(Z(3)) * V(S(4)) + V(O(3)) ** 2
    Q = (rep >> rep).equivariant_basis()
    assert Q.shape == (33**2, 31)
    assert equivariance_error(Q, rep, rep) <= 1e-13


@pytest.mark.parametrize(
    ("repin", "repout", "shape", "title"),
    [
        (T(1, 0)(O13()), T(2, 1)(O13()), (64, 4), "V → V²⊗V* over O13(): rank 3"),
        (V(RubiksCube()), V(RubiksCube()), (48, 48), "V → V over RubiksCube(): rank 9"),
        (
            (10 * T(1) + 5 * T(2))(S(5)),
            (3 * T(0) + T(2))(S(5)),
            (28, 175),
            "10V+5V² → 3V⁰+V² over S(5): rank 185",
        ),
        (
            V(Z(3)) * V(S(4)),
            V(Z(3)) * V(S(4)),
            (12, 12),
            "V(Z(3))⊗V(S(4)) → V(Z(3))⊗V(S(4)): rank 6",
        ),
    ],
    ids=["Lorentz", "Rubik", "graph", "mixed"],
)
def test_the_bases_of_these_examples_are_drawn(
    repin: Rep, repout: Rep, shape: tuple[int, int], title: str
):
    axes = vis(repin, repout)
    (image,) = axes.images
    assert image.get_array().shape == (*shape, 3)
    assert axes.get_title() == title
    assert vis(repin, repout, cluster=False).images[0].get_array().shape == (*shape, 3)


def test_the_reps_of_the_particle_model_and_a_batch_for_it():
    repin = 4 * T(1) + 2 * T(0)
    repout = 3 * T(0)
    group = Lorentz()
    x = np.random.default_rng(0).standard_normal((32, repin(group).size()))
    assert x.shape == (32, 18)
    Q = (repin >> repout)(group).equivariant_basis()
    assert Q.shape == (54, 6)  # from the two scalars to the three
    assert group == O13()


@pytest.mark.slow
def test_the_particle_model_gives_the_same_logits_to_every_observer():
    repin = 4 * T(1) + 2 * T(0)
    repout = 3 * T(0)
    model = intertwine.nn.EMLP(repin, repout, group=Lorentz(), num_layers=3, ch=384)
    rng = np.random.default_rng(0)
    x = rng.standard_normal(repin(Lorentz()).size())
    y = model(x)
    assert y.shape == (3,)
    batch = rng.standard_normal((100, x.size))
    logits = np.asarray(model(batch))
    np.testing.assert_allclose(logits[:1], model(batch[:1]), rtol=1e-4, atol=1e-6)
    assert np.abs(logits).max() > 0.01
    error = model_equivariance_error(model, batch, repin, repout, Lorentz())
    assert error <= 2e-6
    heavier = batch.copy()
    heavier[:, 0] *= (
        2  # the energy of the first particle, which another observer cannot change alone
    )
    assert np.abs(np.asarray(model(heavier)) - logits).max() > 0.01


def test_the_size_of_a_rep_without_its_group_is_an_error_that_says_what_to_do():
    repin = 4 * T(1) + 2 * T(0)
    with pytest.raises(NotConcrete, match=r"call it with one, as in rep\(SO\(3\)\)"):
        repin.size()


# -- where this library began


def tensors(p, q=0):
    return V**p * V.T**q


@pytest.mark.slow
def test_lorentz_tensors_of_type_two_two_have_four_invariants(precision):
    Q = tensors(2, 2)(SO13p()).equivariant_basis()
    assert (Q.shape, Q.dtype) == ((256, 4), np.float64)
    w = jnp.ones(4)
    assert (Q @ w).shape == (256,)
    assert (Q @ w).dtype == precision
    assert (Q.T @ (Q @ w)).shape == (4,)


@pytest.mark.parametrize("q", [0, 1, 2, 3])
def test_lorentz_tensors_of_odd_rank_have_none_and_that_is_a_basis_too(q: int):
    Q = tensors(3 - q, q)(SO13p()).equivariant_basis()
    assert Q.shape == (64, 0)
    np.testing.assert_array_equal(Q @ np.zeros(0), np.zeros(64))
    np.testing.assert_array_equal(Q.project(np.ones(64)), np.zeros(64))


def test_the_librarys_own_T_is_that_of_the_page():
    assert all(T(p, q) == tensors(p, q) for p in range(3) for q in range(3))
    assert T(2, 1, SO13p()) == tensors(2, 1)(SO13p())
