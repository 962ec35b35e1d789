"""Models in files: a JSON config beside a safetensors file with the numbers."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import intertwine
from intertwine.bases.safetensors_file import read_bytes, write_arrays
from intertwine.errors import FormatError
from intertwine.model_folder import CONFIG, weights_name, write_model
from intertwine.nn.codec import decode, encode
from intertwine.nn.named_reps import Given

_FORMAT, _VERSION = "intertwine-model", 1


def save(
    model: Any, folder: str | os.PathLike[str], *, names: Mapping[str, Given] | None = None
) -> None:
    """Write a model to a folder: ``config.json``, and ``weights-….safetensors`` beside it.

    The config is written last and replaces an older one atomically, so that a crash leaves a
    complete model, old or new. `names` gives custom reps by name: the reps, over their group or
    without one, or their classes.
    """
    write_model(Path(folder), *to_config(model, names=names))


def load(folder: str | os.PathLike[str], *, names: Mapping[str, Given] | None = None) -> Any:
    """Return the model that `save` wrote, with the same outputs.

    Raises `FormatError` for a folder without a complete model, and if `names` stand for other reps
    than when it was saved; `FileNotFoundError` without a model.
    """
    folder = Path(folder)
    text = (folder / CONFIG).read_bytes()
    try:
        config = _read(text)
        return from_config(config, _weights(folder, config), names=names)
    except FormatError as error:
        raise FormatError(f"{os.fspath(folder)} holds no complete model: {error}") from error


def to_config(
    model: Any, *, names: Mapping[str, Given] | None = None
) -> tuple[dict[str, Any], bytes]:
    """Return the JSON config of a model, and the bytes of the safetensors file that it names."""
    tree, arrays = encode(model, names)
    buffer = io.BytesIO()
    write_arrays(arrays, {"format": _FORMAT, "version": _VERSION}, buffer.write)
    blob = buffer.getvalue()
    digest = hashlib.sha256(blob).hexdigest()
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "weights": f"weights-{digest[:16]}.safetensors",
        "sha256": digest,
        "model_sha256": _digest(tree),
        "summary": repr(model),
        "written_with": {
            "intertwine": intertwine.__version__,
            **{package: version(package) for package in ("jax", "equinox", "numpy")},
            "python": platform.python_version(),
        },
        "model": tree,
    }, blob


def from_config(
    config: Mapping[str, Any], blob: bytes, *, names: Mapping[str, Given] | None = None
) -> Any:
    """Return the model of `to_config`. Raises `FormatError` if the two do not belong together."""
    if config.get("format") != _FORMAT or config.get("version") != _VERSION:
        raise FormatError(
            f"expected {_FORMAT} version {_VERSION}, found {config.get('format')!r} version "
            f"{config.get('version')!r}"
        )
    digest = hashlib.sha256(blob).hexdigest()
    if digest != config.get("sha256"):
        raise FormatError(
            f"the weights have the sha256 {digest}, and the config says {config.get('sha256')}"
        )
    if _digest(config.get("model")) != config.get("model_sha256"):
        raise FormatError("the model in the config was changed since it was written")
    arrays, _ = read_bytes(blob)
    return decode(config["model"], arrays, names)


def _read(text: bytes) -> dict[str, Any]:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{CONFIG} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise FormatError(f"{CONFIG} is not a JSON object")
    return config


def _weights(folder: Path, config: Mapping[str, Any]) -> bytes:
    """Return the bytes of the weights file that a config names."""
    name = weights_name(config)
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError as error:
        raise FormatError(f"{name} is missing") from error


def _digest(tree: Any) -> str:
    """Return the sha256 of JSON values, whatever their layout in a file."""
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
