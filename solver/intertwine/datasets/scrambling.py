"""Random turns of coloured cubes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Int

from intertwine.groups import Group

COLOURS = 6
MOVES = 100
"""The number of moves of a scramble; two states of Rubik's cube are at most 26 turns apart."""


def scrambled(
    colours: Int[np.ndarray, "n places"], group: Group, numbers: np.random.Generator
) -> Int[np.ndarray, "n places"]:
    """Return each of n cubes after its own `MOVES` random moves, by generators of the group.

    In each move a cube may also rest. Otherwise a hundred quarter turns, each an odd permutation,
    would reach only even ones: half of the rotations of a cube.
    """
    rest = np.arange(group.d)
    turns = np.stack([rest, *(np.asarray(h @ rest) for h in group.group_generators)])
    for _ in range(MOVES):
        chosen = numbers.integers(len(turns), size=len(colours))
        colours = np.take_along_axis(colours, turns[chosen], axis=1)
    return colours


def one_hot(colours: Int[np.ndarray, "n places"]) -> Float32[np.ndarray, "n channels"]:
    """Return six channels per cube, one per colour: 1 at its places. Shape (n, 6·places)."""
    channels: Bool[np.ndarray, "n 6 places"] = colours[:, None, :] == np.arange(COLOURS)[:, None]
    return channels.reshape(len(colours), -1).astype(np.float32)
