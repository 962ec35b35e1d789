"""Arrays in the safetensors format. Complex arrays have a last axis of real and imaginary part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from intertwine.errors import FormatError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Shaped

#: The media type of a safetensors body.
SAFETENSORS = "application/vnd.safetensors"

MOST_HEADER_OF_BODY = 2**16
"""The largest header, in bytes, of the arrays in a request."""
MOST_HEADER_OF_WEIGHTS = 2**20
"""The largest header, in bytes, of uploaded weights."""
_LENGTH = 8  # bytes

#: The pieces of a body, in order.
Pieces = tuple[bytes | memoryview, ...]


def write_arrays(arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> Pieces:
    """Return the pieces of a safetensors file: a header, then each array without a copy.

    Raises `FormatError` if an array is not numeric.
    """
    from intertwine.bases.safetensors_file import file_pieces  # imports NumPy

    return file_pieces(arrays)


def require_small_header(start: bytes, most: int) -> None:
    """Check the size of a header, which is in a safetensors file's first eight bytes.

    A header lists the arrays: one of 28 MB takes two seconds, and a gigabyte, to read. Raises
    `FormatError` for more than `most` bytes.
    """
    size = int.from_bytes(start[:_LENGTH], "little")
    if size > most:
        raise FormatError(
            f"the header of the safetensors file has {size:,} bytes; at most {most:,} are read"
        )


def read_array(body: bytes, name: str) -> Shaped[np.ndarray, "..."]:
    """Return the named array of a safetensors body. An array of shape (…, …, 2) is complex.

    Raises `FormatError` if the array is missing or not numeric.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    require_small_header(body[:_LENGTH], MOST_HEADER_OF_BODY)
    try:
        array: Shaped[np.ndarray, "..."] = load(body)[name]
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise FormatError(f"the body has no array `{name}`: {error}") from error
    if array.dtype.kind not in "fiu":
        raise FormatError(f"{name} has the dtype {array.dtype}: give numbers")
    if array.ndim == 3 and array.shape[2] == 2:
        from intertwine.arrays import join_complex

        return join_complex(array[..., 0], array[..., 1])
    return array
