from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from intertwine.errors import FormatError
from intertwine_api.server.routes.forward import read_inputs, write_outputs
from intertwine_api.wire.problems import ProblemError
from intertwine_api.wire.safetensors_body import SAFETENSORS
from safetensors.numpy import load, save

FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=64)


def json_of(inputs: Any, **others: Any) -> bytes:
    return json.dumps({"inputs": inputs, **others}).encode()


def code(body: bytes, is_binary: bool = False) -> str:
    with pytest.raises(ProblemError) as caught:
        read_inputs(body, is_binary)
    return caught.value.problem.code


@given(st.integers(0, 4).flatmap(lambda n: st.lists(st.lists(FLOATS, min_size=n, max_size=n))))
def test_vectors_as_json_are_read_exactly(rows: list[list[float]]) -> None:
    inputs = read_inputs(json_of(rows), False)
    assert inputs.rows.tolist() == rows
    assert (inputs.is_one, inputs.is_binary) == (False, False)


def test_one_vector_is_a_row_and_is_answered_by_one() -> None:
    inputs = read_inputs(json_of([1, 2.5, 3]), False)
    assert inputs.rows.tolist() == [[1, 2.5, 3]]
    content, kind = write_outputs(np.array([[4, 5]], np.float32), inputs)
    assert (json.loads(content), kind) == ({"outputs": [4, 5]}, "application/json")


def test_several_vectors_are_answered_by_as_many() -> None:
    inputs = read_inputs(json_of([[1], [2]]), False)
    content, _ = write_outputs(np.array([[4, 5], [6, 7]], np.float32), inputs)
    assert json.loads(content) == {"outputs": [[4, 5], [6, 7]]}


def test_complex_vectors_have_two_parts_as_json() -> None:
    inputs = read_inputs(json_of([[1, 2]], imaginary=[[3, 4]]), False)
    assert inputs.rows.tolist() == [[1 + 3j, 2 + 4j]]
    content, _ = write_outputs(np.array([[5 - 6j]], np.complex64), inputs)
    assert json.loads(content) == {"outputs": [[5]], "imaginary": [[-6]]}


@pytest.mark.parametrize(
    "value", [0.1, 1 / 3, 1e-45, 3.4e38, 16777217.0], ids=lambda value: f"{value:g}"
)
def test_outputs_as_json_are_exact(value: float) -> None:
    single = np.array([[value]], np.float32)
    content, _ = write_outputs(single, read_inputs(json_of([[1]]), False))
    assert np.float32(json.loads(content)["outputs"][0][0]) == single[0, 0]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "uint8"])
@pytest.mark.parametrize("shape", [(3,), (2, 3), (0, 3)])
def test_arrays_as_safetensors_are_read_as_they_are(dtype: str, shape: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    inputs = read_inputs(save({"x": x}), True)
    assert inputs.rows.dtype == x.dtype
    np.testing.assert_array_equal(inputs.rows, x[None] if x.ndim == 1 else x)
    outputs = np.ones((len(inputs.rows), 2), np.float32)
    content, kind = write_outputs(outputs, inputs)
    y = load(content)["y"]
    assert (y.shape, y.dtype, kind) == ((*shape[:-1], 2), np.float32, SAFETENSORS)


def test_complex_arrays_have_a_last_axis_of_two_as_safetensors() -> None:
    x = np.array([[[1.0, 3.0], [2.0, 4.0]]])
    inputs = read_inputs(save({"x": x}), True)
    assert inputs.rows.tolist() == [[1 + 3j, 2 + 4j]]
    content, _ = write_outputs(np.array([[5 - 6j]], np.complex64), inputs)
    y = load(content)["y"]
    assert (y.tolist(), y.dtype) == ([[[5.0, -6.0]]], np.float32)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"inputs": [1' + b"0" * 5000 + b"]}"]
)
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    assert code(body) == "malformed"


@pytest.mark.parametrize(
    "body",
    [
        b"[1, 2]",
        b"{}",
        b"null",
        json_of([1], others=1),
        json_of(None),
        json_of("12"),
        json_of(["1"]),
        json_of([True]),
        json_of([[1, False]]),
        json_of([None]),
        json_of({"0": 1}),
        json_of([[1], 2]),
        json_of([1, [2]]),
        json_of([[1, 2], [3]]),
        json_of([[[1]]]),
        json_of([10**400]),
        json_of([1, 2], imaginary=[1]),
        json_of([1, 2], imaginary=[[1, 2]]),
        json_of([1], imaginary=None),
    ],
    ids=lambda body: body.decode()[:40],
)
def test_json_of_another_form_is_an_invalid_request(body: bytes) -> None:
    assert code(body) == "invalid-request"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x80\x04pickled",
        save({"y": np.ones(3)}),
        save({"x": np.ones(3, bool)}),
        save({"x": np.ones(3)})[:-1],
        (10**12).to_bytes(8, "little") + b"{}",
    ],
    ids=["empty", "pickle", "another name", "truths", "cut off", "a lying header"],
)
def test_what_holds_no_array_is_refused(body: bytes) -> None:
    with pytest.raises(FormatError):
        read_inputs(body, True)


def test_a_number_by_itself_is_refused() -> None:
    assert code(save({"x": np.array(1.0)}), True) == "invalid-request"


def test_infinities_come_as_they_are_for_the_model_to_refuse() -> None:
    inputs = read_inputs(b'{"inputs": [[1e999, NaN]], "imaginary": [[-Infinity, 0]]}', False)
    assert not np.isfinite(inputs.rows).any()
