"""Compare the structure of a loaded model with that of another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from intertwine.arrays import dtype_name
from intertwine.errors import FormatError
from intertwine.saving.framework import SavedFramework

REMEDY = "make it with the arguments of the saved model"
"""What to do about a `like` of another structure."""


def require_alike(framework: SavedFramework, found: Any, like: Any, path: str) -> None:
    """Raise `FormatError` unless the layers of two models have the same classes and reps, and their
    arrays the same shapes and dtypes. `path` is their place in the model.

    Parts of users' own modules are not compared: the reader does.
    """
    if framework.is_layer(found) or framework.is_layer(like) or _is_array(framework, found):
        _require_equal(_kind(framework, found), _kind(framework, like), path)
    if framework.is_layer(found):
        for side in ("rep_in", "rep_out"):
            reps = [getattr(one, side, None) for one in (found, like)]
            _require_equal(reps[0], reps[1], f"{path}.{side}")
        found, like = framework.fields_of(found), framework.fields_of(like)
    mine, theirs = children(found), children(like)
    if any(not isinstance(one, str | float | complex) for one in mine.values()):
        _require_equal(f"made of {sorted(mine)}", f"made of {sorted(theirs)}", path)
        for name, part in mine.items():
            require_alike(framework, part, theirs[name], f"{path}.{name}")


def children(value: Any) -> dict[str, Any]:
    """Return the values in a mapping or a tuple by name or index; of others, nothing."""
    if isinstance(value, tuple | list):
        value = dict(enumerate(value))
    return {str(key): one for key, one in value.items()} if isinstance(value, Mapping) else {}


def _kind(framework: SavedFramework, value: Any) -> str:
    """Return the class of a layer, or the dtype and the shape of an array, as text."""
    if _is_array(framework, value):
        return f"{dtype_name(value.dtype)} of shape {tuple(value.shape)}"
    return f"of class {type(value).__name__}"


def _is_array(framework: SavedFramework, value: Any) -> bool:
    return isinstance(value, framework.array | np.ndarray)


def _require_equal(mine: Any, theirs: Any, path: str) -> None:
    if mine != theirs:
        there, here = (one if isinstance(one, str) else repr(one) for one in (mine, theirs))
        raise FormatError(f"{place(path)} is {there} in the file, and {here} in `like`: {REMEDY}")


def place(path: str) -> str:
    """Return a path in a model as text."""
    return path.lstrip(".") or "the model"
