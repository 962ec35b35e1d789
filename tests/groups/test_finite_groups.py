"""Finite groups with names: their orders, and the relations that define them."""

from __future__ import annotations

from math import factorial, prod

import numpy as np
import pytest
from intertwine.groups import (
    Clifford,
    D,
    Dic,
    Group,
    Hyperoctahedral,
    Pauli,
    S,
    parse_group,
)
from intertwine.groups.enumeration import enumerate_elements
from intertwine.operators import dense


def elements_of(group: Group) -> np.ndarray:
    known = enumerate_elements(group)
    assert known is not None
    return known.elements


@pytest.mark.parametrize(
    ("text", "order"),
    [("A(1)", 1), ("A(2)", 1), ("A(3)", 3), ("A(5)", 60), ("Klein", 4), ("Q8", 8), ("Dic(1)", 4),
     ("Dic(3)", 12), ("Dic(7)", 28), ("Hyperoctahedral(1)", 2), ("Hyperoctahedral(4)", 384),
     ("BinaryTetrahedral", 24), ("BinaryOctahedral", 48), ("BinaryIcosahedral", 120),
     ("Pauli(2, 1)", 16), ("Pauli(2, 3)", 256), ("Pauli(3, 1)", 27), ("Pauli(3, 2)", 243),
     ("Pauli(4, 1)", 128), ("Pauli(5, 1)", 125), ("Clifford(1)", 192)],
)  # fmt: skip
def test_the_order(text: str, order: int) -> None:
    assert len(elements_of(parse_group(text))) == order


def test_even_permutations_are_half_of_all() -> None:
    matrices = elements_of(parse_group("A(5)"))
    np.testing.assert_allclose(np.linalg.det(matrices), 1)
    assert len(matrices) == len(elements_of(S(5))) // 2


def test_signed_permutations_are_the_symmetries_of_a_cube() -> None:
    matrices = elements_of(Hyperoctahedral(3))
    assert len(matrices) == 2**3 * factorial(3)
    assert (np.abs(matrices).sum(axis=1) == 1).all()
    assert (np.abs(matrices).sum(axis=2) == 1).all()


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_dicyclic_groups_satisfy_their_relations(n: int) -> None:
    a, x = (np.asarray(dense(h)) for h in Dic(n).group_generators)
    np.testing.assert_allclose(np.linalg.matrix_power(a, 2 * n), np.eye(2), atol=1e-12)
    np.testing.assert_allclose(x @ x, np.linalg.matrix_power(a, n), atol=1e-12)
    np.testing.assert_allclose(np.linalg.inv(x) @ a @ x, np.linalg.inv(a), atol=1e-12)


@pytest.mark.parametrize(
    ("binary", "rotations"),
    [("BinaryTetrahedral", "Tetrahedral"), ("BinaryOctahedral", "Octahedral"),
     ("BinaryIcosahedral", "Icosahedral"), ("Dic(5)", "PointGroup(D5)"), ("Q8", "PointGroup(222)")],
)  # fmt: skip
def test_binary_groups_are_preimages_of_rotations(binary: str, rotations: str) -> None:
    """An element of trace 2 cos(φ/2) is a rotation by φ, of trace 1 + 2 cos φ."""
    matrices = elements_of(parse_group(binary))
    np.testing.assert_allclose(np.linalg.det(matrices), 1)
    traces = np.trace(matrices, axis1=1, axis2=2).real
    below = np.trace(elements_of(parse_group(rotations)), axis1=1, axis2=2)
    np.testing.assert_allclose(np.sort(traces**2 - 1), np.sort(np.repeat(below, 2)), atol=1e-9)


@pytest.mark.parametrize(("d", "n"), [(2, 1), (2, 2), (3, 1), (3, 2), (4, 1)])
def test_shifts_and_clocks_commute_up_to_a_phase(d: int, n: int) -> None:
    generators = [np.asarray(dense(h)) for h in Pauli(d, n).group_generators]
    for i in range(n):
        shift, clock = generators[2 * i : 2 * i + 2]
        np.testing.assert_allclose(
            clock @ shift, np.exp(2j * np.pi / d) * shift @ clock, atol=1e-12
        )
        for other in (*generators[: 2 * i], *generators[2 * i + 2 :]):
            np.testing.assert_allclose(other @ shift, shift @ other, atol=1e-12)


def test_clifford_gates_map_pauli_matrices_to_pauli_matrices() -> None:
    paulis = elements_of(Pauli(2, 2))
    for gate in Clifford(2).group_generators:
        matrix = np.asarray(dense(gate))
        images = matrix @ paulis @ np.linalg.inv(matrix)
        distances = np.abs(images[:, None] - paulis[None]).max(axis=(2, 3))
        assert (distances.min(axis=1) < 1e-12).all()


@pytest.mark.slow
def test_the_clifford_group_of_two_qubits_has_its_order() -> None:
    """The images of (XI, ZI, IX, IZ) are its elements up to phases."""
    gates = [np.asarray(dense(h)) for h in Clifford(2).group_generators]
    generators = [np.asarray(dense(h)) for h in Pauli(2, 2).group_generators[:4]]

    def key_of(frame: np.ndarray) -> bytes:
        return np.stack([frame.real, frame.imag]).round().astype(np.int8).tobytes()

    seen, waiting = {key_of(np.asarray(generators))}, [np.asarray(generators)]
    while waiting:
        frame = waiting.pop()
        for gate in gates:
            moved = gate @ frame @ gate.conj().T
            if key_of(moved) not in seen:
                seen.add(key_of(moved))
                waiting.append(moved)
    phases = 8  # multiples of exp(iπ/4) act trivially on this orbit
    assert phases * len(seen) == 8 * 2 ** (4 + 4) * prod(4**j - 1 for j in (1, 2))


def test_known_isomorphisms() -> None:
    assert len(elements_of(parse_group("Dic(2)"))) == len(elements_of(parse_group("Q8")))
    assert Dic(2) == parse_group("Q8")
    assert len(elements_of(D(4))) == len(elements_of(Hyperoctahedral(2)))
