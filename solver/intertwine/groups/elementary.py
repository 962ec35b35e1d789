"""Elementary matrices, from which the catalogue builds its generators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Complex, Float

GOLDEN_RATIO = (1 + 5**0.5) / 2


def unit_matrix(n: int, i: int, j: int) -> Float[np.ndarray, "n n"]:
    """Return Eᵢⱼ."""
    matrix = np.zeros((n, n))
    matrix[i, j] = 1.0
    return matrix


def rotation_generators(n: int) -> list[Float[np.ndarray, "n n"]]:
    """Return a basis of so(n): Eᵢⱼ − Eⱼᵢ for i > j."""
    return [unit_matrix(n, i, j) - unit_matrix(n, j, i) for i in range(n) for j in range(i)]


def lorentz_generators(time: int, space: int) -> list[Float[np.ndarray, "n n"]]:
    """Return a basis of so(p, q) for p dimensions of time, the first ones, and q of space: boosts
    Eᵢⱼ + Eⱼᵢ, then the rotations of time and of space.
    """
    n = time + space
    boosts = [
        unit_matrix(n, i, j) + unit_matrix(n, j, i) for i in range(time) for j in range(time, n)
    ]
    turns = [np.pad(a, ((0, space), (0, space))) for a in rotation_generators(time)]
    turns += [np.pad(a, ((time, 0), (time, 0))) for a in rotation_generators(space)]
    return boosts + turns


def first_flipped(n: int) -> Float[np.ndarray, "n n"]:
    """Return the reflection diag(−1, 1, …, 1)."""
    return np.diag([-1.0] + [1.0] * (n - 1))


def plane_rotation(k: int) -> Float[np.ndarray, "2 2"]:
    """Return the rotation of the plane by 2π/k, as [[cos, sin], [−sin, cos]]."""
    angle = 2 * np.pi / k
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def rotation_about(axis: Sequence[float], k: int) -> Float[np.ndarray, "3 3"]:
    """Return the rotation of space by 2π/k about an axis, counterclockwise (Rodrigues' formula).

    Entries are those of `exact_entries`, so that crystallographic rotations have no rounding errors
    but that of √3.
    """
    x, y, z = np.array(axis, float) / np.linalg.norm(axis)
    angle = 2 * np.pi / k
    turn = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    matrix = np.eye(3) + np.sin(angle) * turn + (1 - np.cos(angle)) * turn @ turn
    found: Float[np.ndarray, "3 3"] = exact_entries(matrix)
    return found


def mirror(normal: Sequence[float]) -> Float[np.ndarray, "3 3"]:
    """Return the reflection of space in the plane with this normal; entries as `rotation_about`."""
    return -rotation_about(normal, 2)


def exact_entries(matrix: Any) -> Any:
    """Return a real or complex matrix whose entries within rounding of 0, ±1/2, ±1, ±√3/2 or ±1/√2
    are replaced by these numbers.
    """
    if np.iscomplexobj(matrix):
        return exact_entries(matrix.real) + 1j * exact_entries(matrix.imag)
    values = np.array([0, 0.5, 1, np.sqrt(3) / 2, np.sqrt(0.5)])
    values = np.concatenate([values, -values[1:]])
    nearest = values[np.abs(matrix[..., None] - values).argmin(axis=-1)]
    return np.where(np.abs(matrix - nearest) < 1e-12, nearest, matrix)


def quaternion_matrix(q: Sequence[float | int]) -> Complex[np.ndarray, "2 2"]:
    """Return a + bi + cj + dk as [[a + bi, c + di], [−c + di, a − bi]], in SU(2) for |q| = 1."""
    a, b, c, d = q
    return np.array([[a + b * 1j, c + d * 1j], [-c + d * 1j, a - b * 1j]])
