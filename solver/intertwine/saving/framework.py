"""What the format of saved models needs to know of a framework of layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np
from jaxtyping import Shaped


@dataclass(frozen=True)
class SavedClass:
    """A class whose objects are saved as named fields.

    `take` returns a field of an object by name, and `make` an object with all fields. Files of
    earlier versions may lack fields that have `defaults`.
    """

    kind: type
    names: tuple[str, ...]
    make: Callable[[Mapping[str, Any]], Any]
    take: Callable[[Any, str], Any] = getattr
    defaults: Mapping[str, Any] = field(default_factory=dict)


def plain_classes(*kinds: type) -> dict[str, SavedClass]:
    """Return dataclasses and classes of reps by name; objects are made without a constructor."""
    return {kind.__name__: _plain_class(kind) for kind in kinds}


def _plain_class(kind: type) -> SavedClass:
    known = fields(kind) if is_dataclass(kind) else ()
    names = tuple(one.name for one in known) or getattr(kind, "__match_args__", ())
    defaults = {one.name: one.default for one in known if one.default is not MISSING}

    def make(values: Mapping[str, Any]) -> Any:
        made: Any = object.__new__(kind)
        for name, value in values.items():
            object.__setattr__(made, name, value)
        return made

    return SavedClass(kind, names, make, defaults=defaults)


@dataclass(frozen=True)
class Framework:
    """The layers of a framework by name, and its arrays.

    Layers of the same name have the same fields in all frameworks. `distributions` are the packages
    whose versions are written into files, and `remedy` says what to do with a file that has other
    classes. `summary` returns a model in one line, or in a few.
    """

    name: str
    package: str
    distributions: tuple[str, ...]
    remedy: str
    layer: type
    array: type
    classes: Mapping[str, SavedClass]
    to_numpy: Callable[[Any], Shaped[np.ndarray, "..."]]
    from_numpy: Callable[[Shaped[np.ndarray, "..."]], Any]
    summary: Callable[[Any], str]
