"""Read and write safetensors files of named arrays with JSON metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt8

from intertwine.errors import FormatError

_ALIGNMENT = 64  # JAX uses arrays with this alignment without copying
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError)
_DTYPES = {
    **{"float64": "F64", "float32": "F32", "float16": "F16", "bool": "BOOL"},
    **{"int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8"},
    **{"uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8"},
}
_REAL = {"complex128": np.float64, "complex64": np.float32}


def write_arrays(
    arrays: Mapping[str, Shaped[np.ndarray, "..."]],
    metadata: Mapping[str, Any],
    write: Callable[[bytes | memoryview], Any],
) -> None:
    """Pass the `file_pieces` of arrays with metadata to `write`, one after the other."""
    for piece in file_pieces(arrays, metadata):
        write(piece)


def file_pieces(
    arrays: Mapping[str, Shaped[np.ndarray, "..."]], metadata: Mapping[str, Any] | None = None
) -> tuple[bytes | memoryview, ...]:
    """Return the pieces of a safetensors file: a header, then each array without a copy.

    The data start at a multiple of 64 bytes, unlike those of the safetensors library. The format
    lacks complex128: a complex array is stored as real numbers with a last axis of two, and listed
    in the metadata, if given, under ``complex``. Raises `FormatError` if an array is not numeric.
    """
    header: dict[str, Any] = {}
    if metadata is not None:
        is_complex = [name for name, array in arrays.items() if np.iscomplexobj(array)]
        text = json.dumps({**metadata, "complex": is_complex}, allow_nan=False)
        header["__metadata__"] = {"intertwine": text}
    at, pieces = 0, []
    for name in sorted(arrays, key=lambda name: (-arrays[name].itemsize, name)):  # keeps alignment
        array = np.asarray(arrays[name], order="C")
        if array.dtype.name in _REAL:
            parts = array.reshape(-1).view(_REAL[array.dtype.name])
            array = parts.reshape(*array.shape, 2)
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        if array.dtype.name not in _DTYPES:
            raise FormatError(f"{name} has the dtype {array.dtype}: give numbers")
        header[name] = {
            "dtype": _DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
        pieces.append(array.reshape(-1).view(np.uint8).data)
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-(8 + len(head)) % _ALIGNMENT)  # the format allows spaces after the header
    return (len(head).to_bytes(8, "little") + head, *pieces)


def require_key(metadata: Mapping[str, Any], key: str) -> None:
    """Raise `FormatError` if the metadata of a store's file name another key than `key`.

    Files written before blobs named their key have none, and pass.
    """
    of = metadata.get("of", {})
    found = of.get("key", key) if isinstance(of, Mapping) else of
    if found != key:
        raise FormatError(f"it is of the key {found!r}, not {key}")


def read_file(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays of a file, memory-mapped rather than copied, and its metadata.

    Raises `FormatError` if the file has another format, `FileNotFoundError` if it is missing.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(Path(path), "np"):  # the library checks the header; it would copy the arrays
            pass
        return _read(np.memmap(path, mode="r"))
    except (SafetensorError, *_UNREADABLE) as error:
        raise FormatError(f"this is not a safetensors file of intertwine: {error!r}") from error


def read_bytes(blob: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arrays and metadata of a file's bytes. Raises `FormatError` for anything else."""
    from safetensors import SafetensorError, deserialize

    try:
        deserialize(blob)  # type: ignore[no-untyped-call]  # the library checks the header
        return _read(np.frombuffer(blob, dtype=np.uint8))
    except (SafetensorError, *_UNREADABLE) as error:
        raise FormatError(f"this is not a safetensors file of intertwine: {error!r}") from error


def _read(blob: UInt8[np.ndarray, " bytes"]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the contents of a safetensors file whose header was checked."""
    start = 8 + int.from_bytes(blob[:8].tobytes(), "little")
    header = json.loads(blob[8:start].tobytes())
    metadata = json.loads(header.pop("__metadata__")["intertwine"])
    names = {short: name for name, short in _DTYPES.items()}
    arrays = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        array = blob[start + first : start + last].view(names[entry["dtype"]])
        arrays[name] = array.reshape(entry["shape"])
    for name in metadata.get("complex", []):
        numbers = arrays[name]
        single = numbers.dtype == np.float32
        arrays[name] = numbers.view(np.complex64 if single else np.complex128)[..., 0]
    return arrays, metadata
