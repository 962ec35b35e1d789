"""Arrays as the body of a request, in the safetensors format, without a copy of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from intertwine.errors import FormatError

from intertwine_api.client.steps import Pieces

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Shaped

MEDIA_TYPE = "application/vnd.safetensors"

_NAMES = {
    **{"float64": "F64", "float32": "F32", "float16": "F16", "bool": "BOOL"},
    **{"int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8"},
    **{"uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8"},
}
_ALIGNMENT = 8


def body_of(arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> Pieces:
    """The pieces of a safetensors file; complex numbers are pairs along a last axis of two.

    Raises `FormatError` for arrays of anything but numbers.
    """
    import numpy as np

    header: dict[str, Any] = {}
    pieces: list[memoryview] = []
    at = 0
    for name, array in sorted(arrays.items(), key=lambda item: -_real(item[1]).itemsize):
        real = np.ascontiguousarray(_real(array))
        real = real.astype(real.dtype.newbyteorder("<"), copy=False)
        if real.dtype.name not in _NAMES:
            raise FormatError(f"{name} holds no numbers that can be sent, but {array.dtype}")
        header[name] = {
            "dtype": _NAMES[real.dtype.name],
            "shape": list(real.shape),
            "data_offsets": [at, at + real.nbytes],
        }
        at += real.nbytes
        pieces.append(real.reshape(-1).view(np.uint8).data)
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % _ALIGNMENT)  # the format allows spaces behind the header
    return (len(head).to_bytes(8, "little") + head, *pieces)


def read_array(content: bytes, name: str) -> Shaped[np.ndarray, "..."]:
    """An array of a safetensors file. Raises `FormatError` where it is not there."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        array: Shaped[np.ndarray, "..."] = load(content)[name]
    except (SafetensorError, KeyError, ValueError) as error:
        raise FormatError(f"the answer has no array {name!r}: {error}") from error
    return array


def _real(array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    import numpy as np

    if not np.iscomplexobj(array):
        return array
    return np.stack([array.real, array.imag], axis=-1)
