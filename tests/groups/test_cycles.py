"""Permutation groups by cycles, as values and in GAP's notation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.errors import InvalidGroup, ParseError
from intertwine.groups import Group, S, Z
from intertwine.groups.enumeration import enumerate_elements
from intertwine.operators import dense
from sympy.combinatorics import Permutation as SymPyPermutation
from sympy.combinatorics import PermutationGroup


def test_a_cycle_takes_each_unit_vector_to_the_next() -> None:
    group = Group.from_permutations([[(0, 1, 2), (3, 4)]])
    (h,) = (np.asarray(dense(each)) for each in group.group_generators)
    for start, end in ((0, 1), (1, 2), (2, 0), (3, 4), (4, 3)):
        np.testing.assert_array_equal(h @ np.eye(5)[start], np.eye(5)[end])


def test_the_notation_of_gap_counts_from_one() -> None:
    group = Group.from_permutations([[(0, 1, 2), (3, 4)], [(0, 1)]])
    assert Group.from_permutations("(1,2,3)(4,5), (1,2)") == group
    assert Group.from_permutations(" ( 1, 2 ,3 )( 4,5 ),(1,2)") == group


def test_the_order_is_known() -> None:
    """M11, by its generators in the ATLAS of finite group representations."""
    text = "(2,10)(4,11)(5,7)(8,9), (1,4,3,8)(2,5,6,9)"
    known = enumerate_elements(Group.from_permutations(text, name="M11"))
    assert known is not None
    assert known.order == 7920


def test_fixed_points_count() -> None:
    assert Group.from_permutations([[(0, 1)]], d=5).d == 5
    assert Group.from_permutations("()", d=3).d == 3
    assert Group.from_permutations([[(0, 1)], []]).d == 2
    assert Group.from_permutations("(1,2),(1,3)") == Group.from_permutations([[(0, 1)], [(0, 2)]])
    assert Group.from_permutations("(1,2)(3)").d == 3


def test_known_groups() -> None:
    assert Group.from_permutations("(1,2,3,4)").content_digest in {
        Z(4).content_digest,
        Group(discrete_generators=[[1, 2, 3, 0]]).content_digest,
    }
    assert Group.from_permutations("(1,2),(1,3),(1,4)") == S(4)
    assert repr(Group.from_permutations("(1,2)", name="swap")) == "swap"


@laws
@given(st.lists(st.permutations(range(6)), min_size=1, max_size=2))
def test_orders_agree_with_sympy(images: list[list[int]]) -> None:
    permutations = [SymPyPermutation(image) for image in images]
    group = Group.from_permutations([p.cyclic_form for p in permutations], d=6)
    known = enumerate_elements(group)
    assert known is not None
    assert known.order == PermutationGroup(permutations).order()


@pytest.mark.parametrize(
    ("cycles", "message"),
    [
        ([[(0, 1), (1, 2)]], "have a coordinate twice"),
        ([(0, 1)], "a permutation is a list of cycles"),
        ([[(0, -1)]], "coordinates from -1 to 0"),
        ([[(0, 1.5)]], "a cycle consists of integers, not 1.5"),
        ([["01"]], "a permutation is a list of cycles"),
        ("(1,1)", "have a coordinate twice"),
        ("(1,1000000000000)", "at most 1,000,000,000"),
    ],
)
def test_invalid_cycles_are_refused(cycles: Any, message: str) -> None:
    with pytest.raises(InvalidGroup, match=message):
        Group.from_permutations(cycles)


@pytest.mark.parametrize(
    ("text", "place"),
    [("", 1), ("(1,2", 5), ("(0,1)", 2), ("(1 2)", 4), ("(1,2),", 7), ("(a)", 2), ("(1,2)x", 6)],
)  # fmt: skip
def test_invalid_texts_are_refused_with_the_position(text: str, place: int) -> None:
    with pytest.raises(ParseError, match=f"at character {place}"):
        Group.from_permutations(text)


def test_too_few_dimensions_are_refused() -> None:
    with pytest.raises(InvalidGroup, match="from 0 to 5, and d=3"):
        Group.from_permutations([[(0, 5)]], d=3)
