"""A model as plain data: a tree of JSON values, and named arrays.

It contains everything that outputs depend on, also the change of basis to irreps, whose last digits
may differ between machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped

from intertwine.architecture.irrep_space import IrrepSpace
from intertwine.arrays import dtype_name
from intertwine.bases import Basis
from intertwine.bases.format import to_arrays
from intertwine.errors import IntertwineError, InvalidRep
from intertwine.groups import DirectProduct, Group, parse_group
from intertwine.groups.generators import Generator
from intertwine.operators import Permutation, dense
from intertwine.reps import Rep
from intertwine.reps.generator_rep import GeneratorRep
from intertwine.saving.framework import SavedFramework
from intertwine.saving.named_reps import Given, image_prints, stands_for
from intertwine.saving.reps_and_maps import REPS_AND_MAPS

Arrays = dict[str, Shaped[np.ndarray, "..."]]

_DTYPES = (
    *("float32", "float64", "complex64", "complex128"),
    *("int32", "int64", "int8", "uint8", "bool"),
)


def encode(
    framework: SavedFramework,
    model: Any,
    names: Mapping[str, Given] | None = None,
    *,
    takes_own: bool = False,
) -> tuple[Any, Arrays]:
    """Return the model as JSON values and arrays. `names` are the custom reps in it.

    With `takes_own`, users' own modules that contain layers are written as their parts. Raises
    `InvalidRep` for a custom rep without a name and for an unknown layer.
    """
    if not isinstance(model, framework.module):
        raise InvalidRep(
            f"a model cannot be saved with {_class_of(model)}: give a layer of {framework.package}"
        )
    writer = _Writer(framework, names or {}, takes_own)
    return writer.value(model, ""), writer.arrays


class _Writer:
    def __init__(
        self, framework: SavedFramework, names: Mapping[str, Given], takes_own: bool
    ) -> None:
        self.framework, self.names, self.takes_own = framework, names, takes_own
        self.classes = {**REPS_AND_MAPS, **framework.classes}
        self.arrays: Arrays = {}
        self.seen: dict[int, tuple[int, Any]] = {}

    def value(self, value: Any, path: str) -> Any:
        """Return a value as JSON; arrays are stored under their path in the model."""
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, complex):
            return {"complex": [value.real, value.imag]}
        if isinstance(value, tuple | list):
            return {"items": [self.value(v, f"{path}.{i}") for i, v in enumerate(value)]}
        if isinstance(value, Mapping):
            return {"map": [[k, self.value(v, f"{path}.{k}")] for k, v in value.items()]}
        if isinstance(value, self.framework.array):
            return {"weights": self._put(path, value)}
        if isinstance(value, np.ndarray):
            return {"constants": self._put(path, value)}
        return self._shared(value, path)

    def _put(self, path: str, array: Any) -> str:
        name, kind = path.lstrip("."), dtype_name(array.dtype)
        if kind not in _DTYPES:
            raise InvalidRep(
                f"{name} has dtype {kind}, which cannot be saved: use {', '.join(_DTYPES)}"
            )
        is_constant = isinstance(array, np.ndarray)
        self.arrays[name] = array if is_constant else self.framework.to_numpy(array)
        return name

    def _shared(self, value: Any, path: str) -> Any:
        """Return an object in full the first time, then a reference to it."""
        if id(value) in self.seen:
            return {"same": self.seen[id(value)][0]}
        number = len(self.seen)
        self.seen[id(value)] = number, value  # kept alive, so that its id is not reused
        return {"number": number, **self._object(value, path)}

    def _object(self, value: Any, path: str) -> dict[str, Any]:
        for name, given in self.names.items():
            if isinstance(value, Rep) and stands_for(given, value):
                return self._named(name, given, value, path)
        if isinstance(value, Group):
            return self._group(value, path)
        if isinstance(value, GeneratorRep):
            return self._rep_by_generators(value, path)
        if isinstance(value, Basis):
            arrays, metadata = to_arrays(value)
            for name, array in arrays.items():
                self._put(f"{path}.{name}", array)
            return {"basis": metadata, "at": path.lstrip(".")}
        if isinstance(value, IrrepSpace):
            value = value.written()
        kind = type(value).__name__
        saved = self.classes.get(kind)
        if saved is None or saved.kind is not type(value):
            return self._own(value, path)
        inner = {n: self.value(v, f"{path}.{n}") for n, v in saved.fields_of(value).items()}
        return {"class": kind, "fields": inner}

    def _own(self, value: Any, path: str) -> dict[str, Any]:
        """Return the parts of a user's module by path; its other attributes are not saved."""
        kind, framework = type(value).__name__, self.framework
        is_module = isinstance(value, framework.module)
        parts = framework.parts_of(value) if is_module else {}
        is_own = any(map(framework.is_layer, parts.values()))
        if is_own and self.takes_own:
            inner = [[at, self.value(part, f"{path}.{at}")] for at, part in parts.items()]
            return {"own": kind, "parts": inner}
        shown = _class_of(value)
        if isinstance(value, Rep):
            shown = f"{value!r}: give it by name, as names={{'P': P}}"
        elif is_own:
            shown += f", a module of your own, in this way: use {framework.package}.save"
        elif is_module:
            shown += f", which contains no layer of {framework.package}"
        raise InvalidRep(f"a model cannot be saved with {shown}")

    def _rep_by_generators(self, rep: GeneratorRep, path: str) -> dict[str, Any]:
        """Return the images that define a rep; a subspace is read as a plain rep with these."""
        images = {
            kind: [_image_arrays(image) for image in given]
            for kind, given in (("lie", rep.generators.lie), ("discrete", rep.generators.discrete))
        }
        return {
            "rep": {"name": rep.given_name, "size": rep.size()},
            "images": self.value(images, f"{path}.images"),
            "over": self.value(rep.G, f"{path}.G"),
        }

    def _named(self, name: str, given: Given, rep: Rep, path: str) -> dict[str, Any]:
        """Return the name of a custom rep, and the data that identify it on loading."""
        group = None if rep.G is None else self.value(rep.G, f"{path}.G")
        found = {"name": name, "images": image_prints(rep), "over": group}
        arrays, seen = dict(self.arrays), dict(self.seen)
        try:
            found["state"] = self.value(dict(vars(rep)), f"{path}.state")
        except (InvalidRep, TypeError) as error:
            self.arrays, self.seen = arrays, seen
            if isinstance(given, type):
                raise InvalidRep(
                    f"{rep!r} has attributes that cannot be saved: give the rep itself as "
                    f"names={{{name!r}: …}}, not its class ({error})"
                ) from error
        return found

    def _group(self, group: Group, path: str) -> dict[str, Any]:
        if _is_catalogued(group):
            return {"group": repr(group)}
        if isinstance(group, DirectProduct) and group._label:
            sides = [self.value(side, f"{path}.{i}") for i, side in enumerate(_sides(group))]
            return {"product": sides, "copy": list(group.copy_numbers)}
        generators = {
            "lie_algebra": [np.asarray(dense(a)) for a in group.lie_generators],
            "discrete_generators": [np.asarray(dense(h)) for h in group.group_generators],
        }
        numbers = {"copy": list(group.copy_numbers)} if group.copy_numbers else {}
        return {"generators": self.value(generators, f"{path}.group"), "d": group.d, **numbers}


def _class_of(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__name__}"


def _image_arrays(image: Generator) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Return the arrays of an image: a matrix, or the indices and signs of a permutation."""
    if not isinstance(image, Permutation):
        return {"matrix": np.asarray(dense(image))}
    signs = {} if image.signs is None else {"signs": image.signs}
    return {"indices": image.indices.astype(np.int64), **signs}


def _sides(group: DirectProduct) -> tuple[Group, Group]:
    original = group.unnumbered
    assert isinstance(original, DirectProduct)
    return original.left, original.right


def _is_catalogued(group: Group) -> bool:
    try:
        return parse_group(repr(group)) == group
    except IntertwineError:
        return False
