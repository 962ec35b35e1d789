"""Checks of the arguments of datasets, and random numbers from a seed."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np

from intertwine.errors import InvalidSetting
from intertwine.groups import Group


def truth(value: Any, what: str) -> bool:
    """Return the value. Raises `InvalidSetting` unless it is True or False; 0 and 1 are neither."""
    if not isinstance(value, bool):
        raise InvalidSetting(f"{what} is True or False, not {value!r}")
    return value


def positive_number(value: Any, what: str) -> float:
    """Return the value as a float. Raises `InvalidSetting` unless it is positive and finite."""
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        raise InvalidSetting(f"{what} is a positive number, not {value!r}")
    return float(value)


def group_of_size(symmetry: Any, d: int, name: str) -> Group:
    """Return the group. Raises `InvalidSetting` unless it is a group that acts on d dimensions."""
    if not isinstance(symmetry, Group):
        raise InvalidSetting(f"the symmetry of {name} is a group, not {symmetry!r}")
    if symmetry.d != d:
        raise InvalidSetting(
            f"the symmetry of {name} acts on {d} dimensions; {symmetry!r} acts on {symmetry.d}"
        )
    return symmetry


def random_numbers(name: str, seed: int, **settings: Any) -> np.random.Generator:
    """Return a random generator for a dataset of this name and settings, the same in every process.

    The settings are part of the seed, including the number of points: a training set of 1000 points
    and a test set of 2000 share no points, whatever their seeds.
    """
    text = f"{name}({', '.join(f'{key}={value!r}' for key, value in settings.items())})"
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng([int.from_bytes(digest, "big"), seed])
