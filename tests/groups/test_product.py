"""Direct products, acting on the tensor product of two spaces."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from intertwine.errors import TooLarge
from intertwine.groups import SO, C, DirectProduct, Group, O, S, SO11p, U, Z, parse_group
from intertwine.operators import Permutation
from intertwine.reps import V

PAIRS = [(Z(3), S(4)), (SO(2), Z(3)), (SO(3), SO(2)), (O(2), C(3)), (U(2), Z(2)), (SO11p(), SO(2))]


@pytest.mark.parametrize(("left", "right"), PAIRS, ids=repr)
def test_each_group_acts_on_its_own_factor(left: Group, right: Group) -> None:
    G = left * right
    assert isinstance(G, DirectProduct)
    assert G.d == left.d * right.d
    discrete = [np.kron(np.asarray(h), np.eye(right.d)) for h in left.group_generators]
    discrete += [np.kron(np.eye(left.d), np.asarray(h)) for h in right.group_generators]
    lie = [np.kron(A, np.eye(right.d)) for A in left.lie_generators]
    lie += [np.kron(np.eye(left.d), A) for A in right.lie_generators]
    for found, expected in ((G.group_generators, discrete), (G.lie_generators, lie)):
        assert len(found) == len(expected)
        for generator, matrix in zip(found, expected, strict=True):
            np.testing.assert_array_equal(np.asarray(generator), matrix)


def test_z3_times_s4_acts_on_twelve_dimensions_by_permutations() -> None:
    G = Z(3) * S(4)
    assert G.d == 12
    assert G.is_permutation
    assert all(isinstance(h, Permutation) for h in G.group_generators)
    assert V(G).equivariant_basis().shape == (12, 1)
    assert (V(G) >> V(G)).equivariant_basis().shape == (144, 3 * 2)


def test_signs_are_multiplied() -> None:
    flip = Group(discrete_generators=[Permutation([1, 0], [-1, 1])])
    for G in (flip * Z(3), Z(3) * flip):
        matrices = [np.asarray(h) for h in G.group_generators]
        assert {tuple(np.unique(m)) for m in matrices} == {(-1.0, 0.0, 1.0), (0.0, 1.0)}
    np.testing.assert_array_equal(
        np.asarray((flip * Z(3)).group_generators[0]), np.kron([[0, -1], [1, 0]], np.eye(3))
    )


def test_samples_are_products() -> None:
    G = SO(2) * SO(3)
    for g in G.samples(3):
        a = np.linalg.norm(g.reshape(2, 3, 2, 3), axis=(1, 3)) / np.sqrt(3)
        singular = np.linalg.svd(g.reshape(2, 3, 2, 3).swapaxes(1, 2).reshape(4, 9))[1]
        np.testing.assert_allclose(singular[1:], 0, atol=1e-12)
        assert a.shape == (2, 2)


def test_products_are_associative_and_print_in_the_parsed_form() -> None:
    a, b, c = Z(2), Z(3), S(3)
    left, right = (a * b) * c, a * (b * c)
    assert left == right
    assert repr(left) == repr(right) == "Z(2)*Z(3)*S(3)"
    assert parse_group(repr(left)) == left
    assert (SO(2) * Z(2)) * C(3) == SO(2) * (Z(2) * C(3))


def test_the_order_of_the_factors_matters() -> None:
    assert Z(2) * Z(3) != Z(3) * Z(2)


def test_a_product_with_anything_else_is_a_type_error() -> None:
    for other in (3, "Z(3)", None, np.eye(3).tolist()):
        with pytest.raises(TypeError):
            Z(3) * other  # type: ignore[operator]
        with pytest.raises(TypeError):
            other * Z(3)  # type: ignore[operator]


def test_a_product_too_large_is_refused() -> None:
    with pytest.raises(TooLarge, match="the product would need 2,549,239,200 matrix entries"):
        SO(30) * SO(2) * SO(29)
    with pytest.raises(TooLarge):
        Z(10**4) * Z(10**4)


def test_the_rank_is_that_of_the_factors_reps_side_by_side() -> None:
    """Maps V⊗W → V⊗W over G × H number those of G on V times those of H on W."""
    for left, right in itertools.combinations((Z(3), S(3), SO(2), C(3)), 2):
        whole = V(left * right)
        parts = [(V(G) >> V(G)).equivariant_basis().shape[1] for G in (left, right)]
        assert (whole >> whole).equivariant_basis().shape[1] == parts[0] * parts[1]
