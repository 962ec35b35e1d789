"""Shapes that are annotated are checked in every test, and nothing else is slowed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from beartype.roar import BeartypeCallHintParamViolation
from intertwine.groups import averaging
from intertwine.reps.syntax import direct_sum
from jaxtyping import TypeCheckError


@pytest.mark.parametrize("wrong", [np.zeros(3), np.zeros((2, 3)), np.zeros((2, 2), np.int64)])
def test_wrong_arguments_are_refused(wrong: Any) -> None:
    with pytest.raises((TypeCheckError, BeartypeCallHintParamViolation)):
        averaging.fix_exact([wrong], [wrong], [True], unitary=True)


def test_fields_of_dataclasses_are_checked() -> None:
    with pytest.raises((TypeCheckError, BeartypeCallHintParamViolation)):
        averaging.NearlyFinite(np.eye(2), (0,), np.zeros((1, 1), np.int64))


def test_functions_without_shapes_are_as_they_are_written() -> None:
    assert not hasattr(direct_sum, "__wrapped__")
    assert hasattr(averaging.fix_exact, "__wrapped__")
