"""Reps of different groups that meet in one sum or product."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from intertwine.errors import InvalidRep
from intertwine.groups import SO, Group, O, S, Z
from intertwine.reps import Rep, V

TURNS = SO(3).lie_algebra


def _named(name: str | None) -> Group:
    return Group(lie_algebra=TURNS, name=name)


def test_two_named_groups_of_equal_generators_are_warned_of() -> None:
    L, R = _named("left"), _named("right")
    for build in (lambda: V(L) * V(R), lambda: V(L) + V(R), lambda: V(L) >> V(R)):
        with pytest.warns(UserWarning, match="have the same generators") as found:
            build()
        assert len(found) == 1
        assert str(found[0].message).endswith(
            "have the same generators, so in one rep they are one group, which acts on both "
            "parts. For two different groups, number them: "
            f"L, R = {str(found[0].message).partition(' ')[0]}.copies(2)"
        )
        assert found[0].filename == __file__


def test_the_dual_of_a_product_does_not_warn_again() -> None:
    with pytest.warns(UserWarning, match="have the same generators"):
        product, total = (
            V(_named("left")) * V(_named("right")),
            V(_named("left")) + V(_named("right")),
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert product == product.T.T
        assert total == total.T.T
        assert (product >> total).size() == 54


def test_groups_of_the_catalogue_that_are_equal_are_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"S\(2\) and Z\(2\) have the same generators"):
        V(S(2)) * V(Z(2))


@pytest.mark.parametrize(
    ("L", "R"),
    [
        (_named("turns"), _named("turns")),
        (_named(None), _named(None)),
        (_named(None), _named("turns")),
        (SO(3), SO(3)),
        _named("turns").copies(2),
        (_named("a"), Group(lie_algebra=2 * TURNS, name="b")),
    ],
    ids=repr,
)
def test_no_others_are(L: Group, R: Group) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (V(L) * V(R) + V(L)).size() == 12


class TestProducts:
    def test_v_of_a_product_beside_a_factor_is_that_of_the_factors(self) -> None:
        G = S(3) * S(3)
        f, g = G.factors  # type: ignore[attr-defined]
        assert V(G) + V(f) == V(f) * V(g) + V(f)
        assert (V(G) >> V(f) * V(g)).equivariant_basis().rank == 4
        assert (V(f) >> V(G)).equivariant_basis().rank == 2
        assert V(G) * V(S(3)) != V(f) * V(g) * V(S(3))  # S(3) itself is another group

    def test_products_of_the_same_copies_meet(self) -> None:
        L, R = SO(3).copies(2)
        assert (V(L * R) >> V(R * L)).equivariant_basis().rank == 1
        assert (V(L * R) >> V(L * R)).equivariant_basis().rank == 1

    def test_two_products_with_an_unnumbered_common_factor_are_refused(self) -> None:
        G, H = S(3) * S(3), S(3) * Z(2)
        rep = V(G) * V(H)
        assert rep.equivariant_basis().rank == 1
        with pytest.raises(InvalidRep, match=r"both have a factor S\(3\)#1"):
            rep * V(G.factors[0])  # type: ignore[attr-defined]

    def test_a_user_defined_rep_over_the_product_is_refused(self) -> None:
        class Determinant(Rep):
            def rho(self, M: Any) -> Any:
                return np.linalg.det(M)[None, None]

        G = O(2) * O(2)
        with pytest.raises(InvalidRep, match="only V splits into factors"):
            Determinant()(G) * V(G.factors[0])  # type: ignore[attr-defined]
