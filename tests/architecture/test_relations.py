"""Relations among irreps, and the symmetries that they leave."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.architecture.relations import Relations

_ROWS = st.lists(st.lists(st.integers(-3, 3), min_size=3, max_size=3), max_size=4)


def _of(rows: list[list[int]]) -> Relations:
    found = Relations("abc")
    for row in rows:
        found.add(dict(zip("abc", row, strict=True)))
    return found


def test_a_sign_that_a_square_does_not_see() -> None:
    even = Relations(["p"])
    even.add({"p": 2})
    assert even.among(["p"]) == ((2,),)
    even.add({"p": 3})
    assert even.among(["p"]) == ((1,),)


def test_inner_symbols_are_eliminated() -> None:
    found = Relations(["axial", "v", "p"])
    found.add({"v": 2, "axial": -1})
    found.add({"v": 1, "p": 1, "axial": -1})
    assert found.among(["v", "p"]) == ((1, -1),)


@given(_ROWS)
@settings(deadline=None)
def test_the_characters_are_those_of_all_relations(rows: list[list[int]]) -> None:
    """χ = exp(2πi k/m) on each symbol: a character of the rows is one of the basis, and back."""
    basis = _of(rows).among("abc")
    for m in (2, 3, 5):
        for k in product(range(m), repeat=3):
            given_rows, found_rows = (
                all(sum(x * y for x, y in zip(row, k, strict=True)) % m == 0 for row in some)
                for some in (rows, basis)
            )
            assert given_rows == found_rows


@given(_ROWS, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_equal_subgroups_have_one_basis(rows: list[list[int]], random: object) -> None:
    others = [*rows]
    random.shuffle(others)  # type: ignore[attr-defined]
    if len(others) > 1:
        others[0] = [x + 2 * y for x, y in zip(others[0], others[1], strict=True)]
        others.append([-x for x in others[1]])
    assert _of(others).among("abc") == _of(rows).among("abc")


@given(_ROWS)
@settings(deadline=None)
def test_relations_among_the_last_symbols(rows: list[list[int]]) -> None:
    found = _of(rows)
    inner = found.among("bc")
    for row in inner:
        grown = _of([*rows, [0, *row]])
        assert grown.among("abc") == found.among("abc")
