"""Tiles: parts of the picture of a basis, in the colours of the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from intertwine.errors import InvalidRep, TooLarge
from intertwine.groups import SO, S
from intertwine.reps import V
from intertwine.vis import draw_maps, draw_tile, orbit_labels
from matplotlib.axes import Axes


def image(axes: Axes) -> Any:
    return np.asarray(axes.get_images()[0].get_array())


def numbers(axis: Any) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


def test_it_has_the_colours_of_the_whole() -> None:
    rep = V(S(4)) ** 2
    basis = (rep >> rep).equivariant_basis()
    whole = image(draw_maps(rep, rep, basis=basis))
    for row, column, size in ((0, 0, 32), (3, 5, 4), (12, 14, 8), (15, 15, 1)):
        part = image(draw_tile(basis, (16, 16), row, column, size=size))
        assert np.array_equal(part, whole[row : row + size, column : column + size])


def test_the_axes_have_the_numbers_of_rows_and_columns() -> None:
    axes = draw_tile((V(S(40)) >> V(S(40))).equivariant_basis(), (40, 40), 8, 24, size=16)
    assert numbers(axes.yaxis) == [str(n) for n in range(8, 24, 2)]
    assert numbers(axes.xaxis) == [str(n) for n in range(24, 40, 2)]


def test_negatives_have_a_minus() -> None:
    basis = (V**2 >> V)(SO(3)).equivariant_basis()
    whole, part = draw_tile(basis, (3, 9)), draw_tile(basis, (3, 9), 1, 2, size=2)
    minus, in_part = (
        {tuple(map(round, text.get_position())) for text in axes.texts} for axes in (whole, part)
    )
    assert len(minus) == 3
    assert in_part == {(x - 2, y - 1) for x, y in minus if x in (2, 3) and y in (1, 2)}
    assert in_part


def test_labels_serve_many_tiles_and_a_term_begins_where_the_others_end() -> None:
    labels = orbit_labels((V(S(5)) ** 2 + 3 * V(S(5))).equivariant_basis())
    whole = draw_tile(labels, (40, 1), size=100)
    part = draw_tile(labels, (3, 5), 1, 0, first=25)
    assert np.array_equal(image(part).reshape(-1, 3), image(whole)[30:, 0])


@pytest.mark.parametrize(
    ("shape", "options", "says"),
    [
        ((3, 3), {"row": 3}, "no tile of 32 entries a side from row 3"),
        ((3, 3), {"column": -1}, "from column -1"),
        ((3, 3), {"size": 0}, "tile of 0 entries"),
        ((3, 3), {"size": 101}, "at most 100"),
        ((4, 3), {}, "the coordinates 0 to 11; the basis has 9"),
        ((3, 2), {"first": 4}, "the coordinates 4 to 9"),
        ((3, 3), {"first": -1}, "the coordinates -1"),
    ],
)
def test_parts_outside_are_refused(
    shape: tuple[int, int], options: dict[str, int], says: str
) -> None:
    with pytest.raises(InvalidRep, match=says):
        draw_tile(np.eye(9), shape, **options)


def test_a_very_large_basis_is_refused() -> None:
    with pytest.raises(TooLarge, match="at most 4,000,000"):
        draw_tile(np.ones((4_000_001, 1)), (2, 2))
