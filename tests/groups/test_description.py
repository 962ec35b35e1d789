"""What is said of a group: its order, and its Lie algebra."""

from __future__ import annotations

from math import factorial

import numpy as np
import pytest
from intertwine.groups import (
    G2,
    GL,
    SE,
    SO,
    SU,
    Cube,
    Group,
    Heisenberg,
    Hyperoctahedral,
    LieAlgebra,
    Lorentz,
    Pauli,
    Poincare,
    RubiksCube,
    S,
    Sp,
    Tetrahedral,
    Trivial,
    U,
    group_order,
    lie_algebra,
)


class TestTheOrder:
    @pytest.mark.parametrize(
        ("group", "order"),
        [
            (Trivial(3), 1),
            (S(5), 120),
            (S(20), factorial(20)),
            (Cube(), 24),
            (RubiksCube(), 43_252_003_274_489_856_000),
            (Hyperoctahedral(4), 384),
            (Tetrahedral(), 12),
            (Pauli(2, 2), 64),
        ],
        ids=repr,
    )
    def test_of_a_finite_group(self, group: Group, order: int) -> None:
        assert group_order(group) == order

    @pytest.mark.parametrize(
        "group",
        [SO(2), Lorentz(), Group(discrete_generators=[[[1.0, 1.0], [0.0, 1.0]]])],
        ids=["SO(2)", "Lorentz", "a shear"],
    )
    def test_an_infinite_group_has_none(self, group: Group) -> None:
        assert group_order(group) is None

    def test_a_lie_generator_that_is_zero_makes_no_elements(self) -> None:
        turn = [[0.0, -1.0], [1.0, 0.0]]
        group = Group(lie_algebra=[np.zeros((2, 2))], discrete_generators=[turn])
        assert group_order(group) == 4


class TestTheLieAlgebra:
    @pytest.mark.parametrize(
        ("group", "found"),
        [
            (SO(2), LieAlgebra(1, 1, (0, 0))),
            (SO(4), LieAlgebra(6, 0, (0, 6))),
            (Lorentz(), LieAlgebra(6, 0, (3, 3))),
            (SE(3), LieAlgebra(6, 0, (0, 3))),
            (Poincare(), LieAlgebra(10, 0, (3, 3))),
            (Heisenberg(1), LieAlgebra(3, 1, (0, 0))),
            (SU(3), LieAlgebra(8, 0, (0, 8))),
            (U(2), LieAlgebra(4, 1, (0, 3))),
            (GL(3), LieAlgebra(9, 1, (5, 3))),
            (Sp(2), LieAlgebra(10, 0, (6, 4))),
            (G2(), LieAlgebra(14, 0, (0, 14))),
            (S(4), LieAlgebra(0, 0, (0, 0))),
        ],
        ids=repr,
    )
    def test_dimension_centre_and_killing_form(self, group: Group, found: LieAlgebra) -> None:
        assert lie_algebra(group) == found

    def test_cartans_criterion(self) -> None:
        known = {SO(3): (True, False), U(2): (False, False), SO(2): (False, True)}
        for group, (is_semisimple, is_abelian) in known.items():
            found = lie_algebra(group)
            assert found is not None
            assert (found.is_semisimple, found.is_abelian) == (is_semisimple, is_abelian)

    def test_it_does_not_depend_on_the_frame_or_the_number_of_generators(self) -> None:
        rng = np.random.default_rng(3)
        frame = np.eye(4) + 0.1 * rng.standard_normal((4, 4))
        turned = [frame @ a @ np.linalg.inv(frame) for a in map(np.asarray, SO(4).lie_generators)]
        twice = Group(lie_algebra=[*turned, turned[0] + 2 * turned[3]], refine=0)
        assert lie_algebra(twice) == LieAlgebra(6, 0, (0, 6))

    def test_a_large_algebra_is_left_out(self) -> None:
        assert lie_algebra(SO(12)) is None
