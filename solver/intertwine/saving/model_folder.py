"""The files of a saved model. Writing them needs no JAX."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from intertwine.errors import FormatError
from intertwine.whole_files import whole_file

CONFIG = "config.json"
_WEIGHTS = re.compile(r"weights-[0-9a-f]{16}\.safetensors")


def weights_name(config: Mapping[str, Any]) -> str:
    """Return the name of the weights file of a config.

    Raises `FormatError` for any other text: the file is never outside of the model's folder.
    """
    name = config.get("weights")
    if not (isinstance(name, str) and _WEIGHTS.fullmatch(name)):
        raise FormatError(f"{name!r} is not the name of a weights file")
    return name


def write_model(folder: Path, config: Mapping[str, Any], blob: bytes) -> None:
    """Write a model's weights and then its config, and delete the weights of an older model.

    After a crash the folder has a complete model, the old one or the new one.
    """
    weights = weights_name(config)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in ((weights, blob), (CONFIG, json.dumps(config, indent=1).encode())):
        with whole_file(folder / name) as file:
            file.write(content)
    for other in folder.glob("weights-*.safetensors"):
        if other.name != weights:
            other.unlink(missing_ok=True)
