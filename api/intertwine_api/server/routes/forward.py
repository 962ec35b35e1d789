"""The route that calls a model.

This is the most frequent route, and FastAPI's parameters and dependencies would take most of its
time. So `route` is a plain Starlette route, which parses the request and checks the scope itself.
`router` has the same path only for the OpenAPI document.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from fastapi import APIRouter, Request, Response
from intertwine.arrays import join_complex
from intertwine.training.recipe.description import MODEL_NAME
from jaxtyping import Shaped
from starlette.routing import Route

from intertwine_api.server.access import AUTH_PROBLEMS, requires
from intertwine_api.server.disconnects import CancelOnDisconnect
from intertwine_api.server.middleware import is_safetensors
from intertwine_api.server.problem_responses import documented
from intertwine_api.server.service import Service
from intertwine_api.wire.models import Forwarded, ForwardRequest, require_model_name
from intertwine_api.wire.problems import ProblemError
from intertwine_api.wire.safetensors_body import SAFETENSORS, read_array, write_arrays

_JSON = "application/json"
_REAL, _IMAGINARY = "inputs", "imaginary"


@dataclass(frozen=True)
class Inputs:
    """Vectors, one per row, and their format, which the response shares."""

    rows: Shaped[np.ndarray, "..."]
    is_one: bool  # a single vector
    is_binary: bool


def read_inputs(body: bytes, is_binary: bool) -> Inputs:
    """Return the inputs in a body. Raises `ProblemError` for undocumented formats."""
    array = read_array(body, "x") if is_binary else _from_json(body)
    if not array.ndim:
        raise _refused("the input is a number: send one or more vectors")
    is_one = array.ndim == 1 and array.size > 0
    return Inputs(array[None] if is_one else array, is_one, is_binary)


def write_outputs(outputs: Shaped[np.ndarray, "n m"], inputs: Inputs) -> tuple[bytes, str]:
    """Return the response body for some inputs, and its media type."""
    array = outputs[0] if inputs.is_one else outputs
    if inputs.is_binary:
        return b"".join(write_arrays({"y": array})), SAFETENSORS
    document = {"outputs": array.real.tolist()}
    if np.iscomplexobj(array):
        document["imaginary"] = array.imag.tolist()
    return json.dumps(document, separators=(",", ":")).encode(), _JSON


def _from_json(body: bytes) -> Shaped[np.ndarray, "..."]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProblemError.of("malformed", f"the body is not JSON: {error}") from error
    return read_vectors(document)


def read_vectors(document: Any) -> Shaped[np.ndarray, "..."]:
    """Return the vectors of a parsed JSON document, such as ``{"inputs": [[…], …]}``.

    Raises `ProblemError` with ``invalid-request`` for undocumented formats.
    """
    if not isinstance(document, dict) or not {_REAL} <= document.keys() <= {_REAL, _IMAGINARY}:
        raise _refused('send {"inputs": [[…], …]}, and also "imaginary" for complex vectors')
    real = _numbers(document, _REAL)
    if _IMAGINARY not in document:
        return real
    imaginary = _numbers(document, _IMAGINARY)
    if real.shape != imaginary.shape:
        raise _refused(f"inputs has shape {real.shape}, but imaginary has {imaginary.shape}")
    return join_complex(real, imaginary)


def _numbers(document: Mapping[str, Any], name: str) -> Shaped[np.ndarray, "..."]:
    """Return the array of a list of numbers, or of a list of equally long lists."""
    value = document[name]
    is_matrix = isinstance(value, list) and bool(value) and isinstance(value[0], list)
    rows = value if is_matrix else [value]
    if not {*map(type, rows)} <= {list}:
        raise _refused(f"{name} must be a list of numbers, or a list of such lists")
    if not {*map(type, chain.from_iterable(rows))} <= {int, float}:
        raise _refused(f"{name} has entries that are not numbers")
    try:
        array = np.array(rows, np.float64)
    except OverflowError as error:
        raise _refused(f"{name} has an integer too large for float64") from error
    except ValueError as error:
        raise _refused(f"the vectors in {name} differ in length") from error
    return array if is_matrix else array[0]


def _refused(detail: str) -> ProblemError:
    return ProblemError.of("invalid-request", detail)


router = APIRouter(prefix="/v1", tags=["models"])

_MODEL = "Intertwine-Model"
_LARGE = 2**16  # bytes; larger bodies are read and written in a thread
_NUMBER = 2**31 - 1
_require_scope = requires("models:forward")
_Result = TypeVar("_Result")

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {SAFETENSORS: {}},
        "description": "JSON or safetensors, as the request.",
        "headers": {
            _MODEL: {
                "description": "the name and number of the version that was called",
                "schema": {"type": "string"},
            }
        },
    },
    **documented(
        *AUTH_PROBLEMS, "not-found", "gone", "invalid-request", "format", "malformed",
        "body-too-large", "unsupported-media-type", "too-large", "unavailable", "busy", "not-ready",
        "internal",
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
            "schema": {"type": "string", "pattern": MODEL_NAME},
        },
        {
            "name": "version",
            "in": "query",
            "required": False,
            "description": "the version number; by default the newest version",
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
    """Return the model's outputs for one or more vectors of its input rep.

    Send JSON, or a safetensors body with an array `x` of shape (k, n) or (n,); complex arrays have
    a last axis of length 2. The response has the same format, with an array `y`. Concurrent calls
    are batched.
    """
    request.scope["route"] = route  # the metrics read the route here
    await _require_scope(request, None)
    service: Service = request.app.state.service
    name, number = request.path_params["name"], _number(request)
    require_model_name(name)
    await service.inference.require(name, number)  # before the body is read
    body = await request.body()
    is_binary = is_safetensors(dict(request.scope["headers"]))
    inputs = await _in_thread_if(len(body) > _LARGE, service, read_inputs, body, is_binary)
    async with CancelOnDisconnect(request):
        answer = await service.inference.forward(name, number, inputs.rows)
    is_large = answer.outputs.nbytes > _LARGE
    content, kind = await _in_thread_if(is_large, service, write_outputs, answer.outputs, inputs)
    headers = {_MODEL: f"{name}/{answer.version.version}"}
    return Response(content, media_type=kind, headers=headers)


route = Route("/v1/models/{name}:forward", call_model, methods=["POST"])


def _number(request: Request) -> int | None:
    """Return the requested version number, if any. Raises `ProblemError` if it is invalid."""
    if not request.scope["query_string"]:
        return None
    asked = request.query_params.get("version")
    if asked is None:
        return None
    if asked.isascii() and asked.isdigit() and 1 <= int(asked[:11]) <= _NUMBER:
        return int(asked)
    raise ProblemError.of("invalid-request", f"{asked[:20]!r} is not a version number")


async def _in_thread_if(
    is_large: bool, service: Service, function: Callable[..., _Result], *arguments: Any
) -> _Result:
    if is_large:
        return await service.read_body(function, *arguments)
    return function(*arguments)
