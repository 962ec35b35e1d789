"""Save and load modules."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped

from intertwine.saving import model_files
from intertwine.saving.framework import IsPart, SavedFramework
from intertwine.saving.named_reps import Given
from intertwine.torch.layer import Layer, uncompiled
from intertwine.torch.saved_modules import MODULES


def save(
    model: Any, folder: str | os.PathLike[str], *, names: Mapping[str, Given] | None = None
) -> None:
    """Write a model to a folder: ``config.json``, and ``weights-….safetensors`` beside it.

    The files are those of `intertwine.nn.save`, and `intertwine.nn.load` reads them too. The config
    is written last and replaces an older one atomically, so that a crash leaves a complete model,
    old or new. `names` gives custom reps by name: the reps, over their group or without one, or
    their classes.

    A module of your own (`torch.nn.Module`) that contains layers of Intertwine is saved as these
    layers and the other tensors of its `state_dict`, each with its path in the module. Raises
    `InvalidRep` for anything else, and for weights in half precision, which ``model.float()``
    represents exactly; the folder is then left as it was.
    """
    model_files.save(TORCH, uncompiled(model), folder, names)


def load(
    folder: str | os.PathLike[str],
    *,
    names: Mapping[str, Given] | None = None,
    like: Any = None,
) -> Any:
    """Return the model that `save` wrote, here or in `intertwine.nn`, with the same outputs.

    A module of your own needs `like`, a module that was made in the same way: the result is a copy
    of it with the saved layers and tensors. It is on the CPU, or on the device of `like`. Raises
    `FormatError` for a folder without a complete model, for a layer that only `intertwine.nn` has,
    if classes, reps, shapes or dtypes of `like` differ from the saved ones, and if `names` stand
    for other reps than when it was saved; `FileNotFoundError` without a model.
    """
    return model_files.load(TORCH, folder, names, uncompiled(like))


def to_config(
    model: Any, *, names: Mapping[str, Given] | None = None
) -> tuple[dict[str, Any], bytes]:
    """Return the JSON config of a model, and the bytes of the safetensors file that it names.

    Raises `InvalidRep` for a module of your own, which cannot be made from these alone.
    """
    return model_files.to_config(TORCH, uncompiled(model), names)


def from_config(
    config: Mapping[str, Any],
    blob: bytes,
    *,
    names: Mapping[str, Given] | None = None,
    like: Any = None,
) -> Any:
    """Return the model of `to_config`; for `like` see `load`. Raises `FormatError` if config and
    weights do not belong together.
    """
    return model_files.from_config(TORCH, config, blob, names, uncompiled(like))


def _to_numpy(tensor: torch.Tensor) -> Shaped[np.ndarray, "..."]:
    found: Shaped[np.ndarray, "..."] = tensor.numpy(force=True)
    return found


def _from_numpy(array: Shaped[np.ndarray, "..."]) -> torch.nn.Parameter:
    tensor = torch.from_numpy(np.array(array))
    is_trained = tensor.is_floating_point() or tensor.is_complex()
    return torch.nn.Parameter(tensor, requires_grad=is_trained)


def _summary(model: torch.nn.Module) -> str:
    return f"{type(model).__name__}({model.extra_repr()})"


def _parts(module: torch.nn.Module, is_part: IsPart) -> list[tuple[str, Any]]:
    layers: dict[str, torch.nn.Module] = {}
    for path, inner in module.named_modules(remove_duplicate=False):
        if is_part(inner) and not _is_inside(path, layers):
            layers[path] = inner
    state = module.state_dict(keep_vars=True).items()
    return [*layers.items(), *(one for one in state if not _is_inside(one[0], layers))]


def _is_inside(path: str, layers: Mapping[str, Any]) -> bool:
    return any(path.startswith(f"{above}.") for above in layers)


def _with_parts(module: torch.nn.Module, is_part: IsPart, parts: Mapping[str, Any]) -> Any:
    found = copy.deepcopy(module)
    state = found.state_dict()
    for path, part in parts.items():
        if is_part(part):
            above, _, name = path.rpartition(".")
            found.get_submodule(above).add_module(name, part)
        else:
            state[path].copy_(part)
    return found


def _placed(found: Any, like: Any) -> Any:
    """Return a layer on the device of another, with the same modules in training mode, and the same
    parameters frozen. Users' own modules are copies of `like` already.
    """
    if TORCH.is_layer(found):
        devices = {tensor.device for tensor in (*like.parameters(), *like.buffers())}
        if len(devices) == 1:
            found.to(*devices)
        modes = {name: inner.training for name, inner in like.named_modules()}
        for name, inner in found.named_modules():
            inner.training = modes[name]
        frozen = {name: not weight.requires_grad for name, weight in like.named_parameters()}
        for name, weight in found.named_parameters():
            weight.requires_grad_(not frozen[name])
    return found


TORCH = SavedFramework(
    name="torch",
    package="intertwine.torch",
    distributions=("torch", "numpy"),
    remedy="if intertwine.nn has it, load the model with intertwine.nn.load",
    layer=Layer,
    module=torch.nn.Module,
    array=torch.Tensor,
    classes=MODULES,
    parts=_parts,
    with_parts=_with_parts,
    placed=_placed,
    to_numpy=_to_numpy,
    from_numpy=_from_numpy,
    summary=_summary,
)
