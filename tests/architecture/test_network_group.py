"""Networks over a subgroup of their reps' group, and over the factors of a product of groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from intertwine.architecture.network_group import NetworkGroup
from intertwine.errors import InvalidRep
from intertwine.groups import SO, Group, O, S, SO13p, Trivial, Z
from intertwine.nn import EMLP, MLP
from intertwine.reps import Rep, Scalar, V
from intertwine.reps.syntax import groups_of
from intertwine.verify import rel_err, sampled_elements

PRODUCT = SO(3) * S(3)
OVER_FACTORS = V(S(3)) + V(SO(3)) * V(S(3))
SMALL: dict[str, Any] = {"ch": 16, "num_layers": 1}


def error(model: Any, rep_in: Rep, rep_out: Rep, seed: int = 0) -> float:
    """The largest relative equivariance error of a model over a few elements."""
    x = np.random.default_rng(0).standard_normal((20, rep_in.size()))
    return max(
        float(rel_err(model(x @ rep_in.rho_dense(g).T), model(x) @ rep_out.rho_dense(g).T))
        for g in sampled_elements((rep_in, rep_out), 4, seed)
    )


@pytest.mark.parametrize("smaller", [SO(2), Z(2), Trivial(2)], ids=repr)
def test_a_network_over_a_subgroup_has_its_symmetry_and_no_more(smaller: Group) -> None:
    larger, rep_in, rep_out = O(2), 2 * V, V
    model = EMLP(rep_in(larger), rep_out(larger), smaller, **SMALL)
    assert smaller == model.G
    assert {*groups_of(model.rep_in)} <= {smaller}
    assert error(model, rep_in(smaller), rep_out(smaller)) <= 1e-6
    assert error(model, rep_in(larger), rep_out(larger)) > 1e-3
    restricted = (model.rep_in >> model.rep_out).equivariant_basis()
    whole = (rep_in >> rep_out)(larger).equivariant_basis()
    assert restricted.rank > whole.rank
    np.testing.assert_allclose(restricted.project(whole.dense()), whole.dense(), atol=1e-12)


def test_reps_without_a_group_and_numbers_stand_beside_reps_of_the_larger_one() -> None:
    for rep_out in (V, "V", 2):
        over = NetworkGroup.of((V(O(2)), rep_out), SO(2))
        assert groups_of(over.rep(V(O(2)))) == (SO(2),)
        assert over.rep(rep_out).size() == 2
    assert EMLP(V(O(2)), V, SO(2), **SMALL).rep_in == V(SO(2))


def test_hidden_reps_over_the_larger_group_are_restricted_too() -> None:
    model = EMLP(V(O(3)), V(O(3)) ** 2, SO(3), ch=4 * Scalar + 2 * V(O(3)), num_layers=1)
    assert groups_of(model.rep_out) == (SO(3),)
    assert error(model, V(SO(3)), V(SO(3)) ** 2) <= 1e-6


def test_a_plain_network_takes_the_reps_of_another_group_too() -> None:
    model = MLP(2 * V(O(2)), V(O(2)), Trivial(2), **SMALL)
    assert (model.G, model.rep_in.size(), model(np.ones(4)).shape) == (Trivial(2), 4, (2,))


@pytest.mark.parametrize(
    ("rep", "group"), [(V(SO(3)), O(3)), (V(O(3)), SO(2)), (V(O(4)), SO13p())], ids=str
)
@pytest.mark.parametrize("network", [EMLP, MLP])
def test_a_group_that_is_no_subgroup_is_refused(network: Any, rep: Rep, group: Group) -> None:
    with pytest.raises(InvalidRep) as caught:
        network(rep, Scalar, group)
    message = str(caught.value)
    assert message.startswith(f"{rep!r} is over {rep.G!r}, and the network over {group!r}: give")
    assert "a subgroup of it, or reps without a group" in message


def test_reps_of_several_groups_that_the_network_lacks_are_refused() -> None:
    with pytest.raises(
        InvalidRep, match=r"is over SO\(3\) and S\(3\), and the network over Z\(3\)"
    ):
        EMLP(V(SO(3)) + V(S(3)), V(SO(3)), Z(3))


@pytest.fixture(scope="module")
def model() -> EMLP:
    return EMLP(OVER_FACTORS, V(SO(3)), PRODUCT, ch=32, num_layers=1)


class TestFactorsOfAProduct:
    def test_hidden_layers_are_over_the_factors(self, model: EMLP) -> None:
        hidden = model.network[0].rep_out
        assert {*groups_of(hidden)} == {SO(3), S(3)}
        terms = {rep for _, rep in hidden.terms}
        assert {Scalar, V(SO(3)), V(S(3)), V(SO(3)) * V(S(3))} <= terms

    def test_the_network_is_equivariant_under_both(self, model: EMLP) -> None:
        assert error(model, OVER_FACTORS, V(SO(3))) <= 1e-6
        x = np.random.default_rng(0).standard_normal((20, 12))
        assert np.std(model(x), axis=0).min() > 0.01
        assert model.limits == ()

    def test_v_over_the_product_is_the_product_of_the_factors(self) -> None:
        over = NetworkGroup.of((V(S(3)), V), PRODUCT)
        assert over.hidden == (SO(3), S(3))
        assert over.rep(V + Scalar) == V(SO(3)) * V(S(3)) + Scalar

    def test_copies_of_one_group_are_told_apart_by_their_numbers(self) -> None:
        G = SO(3) * SO(3)
        left, right = G.factors
        over = NetworkGroup.of((V(left), V(right)), G)
        assert over.hidden == (left, right)
        assert NetworkGroup.of((V(SO(3)),), SO(3) * S(4) * Z(2)).hidden == (SO(3), S(4), Z(2))

    def test_reps_over_the_product_itself_stay_over_it(self) -> None:
        over = NetworkGroup.of((V, Scalar), PRODUCT)
        assert over.hidden == (PRODUCT,)
        assert over.rep(V) == V(PRODUCT)
