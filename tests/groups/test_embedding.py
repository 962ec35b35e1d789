"""A group acting on some coordinates of a larger space."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.errors import InvalidGroup, TooLarge
from intertwine.groups import SO, Embed, SO2eR3, SO13p, Z, parse_group


@laws
@given(
    st.sampled_from(["SO(2)", "O(3)", "S(3)", "D(4)", "SO13p()", "U(2)"]),
    st.integers(0, 3).flatmap(lambda more: st.permutations(range(4 + more))),
)
def test_the_slots_are_acted_on_and_the_rest_is_left_alone(name: str, order: list[int]) -> None:
    G, d = parse_group(name), len(order)
    slots = order[: G.d]
    rest = [i for i in range(d) if i not in slots]
    embedded = Embed(G, d, slots)
    assert embedded.d == d
    for g in embedded.samples(2):
        assert not g[np.ix_(slots, rest)].any()
        assert not g[np.ix_(rest, slots)].any()
        np.testing.assert_array_equal(g[np.ix_(rest, rest)], np.eye(len(rest)))
    for found, original, elsewhere in (
        (embedded.lie_generators, G.lie_generators, 0),
        (embedded.group_generators, G.group_generators, 1),
    ):
        for generator, matrix in zip(found, original, strict=True):
            whole = np.asarray(generator)
            np.testing.assert_array_equal(whole[np.ix_(slots, slots)], np.asarray(matrix))
            np.testing.assert_array_equal(whole[np.ix_(rest, rest)], elsewhere * np.eye(len(rest)))


@pytest.mark.parametrize(
    "slots", [slice(2), [0, 1], (0, 1), np.array([0, 1]), range(2), [True, True, False], [-3, -2]]
)
def test_slots_are_whatever_picks_coordinates(slots: Any) -> None:
    assert Embed(SO(2), 3, slots) == SO2eR3()


def test_the_order_of_the_slots_is_the_order_of_the_coordinates() -> None:
    turned = Embed(SO(2), 3, [2, 0]).lie_algebra[0]
    np.testing.assert_array_equal(turned[np.ix_([2, 0], [2, 0])], SO(2).lie_algebra[0])


def test_samples_keep_the_scale_of_the_group() -> None:
    """Boosts are drawn by 0.3 in a larger space too."""
    inner, outer = SO13p().samples(50), Embed(SO13p(), 6, slice(4)).samples(50)
    assert np.abs(outer).max() == pytest.approx(np.abs(inner).max())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (SO(3), 2, slice(2)),
            "SO(3) acts on 3 coordinates; the slots slice(None, 2, None) of 2 give [0, 1]",
        ),
        ((SO(2), 4, [1, 1]), "SO(2) acts on 2 coordinates; the slots [1, 1] of 4 give [1, 1]"),
        ((SO(2), 4, [1]), "SO(2) acts on 2 coordinates; the slots [1] of 4 give [1]"),
    ],
)
def test_slots_that_do_not_fit_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(InvalidGroup) as error:
        Embed(*arguments)
    assert str(error.value) == message


@pytest.mark.parametrize("slots", [[1, 7], [-9, 0], ["a", "b"], [0.5, 1.5], [[0, 1]], 1])
def test_invalid_slots_are_refused(slots: Any) -> None:
    with pytest.raises(InvalidGroup, match="slots"):
        Embed(SO(2), 4, slots)


def test_an_embedding_too_large_is_refused() -> None:
    with pytest.raises(TooLarge, match="an embedding into 1000000 dimensions"):
        Embed(Z(2), 10**6, slice(2))
