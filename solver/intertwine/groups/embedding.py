"""A group that acts on some coordinates of a larger space."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Shaped

from intertwine.errors import InvalidGroup
from intertwine.groups.generators import Generator, refuse_large
from intertwine.groups.group import Group
from intertwine.operators import dense


class Embed(Group):
    """G acting on the coordinates `slots` of a space of size d, and trivially on the others.

    `slots` is a slice or a sequence of G.d different indices: ``Embed(SO(2), 3, slice(2))``.
    """

    def __init__(self, group: Group, d: int, slots: Any) -> None:
        where = np.arange(d)[slots if isinstance(slots, slice) else np.asarray(slots)]
        if len(set(where.tolist())) != group.d or where.ndim != 1:
            raise InvalidGroup(
                f"{group!r} acts on {group.d} coordinates; the slots {slots} of {d} give "
                f"{where.tolist()}"
            )
        count = len(group.lie_generators) + len(group.group_generators)
        refuse_large(count * d * d, f"an embedding into {d} dimensions")

        def embed(generator: Generator, rest: float) -> Shaped[np.ndarray, "..."]:
            matrix = np.asarray(dense(generator))
            result = (rest * np.eye(d)).astype(matrix.dtype)
            result[np.ix_(where, where)] = matrix
            return result

        super().__init__(
            lie_algebra=[embed(a, 0.0) for a in group.lie_generators],
            discrete_generators=[embed(h, 1.0) for h in group.group_generators],
            d=d,
        )
