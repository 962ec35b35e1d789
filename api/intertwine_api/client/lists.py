"""Lists that come in pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intertwine_api.client.retries import Retries, answered
from intertwine_api.client.steps import Ask, Operation

Document = dict[str, Any]

_PAGE = 200


def list_all(
    path: str,
    query: Mapping[str, str | None],
    limit: int | None,
    retries: Retries,
    cursor_name: str = "after",
) -> Operation[list[Document]]:
    """The documents of a list that pass the filters, page by page, up to `limit`."""
    filters = {name: value for name, value in query.items() if value is not None}
    found: list[Document] = []
    cursor: str | None = ""
    while cursor is not None and (limit is None or len(found) < limit):
        most = _PAGE if limit is None else min(_PAGE, limit - len(found))
        asked = {**filters, "limit": str(most), **({cursor_name: cursor} if cursor else {})}
        page = (yield from answered(Ask("GET", path, query=asked), retries)).document
        found += page["data"]
        cursor = str(page["next"]) if page["has_more"] else None
    return found
