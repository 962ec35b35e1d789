"""Cubes: the broken ones cannot be solved and the solvable ones can, by the groups themselves."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from intertwine.datasets import BrokenRubiksCube, Dataset, InvertedCube
from intertwine.datasets.scrambling import scrambled
from intertwine.groups import Cube, RubiksCube
from sympy.combinatorics import Permutation, PermutationGroup

SOLVED = np.repeat(np.arange(6), 8)


def _turns(group: Any) -> list[list[int]]:
    return [h.indices.tolist() for h in group.group_generators]


def _rotations() -> list[tuple[int, ...]]:
    """Return all 24, by multiplying until nothing is new."""
    turns, found = _turns(Cube()), {tuple(range(6))}
    fresh = list(found)
    while fresh:
        fresh = list({tuple(g[i] for i in turn) for g in fresh for turn in turns} - found)
        found.update(fresh)
    return sorted(found)


def _colours(data: Dataset) -> np.ndarray:
    """Return the colour at each place, of shape (n, places)."""
    return data.X.reshape(len(data), 6, -1).argmax(axis=1)


class TestInvertedCube:
    def test_the_training_set_is_a_cube_and_its_mirror_image(self) -> None:
        data = InvertedCube()
        assert data.X.shape == (2, 36)
        assert data.Y.tolist() == [1, 0]
        assert [data.classes[y] for y in data.Y] == ["solved", "inverted"]
        np.testing.assert_array_equal(data.X[0].reshape(6, 6), np.eye(6))
        # opposite faces have changed places
        np.testing.assert_array_equal(_colours(data)[1], [1, 0, 3, 2, 5, 4])

    def test_no_rotation_takes_one_to_the_other(self) -> None:
        solved, inverted = _colours(InvertedCube())
        orbit = {tuple(solved[list(g)]) for g in _rotations()}
        assert len(orbit) == 24
        assert tuple(inverted) not in orbit

    def test_the_test_set_holds_both_in_all_orientations(self) -> None:
        data = InvertedCube(train=False, n=2400)
        seen = Counter((int(y), *map(int, c)) for y, c in zip(data.Y, _colours(data), strict=True))
        train = InvertedCube()
        expected = {
            (int(y), *(int(c[i]) for i in g))
            for y, c in zip(train.Y, _colours(train), strict=True)
            for g in _rotations()
        }
        assert set(seen) == expected
        assert len(expected) == 48
        chi_squared = sum((count - 50) ** 2 / 50 for count in seen.values())
        assert chi_squared < 90  # 46 degrees of freedom: this far once in 20,000 times

    def test_rho_moves_the_data_as_a_rotation_moves_the_cube(self) -> None:
        data = InvertedCube()
        g = Cube().sample()
        moved = data.X @ data.rep_in(data.symmetry).rho_dense(g).T
        np.testing.assert_array_equal(moved.reshape(2, 6, 6), data.X.reshape(2, 6, 6) @ g.T)

    def test_its_default_test_set_is_that_of_the_published_code(self) -> None:
        assert len(InvertedCube(train=False)) == 100
        assert InvertedCube(train=False).Y.mean() == 0.5


class TestBrokenRubiksCube:
    group = PermutationGroup([Permutation(turn) for turn in _turns(RubiksCube())])

    def pieces(self) -> list[list[int]]:
        """Return the facelets of each piece: those that the same turns move."""
        moved = np.array([np.array(turn) != np.arange(48) for turn in _turns(RubiksCube())])
        columns = [tuple(column) for column in moved.T]
        return [[i for i in range(48) if columns[i] == c] for c in dict.fromkeys(columns)]

    def assembly(self, colours: np.ndarray) -> Permutation:
        """Return the only assembly of the pieces that shows these colours."""
        came_from = {frozenset(SOLVED[piece].tolist()): piece for piece in self.pieces()}
        assert len(came_from) == 20, "no two pieces have the same colours"
        indices = list(range(48))
        for piece in self.pieces():
            source = came_from[frozenset(colours[piece].tolist())]
            for place in piece:
                (indices[place],) = [i for i in source if SOLVED[i] == colours[place]]
        np.testing.assert_array_equal(SOLVED[indices], colours)
        return Permutation(indices)

    def test_the_group_is_that_of_the_cube(self) -> None:
        assert self.group.order() == 43_252_003_274_489_856_000
        assert sorted(map(len, self.pieces())) == [2] * 12 + [3] * 8

    def test_one_training_state_can_be_solved_and_the_eleven_others_cannot(self) -> None:
        data = BrokenRubiksCube()
        assert data.X.shape == (22, 288)
        for colours, y in zip(_colours(data), data.Y, strict=True):
            assert self.group.contains(self.assembly(colours)) == bool(y)
            assert bool(y) == np.array_equal(colours, SOLVED)
        assert data.Y.sum() == 11

    def test_the_twelve_states_are_one_of_each_class(self) -> None:
        data = BrokenRubiksCube()
        states = [SOLVED, *_colours(data)[data.Y == 0]]
        assemblies = [self.assembly(colours) for colours in states]
        assert len(assemblies) == 12
        for one, other in combinations(assemblies, 2):
            # linked by turns exactly if other = one·g for a g of the group, which is normal
            assert not self.group.contains(~one * other)
            assert not self.group.contains(other * ~one)

    def test_scrambling_keeps_the_class_of_a_cube(self) -> None:
        data = BrokenRubiksCube(train=False, n=44)
        for colours, y in zip(_colours(data), data.Y, strict=True):
            assert self.group.contains(self.assembly(colours)) == bool(y)
        assert len({row.tobytes() for row in data.X}) == 44

    def test_scrambled_pieces_are_uniformly_distributed(self) -> None:
        """Each piece visits each place of its kind about equally often."""
        n = 4800
        labels = np.tile(np.arange(48), (n, 1))
        moved = scrambled(labels, RubiksCube(), np.random.default_rng(0))
        corners = {i for piece in self.pieces() if len(piece) == 3 for i in piece}
        for facelets in (corners, set(range(48)) - corners):
            place = min(facelets)
            counts = Counter(moved[:, place].tolist())
            assert set(counts) == facelets
            chi_squared = sum((count - n / 24) ** 2 / (n / 24) for count in counts.values())
            assert chi_squared < 55  # 23 degrees of freedom: this far once in 5,000 times

    def test_every_turn_keeps_the_class_of_a_cube_as_rho_moves_it(self) -> None:
        data = BrokenRubiksCube()
        turn = RubiksCube().group_generators[0]
        rho = data.rep_in(data.symmetry).rho_dense(np.asarray(turn.dense()))
        moved = (data.X @ rho.T).reshape(-1, 6, 48).argmax(axis=1)
        for colours, y in zip(moved, data.Y, strict=True):
            assert self.group.contains(self.assembly(colours)) == bool(y)

    def test_its_default_test_set_is_that_of_the_published_code(self) -> None:
        data = BrokenRubiksCube(train=False)
        assert len(data) == 440
        assert data.Y.mean() == 0.5
        assert [data.classes[y] for y in (0, 1)] == ["broken", "solvable"]


@pytest.mark.parametrize("make", [InvertedCube, BrokenRubiksCube])
class TestBoth:
    def test_channels_are_one_hot_and_labels_integers_beside_two_scores(self, make: Any) -> None:
        data = make(train=False, n=30)
        np.testing.assert_array_equal(data.X.reshape(30, 6, -1).sum(axis=1), 1)
        assert data.Y.shape == (30,)
        assert data.Y.dtype == np.int64
        assert str(data.rep_out) == "2V⁰"
