"""The blocks of a group of block-diagonal matrices, such as the parts of space and of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from intertwine.arrays import Array
from intertwine.errors import InvalidRep
from intertwine.groups import Group
from intertwine.operators import LinearOperator, dense
from intertwine.reps.parsing import register_name
from intertwine.reps.syntax import Element, Rep, element_of


@dataclass(frozen=True, repr=False)
class Block(Rep):
    """The part of V in the coordinates from `start` to before `stop`: a diagonal block of g.

    The matrices of the group have no entries between these coordinates and the others. Taken over
    another group, it raises `InvalidRep`.
    """

    start: int
    stop: int
    name: str = "Block"
    G: Any = None

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise InvalidRep(
                f"a block has coordinates from `start` to before `stop`, and not from "
                f"{self.start} to before {self.stop}"
            )

    def __call__(self, G: Group) -> Rep:
        """Return the block over the group G."""
        bound = super().__call__(G)
        if self.stop > G.d:
            raise InvalidRep(f"{self} needs {self.stop} dimensions, and {G!r} acts on {G.d}")
        inside = np.zeros(G.d, bool)
        inside[self.start : self.stop] = True
        for generator in (*G.lie_generators, *G.group_generators):
            matrix = np.asarray(dense(generator))
            if np.any(matrix[inside][:, ~inside]) or np.any(matrix[~inside][:, inside]):
                raise InvalidRep(
                    f"{self} is not a rep of {G!r}: its matrices mix the coordinates {self.start} "
                    f"to {self.stop - 1} with the others"
                )
        return bound

    def rho(self, M: Element) -> Array | LinearOperator:
        """Return the block of g, of shape (size, size)."""
        matrix = dense(element_of(self, M))
        return matrix[self.start : self.stop, self.start : self.stop]

    def drho(self, A: Element) -> Array | LinearOperator:
        """Return the block of A, of shape (size, size)."""
        return self.rho(A)

    def size(self) -> int:
        """Return the number of coordinates."""
        return self.stop - self.start

    def __str__(self) -> str:
        return self.name


#: The part of V on which a magnetic point group acts by rotations and reflections.
Space = Block(0, 3, "Space")
#: The sign of time reversal over a magnetic point group: −1 for elements that reverse time.
Time = Block(3, 4, "Time")
register_name("Space", Space)
register_name("Time", Time)
