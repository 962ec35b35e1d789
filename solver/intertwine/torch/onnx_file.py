"""Programs of PyTorch in the format ONNX."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped

from intertwine.arrays import dtype_name
from intertwine.errors import FormatError, MethodNotApplicable, TooLarge
from intertwine.packages import require_packages

OPSET = 18
"""The version of ONNX's operations: the oldest that PyTorch writes."""
_LARGEST_FILE = 2**31 - 2**20
"""The largest size of weights in bytes: a file has less than 2 GB, with its operations."""
_LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir")
_PT2 = "export it to a .pt2 file instead"


def require_onnx(numbers: Iterable[torch.Tensor]) -> None:
    """Raise an error if ONNX cannot hold a model with these inputs and weights: `Unavailable` if a
    package is missing, `MethodNotApplicable` for a dtype, `TooLarge` for a size.
    """
    require_packages(
        ("onnx", "onnxscript", "onnxruntime"), "the format .onnx", "pip install 'intertwine[onnx]'"
    )
    size = 0
    for number in numbers:
        size += number.nbytes
        if number.is_complex():
            raise MethodNotApplicable(
                f"ONNX computes with real numbers, and the model has inputs or weights of "
                f"{dtype_name(number.dtype)}: {_PT2}"
            )
        if number.dtype in (torch.float16, torch.bfloat16):
            raise MethodNotApplicable(
                f"onnxruntime does not check a model with inputs or weights of "
                f"{dtype_name(number.dtype)}: convert it with model.float(), or {_PT2}"
            )
    if size > _LARGEST_FILE:
        raise TooLarge(
            f"the model has {size:,} bytes of weights, and an ONNX file at most "
            f"{_LARGEST_FILE:,}: {_PT2}"
        )


def onnx_bytes(program: torch.export.ExportedProgram, outputs: int) -> bytes:
    """Return a program as an ONNX file, after checking its operations, opset and shapes.

    Outputs are named y, or y0, y1, …; inputs have the names of the module's arguments, and their
    first axis is named batch.
    """
    import onnx

    names = ["y"] if outputs == 1 else [f"y{i}" for i in range(outputs)]
    with _quiet():
        try:
            found = torch.onnx.export(
                program, opset_version=OPSET, output_names=names, verbose=False
            )
        except torch.onnx.OnnxExporterError as error:
            raise MethodNotApplicable(
                f"PyTorch cannot write the model as ONNX ({_reason(error)}): {_PT2}"
            ) from error
        found.rename_axes({found.model.graph.inputs[0].shape[0]: "batch"})
        model = found.model_proto
    strange = {f"{one.domain}.{one.op_type}" for one in model.graph.node if one.domain}
    if strange or model.functions:
        raise MethodNotApplicable(f"ONNX has no operation {', '.join(sorted(strange))}: {_PT2}")
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise FormatError(
            f"PyTorch wrote ONNX that is not valid ({_reason(error)}): {_PT2}"
        ) from error
    _require_opset_and_batches(model)
    blob: bytes = model.SerializeToString()
    return blob


def onnx_session(blob: bytes) -> Callable[[Sequence[torch.Tensor]], list[Any]]:
    """Return the function that an ONNX file computes, by onnxruntime on a CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # it computes a few vectors
    session = onnxruntime.InferenceSession(blob, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def run(inputs: Sequence[torch.Tensor]) -> list[Shaped[np.ndarray, "..."]]:
        given = {name: x.numpy() for name, x in zip(names, inputs, strict=True)}
        found: list[Shaped[np.ndarray, "..."]] = session.run(None, given)
        return found

    return run


def _require_opset_and_batches(model: Any) -> None:
    """Raise `FormatError` unless an ONNX model is of the opset, and for batches of any size."""
    versions = {each.domain: each.version for each in model.opset_import}
    if versions != {"": OPSET}:
        raise FormatError(f"PyTorch wrote ONNX of the opsets {versions}, not {OPSET}: {_PT2}")
    for value in (*model.graph.input, *model.graph.output):
        shape = [each.dim_param or each.dim_value for each in value.type.tensor_type.shape.dim]
        if shape[:1] != ["batch"]:
            raise FormatError(
                f"{value.name} has the shape {shape} in ONNX, not a batch of any size: {_PT2}"
            )


def _reason(error: BaseException) -> str:
    """Return the first line of the error that led to this one."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().partition("\n")[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence PyTorch's warnings about its own deprecated code and about packages not needed."""
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    with warnings.catch_warnings(action="ignore"):
        try:
            for name in levels:
                logging.getLogger(name).setLevel(logging.ERROR)
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
