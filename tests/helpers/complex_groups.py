"""Groups of complex matrices, and reps whose matrices are real where the group's are complex, or
the other way round.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from intertwine.groups import SU, Group, U
from intertwine.reps import Rep

Q8 = Group(discrete_generators=[[[1j, 0], [0, -1j]], [[0, 1], [-1, 0]]])
Z3 = Group(discrete_generators=[[[np.exp(2j * np.pi / 3)]]])
COMPLEX = {"SU(2)": SU(2), "SU(3)": SU(3), "U(1)": U(1), "U(2)": U(2), "Q8": Q8, "Z3": Z3}

_PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


class Rotations(Rep):
    """The rotation of ℝ³ that a matrix of SU(2) represents."""

    def size(self) -> int:
        return 3

    def rho(self, M: Any) -> Any:
        return _coordinates(M @ _PAULI @ np.conj(M).T)

    def drho(self, A: Any) -> Any:
        return _coordinates(A @ _PAULI + _PAULI @ np.conj(A).T)


class Phase(Rep):
    """The rotation of the plane as a complex number."""

    def size(self) -> int:
        return 1

    def rho(self, M: Any) -> Any:
        return np.array([[M[0, 0] + 1j * M[1, 0]]])

    def drho(self, A: Any) -> Any:
        return self.rho(A)


def _coordinates(matrices: Any) -> Any:
    """The columns of a map by the Pauli matrices' images."""
    return np.einsum("aij,bji->ab", _PAULI, matrices).real / 2
