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
from intertwine.saving.framework import SavedFramework
from intertwine.saving.model_folder import CONFIG, weights_name, write_model
from intertwine.saving.named_reps import Given
from intertwine.saving.reader import decode
from intertwine.saving.writer import encode

_FORMAT, _VERSION = "intertwine-model", 1


def save(
    framework: SavedFramework,
    model: Any,
    folder: str | os.PathLike[str],
    names: Mapping[str, Given] | None,
) -> None:
    """Write a model of a framework to a folder, or a user's own module that contains layers."""
    write_model(Path(folder), *to_config(framework, model, names, takes_own=True))


def load(
    framework: SavedFramework,
    folder: str | os.PathLike[str],
    names: Mapping[str, Given] | None,
    like: Any,
) -> Any:
    """Return the model in a folder, as one of a framework. Raises `FormatError`."""
    folder = Path(folder)
    text = (folder / CONFIG).read_bytes()
    try:
        config = _read(text)
        blob = _weights(folder, config)
        return from_config(framework, config, blob, names, like)
    except FormatError as error:
        what = "complete model" if like is None else "model that fits `like`"
        raise FormatError(f"{os.fspath(folder)} holds no {what}: {error}") from error


def to_config(
    framework: SavedFramework,
    model: Any,
    names: Mapping[str, Given] | None,
    *,
    takes_own: bool = False,
) -> tuple[dict[str, Any], bytes]:
    """Return the JSON config of a model, and the bytes of the safetensors file that it names."""
    tree, arrays = encode(framework, model, names, takes_own=takes_own)
    buffer = io.BytesIO()
    write_arrays(arrays, {"format": _FORMAT, "version": _VERSION}, buffer.write)
    blob = buffer.getvalue()
    digest = hashlib.sha256(blob).hexdigest()
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "framework": framework.name,
        "weights": f"weights-{digest[:16]}.safetensors",
        "sha256": digest,
        "model_sha256": digest_of(tree),
        "summary": framework.summary(model),
        "written_with": {
            "intertwine": intertwine.__version__,
            **{package: version(package) for package in framework.distributions},
            "python": platform.python_version(),
        },
        "model": tree,
    }, blob


def from_config(
    framework: SavedFramework,
    config: Mapping[str, Any],
    blob: bytes,
    names: Mapping[str, Given] | None,
    like: Any,
) -> Any:
    """Return the model of `to_config`, which any framework may have written.

    Raises `FormatError` if config and weights do not belong together.
    """
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
    try:
        is_unchanged = digest_of(config.get("model")) == config.get("model_sha256")
    except RecursionError as error:
        raise FormatError("the model in the config is nested too deeply") from error
    if not is_unchanged:
        raise FormatError("the model in the config was changed since it was written")
    arrays, _ = read_bytes(blob)
    return decode(framework, config["model"], arrays, names, like)


def digest_of(tree: Any) -> str:
    """Return the sha256 of JSON values, whatever their layout in a file."""
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


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
