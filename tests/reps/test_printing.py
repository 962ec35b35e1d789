"""How reps print: as on EMLP's pages, and in LaTeX."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.example_reps import Tree, build, trees
from helpers.laws import laws
from hypothesis import given
from intertwine.groups import SO, SO13, Embed, Group, O, S, SO13p, Z
from intertwine.reps import Rep, Scalar, T, V, parse

O4 = O(4)


class PseudoScalar(Rep):
    """As on EMLP's page."""

    def __init__(self, G: Any = None) -> None:
        self.G = G

    def rho(self, M: Any) -> Any:
        return M

    def __str__(self) -> str:
        return "P"


class Plain(Rep):
    def rho(self, M: Any) -> Any:
        return M


PRINTED = [
    # without a group, as written
    (V, "V", "V"),
    (V.T, "V*", "V*"),
    (Scalar, "V⁰", "V⁰"),
    (0 * V, "0", "0"),
    (V + V, "2V", "2V"),
    (V * V, "V²", "V²"),
    (V**2 * V.T + 5, "V²⊗V*+5V⁰", "V²⊗V*+5V⁰"),
    (V * V.T * V, "V⊗V*⊗V", "V⊗V*⊗V"),
    ((V + V.T) * (V * V.T + V), "(V+V*)⊗(V⊗V*+V)", "(V+V*)⊗(V⊗V*+V)"),
    ((V + V.T) ** 2, "(V+V*)²", "(V+V*)²"),
    (2 * ((V + V.T) * V), "2((V+V*)⊗V)", "2((V+V*)⊗V)"),
    (V * (2 * V), "V⊗(2V)", "V⊗(2V)"),
    (V.T**2 * V**10, "V*²⊗V¹⁰", "V*²⊗V¹⁰"),
    (5 * V * 2, "10V", "10V"),
    (2 * V**3, "2V³", "2V³"),
    # over one group the group is understood; repr says it
    (V(O4), "V", "V(O(4))"),
    (V(O4).T, "V", "V(O(4))"),
    (2 * V(O4) ** 3, "2V³", "(2V³)(O(4))"),
    ((2 * V**3)(O4), "2V³", "(2V³)(O(4))"),
    ((5 * Scalar + 5 * V)(SO(3)), "5V⁰+5V", "(5V⁰+5V)(SO(3))"),
    (V(SO(3)) ** 2, "V²", "V²(SO(3))"),
    (V(SO(3)).T + V(SO(3)), "2V", "(2V)(SO(3))"),
    (V(SO13()).T + V(SO13()), "V*+V", "(V*+V)(SO13())"),
    (V(SO13p()).T, "V*", "V(SO13p())*"),
    (T(1, 2)(SO13p()), "V⊗V*²", "(V⊗V*²)(SO13p())"),
    (T(0, 2)(SO13p()), "V*²", "(V*²)(SO13p())"),
    ((V + 1)(SO(3)) ** 2, "(V+V⁰)²", "((V+V⁰)²)(SO(3))"),
    (5 * Scalar(SO(3)), "5V⁰", "5V⁰"),
    (V(Z(3) * S(4)), "V", "V(Z(3)*S(4))"),
    (V(Group(discrete_generators=[[1, 0]], name="swap")), "V", "V(swap)"),
    # of several groups every V says its own
    (V(SO(3)) * V(S(4)) ** 2, "V(SO(3))⊗V(S(4))²", "V(SO(3))⊗V(S(4))²"),
    (
        2 * V(Z(3)) * V(S(4)) + V(SO(3)) ** 2,
        "2V(Z(3))⊗V(S(4))+V(SO(3))²",
        "2V(Z(3))⊗V(S(4))+V(SO(3))²",
    ),
    (V(SO13p()).T * V(Z(2)), "V(SO13p())*⊗V(Z(2))", "V(SO13p())*⊗V(Z(2))"),
    (V * V(Z(3)), "V⊗V(Z(3))", "V⊗V(Z(3))"),
    # user-defined reps, by the names that they give themselves
    (PseudoScalar(), "P", "P"),
    (PseudoScalar(S(4)), "P", "P(S(4))"),
    (PseudoScalar() ** 2 * V + V, "P²⊗V+V", "P²⊗V+V"),
    (PseudoScalar(S(4)) * V(S(4)), "P⊗V", "(P⊗V)(S(4))"),
    (PseudoScalar().T, "P*", "P*"),
    (PseudoScalar(S(4)) * V(Z(3)), "P(S(4))⊗V(Z(3))", "P(S(4))⊗V(Z(3))"),
    (Plain() + 2, "Plain+2V⁰", "Plain+2V⁰"),
]


@pytest.mark.parametrize(
    ("rep", "shown", "represented"),
    [pytest.param(*row, id=f"{i}: {row[2]}") for i, row in enumerate(PRINTED)],
)
def test_a_rep_prints(rep: Rep, shown: str, represented: str) -> None:
    assert str(rep) == shown
    assert f"{rep}" == shown
    assert repr(rep) == represented


def test_an_unnamed_user_defined_group_prints_a_description() -> None:
    G = Group(discrete_generators=[[1, 0]])
    assert repr(G) == (f"<Group of size 2 with 0 Lie and 1 discrete generators, {G.digest[:8]}>")
    assert repr(V(G)) == f"V({G!r})"


def test_an_embedded_group_says_what_it_embeds() -> None:
    assert repr(Embed(SO(2), 3, slice(2))) == "Embed(SO(2), 3, slice(None, 2, None))"


LATEX = [
    (V, "$V$"),
    (Scalar, "$V^{0}$"),
    (V.T, "$V^{*}$"),
    (0 * V, "$0$"),
    (V**2 * V.T + 5, r"$V^{2}\otimes V^{*}\oplus 5V^{0}$"),
    (V.T**2, "${V^{*}}^{2}$"),
    ((V + 1) ** 2 * V, r"$\left(V\oplus V^{0}\right)^{2}\otimes V$"),
    (3 * ((V + 1) * V), r"$3\left(V\oplus V^{0}\right)\otimes V$"),
    ((V**2 * V.T)(SO(3)), "$V^{3}$"),
    (PseudoScalar() * V, r"$\mathrm{P}\otimes V$"),
]


@pytest.mark.parametrize(("rep", "latex"), [pytest.param(*row, id=row[1]) for row in LATEX])
def test_a_notebook_shows_latex(rep: Rep, latex: str) -> None:
    assert rep._repr_latex_() == latex


@laws
@given(trees())
def test_latex_has_balanced_braces_and_parentheses(tree: Tree) -> None:
    text = build(tree)._repr_latex_()
    assert text.count("{") == text.count("}")
    assert text.count(r"\left(") == text.count(r"\right)")


@laws
@given(trees(), trees())
def test_different_reps_print_differently(a: Tree, b: Tree) -> None:
    left, right = build(a), build(b)
    assert (str(left) == str(right)) == (left == right)


def test_emlps_mixed_page_prints_with_our_names() -> None:
    rep = 2 * T(1)(Z(3)) * T(1)(S(4)) + T(2)(SO(3))
    assert str(rep) == "2V(Z(3))⊗V(S(4))+V(SO(3))²"
    assert parse(str(rep >> rep)) == rep >> rep
