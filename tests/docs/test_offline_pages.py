"""The built pages work without a network."""

from __future__ import annotations

import pytest
from helpers.documents import ROOT


@pytest.fixture
def extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_extensions"))


@pytest.mark.usefixtures("extensions")
class TestPagesWithoutANetwork:
    def test_formulas_are_mathml(self) -> None:
        from mathml import mathml
        from sphinx.errors import ExtensionError

        assert "<msub><mi>ρ</mi>" in mathml(r"\rho_1", "inline").replace("&#x003C1;", "ρ")
        with pytest.raises(ExtensionError, match=r"cannot convert \\nonsense"):
            mathml(r"\nonsense x", "inline")

    @pytest.mark.parametrize(
        "text",
        [
            '<script defer src="https://cdn.example.org/a.js"></script>',
            '<link rel="stylesheet" href="//fonts.example.org/css">',
            "@import 'https://fonts.example.org/css'",
            "src: url(https://fonts.example.org/a.woff2)",
        ],
    )
    def test_resources_of_other_hosts_are_found(self, text: str) -> None:
        from offline import loaded_from_elsewhere

        assert len(loaded_from_elsewhere(text)) == 1

    def test_links_to_other_hosts_are_allowed(self) -> None:
        from offline import loaded_from_elsewhere

        assert loaded_from_elsewhere('<a href="https://arxiv.org/abs/2104.09459">') == []
        assert loaded_from_elsewhere('<script src="_static/a.js?v=https://x"></script>') == []
