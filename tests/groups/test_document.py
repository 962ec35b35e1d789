"""Groups from JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.errors import IntertwineError, InvalidGroup, ParseError, TooLarge
from intertwine.groups import SO, C, Group, O, S, Trivial, U, Z, group_from_json, group_to_json


def test_generators_are_numbers_or_exact_texts() -> None:
    document = json.loads(
        """{"name": "C6", "discrete_generators": [[["1/2", "sqrt(3)/2"], ["-sqrt(3)/2", 0.5]]]}"""
    )
    G = group_from_json(document)
    assert C(6) == G
    assert repr(G) == "C6"


def test_exact_texts_are_rounded_correctly() -> None:
    G = group_from_json({"discrete_generators": [[["sqrt(3)/2", "-1/2"], ["1/2", "sqrt(3)/2"]]]})
    assert G.discrete_generators[0, 0, 0] == 0.8660254037844386
    assert G.is_orthogonal
    close = group_from_json({"lie_algebra": [[["sqrt(2) - 1.41421356237309504880168872420"]]]})
    assert close.lie_algebra[0, 0, 0] == pytest.approx(9.698e-30, rel=1e-3, abs=0)


def test_entries_may_be_complex() -> None:
    G = group_from_json({"lie_algebra": [[["I", 0], [0, 0]], [[0, 0], [0, "i"]]]})
    assert G.is_complex
    np.testing.assert_array_equal(G.lie_algebra, U(2).lie_algebra[2:])


def test_discrete_generators_may_be_permutations() -> None:
    assert group_from_json({"discrete_generators": [[2, 0, 1]]}) == Z(3)
    assert group_from_json({"discrete_generators": [[1, 0], [[0, 1], [1, 0]]]}).d == 2


def test_a_group_without_generators_has_its_size() -> None:
    assert group_from_json({"d": 3}) == Trivial(3)
    assert group_from_json({"d": 3, "lie_algebra": [], "discrete_generators": None}) == Trivial(3)


@pytest.mark.parametrize(
    "G", [SO(3), O(2), C(5), Trivial(2), U(2), S(4), Group(d=2, name="mine")], ids=repr
)
def test_what_is_written_as_json_is_read_back(G: Group) -> None:
    read = group_from_json(json.loads(json.dumps(group_to_json(G))))
    assert read == G
    assert repr(read) == repr(G)


def test_permutations_are_written_as_their_indices() -> None:
    assert group_to_json(Z(3))["discrete_generators"] == [[2, 0, 1]]


def test_permutations_are_read_back() -> None:
    permutations = [[int(i) for i in h.indices] for h in S(4).group_generators]
    assert group_from_json({"discrete_generators": permutations}) == S(4)


REFUSED: dict[str, tuple[Any, str]] = {
    "a list": ([], "a group is a JSON object with the keys lie_algebra, discrete_generators"),
    "a text": ("SO(3)", "a group is a JSON object with the keys lie_algebra, discrete_generators"),
    "nothing": (None, "a group is a JSON object with the keys lie_algebra, discrete_generators"),
    "an unknown key": (
        {"lie": []},
        "unknown keys ['lie'] in a group; the known ones are "
        "['lie_algebra', 'discrete_generators', 'd', 'name', 'copy', 'factors', 'refine', "
        "'precision']",
    ),
    "no generators and no size": ({}, "a group without generators needs its size: Group(d=3)"),
    "a size that is no integer": (
        {"d": 3.0},
        "the size d of a group is a positive integer, not 3.0",
    ),
    "a size of zero": ({"d": 0}, "the size d of a group is a positive integer, not 0"),
    "a negative size": ({"d": -1}, "the size d of a group is a positive integer, not -1"),
    "a true size": ({"d": True}, "the size d of a group is a positive integer, not True"),
    "a name that is no text": (
        {"d": 1, "name": 3},
        "the name of a group is a printable text, not 3",
    ),
    "generators that are no list": (
        {"lie_algebra": {"a": 1}},
        "lie_algebra is a list of generators, not dict",
    ),
    "generators that are a text": (
        {"discrete_generators": "SO(3)"},
        "discrete_generators is a list of generators, not str",
    ),
    "a generator that is a number": (
        {"lie_algebra": [3]},
        "a generator is a list of rows, or a permutation as a list of integers",
    ),
    "a generator that is empty": (
        {"lie_algebra": [[]]},
        "a generator is a list of rows, or a permutation as a list of integers",
    ),
    "rows of different lengths": (
        {"lie_algebra": [[[1, 2], [3]]]},
        "a generator of 2 rows is not square",
    ),
    "a matrix that is not square": (
        {"lie_algebra": [[[1, 2, 3], [4, 5, 6]]]},
        "a generator of 2 rows is not square",
    ),
    "a row that is none": ({"lie_algebra": [[[1, 2], 3]]}, "a generator of 2 rows is not square"),
    "an entry that is none": (
        {"lie_algebra": [[[None]]]},
        "an entry of a generator is a number or an exact string, not None",
    ),
    "an entry that is a truth value": (
        {"lie_algebra": [[[True]]]},
        "an entry of a generator is a number or an exact string, not True",
    ),
    "an entry that is a list": (
        {"lie_algebra": [[[[1]]]]},
        "an entry of a generator is a number or an exact string, not [1]",
    ),
    "not a number": (
        {"lie_algebra": [[[float("nan")]]]},
        "a Lie algebra generator has entries that are not finite:\n[[nan]]",
    ),
    "infinity": (
        {"lie_algebra": [[[float("inf")]]]},
        "a Lie algebra generator has entries that are not finite:\n[[inf]]",
    ),
    "an integer past every float": (
        {"lie_algebra": [[[10**400]]]},
        "an entry of a generator is too large for float64",
    ),
    "a singular discrete generator": (
        {"discrete_generators": [[[1, 0], [0, 0]]]},
        "a discrete generator is singular (its singular values go from 1 to 0); group elements "
        "are invertible:\n[[1. 0.]\n [0. 0.]]",
    ),
    "mixed sizes": (
        {"lie_algebra": [[[0]]], "discrete_generators": [[1, 0]]},
        "the generators have mixed sizes [1, 2]; they act on one space",
    ),
    "another size than is said": (
        {"discrete_generators": [[1, 0]], "d": 3},
        "the generators have mixed sizes [2, 3]; they act on one space",
    ),
    "a permutation in the Lie algebra": (
        {"lie_algebra": [[1, 0]]},
        "a Lie algebra generator has shape (2,); it must be a square matrix. A "
        "permutation is a discrete generator: discrete_generators=[[1, 0]]",
    ),
    "a permutation of something else": (
        {"discrete_generators": [[1, 2]]},
        "a discrete generator with one axis is read as a permutation, but [1, 2] is not a "
        "permutation of 0 … n − 1; a matrix has two axes, and generators are given as a list. "
        "Indices count from 0: write [0, 1]",
    ),
    "a permutation of fractions": (
        {"discrete_generators": [[1.0, 0.0]]},
        "a generator with one axis is a permutation of integers: [1.0, 0.0]",
    ),
    "a permutation of truth values": (
        {"discrete_generators": [[True, False]]},
        "a generator with one axis is a permutation of integers: [True, False]",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    document, message = REFUSED[name]
    with pytest.raises(InvalidGroup) as error:
        group_from_json(document)
    assert str(error.value) == message


def test_a_bad_number_is_shown_with_a_caret() -> None:
    with pytest.raises(ParseError) as error:
        group_from_json({"lie_algebra": [[["sqrt(3"]]]})
    assert str(error.value) == (
        "expected ')' at character 7 (found the end of the text)\n  sqrt(3\n        ^"
    )


def test_too_many_characters_are_refused_before_any_is_evaluated() -> None:
    rows = [[f"this is not a number {i} {j}" for j in range(60)] for i in range(60)]
    with pytest.raises(TooLarge, match="more than 50,000 characters"):
        group_from_json({"lie_algebra": [rows]})
    equal = [["sqrt(2)" + " " * 100] * 60] * 60  # counted once
    assert group_from_json({"lie_algebra": [equal]}).d == 60


@pytest.mark.slow
def test_sizes_are_bounded() -> None:
    with pytest.raises((TooLarge, InvalidGroup)):
        group_from_json({"d": 10**12})
    row = ["1/2"] * 101
    with pytest.raises(InvalidGroup, match="at most 10,000 entries may be exact strings"):
        group_from_json({"lie_algebra": [[row] * 101]})


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.just(10**400)
    | st.floats()
    | st.sampled_from(["1/2", "sqrt(2)", "x", "", "1e999", "1/0", "I"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=12,
)


@laws
@given(
    st.fixed_dictionaries(
        {}, optional={"lie_algebra": _json, "discrete_generators": _json, "d": _json, "name": _json}
    )
)
def test_any_document_gives_a_group_or_an_error_of_ours(document: Any) -> None:
    try:
        G = group_from_json(document)
    except IntertwineError as error:
        assert str(error)  # noqa: PT017 - either outcome is fine
        return
    assert G.d > 0
    assert group_from_json(document) == G


def test_exact_strings_are_evaluated_once_and_bounded_together() -> None:
    many = [["sqrt(2)/2 + 0*cos(1)" for _ in range(60)] for _ in range(60)]
    assert group_from_json({"lie_algebra": [many]}).d == 60  # 72,000 characters, one value
    different = [[f"sqrt({60 * i + j + 2})/2" + " + 0" * 4 for j in range(60)] for i in range(60)]
    with pytest.raises(TooLarge, match="more than 50,000 characters"):
        group_from_json({"lie_algebra": [different]})
