"""The paper's heuristic for hidden reps."""

from __future__ import annotations

import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.groups import SO, SU, Group, S, Trivial, parse_group
from intertwine.nn import uniform_rep
from intertwine.reps import Scalar, T, V, canonical


def test_it_equals_the_papers_reps_for_its_tasks() -> None:
    found = uniform_rep(384, SO(3))
    expected = 102 * Scalar + 34 * V(SO(3)) + 11 * T(2)(SO(3)) + 3 * T(3)(SO(3))
    assert canonical(found).rep == canonical(expected).rep


@pytest.mark.slow
@laws
@given(st.integers(0, 1000), st.sampled_from(["SO(3)", "O(5)", "SO13p", "SU(3)", "S(4)", "Z(2)"]))
def test_the_rep_has_the_requested_size(ch: int, name: str) -> None:
    assert uniform_rep(ch, parse_group(name)).size() == ch


def test_tensors_are_divided_like_binomial_coefficients() -> None:
    assert str(uniform_rep(24, parse_group("SL(2)"))).count("V*") > 0
    assert uniform_rep(384, SU(3)) == uniform_rep(384, SU(3))


@pytest.mark.parametrize("group", [Group(d=1), Trivial(1), S(1)], ids=repr)
def test_one_dimension(group: Group) -> None:
    assert uniform_rep(7, group).size() == 7


def test_tensors_of_several_groups_share_the_channels_evenly() -> None:
    rotations, swaps = SO(3), S(5)
    found = uniform_rep(384, [rotations, swaps])
    assert found.size() == 384
    channels = {rep: multiplicity * rep.size() for multiplicity, rep in found.terms}
    kinds = {Scalar, V(rotations), V(swaps), V(rotations) ** 2, V(rotations) * V(swaps)}
    assert {*channels} == kinds | {V(swaps) ** 2}
    assert all(30 <= channels[rep] <= 100 for rep in channels)
    assert uniform_rep(384, [rotations]) == uniform_rep(384, rotations)


def test_dual_tensors_of_several_groups_are_divided_too() -> None:
    found = uniform_rep(500, [SU(2), Trivial(1)])
    assert found.size() == 500
    text = str(found)
    assert "V(SU(2))⊗V(SU(2))*" in text
    assert str(uniform_rep(5, [])) == "5V⁰"
