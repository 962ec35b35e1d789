"""The cube and Rubik's cube, from the geometry of a turn."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from intertwine.groups import Cube, Group, RubiksCube
from intertwine.reps import V
from sympy.combinatorics import Permutation, PermutationGroup


def _generated(G: Group) -> PermutationGroup:
    return PermutationGroup([Permutation(list(map(int, h.indices))) for h in G.group_generators])


def test_rubiks_cube_is_the_real_one() -> None:
    """Its order is 8! 3⁷ 12! 2¹⁰, as that of the toy; counted by Schreier and Sims in SymPy."""
    order = _generated(RubiksCube()).order()
    assert order == 43_252_003_274_489_856_000
    assert order == 40_320 * 3**7 * 479_001_600 * 2**10


def test_it_has_nine_equivariant_maps() -> None:
    """Corners and edges are two orbits, of 24 facelets in blocks of three and of two.

    Pairs of corner facelets fall into: the same, the two neighbours on its corner (two orbits, for
    corners have an orientation), others; pairs of edge facelets into the same, its neighbour,
    others; and corner with edge, edge with corner: 4 + 3 + 1 + 1.
    """
    W = V(RubiksCube())
    assert (W >> W).equivariant_basis().shape == (48 * 48, 9)
    assert W.equivariant_basis().shape == (48, 2)


def test_its_facelets_are_two_orbits_of_corners_and_edges() -> None:
    orbits = _generated(RubiksCube()).orbits()
    assert sorted(map(len, orbits)) == [24, 24]


@pytest.mark.parametrize("face", range(6))
def test_a_turn_moves_its_face_and_the_rows_around_it(face: int) -> None:
    """Twenty facelets in five cycles of four: two of the face, three of the sides."""
    turn = Permutation(list(map(int, RubiksCube().group_generators[face].indices)))
    assert sorted(map(len, turn.cyclic_form)) == [4] * 5
    assert turn.order() == 4


def test_opposite_faces_commute_and_neighbours_do_not() -> None:
    turns = [Permutation(list(map(int, h.indices))) for h in RubiksCube().group_generators]
    commuting = {
        (i, j) for i, j in combinations(range(6), 2) if turns[i] * turns[j] == turns[j] * turns[i]
    }
    assert commuting == {(0, 1), (2, 3), (4, 5)}
    commutator = turns[0] * turns[2] * turns[0] ** -1 * turns[2] ** -1
    assert commutator.order() == 6  # as every cuber knows


def test_the_cube_turns_as_a_whole() -> None:
    group = _generated(Cube())
    assert group.order() == 24
    assert group.is_transitive()
    opposite = {frozenset({0, 1}), frozenset({2, 3}), frozenset({4, 5})}
    for h in Cube().group_generators:
        p = [int(i) for i in h.indices]
        assert {frozenset({p[a], p[b]}) for a, b in map(tuple, opposite)} == opposite


def test_the_rotations_of_the_cube_have_the_maps_of_their_orbits() -> None:
    """A face, its opposite, and the four around it: three orbits of pairs."""
    W = V(Cube())
    assert (W >> W).equivariant_basis().shape == (36, 3)


def test_they_are_the_rotations_of_space_that_permute_the_axes() -> None:
    """Each generator is the permutation of the six unit vectors by a rotation matrix."""
    faces = np.array([s * e for e in np.eye(3) for s in (1, -1)])
    for h in Cube().group_generators:
        moved = faces[[int(i) for i in h.indices]]
        rotation = np.linalg.lstsq(faces, moved, rcond=None)[0]
        np.testing.assert_allclose(faces @ rotation, moved, atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)
