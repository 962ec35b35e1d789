"""The page on which a model is tried: on vectors of your own, or on a random one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from intertwine.errors import IntertwineError

from intertwine_api.server.access import requires
from intertwine_api.server.console.shell import may_start_work, render, render_problem
from intertwine_api.server.console.trial import (
    MOST_VECTORS,
    Element,
    Outputs,
    Split,
    compare,
    precision_of,
    read_input,
    split,
    typical_vectors,
    why_no_element,
)
from intertwine_api.server.disconnects import CancelOnDisconnect
from intertwine_api.server.inference import Signature
from intertwine_api.server.routes.models import Name, Number
from intertwine_api.server.service import Service, TheService
from intertwine_api.storage.keys import Caller
from intertwine_api.wire.problems import ProblemError

router = APIRouter(include_in_schema=False)

_MOST_SEED = 2**31 - 1
_DIGITS = 10  # of the largest seed

#: The caller of a model, as a route's argument.
ModelsCaller = Annotated[Caller, Depends(requires("models:forward"))]


@dataclass(frozen=True)
class TrialFields:
    """The form as typed: vectors as JSON, and the seeds of a random vector and of an element."""

    x: str
    seed: str
    element: str

    def seeds(self) -> tuple[int, int]:
        """Return the seeds of the vector and of the element. Raises `ProblemError` for others."""
        return _seed(self.seed, "random vector"), _seed(self.element, "group element")

    def again(self, **changes: int) -> str:
        """Return the form with some other seeds, as the query of an address."""
        return urlencode({**vars(self), **changes})


def _seed(text: str, what: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else -1
    if not 0 <= number <= _MOST_SEED:
        detail = (
            f"the seed of the {what} is {text[:40]!r}: give an integer from 0 to {_MOST_SEED:,}"
        )
        raise ProblemError.of("invalid-request", detail)
    return number


def _fields(
    x: Annotated[str, Query(description="vectors as JSON; empty for a random one")] = "",
    seed: Annotated[str, Query(description="the seed of the random vector")] = "",
    element: Annotated[str, Query(description="the seed of the group element")] = "",
) -> TrialFields:
    return TrialFields(x.strip(), seed.strip() or "0", element.strip() or "0")


@dataclass(frozen=True)
class _Tried:
    """A vector and its outputs, by the terms of the reps."""

    inputs: Split
    outputs: Split


@router.get("/models/{name}/versions/{number}/try", response_class=HTMLResponse)
async def try_model(
    request: Request,
    name: Name,
    number: Number,
    asked: Annotated[TrialFields, Depends(_fields)],
    service: TheService,
    caller: ModelsCaller,
) -> HTMLResponse:
    """Return the form, the outputs for its vectors, and those after a random group element."""
    values: dict[str, Any] = {
        "name": name,
        "number": number,
        "asked": asked,
        "most": MOST_VECTORS,
        "signature": None,
        "waits_for_click": not may_start_work(request),
        "tried": [],
        "comparison": None,
        "why_no_element": "",
        "problem": None,
    }
    await service.inference.require(name, number)
    if values["waits_for_click"]:
        return render(request, "trial.html", values)
    try:
        async with CancelOnDisconnect(request):
            signature = await service.inference.signature(name, number)
            values["signature"] = signature
            values |= await _try(signature, asked, service, caller)
    except (IntertwineError, ProblemError) as error:
        return render_problem(request, "trial.html", values, error)
    return render(request, "trial.html", values)


async def _try(
    signature: Signature, asked: TrialFields, service: Service, caller: Caller
) -> dict[str, Any]:
    """Return the values of the page. Raises the errors of `read_input` and of `forward`."""
    name, number = signature.version.name, signature.version.version
    seed, element_seed = asked.seeds()
    rows = await service.work(caller, read_input, asked.x, signature, seed)
    plain = (await service.inference.forward(name, number, rows)).outputs  # checks the vectors
    why_not = why_no_element(signature)
    inputs, outputs = [rows], [plain]
    found: dict[str, Any] = {
        "why_no_element": why_not,
        "precision": precision_of(signature),
        "next_vector": asked.again(seed=(seed + 1) % _MOST_SEED),
        "next_element": asked.again(element=(element_seed + 1) % _MOST_SEED),
    }
    if not why_not:
        element = await service.work(caller, Element.drawn, signature, rows, element_seed)
        more = (element.moved, typical_vectors(signature, rows))
        answers = await asyncio.gather(
            *(service.inference.forward(name, number, each) for each in more)
        )
        every = Outputs(plain, *(answer.outputs for answer in answers))
        comparison = await service.work(caller, compare, signature, element, every)
        inputs.append(element.moved)
        outputs += [comparison.of_moved, comparison.moved_after]
        found |= {"comparison": comparison, "matrices": element.shown()}
    found["tried"] = [
        _Tried(split(signature.rep_in, inputs, row), split(signature.rep_out, outputs, row))
        for row in range(len(rows))
    ]
    return found
