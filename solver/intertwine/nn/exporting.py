"""Models as programs that run without intertwine: StableHLO by `jax.export`, and the formats of
PyTorch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.dtypes import canonicalize_dtype
from jaxtyping import Shaped

from intertwine.architecture.example_inputs import PYTORCH_ENDINGS, as_batches, random_inputs
from intertwine.arrays import in_numpy, is_torch_module
from intertwine.errors import InvalidRep, InvalidSetting
from intertwine.nn.layer import Layer, in_own_precision
from intertwine.nn.saving import to_config
from intertwine.nn.settings import working
from intertwine.packages import require_packages
from intertwine.saving import model_files
from intertwine.saving.named_reps import Given
from intertwine.whole_files import whole_file

_STABLEHLO = "export it as StableHLO, to a file with another ending"


def export(
    model: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    example: Any = None,
    platforms: Sequence[str] = ("cpu",),
    names: Mapping[str, Given] | None = None,
) -> bytes:
    """Return the model as a program for any batch size, weights included. Write it to `path` if
    given, whose ending chooses the format:

    - ``.onnx`` and ``.pt2``: those of ``intertwine.torch.export``, for models that
      ``intertwine.torch.load`` reads. The program's outputs are compared to those of this model.
      `names` gives custom reps by name, as for `save`. Raises `Unavailable` if PyTorch is missing.
    - any other: StableHLO. ``jax.export.deserialize(blob).call(x)`` runs it in any process that has
      JAX and flatbuffers. `platforms` are among "cpu", "cuda", "rocm" and "tpu". JAX keeps such
      programs readable for some months, not for years: use `save` for storage. Raises `Unavailable`
      if the package flatbuffers is missing.

    x has the size of `model.rep_in` and the dtype of the weights, or the complex one if the rep is
    complex. Any other function can be exported with an `example`: a batch of at least two inputs,
    along the first axis, or a tuple of them for a function of several arguments. A model that takes
    single vectors is exported as ``equinox.filter_vmap(model)``. Layers of Equinox are in inference
    mode.
    """
    if is_torch_module(model):
        raise InvalidRep("this is a module of PyTorch: call intertwine.torch.export")
    if not callable(model):
        raise InvalidRep(f"{model!r} cannot be exported: give a model with rep_in")
    if path is not None and Path(path).suffix in PYTORCH_ENDINGS:
        return _by_pytorch(model, Path(path), example, platforms, names)
    blob = _stablehlo(model, example, platforms)
    if path is not None:
        with whole_file(Path(path)) as file:
            file.write(blob)
    return blob


def _stablehlo(model: Any, example: Any, platforms: Sequence[str]) -> bytes:
    require_packages(("flatbuffers",), "a StableHLO program", "pip install 'intertwine[nn]'")
    from jax import export as jax_export

    (batch,) = jax_export.symbolic_shape("batch")
    shapes = _inputs(model, example)
    inputs = jax.eval_shape(lambda: [jnp.zeros((batch, *shape), dtype) for shape, dtype in shapes])
    function = eqx.nn.inference_mode(model) if isinstance(model, eqx.Module) else model
    program = jax_export.export(jax.jit(lambda *x: function(*x)), platforms=list(platforms))
    return bytes(program(*inputs).serialize())


def _inputs(model: Any, example: Any) -> list[tuple[tuple[int, ...], Any]]:
    """Return the shape without the batch, and the dtype, of each argument."""
    if example is not None:
        return [(x.shape[1:], canonicalize_dtype(x.dtype)) for x in as_batches(example)]
    vectors = random_inputs(model)
    weights = [leaf for leaf in jax.tree.leaves(model) if eqx.is_inexact_array(leaf)]
    dtype = working(weights[0].dtype if weights else None, np.iscomplexobj(vectors))
    return [(vectors.shape[1:], dtype)]


def _by_pytorch(
    model: Any,
    path: Path,
    example: Any,
    platforms: Sequence[str],
    names: Mapping[str, Given] | None,
) -> bytes:
    """Write the program of the same model in PyTorch."""
    if tuple(platforms) != ("cpu",):
        raise InvalidSetting(
            f"platforms={platforms!r} is for StableHLO: {path.suffix} files have no platforms"
        )
    is_ours = isinstance(model, Layer)
    if not is_ours:
        raise InvalidRep(
            f"PyTorch writes {path.suffix} files, and has no model of class "
            f"{type(model).__qualname__}: give a model of intertwine.nn, or {_STABLEHLO}"
        )
    advice = "pip install torch, as pytorch.org says for your machine"
    require_packages(("torch",), f"the format {path.suffix}", advice)
    from intertwine.torch.exporting import program_inputs, write_program
    from intertwine.torch.saving import TORCH

    framework = replace(TORCH, remedy=_STABLEHLO)
    saved = to_config(model, names=names)
    module = model_files.from_config(framework, *saved, names, like=None).eval()
    if example is not None:
        example = tuple(map(np.array, as_batches(example)))

    def outputs(x: tuple[Any, ...]) -> list[Shaped[np.ndarray, "..."]]:
        with in_own_precision(model, x):
            return [np.asarray(model(*map(in_numpy, x)))]

    return write_program(module, path, program_inputs(module, example), outputs)
