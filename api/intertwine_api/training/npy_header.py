"""The header of an array in NumPy's format, read without evaluating its text as Python.

NumPy's own reader does evaluate it (as a literal), falls back on guesses, and has no bound on the
shape. The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import IO

from intertwine.errors import FormatError

MAGIC = b"\x93NUMPY"

_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}  # by version; 3.0 is for names in other alphabets
_MOST = 4096  # bytes; that of a matrix has 118
_VALUE = r"(?:'[^']*'|True|False|\([0-9, ]*\))"
_ITEM = re.compile(rf"'(\w+)' ?: ?({_VALUE}),? ?")
_HEADER = re.compile(rf"\{{(?:'\w+' ?: ?{_VALUE},? ?)+\}}[ \n]*")


@dataclass(frozen=True)
class NpyHeader:
    """What a file says of its array: the kind of its numbers, as NumPy writes it, and its shape."""

    kind: str
    shape: tuple[int, ...]
    is_fortran: bool

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return math.prod(self.shape)


def read_npy_header(source: IO[bytes]) -> NpyHeader:
    """The header at the beginning of a file, which is read up to the numbers.

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
