"""Conjugacy classes against their definition."""

from __future__ import annotations

import numpy as np
import pytest
from intertwine.groups import SO, parse_group
from intertwine.groups.conjugacy import conjugacy_classes


@pytest.mark.parametrize("name", ["S(4)", "A(5)", "Q8", "D(5)", "Hyperoctahedral(3)", "Pauli(3,1)"])
def test_classes_are_those_of_the_definition(name: str) -> None:
    found = conjugacy_classes(parse_group(name))
    assert found is not None
    elements = found.enumeration.elements
    n = len(elements)

    def place(g: np.ndarray) -> int:
        return int(np.argmin(np.abs(elements - g).max(axis=(1, 2))))

    for i in range(0, n, 7):
        for j in range(0, n, 5):
            assert found.times[j, i] == place(elements[i] @ elements[j])
    for r, g in enumerate(found.representatives):
        members = {place(x @ elements[g] @ np.linalg.inv(x)) for x in elements}
        assert members == set(np.flatnonzero(found.of == r).tolist())
        assert (len(members), min(members)) == (found.sizes[r], g)
        order = found.orders[r]
        np.testing.assert_allclose(
            np.linalg.matrix_power(elements[g], order), elements[0], atol=1e-9
        )
        assert found.of[place(np.linalg.inv(elements[g]))] == found.inverses[r]
    keys = list(
        zip(found.orders, found.sizes.tolist(), found.representatives.tolist(), strict=True)
    )
    assert keys == sorted(keys)


def test_infinite_groups_have_none() -> None:
    assert conjugacy_classes(SO(3)) is None
    assert conjugacy_classes(parse_group("SL(2)")) is None
