"""The gauge of e3nn against e3nn-jax itself, where that is installed (`.ci/run` installs it)."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from intertwine.groups import O
from intertwine.irreps import Irrep, SphericalHarmonics, clebsch_gordan

e3nn = pytest.importorskip("e3nn_jax", reason="e3nn-jax is not installed")

DEGREES = range(7)
IRREPS = [f"{degree}{parity}" for degree in DEGREES for parity in "eo"]
ROTATIONS = O(3).samples(4, seed=1)
SINGLE = 1e-4
"""e3nn-jax computes its matrices in single precision."""


@pytest.mark.parametrize("degree", DEGREES)
def test_spherical_harmonics_are_equal(degree: int) -> None:
    points = np.random.default_rng(degree).standard_normal((20, 3)).astype(np.float32)
    irreps = f"{degree}{'eo'[degree % 2]}"
    theirs = e3nn.spherical_harmonics(irreps, points, normalize=False, normalization="norm").array
    assert np.allclose(
        SphericalHarmonics(degree)(points.astype(float)), theirs, rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("name", IRREPS)
def test_matrices_are_equal_after_the_change_of_basis(name: str) -> None:
    irrep = Irrep(name, O(3))
    change = irrep.to_e3nn()
    for element in ROTATIONS:
        ours = change @ np.asarray(irrep.rho_dense(element)) @ change.conj().T
        theirs = e3nn.Irrep(name).D_from_matrix(element.astype(np.float32))
        assert np.allclose(ours, theirs, atol=SINGLE)


@pytest.mark.parametrize(("a", "b"), [*product(["1o", "2e", "3o"], repeat=2)])
def test_coefficients_are_equal_up_to_a_factor(a: str, b: str) -> None:
    for c, ours in clebsch_gordan(Irrep(a, O(3)), Irrep(b, O(3)), gauge="e3nn").items():
        degrees = [int(name[:-1]) for name in (a, b, c.label)]
        theirs = np.asarray(e3nn.clebsch_gordan(*degrees)).ravel()
        mine = np.asarray(ours)[:, :, 0].ravel()
        overlap = abs(mine @ theirs) / (np.linalg.norm(mine) * np.linalg.norm(theirs))
        assert np.isclose(overlap, 1, atol=SINGLE)
