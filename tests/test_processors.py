"""One answer under every BLAS kernel, and what is said of two. `make processors` compares more."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.processors import available_kernels, differences, document


@pytest.mark.slow
def test_keys_are_equal_under_every_kernel() -> None:
    found = [document(kernel, "1", ["keys"]) for kernel in available_kernels()]
    assert all(other == found[0] for other in found)


@pytest.mark.parametrize(
    ("other", "lines"),
    [
        ({"a": {"names": ["W1", "W3"], "x": [1.0, 1e3 + 1e-6]}}, []),
        (
            {"a": {"names": ["W3", "W1"], "x": [1.0, 1e3]}},
            ['a > names: ["W1", "W3"] / ["W3", "W1"]'],
        ),
        (
            {"a": {"names": ["W1", "W3"], "x": [1.0, 1e3 + 1e-4]}},
            ["a > x: numbers differ by 1.0e-07"],
        ),
        ({"a": {"names": ["W1", "W3"], "x": [1.0]}}, ["a > x: [1.0, 1000.0] / [1.0]"]),
        (
            {"a": {"names": ["W1", "W3"], "x": [float("nan"), 1e3]}},
            ["a > x: numbers differ by nan"],
        ),
        (
            {"a": {"names": ["W1", "W3"], "x": [[1.0, 2.0], [3.0]]}},
            ["a > x: [1.0, 1000.0] / [[1.0, 2.0], [3.0]]"],
        ),
        (
            {"a": {"x": [1.0, 1e3], "names": ["W1", "W3"]}},
            ['a: ["names", "x"] / ["x", "names"]'],
        ),
    ],
)
def test_differences_are_listed(other: Any, lines: list[str]) -> None:
    one = {"a": {"names": ["W1", "W3"], "x": [1.0, 1e3]}}
    assert list(differences(one, other)) == lines


def test_arrays_in_lists_are_compared_one_by_one() -> None:
    one, other = [[1.0, 2.0], [3.0]], [[1.0, 2.0 + 1e-12], [4.0]]
    assert list(differences({"a": one}, {"a": other})) == ["a[1]: numbers differ by 2.5e-01"]
