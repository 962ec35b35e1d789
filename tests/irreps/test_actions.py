"""A product of actions does what its written-out matrices do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from intertwine.irreps.actions import Action, ProductAction


def _random(*shape: int, is_complex: bool) -> Any:
    rng = np.random.default_rng(shape)
    real = rng.standard_normal(shape)
    return real + 1j * rng.standard_normal(shape) if is_complex else real


@pytest.mark.parametrize("is_complex", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("lie_count", [0, 2, 5])
@pytest.mark.parametrize(
    ("operation", "shape"),
    [
        ("left", (12, 7)),
        ("left_adjoint", (5, 12, 7)),
        ("right", (7, 12)),
        ("right_adjoint", (5, 7, 12)),
    ],
)
def test_a_product_is_its_kronecker_products(
    operation: str, shape: tuple[int, ...], lie_count: int, is_complex: bool
) -> None:
    a = Action(_random(5, 3, 3, is_complex=is_complex), lie_count)
    b = Action(_random(5, 4, 4, is_complex=is_complex), lie_count)
    product = ProductAction(a, b)
    x = _random(*shape, is_complex=is_complex)
    found = getattr(product, operation)(x)
    np.testing.assert_allclose(found, getattr(product.written_out(), operation)(x), atol=1e-12)
    assert np.all(product.norms >= product.written_out().norms - 1e-12)
