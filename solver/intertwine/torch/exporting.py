"""Models as files that run without intertwine: ONNX, and PyTorch's own programs."""

from __future__ import annotations

import copy
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped

from intertwine.architecture.example_inputs import (
    BATCHES,
    PYTORCH_ENDINGS,
    as_batches,
    batch_of,
    random_inputs,
)
from intertwine.arrays import in_numpy
from intertwine.errors import FormatError, InvalidRep, UnknownMethod
from intertwine.torch.layer import uncompiled, working
from intertwine.torch.onnx_file import onnx_bytes, onnx_session, require_onnx
from intertwine.whole_files import whole_file

Tensors = tuple[torch.Tensor, ...]
#: What a model or a program returns for a batch.
Outputs = Sequence[Shaped[np.ndarray, "..."]]

_DOUBLE = (np.float64, np.complex128)


def export(model: torch.nn.Module, path: str | os.PathLike[str], *, example: Any = None) -> bytes:
    """Write the model as a program for any batch size, weights included, and return its bytes.

    The program runs on a CPU, without intertwine. The ending of `path` chooses its format:

    - ``.onnx``: the standard operations of ONNX, opset 18, for onnxruntime and others. The model is
      real, in float32 or float64. Its input is ``x`` and its output ``y``.
    - ``.pt2``: a program of PyTorch, in any dtype: ``torch.export.load(path).module()(x)``.

    x has the size of `model.rep_in` and the dtype of the weights. Any module can be exported with
    an `example`: a batch of at least two inputs, along the first axis, or a tuple of them for a
    module of several arguments. The program is that of evaluation mode.

    Before the file is written, the program's outputs for batches of one and five are compared to
    the model's, and must agree to 10⁻⁵ of the largest (in float64 to 10⁻⁸). The inputs are those of
    `example`, or random.

    Raises `FormatError` if they differ, `Unavailable` if a package is missing,
    `MethodNotApplicable` if ONNX cannot hold the model, `TooLarge` for ONNX of more than 2 GB,
    `UnknownMethod` for another ending, and the error of ``torch.export`` if that cannot follow the
    model. Then no file is written, and an older one stays as it is.
    """
    if not isinstance(model, torch.nn.Module):
        raise InvalidRep(f"{model!r} cannot be exported: give a torch.nn.Module")
    module = copy.deepcopy(uncompiled(model)).cpu().eval()
    inputs = program_inputs(module, example)
    return write_program(module, path, inputs, lambda x: _outputs(module(*x)))


def write_program(
    module: torch.nn.Module,
    path: str | os.PathLike[str],
    inputs: Tensors,
    model: Callable[[Tensors], Outputs],
) -> bytes:
    """Write the program of a module, after comparing it to a model, and return its bytes."""
    ending = Path(path).suffix
    if ending not in PYTORCH_ENDINGS:
        raise UnknownMethod(
            f"{os.fspath(path)!r} ends in {ending!r}: models of PyTorch are exported to files that "
            f"end in {' or '.join(PYTORCH_ENDINGS)}"
        )
    if ending == ".onnx":
        require_onnx([*inputs, *module.parameters(), *module.buffers()])
    checks = [(x, model(x)) for x in (batch_of(inputs, count) for count in BATCHES)]
    for x, wanted in checks:
        _require_batch(wanted, len(x[0]))
    batch = {0: torch.export.Dim("batch", min=1)}
    program = torch.export.export(module, inputs, dynamic_shapes=tuple(batch for _ in inputs))
    run: Callable[[Tensors], Outputs]
    if ending == ".onnx":
        blob = onnx_bytes(program, len(checks[0][1]))
        run = onnx_session(blob)
    else:
        blob = _pt2_bytes(program)
        run = _pt2_program(blob)
    for x, wanted in checks:
        _require_same(run(x), wanted)
    with whole_file(Path(path)) as file:
        file.write(blob)
    return blob


def program_inputs(model: torch.nn.Module, example: Any) -> Tensors:
    """Return the inputs with which a program is traced: the example, or random vectors."""
    if example is not None:
        given = (torch.as_tensor(array).detach().cpu() for array in as_batches(example))
        return tuple(x.contiguous() for x in given)  # the program may depend on strides
    x = torch.from_numpy(random_inputs(model)).contiguous()
    numbers = (one.dtype for one in (*model.parameters(), *model.buffers()))
    own = next((dtype for dtype in numbers if dtype.is_floating_point or dtype.is_complex), None)
    return (x.to(working(own, x.is_complex())),)


def _outputs(y: Any) -> Outputs:
    """Return the tensors that a module returns, one or several, in NumPy."""
    tensors = tuple(y) if isinstance(y, tuple | list) else (y,)
    if not all(isinstance(tensor, torch.Tensor) for tensor in tensors):
        names = ", ".join(type(one).__name__ for one in tensors)
        raise InvalidRep(
            f"a module can be exported if it returns tensors; this one returns {names}"
        )
    return [*map(in_numpy, tensors)]


def _pt2_bytes(program: torch.export.ExportedProgram) -> bytes:
    program.example_inputs = None  # the file would contain them
    # torch.export.save writes the whole memory behind a view, and fails for views without memory
    for name, constant in program.constants.items():
        program.constants[name] = constant.clone(memory_format=torch.contiguous_format)
    for number in program.state_dict.values():
        number.data = number.data.clone(memory_format=torch.contiguous_format)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def _pt2_program(blob: bytes) -> Callable[[Tensors], Outputs]:
    loaded = torch.export.load(io.BytesIO(blob)).module()
    return lambda x: _outputs(loaded(*x))


def _require_batch(outputs: Outputs, count: int) -> None:
    """Raise `InvalidRep` unless the first axis of each output is the batch."""
    for output in outputs:
        if output.shape[:1] != (count,):
            raise InvalidRep(
                f"the model returns the shape {output.shape} for {count} inputs: a model is "
                f"exported if the first axis of its outputs is the batch"
            )


def _require_same(found: Outputs, wanted: Outputs) -> None:
    """Raise `FormatError` if a program's outputs differ from the model's."""
    for one, other in zip(found, wanted, strict=True):
        if (one.shape, one.dtype) != (other.shape, other.dtype):
            raise FormatError(
                f"the exported program returns {one.dtype} of shape {one.shape} where the model "
                f"returns {other.dtype} of shape {other.shape}: nothing was written"
            )
        tolerance = 1e-8 if other.dtype in _DOUBLE else 1e-5
        if other.dtype.kind not in "fc":
            one, other = one.astype(float), other.astype(float)
        error, size = np.abs(one - other).max(initial=0), np.abs(other).max(initial=0)
        if not error <= tolerance * size:
            raise FormatError(
                f"the exported program's outputs differ from the model's by {error:.1e}, where "
                f"the largest is {size:.1e}: nothing was written. Look for random numbers in the "
                f"model, or take another format"
            )
