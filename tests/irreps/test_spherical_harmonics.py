"""Spherical harmonics against e3nn's own formulas, and the laws that define them."""

from __future__ import annotations

import numpy as np
import pytest
from intertwine.errors import InvalidSetting
from intertwine.irreps import SphericalHarmonics
from intertwine.irreps.spherical_harmonics import rotation_generators_of
from scipy.linalg import expm


def of_e3nn(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> list[list[np.ndarray]]:
    """The formulas of ``e3nn.o3.spherical_harmonics`` up to l = 3, normalization "norm" (Geiger and
    Smidt 2022, arXiv:2207.09453), written out.
    """
    square = x**2 + z**2
    second = [
        np.sqrt(3) * x * z,
        np.sqrt(3) * x * y,
        y**2 - square / 2,
        np.sqrt(3) * y * z,
        np.sqrt(3) / 2 * (z**2 - x**2),
    ]
    third = [
        np.sqrt(5 / 6) * (second[0] * z + second[4] * x),
        np.sqrt(5) * second[0] * y,
        np.sqrt(3 / 8) * (4 * y**2 - square) * x,
        y * (2 * y**2 - 3 * square) / 2,
        np.sqrt(3 / 8) * z * (4 * y**2 - square),
        np.sqrt(5) * second[4] * y,
        np.sqrt(5 / 6) * (second[4] * z - second[0] * x),
    ]
    return [[np.ones_like(x)], [x, y, z], second, third]


POINTS = np.random.default_rng(0).standard_normal((6, 3))


@pytest.mark.parametrize("degree", range(4))
def test_they_are_those_of_e3nn(degree: int) -> None:
    expected = np.stack(of_e3nn(*POINTS.T)[degree], axis=-1)
    np.testing.assert_allclose(SphericalHarmonics(degree)(POINTS), expected, atol=1e-12)


@pytest.mark.parametrize("degree", [1, 2, 3, 5, 8, 24])
def test_rotations_act_on_them(degree: int) -> None:
    harmonics, generators = SphericalHarmonics(degree), rotation_generators_of(degree)
    angles = np.array([0.3, -0.7, 0.2])
    turn = expm(np.einsum("k,kij->ij", angles, np.cross(np.eye(3)[None], np.eye(3)[:, None])))
    image = expm(np.einsum("k,kij->ij", angles, generators))
    points = POINTS / np.linalg.norm(POINTS, axis=1)[:, None]
    np.testing.assert_allclose(
        harmonics(points @ turn.T), harmonics(points) @ image.T, atol=1e-9 * 2 ** max(0, degree - 8)
    )


@pytest.mark.parametrize("degree", [0, 1, 4, 7])
def test_they_have_norm_one_and_their_degree(degree: int) -> None:
    harmonics = SphericalHarmonics(degree)
    points = POINTS / np.linalg.norm(POINTS, axis=1)[:, None]
    np.testing.assert_allclose(np.linalg.norm(harmonics(points), axis=1), 1, atol=1e-10)
    np.testing.assert_allclose(harmonics(2 * points), 2**degree * harmonics(points), atol=1e-9)


def test_they_are_printed_as_mathematics() -> None:
    assert str(SphericalHarmonics(2)).splitlines() == [
        "√3 xz", "√3 xy", "1/2(2y²-z²-x²)", "√3 yz", "√3/2(z²-x²)",
    ]  # fmt: skip
    assert "<td>m = -1</td><td>x</td>" in SphericalHarmonics(1)._repr_html_()


@pytest.mark.parametrize("degree", [-1, 25, 1.5, True])
def test_other_degrees_are_refused(degree: int) -> None:
    with pytest.raises(InvalidSetting, match="from 0 to 24"):
        SphericalHarmonics(degree)
