"""e3nn's bases: the action on spherical harmonics is the irrep's, and data can be exchanged."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from intertwine.errors import MethodNotApplicable
from intertwine.groups import SO, SU, O, S
from intertwine.irreps import Irrep, SphericalHarmonics, decompose
from intertwine.reps import V

POINT = np.array([0.3, -1.1, 0.7])


@pytest.mark.parametrize("name", [f"{degree}{parity}" for degree in range(4) for parity in "eo"])
def test_elements_of_o3_act_as_on_spherical_harmonics(name: str) -> None:
    irrep, degree = Irrep(name, O(3)), int(name[0])
    change, harmonics = irrep.to_e3nn(), SphericalHarmonics(degree)
    assert change.dtype == np.float64
    np.testing.assert_allclose(change @ change.T, np.eye(2 * degree + 1), atol=1e-13)
    for g in (*O(3).samples(2, seed=3), -np.eye(3)):
        image = change @ np.asarray(irrep.rho(g)) @ change.T
        is_natural = (name[1] == "e") == (degree % 2 == 0)
        sign = 1.0 if is_natural else np.linalg.det(g)
        np.testing.assert_allclose(
            image @ harmonics(POINT), sign * harmonics(g @ POINT), atol=1e-11
        )


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_powers_of_a_vector_are_positive_multiples_of_harmonics(degree: int) -> None:
    irrep = Irrep(f"l={degree}", SO(3))
    power = reduce(np.kron, [POINT] * degree)
    parts = decompose((V**degree)(SO(3))).to_irreps(power[:, None])
    ratios = irrep.to_e3nn() @ parts[irrep][0, :, 0] / SphericalHarmonics(degree)(POINT)
    np.testing.assert_allclose(ratios, ratios[0])
    assert ratios[0] > 0.1


@pytest.mark.slow
def test_large_degrees() -> None:
    irrep, g = Irrep("l=12", SO(3)), SO(3).sample(2)
    image = irrep.to_e3nn() @ np.asarray(irrep.rho(g)) @ irrep.to_e3nn().T
    harmonics, unit = SphericalHarmonics(12), POINT / np.linalg.norm(POINT)
    np.testing.assert_allclose(image @ harmonics(unit), harmonics(g @ unit), atol=1e-8)


def test_integral_spins_are_those_of_rotations() -> None:
    irrep = Irrep("j=2", SU(2))
    change = irrep.to_e3nn()
    np.testing.assert_allclose(change @ change.conj().T, np.eye(5), atol=1e-13)
    g = SU(2).sample(1)
    pauli = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    turn = np.einsum("iab,bc,jcd,da->ij", pauli, g, pauli, g.conj().T).real / 2
    image = change @ np.asarray(irrep.rho(g)) @ change.conj().T
    harmonics = SphericalHarmonics(2)
    np.testing.assert_allclose(image @ harmonics(POINT), harmonics(turn @ POINT), atol=1e-11)


@pytest.mark.parametrize(
    ("irrep", "text"),
    [(("j=1/2", SU(2)), "half-integral"), (("[2, 1]", S(3)), "e3nn has irreps of SO")],
    ids=["spin", "symmetric group"],
)
def test_others_have_no_such_basis(irrep: tuple[str, SU], text: str) -> None:
    with pytest.raises(MethodNotApplicable, match=text):
        Irrep(*irrep).to_e3nn()
