"""Tables for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape


def html_table(rows: Mapping[str, str]) -> str:
    """Names and values in two columns, as HTML; what has no value is left out."""
    cells = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th><td>{escape(value)}</td></tr>"
        for name, value in rows.items()
        if value
    )
    return f"<table>{cells}</table>"
