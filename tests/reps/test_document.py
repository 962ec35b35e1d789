"""Every rep of the library is read from its document, with equal images and an equal key."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from intertwine.errors import IntertwineError, InvalidRep, NotConcrete, TooLarge
from intertwine.groups import SE, SO, SU, D, Group, PointGroup, S, Z
from intertwine.irreps import Irrep
from intertwine.reps import (
    Homomorphism,
    Induce,
    Quotient,
    QuotientRep,
    Regular,
    Rep,
    Restrict,
    Sub,
    Sym,
    V,
    basis_key,
    read_rep,
    rep_document,
)

SIGNS = Homomorphism(S(3), Z(2), [[1, 0], [1, 0]])
ROTATION = SO(3).lie_algebra


def turn() -> Group:
    """A group that is not of the catalogue."""
    return Group(discrete_generators=[[[0.0, -1], [1, 0]]], name="Turn")


def example(name: str) -> Rep:
    """The reps by generators, each in an expression with others."""
    match name:
        case "permutations":
            P = Rep.from_generators(S(3), S(3).group_generators, name="P")
            return 2 * P * V(S(3)) + P
        case "Lie":
            return Rep.from_generators(SO(3), lie=ROTATION, name="W") ** 2
        case "complex":
            return Rep.from_generators(SU(2), lie=SU(2).lie_algebra, name="Spin").T * V(SU(2))
        case "pulled back":
            return SIGNS.pull_back(V, name="Signs") + V(S(3))
        case "restricted":
            return Restrict(Irrep("l=2", SO(3)), PointGroup("432"), name="Below")
        case "part":
            return Sub((V**2)(SO(3)), np.eye(3).reshape(9, 1)) * V(SO(3))
        case "quotient":
            return QuotientRep(V(SE(3)), np.eye(4)[:, :3], name="Q") >> V(SE(3))
        case "induced":
            return Induce(V(Z(4)), S(4), name="Ind")
        case "cosets":
            return Quotient(S(4), [[0]], name="Cosets") + Regular(S(4))
        case "functor":
            return Sym(2, Rep.from_generators(D(4), D(4).group_generators, name="P"))
        case "own group":
            return Rep.from_generators(turn(), [[[-1.0]]], name="Minus") + V(turn())
        case "several groups":
            return Rep.from_generators(S(3), S(3).group_generators, name="P") * V(Z(3))
        case _:
            return Regular(Group(d=2))


EXAMPLES = [
    *("permutations", "Lie", "complex", "pulled back", "restricted", "part", "quotient"),
    *("induced", "cosets", "functor", "own group", "several groups", "trivial group"),
]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_document_defines_the_rep(name: str) -> None:
    rep = example(name)
    document = json.loads(json.dumps(rep_document(rep)))
    assert document["reps"]
    found = read_rep(document["rep"], document.get("group"), document["reps"])
    assert str(found) == str(rep)
    assert found.size() == rep.size()
    assert basis_key(found) == basis_key(rep)
    assert found.equivariant_basis().rank == rep.equivariant_basis().rank
    again = rep_document(found)
    assert (again["rep"], again["reps"].keys()) == (document["rep"], document["reps"].keys())


def test_other_reps_have_none() -> None:
    assert "reps" not in rep_document((V**2 + 1)(SO(3)))


def test_names_are_shown() -> None:
    P = Rep.from_generators(S(3), S(3).group_generators, name="P")
    assert repr(SIGNS.pull_back(V, name="Signs")) == "Signs(S(3))"
    assert repr(Restrict(P, [[0]])).startswith("P(")
    assert repr(Restrict(P, [[0]], name="Below")).startswith("Below(")
    assert repr(P >> P) == "(P²)(S(3))"
    with pytest.raises(InvalidRep, match="not a single rep by generators"):
        SIGNS.pull_back(V + V.T * V, name="Both")
    with pytest.raises(InvalidRep, match="is no name of a rep"):
        SIGNS.pull_back(V, name="a b")


class Own(Rep):
    """A user's class."""

    def rho(self, M: Any) -> Any:
        return M


def test_ambiguous_and_unknown_reps_are_refused() -> None:
    group = S(3)
    P = Rep.from_generators(group, group.group_generators, name="P")
    other = Rep.from_generators(group, [[[-1.0]], [[-1.0]]], name="P")
    with pytest.raises(InvalidRep, match=r"two reps in .* have the name P: give them different"):
        rep_document(P + other)
    with pytest.raises(InvalidRep, match="names other than V and T"):
        rep_document(Rep.from_generators(group, group.group_generators, name="V") * V(group))
    with pytest.raises(InvalidRep, match="cannot be sent"):
        rep_document(Own()(group))


@pytest.mark.parametrize(
    ("reps", "error", "text"),
    [
        ([], None, ""),
        ({"P": [[0, 1, 2]]}, InvalidRep, "maps names to the images"),
        ({"P": {"rho": 1}}, InvalidRep, "unknown keys"),
        ({"P": {"images": 3}}, InvalidRep, "a list of generators"),
        ({"P": {"images": [[1, 2, 0]]}}, InvalidRep, "1 images are given"),
        ({"P": {"images": [[1, 1, 0], [0, 1, 2]]}}, InvalidRep, "permutation"),
        ({"P": {"images": [[[2.0]], [[1.0]]]}}, InvalidRep, "not a representation"),
        ({"P": {"images": [[["x"]], [[1.0]]]}}, IntertwineError, "x"),
        ({"P": {"size": 3, "group": {"d": 2}}}, None, ""),
        ({"P": {"size": 0, "group": {"d": 2}}}, InvalidRep, "needs a size from 1"),
        ({f"P{k}": {} for k in range(101)}, TooLarge, "at most 100"),
    ],
)
def test_wrong_documents_are_refused(reps: Any, error: Any, text: str) -> None:
    if error is None:
        assert read_rep("V", None if reps else "S(3)", reps).size
        return
    with pytest.raises(error, match=text):
        read_rep("P", "S(3)", reps)


def test_images_need_a_group() -> None:
    with pytest.raises(NotConcrete, match="the rep P is given by the images of generators"):
        read_rep("P", None, {"P": {"images": [[1, 0]]}})
