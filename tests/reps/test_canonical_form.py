"""The canonical form: one for every way of writing a rep, and the permutation that leads to it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from helpers.example_reps import MIXED, SIZES, Tree, build, group_named, shuffled, trees
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.errors import TooLarge
from intertwine.groups import SO, Group, S, SO11p, SO13p, Trivial, Z
from intertwine.operators import Permutation
from intertwine.reps import Rep, Scalar, T, V, canonical, parse


class Power(Rep):
    """ρ(g) = gⁿ, a rep of commutative groups; of the size of V."""

    def __init__(self, n: int) -> None:
        self.n = n

    def rho(self, M: Any) -> Any:
        return np.linalg.matrix_power(M, self.n)


class Square(Rep):
    """ρ(g) = g ⊗ g, of another size than V."""

    def rho(self, M: Any) -> Any:
        return np.kron(M, M)

    def __str__(self) -> str:
        return "Q"


FORMS = [
    ("V", "V"),
    ("V.T", "V*"),
    ("5", "5V⁰"),
    ("0", "0"),
    ("0*V", "0"),
    ("V*V.T*V", "V²⊗V*"),
    ("V.T*V", "V⊗V*"),
    ("V.T+V", "V+V*"),
    ("V+V.T+V", "2V+V*"),
    ("V+5+V+5", "10V⁰+2V"),
    ("V**3+V+V**2+1", "V⁰+V+V²+V³"),
    ("(V+1)**2", "V⁰+2V+V²"),
    ("(V+V.T)*(V*V.T+V)", "V²+V⊗V*+V²⊗V*+V⊗V*²"),
    ("V*(2*V)", "2V²"),
    ("V*(3*Scalar)", "3V"),
    ("(V+V*)*0", "0"),
    ("V>>V**2", "V²⊗V*"),
]


@pytest.mark.parametrize(("text", "form"), FORMS)
def test_the_canonical_form_is_a_sorted_sum_of_sorted_products(text: str, form: str) -> None:
    """Sums are expanded; terms go by degree, then V before V*; equal terms are merged."""
    assert str(canonical(parse(text)).rep) == form


@laws
@given(trees())
def test_the_permutation_carries_one_action_into_the_other(tree: Tree) -> None:
    """P ρ(g) Pᵀ is ρ(g) of the canonical rep, entry by entry."""
    G = SO11p()
    original = build(tree)(G)
    rep, permutation = canonical(original)
    for g in G.samples(2):
        carried = permutation @ np.asarray(original.rho_dense(g)) @ permutation.T
        np.testing.assert_allclose(carried, rep.rho_dense(g), atol=1e-9)


@laws
@given(trees(MIXED))
def test_so_it_does_for_several_groups(tree: Tree) -> None:
    original = build(tree)
    rep, permutation = canonical(original)
    drawn = {G: G.sample(4) for G in map(group_named, SIZES)}
    carried = permutation @ np.asarray(original.rho_dense(drawn)) @ permutation.T
    np.testing.assert_allclose(carried, rep.rho_dense(drawn), atol=1e-9)


OWN: dict[str, Rep] = {"P": Power(2), "R": Power(3), "Q": Square()}


@pytest.mark.parametrize(
    "text",
    ["P", "P*V", "V*P", "R*P*V", "(P+V)*(Q+1)", "Q*V*Q.T", "2V*(P+3Q)+P", "P.T*P", "Q>>P*V"],
)
@pytest.mark.sampled(4)
def test_so_it_does_for_reps_of_the_users_own(text: str) -> None:
    G = SO(2)
    original = parse(text, names=OWN)(G)
    rep, permutation = canonical(original)
    g = G.sample(1)
    carried = permutation @ np.asarray(original.rho_dense(g)) @ permutation.T
    np.testing.assert_allclose(carried, rep.rho_dense(g), atol=1e-9)


@laws
@given(trees())
def test_the_canonical_form_of_a_canonical_form_is_itself(tree: Tree) -> None:
    for rep in (build(tree), build(tree)(SO(2))):
        form = canonical(rep)
        again = canonical(form.rep)
        assert again.rep == form.rep
        assert again.is_identity
        assert form.is_identity == (form.rep == rep)
    identity = again.permutation
    np.testing.assert_array_equal(identity.indices, np.arange(rep.size()))


@laws
@given(trees(), st.lists(st.booleans(), max_size=12))
def test_it_is_the_same_for_every_order_of_writing(tree: Tree, flips: list[bool]) -> None:
    left, right = build(tree), build(shuffled(tree, flips))
    assert canonical(left).rep == canonical(right).rep
    G = SO13p()
    assert canonical(left(G)).rep == canonical(right(G)).rep


@laws
@given(trees(MIXED), st.lists(st.booleans(), max_size=12))
def test_so_it_is_over_several_groups(tree: Tree, flips: list[bool]) -> None:
    assert canonical(build(tree)).rep == canonical(build(shuffled(tree, flips))).rep


@laws
@given(trees(), trees(), trees())
def test_it_is_the_same_for_every_bracketing(a: Tree, b: Tree, c: Tree) -> None:
    x, y, z = build(a), build(b), build(c)
    assert canonical((x * y) * z).rep == canonical(x * (y * z)).rep
    assert canonical(x * (y + z)).rep == canonical(x * y + x * z).rep
    assert canonical(2 * x).rep == canonical(x + x).rep


def test_user_defined_reps_are_sorted_by_content() -> None:
    p, r, q = (OWN[name] for name in "PRQ")
    for G in (None, SO(2)):
        a, b, c = (rep if G is None else rep(G) for rep in (p, r, q))
        forms = {canonical(x * y * z).rep for x, y, z in ((a, b, c), (c, b, a), (b, a, c))}
        assert len(forms) == 1
        assert len({canonical(x + y).rep for x, y in ((a, b), (b, a))}) == 1
        assert canonical(a * b + b * a).rep == 2 * canonical(a * b).rep


def test_reps_that_act_alike_do_not_depend_on_the_order_either() -> None:
    """The dual of an orthogonal rep of the user's own has the same images, and another name."""

    class Other(Power):
        pass

    G = SO(2)
    a = Power(2)(G)
    for b in (a.T, Other(2)(G)):
        assert canonical(a * b).rep == canonical(b * a).rep
        assert canonical(a + b + a).rep == canonical(b + 2 * a).rep


def test_the_name_of_a_group_plays_no_part() -> None:
    first = {name: Group(discrete_generators=[[1, 0]], name=name) for name in ("a", "z")}
    second = Group(discrete_generators=[[1, 2, 0]], name="m")
    forms = {canonical(V(G) * V(second) + V(second) * V(G)).rep for G in first.values()}
    assert len(forms) == 1


def test_unpacking_gives_the_rep_and_its_permutation() -> None:
    form = canonical(parse("V*+V")(SO13p()))
    rep, permutation = form
    assert rep == form.rep == parse("V+V*")(SO13p())
    assert isinstance(permutation, Permutation)
    np.testing.assert_array_equal(permutation.indices, [4, 5, 6, 7, 0, 1, 2, 3])
    v = np.arange(8.0)
    np.testing.assert_array_equal(permutation.H @ (permutation @ v), v)


def test_the_permutation_of_a_product_moves_its_axes() -> None:
    form = canonical(parse("V*⊗V")(SO11p()))
    np.testing.assert_array_equal(form.permutation.indices, [0, 2, 1, 3])


def test_the_form_of_a_rep_too_large_for_any_memory_is_immediate() -> None:
    rep = T(20, 20)(SO13p()) * (V(SO(3)).T + V(Z(2)) ** 30)
    started = time.process_time()
    form = canonical(rep)
    assert form.rep.size() == rep.size() > 10**24
    assert not form.is_identity
    assert time.process_time() - started < 1


@pytest.mark.slow
def test_too_many_different_terms_are_refused() -> None:
    several = sum((V(Trivial(n)) for n in range(1, 11)), 0 * V)
    assert len(canonical(several**5).rep.terms) == 2002
    with pytest.raises(TooLarge) as error:
        canonical(several**8)
    assert str(error.value) == "the rep has more than 10,000 different terms when expanded"


@pytest.mark.parametrize("text", ["(V+1)**256", "(V+V*)**256"])
def test_a_high_power_of_a_sum_is_expanded_or_refused_at_once(text: str) -> None:
    rep = parse(text)
    started = time.process_time()
    try:
        form = canonical(rep)
        assert sum(m for m, _ in form.rep.terms) > 1
    except TooLarge:
        pass
    assert time.process_time() - started < 3


def test_scalars_need_no_group() -> None:
    assert canonical(Scalar).rep == Scalar
    assert canonical(5 * Scalar).permutation.shape == (5, 5)
    assert canonical(0 * V).permutation.shape == (0, 0)
    assert canonical(0 * V(S(3)) + 1).rep == Scalar
