"""Documents become JSON, and what cannot is told with its place."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from intertwine.errors import InvalidSetting
from intertwine_api.client.messages import encode_json


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.int64(8), 8),
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.True_, True),
        (np.array(3), 3),
        (np.arange(6).reshape(2, 3), [[0, 1, 2], [3, 4, 5]]),
        (MappingProxyType({"a": np.int8(1)}), {"a": 1}),
        ((1, "é", None), [1, "é", None]),
    ],
    ids=repr,
)
def test_numbers_of_numpy_are_numbers(given: Any, said: Any) -> None:
    assert json.loads(encode_json({"x": given})) == {"x": said}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"training": {"learning_rate": float("nan")}}, r"^training\.learning_rate is nan, which"),
        ({"ch": [8, np.float32("inf")]}, r"^ch\[1\] is inf, which cannot be sent: give finite"),
        ({"x": np.array([1, np.nan])}, r"^x\[1\] is nan"),
        ({"x": {1, 2}}, r"^x is \{1, 2\}, which cannot be sent"),
        ({"x": 1j}, r"^x is 1j"),
        ({"x": np.array([1j])}, r"^x\[0\] is 1j"),
        (float("-inf"), "^the request is -inf"),
        ({(1, 2): 3}, "^the request is not JSON: keys must be"),
    ],
    ids=repr,
)
def test_what_json_does_not_have_is_refused(document: Any, said: str) -> None:
    with pytest.raises(InvalidSetting, match=said):
        encode_json(document)


def test_what_lies_in_itself_is_refused() -> None:
    knot: list[Any] = []
    knot.append(knot)
    with pytest.raises(InvalidSetting, match=r"^the request is not JSON: "):
        encode_json({"x": knot})
