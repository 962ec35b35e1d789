"""A check of the built pages: they load no script, style, font or picture from another host."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

#: Elements that a browser loads by itself, and addresses in styles. Links may go anywhere.
LOADED = re.compile(
    r"""<(?:script|link|img|iframe|source|video|audio|embed|object)\b[^>]*?
        \s(?:src|href|data)\s*=\s*["']?\s*((?:https?:)?//[^"'\s>]+)
        | (?:url\(|@import)\s*["']?\s*((?:https?:)?//[^"')\s]+)""",
    re.IGNORECASE | re.VERBOSE,
)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", check_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def check_pages(app: Sphinx, exception: Exception | None) -> None:
    """Raise `ExtensionError` if a built page or style sheet loads from another host."""
    if exception is not None or app.builder.format != "html":
        return
    for path in sorted(Path(app.outdir).rglob("*")):
        if path.suffix in (".html", ".css"):
            for address in loaded_from_elsewhere(path.read_text(encoding="utf-8")):
                raise ExtensionError(f"{path.relative_to(app.outdir)} loads {address}")


def loaded_from_elsewhere(text: str) -> list[str]:
    """Return the addresses of other hosts that a browser asks when it shows a page or a style."""
    return [found[1] or found[2] for found in LOADED.finditer(text)]
