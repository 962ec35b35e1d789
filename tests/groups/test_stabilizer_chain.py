"""Stabilizer chains against known orders, and against SymPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.laws import laws
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.groups import Group, RubiksCube, S
from intertwine.groups.element_tables import signed_points
from intertwine.groups.stabilizer_chain import KernelFound, PermutationImages, StabilizerChain
from intertwine.operators import Permutation, as_signed_permutation


def _moves(group: Group) -> list[Permutation]:
    found = [as_signed_permutation(h) for h in group.group_generators]
    return [move for move in found if move is not None]


def _chain(moves: list[Permutation], images: list[Permutation]) -> StabilizerChain | None:
    n = images[0].shape[0]
    points = [signed_points(image) for image in images]
    return StabilizerChain.of(moves, points, np.arange(2 * n), PermutationImages(n))


@pytest.mark.parametrize(
    ("group", "order"),
    [(S(10), math.factorial(10)), (RubiksCube(), 43_252_003_274_489_856_000)],
    ids=["S(10)", "Rubik"],
)
def test_orders_are_the_known_ones(group: Group, order: int) -> None:
    chain = _chain(_moves(group), _moves(group))
    assert chain is not None
    assert chain.order == order


@settings(laws, max_examples=15)
@given(st.lists(st.permutations(range(7)), min_size=1, max_size=3))
def test_orders_agree_with_sympy(generators: list[list[int]]) -> None:
    from sympy.combinatorics import Permutation as SymPyPermutation
    from sympy.combinatorics import PermutationGroup

    moves = [Permutation(p) for p in generators]
    chain = _chain(moves, moves)
    known = PermutationGroup([SymPyPermutation(p) for p in generators]).order()
    assert chain is not None
    assert chain.order == known


def test_an_element_has_the_image_of_its_words_and_others_have_none() -> None:
    group = Group.from_permutations("(1,2,3),(3,4,5)")  # A(5)
    moves = _moves(group)
    chain = _chain(moves, moves)
    assert chain is not None
    product = Permutation(moves[1].indices[moves[0].indices])
    assert np.array_equal(chain.image(product), signed_points(product))
    assert chain.image(Permutation([1, 0, 2, 3, 4])) is None


def test_a_kernel_is_found() -> None:
    a, b = _moves(Group.from_permutations("(1,2,3,4,5,6,7),(2,3)(4,7)"))
    one, other = Permutation([0, 1]), Permutation([1, 0])
    with pytest.raises(KernelFound):
        _chain([a, b], [one, other])  # PSL(2, 7) has no sign
