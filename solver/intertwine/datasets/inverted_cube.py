"""A cube and its mirror image."""

from __future__ import annotations

import numpy as np

from intertwine.datasets.coloured_cube import ColouredCube
from intertwine.datasets.scrambling import scrambled
from intertwine.datasets.settings import group_of_size, random_numbers, truth
from intertwine.groups import Cube, Group
from intertwine.integers import checked_integer
from intertwine.memory import require_memory

#: The colours of the faces +x, −x, +y, −y, +z, −z of the catalogue's `Cube`.
SOLVED = (0, 1, 2, 3, 4, 5)
#: Each face is exchanged with the opposite one: −1, which is not a rotation of ℝ³.
INVERTED = (1, 0, 3, 2, 5, 4)


class InvertedCube(ColouredCube):
    """Is a cube of six colours itself, or its mirror image? 6V → 2V⁰ (Finzi et al. 2021, §7).

    A point is x of shape (36,): six channels, one per colour, each 1 at the face of that colour and
    0 at the others; and y is the class, 1 for the cube and 0 for its mirror image, an int64 of
    shape (), which a cross-entropy takes as the label of two scores. None of the 24 rotations of
    `Cube` links the classes.

    The training set is the cube and its mirror image, as they are (n = 2); the test set, with
    `train=False`, has them in random orientations (n = 100). For other n the two alternate.

    Raises `InvalidSetting` for invalid arguments, `TooLarge` if n points do not fit into memory.
    """

    classes = ("inverted", "solved")
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
        n = (2 if train else 100) if n is None else n
        n = checked_integer(n, "n, the number of points,", 1)
        seed = checked_integer(seed, "seed")
        group = group_of_size(Cube() if symmetry is None else symmetry, 6, "InvertedCube")
        require_memory(n * (5 * 36 + 3 * 8 * 6), f"InvertedCube of {n:,} points")
        solved = np.arange(n) % 2 == 0
        colours = np.where(solved[:, None], SOLVED, INVERTED)
        if not train:
            numbers = random_numbers("InvertedCube", seed, n=n)
            colours = scrambled(colours, Cube(), numbers)
        super().__init__(colours, solved, group, {"train": train, "n": n, "seed": seed})
