"""The nearest exact group, and what was changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.oblique_groups import REDUCTIVE, conjugate, random_frame
from helpers.rounded_groups import PASTED, mapped, of, to_digits, turn
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.errors import AmbiguousRank, InvalidGroup, MethodNotApplicable
from intertwine.groups import SO, C, D, Embed, Group, S, group_from_json, group_to_json
from intertwine.irreps import decompose
from intertwine.reps import T, V


def turned(angle: float) -> Any:
    """A turn about the third axis."""
    exact = np.eye(3)
    exact[:2, :2] = turn(angle)
    return exact


def test_pasted_generators_become_the_intended_ones() -> None:
    flip = np.diag([1.0, -1, -1])
    group = of(PASTED, flip).refined()
    found, kept = group.discrete_generators
    np.testing.assert_allclose(found, turned(2 * np.pi / 3), rtol=0, atol=1e-15)
    assert np.array_equal(kept, flip)
    assert not np.signbit(found[found == 0]).any()
    assert str(group.refinement) == (
        "refined (up to 1e-05): discrete generator 1 by 4.0e-07 changed"
    )
    assert "refined by 4e-07" in repr(group)
    assert ((V**2 >> V)(group)).equivariant_basis(store=False).rank == 4


@pytest.mark.parametrize("digits", [6, 8, 10, "float32"])
@pytest.mark.parametrize("k", range(3, 13))
def test_turns_become_exact(k: int, digits: Any) -> None:
    rounded = mapped(C(k), to_digits(digits))
    found = rounded.refined().discrete_generators
    np.testing.assert_allclose(found, C(k).discrete_generators, rtol=0, atol=4e-15)


@pytest.mark.parametrize("digits", [7, 9, "float32"])
@pytest.mark.parametrize("condition", [1.0, 3.0])
@pytest.mark.parametrize("name", sorted(REDUCTIVE.keys() - {"SL(2,ℤ)"}))
@pytest.mark.sampled(8)
def test_oblique_groups_become_exact(name: str, condition: float, digits: Any) -> None:
    group = REDUCTIVE[name]
    frame = random_frame(group.d, condition, np.random.default_rng(3), group.is_complex)
    rounded = mapped(conjugate(group, frame), to_digits(digits))
    refined = rounded.refined()
    assert not refined.defects
    assert refined.refinement is not None
    assert refined.refinement.largest <= 1e-5
    if rounded.defects and group.d <= 4:
        expected = T(1, 1)(group).equivariant_basis(store=False).rank
        assert T(1, 1)(refined).equivariant_basis(store=False).rank == expected


@settings(deadline=None, max_examples=20)
@given(st.integers(3, 9), st.integers(0, 2**16), st.floats(-10, -5.5))
def test_finite_groups_become_exactly_finite(k: int, seed: int, power: float) -> None:
    rng = np.random.default_rng(seed)
    frame = random_frame(2, 1.0 + 2 * rng.random(), rng)
    noisy = mapped(conjugate(D(k), frame), lambda m: m + 10**power * rng.uniform(-1, 1, m.shape))
    h, flip = np.asarray(noisy.refined(1e-4).discrete_generators)
    np.testing.assert_allclose(np.linalg.matrix_power(h, k), np.eye(2), atol=1e-12)
    np.testing.assert_allclose(flip @ flip, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(flip @ h @ flip @ h, np.eye(2), atol=1e-12)


@pytest.mark.parametrize("stretch", [1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2])
@pytest.mark.parametrize("group", [D(3), D(4), S(3)], ids=repr)
def test_in_a_frame_that_is_nearly_orthogonal_too(group: Group, stretch: float) -> None:
    """Their generators only seem to be unitary."""
    frame = np.eye(group.d) + stretch * np.arange(group.d**2).reshape(group.d, -1) / group.d**2
    oblique = conjugate(group, frame)
    refined = mapped(oblique, to_digits(9)).refined(1e-5)
    for found, right in zip(refined.discrete_generators, oblique.discrete_generators, strict=True):
        np.testing.assert_allclose(found, right, rtol=0, atol=1e-5)
    assert not refined.defects


def test_an_algebra_in_a_larger_space_is_closed() -> None:
    """so(3) on symmetric traceless matrices: rounded, it generates so(5)."""
    five = _spin_two()
    rng = np.random.default_rng(0)
    q = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    rounded = Group(lie_algebra=np.round(q @ five @ q.T, 6)[:2])
    assert rounded.defects
    refined = rounded.refined()
    assert not refined.defects
    assert T(3)(refined).equivariant_basis(store=False).rank == 1


def _spin_two() -> Any:
    basis = [
        *(np.outer(a, b) + np.outer(b, a) for a, b in ((np.eye(3)[i], np.eye(3)[j])
          for i, j in ((0, 1), (0, 2), (1, 2)))),
        np.diag([1.0, -1, 0]), np.diag([1.0, 1, -2]) / 3**0.5,
    ]  # fmt: skip
    rows = np.array([b.ravel() for b in basis]) / 2**0.5
    return np.array(
        [rows @ (np.kron(a, np.eye(3)) + np.kron(np.eye(3), a)) @ rows.T for a in SO(3).lie_algebra]
    )


def test_exact_groups_are_left_alone() -> None:
    for group in (SO(3), D(5), of([[1.0, 1], [0, 1]]), Group(d=2)):
        refined = group.refined()
        assert refined == group
        assert repr(refined) == repr(group)
        assert group.refined(0).is_exact
        assert refined.refinement is not None
        assert refined.refinement.largest == 0
        assert str(refined.refinement) == "refined (up to 1e-05): nothing changed"


def test_the_constructor_refines() -> None:
    group = Group(discrete_generators=[PASTED], refine=1e-6)
    assert group == of(PASTED).refined()
    assert group.refinement is not None
    assert np.linalg.matrix_power(group.discrete_generators[0], 3) == pytest.approx(np.eye(3))


def test_json_refines_and_keeps_the_refined_generators() -> None:
    document = {"discrete_generators": [PASTED.tolist()], "refine": 1e-5}
    group = group_from_json(document)
    assert group == of(PASTED).refined()
    again = group_from_json(group_to_json(group))
    assert again == group
    assert not again.defects
    exact = group_from_json({**document, "refine": 0})
    assert exact.is_exact
    assert group_from_json(group_to_json(exact)).is_exact


class TestRefusals:
    def test_a_change_beyond_the_tolerance(self) -> None:
        group = of(PASTED)
        with pytest.raises(InvalidGroup) as caught:
            group.refined(1e-8)
        assert str(caught.value) == (
            f"the nearest exact group of {group!r} changes discrete generator 1 by 4.0e-07, more "
            f"than the tolerance of 1e-08: give more digits, or refine with a larger tolerance"
        )

    def test_a_defect_that_is_left(self) -> None:
        shears = (turn(x) @ [[1.0, 1], [0, 1]] @ turn(-x) for x in np.linspace(0.1, 1, 20))
        group = next(group for h in shears if (group := of(np.round(h, 9))).defects)
        with pytest.raises(InvalidGroup, match="no exact group was found near"):
            group.refined()

    @pytest.mark.parametrize("value", [True, -1e-5, 1, "1e-5", float("nan"), float("inf")])
    def test_invalid_tolerances_are_refused(self, value: Any) -> None:
        with pytest.raises(InvalidGroup, match="is a number above 0 and below 1, such as 1e-5"):
            Group(d=2, refine=value)
        with pytest.raises(InvalidGroup, match="is a number above 0 and below 1, such as 1e-5"):
            SO(3).refined(value)


_HEXAGONAL = np.array([[1, -0.5, 0], [0, 3**0.5 / 2, 0], [0, 0, 1.6]])
_POINT_GROUPS = {
    "D6": (turned(2 * np.pi / 6), np.diag([1.0, -1, -1])),
    "Oh": (turned(np.pi / 2), np.eye(3)[[1, 2, 0]], -np.eye(3)),
    "Td": (turned(np.pi / 2) * [[-1], [-1], [-1]], np.eye(3)[[1, 2, 0]]),
}


@pytest.mark.parametrize("digits", [3, 4, 5])
@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("Oh", "hexagonal"),
        ("Td", "hexagonal"),
        ("Oh", "turned"),
        ("Td", "turned"),
        ("D6", "turned"),
    ],
)
@pytest.mark.sampled(4)
def test_point_groups_of_few_digits(name: str, digits: int, frame: str) -> None:
    """Those whose words drift farther than single generators were certified and wrong."""
    change = _HEXAGONAL
    if frame == "turned":
        change = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
    exact = conjugate(of(*_POINT_GROUPS[name]), change)
    rounded = mapped(exact, to_digits(digits))
    refined = rounded.refined(1e-2)
    assert refined.refinement is not None
    assert refined.precision == 0
    for p in (2, 4):
        expected = T(p)(exact).equivariant_basis(store=False).rank
        assert T(p)(refined).equivariant_basis(store=False).rank == expected
        with pytest.raises(AmbiguousRank):
            T(p)(rounded).equivariant_basis(store=False)


class TestWithoutExactStructure:
    """Turns by 1 and 2 radians: V³ has invariants, and no digits of 1 say so."""

    rounded = of(np.round(np.kron(np.diag([1, 0]), turn(1)) + np.kron(np.diag([0, 1]), turn(2)), 6))

    def test_the_precision_is_kept(self) -> None:
        group = self.rounded.refined()
        assert group.precision == 2e-6
        assert T(2)(group).equivariant_basis(store=False).rank == 4
        with pytest.raises(AmbiguousRank, match="0 for the generators as given and 6 up to"):
            T(3)(group).equivariant_basis(store=False)

    def test_whatever_becomes_of_the_group(self) -> None:
        group = self.rounded.refined()
        others = (
            group.refined(),
            group.copies(2)[1],
            group * S(2),
            Embed(group, 5, slice(4)),
            group_from_json(group_to_json(group)),
            group_from_json(group_to_json(group * S(2))),
        )
        assert [other.precision for other in others] == 6 * [2e-6]
        assert others[0] == others[4] == group
        assert others[5] == others[2] != of(*group.discrete_generators) * S(2)

    def test_irreps_that_may_be_one_are_refused(self) -> None:
        with pytest.raises(
            MethodNotApplicable, match=r"neither equal nor clearly different|two irreps of"
        ):
            decompose(T(2)(self.rounded.refined()))
        charges = Group(lie_algebra=[np.diag([0.3333, -0.6667, 1.0])])
        with pytest.raises(MethodNotApplicable, match="two irreps of dimension 1 may be one"):
            decompose(T(3)(charges))


class TestProducts:
    boost = np.array([[np.cosh(1e-4), np.sinh(1e-4)], [np.sinh(1e-4), np.cosh(1e-4)]])

    def test_a_factor_declared_exact_is_unchanged(self) -> None:
        product = Group(discrete_generators=[self.boost], refine=0) * S(3)
        assert not product.defects
        assert T(2)(product).equivariant_basis(store=False).rank == 4
        again = group_from_json(group_to_json(product))
        assert again == product
        assert not again.defects
        assert not Embed(product.left, 3, slice(2)).defects

    def test_a_rounded_factor_is_named_and_refined(self) -> None:
        rounded = of(np.round(turn(2 * np.pi / 3), 6))
        product = S(3) * rounded
        (defect,) = product.defects
        assert str(defect).endswith(f"no better (in the factor {rounded!r})")
        refined = product.refined()
        assert refined == S(3) * rounded.refined()
        assert str(refined.refinement).endswith("discrete generator 3 by 4.7e-07 changed")
        assert product.copies(2)[0].refined() == refined.copies(2)[0]
        expected = T(2)(S(3) * C(3)).equivariant_basis(store=False).rank
        assert T(2)(refined).equivariant_basis(store=False).rank == expected
