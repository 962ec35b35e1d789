"""Further Lie groups: motions of space and time, and the spin, exceptional and Heisenberg groups.

Motions act on affine coordinates (x, 1), as [[g, a], [0, 1]]: V is x ↦ gx + a, and the last
coordinate is invariant.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
from jaxtyping import Complex, Float

from intertwine.groups.arguments import group_argument
from intertwine.groups.elementary import (
    first_flipped,
    lorentz_generators,
    rotation_generators,
    unit_matrix,
)
from intertwine.groups.generators import refuse_large
from intertwine.groups.group import Group

_Matrix = Float[np.ndarray, "_ _"]


def _translations(n: int, size: int) -> list[_Matrix]:
    """Return the translations of the first n of some affine coordinates."""
    return [unit_matrix(size, i, size - 1) for i in range(n)]


def _affine(generators: Sequence[_Matrix], corner: float) -> list[_Matrix]:
    """Return [[A, 0], [0, c]] for each matrix A; c is 0 in a Lie algebra, and 1 in a group."""
    found = []
    for matrix in generators:
        whole = np.pad(matrix, (0, 1))
        whole[-1, -1] = corner
        found.append(whole)
    return found


class SE(Group):
    """The proper motions of n-dimensional space, x ↦ Rx + a with R in SO(n).

    They act on n + 1 affine coordinates.
    """

    def __init__(self, n: int) -> None:
        n = group_argument(n, "n of SE(n)")
        refuse_large(n * (n + 1) // 2 * (n + 1) ** 2, f"SE({n})")
        super().__init__(
            lie_algebra=[*_affine(rotation_generators(n), 0.0), *_translations(n, n + 1)]
        )


class E(Group):
    """The motions of n-dimensional space, x ↦ Rx + a with R in O(n).

    They act on n + 1 affine coordinates.
    """

    def __init__(self, n: int) -> None:
        n = group_argument(n, "n of E(n)")
        refuse_large((n * (n + 1) // 2 + 1) * (n + 1) ** 2, f"E({n})")
        super().__init__(
            lie_algebra=[*_affine(rotation_generators(n), 0.0), *_translations(n, n + 1)],
            discrete_generators=_affine([first_flipped(n)], 1.0),
        )


class Galilei(Group):
    """The proper Galilei group of n-dimensional space, on coordinates (x, t, 1).

    It consists of rotations, boosts x ↦ x + vt, and translations of space and time. Its dimension
    is (n + 1)(n + 2)/2.
    """

    def __init__(self, n: int) -> None:
        n = group_argument(n, "n of Galilei(n)")
        refuse_large((n + 1) * (n + 2) // 2 * (n + 2) ** 2, f"Galilei({n})")
        boosts = [unit_matrix(n + 2, i, n) for i in range(n)]
        turns = _affine(_affine(rotation_generators(n), 0.0), 0.0)
        super().__init__(lie_algebra=[*turns, *boosts, *_translations(n + 1, n + 2)])


class Poincare(Group):
    """The proper orthochronous Poincaré group: SO⁺(1, 3) and translations.

    It acts on coordinates (t, x, y, z, 1).
    """

    z_scale = (0.3, 0.3, 0.3, *[1.0] * 7)  # as SO13p

    def __init__(self) -> None:
        super().__init__(
            lie_algebra=[*_affine(lorentz_generators(1, 3), 0.0), *_translations(4, 5)]
        )


class Heisenberg(Group):
    """The real Heisenberg group of n positions and n momenta, of dimension 2n + 1.

    It acts on n + 2 dimensions by the matrices [[1, p, c], [0, 1, q], [0, 0, 1]], and is nilpotent.
    """

    def __init__(self, n: int) -> None:
        n = group_argument(n, "n of Heisenberg(n)")
        refuse_large((2 * n + 1) * (n + 2) ** 2, f"Heisenberg({n})")
        places = [(0, i) for i in range(1, n + 1)] + [(i, n + 1) for i in range(1, n + 1)]
        super().__init__(lie_algebra=[unit_matrix(n + 2, i, j) for i, j in (*places, (0, n + 1))])


class Spin(Group):
    """The spin group Spin(n), the double cover of SO(n), in its complex spin rep.

    Its Lie algebra is spanned by γᵢγⱼ/2 for i < j, where γᵢγⱼ + γⱼγᵢ = 2δᵢⱼ on 2^⌊n/2⌋ dimensions
    (Brauer and Weyl 1935). For even n the rep is the sum of the two half-spin reps.
    """

    def __init__(self, n: int) -> None:
        n = group_argument(n, "n of Spin(n)", 2)
        size: int = 2 ** (min(n, 60) // 2)
        refuse_large(n * (n - 1) * size**2, f"Spin({n})")
        gammas = _gammas(n)
        super().__init__(lie_algebra=[gammas[i] @ gammas[j] / 2 for i, j in _pairs(n)])


def _pairs(n: int) -> list[tuple[int, int]]:
    return list(combinations(range(n), 2))


def _gammas(n: int) -> list[Complex[np.ndarray, "s s"]]:
    """Return n anticommuting Hermitian matrices of square 1: tensor products of Pauli's."""
    x, y, z = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    sites = n // 2
    found = []
    for site, matrix in product(range(sites), (x, y)):
        whole = np.eye(1)
        for other in range(sites):
            whole = np.kron(whole, z if other < site else matrix if other == site else np.eye(2))
        found.append(whole)
    last = np.eye(1)
    for _ in range(sites):
        last = np.kron(last, z)
    return [*found, last][:n]


class G2(Group):
    """The compact exceptional group G₂, of dimension 14: the automorphisms of the octonions.

    It acts on the seven imaginary dimensions. Its Lie algebra is spanned by the derivations
    x ↦ [[a, b], x] − 3((ab)x − a(bx)) for imaginary units a and b (Schafer 1966, §III.8). Here
    eᵢeⱼ = eₖ if (i, j, k) = (i, i + 1, i + 3) modulo 7.
    """

    def __init__(self) -> None:
        super().__init__(lie_algebra=_octonion_derivations())


def _octonion_derivations() -> list[_Matrix]:
    """Return 14 independent derivations, as matrices of integers."""
    times = np.zeros((8, 8, 8))  # eᵢeⱼ = Σₖ times[i, j, k] eₖ, where e₀ = 1
    times[0] = times[:, 0] = np.eye(8)
    for i in range(1, 8):
        times[i, i, 0] = -1
    for i in range(7):
        line = [1 + i, 1 + (i + 1) % 7, 1 + (i + 3) % 7]
        for a, b, c in (line, line[1:] + line[:1], line[2:] + line[:2]):
            times[a, b, c], times[b, a, c] = 1, -1
    left, right = times.transpose(0, 2, 1), times.transpose(1, 2, 0)  # x ↦ eᵢx, and x ↦ xeᵢ
    found: list[_Matrix] = []
    for a, b in combinations(range(1, 8), 2):
        product_ = times[a, b] - times[b, a]
        commutator = np.einsum("i,ijk->jk", product_, left - right)
        associator = np.einsum("i,ijk->jk", times[a, b], left) - left[a] @ left[b]
        derivation = (commutator - 3 * associator)[1:, 1:]
        if np.linalg.matrix_rank(np.reshape([*found, derivation], (-1, 49))) > len(found):
            found.append(derivation)
    return found
