"""The page on a lab's server lists every setting, scope, error and method."""

from __future__ import annotations

import re
from typing import get_type_hints

from helpers.documents import ROOT
from intertwine.training.recipe.description import TrainingDescription
from intertwine_api.client import Client, Job, Training, errors
from intertwine_api.wire.vocabulary import SCOPES

PAGE = (ROOT / "docs" / "remote.md").read_text(encoding="utf-8")


def rows(after: str) -> dict[str, list[str]]:
    """The table behind a heading: its rows by the word in the first column."""
    table = re.search(r"^\|.*?(?=\n\n)", PAGE[PAGE.index(after) :], re.MULTILINE | re.DOTALL)
    assert table
    _, _, *lines = table[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {found: row for row in cells for found in re.findall(r"`([\w:]+)`", row[0])}


def test_every_training_setting_is_listed_with_its_default() -> None:
    fields, told = TrainingDescription.model_fields, rows("### Training settings")
    assert list(told) == list(fields) == list(get_type_hints(Training))
    for name, (_, default, _) in told.items():
        known = fields[name].default
        if known is not None:
            shown = f'"{known}"' if isinstance(known, str) else f"{known}".removesuffix(".0")
            assert default.strip("`") == shown, name


def test_every_scope_is_listed() -> None:
    assert tuple(rows("### Keys")) == SCOPES


def test_every_error_is_listed() -> None:
    made = {
        n for n, kind in vars(errors).items() if getattr(kind, "__module__", "") == errors.__name__
    }
    classes = {name for name in made if name[0].isupper()}
    assert set(rows("## Errors")) == classes


def test_every_method_is_mentioned() -> None:
    for kind, name in ((Client, "lab"), (Job, "job")):
        for method in vars(kind):
            if not method.startswith("_") and method not in ("close", "url"):
                assert re.search(rf"\b{name}\.{method}\b", PAGE), f"{name}.{method}"
