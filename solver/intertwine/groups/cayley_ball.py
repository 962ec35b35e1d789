"""The elements of a matrix group near the identity in its Cayley graph, with all coincidences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Inexact, Int

_CELL = 1e-7  # words whose vectors fall into one cell may be one element
_SAME = 1e-9  # … and are one if the vectors agree to this
_LARGEST_NORM = 1e3  # words with larger entries are not extended
_NEAR = 1e-6  # the largest distance of a given element from one of the ball


@dataclass(frozen=True, eq=False)
class CayleyBall:
    """Elements e₀ = 1, e₁, … of a matrix group as words, and the edges eᵢ·xₖ = e_{edges[i, k]}.

    The letters x are the generators h₁, …, h_m and their inverses, in this order. For i > 0, eᵢ =
    e_{parents[i]} · x_{letters[i]}. An edge is −1 if it leads out of the ball. If `is_complete`,
    the ball has all elements, and its edges imply every relation of the generators.
    """

    parents: Int[np.ndarray, " n"]
    letters: Int[np.ndarray, " n"]
    edges: Int[np.ndarray, "n k"]
    levels: tuple[Int[np.ndarray, " _"], ...]
    rows: Inexact[np.ndarray, "n v d"]
    is_complete: bool

    @property
    def order(self) -> int:
        """The number of elements found."""
        return len(self.parents)

    def word(self, i: int) -> list[int]:
        """Return the letters of an element, from left to right."""
        found = []
        while i:
            found.append(int(self.letters[i]))
            i = int(self.parents[i])
        return found[::-1]

    def place(self, element: Inexact[np.ndarray, "d d"]) -> int | None:
        """Return the index of an element, by its action on the vectors; None if it is not there."""
        row = _vectors(len(element)) @ element
        distances = np.abs(self.rows - row).max(axis=(1, 2))
        nearest = int(np.argmin(distances))
        return nearest if distances[nearest] <= _NEAR * max(1.0, float(np.abs(row).max())) else None

    def images_of(
        self, vector: Inexact[np.ndarray, "v m"], images: Sequence[Any]
    ) -> Inexact[np.ndarray, "n v m"]:
        """Return y·φ(eᵢ) for all elements, from the rows y and the images of the letters."""
        dtype = np.result_type(vector, *images) if len(images) else vector.dtype
        found = np.empty((self.order, *vector.shape), dtype=dtype)
        found[0] = vector
        for level in self.levels:
            for k in np.unique(self.letters[level]):
                here = level[self.letters[level] == k]
                found[here] = found[self.parents[here]] @ images[k]
        return found


def grow_ball(generators: Sequence[Inexact[np.ndarray, "d d"]], most: int) -> CayleyBall:
    """Return the ball of up to `most` elements around 1, by breadth-first search.

    Elements are compared by their action on fixed random vectors, up to rounding. Two words for
    which this is not clear count as two elements, so a relation between them is not used.
    """
    letters = np.stack([*generators, *map(np.linalg.inv, generators)])
    d = letters.shape[1]
    rows = [_vectors(d).astype(letters.dtype)]
    places = {_cell(rows[0]): 0}
    parents, chosen, levels = [-1], [-1], []
    edges = [[-1] * len(letters)]
    frontier, is_complete = [0], True
    while frontier:
        found = np.stack([rows[i] for i in frontier])[:, None] @ letters
        new: list[int] = []
        for i, around in zip(frontier, found, strict=True):
            for k, row in enumerate(around):
                cell = _cell(row)
                place = places.get(cell)
                if place is None:
                    if len(rows) >= most:
                        is_complete = False
                        continue
                    place = places[cell] = len(rows)
                    rows.append(row)
                    parents.append(i)
                    chosen.append(k)
                    edges.append([-1] * len(letters))
                    new.append(place)
                elif not _is_same(rows[place], row):
                    is_complete = False
                    continue
                edges[i][k] = place
        if new:
            levels.append(np.array(new))
        frontier = [i for i in new if np.abs(rows[i]).max() < _LARGEST_NORM]
        is_complete &= len(frontier) == len(new)
    return CayleyBall(
        np.array(parents),
        np.array(chosen),
        np.array(edges),
        tuple(levels),
        np.stack(rows),
        is_complete,
    )


def _vectors(d: int) -> Float[np.ndarray, "2 d"]:
    return np.random.default_rng(20210419).standard_normal((2, d))


def _cell(row: Inexact[np.ndarray, "v d"]) -> bytes:
    scaled = np.rint(np.ascontiguousarray(row).view(np.float64) / _CELL + 0.137)
    return scaled.astype(np.int64).tobytes()


def _is_same(a: Inexact[np.ndarray, "v d"], b: Inexact[np.ndarray, "v d"]) -> bool:
    return bool(np.abs(a - b).max() <= _SAME * max(1.0, float(np.abs(b).max())))
