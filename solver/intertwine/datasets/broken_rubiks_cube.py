"""Rubik's cube, and cubes that were taken apart and reassembled wrongly."""

from __future__ import annotations

from itertools import product

import numpy as np
from jaxtyping import Int

from intertwine.datasets.coloured_cube import ColouredCube
from intertwine.datasets.scrambling import scrambled
from intertwine.datasets.settings import group_of_size, random_numbers, truth
from intertwine.groups import Group, RubiksCube
from intertwine.integers import checked_integer
from intertwine.memory import require_memory


class BrokenRubiksCube(ColouredCube):
    """Can the cube be solved? 6V → 2V⁰ (Finzi et al. 2021, §7).

    A point is x of shape (288,): six channels, one per colour, each 1 at the facelets of that
    colour and 0 at the others, for the 48 facelets that `RubiksCube` moves; and y is the class, 1
    for a solvable cube and 0 for a broken one, an int64 of shape (), which a cross-entropy takes as
    the label of two scores.

    A cube can be assembled in 12!·8!·2¹²·3⁸ ways, twelve times the order of the group: the classes
    differ by the twist of the corners (0, 1 or 2 thirds in all), by a flip of an edge, and by an
    exchange of two edges. One of the twelve classes can be solved. The training set is 11 copies of
    the solved cube and the simplest state of each of the other eleven (n = 22); the test set, with
    `train=False`, has them scrambled (n = 440). For other n, solved and broken cubes alternate.

    Raises `InvalidSetting` for invalid arguments, `TooLarge` if n points do not fit into memory.
    """

    classes = ("broken", "solvable")
    """The names of the classes 0 and 1."""

    def __init__(
        self,
        train: bool = True,
        n: int | None = None,
        *,
        symmetry: Group | None = None,
        seed: int = 0,
    ) -> None:
        train = truth(train, "train, before n,")
        n = (22 if train else 440) if n is None else n
        n = checked_integer(n, "n, the number of points,", 1)
        seed = checked_integer(seed, "seed")
        group = group_of_size(
            RubiksCube() if symmetry is None else symmetry, 48, "BrokenRubiksCube"
        )
        require_memory(n * (5 * 288 + 3 * 8 * 48), f"BrokenRubiksCube of {n:,} points")
        solved, *broken = _one_of_each_class()
        solvable = np.arange(n) % 2 == 0
        wrong = np.stack(broken)[np.arange(n) // 2 % len(broken)]
        colours = np.where(solvable[:, None], solved, wrong)
        if not train:
            numbers = random_numbers("BrokenRubiksCube", seed, n=n)
            colours = scrambled(colours, RubiksCube(), numbers)
        super().__init__(colours, solvable, group, {"train": train, "n": n, "seed": seed})


def _one_of_each_class() -> list[Int[np.ndarray, " 48"]]:
    """Return the colours of one cube of each of the twelve classes, the solved one first."""
    solved = np.repeat(np.arange(6), 8)  # eight movable facelets a face, face after face
    corner, edge, other = _piece(0, 2, 4), _piece(0, 2), _piece(0, 4)
    states = []
    for twist, flip, exchange in product(range(3), range(2), range(2)):
        colours = solved.copy()
        colours[corner] = np.roll(colours[corner], twist)
        colours[edge] = np.roll(colours[edge], flip)
        if exchange:
            colours[[*edge, *other]] = colours[[*other, *edge]]
        states.append(colours)
    return states


def _piece(*faces: int) -> list[int]:
    """Return the facelets of the corner or edge between these faces: those that the turns of
    exactly these faces move.

    Faces are numbered as the generators of `RubiksCube` are: +x, −x, +y, −y, +z, −z.
    """
    turns = RubiksCube().group_generators
    places = np.arange(48)
    moved = np.stack([np.asarray(turn @ places) != places for turn in turns])
    belongs = np.isin(np.arange(len(turns)), faces)
    facelets: list[int] = np.flatnonzero((moved == belongs[:, None]).all(axis=0)).tolist()
    return facelets
