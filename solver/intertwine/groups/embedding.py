"""A group acting on some coordinates of a larger space."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Shaped

from intertwine.errors import InvalidGroup
from intertwine.groups.arguments import group_argument
from intertwine.groups.generators import Generator, refuse_large
from intertwine.groups.group import Group
from intertwine.operators import dense


class Embed(Group):
    """G acting on the coordinates `slots` of a space of size d, and trivially on the others.

    `slots` is a slice or a sequence of G.d different indices: ``Embed(SO(2), 3, slice(2))``.
    """

    def __init__(self, group: Group, d: int, slots: Any) -> None:
        group, d = checked_group(group, "Embed"), group_argument(d, "d of Embed(group, d, slots)")
        count = len(group.lie_generators) + len(group.group_generators)
        refuse_large(max(count * d, 1) * d, f"an embedding into {d} dimensions")
        where = _coordinates(d, slots)
        if where.shape != (group.d,) or len(np.unique(where)) != group.d:
            raise InvalidGroup(
                f"{group!r} acts on {group.d} coordinates; the slots {slots} of {d} give "
                f"{where.tolist()}"
            )

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
        self.z_scale = group.z_scale
        self.is_exact, self.known_precision = group.is_exact, group.known_precision


def checked_group(value: Any, what: str) -> Group:
    """Return a group that another one is made from. Raises `InvalidGroup` for other values."""
    if not isinstance(value, Group):
        raise InvalidGroup(f"{what} is made from a group such as SO(3), not from {value!r}")
    return value


def _coordinates(d: int, slots: Any) -> Shaped[np.ndarray, "..."]:
    try:
        return np.atleast_1d(np.arange(d)[slots if isinstance(slots, slice) else np.array(slots)])
    except (IndexError, ValueError) as error:
        raise InvalidGroup(f"the slots {slots} pick no coordinates of {d}: {error}") from None
