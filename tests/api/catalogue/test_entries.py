"""Which bases a catalogue has."""

from __future__ import annotations

import pytest
from intertwine.errors import InvalidSetting
from intertwine_api.catalogue.entries import Entry, default_entries, read_entries

DEFAULT = list(default_entries())


def test_the_default_list_has_some_hundreds_of_different_reps() -> None:
    assert 300 <= len(DEFAULT) == len(set(DEFAULT)) <= 500


@pytest.mark.parametrize("group", ["SO(3)", "O13()", "SU(3)", "S(5)", "DkeR3(6)", "Cube()"])
def test_it_has_the_kinds_of_groups_that_people_use(group: str) -> None:
    assert group in {entry.group for entry in DEFAULT}


def test_each_can_be_parsed_and_none_is_large() -> None:
    for entry in DEFAULT:
        assert 1 <= entry.parse().size() <= 1100, entry


def test_a_list_is_read_back_as_it_was_printed() -> None:
    printed = "\n".join(f"{entry.group}: {entry.rep}" for entry in DEFAULT)
    assert list(read_entries(printed)) == DEFAULT


def test_comments_and_empty_lines_are_skipped() -> None:
    text = "# mine\n\nSO(3): V**2  # rank 1\n  S(4):V>>V\n"
    assert list(read_entries(text)) == [Entry("SO(3)", "V**2"), Entry("S(4)", "V>>V")]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("SO(3)", "write a group, a colon and a rep"),
        ("SO(3): V**", "expected"),
        ("Sp(3: V", "expected"),
        (": V", "expected a group"),
        ("SO(3):", "expected"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(line: str, told: str) -> None:
    with pytest.raises(InvalidSetting, match="line 2, ") as refused:
        list(read_entries(f"SO(3): V\n{line}\n"))
    assert told in str(refused.value)
