"""Archives of what earlier versions of the service have written."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any


def unpacked(archive: Path, folder: Path) -> dict[str, Any]:
    """Write the data folder of the service below another one; what it answered."""
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder)
    documents: dict[str, Any] = json.loads((folder / "documents.json").read_text())
    return documents
