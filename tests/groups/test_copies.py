"""Copies of a group: equal generators, and yet different groups."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest
from intertwine.errors import InvalidGroup, ParseError, TooLarge
from intertwine.groups import (
    SO,
    DirectProduct,
    Group,
    O,
    S,
    U,
    Z,
    describe_group,
    group_from_json,
    group_to_json,
    parse_group,
)
from intertwine.reps import Rep, V, basis_key, canonical, parse


class Turns(SO):
    """A subclass whose text is its own, and reads what EMLP's groups remember."""

    def __repr__(self) -> str:
        return f"Turns{self.args}"


ANONYMOUS = Group(discrete_generators=[[1, 2, 0]])
GROUPS = [
    *(SO(3), O(2), S(3), U(2), Turns(2), ANONYMOUS, S(2) * Z(3), ANONYMOUS * ANONYMOUS),
    Group(lie_algebra=SO(3).lie_algebra, name="turns"),
]


@pytest.mark.parametrize("G", GROUPS, ids=repr)
def test_copies_are_different_groups_of_equal_generators(G: Group) -> None:
    L, R = G.copies(2)
    assert len({G, L, R, L.digest, R.digest, G.digest}) == 6
    assert L == G.copies(1)[0] == G.numbered(1)
    assert hash(L) == hash(G.numbered(1))
    assert (L < R) != (R < L)
    assert L.content_digest == R.content_digest == G.content_digest == G.digest
    assert L.unnumbered is G
    np.testing.assert_array_equal(L.samples(2), G.samples(2))
    assert type(L) is type(G)


@pytest.mark.parametrize("G", GROUPS, ids=repr)
def test_they_survive_copying_pickling_and_json(G: Group) -> None:
    one = G.copies(3)[2]
    document = json.loads(json.dumps(group_to_json(one)))
    for other in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert other == one
        assert repr(other) == repr(one)
    assert group_from_json(document) == one
    assert group_from_json(document) != G


def test_they_print_and_parse_as_their_number() -> None:
    assert [repr(one) for one in SO(3).copies(2)] == ["SO(3)#1", "SO(3)#2"]
    assert repr(Turns(2).numbered(7)) == "Turns(2,)#7"
    assert repr((S(2) * Z(3)).numbered(1)) == "(S(2)*Z(3))#1"
    for text in ("SO(3)#1", "SO13p()#2", "(S(2)*Z(3))#1", "S(3)#1*S(3)#2", "SO(3)#1#2"):
        assert parse_group(repr(parse_group(text))) == parse_group(text)
        assert repr(parse_group(text)) == text
    named = Group(lie_algebra=SO(3).lie_algebra, name="turns")
    assert parse_group("turns#4", names={"turns": named}) == named.numbered(4)
    assert describe_group(SO(3).numbered(1))["group"] == "SO(3)#1"
    assert SO(3).numbered(1).description == "SO(3)#1"


@pytest.mark.parametrize("text", ["SO(3)#", "SO(3)#a", "#1", "SO(3)##1"])
def test_a_text_without_a_number_is_a_complaint(text: str) -> None:
    with pytest.raises(ParseError):
        parse_group(text)


def test_numbers_may_be_of_numpy() -> None:
    assert SO(3).copies(np.int64(2)) == SO(3).copies(2)
    assert SO(3).numbered(np.int64(2)) == SO(3).numbered(2)


@pytest.mark.parametrize("number", [0, -1, True, 1.5, "1", None, 10**7, [0]])
def test_other_numbers_are_refused(number: Any) -> None:
    with pytest.raises(
        InvalidGroup, match="the number of a copy is an integer from 1 to 1,000,000"
    ):
        SO(3).numbered(number)


@pytest.mark.parametrize(("n", "kind"), [(0, InvalidGroup), (-1, InvalidGroup), (1001, TooLarge)])
def test_other_numbers_of_copies_are_refused(n: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        SO(3).copies(n)
    with pytest.raises(TooLarge):
        SO(3).numbered([1] * 17)


class TestReps:
    def test_each_copy_acts_on_its_own_factors(self) -> None:
        L, R = SO(3).copies(2)
        assert (V(L) * V(R) >> V(L) * V(R)).equivariant_basis().rank == 1
        assert (V(SO(3)) ** 2 >> V(SO(3)) ** 2).equivariant_basis().rank == 3
        assert (V(L) >> V(R)).equivariant_basis().rank == 0
        assert (2 * V(L) + V(R) >> V(L) + V(R)).equivariant_basis().rank == 3

    @pytest.mark.parametrize("G", [U(2), Turns(3), ANONYMOUS, S(2) * S(2)], ids=repr)
    def test_the_rank_over_two_copies_is_that_of_each_multiplied(self, G: Group) -> None:
        L, R = G.copies(2)
        one = (V(G) >> V(G)).equivariant_basis().rank
        assert (V(L) * V(R) >> V(L) * V(R)).equivariant_basis().rank == one**2

    def test_their_keys_differ(self) -> None:
        L, R = SO(3).copies(2)
        reps = [V(SO(3)), V(L), V(R), V(L) * V(R), V(L) ** 2, V(SO(3)) ** 2]
        assert len({basis_key(rep) for rep in reps}) == len(reps)
        assert basis_key(V(L) * V(R)) == basis_key(V(R) * V(L))

    def test_reps_print_and_parse_with_them(self) -> None:
        rep = parse("V(SO(3)#1)*V(SO(3)#2)+2V²(SO(3)#2)")
        L, R = SO(3).copies(2)
        assert rep == V(L) * V(R) + 2 * V(R) ** 2
        assert parse(repr(rep)) == parse(str(rep)) == rep
        assert parse(repr(V(L) ** 2)) == V(L) ** 2
        assert parse(str(canonical(rep).rep)) == canonical(rep).rep

    def test_a_rep_takes_an_element_of_each(self) -> None:
        L, R = SO(2).copies(2)
        g, h = SO(2).samples(2)
        found = (V(L) * V(R)).rho_dense({L: g, R: h})
        np.testing.assert_allclose(found, np.kron(g, h))

    def test_a_user_defined_rep_over_a_copy(self) -> None:
        class Squared(Rep):
            def rho(self, M: Any) -> Any:
                return M @ M

        L, R = SO(2).copies(2)
        assert (Squared()(L) >> V(L) ** 2).equivariant_basis().rank == 2
        assert (Squared()(L) >> V(R) ** 2).equivariant_basis().rank == 0


class TestProducts:
    def test_the_factors_are_copies_that_differ(self) -> None:
        G = S(3) * S(3)
        assert isinstance(G, DirectProduct)
        assert [repr(factor) for factor in G.factors] == ["S(3)#1", "S(3)#2"]
        assert repr((Z(2) * S(3) * Z(2)).factors) == "(Z(2)#1, S(3)#2, Z(2)#3)"

    def test_factors_that_are_copies_are_themselves(self) -> None:
        L, R = SO(3).copies(2)
        assert (L * R).factors == (L, R)
        assert (L * R) != (R * L)
        assert SO(3) * SO(3) != (L * R)
        assert (L * R) * Z(2) == L * (R * Z(2))
        assert len(set((L * L).factors)) == 2
        assert len(set((R * SO(3)).factors)) == 2
        assert (S(2) * S(2)).copies(2)[1].factors == (S(2).numbered([1, 2]), S(2).numbered([2, 2]))

    @pytest.mark.parametrize("G", [S(3) * S(3), Z(2) * S(3), O(2) * O(2) * Z(2)], ids=repr)
    @pytest.mark.parametrize("text", ["V", "V>>V", "V**2>>V"])
    def test_v_has_the_ranks_of_the_product_of_the_factors(self, G: Any, text: str) -> None:
        whole = parse(text)(G)
        parts = parse(text, names={"V": np.prod([V(factor) for factor in G.factors])})
        assert parts.size() == whole.size()
        assert parts.equivariant_basis().rank == whole.equivariant_basis().rank

    def test_products_of_copies_survive_json(self) -> None:
        L, R = ANONYMOUS.copies(2)
        for G in (L * R, R * L, (L * R) * L, (L * R).numbered(3), SO(3).numbered(1) * Z(2)):
            assert group_from_json(json.loads(json.dumps(group_to_json(G)))) == G
