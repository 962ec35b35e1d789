"""Bases in files: safetensors keeps everything, .npy and .npz the dense matrix."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from intertwine.bases.basis import Basis
from intertwine.bases.format import from_arrays, to_arrays
from intertwine.bases.safetensors_file import read_bytes, read_file, require_key, write_arrays
from intertwine.errors import FormatError
from intertwine.whole_files import whole_file

SUFFIXES = (".safetensors", ".npy", ".npz")


def save_basis(basis: Basis, path: str | os.PathLike[str]) -> None:
    """Write a basis: its stored form to ``.safetensors``, its dense matrix to ``.npy`` or ``.npz``.

    The write is atomic. Raises `FormatError` for another suffix.
    """
    path = Path(path)
    check_suffix(path)
    with whole_file(path) as file:
        if path.suffix == ".safetensors":
            write_safetensors(basis, file.write)
        elif path.suffix == ".npy":
            np.save(file, basis.dense(), allow_pickle=False)
        else:
            said = {"certificate": basis.certificate.to_json()}
            if basis.rows is not None:
                said["rows"] = basis.rows.to_json()
            texts = {name: np.array(json.dumps(value)) for name, value in said.items()}
            np.savez(file, basis=basis.dense(), **texts)  # type: ignore[arg-type]


def check_suffix(path: Path) -> None:
    """Raise `FormatError` for a file suffix that bases cannot be written to."""
    if path.suffix not in SUFFIXES:
        raise FormatError(
            f"a basis is written to {', '.join(SUFFIXES)} files, not to {path.name!r}"
        )


def load_basis(path: str | os.PathLike[str], *, names: Mapping[str, Any] | None = None) -> Basis:
    """Read a basis from a ``.safetensors`` file, mapped into memory rather than copied.

    `names` has the user-defined reps in its rep, as in `parse`:
    ``load_basis(path, names={"P": P})``. Raises `FormatError` if the file is not a basis,
    `FileNotFoundError` if it does not exist, and `InvalidRep` if its rep cannot be read with these
    names. (Without names, only access to the rep raises that.)
    """
    basis = read_basis(path)
    if not names or basis.rows is None:
        return basis
    return Basis(basis.storage, basis.certificate, of=basis.rows.read(names))


def read_basis(path: str | os.PathLike[str], key: str | None = None) -> Basis:
    """Return the basis in a file; with a `key`, only the one that a store has under that key.

    Raises `FormatError` if the file is not a basis, or that of another key.
    """
    try:
        arrays, metadata = read_file(path)
        if key is not None:
            require_key(metadata, key)
        return from_arrays(arrays, metadata)
    except FormatError as error:
        raise FormatError(f"{os.fspath(path)} is not a basis: {error}") from error


def to_bytes(basis: Basis) -> bytes:
    """Return the basis as the bytes of a safetensors file."""
    buffer = io.BytesIO()
    write_safetensors(basis, buffer.write)
    return buffer.getvalue()


def from_bytes(blob: bytes) -> Basis:
    """Read a basis from `to_bytes`. Raises `FormatError` for anything else."""
    return from_arrays(*read_bytes(blob))


def write_safetensors(
    basis: Basis, write: Callable[[bytes | memoryview], Any], of: Mapping[str, Any] | None = None
) -> None:
    """Pass the bytes of a basis's safetensors file to `write`, piece by piece.

    `of` is added to the metadata: the key, rep and group that a store has the basis of.
    """
    arrays, metadata = to_arrays(basis)
    write_arrays(arrays, metadata if of is None else {**metadata, "of": dict(of)}, write)
