"""The catalogue of groups, with EMLP's names and conventions (Finzi et al. 2021).

Lorentz groups have time first; the reflection in D is diag(−1, 1); C turns by
[[cos, sin], [−sin, cos]]; SO2eR3, O2eR3 and DkeR3 act on the first two of three coordinates.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Complex, Float

from intertwine.errors import InvalidGroup
from intertwine.groups.cubes import Cube, RubiksCube
from intertwine.groups.embedding import Embed
from intertwine.groups.generators import refuse_large
from intertwine.groups.group import Group
from intertwine.operators import Permutation


def _size(n: Any, what: str, least: int = 1) -> int:
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < least:
        raise InvalidGroup(f"{what} takes integers from {least} on, not {n!r}")
    return int(n)


def _unit(n: int, i: int, j: int) -> Float[np.ndarray, "n n"]:
    matrix = np.zeros((n, n))
    matrix[i, j] = 1.0
    return matrix


def _rotations(n: int) -> list[Float[np.ndarray, "n n"]]:
    """Return a basis of so(n): Eᵢⱼ − Eⱼᵢ for i > j."""
    return [_unit(n, i, j) - _unit(n, j, i) for i in range(n) for j in range(i)]


def _flip(n: int) -> Float[np.ndarray, "n n"]:
    """Return the reflection diag(−1, 1, …, 1)."""
    return np.diag([-1.0] + [1.0] * (n - 1))


class Trivial(Group):
    """The trivial group on n dimensions."""

    def __init__(self, n: int) -> None:
        super().__init__(d=_size(n, "Trivial(n)"))


class SO(Group):
    """The rotations SO(n) of n dimensions."""

    def __init__(self, n: int) -> None:
        n = _size(n, "SO(n)")
        refuse_large(n * (n - 1) // 2 * n * n, f"SO({n})")
        super().__init__(lie_algebra=_rotations(n), d=n)


class O(Group):  # noqa: E742 - the orthogonal group has this name
    """The orthogonal group O(n): SO(n) and the reflection diag(−1, 1, …, 1)."""

    def __init__(self, n: int) -> None:
        n = _size(n, "O(n)")
        refuse_large((n * (n - 1) // 2 + 1) * n * n, f"O({n})")
        super().__init__(lie_algebra=_rotations(n), discrete_generators=[_flip(n)])


def _turn(k: int) -> Float[np.ndarray, "2 2"]:
    angle = 2 * np.pi / k
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


class C(Group):
    """The cyclic group of order k: rotations of the plane by multiples of 2π/k."""

    def __init__(self, k: int) -> None:
        super().__init__(discrete_generators=[_turn(_size(k, "C(k)"))])


class D(Group):
    """The dihedral group of order 2k: C(k) and the reflection diag(−1, 1)."""

    def __init__(self, k: int) -> None:
        super().__init__(discrete_generators=[_turn(_size(k, "D(k)")), _flip(2)])


class Scaling(Group):
    """All positive multiples of the identity, on n dimensions."""

    def __init__(self, n: int) -> None:
        n = _size(n, "Scaling(n)")
        refuse_large(n * n, f"Scaling({n})")
        super().__init__(lie_algebra=[np.eye(n)])


def _lorentz(space: int) -> list[Float[np.ndarray, "n n"]]:
    """Boosts E₀ᵢ + Eᵢ₀, then the rotations of space, for one time and `space` dimensions."""
    n = 1 + space
    boosts = [_unit(n, 0, i) + _unit(n, i, 0) for i in range(1, n)]
    rotations = [np.pad(a, ((1, 0), (1, 0))) for a in _rotations(space)]
    return boosts + rotations


class SO13p(Group):
    """SO⁺(1, 3), the proper orthochronous Lorentz group; time first."""

    z_scale = (0.3, 0.3, 0.3, 1.0, 1.0, 1.0)  # large boosts make huge matrices of high tensors

    def __init__(self) -> None:
        super().__init__(lie_algebra=_lorentz(3))


class SO13(Group):
    """SO(1, 3): SO⁺(1, 3) and −1, reflecting space and time together."""

    z_scale = SO13p.z_scale

    def __init__(self) -> None:
        super().__init__(lie_algebra=_lorentz(3), discrete_generators=[-np.eye(4)])


class O13(Group):
    """The full Lorentz group O(1, 3): SO(1, 3) and the reflection of time."""

    z_scale = SO13p.z_scale

    def __init__(self) -> None:
        super().__init__(lie_algebra=_lorentz(3), discrete_generators=[-np.eye(4), _flip(4)])


class Lorentz(O13):
    """The full Lorentz group, another name of O13."""


class SO11p(Group):
    """SO⁺(1, 1), the boosts of one time and one space dimension."""

    def __init__(self) -> None:
        super().__init__(lie_algebra=_lorentz(1))


class O11(Group):
    """O(1, 1): SO⁺(1, 1), −1, and the reflection of time."""

    def __init__(self) -> None:
        super().__init__(lie_algebra=_lorentz(1), discrete_generators=[-np.eye(2), _flip(2)])


class Sp(Group):
    """The symplectic group Sp(m) of 2m dimensions, preserving [[0, 1], [−1, 0]] in m-blocks."""

    def __init__(self, m: int) -> None:
        m = _size(m, "Sp(m)")
        n = 2 * m
        refuse_large(m * (n + 1) * n * n, f"Sp({m})")
        algebra = [_unit(n, i, j) - _unit(n, m + j, m + i) for i, j in product(range(m), repeat=2)]
        for i in range(m):
            for j in range(i + 1):
                lower = np.maximum(_unit(n, m + i, j), _unit(n, m + j, i))
                algebra += [lower, lower.T]
        super().__init__(lie_algebra=algebra)


class SL(Group):
    """The real matrices of determinant one, SL(n, ℝ)."""

    def __init__(self, n: int) -> None:
        n = _size(n, "SL(n)")
        refuse_large((n * n - 1) * n * n, f"SL({n})")
        off = [_unit(n, i, j) for i, j in product(range(n), repeat=2) if i != j]
        diagonal = [_unit(n, i, i) - _unit(n, n - 1, n - 1) for i in range(n - 1)]
        super().__init__(lie_algebra=off + diagonal, d=n)


class GL(Group):
    """The real matrices of positive determinant, the identity component of GL(n, ℝ)."""

    def __init__(self, n: int) -> None:
        n = _size(n, "GL(n)")
        refuse_large(n**4, f"GL({n})")
        super().__init__(lie_algebra=[_unit(n, i, j) for i, j in product(range(n), repeat=2)])


def _skew_hermitian(n: int) -> list[Complex[np.ndarray, "n n"]]:
    """Return the off-diagonal part of u(n): Eᵢⱼ − Eⱼᵢ and i(Eᵢⱼ + Eⱼᵢ)."""
    algebra = []
    for i in range(n):
        for j in range(i):
            ij, ji = _unit(n, i, j), _unit(n, j, i)
            algebra += [ij - ji + 0j, 1j * (ij + ji)]
    return algebra


class U(Group):
    """The unitary group U(n), complex."""

    def __init__(self, n: int) -> None:
        n = _size(n, "U(n)")
        refuse_large(2 * n**4, f"U({n})")
        phases = [1j * _unit(n, i, i) for i in range(n)]
        super().__init__(lie_algebra=_skew_hermitian(n) + phases)


class SU(Group):
    """The special unitary group SU(n), complex."""

    def __init__(self, n: int) -> None:
        n = _size(n, "SU(n)")
        refuse_large(2 * (n * n - 1) * n * n, f"SU({n})")
        # traceless, as in EMLP: i on one place, −i/(n − 1) on each other
        phases = [1j * (_unit(n, i, i) * n - np.eye(n)) / (n - 1) for i in range(n - 1)]
        super().__init__(lie_algebra=_skew_hermitian(n) + phases, d=n)


class Z(Group):
    """The cyclic group of order n, shifting n coordinates around."""

    def __init__(self, n: int) -> None:
        n = _size(n, "Z(n)")
        refuse_large(n, f"Z({n})")
        super().__init__(discrete_generators=[Permutation(np.roll(np.arange(n), 1))])


class S(Group):
    """The symmetric group of all permutations of n coordinates."""

    def __init__(self, n: int) -> None:
        n = _size(n, "S(n)")
        refuse_large(n * n, f"S({n})")

        def swap(i: int) -> Permutation:
            indices = np.arange(n)
            indices[[0, i]] = i, 0
            return Permutation(indices)

        super().__init__(discrete_generators=[swap(i) for i in range(1, n)], d=n)


class ZksZnxZn(Group):
    """ℤₖ ⋉ (ℤₙ × ℤₙ) for k = 2 or 4, on k feature maps over an n × n grid (d = kn²).

    Translations shift the grid; a rotation by 360°/k turns the grid and shifts the k maps. The
    symmetry of the first group-equivariant convolutions (Cohen and Welling 2016).
    """

    def __init__(self, k: int, n: int) -> None:
        k, n = _size(k, "ZksZnxZn(k, n)", 2), _size(n, "ZksZnxZn(k, n)")
        if k not in (2, 4):
            raise InvalidGroup(
                f"the grid of ZksZnxZn(k, n) turns by 180° or 90°: k is 2 or 4, not {k}"
            )
        refuse_large(3 * k * n * n, f"ZksZnxZn({k},{n})")
        places = np.arange(k * n * n).reshape(k, n, n)
        turned = np.rot90(np.roll(places, 1, axis=0), 4 // k, axes=(1, 2))
        moves = (np.roll(places, 1, axis=1), np.roll(places, 1, axis=2), turned)
        super().__init__(discrete_generators=[Permutation(move.ravel()) for move in moves])


class SO2eR3(Embed):
    """SO(2) turning the first two of three coordinates."""

    def __init__(self) -> None:
        super().__init__(SO(2), 3, slice(2))


class O2eR3(Embed):
    """O(2) acting on the first two of three coordinates."""

    def __init__(self) -> None:
        super().__init__(O(2), 3, slice(2))


class DkeR3(Embed):
    """D(k) acting on the first two of three coordinates."""

    def __init__(self, k: int) -> None:
        super().__init__(D(k), 3, slice(2))


#: The groups that can be written as text.
CATALOGUE: dict[str, type[Group]] = {
    group.__name__: group
    for group in (
        Trivial, SO, O, C, D, Scaling, SO13p, SO13, O13, Lorentz, SO11p, O11, Sp, Z, S, SL, GL,
        U, SU, Cube, RubiksCube, ZksZnxZn, SO2eR3, O2eR3, DkeR3,
    )
}  # fmt: skip
