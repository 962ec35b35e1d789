"""Bases in files: safetensors keeps everything, .npy and .npz the dense matrix."""

from __future__ import annotations

import io
import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from intertwine.bases.basis import Basis
from intertwine.bases.format import from_arrays, to_arrays
from intertwine.errors import FormatError

_ALIGNMENT = 64  # from here JAX takes an array without copying it
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError)
_DTYPES = {"float64": "F64", "int64": "I64", "int32": "I32", "int8": "I8"}
SUFFIXES = (".safetensors", ".npy", ".npz")


def save_basis(basis: Basis, path: str | os.PathLike[str]) -> None:
    """Write a basis: its stored form to ``.safetensors``, its dense matrix to ``.npy`` or ``.npz``.

    The file appears whole or not at all. Raises `FormatError` for another ending.
    """
    path = Path(path)
    check_suffix(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            if path.suffix == ".safetensors":
                write_safetensors(basis, file.write)
            elif path.suffix == ".npy":
                np.save(file, basis.dense(), allow_pickle=False)
            else:
                certificate = np.array(json.dumps(basis.certificate.to_json()))
                np.savez(file, basis=basis.dense(), certificate=certificate)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_suffix(path: Path) -> None:
    """Raise `FormatError` for a file that a basis cannot be written to."""
    if path.suffix not in SUFFIXES:
        raise FormatError(
            f"a basis is written to {', '.join(SUFFIXES)} files, not to {path.name!r}"
        )


def load_basis(path: str | os.PathLike[str]) -> Basis:
    """Read a basis from a ``.safetensors`` file, mapped into memory rather than copied.

    Raises `FormatError` where the file holds none, `FileNotFoundError` where there is no file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np"):  # the library checks the header; it would copy the arrays
            pass
        return _read(np.memmap(path, mode="r"))
    except FormatError as error:
        raise FormatError(f"{os.fspath(path)} holds no basis: {error}") from error
    except (SafetensorError, *_UNREADABLE) as error:
        raise FormatError(f"{os.fspath(path)} holds no basis: {error!r}") from error


def to_bytes(basis: Basis) -> bytes:
    """The basis as the bytes of a safetensors file."""
    buffer = io.BytesIO()
    write_safetensors(basis, buffer.write)
    return buffer.getvalue()


def from_bytes(blob: bytes) -> Basis:
    """The basis of `to_bytes`. Raises `FormatError` for anything else."""
    from safetensors import SafetensorError, deserialize

    try:
        deserialize(blob)  # type: ignore[no-untyped-call]  # the library checks the header
        return _read(np.frombuffer(blob, dtype=np.uint8))
    except FormatError:
        raise
    except (SafetensorError, *_UNREADABLE) as error:
        raise FormatError(f"this is no basis in a safetensors file: {error!r}") from error


def write_safetensors(basis: Basis, write: Callable[[bytes | memoryview], Any]) -> None:
    """Hand the bytes of a safetensors file to `write`, piece by piece and without a copy.

    The data start at a multiple of 64 bytes, which the library's own writer does not do. It has
    no complex128 either: such an array is kept as float64 with a last axis of two, and named in
    the metadata under ``complex``.
    """
    arrays, metadata = to_arrays(basis)
    is_complex = [name for name, array in arrays.items() if np.iscomplexobj(array)]
    text = json.dumps({**metadata, "complex": is_complex}, allow_nan=False)
    header: dict[str, Any] = {"__metadata__": {"intertwine": text}}
    at, pieces = 0, []
    for name in sorted(arrays, key=lambda name: (-arrays[name].itemsize, name)):  # keeps alignment
        array = np.ascontiguousarray(arrays[name])
        if name in is_complex:
            array = array.view(np.float64).reshape(*array.shape, 2)
        header[name] = {
            "dtype": _DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
        pieces.append(array)
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-(8 + len(head)) % _ALIGNMENT)  # the format allows spaces behind the header
    write(len(head).to_bytes(8, "little") + head)
    for array in pieces:
        write(array.reshape(-1).view(np.uint8).data)


def _read(blob: UInt8[np.ndarray, " bytes"]) -> Basis:
    """The basis in the bytes of a safetensors file whose header was checked."""
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
        arrays[name] = arrays[name].view(np.complex128)[..., 0]
    return from_arrays(arrays, metadata)
