"""Groups with rounded generators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from intertwine.groups import Group

from helpers.oblique_groups import discrete, lie

Matrix = np.ndarray[Any, Any]


PASTED = np.array([[-0.5, -0.866025, 0], [0.866025, -0.5, 0], [0, 0, 1]])


def turn(angle: float) -> Matrix:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def of(*generators: Any) -> Group:
    return Group(discrete_generators=list(generators))


def mapped(group: Group, change: Callable[[Matrix], Matrix]) -> Group:
    return Group(
        lie_algebra=[change(a) for a in lie(group)],
        discrete_generators=[change(h) for h in discrete(group)],
        d=group.d,
    )


def to_single(matrix: Matrix) -> Matrix:
    return matrix.astype(np.complex64 if np.iscomplexobj(matrix) else np.float32)


def to_digits(digits: int | str) -> Callable[[Matrix], Matrix]:
    return to_single if digits == "float32" else lambda m: np.round(m, int(digits))
