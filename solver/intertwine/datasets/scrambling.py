"""Cubes of coloured places, turned at random."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Int

from intertwine.groups import Group

COLOURS = 6
MOVES = 100
"""How many random turns make a scramble; any state of Rubik's cube is 26 from any other."""


def scrambled(
    colours: Int[np.ndarray, "n places"], group: Group, numbers: np.random.Generator
) -> Int[np.ndarray, "n places"]:
    """Each of n cubes after `MOVES` random turns of its own, by generators of the group.

    In each move a cube may also rest. Otherwise a hundred quarter turns, odd permutations each,
    would reach even ones only: half of the rotations of a cube.
    """
    rest = np.arange(group.d)
    turns = np.stack([rest, *(np.asarray(h @ rest) for h in group.group_generators)])
    for _ in range(MOVES):
        chosen = numbers.integers(len(turns), size=len(colours))
        colours = np.take_along_axis(colours, turns[chosen], axis=1)
    return colours


def one_hot(colours: Int[np.ndarray, "n places"]) -> Float32[np.ndarray, "n channels"]:
    """Six channels a cube, one a colour: 1 at the places of that colour, of shape (n, 6·places)."""
    channels: Bool[np.ndarray, "n 6 places"] = colours[:, None, :] == np.arange(COLOURS)[:, None]
    return channels.reshape(len(colours), -1).astype(np.float32)
