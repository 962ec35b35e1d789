"""Groups and reps arrive as they were sent."""

from __future__ import annotations

import json

import numpy as np
import pytest
from intertwine.errors import InvalidRep, NotConcrete
from intertwine.groups import (
    SO,
    SU,
    Cube,
    D,
    Group,
    Lorentz,
    RubiksCube,
    S,
    Z,
    group_document,
    group_from_json,
    parse_group,
)
from intertwine.reps import Rep, V
from intertwine_api.wire.wire_format import SentRep

GROUPS = [
    SO(3),
    Lorentz(),
    SU(3),
    Cube(),
    RubiksCube(),
    Z(3) * S(4),
    SU(2) * Z(3),
    D(4),
    Group(d=3),
    Group(discrete_generators=[[1, 2, 0]]),
    Group(lie_algebra=[[[0, 1 / 3], [-1 / 3, 0]]], discrete_generators=[[1, 0]]),
    Group(discrete_generators=[np.array([[np.exp(0.3j), 0], [0, 1e-5 - 1e2j]])], name="mine"),
]


@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_a_group_arrives_to_the_last_digit(group: Group) -> None:
    document = json.loads(json.dumps(group_document(group)))
    read = parse_group(document) if isinstance(document, str) else group_from_json(document)
    assert read == group
    for ours, theirs in zip(group.lie_generators, read.lie_generators, strict=True):
        assert np.array_equal(np.asarray(ours), np.asarray(theirs))
    for ours, theirs in zip(group.group_generators, read.group_generators, strict=True):
        assert np.array_equal(np.asarray(ours), np.asarray(theirs))


def test_a_group_of_the_catalogue_is_a_word() -> None:
    assert group_document(Z(3) * S(4)) == "Z(3)*S(4)"
    assert group_document(Group(lie_algebra=SO(3).lie_algebra, name="SO(3)")) == "SO(3)"


def test_a_name_that_means_another_group_is_no_word() -> None:
    document = group_document(Group(lie_algebra=SO(3).lie_algebra, name="SO(4)"))
    assert isinstance(document, dict)
    assert document["name"] == "SO(4)"


def test_permutations_stay_short() -> None:
    many = Group(discrete_generators=[[*range(1, 1000), 0]])
    assert len(json.dumps(group_document(many))) < 10_000


def test_a_rep_over_one_group_is_a_text_and_a_group() -> None:
    sent = SentRep.of("V*V.T+5", "SO(3)")
    assert sent.document == {"rep": "V²+5V⁰", "group": "SO(3)"}


def test_a_rep_over_several_names_them_itself() -> None:
    sent = SentRep.of(2 * V(Z(3)) * V(S(4)) + V(SO(3)) ** 2)
    assert sent.document == {"rep": "2V(Z(3))⊗V(S(4))+V(SO(3))²"}


def test_what_no_text_says_cannot_be_sent() -> None:
    class Own(Rep):
        def __init__(self, G: Group) -> None:
            self.G = G

        def rho(self, M: object) -> object:
            return M

        def size(self) -> int:
            return 3

        def __str__(self) -> str:
            return "P"

        def __call__(self, G: Group) -> Rep:
            return Own(G)

    with pytest.raises(
        InvalidRep, match=r"^P cannot be sent: a service knows only the library.s reps"
    ):
        SentRep.of(Own(SO(3)))


def test_without_a_group_nothing_is_sent() -> None:
    with pytest.raises(NotConcrete, match="V has no group: give one"):
        SentRep.of(V)
