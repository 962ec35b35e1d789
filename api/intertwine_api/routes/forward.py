"""Models, called.

This is called more often than anything else, and FastAPI would spend longer on its parameters and
dependencies than all the rest of it takes. So `route`, which answers, is one of Starlette's own and
reads the request by hand, the key's scope too; `router` has the same address behind it, for the
documentation alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.routing import Route

from intertwine_api.access import ASKED, requires
from intertwine_api.inference import bodies
from intertwine_api.inference.departure import Departed, Departure
from intertwine_api.middleware import is_safetensors
from intertwine_api.model_documents import Forwarded, ForwardRequest
from intertwine_api.models import NAME
from intertwine_api.problems import SAFETENSORS, Problem, ProblemError, documented
from intertwine_api.service import Service

router = APIRouter(prefix="/v1", tags=["models"])

_MODEL = "Intertwine-Model"
_LARGE = 2**16  # bytes of a body, past which a thread reads it, or writes it
_NUMBER = 2**31 - 1
_NAME = re.compile(NAME)
_require_scope = requires("models:forward")
_Result = TypeVar("_Result")

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {SAFETENSORS: {}},
        "description": "As the request: JSON, or safetensors.",
        "headers": {
            _MODEL: {
                "description": "the name and the number of the version that answered",
                "schema": {"type": "string"},
            }
        },
    },
    **documented(
        *ASKED, "not-found", "invalid-request", "format", "malformed", "body-too-large",
        "too-large", "busy", "not-ready", "internal",
    ),
}  # fmt: skip
_DOCUMENTED = {
    "security": [{"key": []}],
    "parameters": [
        {
            "name": "name",
            "in": "path",
            "required": True,
            "description": "the name of a model",
            "schema": {"type": "string", "pattern": NAME},
        },
        {
            "name": "version",
            "in": "query",
            "required": False,
            "description": "the number of a version; the newest, if it is left out",
            "schema": {"type": "integer", "minimum": 1, "maximum": _NUMBER},
        },
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": ForwardRequest.model_json_schema()},
            SAFETENSORS: {"schema": {"type": "string", "format": "binary"}},
        },
    },
}


@router.post(
    "/models/{name}:forward",
    summary="Call a model",
    operation_id="forward",
    response_model=Forwarded,
    responses=_RESPONSES,
    openapi_extra=_DOCUMENTED,
)
async def call_model(request: Request) -> Any:
    """The model's outputs for vectors, or for one vector, of its input rep.

    They come as JSON, or as a safetensors body with an array `x` of shape (k, n) or (n,), with a
    last axis of 2 if complex; the answer is of the same kind, with an array `y`. Calls at the same
    time are computed together.
    """
    request.scope["route"] = route  # as FastAPI's routes say it, for the metrics
    await _require_scope(request, None)
    service: Service = request.app.state.service
    name, number = _name(request), _number(request)
    body = await request.body()
    is_binary = is_safetensors(dict(request.scope["headers"]))
    inputs = await _in_thread_if(len(body) > _LARGE, bodies.read, body, is_binary)
    try:
        async with Departure(request):
            answer = await service.inference.forward(name, number, inputs.rows)
    except Departed:
        return Response(status_code=499)
    is_large = answer.outputs.nbytes > _LARGE
    content, kind = await _in_thread_if(is_large, bodies.write, answer.outputs, inputs)
    headers = {_MODEL: f"{name}/{answer.version.version}"}
    return Response(content, media_type=kind, headers=headers)


route = Route("/v1/models/{name}:forward", call_model, methods=["POST"])


def _name(request: Request) -> str:
    """The name in the address; what is none is refused as the other addresses of models do."""
    name: str = request.path_params["name"]
    if _NAME.fullmatch(name) is None:
        detail = (
            f"{name[:200]!r} is no name of a model: these have up to 128 letters, digits and . _ - "
            f"of ASCII, a letter or digit first"
        )
        raise ProblemError(Problem.of("invalid-request", detail))
    return name


def _number(request: Request) -> int | None:
    """The version that is asked for, if any."""
    if not request.scope["query_string"]:
        return None
    asked = request.query_params.get("version")
    if asked is None:
        return None
    if asked.isascii() and asked.isdigit() and 1 <= int(asked[:11]) <= _NUMBER:
        return int(asked)
    raise ProblemError(Problem.of("invalid-request", f"{asked[:20]!r} is no number of a version"))


async def _in_thread_if(
    is_large: bool, function: Callable[..., _Result], *arguments: Any
) -> _Result:
    if is_large:
        return await run_in_threadpool(function, *arguments)
    return function(*arguments)
