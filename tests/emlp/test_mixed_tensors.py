"""EMLP's page 5, mixed tensors: representations of several groups at once."""
# ruff: noqa: F403, F405 - the page imports with a star

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from intertwine.groups import *
from intertwine.reps import Rep, Scalar, T, V, canonical, equivariance_error, parse


def tolerance(dtype):
    return 1e-6 if dtype == np.float32 else 1e-13


def elements_of(rep: Rep, n: int, seed: int = 0):
    """n elements of each group of a rep, in the form that `vmap` and `rho` take."""
    groups = {atom.G for atom in (V(Z(3)), V(S(4)), V(SO(3))) if repr(atom.G) in str(rep)}
    return {G: G.samples(n, seed) for G in groups}


# -- what the page shows


def test_products_of_reps_of_different_groups_print_with_their_groups(capsys):
    repin, repout = T(1)(SO(3)) * T(2)(S(4)), T(2)(SO(3)) * T(1)(S(4))
    print(repin, "-->", repout)
    assert capsys.readouterr().out == "V(SO(3))⊗V(S(4))² --> V(SO(3))²⊗V(S(4))\n"
    assert parse(str(repin)) == repin


def test_maps_of_products_are_the_products_of_maps(vis):
    repin, repout = T(1)(SO(3)) * T(2)(S(4)), T(2)(SO(3)) * T(1)(S(4))
    assert vis(repin, repout).shape == (36, 48)
    Q = (repin >> repout).equivariant_basis()
    of_rotations = (T(1) >> T(2))(SO(3)).equivariant_basis()
    of_permutations = (T(2) >> T(1))(S(4)).equivariant_basis()
    assert Q.shape == (1728, of_rotations.shape[1] * of_permutations.shape[1])
    assert equivariance_error(Q, repin, repout) <= 1e-13


def test_a_sum_of_mixed_products_prints_as_it_was_written():
    rep = 2 * T(1)(Z(3)) * T(1)(S(4)) + T(2)(SO(3))
    assert f"Rep: {rep}" == "Rep: 2V(Z(3))⊗V(S(4))+V(SO(3))²"
    assert f"Linear maps: {rep >> rep}" == "Linear maps: (2V(Z(3))⊗V(S(4))+V(SO(3))²)²"
    assert canonical(rep >> rep).rep.size() == (2 * 12 + 9) ** 2


def test_the_maps_of_that_sum_to_itself(vis):
    rep = 2 * T(1)(Z(3)) * T(1)(S(4)) + T(2)(SO(3))
    image = vis(rep, rep)
    assert image.shape == (33, 33)
    # 2² · 3 · 2 between the sets, 3 of the matrices, 2 each way between them
    assert (rep >> rep).equivariant_basis().shape == (1089, 24 + 3 + 2 + 2)
    assert equivariance_error(image, rep, rep) <= 1e-4  # vis rounds to four places


def test_a_sequence_of_sets_has_circulant_deep_set_maps(vis):
    image = vis(V(Z(3)) * V(S(4)), V(Z(3)) * V(S(4))).reshape(3, 4, 3, 4)
    np.testing.assert_array_equal(image, np.roll(image, (1, 1), axis=(0, 2)))
    order = [2, 0, 3, 1]
    np.testing.assert_array_equal(image, image[:, order][..., order])
    assert len(np.unique(image)) == 6


def test_the_map_from_a_sequence_of_sets_to_matrices_is_the_identity_of_the_sum(vis):
    image = vis(V(Z(3)) * V(S(4)), T(2)(SO(3)))
    expected = np.outer(np.eye(3).ravel(), np.ones(12))
    np.testing.assert_allclose(image / image[0, 0], expected, atol=1e-12)


# -- elements of several groups


@pytest.mark.slow
@pytest.mark.parametrize(
    "rep",
    [
        T(1)(SO(3)) * T(2)(S(4)),
        2 * T(1)(Z(3)) * T(1)(S(4)) + T(2)(SO(3)),
        (V(Z(3)) + 1) * V(SO(3)) + 2 * Scalar,
    ],
    ids=str,
)
def test_rho_takes_an_element_of_each_group_and_leaves_the_invariants(rep: Rep, precision):
    Q = rep.equivariant_basis()
    elements = {G: gs[1] for G, gs in elements_of(rep, 2).items()}
    np.testing.assert_allclose(rep.rho(elements) @ Q, Q, atol=1e-13)
    np.testing.assert_allclose(rep.rho_dense(elements) @ np.asarray(Q), Q, atol=1e-13)
    in_jax = {G: jnp.asarray(g) for G, g in elements.items()}
    dense = rep.rho_dense(in_jax)
    assert dense.dtype == precision
    np.testing.assert_allclose(dense, rep.rho_dense(elements), atol=tolerance(precision))


@pytest.mark.parametrize(
    "rep",
    [T(1)(SO(3)) * T(2)(S(4)), 2 * T(1)(Z(3)) * T(1)(S(4)) + T(2)(SO(3))],
    ids=str,
)
def test_jax_maps_over_samples_of_several_groups(rep: Rep, precision):
    samples = elements_of(rep, 3)
    images = jax.vmap(rep.rho_dense)(samples)
    assert images.dtype == precision
    for i in range(3):
        one = rep.rho_dense({G: gs[i] for G, gs in samples.items()})
        np.testing.assert_allclose(images[i], one, atol=tolerance(precision))


def test_the_derivative_takes_an_element_of_each_algebra():
    rep = T(1)(SO(3)) * T(2)(O(2))
    A, B = SO(3).lie_algebra[1], O(2).lie_algebra[0]
    drho = rep.drho_dense({SO(3): A, O(2): B})
    expected = np.kron(A, np.eye(4)) + np.kron(np.eye(3), (V(O(2)) ** 2).drho_dense(B))
    np.testing.assert_allclose(drho, expected)
