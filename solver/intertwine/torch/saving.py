"""Save and load modules."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped

from intertwine.saving import model_files
from intertwine.saving.framework import Framework
from intertwine.saving.named_reps import Given
from intertwine.torch.layer import Layer
from intertwine.torch.saved_modules import MODULES


def save(
    model: Any, folder: str | os.PathLike[str], *, names: Mapping[str, Given] | None = None
) -> None:
    """Write a model to a folder: ``config.json``, and ``weights-….safetensors`` beside it.

    The files are those of `intertwine.nn.save`, and `intertwine.nn.load` reads them too. The config
    is written last and replaces an older one atomically, so that a crash leaves a complete model,
    old or new. `names` gives custom reps by name: the reps, over their group or without one, or
    their classes. Raises `InvalidRep` for weights in half precision, which ``model.float()``
    represents exactly.
    """
    model_files.save(TORCH, model, folder, names)


def load(folder: str | os.PathLike[str], *, names: Mapping[str, Given] | None = None) -> Any:
    """Return the model that `save` wrote, here or in `intertwine.nn`, with the same outputs.

    It is on the CPU. Raises `FormatError` for a folder without a complete model, for a layer that
    only `intertwine.nn` has, and if `names` stand for other reps than when it was saved;
    `FileNotFoundError` without a model.
    """
    return model_files.load(TORCH, folder, names)


def to_config(
    model: Any, *, names: Mapping[str, Given] | None = None
) -> tuple[dict[str, Any], bytes]:
    """Return the JSON config of a model, and the bytes of the safetensors file that it names."""
    return model_files.to_config(TORCH, model, names)


def from_config(
    config: Mapping[str, Any], blob: bytes, *, names: Mapping[str, Given] | None = None
) -> Any:
    """Return the model of `to_config`. Raises `FormatError` if the two do not belong together."""
    return model_files.from_config(TORCH, config, blob, names)


def _to_numpy(tensor: torch.Tensor) -> Shaped[np.ndarray, "..."]:
    found: Shaped[np.ndarray, "..."] = tensor.numpy(force=True)
    return found


def _from_numpy(array: Shaped[np.ndarray, "..."]) -> torch.nn.Parameter:
    tensor = torch.from_numpy(np.array(array))
    is_trained = tensor.is_floating_point() or tensor.is_complex()
    return torch.nn.Parameter(tensor, requires_grad=is_trained)


def _summary(model: torch.nn.Module) -> str:
    return f"{type(model).__name__}({model.extra_repr()})"


TORCH = Framework(
    name="torch",
    package="intertwine.torch",
    distributions=("torch", "numpy"),
    remedy="if intertwine.nn has it, load the model with intertwine.nn.load",
    layer=Layer,
    array=torch.Tensor,
    classes=MODULES,
    to_numpy=_to_numpy,
    from_numpy=_from_numpy,
    summary=_summary,
)
