"""Every group of the catalogue, by the equations that define it; with EMLP's conventions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers.support import run_python
from intertwine import groups
from intertwine.errors import InvalidGroup, TooLarge
from intertwine.groups import (
    CATALOGUE,
    GL,
    O11,
    O13,
    SL,
    SO,
    SO13,
    SU,
    C,
    Cube,
    D,
    DkeR3,
    Group,
    Lorentz,
    O,
    O2eR3,
    Pauli,
    RubiksCube,
    S,
    Scaling,
    SO2eR3,
    SO11p,
    SO13p,
    Sp,
    Trivial,
    U,
    Z,
    ZksZnxZn,
    describe_catalogue,
    describe_group,
    parse_group,
)
from sympy.combinatorics import Permutation as SymPyPermutation
from sympy.combinatorics import PermutationGroup

Check = Callable[[Any], bool]
METRIC = np.diag([1.0, -1.0, -1.0, -1.0])


def _near(left: Any, right: Any) -> bool:
    scale = max(1.0, np.abs(left).max())
    return bool(np.abs(left - right).max() <= 1e-9 * scale)


def _orthogonal(g: Any) -> bool:
    return _near(g @ g.T, np.eye(len(g)))


def _unitary(g: Any) -> bool:
    return _near(g @ g.conj().T, np.eye(len(g)))


def _lorentz(g: Any) -> bool:
    eta = METRIC[: len(g), : len(g)]
    return _near(g.T @ eta @ g, eta)


def _symplectic(g: Any) -> bool:
    m = len(g) // 2
    form = np.block([[np.zeros((m, m)), np.eye(m)], [-np.eye(m), np.zeros((m, m))]])
    return _near(g.T @ form @ g, form)


def _special(g: Any) -> bool:
    return abs(np.linalg.det(g) - 1) <= 1e-7 * max(1.0, np.abs(g).max() ** len(g))


def _permutes(g: Any) -> bool:
    return bool(np.all((g == 0) | (g == 1)) and np.all(g.sum(0) == 1) and np.all(g.sum(1) == 1))


def _of_order(k: int) -> Check:
    return lambda g: _near(np.linalg.matrix_power(g, k), np.eye(len(g)))


def _orthochronous(g: Any) -> bool:
    return bool(g[0, 0] >= 1 - 1e-9)


def _third_is_fixed(g: Any) -> bool:
    return _near(g[2], [0, 0, 1]) and _near(g[:, 2], [0, 0, 1])


#: group, d, number of Lie and of discrete generators, what every element satisfies
DEFINITIONS: list[tuple[Group, int, int, int, list[Check]]] = [
    (Trivial(3), 3, 0, 0, [lambda g: _near(g, np.eye(3))]),
    (SO(2), 2, 1, 0, [_orthogonal, _special]),
    (SO(3), 3, 3, 0, [_orthogonal, _special]),
    (SO(5), 5, 10, 0, [_orthogonal, _special]),
    (O(3), 3, 3, 1, [_orthogonal]),
    (C(5), 2, 0, 1, [_orthogonal, _special, _of_order(5)]),
    (D(5), 2, 0, 2, [_orthogonal, _of_order(10)]),
    (Scaling(3), 3, 1, 0, [lambda g: _near(g, g[0, 0] * np.eye(3)), lambda g: g[0, 0] > 0]),
    (SO13p(), 4, 6, 0, [_lorentz, _special, _orthochronous]),
    (SO13(), 4, 6, 1, [_lorentz, _special]),
    (O13(), 4, 6, 2, [_lorentz]),
    (Lorentz(), 4, 6, 2, [_lorentz]),
    (SO11p(), 2, 1, 0, [_lorentz, _special, _orthochronous]),
    (O11(), 2, 1, 2, [_lorentz]),
    (Sp(1), 2, 3, 0, [_symplectic, _special]),
    (Sp(2), 4, 10, 0, [_symplectic, _special]),
    (Z(4), 4, 0, 1, [_permutes, _of_order(4)]),
    (S(4), 4, 0, 3, [_permutes]),
    (SL(3), 3, 8, 0, [_special]),
    (GL(3), 3, 9, 0, [lambda g: np.linalg.det(g) > 0]),
    (U(3), 3, 9, 0, [_unitary]),
    (SU(3), 3, 8, 0, [_unitary, _special]),
    (SU(2), 2, 3, 0, [_unitary, _special]),
    (Cube(), 6, 0, 2, [_permutes, _of_order(12)]),
    (RubiksCube(), 48, 0, 6, [_permutes]),
    (ZksZnxZn(2, 3), 18, 0, 3, [_permutes]),
    (ZksZnxZn(4, 2), 16, 0, 3, [_permutes]),
    (SO2eR3(), 3, 1, 0, [_orthogonal, _special, _third_is_fixed]),
    (O2eR3(), 3, 1, 1, [_orthogonal, _third_is_fixed]),
    (DkeR3(5), 3, 0, 2, [_orthogonal, _third_is_fixed, _of_order(10)]),
]


@pytest.mark.parametrize(
    ("G", "d", "lie", "discrete", "checks"),
    [pytest.param(*row, id=repr(row[0])) for row in DEFINITIONS],
)
def test_every_element_satisfies_the_definition(
    G: Group, d: int, lie: int, discrete: int, checks: list[Check]
) -> None:
    assert G.d == d
    assert len(G.lie_generators) == lie
    assert len(G.group_generators) == discrete
    samples = G.samples(10, seed=3)
    generators = [np.asarray(h) for h in G.group_generators]
    products = [samples[i] @ samples[i + 1] for i in range(9)]
    for g in (*samples, *generators, *products, np.linalg.inv(samples[0])):
        for check in checks:
            assert check(g)


def test_the_definitions_cover_the_catalogue() -> None:
    issue = (
        "Trivial SO O C D Scaling SO13p SO13 O13 Lorentz SO11p O11 Sp Z S SL GL U SU Cube "
        "RubiksCube ZksZnxZn SO2eR3 O2eR3 DkeR3"
    )
    later = (
        "PointGroup MagneticPointGroup Tetrahedral Octahedral Icosahedral "
        "A Klein Hyperoctahedral Dic Q8 BinaryTetrahedral BinaryOctahedral BinaryIcosahedral Pauli "
        "Clifford SE E Galilei Poincare Heisenberg Spin G2"
    )  # with tests of their own
    assert {type(row[0]).__name__ for row in DEFINITIONS} == set(issue.split())
    assert list(CATALOGUE) == [*issue.split(), *later.split()]


@pytest.mark.parametrize("row", DEFINITIONS, ids=lambda row: repr(row[0]))
def test_the_name_of_a_group_makes_it_again(row: Any) -> None:
    assert parse_group(repr(row[0])) == row[0]


@pytest.mark.parametrize("row", DEFINITIONS, ids=lambda row: repr(row[0]))
def test_what_a_group_says_of_itself_is_true(row: Any) -> None:
    G = row[0]
    matrices = [np.asarray(h) for h in G.group_generators]
    orthogonal = all(_orthogonal(h.real) and not np.any(np.imag(h)) for h in matrices) and all(
        not np.iscomplexobj(A) and np.array_equal(A, -A.T) for A in G.lie_generators
    )
    assert G.is_orthogonal == orthogonal
    assert G.is_permutation == (not G.lie_generators and all(map(_permutes, matrices)))
    assert G.is_complex == (type(G) in (U, SU))


@pytest.mark.parametrize(
    ("G", "dimension"),
    [(SO(4), 6), (Sp(2), 10), (SL(3), 8), (GL(3), 9), (U(3), 9), (SU(3), 8), (SO13p(), 6)],
    ids=repr,
)
def test_the_lie_generators_are_a_basis_closed_under_brackets(G: Group, dimension: int) -> None:
    basis = G.lie_algebra.reshape(len(G.lie_algebra), -1)
    real = np.concatenate([basis.real, basis.imag], axis=1)
    assert np.linalg.matrix_rank(real) == len(basis) == dimension
    brackets = [(a @ b - b @ a).ravel() for a in G.lie_algebra for b in G.lie_algebra]
    both = np.concatenate([real, np.array([[*b.real, *b.imag] for b in brackets])])
    assert np.linalg.matrix_rank(both) == dimension


# -- EMLP's conventions


def test_time_comes_first_in_the_lorentz_groups() -> None:
    boost = SO13p().lie_algebra[0]
    np.testing.assert_array_equal(boost, [[0, 1, 0, 0], [1, 0, 0, 0], [0] * 4, [0] * 4])
    np.testing.assert_array_equal(SO13p().lie_algebra[3:, 1:, 1:], SO(3).lie_algebra)
    assert not SO13p().lie_algebra[3:, 0].any()
    np.testing.assert_array_equal(SO13().discrete_generators, [-np.eye(4)])
    np.testing.assert_array_equal(O13().discrete_generators, [-np.eye(4), np.diag([-1, 1, 1, 1])])
    np.testing.assert_array_equal(O11().discrete_generators, [-np.eye(2), np.diag([-1, 1])])
    np.testing.assert_array_equal(SO11p().lie_algebra, [[[0, 1], [1, 0]]])
    assert Lorentz() == O13()


def test_the_reflections_turn_around_the_first_coordinate() -> None:
    np.testing.assert_array_equal(D(3).discrete_generators[1], np.diag([-1, 1]))
    np.testing.assert_array_equal(O(3).discrete_generators, [np.diag([-1, 1, 1])])
    np.testing.assert_array_equal(DkeR3(3).discrete_generators[1], np.diag([-1, 1, 1]))
    np.testing.assert_array_equal(O2eR3().discrete_generators, [np.diag([-1, 1, 1])])


def test_the_cyclic_rotations_turn_clockwise() -> None:
    c, s = np.cos(2 * np.pi / 5), np.sin(2 * np.pi / 5)
    np.testing.assert_allclose(C(5).discrete_generators, [[[c, s], [-s, c]]])
    np.testing.assert_array_equal(D(5).discrete_generators[0], C(5).discrete_generators[0])


def test_z_shifts_and_s_swaps_with_the_first() -> None:
    x = np.arange(4.0)
    (shift,) = Z(4).group_generators
    np.testing.assert_array_equal(shift @ x, np.roll(x, 1))
    swaps = [list(h @ x) for h in S(4).group_generators]
    assert swaps == [[1, 0, 2, 3], [2, 1, 0, 3], [3, 1, 2, 0]]


def test_rotations_are_listed_row_by_row_as_in_emlp() -> None:
    """Eᵢⱼ − Eⱼᵢ for i = 1, 2, … and j < i; the order is part of a group's identity."""
    planes = [tuple(int(i) for i in np.argwhere(A == 1)[0]) for A in SO(4).lie_algebra]
    assert planes == [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]
    phases = [tuple(map(tuple, np.argwhere(A == 1j).tolist())) for A in U(3).lie_algebra]
    assert phases == [
        *((), ((0, 1), (1, 0)), (), ((0, 2), (2, 0)), (), ((1, 2), (2, 1))),
        *(((0, 0),), ((1, 1),), ((2, 2),)),
    ]


def test_the_first_two_of_three_coordinates_are_turned() -> None:
    np.testing.assert_array_equal(SO2eR3().lie_algebra[0, :2, :2], SO(2).lie_algebra[0])
    assert not SO2eR3().lie_algebra[:, 2].any()
    assert not SO2eR3().lie_algebra[:, :, 2].any()


def test_the_grid_group_translates_and_turns_feature_maps() -> None:
    k, n = 4, 3
    image = np.random.default_rng(0).standard_normal((k, n, n))
    down, right, turn = (h @ image.ravel() for h in ZksZnxZn(k, n).group_generators)
    np.testing.assert_array_equal(down.reshape(k, n, n), np.roll(image, 1, axis=1))
    np.testing.assert_array_equal(right.reshape(k, n, n), np.roll(image, 1, axis=2))
    expected = np.stack([np.rot90(feature) for feature in np.roll(image, 1, axis=0)])
    np.testing.assert_array_equal(turn.reshape(k, n, n), expected)


def _order(G: Group) -> int:
    generators = [SymPyPermutation(list(map(int, h.indices))) for h in G.group_generators]
    return int(PermutationGroup(generators).order())


@pytest.mark.parametrize(
    ("G", "order"),
    [(Z(7), 7), (S(5), 120), (Cube(), 24), (ZksZnxZn(4, 3), 36), (ZksZnxZn(2, 5), 50)],
    ids=repr,
)
def test_the_permutation_groups_have_their_orders(G: Group, order: int) -> None:
    assert _order(G) == order


def _closure(G: Group) -> int:
    """The number of elements, by multiplying until nothing new appears."""
    generators = [np.asarray(h) for h in G.group_generators]
    found = {np.eye(G.d).round(6).tobytes(): np.eye(G.d)}
    fresh = list(found.values())
    while fresh:
        fresh = [g @ h for g in fresh for h in generators]
        fresh = [g for g in fresh if found.setdefault((g.round(6) + 0.0).tobytes(), g) is g]
    return len(found)


@pytest.mark.parametrize(
    ("G", "order"), [(C(1), 1), (C(6), 6), (D(6), 12), (D(1), 2), (DkeR3(5), 10)], ids=repr
)
def test_the_finite_rotation_groups_have_their_orders(G: Group, order: int) -> None:
    assert _closure(G) == order


# -- the smallest ones, and what is refused


@pytest.mark.parametrize(
    ("G", "d"),
    [(SO(1), 1), (O(1), 1), (S(1), 1), (Z(1), 1), (SU(1), 1), (SL(1), 1), (GL(1), 1), (U(1), 1)],
    ids=repr,
)
def test_the_smallest_groups_exist(G: Group, d: int) -> None:
    assert G.d == d
    assert G.samples(3).shape == (3, d, d)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SO(0), "n of SO(n) is an integer from 1 on, not 0"),
        (lambda: S(-2), "n of S(n) is an integer from 1 on, not -2"),
        (lambda: C(2.5), "k of C(k) is an integer from 1 on, not 2.5"),
        (lambda: Sp("1"), "m of Sp(m) is an integer from 1 on, not '1'"),
        (lambda: Z(True), "n of Z(n) is an integer from 1 on, not True"),
        (lambda: ZksZnxZn(1, 3), "k of ZksZnxZn(k, n) is an integer from 2 on, not 1"),
        (
            lambda: ZksZnxZn(3, 3),
            "the grid of ZksZnxZn(k, n) turns by 180° or 90°: k is 2 or 4, not 3",
        ),
    ],
)
def test_sizes_are_positive_integers(make: Callable[[], Group], message: str) -> None:
    # an `Any` in the signature lets beartype pass what the group itself refuses
    with pytest.raises((InvalidGroup, TypeError)) as error:
        make()
    if isinstance(error.value, InvalidGroup):
        assert str(error.value) == message


@pytest.mark.parametrize("name", [*CATALOGUE, "Embed", "WreathProduct", "SemidirectProduct"])
def test_missing_and_further_arguments_are_refused_with_those_that_a_group_takes(name: str) -> None:
    kind: Any = getattr(groups, name)
    wanted = inspect.signature(kind).parameters
    with pytest.raises(InvalidGroup, match="too many positional arguments") as error:
        kind(*[2] * (len(wanted) + 1))
    with pytest.raises(InvalidGroup, match="unexpected keyword argument 'size'"):
        kind(*[2] * len(wanted), size=2)
    assert all(each in str(error.value) for each in wanted)
    if any(each.default is each.empty for each in wanted.values()):
        with pytest.raises(
            InvalidGroup, match=rf"^{name}\(.*\) cannot be made: missing a required"
        ):
            kind()


def test_values_of_other_types_are_refused() -> None:
    """In a fresh process: here every annotation is checked."""
    program = """
    from intertwine.errors import InvalidGroup
    from intertwine.groups import SO, Embed, Group, SemidirectProduct, WreathProduct, parse_group

    found = []
    for make in (
        lambda: SO("3"),
        lambda: SO(2, 1.5),
        lambda: WreathProduct(3, 4),
        lambda: Embed(3, 4, slice(2)),
        lambda: Embed(SO(2), 2.5, slice(2)),
        lambda: SemidirectProduct(SO(3), 3, []),
        lambda: SemidirectProduct(SO(3), SO(2), 3),
        lambda: Group.from_permutations(3),
        lambda: Group.from_permutations([[(0, 1)]], d="3"),
        lambda: parse_group(3),
    ):
        try:
            make()
        except InvalidGroup as error:
            found.append(str(error))
    answer(found)
    """
    finished = run_python(program)
    assert finished.status == 0, finished.stderr
    assert finished.value == [
        "n of SO(n) is an integer from 1 on, not '3'",
        "q of SO(p, q) is an integer from 0 on, not 1.5",
        "WreathProduct is made from a group such as SO(3), not from 3",
        "Embed is made from a group such as SO(3), not from 3",
        "d of Embed(group, d, slots) is an integer from 1 on, not 2.5",
        "SemidirectProduct is made from a group such as SO(3), not from 3",
        "the action is a list of matrices or permutations, not 3",
        "permutations are lists of cycles, as in [[(0, 1, 2), (3, 4)]], or GAP's text, not 3",
        "d, the number of coordinates, is an integer from 1 on, not '3'",
        "the name of a group is a text such as 'SO(3)', not 3",
    ]


def test_numpys_integers_are_integers() -> None:
    """In a fresh process: here every annotation is checked, and an int is Python's."""
    program = """
    import numpy as np
    from intertwine.groups import SO, Sp, ZksZnxZn
    answer([repr(SO(np.int64(3))), repr(ZksZnxZn(np.uint8(2), np.int32(3))), Sp(np.int8(2)).d])
    """
    finished = run_python(program)
    assert finished.status == 0, finished.stderr
    assert finished.value == ["SO(3)", "ZksZnxZn(2, 3)", 4]


@pytest.mark.parametrize(
    "name", ["SO", "O", "Sp", "SL", "GL", "U", "SU", "S", "Z", "Scaling", "Clifford", "Spin"]
)
def test_a_group_too_large_for_memory_is_refused_before_it_is_built(name: str) -> None:
    with pytest.raises(TooLarge, match="matrix entries for its generators; at most"):
        CATALOGUE[name](10**9)


@pytest.mark.parametrize(("d", "n"), [(2, 10**15), (10**9, 1), (10**15, 10**15)])
def test_large_pauli_groups_are_refused_too(d: int, n: int) -> None:
    with pytest.raises(TooLarge, match="matrix entries for its generators; at most"):
        Pauli(d, n)


@pytest.mark.parametrize("name", ["C", "D", "Dic", "DkeR3"])
def test_rotations_that_are_rounding_errors_are_refused(name: str) -> None:
    with pytest.raises(TooLarge, match="is 10,000,000,000,000; at most 1,000,000,000,000, since"):
        CATALOGUE[name](10**13)
    assert CATALOGUE[name](10**12).group_generators


def test_a_trivial_group_may_be_as_large_as_numbers_go_or_is_refused() -> None:
    for n in (10**6, 10**10, 10**15):
        try:
            assert Trivial(n).d == n
        except (TooLarge, InvalidGroup) as error:
            assert f"{n:,}" in str(error)  # noqa: PT017 - either outcome is fine


# -- descriptions


def test_the_catalogue_describes_itself() -> None:
    described = describe_catalogue()
    assert [row["name"] for row in described] == list(CATALOGUE)
    for row in described:
        parameters = ", ".join(inspect.signature(CATALOGUE[row["name"]]).parameters)
        assert row["form"].replace("[", "").replace("]", "") == f"{row['name']}({parameters})"
        assert row["summary"].endswith((".", ","))
        assert type(parse_group(row["example"])) is CATALOGUE[row["name"]]
    assert described[1] == {
        "name": "SO",
        "form": "SO(n[, q])",
        "example": "SO(3)",
        "summary": "The rotations SO(n) of n dimensions.",
    }


def test_a_group_describes_itself() -> None:
    assert describe_group(O(3)) == {
        "group": "O(3)",
        "d": 3,
        "lie_generators": 3,
        "discrete_generators": 1,
        "orthogonal": True,
        "permutation": False,
        "complex": False,
        "digest": O(3).digest,
    }
