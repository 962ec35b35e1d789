"""The catalogue of groups, with EMLP's names and conventions (Finzi et al. 2021).

Lorentz groups have time first; the reflection in D is diag(−1, 1); C turns by
[[cos, sin], [−sin, cos]]; SO2eR3, O2eR3 and DkeR3 act on the first two of three coordinates.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from jaxtyping import Complex

from intertwine.errors import InvalidGroup
from intertwine.groups.arguments import group_argument, parts_of_a_turn
from intertwine.groups.cubes import Cube, RubiksCube
from intertwine.groups.elementary import (
    first_flipped,
    lorentz_generators,
    plane_rotation,
    rotation_generators,
    unit_matrix,
)
from intertwine.groups.embedding import Embed
from intertwine.groups.finite_groups import (
    Q8,
    A,
    BinaryIcosahedral,
    BinaryOctahedral,
    BinaryTetrahedral,
    Clifford,
    Dic,
    Hyperoctahedral,
    Klein,
    Pauli,
)
from intertwine.groups.generators import refuse_large
from intertwine.groups.group import Group
from intertwine.groups.lie_groups import G2, SE, E, Galilei, Heisenberg, Poincare, Spin
from intertwine.groups.magnetic_groups import MagneticPointGroup
from intertwine.groups.point_groups import Icosahedral, Octahedral, PointGroup, Tetrahedral
from intertwine.operators import Permutation


class Trivial(Group):
    """The trivial group on n dimensions."""

    def __init__(self, n: int) -> None:
        super().__init__(d=group_argument(n, "n of Trivial(n)"))


class SO(Group):
    """The rotations SO(n) of n dimensions.

    SO(p, q) is the group of determinant 1 that preserves p squares minus q squares, with both of
    its components: SO(1, 3) is `SO13`.
    """

    def __init__(self, n: int, q: int = 0) -> None:
        n, q = group_argument(n, "n of SO(n)"), group_argument(q, "q of SO(p, q)", 0)
        size = n + q
        refuse_large(size * (size - 1) // 2 * size**2, f"SO({n},{q})" if q else f"SO({n})")
        other = -np.eye(size) if n * q % 2 else np.diag([-1.0] + [1.0] * (size - 2) + [-1.0])
        super().__init__(
            lie_algebra=lorentz_generators(n, q) if q else rotation_generators(n),
            discrete_generators=[other] if q else [],
            d=size,
        )
        if q:
            self.z_scale = (0.3,) * (n * q) + (1.0,) * (len(self.lie_generators) - n * q)


class O(Group):  # noqa: E742 - the orthogonal group has this name
    """The orthogonal group O(n): SO(n) and the reflection diag(−1, 1, …, 1)."""

    def __init__(self, n: int) -> None:
        n = group_argument(n, "n of O(n)")
        refuse_large((n * (n - 1) // 2 + 1) * n * n, f"O({n})")
        super().__init__(lie_algebra=rotation_generators(n), discrete_generators=[first_flipped(n)])


class C(Group):
    """The cyclic group of order k: rotations of the plane by multiples of 2π/k."""

    def __init__(self, k: int) -> None:
        super().__init__(discrete_generators=[plane_rotation(parts_of_a_turn(k, "k of C(k)"))])


class D(Group):
    """The dihedral group of order 2k: C(k) and the reflection diag(−1, 1)."""

    def __init__(self, k: int) -> None:
        super().__init__(
            discrete_generators=[plane_rotation(parts_of_a_turn(k, "k of D(k)")), first_flipped(2)]
        )


class Scaling(Group):
    """All positive multiples of the identity, on n dimensions."""

    def __init__(self, n: int) -> None:
        n = group_argument(n, "n of Scaling(n)")
        refuse_large(n * n, f"Scaling({n})")
        super().__init__(lie_algebra=[np.eye(n)])


class SO13p(Group):
    """SO⁺(1, 3), the proper orthochronous Lorentz group; time first."""

    z_scale = (0.3, 0.3, 0.3, 1.0, 1.0, 1.0)  # large boosts make huge matrices of high tensors

    def __init__(self) -> None:
        super().__init__(lie_algebra=lorentz_generators(1, 3))


class SO13(Group):
    """SO(1, 3): SO⁺(1, 3) and −1, reflecting space and time together."""

    z_scale = SO13p.z_scale

    def __init__(self) -> None:
        super().__init__(lie_algebra=lorentz_generators(1, 3), discrete_generators=[-np.eye(4)])


class O13(Group):
    """The full Lorentz group O(1, 3): SO(1, 3) and the reflection of time."""

    z_scale = SO13p.z_scale

    def __init__(self) -> None:
        super().__init__(
            lie_algebra=lorentz_generators(1, 3), discrete_generators=[-np.eye(4), first_flipped(4)]
        )


class Lorentz(O13):
    """The full Lorentz group, another name of O13."""


class SO11p(Group):
    """SO⁺(1, 1), the boosts of one time and one space dimension."""

    def __init__(self) -> None:
        super().__init__(lie_algebra=lorentz_generators(1, 1))


class O11(Group):
    """O(1, 1): SO⁺(1, 1), −1, and the reflection of time."""

    def __init__(self) -> None:
        super().__init__(
            lie_algebra=lorentz_generators(1, 1), discrete_generators=[-np.eye(2), first_flipped(2)]
        )


class Sp(Group):
    """The symplectic group Sp(m) of 2m dimensions, preserving [[0, 1], [−1, 0]] in m-blocks."""

    def __init__(self, m: int) -> None:
        m = group_argument(m, "m of Sp(m)")
        n = 2 * m
        refuse_large(m * (n + 1) * n * n, f"Sp({m})")
        algebra = [
            unit_matrix(n, i, j) - unit_matrix(n, m + j, m + i)
            for i, j in product(range(m), repeat=2)
        ]
        for i in range(m):
            for j in range(i + 1):
                lower = np.maximum(unit_matrix(n, m + i, j), unit_matrix(n, m + j, i))
                algebra += [lower, lower.T]
        super().__init__(lie_algebra=algebra)


class SL(Group):
    """The real matrices of determinant one, SL(n, ℝ)."""

    def __init__(self, n: int) -> None:
        n = group_argument(n, "n of SL(n)")
        refuse_large((n * n - 1) * n * n, f"SL({n})")
        off = [unit_matrix(n, i, j) for i, j in product(range(n), repeat=2) if i != j]
        diagonal = [unit_matrix(n, i, i) - unit_matrix(n, n - 1, n - 1) for i in range(n - 1)]
        super().__init__(lie_algebra=off + diagonal, d=n)


class GL(Group):
    """The real matrices of positive determinant, the identity component of GL(n, ℝ)."""

    def __init__(self, n: int) -> None:
        n = group_argument(n, "n of GL(n)")
        refuse_large(n**4, f"GL({n})")
        super().__init__(lie_algebra=[unit_matrix(n, i, j) for i, j in product(range(n), repeat=2)])


def _skew_hermitian(n: int) -> list[Complex[np.ndarray, "n n"]]:
    """Return the off-diagonal part of u(n): Eᵢⱼ − Eⱼᵢ and i(Eᵢⱼ + Eⱼᵢ)."""
    algebra = []
    for i in range(n):
        for j in range(i):
            ij, ji = unit_matrix(n, i, j), unit_matrix(n, j, i)
            algebra += [ij - ji + 0j, 1j * (ij + ji)]
    return algebra


class U(Group):
    """The unitary group U(n), complex."""

    def __init__(self, n: int) -> None:
        n = group_argument(n, "n of U(n)")
        refuse_large(2 * n**4, f"U({n})")
        phases = [1j * unit_matrix(n, i, i) for i in range(n)]
        super().__init__(lie_algebra=_skew_hermitian(n) + phases)


class SU(Group):
    """The special unitary group SU(n), complex."""

    def __init__(self, n: int) -> None:
        n = group_argument(n, "n of SU(n)")
        refuse_large(2 * (n * n - 1) * n * n, f"SU({n})")
        # traceless, as in EMLP: i on one place, −i/(n − 1) on each other
        phases = [1j * (unit_matrix(n, i, i) * n - np.eye(n)) / (n - 1) for i in range(n - 1)]
        super().__init__(lie_algebra=_skew_hermitian(n) + phases, d=n)


class Z(Group):
    """The cyclic group of order n, shifting n coordinates around."""

    def __init__(self, n: int) -> None:
        n = group_argument(n, "n of Z(n)")
        refuse_large(n, f"Z({n})")
        super().__init__(discrete_generators=[Permutation(np.roll(np.arange(n), 1))])


class S(Group):
    """The symmetric group of all permutations of n coordinates."""

    def __init__(self, n: int) -> None:
        n = group_argument(n, "n of S(n)")
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
        k, n = group_argument(k, "k of ZksZnxZn(k, n)", 2), group_argument(n, "n of ZksZnxZn(k, n)")
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
        PointGroup, MagneticPointGroup, Tetrahedral, Octahedral, Icosahedral,
        A, Klein, Hyperoctahedral, Dic, Q8, BinaryTetrahedral, BinaryOctahedral, BinaryIcosahedral,
        Pauli, Clifford, SE, E, Galilei, Poincare, Heisenberg, Spin, G2,
    )
}  # fmt: skip

#: An example of each group of the catalogue that has parameters, as text.
EXAMPLES: dict[str, str] = {
    **{"Trivial": "Trivial(2)", "SO": "SO(3)", "O": "O(3)", "C": "C(4)", "D": "D(4)"},
    **{"Scaling": "Scaling(2)", "Sp": "Sp(2)", "Z": "Z(6)", "S": "S(4)", "SL": "SL(2)"},
    **{"GL": "GL(2)", "U": "U(2)", "SU": "SU(2)", "ZksZnxZn": "ZksZnxZn(4, 3)"},
    **{"DkeR3": "DkeR3(4)", "PointGroup": "PointGroup(m-3m)", "A": "A(5)"},
    **{"MagneticPointGroup": "MagneticPointGroup(4'/mm'm)", "Dic": "Dic(3)"},
    **{"Hyperoctahedral": "Hyperoctahedral(3)", "Pauli": "Pauli(2, 1)", "Clifford": "Clifford(1)"},
    **{"SE": "SE(3)", "E": "E(3)", "Galilei": "Galilei(3)", "Heisenberg": "Heisenberg(1)"},
    **{"Spin": "Spin(5)"},
}
