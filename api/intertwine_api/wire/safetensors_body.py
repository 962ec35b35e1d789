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

#: The pieces of a body, in order.
Pieces = tuple[bytes | memoryview, ...]


def write_arrays(arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> Pieces:
    """Return the pieces of a safetensors file: a header, then each array without a copy.

    Raises `FormatError` if an array is not numeric.
    """
    from intertwine.bases.safetensors_file import file_pieces  # imports NumPy

    return file_pieces(arrays)


def read_array(body: bytes, name: str) -> Shaped[np.ndarray, "..."]:
    """Return the named array of a safetensors body. An array of shape (…, …, 2) is complex.

    Raises `FormatError` if the array is missing or not numeric.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

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
