"""What datasets are asked for: numbers that make sense, a group that fits, a seed of their own."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np

from intertwine.errors import InvalidSetting
from intertwine.groups import Group


def whole_number(value: Any, what: str, least: int = 1) -> int:
    """The value as an int. Raises `InvalidSetting` unless it is an integer, and large enough."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InvalidSetting(f"{what} is an integer from {least} on, not {value!r}")
    return int(value)


def truth(value: Any, what: str) -> bool:
    """The value itself. Raises `InvalidSetting` unless it is True or False: not a number."""
    if not isinstance(value, bool):
        raise InvalidSetting(f"{what} is True or False, not {value!r}")
    return value


def positive_number(value: Any, what: str) -> float:
    """The value as a float. Raises `InvalidSetting` unless it is positive and finite."""
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        raise InvalidSetting(f"{what} is a positive number, not {value!r}")
    return float(value)


def group_of_size(symmetry: Any, d: int, name: str) -> Group:
    """The group itself. Raises `InvalidSetting` unless it acts on d dimensions."""
    if not isinstance(symmetry, Group):
        raise InvalidSetting(f"the symmetry of {name} is a group, not {symmetry!r}")
    if symmetry.d != d:
        raise InvalidSetting(
            f"the symmetry of {name} acts on {d} dimensions; {symmetry!r} acts on {symmetry.d}"
        )
    return symmetry


def random_numbers(name: str, seed: int, **settings: Any) -> np.random.Generator:
    """A generator for the dataset of that name and settings, the same in every process.

    The settings are part of the seed, the number of points among them: a training set of 1000
    points and a test set of 2000 then share none, whatever their seeds.
    """
    text = f"{name}({', '.join(f'{key}={value!r}' for key, value in settings.items())})"
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng([int.from_bytes(digest, "big"), seed])
