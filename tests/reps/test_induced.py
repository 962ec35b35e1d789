"""Regular reps, permutations of cosets, and induced reps of finite groups."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from intertwine.errors import InvalidRep, TooLarge
from intertwine.groups import Q8, SO, D, Group, Icosahedral, Octahedral, Pauli, RubiksCube, S
from intertwine.irreps import decompose
from intertwine.operators import Permutation, dense
from intertwine.reps import Induce, Quotient, Regular, Rep, Restrict, V
from intertwine.reps.generator_images import images

FINITE = [S(3), D(5), Q8(), Octahedral(), Pauli(3, 1)]


@pytest.mark.parametrize("group", FINITE, ids=repr)
def test_every_map_from_the_regular_rep_is_given_by_one_vector(group: Group) -> None:
    """dim Hom(ℝ[G], W) = dim W."""
    regular = Regular(group)
    assert all(isinstance(h, Permutation) for h in images(regular).discrete)
    assert regular.equivariant_basis().rank == 1
    assert (regular >> V(group)).equivariant_basis().rank == group.d
    given = Rep.from_generators(group, images(regular).discrete)
    assert given == regular


@pytest.mark.parametrize(("group", "order"), [(S(4), 24), (Q8(), 8), (Icosahedral(), 60)], ids=repr)
def test_its_size_is_the_order(group: Group, order: int) -> None:
    assert Regular(group).size() == order
    assert (Regular(group) >> Regular(group)).equivariant_basis().rank == order


def test_every_irrep_occurs_as_often_as_its_dimension_says() -> None:
    parts = decompose(Regular(S(4))).multiplicities
    assert sorted((irrep.size(), m) for irrep, m in parts.items()) == [
        (1, 1), (1, 1), (2, 2), (3, 3), (3, 3),
    ]  # fmt: skip


def test_points_are_cosets_of_a_stabiliser() -> None:
    group = S(5)
    points = Quotient(group, [[k] for k in range(1, 4)])  # the transpositions that fix one point
    assert points.size() == 5
    assert (points >> V(group)).equivariant_basis().rank == 2
    assert Quotient(group, S(5)).size() == 1
    assert Quotient(D(6), [[1]]).size() == 6
    assert (Quotient(D(6), [[1]]) >> Quotient(D(6), [[1]])).equivariant_basis().rank == 4


CHAINS: list[tuple[Group, Any]] = [
    (S(4), [[0]]),
    (S(4), [[0, 1]]),
    (D(6), [[(0, 2)], [1]]),
    (Octahedral(), [[0]]),
]


@pytest.mark.slow
@pytest.mark.parametrize(("group", "words"), CHAINS, ids=["S(4)", "S(4), 3", "D(6)", "Octahedral"])
def test_frobenius_reciprocity(group: Group, words: Any) -> None:
    """dim Hom_G(W, Ind R) = dim Hom_H(Res W, R), also for R that is not trivial."""
    below = Restrict(V(group), words)
    subgroup = below.G
    for part in decompose(below).multiplicities:
        induced = Induce(part, group)
        assert induced.size() == part.size() * Quotient(group, words).size()
        checked = Rep.from_generators(group, images(induced).discrete)
        assert checked == induced
        for irrep in decompose(V(group) ** 2).multiplicities:
            above = (irrep >> induced).equivariant_basis().rank
            assert above == (Restrict(irrep, subgroup) >> part).equivariant_basis().rank


def test_maps_to_an_induced_rep_are_maps_of_the_restriction() -> None:
    part = V(D(5)).G
    below = Restrict(V(D(5)), [[1]])
    induced = Induce(below, part)
    assert induced.size() == 10
    assert (V(D(5)) >> induced).equivariant_basis().rank == (
        (below >> below).equivariant_basis().rank
    )


def test_the_trivial_rep_induces_the_permutations_of_cosets() -> None:
    subgroup = Restrict(V(S(4)), [[0, 1]]).G
    trivial = Rep.from_generators(subgroup, [[0]])
    assert Induce(trivial, S(4)) == Quotient(S(4), subgroup)


def test_induction_in_stages() -> None:
    group = S(4)
    middle = Restrict(V(group), [[0], [1]]).G
    lower = Restrict(V(group), [[0, 1]]).G
    part = V(lower)
    at_once, in_stages = Induce(part, group), Induce(Induce(part, middle), group)
    assert at_once.size() == in_stages.size()
    ranks = [(rep >> rep).equivariant_basis().rank for rep in (at_once, in_stages)]
    assert ranks[0] == ranks[1] == (at_once >> in_stages).equivariant_basis().rank


def test_rho_of_an_element_is_a_product_of_generators() -> None:
    induced = Induce(Restrict(V(D(4)), [[1]]), D(4))
    elements = D(4).samples(4, seed=3)
    for g, h in pairwise(elements):
        product = induced.rho(g) @ induced.rho(h)
        assert np.abs(induced.rho(g @ h) - product).max() < 1e-12
    assert np.asarray(dense(images(induced).discrete[0])).shape == (8, 8)


def test_what_is_not_finite_or_too_large_is_refused() -> None:
    with pytest.raises(InvalidRep, match="is not finite"):
        Regular(SO(3))
    with pytest.raises(TooLarge, match="at most 20,000 elements"):
        Regular(RubiksCube())
    with pytest.raises(InvalidRep, match="is not a subgroup of"):
        Quotient(D(4), D(3))
    with pytest.raises(InvalidRep, match="of the same size"):
        Quotient(D(4), S(3))
    with pytest.raises(InvalidRep, match="induce a rep over one"):
        Induce(V, D(4))
