"""Blocks of block-diagonal groups."""

from __future__ import annotations

import pytest
from intertwine.errors import InvalidRep
from intertwine.groups import MAGNETIC_CLASSES, SE, SO, MagneticPointGroup
from intertwine.reps import Block, Space, Time, V


def test_the_blocks_of_a_magnetic_group_are_its_base_rep() -> None:
    group = MagneticPointGroup("4'/mm'm")
    for power in (1, 2, 3):
        parts = ((Space + Time) ** power)(group).equivariant_basis().rank
        assert parts == (V**power)(group).equivariant_basis().rank


def test_space_alone_is_the_point_group() -> None:
    for symbol in ("m'-3'm", "6'/m", "4/mmm1'"):
        group = MagneticPointGroup(symbol)
        rank = (Space**4)(group).equivariant_basis().rank
        assert rank == (V**4)(group.point_group).equivariant_basis().rank


@pytest.mark.parametrize("symbol", MAGNETIC_CLASSES[::7])
def test_time_alone_is_invariant_where_nothing_reverses_it(symbol: str) -> None:
    assert Time(MagneticPointGroup(symbol)).equivariant_basis().rank == int("'" not in symbol)


def test_a_group_that_mixes_the_coordinates_is_refused() -> None:
    for group in (SO(4), SE(3)):
        with pytest.raises(InvalidRep, match="mix the coordinates 0 to 2"):
            Space(group)
    with pytest.raises(InvalidRep, match="needs 4 dimensions"):
        Time(SO(3))
    with pytest.raises(InvalidRep, match="from 3 to before 3"):
        Block(3, 3)
