"""The spectral norm, of small matrices and of large ones."""

from __future__ import annotations

import numpy as np
import pytest
from intertwine.groups.lie_span import spectral_norm


@pytest.mark.parametrize("n", [3, 401])
@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e150])
@pytest.mark.parametrize("is_complex", [False, True])
def test_the_spectral_norm_is_the_largest_singular_value(
    n: int, scale: float, is_complex: bool
) -> None:
    rng = np.random.default_rng(n)
    matrix = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if is_complex else 0)
    turned = np.linalg.qr(matrix)[0]
    values = np.linspace(0, 7, n)
    found = spectral_norm(scale * (turned * values) @ turned.conj().T)
    assert abs(found / scale - 7) < 1e-8
    assert (
        abs(spectral_norm(turned - turned.conj().T) - np.linalg.norm(turned - turned.conj().T, 2))
        < 1e-8
    )
    assert spectral_norm(turned) == spectral_norm(turned)
    assert spectral_norm(np.zeros((n, n))) == 0
