"""Save and load modules."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped

from intertwine.arrays import in_numpy
from intertwine.errors import FormatError, InvalidRep
from intertwine.saving import model_files
from intertwine.saving.framework import IsPart, SavedFramework
from intertwine.saving.likeness import REMEDY
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
    if tensor.is_meta or torch.nn.parameter.is_lazy(tensor):
        raise InvalidRep(
            "the module has weights without numbers, on the device meta or in a lazy module: "
            "initialize them before it is saved"
        )
    return in_numpy(tensor)


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
    tensors = [one for one in state if not _is_inside(one[0], layers)]
    for path, value in tensors:
        if not isinstance(value, torch.Tensor):
            raise InvalidRep(
                f"{path} in the state_dict of a {type(module).__name__} is a "
                f"{type(value).__name__}, and only tensors are saved: return a tensor"
            )
    return [*layers.items(), *tensors]


def _is_inside(path: str, layers: Mapping[str, Any]) -> bool:
    return any(path.startswith(f"{above}.") for above in layers)


def _with_parts(module: torch.nn.Module, is_part: IsPart, parts: Mapping[str, Any]) -> Any:
    found = copy.deepcopy(module)
    own = dict(_parts(found, is_part))
    _require_as_shared(own, parts)
    for path, part in parts.items():
        if is_part(part):
            _take_over(own[path], part)
    tensors = {path: part for path, part in parts.items() if not is_part(part)}
    found.load_state_dict(tensors, strict=False)  # the layers have theirs
    return found


def _require_as_shared(own: Mapping[str, Any], parts: Mapping[str, Any]) -> None:
    """Raise `FormatError` if a part of a module has two paths, and the parts for these differ."""
    first: dict[int, str] = {}
    for path, part in own.items():
        other = first.setdefault(id(part), path)
        one, two = parts[other], parts[path]
        is_tensor = isinstance(one, torch.Tensor)
        if one is not two and not (is_tensor and np.array_equal(_bits(one), _bits(two))):
            raise FormatError(
                f"{other} and {path} are one in `like`, and differ in the file: {REMEDY}"
            )


def _bits(tensor: torch.Tensor) -> Shaped[np.ndarray, "..."]:
    return np.frombuffer(_to_numpy(tensor).tobytes(), np.uint8)


def _take_over(layer: torch.nn.Module, loaded: torch.nn.Module) -> None:
    """Make a layer equal to a loaded one. It stays the same object, which other objects may refer
    to, such as what torch.compile made of it, and keeps its hooks.
    """
    blank, own = vars(torch.nn.Module()), ("training", "_parameters", "_buffers", "_modules")
    for name, value in vars(loaded).items():
        if name in own or name not in blank:
            vars(layer)[name] = value


def _placed(found: Any, like: Any) -> Any:
    """Return a layer on the device of another, with the same modules in training mode, and the same
    parameters frozen. Users' own modules are copies of `like` already.
    """
    if TORCH.is_layer(found):
        devices = {tensor.device for tensor in (*like.parameters(), *like.buffers())}
        if len(devices) == 1:
            found.to(*devices)
        modes = {name: one.training for name, one in like.named_modules(remove_duplicate=False)}
        for name, inner in found.named_modules():
            inner.training = modes[name]
        given = dict(like.named_parameters(remove_duplicate=False))
        for name, weight in found.named_parameters():
            weight.requires_grad_(given[name].requires_grad)
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
