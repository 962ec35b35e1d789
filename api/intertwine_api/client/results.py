"""What came of a job, brought here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from intertwine_api.client.bases import find_basis
from intertwine_api.client.deadlines import Deadline
from intertwine_api.client.models import download_model
from intertwine_api.client.retries import Retries
from intertwine_api.client.steps import Operation

if TYPE_CHECKING:
    from intertwine.training import History


def obtain_result(
    document: Mapping[str, Any], deadline: Deadline, retries: Retries
) -> Operation[Any]:
    """The model of a training that succeeded, ready to call; the basis of a solve.

    Raises `WaitedTooLong` when the deadline comes before the service answers.
    """
    if document["kind"] == "solve":
        request = document["request"]
        options = {name: request.get(name) or "auto" for name in ("method", "backend")}
        options["tolerance"] = request.get("tolerance")
        asked = request["rep"], request.get("group"), options
        return (yield from find_basis(*asked, deadline, retries))
    result, retries = document["result"], retries.until(deadline)
    return (yield from download_model(result["model"], result["version"], retries))


def history_of(rows: Sequence[Mapping[str, Any]]) -> History:
    """Losses by epoch as the library has them."""
    from intertwine.training import History

    return History.from_json([dict(row) for row in rows])
