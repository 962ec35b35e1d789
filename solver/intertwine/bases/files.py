"""Bases in files: safetensors keeps everything, .npy and .npz the dense matrix."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from intertwine.bases.basis import Basis
from intertwine.bases.format import from_arrays, to_arrays
from intertwine.errors import FormatError

_ALIGNMENT = 64  # from here JAX takes an array without copying it
SUFFIXES = (".safetensors", ".npy", ".npz")


def save_basis(basis: Basis, path: str | os.PathLike[str]) -> None:
    """Write a basis: its stored form to ``.safetensors``, its dense matrix to ``.npy`` or ``.npz``.

    The file appears whole or not at all. Raises `FormatError` for another ending.
    """
    path = Path(path)
    check_suffix(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            if path.suffix == ".safetensors":
                file.write(to_bytes(basis))
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
    """Read a basis from a ``.safetensors`` file. Raises `FormatError` where it holds none."""
    return from_bytes(Path(path).read_bytes())


def to_bytes(basis: Basis) -> bytes:
    """The basis as safetensors, its data aligned to 64 bytes.

    safetensors has no complex128: such an array is kept as float64 with a last axis of two, and
    named in the metadata under ``complex``.
    """
    from safetensors.numpy import save

    arrays, metadata = to_arrays(basis)
    is_complex = [name for name, array in arrays.items() if np.iscomplexobj(array)]
    real = {
        name: array.view(np.float64).reshape(*array.shape, 2) if name in is_complex else array
        for name, array in arrays.items()
    }
    blob = save(real, {"intertwine": json.dumps({**metadata, "complex": is_complex})})
    length = int.from_bytes(blob[:8], "little")
    padding = -(8 + length) % _ALIGNMENT  # the format allows spaces behind the header
    head = (length + padding).to_bytes(8, "little")
    return b"".join([head, blob[8 : 8 + length], b" " * padding, blob[8 + length :]])


def from_bytes(blob: bytes) -> Basis:
    """The basis of `to_bytes`. Raises `FormatError` for anything else."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        length = int.from_bytes(blob[:8], "little")
        arrays: dict[str, Any] = load(blob)
        header = json.loads(blob[8 : 8 + length])
        metadata = json.loads(header["__metadata__"]["intertwine"])
        for name in metadata.get("complex", []):
            arrays[name] = arrays[name].view(np.complex128)[..., 0]
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"this is no basis in a safetensors file: {error!r}") from error
    return from_arrays(arrays, metadata)
