"""Finite groups are enumerated in any frame, by any generators; infinite ones are told quickly."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest
from intertwine.groups import (
    SO,
    C,
    Cube,
    D,
    Group,
    O,
    Pauli,
    RubiksCube,
    S,
    Trivial,
    Z,
    parse_group,
)
from intertwine.groups.enumeration import enumerate_elements, independent_generators
from intertwine.operators import dense

ICOSAHEDRAL_ANGLE = np.cos(np.pi / 5)


def reflections() -> list[np.ndarray]:
    """The simple reflections of H₃, whose group has 120 elements."""
    c = ICOSAHEDRAL_ANGLE
    roots = np.linalg.cholesky(np.array([[1, -c, 0], [-c, 1, -0.5], [0, -0.5, 1]]))
    return [np.eye(3) - 2 * np.outer(r, r) / (r @ r) for r in roots]


def matrices(group: Group) -> list[np.ndarray]:
    return [np.asarray(dense(h)) for h in group.group_generators]


def framed(generators: Sequence[np.ndarray], condition: float, seed: int) -> Group:
    """The same group in a random frame."""
    rng, d = np.random.default_rng(seed), len(generators[0])
    u, v = (np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(2))
    frame = u @ np.diag(np.geomspace(1, 1 / condition, d)) @ v
    return Group(discrete_generators=[frame @ h @ np.linalg.inv(frame) for h in generators])


def order(group: Group) -> int | None:
    found = enumerate_elements(group)
    return None if found is None else found.order


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (Trivial(3), 1),
        (Z(30), 30),
        (S(5), 120),
        (S(7), 5040),
        (C(1000), 1000),
        (D(5), 10),
        (D(997), 1994),
        (Cube(), 24),
        (parse_group("ZksZnxZn(4,3)"), 36),
        (Group(discrete_generators=reflections()), 120),
        (Group(discrete_generators=[-np.eye(2), np.eye(2), -np.eye(2)]), 2),
        (O(3), 2),  # its Lie algebra is not looked at
    ],
)
def test_orders(group: Group, expected: int) -> None:
    assert order(group) == expected


@pytest.mark.parametrize("condition", [1.0, 10.0, 1e3, 1e4])
@pytest.mark.parametrize("seed", range(3))
def test_orders_in_any_frame(condition: float, seed: int) -> None:
    for generators, expected in (
        (reflections(), 120),
        (matrices(S(5)), 120),
        (matrices(Cube()), 24),
        (matrices(D(12)), 24),
        (matrices(Z(30)), 30),
    ):
        assert order(framed(generators, condition, seed)) == expected


def test_complex_groups() -> None:
    """The shift and clock matrices of Z₇ generate 343 elements."""
    shift = np.roll(np.eye(7), 1, axis=0)
    clock = np.diag(np.exp(2j * np.pi * np.arange(7) / 7))
    assert order(Group(discrete_generators=[shift, clock])) == 343
    assert order(framed([shift, clock], 100.0, 0)) == 343


def test_words_make_the_elements() -> None:
    found = enumerate_elements(Group(discrete_generators=reflections()))
    assert found is not None
    elements = found.elements
    generators = matrices(found.group)
    np.testing.assert_allclose(elements[0], np.eye(3))
    for i in range(1, found.order):
        assert found.parents[i] < i
        product = elements[found.parents[i]] @ generators[found.letters[i]]
        np.testing.assert_allclose(elements[i], product, atol=1e-13)
    assert set(found.letters[1:].tolist()) == set(found.generators)
    distances = np.abs(elements[:, None] - elements[None]).max(axis=(2, 3)) + np.eye(120)
    assert distances.min() > 0.1
    for place, generator in zip(found.places, generators, strict=True):
        np.testing.assert_allclose(elements[place], generator, atol=1e-13)


def test_images_of_another_rep_and_its_character() -> None:
    found = enumerate_elements(Group(discrete_generators=reflections()))
    assert found is not None
    squares = [np.kron(h, h) for h in matrices(found.group)]
    expected = np.array([np.kron(g, g) for g in found.elements])
    np.testing.assert_allclose(found.images(squares), expected, atol=1e-13)
    character = found.character(squares)
    assert character is not None
    np.testing.assert_allclose(
        character, np.trace(found.elements, axis1=1, axis2=2) ** 2, atol=1e-13
    )


def test_signed_permutations_are_counted_in_integers() -> None:
    found = enumerate_elements(Cube())
    assert found is not None
    character = found.character(Cube().group_generators)
    assert character is not None
    assert character.dtype == np.int64
    np.testing.assert_allclose(character, np.trace(found.elements, axis1=1, axis2=2))


def test_an_image_that_contradicts_the_others_has_no_character() -> None:
    doubled = Group(discrete_generators=[*reflections(), reflections()[0] @ reflections()[1]])
    found = enumerate_elements(doubled)
    assert found is not None
    signs = [-np.eye(1)] * 3
    assert found.character([*signs, np.eye(1)]) is not None
    assert found.character([*signs, -np.eye(1)]) is None
    turned = [np.array([[0.6, 0.8], [0.8, -0.6]])] * 3
    assert found.character([*turned, np.eye(2)]) is not None
    assert found.character([*turned, -np.eye(2)]) is None


class TestIndependentGenerators:
    def test_all_elements_cost_as_much_as_three(self) -> None:
        enumeration = enumerate_elements(Group(discrete_generators=reflections()))
        assert enumeration is not None
        for seed in range(6):
            shuffled = enumeration.elements[np.random.default_rng(seed).permutation(120)]
            group = Group(discrete_generators=shuffled)
            started = time.process_time()
            chosen = independent_generators(group)
            assert time.process_time() - started < 0.5  # milliseconds, on a machine at rest
            assert chosen is not None
            assert len(chosen) <= 4
            assert order(Group(discrete_generators=shuffled[list(chosen)])) == 120

    def test_of_many_transpositions_few_remain(self) -> None:
        swaps = []
        for i in range(6):
            for j in range(i):
                swap = np.arange(6)
                swap[[i, j]] = j, i
                swaps.append(swap)
        chosen = independent_generators(Group(discrete_generators=[np.arange(6), *swaps, *swaps]))
        assert chosen is not None
        assert len(chosen) == 5

    def test_earlier_ones_that_later_ones_generate_are_dropped(self) -> None:
        turn = matrices(C(12))[0]
        powers = [np.linalg.matrix_power(turn, k) for k in (6, 4, 3, 1, 2)]
        assert independent_generators(Group(discrete_generators=powers)) in ((3,), (1, 2))
        assert independent_generators(Group(discrete_generators=[np.eye(2)] * 4)) == ()

    def test_groups_that_are_not_enumerated_give_none(self) -> None:
        assert independent_generators(S(9)) is None
        assert independent_generators(SO(3)) == ()


@pytest.mark.parametrize(
    "generators",
    [
        [np.diag([2.0, 0.5])],
        [2.0 * np.eye(2)],
        [1e100 * np.eye(2)],
        [1e-100 * np.eye(2)],
        [1e200 * np.eye(2), 1e-300 * np.eye(2)],
        [np.array([[1.0, 1.0], [0.0, 1.0]])],
        [np.array([[1.0, 1e-7], [0.0, 1.0]])],
        [np.array([[0.0, -1.0], [1.0, 0.0]]), np.array([[0.0, -1.0], [1.0, 1.0]])],
        [np.diag([1.0 + 1e-7, 1.0])],
        [matrices(C(10**8))[0]],
        [np.array([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]])],
        [np.diag([1.0, np.exp(1j)])],
        [np.array([[1.0, 2.0], [1.0, 1.0]]), np.diag([1.0, -1.0])],
        [np.array([[-0.5, -0.866025, 0], [0.866025, -0.5, 0], [0, 0, 1]])],
    ],
    ids=range(14),
)
def test_infinite_groups_are_recognised_quickly(generators: list[np.ndarray]) -> None:
    started = time.process_time()
    assert order(Group(discrete_generators=generators)) is None
    assert time.process_time() - started < 1


def test_large_groups_are_recognised_quickly() -> None:
    started = time.process_time()
    assert order(S(20)) is None
    assert order(RubiksCube()) is None
    assert order(Group(discrete_generators=[np.roll(np.arange(300_000), 2)])) is None
    assert time.process_time() - started < 3


def test_large_matrices_of_large_order_are_recognised_before_their_eigenvalues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(np.linalg, "eigvals", lambda _: pytest.fail("this is too much work"))
    assert order(Pauli(300, 1)) is None


def test_large_matrices_of_small_order_are_enumerated() -> None:
    """Their powers move a random vector back."""
    turn = np.kron(np.eye(60), np.array([[0.0, -1], [1, 0]]))
    frame = np.eye(120) + 0.001 * np.random.default_rng(3).standard_normal((120, 120))
    flip = np.kron(np.eye(60), np.diag([1.0, -1]))
    conjugated = [frame @ h @ np.linalg.inv(frame) for h in (turn, flip)]
    assert order(Group(discrete_generators=conjugated)) == 8


def test_rounding_does_not_split_an_element() -> None:
    """Entries of exactly half a unit of rounding, on either side, are one element."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        turn = matrices(C(8))[0] + rng.uniform(-1, 1, (2, 2)) * 1e-13
        assert order(Group(discrete_generators=[turn, turn, matrices(D(8))[1]])) == 16
