"""The documented form of a basis: named arrays, and metadata in JSON (see docs/format.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped

from intertwine.bases.basis import Basis
from intertwine.bases.certificate import Certificate
from intertwine.bases.row_order import RowOrder
from intertwine.bases.storage import Storage
from intertwine.errors import FormatError

NAME = "intertwine-basis"
VERSION = 1


def to_arrays(basis: Basis) -> tuple[dict[str, Shaped[np.ndarray, "..."]], dict[str, Any]]:
    """Return the basis as named arrays and JSON metadata."""
    arrays: dict[str, Shaped[np.ndarray, "..."]] = {}

    def put(meaning: str, array: Shaped[np.ndarray, "..."]) -> str:
        name = f"{meaning}.{len(arrays)}"
        arrays[name] = np.ascontiguousarray(array)
        return name

    metadata = {
        "format": NAME,
        "version": VERSION,
        "shape": list(basis.shape),
        "storage": basis.storage.write(put),
        "certificate": basis.certificate.to_json(),
        **({} if basis.rows is None else {"rows": basis.rows.to_json()}),
    }
    return arrays, metadata


def from_arrays(arrays: Mapping[str, Any], metadata: Any) -> Basis:
    """Read a basis from `to_arrays`. Raises `FormatError` for anything else."""
    if not isinstance(metadata, Mapping):
        raise FormatError(
            f"the metadata of a basis must be an object, not {type(metadata).__name__}"
        )
    if metadata.get("format") != NAME or metadata.get("version") != VERSION:
        raise FormatError(
            f"expected {NAME} version {VERSION}, found {metadata.get('format')!r} version "
            f"{metadata.get('version')!r}"
        )
    storage = Storage.read(metadata.get("storage") or {}, arrays)
    if list(storage.shape) != metadata.get("shape"):
        raise FormatError(f"the storage has shape {storage.shape}, not {metadata.get('shape')}")
    certificate = Certificate.from_json(metadata.get("certificate"))
    if (certificate.size, certificate.rank) != storage.shape:
        raise FormatError(
            f"the certificate is of a basis of shape {(certificate.size, certificate.rank)}, and "
            f"the storage has shape {storage.shape}"
        )
    rows = metadata.get("rows")
    return Basis(storage, certificate, of=None if rows is None else RowOrder.from_json(rows))
