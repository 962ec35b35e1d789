"""Operations for admins: list and end the solves and uploads in flight."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

from intertwine_api.client.connection import Session
from intertwine_api.client.messages import Document, HttpRequest, Schema
from intertwine_api.client.retries import fetch, send

#: The kinds of operations in flight, as in the paths of their lists.
InFlight = Literal["solves", "uploads"]

_SCHEMAS = {"solves": Schema.SOLVES_IN_FLIGHT, "uploads": Schema.UPLOADS_IN_FLIGHT}


async def list_in_flight(session: Session, what: InFlight) -> list[Document]:
    """Return the documents of the solves or uploads of the service's process, oldest first."""
    request = HttpRequest("GET", f"/v1/admin/{what}", answer=_SCHEMAS[what])
    found: list[Document] = (await fetch(session, request))["data"]
    return found


async def end_in_flight(session: Session, what: InFlight, name: str) -> None:
    """End a solve or an upload by its id."""
    await send(session, HttpRequest("DELETE", f"/v1/admin/{what}/{quote(name, safe='')}"))
