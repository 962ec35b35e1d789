"""Irreps and decompositions: the laws of representation theory, on groups of every kind."""

from __future__ import annotations

import numpy as np
import pytest
from intertwine.groups import Group, parse_group
from intertwine.irreps import Decomposer, SplitError
from intertwine.irreps.actions import adjoint
from intertwine.irreps.projection import project, random_block
from intertwine.reps import Rep, V

GROUPS = (
    *("SO(2)", "SO(3)", "O(3)", "SO(4)", "SO13p()", "O13()", "Sp(1)", "Sp(2)", "SL(3)", "SU(3)"),
    *("U(2)", "S(4)", "Z(5)", "D(5)", "C(7)", "Z(3)*S(3)", "O(5)", "GL(2)"),
)


def _decomposer(group: Group) -> Decomposer:
    is_complex = any(np.iscomplexobj(g) for g in (*group.lie_generators, *group.group_generators))
    return Decomposer(group, np.dtype(complex if is_complex else float))


def _atoms(rep: Rep, power: int) -> tuple[Rep, ...]:
    return (rep,) * power


def _dense(decomposer: Decomposer, atoms: tuple[Rep, ...]) -> np.ndarray:
    """Uᴴ, irrep by irrep, copy by copy."""
    transform = decomposer.decompose(atoms).transform
    parts = transform.forward(np.eye(transform.size, dtype=decomposer.dtype))
    return np.concatenate([part.reshape(-1, transform.size) for part in parts.values()])


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("power", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.sampled(5)
def test_a_decomposition_is_unitary_and_block_diagonalises(name: str, power: int) -> None:
    group = parse_group(name)
    decomposer, atoms = _decomposer(group), _atoms(V(group), power)
    u = _dense(decomposer, atoms)
    n = group.d**power
    assert u.shape == (n, n)
    np.testing.assert_allclose(u @ adjoint(u), np.eye(n), atol=1e-13)
    found = decomposer.decompose(atoms)
    for k in range(decomposer.atom(V(group))[0].given.count):
        image = np.eye(1)
        slot = decomposer.atom(V(group))[0].given.matrices[k]
        lie = k < len(decomposer.combinations)
        image = np.zeros((1, 1)) if lie else image
        for _ in range(power):
            if lie:
                image = np.kron(image, np.eye(group.d)) + np.kron(np.eye(len(image)), slot)
            else:
                image = np.kron(image, slot)
        blocks = [
            decomposer.catalogue.irreps[index].rep.given.matrices[k]
            for index, copies in found.transform.multiplicities.items()
            for _ in range(copies)
        ]
        at, expected = 0, np.zeros((n, n), dtype=decomposer.dtype)
        for block in blocks:
            expected[at : at + len(block), at : at + len(block)] = block
            at += len(block)
        error = np.linalg.norm(u @ image @ adjoint(u) - expected, 2)
        assert error <= found.errors[k] + 1e-13 * np.linalg.norm(image, 2)
        assert found.errors[k] <= 1e-12 * max(1.0, float(np.linalg.norm(image, 2)))


@pytest.mark.slow
@pytest.mark.parametrize("name", GROUPS)
def test_between_different_irreps_there_are_no_maps(name: str) -> None:
    group = parse_group(name)
    decomposer = _decomposer(group)
    decomposer.decompose(_atoms(V(group), 3))
    irreps = decomposer.catalogue.irreps
    for a in irreps:
        for b in irreps:
            shape = (a.dimension, 1, b.dimension)
            x = random_block((5,), shape, decomposer.dtype)
            found = project(a.rep.given, b.rep.given, x)
            assert (np.linalg.norm(found) > 1e-6) == (a is b)


@pytest.mark.parametrize(
    ("name", "power", "found"),
    [
        ("SO(2)", 2, [("ℂ", 2, 1), ("ℝ", 1, 2)]),
        ("SO(3)", 3, [("ℝ", 1, 1), ("ℝ", 3, 3), ("ℝ", 5, 2), ("ℝ", 7, 1)]),
        ("SO13p()", 2, [("ℂ", 6, 1), ("ℝ", 1, 1), ("ℝ", 9, 1)]),
        ("S(4)", 1, [("ℝ", 1, 1), ("ℝ", 3, 1)]),
        ("C(4)", 1, [("ℂ", 2, 1)]),
    ],
)
def test_types_dimensions_and_multiplicities_are_those_of_the_books(
    name: str, power: int, found: list[tuple[str, int, int]]
) -> None:
    group = parse_group(name)
    decomposer = _decomposer(group)
    multiplicities = decomposer.decompose(_atoms(V(group), power)).transform.multiplicities
    irreps = decomposer.catalogue.irreps
    seen = [(irreps[i].type, irreps[i].dimension, m) for i, m in multiplicities.items()]
    assert sorted(seen) == sorted(found)


def test_a_quaternionic_irrep_has_four_endomorphisms() -> None:
    i = np.kron([[0.0, -1.0], [1.0, 0.0]], np.eye(2))
    j = np.kron([[0.0, 1.0], [1.0, 0.0]], [[0.0, -1.0], [1.0, 0.0]])
    group = Group(lie_algebra=[i, j])  # SU(2) on the quaternions
    decomposer = _decomposer(group)
    (index,) = decomposer.decompose((V(group),)).transform.multiplicities
    irrep = decomposer.catalogue.irreps[index]
    assert (irrep.type, irrep.dimension, len(irrep.endomorphisms)) == ("ℍ", 4, 4)
    units = irrep.endomorphisms
    np.testing.assert_allclose(units[1] @ units[2], units[3], atol=1e-12)
    for unit in units[1:]:
        np.testing.assert_allclose(unit @ unit, -np.eye(4), atol=1e-12)
    Q = (V**4)(group).equivariant_basis(method="irreps")
    P = (V**4)(group).equivariant_basis(method="svd")
    np.testing.assert_allclose(Q @ Q.H.dense(), P @ P.H.dense(), atol=1e-11)


def test_other_generators_of_the_same_algebra_give_the_same_basis() -> None:
    given = np.asarray(parse_group("SO(4)").lie_algebra)
    rng = np.random.default_rng(3)
    others = (
        given[::-1],
        np.concatenate([given, given[:2]]),
        np.tensordot(rng.standard_normal((6, 6)), given, (1, 0)),
    )
    expected = (V**4)(Group(lie_algebra=given)).equivariant_basis(method="irreps").dense()
    for lie in others:
        found = (V**4)(Group(lie_algebra=lie)).equivariant_basis(method="irreps").dense()
        np.testing.assert_allclose(found, expected, atol=1e-10)


def test_names_do_not_depend_on_the_order_of_requests() -> None:
    group = parse_group("SO(3)")
    one, other = _decomposer(group), _decomposer(group)
    one.decompose(_atoms(V(group), 4))
    for power in (1, 2, 3, 4):
        other.decompose(_atoms(V(group), power))
    assert {i.name for i in one.catalogue.irreps} == {i.name for i in other.catalogue.irreps}
    assert len({i.name for i in one.catalogue.irreps}) == 5


@pytest.mark.parametrize(
    "matrix", [[[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [0.0, 0.0]]], ids=["unipotent", "oblique"]
)
def test_a_frame_that_is_not_closed_under_adjoints_is_seen(matrix: list[list[float]]) -> None:
    group = Group(lie_algebra=[np.array(matrix)])
    with pytest.raises(SplitError, match="not closed under adjoints"):
        _decomposer(group).decompose((V(group), V(group)))
