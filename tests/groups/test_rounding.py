"""Generators that were rounded are told from exact ones, in every frame."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from helpers.oblique_groups import NOT_REDUCTIVE, REDUCTIVE, conjugate, lie, random_frame
from helpers.rounded_groups import PASTED, mapped, of, to_digits, turn
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.errors import AmbiguousRank, InvalidGroup, RoundedGenerators
from intertwine.groups import (
    CATALOGUE,
    CRYSTAL_CLASSES,
    MAGNETIC_CLASSES,
    SO,
    SU,
    C,
    D,
    Group,
    S,
    group_from_json,
    group_to_json,
    parse_group,
    require_exact,
)
from intertwine.reps import T
from intertwine.reps.key import basis_key


def is_doubted(group: Group) -> bool:
    """Whether the group is refused, or its ranks compared with those of its precision."""
    return bool(group.defects) or group.precision > 0


_EXACT = {
    "a shear": of([[1.0, 1], [0, 1]]),
    "a shear by a third": of([[1.0, 1 / 3], [0, 1]]),
    "the modular group": of([[0.0, -1], [1, 0]], [[1.0, 1], [0, 1]]),
    "a boost": of([[np.cosh(1), np.sinh(1)], [np.sinh(1), np.cosh(1)]]),
    "a Pythagorean turn": of([[0.28, -0.96], [0.96, 0.28]]),
    "weights 1 and 1.00001": Group(lie_algebra=[np.diag([1, 1.00001])]),
    "two decimals": Group(lie_algebra=[[[0, 0.1, 0.22], [-0.1, 0, 0], [-0.22, 0, 0]]]),
    "many permutations": S(100),
    **{f"a turn by {angle}": of(turn(angle)) for angle in (1e-4, 1e-3, 0.1, 0.3, 1.0, 2.0, 3.0)},
    **{f"a turn of order {k}": C(k) for k in (3, 7, 12, 100, 360, 720, 1000)},
}  # fmt: skip


@pytest.mark.parametrize("name", _EXACT)
def test_exact_generators_have_no_defects(name: str) -> None:
    assert _EXACT[name].defects == ()
    assert _EXACT[name].precision == 0


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_catalogue_has_no_defects(name: str) -> None:
    arguments: Any = {
        "ZksZnxZn": [(2, 3), (4, 3)],
        "PointGroup": [(row.schoenflies,) for row in CRYSTAL_CLASSES] + [("Ih",), ("D5d",)],
        "MagneticPointGroup": [(symbol,) for symbol in MAGNETIC_CLASSES[::5]],
        "SO": [(1,), (2,), (3,), (5,), (7,), (1, 3), (2, 2), (3, 2)],
        "Pauli": [(2, 1), (2, 2), (3, 1), (5, 1), (3, 2)],
        "Clifford": [(1,), (2,)],
        "Spin": [(2,), (3,), (5,), (7,)],
    }.get(name)
    parameters = len(inspect.signature(CATALOGUE[name]).parameters)
    for values in arguments or [(n,) * parameters for n in (1, 2, 3, 5, 7)]:
        group = CATALOGUE[name](*values)
        assert not is_doubted(group), group


@pytest.mark.parametrize("condition", [1.0, 3.0, 1e2, 1e4])
@pytest.mark.parametrize("name", [*REDUCTIVE, *(n for n in NOT_REDUCTIVE)])
def test_exact_groups_in_oblique_frames_have_no_defects(name: str, condition: float) -> None:
    group = {**REDUCTIVE, **NOT_REDUCTIVE}[name]
    for seed in range(2):
        rng = np.random.default_rng([seed, 17])
        frame = random_frame(group.d, condition, rng, group.is_complex)
        assert not is_doubted(conjugate(group, frame))


@pytest.mark.slow
def test_few_random_turns_look_like_turns_of_finite_order() -> None:
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, 1000)
    assert sum(bool(of(turn(angle)).defects) for angle in angles) <= 3


@pytest.mark.parametrize("digits", [4, 5, 6, 7, 8, 9, 10, "float32"])
@pytest.mark.parametrize("exact", [C(3), C(5), C(9), D(12), parse_group("D(7)")], ids=repr)
def test_rounded_turns_are_found(exact: Group, digits: int | str) -> None:
    assert mapped(exact, to_digits(digits)).defects


def test_twelve_digits_are_exact() -> None:
    for k in (3, 5, 7, 12):
        assert not is_doubted(mapped(D(k), lambda m: np.round(m, 12)))


_STAYS_EXACT = {"GL(2)", "Scaling(3)", "SL(2)", "Sp(1)", "SO(2)", "SO11p()", "C(4)", "O11()"}
"""In two dimensions rounding keeps the algebra; multiples of 1 and −1 are in no frame."""


@pytest.mark.parametrize("digits", [5, 6, 8, "float32"])
@pytest.mark.parametrize("name", sorted(REDUCTIVE.keys() - _STAYS_EXACT))
def test_rounded_groups_in_oblique_frames_are_doubted(name: str, digits: int | str) -> None:
    group = REDUCTIVE[name]
    frame = random_frame(group.d, 3.0, np.random.default_rng(5), group.is_complex)
    assert is_doubted(mapped(conjugate(group, frame), to_digits(digits)))


@settings(deadline=None, max_examples=30)
@given(st.floats(-11, -4), st.integers(0, 2**16), st.sampled_from(["unitary", "order", "lie"]))
def test_an_error_of_any_size_is_found(power: float, seed: int, kind: str) -> None:
    rng, size = np.random.default_rng(seed), 3 * 10.0**power
    if kind == "lie":
        noise = rng.standard_normal((3, 3, 3))
        noise /= np.linalg.norm(noise)
        assert Group(lie_algebra=SO(3).lie_algebra + size * noise).defects
        return
    q = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    h = np.eye(3)
    h[:2, :2] = turn(2 * np.pi / 5 + (min(size, 2e-5) if kind == "order" else 0))
    assert of(q @ h @ q.T + (size * np.ones((3, 3)) if kind == "unitary" else 0)).defects


class TestMessages:
    def test_the_defect_is_named_with_its_number(self) -> None:
        (defect,) = of(np.diag([1.0, -1, -1]), PASTED).defects
        assert str(defect) == "discrete generator 2 is orthogonal to 7.0e-07, no better"
        assert defect.size == pytest.approx(7.0e-7, rel=0.01)

    def test_a_rounded_angle_is_an_order_nearly_reached(self) -> None:
        (defect,) = of(turn(1.047198)).defects
        assert "a root of unity of order 6 to 4.5e-07" in str(defect)

    def test_reflections_in_rounded_planes_are_named_together(self) -> None:
        normal = np.array([np.cos(2.513274), np.sin(2.513274)])
        reflection = np.eye(2) - 2 * np.outer(normal, normal)
        (defect,) = of(np.diag([1.0, -1]), reflection).defects
        assert "the product of discrete generators 1 and 2" in str(defect)

    def test_a_bracket_outside_of_the_span_is_named(self) -> None:
        change = random_frame(3, 2.0, np.random.default_rng(0))
        (defect,) = mapped(conjugate(SO(3), change), lambda m: np.round(m, 6)).defects
        assert "the Lie generators have a bracket outside their span by" in str(defect)

    def test_the_error_says_what_to_do(self) -> None:
        group = of(PASTED)
        with pytest.raises(RoundedGenerators) as caught:
            require_exact(group)
        assert str(caught.value) == (
            f"the rank is ambiguous: the generators of {group!r} look rounded. Discrete generator "
            f"1 is orthogonal to 7.0e-07, no better. Give more digits or exact entries, pass "
            f"refine=1e-5 to the group for the nearest exact one, pass tolerance=5e-3 to the solve "
            f"for an approximate basis, or pass refine=0 to the group if its generators are exact"
        )
        assert caught.value.code == "rounded-generators"


def test_a_multiple_of_a_rotation_is_judged_too() -> None:
    assert of(2 * PASTED).defects
    assert not of(2 * turn(2 * np.pi / 3)).defects


def test_new_generators_are_judged_anew() -> None:
    group = of(PASTED)
    assert group.defects
    group.discrete_generators = [np.diag([1.0, -1, -1])]
    assert not group.defects


def test_a_user_may_say_that_generators_are_exact() -> None:
    boost = np.array([[np.cosh(1e-4), np.sinh(1e-4)], [np.sinh(1e-4), np.cosh(1e-4)]])
    assert of(boost).defects
    group = Group(discrete_generators=[boost], refine=0)
    assert not group.defects
    assert group == of(boost)
    require_exact(group)


class TestPrecision:
    @pytest.mark.parametrize(
        ("entries", "precision"),
        [
            ([0.333333, -0.666667], 5e-7),
            ([0.3333, -0.6667], 5e-5),
            ([float(np.float32(1 / 3)), 1.0], 2.0**-25),
            ([1 / 3, -2 / 3], 0),
            ([0.25, 0.75], 0),
            ([1.5, 0.12], 0),
            ([0.333, -0.667], 5e-4),
            ([float(np.float16(1 / 3)), 1.0], 2.0**-12),
            ([1.00001, 1.0], 0),
        ],
    )  # fmt: skip
    def test_the_digits_of_entries_say_it(self, entries: list[float], precision: float) -> None:
        found = Group(lie_algebra=[np.diag(entries)]).precision
        assert found == pytest.approx(precision / max(map(abs, entries)) * 2**0.5)

    @pytest.mark.parametrize("scale", [1e-200, 1e-6, 1e-3])
    def test_the_scale_of_a_lie_generator_means_nothing(self, scale: float) -> None:
        assert Group(lie_algebra=[scale * np.diag([1.0, -1.0])]).precision == 0
        assert 0 < Group(lie_algebra=[scale * np.diag([0.333333, -1.0])]).precision < 2e-6

    def test_generators_with_small_entries_were_cut_off_with_the_others(self) -> None:
        swap = np.array([[0.0, 1], [1, 0]])
        group = Group(lie_algebra=[0.0178 * swap, 0.7939 * swap + 0.01 * np.diag([1, -1])])
        assert group.precision == pytest.approx(5e-5 * 2**0.5 / 0.0178)

    def test_charges_beside_a_simple_algebra_are_judged(self) -> None:
        """Hypercharges of 1/6, −2/3, …: SU(2) is closed and exact, and says nothing of them."""
        weak = [np.kron(np.diag([1.0, 0]), a) for a in lie(SU(2))]
        charges = 1j * np.diag([1 / 6, 1 / 6, -1 / 3, 1.0])
        assert Group(lie_algebra=[*weak, charges]).precision == 0
        rounded = Group(lie_algebra=[*weak, np.round(charges, 6)])
        assert rounded.precision == pytest.approx(1e-6)
        assert T(3)(Group(lie_algebra=[*weak, charges])).equivariant_basis(store=False).rank == 3
        with pytest.raises(AmbiguousRank, match="up to their precision"):
            T(3)(rounded).equivariant_basis(store=False)

    def test_generators_that_depend_on_each_other_but_for_rounding_are_no_algebra(self) -> None:
        q = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
        a = q @ np.pad(turn(np.pi / 2), (0, 1)) @ q.T
        group = Group(lie_algebra=[np.round(a, 6), np.round(a / 3, 6)])
        assert not group.defects
        with pytest.raises(AmbiguousRank):
            T(1)(group).equivariant_basis(store=False)
        assert T(3)(group.refined()).equivariant_basis(store=False).rank == 7

    def test_it_may_be_given(self) -> None:
        group = Group(discrete_generators=[turn(1.0)], precision=1e-6)
        assert group.precision == 1e-6
        assert group != of(turn(1.0))
        assert group_from_json(group_to_json(group)) == group
        group.discrete_generators = [turn(2.0)]
        assert group.precision == 0

    @pytest.mark.parametrize("value", [True, 0, 1, -1e-5, "1e-5", float("nan")])
    def test_other_precisions_are_refused(self, value: Any) -> None:
        with pytest.raises(InvalidGroup, match="the precision of generators is a number above 0"):
            Group(d=2, precision=value)
        with pytest.raises(InvalidGroup, match=r"exact generators \(refine=0\) have no precision"):
            Group(d=2, precision=1e-5, refine=0)

    def test_generators_declared_exact_are_another_group(self) -> None:
        """A store must not answer for the one with what is certain for the other."""
        charges = [np.diag([0.333333, -0.666667])]
        exact = Group(lie_algebra=charges, refine=0)
        assert exact.precision == 0
        assert exact != Group(lie_algebra=charges)
        assert basis_key(T(3)(exact)) != basis_key(T(3)(Group(lie_algebra=charges)))
        assert group_from_json(group_to_json(exact)) == exact


def test_turns_of_two_decimals_are_rounded() -> None:
    (defect,) = of([[-0.5, 0.87], [-0.87, -0.5]]).defects
    assert str(defect) == "discrete generator 1 is orthogonal to 6.9e-03, no better"
    assert not of(np.diag([0.99, 0.99])).defects
    assert not of([[1.0, 0.01], [0, 1]]).defects
    assert not of([[0.6, 0.8], [-0.8, 0.6]]).defects


@pytest.mark.parametrize("k", [3, 5, 12])
def test_turns_in_float16_are_rounded(k: int) -> None:
    group = mapped(C(k), lambda m: m.astype(np.float16))
    assert group.defects
    expected = T(4)(C(k)).equivariant_basis(store=False).rank
    assert T(4)(group.refined(1e-3)).equivariant_basis(store=False).rank == expected
