"""The files of a saved model. Writing them needs no JAX."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
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

    After a crash the folder has a complete model, the old one or the new one. If a file cannot be
    written, everything is left as it was.
    """
    weights, text = weights_name(config), json.dumps(config, indent=1).encode()
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    is_new = not (folder / weights).exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in ((weights, blob), (CONFIG, text)):
            with whole_file(folder / name) as file:
                file.write(content)
    except BaseException:
        if is_new and not _has(folder / CONFIG, text):
            with suppress(OSError):  # it was not written, and the first error says why
                (folder / weights).unlink()
        for each in missing:
            with suppress(OSError):  # it was not made, or others have written into it
                each.rmdir()
        raise
    for other in folder.glob("weights-*.safetensors"):
        if other.name != weights:
            other.unlink(missing_ok=True)


def _has(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False
