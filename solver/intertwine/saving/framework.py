"""The differences between frameworks that saving a model depends on: classes, arrays, modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np
from jaxtyping import Shaped

from intertwine.errors import InvalidRep

#: Whether an object in a module is saved as a whole.
IsPart = Callable[[Any], bool]


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

    def fields_of(self, value: Any) -> dict[str, Any]:
        """Return all fields of an object by name."""
        return {name: self.take(value, name) for name in self.names}


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
class SavedFramework:
    """The layers of a framework by name, and its arrays, as saved models have them.

    Layers of the same name have the same fields in all frameworks. `distributions` are the packages
    whose versions are written into files, and `remedy` says what to do with a file that has other
    classes. `summary` returns a model in one line, or in a few.

    Users' own modules are also of the class `module`. `parts` returns the outermost saved layers in
    one, and its other arrays, each with its path; `with_parts` a copy with other parts. `placed`
    returns a loaded layer on the device of another one.
    """

    name: str
    package: str
    distributions: tuple[str, ...]
    remedy: str
    layer: type
    module: type
    array: type
    classes: Mapping[str, SavedClass]
    parts: Callable[[Any, IsPart], Sequence[tuple[str, Any]]]
    with_parts: Callable[[Any, IsPart, Mapping[str, Any]], Any]
    placed: Callable[[Any, Any], Any]
    to_numpy: Callable[[Any], Shaped[np.ndarray, "..."]]
    from_numpy: Callable[[Shaped[np.ndarray, "..."]], Any]
    summary: Callable[[Any], str]

    def is_layer(self, value: Any) -> bool:
        """Return whether an object is of a class in `classes`, which has its own fields."""
        saved = self.classes.get(type(value).__name__)
        return saved is not None and saved.kind is type(value)

    def fields_of(self, value: Any) -> dict[str, Any]:
        """Return the fields of an object that `is_layer`."""
        return self.classes[type(value).__name__].fields_of(value)

    def parts_of(self, module: Any) -> dict[str, Any]:
        """Return the layers and other arrays of a user's own module by path.

        Raises `InvalidRep` if two have the same path.
        """
        found: dict[str, Any] = {}
        for path, part in self.parts(module, self.is_layer):
            if path in found:
                raise InvalidRep(f"a {type(module).__name__} has two parts {path}: rename one")
            found[path] = part
        return found
