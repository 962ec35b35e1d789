"""The page on the command line covers every command, option, key and exit code."""

from __future__ import annotations

import re

from helpers.documents import ROOT
from helpers.program import KEYS, intertwine

PAGE = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")


def test_every_command_has_a_section_with_an_example() -> None:
    _, _, listed = intertwine("--help").out.partition("\nCommands:\n")
    commands = re.findall(r"^  (\w+) ", listed.partition("\n\n")[0], re.MULTILINE)
    assert {"parse", "basis", "groups", "doctor"} <= set(commands)
    sections = re.split(r"^## intertwine ", PAGE, flags=re.MULTILINE)[1:]
    assert sorted(section.split()[0] for section in sections) == sorted(commands)
    for section in sections:
        name = section.split()[0]
        assert re.search(rf"^(\$ )?intertwine {name}\b", section, re.MULTILINE), name


def test_every_option_of_every_command_is_documented() -> None:
    for section in re.split(r"^## intertwine ", PAGE, flags=re.MULTILINE)[1:]:
        name = section.split()[0]
        options = set(re.findall(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*", intertwine(name, "--help").out))
        missing = {option for option in options - {"--help", "--output"} if option not in section}
        assert missing == set(), name


def test_the_keys_of_the_json_are_explained_in_their_order() -> None:
    _, _, table = PAGE.partition("| key | meaning |")
    explained = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)))
    assert explained == KEYS


def test_the_exit_codes_are_those_of_the_help() -> None:
    assert "exit codes: 0" in intertwine("--help").out
    assert re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE) == ["0", "1", "2", "3", "4", "130"]
