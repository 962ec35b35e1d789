"""Files of samples, safetensors or npz, read without pickle or evaluation of their text.

The size that a header declares is checked before arrays are read, and bounded by `most_bytes`. So
is the size of a compressed array, by its compressed size.

NumPy's own reader evaluates the header of an array as a Python literal, guesses if that fails, and
has no bound on the shape. The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import errno
import math
import os
import re
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from jaxtyping import Shaped

from intertwine.errors import FormatError, IntertwineError, TooLarge

MAGIC = b"\x93NUMPY"

_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}  # by version; 3.0 is for names in other alphabets
_MOST = 4096  # bytes; that of a matrix has 118
_VALUE = r"(?:'[^']*'|True|False|\([0-9, ]*\))"
_ITEM = re.compile(rf"'(\w+)' ?: ?({_VALUE}),? ?")
_HEADER = re.compile(rf"\{{(?:'\w+' ?: ?{_VALUE},? ?)+\}}[ \n]*")


@dataclass(frozen=True)
class NpyHeader:
    """The header of an array: the kind of its numbers, as NumPy writes it, and its shape."""

    kind: str
    shape: tuple[int, ...]
    is_fortran: bool

    @property
    def count(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)


def read_npy_header(source: IO[bytes]) -> NpyHeader:
    """Read the header at the beginning of a file, up to the numbers.

    Raises `FormatError` for anything that NumPy does not write for an array of numbers.
    """
    magic = source.read(8)
    version = tuple(magic[6:8])
    if magic[:6] != MAGIC or version not in _LENGTH_BYTES:
        raise FormatError(f"an array begins with {magic!r}, not as npy of version 1.0 or 2.0 does")
    length = int.from_bytes(source.read(_LENGTH_BYTES[version]), "little")
    if length > _MOST:
        raise FormatError(
            f"the header of an array has {length:,} bytes; at most {_MOST:,} are read"
        )
    text = source.read(length).decode("latin-1")
    items = dict(_ITEM.findall(text)) if _HEADER.fullmatch(text) else {}
    if set(items) != {"descr", "fortran_order", "shape"} or not _makes_sense(items):
        raise FormatError(
            f"the header of an array is {text.strip()[:200]!r}, which is no plain array's"
        )
    return NpyHeader(
        items["descr"].strip("'"),
        tuple(map(int, re.findall(r"[0-9]+", items["shape"]))),
        items["fortran_order"] == "True",
    )


def _makes_sense(items: dict[str, str]) -> bool:
    return (
        items["descr"].startswith("'")
        and items["fortran_order"] in ("True", "False")
        and re.fullmatch(r"\((?:[0-9]{1,18}, ?)*(?:[0-9]{1,18})?\)", items["shape"]) is not None
    )


#: The names of inputs and targets.
NAMES = (("X", "Y"), ("x", "y"), ("inputs", "targets"))

_PIECE = 2**20  # bytes that are read at once
_EXPANDED = 2**24  # bytes; larger arrays are bounded by their compressed size
_MOST_RATIO = 100  # deflate reaches 1,032 for zeros
_MOST_HEADER = 2**20  # bytes; two arrays need a few hundred
_NUMBERS = (
    *("float16", "float32", "float64", "bool"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
)
_SAFETENSORS = {"F16": "float16", "F32": "float32", "F64": "float64", "BOOL": "bool"} | {
    f"{letter}{bits}": f"{name}{bits}"
    for letter, name in (("I", "int"), ("U", "uint"))
    for bits in (8, 16, 32, 64)
}
_NPY = {np.dtype(name).str[1:]: name for name in _NUMBERS}
_ADVICE = (
    "np.savez(file, X=X, Y=Y) or safetensors.numpy.save_file({'X': X, 'Y': Y}, file) writes one"
)
_BROKEN_ZIP = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError),
    *(OverflowError, UnicodeError),
)

Arrays = tuple[Shaped[np.ndarray, "..."], Shaped[np.ndarray, "..."]]


def read_samples(file: Path, most_bytes: int = 2**30) -> Arrays:
    """Return the inputs and targets of a file, as they are in it.

    Raises `FormatError` for a file that is none of the two formats, that is broken, or that has
    other arrays; `TooLarge` for arrays of more than `most_bytes`.
    """
    with file.open("rb") as source:
        start = source.read(8)
        if start[:2] == b"PK":
            return _read_npz(source, most_bytes)
    if start.startswith(MAGIC):
        raise FormatError(f"this is one array (npy), and there are to be two, X and Y: {_ADVICE}")
    return _read_safetensors(file, int.from_bytes(start, "little"), most_bytes)


def _read_safetensors(file: Path, header: int, most_bytes: int) -> Arrays:
    from safetensors import SafetensorError, safe_open

    size = file.stat().st_size
    if size < 8 or not 2 <= header <= size - 8:
        raise FormatError(
            f"this is neither a safetensors file nor an npz file, and what is pickled is never "
            f"read: {_ADVICE}"
        )
    if header > _MOST_HEADER:
        raise FormatError(
            f"the header of this safetensors file has {header:,} bytes; that of two arrays has a "
            f"few hundred, and at most {_MOST_HEADER:,} are read"
        )
    try:
        with safe_open(file, "np") as tensors:
            inputs, targets = _two_of(tensors.keys())
            for name in (inputs, targets):
                part = tensors.get_slice(name)
                kind = part.get_dtype()
                _require_numbers(name, _SAFETENSORS.get(kind, kind))
            stated = [_bytes_of(tensors.get_slice(name)) for name in (inputs, targets)]
            _require_room(sum(stated), most_bytes)
            return tensors.get_tensor(inputs), tensors.get_tensor(targets)
    except SafetensorError as error:
        raise FormatError(f"this is no whole safetensors file: {error}") from error


def _bytes_of(part: Any) -> int:
    """Return the declared size of a tensor in bytes."""
    shape: list[int] = part.get_shape()
    return math.prod(shape) * np.dtype(_SAFETENSORS[part.get_dtype()]).itemsize


class _InPieces:
    """A file that is read in bounded pieces: zipfile would read a directory of any size."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.seek, self.tell = source.seek, source.tell

    def read(self, size: int = -1) -> bytes:
        """Read `size` bytes, or all. Raises `FormatError` for more than a piece."""
        piece = self._source.read(size if 0 <= size <= _PIECE else _PIECE + 1)
        if len(piece) > _PIECE:
            raise FormatError(f"the directory of this npz file has more than {_PIECE:,} bytes")
        return piece

    def seekable(self) -> bool:
        """Whether `seek` works."""
        return True


def _read_npz(source: BinaryIO, most_bytes: int) -> Arrays:
    size = source.seek(0, os.SEEK_END)
    try:
        with zipfile.ZipFile(_InPieces(source)) as archive:
            entries = {
                entry.filename.removesuffix(".npy"): entry
                for entry in archive.infolist()
                if entry.filename.endswith(".npy")
            }
            left, found = most_bytes, []
            for name in _two_of(entries):
                array = _read_npy(archive, entries[name], name, left, size)
                left -= array.nbytes
                found.append(array)
            return found[0], found[1]
    except IntertwineError:
        raise
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise FormatError("this is no whole npz file: it points outside of itself") from error
    except _BROKEN_ZIP as error:
        raise FormatError(f"this is no whole npz file: {error or 'it ends too early'}") from error


def _require_ratio(entry: zipfile.ZipInfo, name: str, size: int) -> None:
    """Raise `TooLarge` for a member with a suspiciously high compression ratio."""
    packed = max(1, min(entry.compress_size, size))
    if entry.file_size > max(_EXPANDED, _MOST_RATIO * packed):
        raise TooLarge(
            f"{name} expands from {packed:,} to {entry.file_size:,} bytes; above "
            f"{_EXPANDED:,} bytes, at most {_MOST_RATIO} times is allowed: write it with np.savez, "
            f"which does not compress"
        )


def _read_npy(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, most_bytes: int, size: int
) -> Shaped[np.ndarray, "..."]:
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise FormatError(f"{name} is compressed in a way that np.savez_compressed never does")
    with archive.open(entry) as member:
        header = read_npy_header(member)
        if "O" in header.kind:
            raise FormatError(
                f"{name} holds Python objects, which are pickled: that is never read, as it could "
                f"run any program. Give an array of numbers"
            )
        _require_numbers(name, _NPY.get(header.kind.lstrip("<>|="), header.kind))
        dtype = np.dtype(header.kind)
        declared = header.count * dtype.itemsize
        _require_room(declared, most_bytes)
        _require_ratio(entry, name, size)
        found = entry.file_size - member.tell()
        if declared > found:  # before memory is taken for it
            raise FormatError(f"{name} declares {declared:,} bytes, but has {found:,}")
        array = np.empty(header.count, dtype)
        _fill(array.view(np.uint8), member, name)
    native = array.astype(dtype.newbyteorder("="), copy=False)
    return native.reshape(header.shape, order="F" if header.is_fortran else "C")


def _fill(view: Shaped[np.ndarray, " bytes"], member: Any, name: str) -> None:
    """Fill the view from a member. Raises `FormatError` if it has fewer or more bytes."""
    at = 0
    while at < len(view) and (piece := member.read(min(_PIECE, len(view) - at))):
        view[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
        at += len(piece)
    if at < len(view) or member.read(1):  # at the end the checksum is compared
        more = "more" if at == len(view) else f"{at:,}"
        raise FormatError(f"{name} declares {len(view):,} bytes, but has {more}")


def _two_of(names: Iterable[str]) -> tuple[str, str]:
    """Return the names of inputs and targets among those of a file."""
    names = sorted(names)
    found = [pair for pair in NAMES if set(pair) <= set(names)]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
    wanted = " or ".join(" and ".join(pair) for pair in NAMES)
    raise FormatError(
        f"a file of samples has two arrays, named {wanted}; this one has "
        f"{shown[:200] or 'none'}: {_ADVICE}"
    )


def _require_numbers(name: str, dtype: str) -> None:
    if dtype not in _NUMBERS:
        raise FormatError(
            f"{name} is an array of {dtype[:80]}; samples are real numbers: {', '.join(_NUMBERS)}"
        )


def _require_room(size: int, most_bytes: int) -> None:
    if size > most_bytes:
        raise TooLarge(
            f"the arrays have {size:,} bytes when they are unpacked; a dataset has at most "
            f"{most_bytes:,} here"
        )
