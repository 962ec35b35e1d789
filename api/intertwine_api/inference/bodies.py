"""Arrays in the bodies of requests and answers: as JSON, or as safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Shaped

from intertwine_api.problems import SAFETENSORS, Problem, ProblemError
from intertwine_api.vectors import complex_of, from_safetensors, to_safetensors

_JSON = "application/json"
_REAL, _IMAGINARY = "inputs", "imaginary"


@dataclass(frozen=True)
class Inputs:
    """Vectors, one a row, and the form in which they came, in which the answer goes back."""

    rows: Shaped[np.ndarray, "..."]
    is_one: bool  # a vector by itself
    is_binary: bool


def read(body: bytes, is_binary: bool) -> Inputs:
    """The inputs in a body. Raises `ProblemError` for what is not of the documented form."""
    array = from_safetensors(body, "x") if is_binary else _from_json(body)
    if not array.ndim:
        raise _refused("the input is a number: send a vector, or several")
    is_one = array.ndim == 1 and array.size > 0
    return Inputs(array[None] if is_one else array, is_one, is_binary)


def write(outputs: Shaped[np.ndarray, "n m"], inputs: Inputs) -> tuple[bytes, str]:
    """The body that answers some inputs, and its media type."""
    array = outputs[0] if inputs.is_one else outputs
    if inputs.is_binary:
        return to_safetensors({"y": array}), SAFETENSORS
    document = {"outputs": array.real.tolist()}
    if np.iscomplexobj(array):
        document["imaginary"] = array.imag.tolist()
    return json.dumps(document, separators=(",", ":")).encode(), _JSON


def _from_json(body: bytes) -> Shaped[np.ndarray, "..."]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProblemError(Problem.of("malformed", f"the body is no JSON: {error}")) from error
    if not isinstance(document, dict) or not {_REAL} <= document.keys() <= {_REAL, _IMAGINARY}:
        raise _refused('send {"inputs": [[…], …]}, and "imaginary" with it for complex vectors')
    real = _numbers(document, _REAL)
    if _IMAGINARY not in document:
        return real
    imaginary = _numbers(document, _IMAGINARY)
    if real.shape != imaginary.shape:
        raise _refused(f"inputs have the shape {real.shape}, and imaginary {imaginary.shape}")
    return complex_of(real, imaginary)


def _numbers(document: Mapping[str, Any], name: str) -> Shaped[np.ndarray, "..."]:
    """A list of numbers, or a list of such lists, all of one length."""
    value = document[name]
    is_matrix = isinstance(value, list) and bool(value) and isinstance(value[0], list)
    rows = value if is_matrix else [value]
    if not {*map(type, rows)} <= {list}:
        raise _refused(f"{name} is neither a list of numbers nor one of lists of numbers")
    if not {*map(type, chain.from_iterable(rows))} <= {int, float}:
        raise _refused(f"{name} holds something else than numbers")
    try:
        array = np.array(rows, np.float64)
    except OverflowError as error:
        raise _refused(f"{name} holds an integer that is too large for float64") from error
    except ValueError as error:
        raise _refused(f"the vectors in {name} differ in length") from error
    return array if is_matrix else array[0]


def _refused(detail: str) -> ProblemError:
    return ProblemError(Problem.of("invalid-request", detail))
