"""e3nn's bases of the irreps of SO(3), O(3) and SU(2), as changes of basis."""

from __future__ import annotations

import numpy as np
from jaxtyping import Complex, Inexact

from intertwine.errors import MethodNotApplicable
from intertwine.irreps.decomposer import Decomposer
from intertwine.irreps.element_images import IrrepImages
from intertwine.irreps.names.highest_weights import LinearMaps, Rotations, RotationsAndReflections
from intertwine.irreps.names.recognition import scheme_of
from intertwine.irreps.names.schemes import irrep_names, irrep_of_name
from intertwine.irreps.spherical_harmonics import SphericalHarmonics, rotation_generators_of
from intertwine.reps.syntax import Base

GAUGES = ("own", "e3nn")
"""The bases of irreps: the library's, or e3nn's."""
_POINT = np.array([0.48, 0.6, 0.64])
"""A point of the unit sphere at which harmonics fix signs."""
_TOLERANCE = 1e-9  # the largest error of X A = A' X, relative to the size
_LARGEST = 1e-6  # entries this near to the largest one count as largest


def e3nn_basis(decomposer: Decomposer, index: int) -> Inexact[np.ndarray, "n n"]:
    """Return the unitary X with X λ(g) X⁻¹ = D(g), e3nn's matrix, for a catalogued irrep λ.

    X is real for SO(3) and O(3). Its sign is such that the copy of the irrep l in V^l, from left to
    right, has Y_l(v) times a positive number for v ⊗ … ⊗ v; for the other parity, that the product
    of ``0o`` and l is l. For SU(2) and over ℂ, the first of X's largest entries is positive.
    Raises `MethodNotApplicable` for other groups and half-integral spins.
    """
    name, is_spin = _name(decomposer, index)
    degree, _ = degree_and_parity(name)
    images, units = IrrepImages(decomposer, index), np.eye(3)
    given = []
    for axis in range(3):
        if is_spin:
            given.append(images.lie(-0.5j * _PAULI[axis]))
        else:
            given.append(images.lie(np.cross(units, units[axis])))
    found = _intertwiner(np.stack(given), rotation_generators_of(degree))
    if is_spin or images.is_complex:
        return phased(found)
    real = np.real(phased(found))
    signed: Inexact[np.ndarray, "n n"] = real * _sign(decomposer, index, name, degree, real)
    return signed


def _name(decomposer: Decomposer, index: int) -> tuple[str, bool]:
    """Return the usual name of an irrep of SO(3), O(3) or SU(2), and whether its group is SU(2).

    Raises `MethodNotApplicable` for other groups and half-integral spins.
    """
    scheme, names = scheme_of(decomposer.group), irrep_names(decomposer)
    is_spin = isinstance(scheme, LinearMaps) and scheme.example == "j=3/2"
    is_space = isinstance(scheme, Rotations | RotationsAndReflections) and scheme.n == 3
    name = None if names is None else names.name(index)
    if not (is_spin or is_space) or name is None:
        raise MethodNotApplicable(
            f"e3nn has irreps of SO(3), O(3) and SU(2), and {decomposer.group!r} is none of them"
        )
    if "/" in name:
        raise MethodNotApplicable(f"{name} has no spherical harmonics: its spin is half-integral")
    return name, is_spin


def e3nn_name(decomposer: Decomposer, index: int) -> str:
    """Return e3nn's name of an irrep, such as ``2e``. Those without a parity are even.

    Raises `MethodNotApplicable` for irreps that e3nn does not have.
    """
    degree, parity = degree_and_parity(_name(decomposer, index)[0])
    return f"{degree}{parity}"


def degree_and_parity(name: str) -> tuple[int, str]:
    """Return l and the parity of the name of an irrep, such as ``2o``, ``l=2`` or ``j=2``."""
    number = name.removeprefix("l=").removeprefix("j=")
    return int(number.rstrip("eo")), "o" if number.endswith("o") else "e"


def order_of_e3nn(name: str) -> tuple[int, bool]:
    """Return the key of e3nn's order 0e, 0o, 1o, 1e, 2e, 2o, … for such a name.

    The parity (−1)^l comes first.
    """
    degree, parity = degree_and_parity(name)
    is_natural = (parity == "e") == (degree % 2 == 0)
    return degree, not is_natural


_PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


def _intertwiner(
    given: Inexact[np.ndarray, "3 n n"], wanted: Inexact[np.ndarray, "3 n n"]
) -> Complex[np.ndarray, "n n"]:
    """Return the unitary X with X A = A' X, up to a phase.

    It maps eigenvectors of A_z to those of A'_z; A_x maps each to its neighbours, which relates
    their phases.
    """
    left, right = (np.linalg.eigh(-1j * each[2])[1] for each in (given, wanted))
    steps, others = (u.conj().T @ a[0] @ u for u, a in ((left, given), (right, wanted)))
    phases = np.ones(len(left), dtype=complex)
    for k in range(len(left) - 1):
        ratio = others[k, k + 1] / (phases[k] * steps[k, k + 1])
        phases[k + 1] = (ratio / np.abs(ratio)).conj()
    found: Complex[np.ndarray, "n n"] = (right * phases) @ left.conj().T
    error = np.abs(found @ given - wanted @ found).max()
    if not error <= _TOLERANCE * (1 + len(found)):
        raise MethodNotApplicable(f"the irrep is not one of rotations: it differs by {error:.1e}")
    return found


def phased(array: Complex[np.ndarray, "..."]) -> Complex[np.ndarray, "..."]:
    """Return the array with the phase for which the first of its largest entries is positive."""
    flat = array.ravel()
    first = flat[int(np.argmax(np.abs(flat) >= np.abs(flat).max() - _LARGEST))]
    found: Complex[np.ndarray, "..."] = array * (np.abs(first) / first)
    return found


def _sign(
    decomposer: Decomposer, index: int, name: str, degree: int, basis: Inexact[np.ndarray, "n n"]
) -> float:
    """Return the sign of the basis of a real irrep (see `e3nn_basis`)."""
    is_natural = name.startswith("l") or (name[-1] == "e") == (degree % 2 == 0)
    if not is_natural:
        if degree == 0:
            return float(np.sign(basis[0, 0]))
        parity = "e" if name[-1] == "o" else "o"
        pseudo = irrep_of_name(decomposer, "0o").index
        other = irrep_of_name(decomposer, f"{degree}{parity}").index
        copy = decomposer.catalogue.product(pseudo, other)[index][:, 0]
        return float(np.sign(np.trace(basis @ copy.T @ e3nn_basis(decomposer, other).T)))
    if degree == 0:
        return float(np.sign(basis[0, 0]))
    if degree == 1:
        copy = decomposer.atom(Base(decomposer.group))[1][index][:, 0]
        return float(np.sign(_POINT @ basis @ copy.T @ _POINT))
    letter = {"e": "o", "o": "e"}.get(name[-1], "")
    smaller = irrep_of_name(decomposer, f"{degree - 1}{letter}").index
    vector = irrep_of_name(decomposer, "1o" if letter else "1").index
    copy = decomposer.catalogue.product(smaller, vector)[index][:, 0]
    parts = [
        e3nn_basis(decomposer, part).T @ SphericalHarmonics(order)(_POINT)
        for part, order in ((smaller, degree - 1), (vector, 1))
    ]
    return float(np.sign(SphericalHarmonics(degree)(_POINT) @ basis @ copy.T @ np.kron(*parts)))
