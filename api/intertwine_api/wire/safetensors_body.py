"""Arrays in the safetensors format. Complex arrays have a last axis of real and imaginary part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from intertwine.errors import FormatError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Shaped

#: The media type of a safetensors body.
SAFETENSORS = "application/vnd.safetensors"

#: The pieces of a body, in order.
Pieces = tuple[bytes | memoryview, ...]

_NAMES = {
    **{"float64": "F64", "float32": "F32", "float16": "F16", "bool": "BOOL"},
    **{"int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8"},
    **{"uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8"},
}
_ALIGNMENT = 8


def write_arrays(arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> Pieces:
    """Return the pieces of a safetensors file: a header, then each array without a copy.

    Raises `FormatError` if an array is not numeric.
    """
    import numpy as np

    header: dict[str, Any] = {}
    pieces: list[memoryview] = []
    at = 0
    for name, array in sorted(arrays.items(), key=lambda item: -_as_real(item[1]).itemsize):
        real = np.ascontiguousarray(_as_real(array))
        real = real.astype(real.dtype.newbyteorder("<"), copy=False)
        if real.dtype.name not in _NAMES:
            raise FormatError(f"{name} cannot be sent: its dtype is {array.dtype}, give numbers")
        header[name] = {
            "dtype": _NAMES[real.dtype.name],
            "shape": list(real.shape),
            "data_offsets": [at, at + real.nbytes],
        }
        at += real.nbytes
        pieces.append(real.reshape(-1).view(np.uint8).data)
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % _ALIGNMENT)  # the format allows trailing spaces in the header
    return (len(head).to_bytes(8, "little") + head, *pieces)


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
        return join_complex(array[..., 0], array[..., 1])
    return array


def join_complex(
    real: Shaped[np.ndarray, "..."], imaginary: Shaped[np.ndarray, "..."]
) -> Shaped[np.ndarray, "..."]:
    """Return the complex array of two parts. (real + 1j * imaginary would turn inf into NaN.)"""
    import numpy as np

    array = np.empty(real.shape, np.result_type(real.dtype, np.complex64))
    array.real, array.imag = real, imaginary
    return array


def _as_real(array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    import numpy as np

    if not np.iscomplexobj(array):
        return array
    return np.stack([array.real, array.imag], axis=-1)
