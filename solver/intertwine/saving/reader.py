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
from intertwine.saving.framework import Framework
from intertwine.saving.named_reps import Given, over, require_same, with_state
from intertwine.saving.reps_and_maps import REPS_AND_MAPS

_UNREADABLE = (
    *(IntertwineError, KeyError, TypeError, ValueError, AttributeError, IndexError),
    *(RecursionError, OverflowError),
)


def decode(
    framework: Framework,
    tree: Any,
    arrays: Mapping[str, Any],
    names: Mapping[str, Given] | None = None,
) -> Any:
    """Return the model that `encode` encoded. Raises `FormatError` for anything else, and
    `InvalidSetting` for weights that the framework is set not to hold (float64 in JAX).
    """
    try:
        model = _Reader(framework, arrays, names or {}).value(tree)
    except (FormatError, InvalidSetting):
        raise
    except _UNREADABLE as error:
        raise FormatError(f"this is not an intertwine model: {error!r}") from error
    if not isinstance(model, framework.layer):
        raise FormatError(f"this is not an intertwine model but a {type(model).__name__}")
    return model


class _Reader:
    def __init__(
        self, framework: Framework, arrays: Mapping[str, Any], names: Mapping[str, Given]
    ) -> None:
        self.framework, self.arrays, self.names = framework, arrays, names
        self.classes = {**REPS_AND_MAPS, **framework.classes}
        self.seen: dict[int, Any] = {}

    def value(self, tree: Any) -> Any:
        """Return the value that `_Writer.value` encoded."""
        if tree is None or isinstance(tree, bool | int | float | str):
            return tree
        if "complex" in tree:
            return complex(*tree["complex"])
        if "items" in tree:
            return tuple(map(self.value, tree["items"]))
        if "map" in tree:
            return {key: self.value(inner) for key, inner in tree["map"]}
        if "weights" in tree:
            return self.framework.from_numpy(self.arrays[tree["weights"]])
        if "constants" in tree:
            return np.array(self.arrays[tree["constants"]])
        if "same" in tree:
            return self.seen[tree["same"]]
        found = self.seen[tree["number"]] = self._object(tree)
        return found

    def _object(self, tree: Mapping[str, Any]) -> Any:
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
        return self._made(tree["class"], tree["fields"])

    def _made(self, kind: str, fields: Mapping[str, Any]) -> Any:
        """Return an object of a class with these fields."""
        if kind not in self.classes:
            raise FormatError(f"{self.framework.package} has no {kind!r}: {self.framework.remedy}")
        saved = self.classes[kind]
        values = {**saved.defaults, **{name: self.value(inner) for name, inner in fields.items()}}
        if {*values} != {*saved.names}:
            raise FormatError(f"a {kind} has other fields than {sorted(values)}")
        return saved.make({name: values[name] for name in saved.names})

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
