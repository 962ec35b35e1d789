"""`vis`: the picture of the equivariant maps between two reps."""

from __future__ import annotations

import re
from typing import Any

import intertwine.reps
import numpy as np
import pytest
from helpers.program import python
from intertwine.errors import InvalidRep, NotConcrete, TooLarge
from intertwine.groups import SO, O, S, U, Z
from intertwine.reps import Scalar, V
from intertwine.vis import TermMatrix, draw_basis, draw_invariants, draw_maps, term_matrices, vis
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PNG = b"\x89PNG\r\n\x1a\n"


def image(axes: Axes) -> Any:
    return np.asarray(axes.get_images()[0].get_array())


def colours(axes: Axes) -> int:
    return len(np.unique(image(axes).reshape(-1, 3), axis=0))


def test_a_permutation_group_has_a_colour_an_orbit() -> None:
    drawn = image(vis(V(S(4)), V(S(4))))
    assert drawn.shape == (4, 4, 3)
    assert np.all(drawn[np.eye(4) == 1] == drawn[0, 0])
    assert np.all(drawn[np.eye(4) == 0] == drawn[0, 1])
    assert np.any(drawn[0, 0] != drawn[0, 1])
    assert colours(vis(V(S(4)) ** 2, V(S(4)) ** 2)) == 15


def test_a_cyclic_group_has_a_colour_a_diagonal() -> None:
    drawn = image(vis(V(Z(6)), V(Z(6))))
    i, j = np.indices((6, 6))
    for shift in range(6):
        assert np.all(drawn[(j - i) % 6 == shift] == drawn[0, shift])
    assert len({tuple(colour) for colour in drawn[0]}) == 6


def test_the_matrix_has_the_shape_of_the_maps() -> None:
    assert image(vis(V(SO(3)), V(SO(3)) ** 2)).shape == (9, 3, 3)


def test_signs_are_visible_as_tint_and_as_minus() -> None:
    axes = vis(V(SO(3)) ** 2, V(SO(3)))
    assert colours(axes) == 3  # zero, plus, minus
    epsilon = np.zeros((3, 3, 3))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        epsilon[i, j, k], epsilon[i, k, j] = 1, -1
    minus = {(round(y), round(x)) for x, y in (text.get_position() for text in axes.texts)}
    assert {text.get_text() for text in axes.texts} == {"−"}
    assert minus == set(map(tuple, np.argwhere(epsilon.reshape(3, 9) == -1)))
    plain = image(vis(V(SO(3)) ** 2, V(SO(3)), cluster=False))
    signs = np.sign(plain[..., 2].astype(int) - plain[..., 0])  # bluer than red
    zero = np.all(plain == plain[0, 0], axis=-1)
    assert np.array_equal(zero, epsilon.reshape(3, 9) == 0)
    assert abs(np.sum(signs * epsilon.reshape(3, 9))) == 6


def test_without_clusters_the_entries_of_an_equivariant_matrix_are_drawn() -> None:
    W = V(SO(3)) ** 2
    plain, clustered = (image(vis(W, W, cluster=c)).reshape(-1, 3) for c in (False, True))
    for colour in np.unique(clustered, axis=0):  # they tell the same entries apart
        members = np.all(clustered == colour, axis=1)
        assert len(np.unique(plain[members], axis=0)) == 1
    assert len(np.unique(plain, axis=0)) == len(np.unique(clustered, axis=0)) == 5


def test_over_the_complex_numbers_the_phase_is_the_hue() -> None:
    W = (V * V.T)(U(2))
    assert colours(vis(W, W)) == 4
    assert colours(vis(W, W, cluster=False)) == 4


@pytest.mark.parametrize(
    ("rep_in", "rep_out", "title"),
    [
        (V(SO(3)), V(SO(3)) ** 2, "V → V² over SO(3): rank 1"),
        (V(O(3)), V(O(3)) ** 2, "V → V² over O(3): rank 0"),
        (
            V(Z(3)) * V(S(4)),
            V(O(3)) + Scalar,
            "V(Z(3))⊗V(S(4)) → V+V⁰: rank 1",
        ),
        (
            (5 * V + V**2 + 3 * V + V**2 + 3 * V + V**2 + 3 * V + V**2 + 3 * V)(S(3)),
            Scalar,
            "5V+V²+3V+V²+3V+V²+3V+V²+3V → V⁰ over S(3): rank 25",
        ),
        (
            sum(((1 + i) * V(S(3)) ** (1 + i % 2) for i in range(12)), Scalar),
            Scalar,
            "V⁰+V+2V²+3V+4V²+5V+6V²+7V+8V²+9V+10… → V⁰ over S(3): rank 121",
        ),
    ],
)
def test_the_title_has_the_reps_and_the_rank(rep_in: Any, rep_out: Any, title: str) -> None:
    assert vis(rep_in, rep_out).get_title() == title


def test_the_title_can_be_left_out_or_replaced() -> None:
    assert vis(V(S(3)), V(S(3)), title=False).get_title() == ""
    assert vis(V(S(3)), V(S(3)), title="two weights").get_title() == "two weights"


def test_without_maps_every_entry_is_zero() -> None:
    assert colours(vis(V(O(3)), V(O(3)) ** 2)) == 1
    assert colours(vis(V(O(3)), V(O(3)) ** 2, cluster=False)) == 1


def test_the_terms_of_the_reps_are_marked_where_they_end() -> None:
    rep_in, rep_out = (2 * V + 3)(SO(3)), (V**2 + 1 + V)(SO(3))
    axes = vis(rep_in, rep_out)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2V", "3V⁰"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["V²", "V⁰", "V"]
    assert list(axes.get_xticks()) == [2.5, 7.0]
    ends = [[round(float(v), 3) for v in np.ravel(line.get_data())] for line in axes.lines]
    assert ends == [[5.5, 5.5, 0, 1], [0, 1, 8.5, 8.5], [0, 1, 9.5, 9.5]]


def test_reps_without_a_group_get_G() -> None:
    assert vis(V, V(SO(3)) ** 2, G=SO(3)).get_title() == "V → V² over SO(3): rank 1"
    with pytest.raises(NotConcrete, match="V² has no group yet"):
        vis(V(SO(3)), V**2)


def test_it_draws_on_the_given_axes() -> None:
    left, right = Figure().subplots(1, 2)
    assert vis(V(S(4)), V(S(4)), ax=right) is right
    assert len(right.get_images()) == 1
    assert not left.get_images()


def test_without_axes_a_notebook_shows_the_picture() -> None:
    axes: Any = vis(V(S(4)), V(S(4)))
    assert isinstance(axes, Axes)
    assert axes._repr_png_().startswith(PNG)


def test_the_same_reps_give_the_same_picture() -> None:
    W = V(SO(3)) ** 2
    for cluster in (True, False):
        first, second = (vis(W, W, cluster)._repr_png_() for _ in range(2))
        assert first == second


def test_a_basis_of_any_kind_is_drawn_by_its_span() -> None:
    basis = (V >> V)(S(4)).equivariant_basis()
    turned = basis.dense() @ np.array([[1.0, 2.0], [3.0, 4.0]])
    expected = image(vis(V(S(4)), V(S(4))))
    np.testing.assert_array_equal(image(draw_basis(basis, (4, 4))), expected)
    np.testing.assert_array_equal(image(draw_basis(turned, (4, 4))), expected)
    complaint = "matrices of shape (3, 4) have 12 entries; the basis has 16 rows"
    with pytest.raises(InvalidRep, match=f"^{re.escape(complaint)}$"):
        draw_basis(basis, (3, 4))


def test_too_large_pictures_are_refused_before_solving() -> None:
    with pytest.raises(
        TooLarge,
        match=re.escape(
            "a matrix of shape (59049, 59049) has 3,486,784,401 entries; at most 4,000,000 are "
            "drawn. Draw a smaller rep of the same kind, or parts of it"
        ),
    ):
        vis(V(SO(3)) ** 10, V(SO(3)) ** 10)
    with pytest.raises(InvalidRep, match=r"^a matrix of shape \(3, 0\) has no entries to draw$"):
        vis(0 * V(SO(3)), V(SO(3)))


def test_slim_matrices_have_oblong_entries() -> None:
    axes = vis((V**4)(SO(3)), (2 * V**0 + V**0)(SO(3)))
    assert axes.get_aspect() == "auto"
    assert vis(V(SO(3)), V(SO(3)) ** 2).get_aspect() == 1


def test_the_names_of_emlp_are_exported() -> None:
    assert intertwine.reps.vis is vis is draw_maps
    assert intertwine.reps.sparsify_basis is intertwine.vis.sparsify_basis


def test_pyplot_is_unchanged_and_no_display_is_needed() -> None:
    program = """
import sys
from intertwine.reps import V, vis
from intertwine.groups import S
assert "matplotlib" not in sys.modules
vis(V(S(4)), V(S(4))).figure.savefig("/dev/null", format="png")
print("matplotlib.pyplot" in sys.modules)
"""
    assert python(program).split() == ["False"]


class TestInvariants:
    def test_terms_are_matrices_side_by_side_in_their_order(self) -> None:
        rep = (V**3 + 5 * Scalar + V)(SO(3))
        assert term_matrices(rep) == (
            TermMatrix("V³", 9, 3),
            TermMatrix("5V⁰", 5, 1),
            TermMatrix("V", 3, 1),
        )
        panels = draw_invariants(rep).axes
        assert [image(axes).shape for axes in panels] == [(9, 3, 3), (5, 1, 3), (3, 1, 3)]
        assert [axes.get_title(loc="left") for axes in panels] == ["V³", "5V⁰", "V"]
        assert [colours(axes) for axes in panels] == [3, 5, 1]

    def test_a_basis_that_is_given_is_drawn(self) -> None:
        rep = (V**2)(S(3))
        basis = rep.equivariant_basis()
        drawn = image(draw_invariants(rep, basis, title="S(3)").axes[0])
        assert np.array_equal(drawn, image(draw_invariants(rep).axes[0]))
        assert np.array_equal(drawn, image(draw_maps(V(S(3)), V(S(3)), basis=basis)))

    def test_too_many_terms_are_refused(self) -> None:
        many = sum((V**k for k in range(1, 14)), V**0)(Z(1))
        with pytest.raises(TooLarge, match="14 terms side by side; at most 12"):
            draw_invariants(many)


def test_without_matplotlib_the_error_says_what_to_install() -> None:
    program = """
import sys
sys.modules["matplotlib"] = None  # which is how Python is told that there is none
import intertwine.vis
from intertwine.errors import Unavailable
from intertwine.groups import S
from intertwine.reps import V
print(intertwine.vis.orbit_labels((V >> V)(S(3)).equivariant_basis()).number)
try:
    intertwine.vis.vis(V(S(4)), V(S(4)))
except Unavailable as error:
    print(error)
"""
    said = python(program).splitlines()
    assert said == [
        "2",
        "pictures are drawn by Matplotlib, which is not installed: pip install 'intertwine[vis]'",
    ]
