"""Ranks over finite groups by the mean of characters, for atoms of any kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from intertwine.groups import SO, SU, C, Cube, D, Group, O, S, Z, parse_group
from intertwine.irreps import decompose
from intertwine.operators import dense
from intertwine.reps import Rep, V
from intertwine.reps.canonical_form import canonical_terms
from intertwine.reps.finite_characters import finite_rank


def rank(rep: Rep) -> int | None:
    ((multiplicity, term),) = canonical_terms(rep)
    assert multiplicity == 1
    return finite_rank(term)


class Sign(Rep):
    """det as a rep of one dimension."""

    def __init__(self, G: Any = None) -> None:
        self.G = G

    def rho(self, M: Any) -> Any:
        return np.linalg.det(np.asarray(dense(M))).reshape(1, 1)


@pytest.mark.parametrize("group", [D(5), Cube(), S(4), Z(6), C(7)], ids=repr)
@pytest.mark.parametrize("rep", [V, V**2, V**3, V**4, V * V.T, Sign() * V**3, Sign() * V * V])
@pytest.mark.sampled(8)
def test_ranks_are_those_of_the_solver(group: Group, rep: Rep) -> None:
    concrete = rep(group)
    found = sum((finite_rank(term) or 0) * m for m, term in canonical_terms(concrete))
    assert found == concrete.equivariant_basis(store=False, method="svd").rank


def test_powers_of_a_reflection_group() -> None:
    c = np.cos(np.pi / 5)
    roots = np.linalg.cholesky(np.array([[1, -c, 0], [-c, 1, -0.5], [0, -0.5, 1]]))
    group = Group(discrete_generators=[np.eye(3) - 2 * np.outer(r, r) / (r @ r) for r in roots])
    assert [rank((V**p)(group)) for p in range(1, 9)] == [0, 1, 0, 3, 0, 16, 0, 119]


def test_complex_groups_and_duals() -> None:
    shift = np.roll(np.eye(5), 1, axis=0)
    clock = np.diag(np.exp(2j * np.pi * np.arange(5) / 5))
    group = Group(discrete_generators=[shift, clock])
    assert rank((V * V.T)(group)) == 1
    assert rank((V**2)(group)) == 0
    assert rank((V**5)(group)) == 5**4 // 5
    assert rank((V**2 * V.T**2)(group)) == 25


def test_irreps() -> None:
    for group in (D(5), Cube(), S(4)):
        for irrep, multiplicity in decompose((V * V)(group)).multiplicities.items():
            assert rank(V(group) * V(group) * irrep.T) == multiplicity * len(irrep.endomorphisms)


def test_several_groups() -> None:
    assert rank(V(D(5)) * V(D(5)) * V(S(3)) * V(S(3))) == 1 * 2


def test_none_where_a_group_is_not_finite() -> None:
    for group in (SO(3), O(3), SU(2), parse_group("SO13p"), S(9)):
        assert rank((V**2)(group)) is None
    for generator in (
        2 * np.eye(2),
        np.diag([2, 0.5]),
        1e100 * np.eye(2),
        np.array([[1, 1], [0, 1]]),
    ):
        assert rank((V**4)(Group(discrete_generators=[generator]))) is None


def test_a_lie_generator_of_zero_constrains_nothing() -> None:
    group = Group(lie_algebra=[np.zeros((6, 6))], discrete_generators=Cube().discrete_generators)
    assert rank((V**4)(group)) == rank((V**4)(Cube()))


def test_a_group_without_generators() -> None:
    assert rank((V**3)(Group(d=2))) == 8


def test_none_for_images_that_would_not_fit() -> None:
    assert rank(V(parse_group("SO(2)")) * V(S(7))) is None
    large = Group(discrete_generators=[np.kron(np.eye(600), C(4).discrete_generators[0] * 1.0)])
    assert rank(V(large)) in (0, None)
