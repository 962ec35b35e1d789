"""The gauge of e3nn against e3nn-jax itself, where that is installed (`.ci/run` installs it)."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from intertwine.groups import O
from intertwine.irreps import Irrep, SphericalHarmonics, clebsch_gordan, decompose, e3nn_frame
from intertwine.nn import Linear, linear_from_e3nn, linear_to_e3nn
from intertwine.reps import Rep, Sym, V

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


@pytest.mark.parametrize("rep", [(V**3)(O(3)), (Sym(2, V) + 2 * V)(O(3))], ids=str)
def test_frames_lead_to_their_matrices(rep: Rep) -> None:
    frame = e3nn_frame(rep)
    for element in ROTATIONS:
        ours = frame.matrix @ np.asarray(rep.rho_dense(element)) @ frame.matrix.T
        theirs = e3nn.Irreps(frame.irreps).D_from_matrix(element.astype(np.float32))
        assert np.allclose(ours, theirs, atol=SINGLE)


def test_irreps_are_in_their_order() -> None:
    ours = decompose((V**3 + V**2)(O(3)), gauge="e3nn").e3nn_irreps
    assert e3nn.Irreps(ours).sort().irreps == e3nn.Irreps(ours)


def test_layers_compute_the_same() -> None:
    layer = Linear("3x1o+2x0e+2x2e", "4x0e+2x1o+3x2e", O(3), key=3)
    biases = {0: np.array([0.5, -1.0, 2.0, 0.25])}
    weights = linear_to_e3nn(linear_from_e3nn(layer, linear_to_e3nn(layer).paths, biases))
    theirs = e3nn.FunctionalLinear(
        weights.irreps_in,
        weights.irreps_out,
        biases=True,
        path_normalization="element",
        gradient_normalization="path",
    )
    given = [
        weights.biases[one.i_out] if one.i_in < 0 else weights.normalized[one.i_in, one.i_out]
        for one in theirs.instructions
    ]
    x = np.random.default_rng(0).standard_normal(layer.rep_in.size()).astype(np.float32)
    found = theirs(
        [np.asarray(each, np.float32) for each in given],
        e3nn.IrrepsArray(weights.irreps_in, e3nn_frame(layer.rep_in).to_e3nn(x)),
    ).array
    ours = linear_from_e3nn(layer, weights.paths, biases)(x)
    assert np.allclose(found, e3nn_frame(layer.rep_out).to_e3nn(np.asarray(ours)), atol=SINGLE)
