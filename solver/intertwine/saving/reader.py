"""Models from plain data. Reading executes no code: classes are looked up in fixed lists, and
groups and reps are values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped

from intertwine.bases.format import from_arrays
from intertwine.errors import FormatError, IntertwineError, InvalidSetting
from intertwine.groups import Group, parse_group
from intertwine.groups.generators import Generator
from intertwine.operators import Permutation
from intertwine.reps import Rep
from intertwine.reps.generator_images import Images
from intertwine.reps.generator_rep import GeneratorRep
from intertwine.saving.framework import SavedFramework
from intertwine.saving.likeness import REMEDY, children, place, require_alike
from intertwine.saving.named_reps import Given, over, require_same, with_state
from intertwine.saving.reps_and_maps import REPS_AND_MAPS

_UNREADABLE = (
    *(IntertwineError, KeyError, TypeError, ValueError, AttributeError, IndexError),
    *(RecursionError, OverflowError),
)


def decode(
    framework: SavedFramework,
    tree: Any,
    arrays: Mapping[str, Any],
    names: Mapping[str, Given] | None = None,
    like: Any = None,
) -> Any:
    """Return the model that `encode` encoded. Users' own modules are copies of those in `like`, a
    model of the same structure, with the saved parts.

    Raises `FormatError` for anything else, also for another structure than that of `like`, and
    `InvalidSetting` for weights that the framework is set not to hold (float64 in JAX).
    """
    try:
        reader = _Reader(framework, arrays, names or {})
        model = reader.value(tree) if like is None else reader.alike(tree, like, "")
    except (FormatError, InvalidSetting):
        raise
    except _UNREADABLE as error:
        raise FormatError(f"this is not an intertwine model: {error!r}") from error
    if not isinstance(model, framework.layer if like is None else framework.module):
        raise FormatError(f"this is not an intertwine model but a {type(model).__name__}")
    return model


class _Reader:
    def __init__(
        self, framework: SavedFramework, arrays: Mapping[str, Any], names: Mapping[str, Given]
    ) -> None:
        self.framework, self.arrays, self.names = framework, arrays, names
        self.classes = {**REPS_AND_MAPS, **framework.classes}
        self.seen: dict[int, Any] = {}

    def value(self, tree: Any, like: Any = None, path: str = "") -> Any:
        """Return the value that `_Writer.value` encoded. `like` is what `like` of `decode` has at
        this path, if anything.
        """
        if tree is None or isinstance(tree, bool | int | float | str):
            return tree
        if "complex" in tree:
            return complex(*tree["complex"])
        if "items" in tree:
            given = children(like)
            return tuple(
                self.value(inner, given.get(str(i)), f"{path}.{i}")
                for i, inner in enumerate(tree["items"])
            )
        if "map" in tree:
            return {key: self.value(inner) for key, inner in tree["map"]}
        if "weights" in tree:
            return self.framework.from_numpy(self.arrays[tree["weights"]])
        if "constants" in tree:
            return np.array(self.arrays[tree["constants"]])
        if "same" in tree:
            return self.seen[tree["same"]]
        found = self.seen[tree["number"]] = self._object(tree, like, path)
        return found

    def alike(self, tree: Any, like: Any, path: str) -> Any:
        """Return the value, which must have the structure of `like`, on the device of that."""
        found = self.value(tree, like, path)
        require_alike(self.framework, found, like, path)
        return self.framework.placed(found, like)

    def _object(self, tree: Mapping[str, Any], like: Any, path: str) -> Any:
        if "rep" in tree:
            return self._rep_by_generators(tree)
        if "name" in tree:
            return self._named(tree)
        if "group" in tree:
            return parse_group(tree["group"])
        if "product" in tree:
            left, right = map(self.value, tree["product"])
            return (left * right).numbered(tree["copy"]) if tree["copy"] else left * right
        if "generators" in tree:
            group = Group(**self.value(tree["generators"]), d=tree["d"])
            return group.numbered(tree["copy"]) if "copy" in tree else group
        if "basis" in tree:
            prefix = f"{tree['at']}."
            own = {n[len(prefix) :]: a for n, a in self.arrays.items() if n.startswith(prefix)}
            return from_arrays(own, tree["basis"])
        if "own" in tree:
            return self._own(tree, like, path)
        return self._made(tree["class"], tree["fields"], like, path)

    def _made(self, kind: str, fields: Mapping[str, Any], like: Any, path: str) -> Any:
        """Return an object of a class with these fields."""
        if kind not in self.classes:
            raise FormatError(f"{self.framework.package} has no {kind!r}: {self.framework.remedy}")
        saved, values = self.classes[kind], {}
        given = saved.fields_of(like) if type(like) is saved.kind else {}
        for name, inner in fields.items():
            values[name] = self.value(inner, given.get(name), f"{path}.{name}")
        values = {**saved.defaults, **values}
        if {*values} != {*saved.names}:
            raise FormatError(f"a {kind} has other fields than {sorted(values)}")
        return saved.make({name: values[name] for name in saved.names})

    def _own(self, tree: Mapping[str, Any], like: Any, path: str) -> Any:
        """Return a copy of a user's own module with the saved parts."""
        kind, framework, where = tree["own"], self.framework, place(path)
        if like is None:
            raise FormatError(
                f"{where} is a module of your own, {kind!r}, and the file has only its layers and "
                f"arrays: make one, and give it as like=…"
            )
        if framework.is_layer(like) or not isinstance(like, framework.module):
            raise FormatError(
                f"{where} is a module of your own, {kind!r}, in the file, and of class "
                f"{type(like).__name__} in `like`: {REMEDY}"
            )
        given, saved = framework.parts_of(like), dict(tree["parts"])
        for name in sorted({*given} ^ {*saved}):
            has = "the file, and not in `like`" if name in saved else "`like`, and not in the file"
            raise FormatError(f"{place(f'{path}.{name}')} is in {has}: {REMEDY}")
        parts = {}
        for at, inner in saved.items():
            parts[at] = self.alike(inner, given[at], f"{path}.{at}")
        return framework.with_parts(like, framework.is_layer, parts)

    def _rep_by_generators(self, tree: Mapping[str, Any]) -> GeneratorRep:
        group, given = self.value(tree["over"]), self.value(tree["images"])
        lie, discrete = (tuple(map(_image_of, given[kind])) for kind in ("lie", "discrete"))
        size, counts = tree["rep"]["size"], (len(lie), len(discrete))
        if counts != (len(group.lie_generators), len(group.group_generators)) or any(
            image.shape != (size, size) for image in (*lie, *discrete)
        ):
            raise FormatError(
                f"a rep of size {size} over {group!r} has images of wrong shapes, or a wrong "
                f"number of them: save the model again"
            )
        return GeneratorRep(group, Images(lie, discrete), size, tree["rep"]["name"])

    def _named(self, tree: Mapping[str, Any]) -> Rep:
        name = tree["name"]
        if name not in self.names:
            raise FormatError(
                f"the model uses the custom rep {name!r}: give it as names={{{name!r}: …}}"
            )
        given, group = self.names[name], self.value(tree.get("over"))
        state = self.value(tree.get("state"))
        if not isinstance(given, type):
            rep = over(given, group)
        elif state is not None:
            rep = with_state(given, state)
        else:
            raise FormatError(
                f"{name!r} is given as a class, and its attributes were not saved: give the rep "
                f"itself, as names={{{name!r}: {given.__name__}(…)}}"
            )
        require_same(name, rep, tree.get("images"))
        return rep


def _image_of(arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> Generator:
    if "matrix" in arrays:
        return arrays["matrix"]
    return Permutation(arrays["indices"], arrays.get("signs"))
