"""The reference has an entry for every public name, with its signature as it is written."""

from __future__ import annotations

import importlib
import inspect
import re
from collections import Counter
from types import ModuleType

import intertwine
import pytest
from helpers.documents import ROOT

REFERENCE = ROOT / "docs" / "reference"
PACKAGES = [
    # docs/pytorch.md has the names of `intertwine.torch`: documents are built without PyTorch
    *(f"intertwine.{name}" for name in intertwine._PACKAGES if name != "torch"),
    "intertwine_api.client",
    "intertwine_api.client.errors",
]


@pytest.fixture
def extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_extensions"))


def listed(package: str) -> Counter[str]:
    """How often the pages list each name of a package."""
    blocks = re.compile(rf"^```{{reference}} {re.escape(package)}\n(.*?)^```$", re.M | re.S)
    pages = (page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.md"))
    return Counter(
        name for page in pages for block in blocks.findall(page) for name in block.split()
    )


def public(package: str) -> set[str]:
    module = importlib.import_module(package)
    return set(getattr(module, "__all__", None) or defined_in(module))


def defined_in(module: ModuleType) -> set[str]:
    return {
        name
        for name, value in vars(module).items()
        if name[0].isupper() or (inspect.isfunction(value) and not name.startswith("_"))
        if getattr(value, "__module__", None) == module.__name__
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_one_entry(package: str) -> None:
    found, names = listed(package), public(package)
    if package == "intertwine_api.client.errors":
        names = {name for name in names if name[0].isupper()}  # its functions are the client's own
    assert names - set(found) == set(), "list them in a block of docs/reference"
    assert set(found) - names == set(), "these are no public names"
    assert [name for name, times in found.items() if times > 1] == []


@pytest.mark.usefixtures("extensions")
class TestExtensions:
    def test_docstrings_keep_their_formulas(self) -> None:
        from docstrings import escaped

        assert escaped("the mean of |f(x) − y|²") == r"the mean of \|f(x) − y\|²"
        assert escaped("x_{p(i)} and ρ*\n* an item") == "x\\_{p(i)} and ρ\\*\n* an item"

    def test_parameters_are_code_and_other_names_links(self) -> None:
        from docstrings import escape

        def solve(rep: str) -> None: ...

        lines = ["Solve `rep` with `SO`::", "", "    a | b", "", "a | b"]
        escape(None, "function", "solve", solve, None, lines)  # type: ignore[arg-type]
        assert lines == ["Solve ``rep`` with `SO`::", "", "    a | b", "", r"a \| b"]

    def test_signatures_are_shown_as_written(self) -> None:
        import intertwine.verify
        from reference import as_written

        shown = as_written(  # type: ignore[call-arg]
            *(None, "function", "assert_equivariant", intertwine.verify.assert_equivariant),
            *(None, "", ""),
        )
        assert shown is not None
        assert shown[0].startswith("(W: Any, rep_in: Rep, rep_out: Rep, G: Group | None = None, *,")
