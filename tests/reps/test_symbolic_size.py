"""The size of a rep as a polynomial in the size of V."""

from __future__ import annotations

from typing import Any

import pytest
import sympy
from helpers.example_reps import Tree, build, size, trees
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.errors import NotConcrete, TooLarge
from intertwine.groups import SO, S, Trivial, Z
from intertwine.reps import Rep, Scalar, V, dimension, parse

d = sympy.Symbol("d")

DIMENSIONS = [
    ("V", d),
    ("V.T", d),
    ("V0", 1),
    ("0", 0),
    ("V**2*V.T+5V0", d**3 + 5),
    ("(V+1)**3", d**3 + 3 * d**2 + 3 * d + 1),
    ("V>>V**2", d**3),
    ("2V*(V+V*)", 4 * d**2),
    ("V(SO(3))*V", 3 * d),
    ("V(SO(3))*V(S(4))", 12),
]


@pytest.mark.parametrize(("text", "expected"), DIMENSIONS)
def test_dimension_is_a_polynomial(text: str, expected: Any) -> None:
    found = dimension(parse(text))
    assert isinstance(found, sympy.Expr)
    assert found == expected


@laws
@given(trees(), st.integers(1, 5))
def test_dimension_becomes_the_size_with_a_group(tree: Tree, n: int) -> None:
    rep = build(tree)
    polynomial = dimension(rep)
    assert polynomial.subs(d, n) == rep(Trivial(n)).size() == size(tree, n)
    assert dimension(rep(Trivial(n))) == rep(Trivial(n)).size()


@laws
@given(trees(), trees())
def test_dimension_adds_and_multiplies(a: Tree, b: Tree) -> None:
    x, y = build(a), build(b)
    assert dimension(x + y) == dimension(x) + dimension(y)
    assert dimension(x * y) == sympy.expand(dimension(x) * dimension(y))


def test_a_rep_of_the_users_own_counts_as_its_size() -> None:
    class Two(Rep):
        def size(self) -> int:
            return 2

        def rho(self, M: Any) -> Any:
            return M

    class Derived(Rep):
        def rho(self, M: Any) -> Any:
            return M

    assert dimension(Two() * V + 1) == 2 * d + 1
    assert dimension(Derived()(Z(3)) * V) == 3 * d
    with pytest.raises(NotConcrete) as error:
        dimension(Derived() * V)
    assert str(error.value) == (
        "Derived has no group yet: call it with one, as in rep(SO(3)), or write V(SO(3))"
    )


def test_sizes_are_exact_integers() -> None:
    rep = (V**100)(SO(3)) * V(S(10)) ** 50
    assert rep.size() == 3**100 * 10**50
    assert dimension(rep) == 3**100 * 10**50
    assert Scalar.size() == 1


def test_a_size_past_all_telling_is_refused() -> None:
    with pytest.raises(TooLarge) as error:
        ((V**256)(SO(3))).size()
    assert str(error.value) == "the rep has about 10^122 dimensions"
    assert dimension(V**256) == d**256
