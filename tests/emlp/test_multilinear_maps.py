"""EMLP's page 6, multilinear maps: linear maps to linear maps."""

import numpy as np
import pytest
from intertwine.groups import SO, O, S
from intertwine.reps import V
from intertwine.verify import assert_equivariant

G = SO(4)
W = V(G)
R1 = 3 * W + W**2
R2 = W.T + W**0
R3 = W**0 + W**2 + W


def rel_err(a, b):
    return np.linalg.norm(a - b) / (np.linalg.norm(a) + np.linalg.norm(b))


def test_the_bilinear_maps_of_the_page():
    Q = (R1 >> (R2 >> R3)).symmetric_basis()
    assert Q.shape == (2940, 27)


def test_a_random_one_of_them_is_equivariant_in_both_arguments():
    Q = (R1 >> (R2 >> R3)).symmetric_basis()
    rng = np.random.default_rng(0)
    example_map = Q @ rng.standard_normal(Q.shape[-1])
    example_map = example_map.reshape(R3.size(), R2.size(), R1.size())
    x1 = rng.standard_normal(R1.size())
    x2 = rng.standard_normal(R2.size())
    g = G.sample()
    out1 = np.einsum("ijk,j,k", example_map, R2.rho(g) @ x2, R1.rho(g) @ x1)
    out2 = R3.rho(g) @ np.einsum("ijk,j,k", example_map, x2, x1)
    assert np.abs(out2).max() > 0.1
    assert rel_err(out1, out2) <= 1e-13  # 1.2e-07 on the page
    only_one = np.einsum("ijk,j,k", example_map, x2, R1.rho(g) @ x1)
    assert rel_err(only_one, out2) > 0.01


def test_the_other_arrow_writes_them_in_the_order_of_the_axes():
    assert (R3 << R2 << R1) == (R1 >> (R2 >> R3))
    assert R3 << R2 << R1 == (R1 >> (R2 >> R3))
    assert (R2 << R1) == (R1 >> R2)
    assert (V << V << V) != (V >> V >> V)  # which leads from maps to vectors


def test_a_map_of_one_argument_is_a_map_of_another_with_the_rest():
    Q = (R3 << R2 << R1).equivariant_basis()
    for column in Q.dense().T[:5]:
        matrix = column.reshape(R3.size() * R2.size(), R1.size())
        assert_equivariant(matrix, R1, R2 >> R3)


@pytest.mark.parametrize("arguments", [1, 2, 3])
def test_forms_of_vectors_in_space_and_their_numbers(arguments: int):
    """Of vectors over SO(3): none of one, the dot product of two, the determinant of three."""
    rep = V**0
    for _ in range(arguments):
        rep = rep << V
    Q = rep(SO(3)).equivariant_basis()
    assert Q.shape == (3**arguments, {1: 0, 2: 1, 3: 1}[arguments])
    if arguments == 3:
        form = np.asarray(Q).reshape(3, 3, 3)
        x, y, z = np.random.default_rng(1).standard_normal((3, 3))
        value = np.einsum("ijk,i,j,k", form, x, y, z)
        np.testing.assert_allclose(abs(value), abs(np.linalg.det([x, y, z])) / np.sqrt(6))
        assert rep(O(3)).equivariant_basis().shape == (27, 0)


def test_products_of_functions_on_a_set_are_among_the_bilinear_maps():
    Q = (V << V << V)(S(4)).equivariant_basis()
    assert Q.shape == (64, 5)  # partitions of three slots
    pointwise = np.zeros((4, 4, 4))
    pointwise[np.arange(4), np.arange(4), np.arange(4)] = 1
    np.testing.assert_allclose(Q.project(pointwise.ravel()), pointwise.ravel(), atol=1e-13)
