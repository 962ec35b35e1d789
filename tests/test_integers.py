"""The check of arguments that are integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from intertwine.errors import InvalidGroup, InvalidSetting
from intertwine.integers import checked_integer


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_integers_become_pythons(value: Any) -> None:
    assert type(checked_integer(value, "n")) is int


@pytest.mark.parametrize("value", [-1, True, 384.0, "8", None, np.float64(2), [3], 1j])
def test_other_values_are_refused_with_their_name(value: Any) -> None:
    with pytest.raises(InvalidSetting) as error:
        checked_integer(value, "n")
    assert str(error.value) == f"n is an integer from 0 on, not {value!r}"


def test_the_least_value_and_the_error_are_the_callers() -> None:
    assert checked_integer(2, "n", 2, InvalidGroup) == 2
    with pytest.raises(InvalidGroup, match="n is an integer from 2 on, not 1"):
        checked_integer(1, "n", 2, InvalidGroup)
