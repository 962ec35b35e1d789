"""The change of basis from a product of reps to irreps, as a product of small steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Inexact, Num

from intertwine.arrays import Array, constant, namespace, working_dtype
from intertwine.bases.storage import Put, read_count
from intertwine.errors import FormatError

#: For irreps λ and ν, by index: the maps λ ⊗ slot → ν, of shape (copies, d_ν, d_λ, slot).
Step = Mapping[int, Mapping[int, Inexact[np.ndarray, "_ _ _ _"]]]


class Transform:
    """Uᴴ of a unitary U: irreps → V₁ ⊗ … ⊗ V_p that is equivariant, applied slot by slot.

    Irreps are indices; the first step starts from 0, the trivial one. After step i there are
    `levels[i]` copies of each. Copies are ordered by the irrep they came from, then by its copy,
    then by the step's. Steps may omit irreps: then U is an isometry.
    """

    def __init__(self, sizes: Sequence[int], steps: Sequence[Step]) -> None:
        self.sizes, self.steps = tuple(sizes), tuple(steps)
        self.size = prod(self.sizes)
        self.dimensions = {0: 1}
        self.levels: list[dict[int, int]] = [{0: 1}]
        for step in self.steps:
            level: dict[int, int] = {}
            for irrep, copies in self.levels[-1].items():
                for target, maps in step.get(irrep, {}).items():
                    level[target] = level.get(target, 0) + copies * len(maps)
                    self.dimensions[target] = maps.shape[1]
            self.levels.append(dict(sorted(level.items())))

    @property
    def multiplicities(self) -> dict[int, int]:
        """The multiplicity of each irrep."""
        return self.levels[-1]

    def forward(self, x: Num[Any, "n c"]) -> dict[int, Num[Any, "_ _ _"]]:
        """Return Uᴴx, irrep by irrep."""
        xp, columns, rest = namespace(x), x.shape[1], self.size
        current = {0: x.reshape(1, 1, self.size * columns)}
        for size, step in zip(self.sizes, self.steps, strict=True):
            rest //= size
            parts: dict[int, list[Array]] = {}
            for irrep, y in current.items():
                copies, d = y.shape[0], y.shape[1]
                y = y.reshape(copies, d * size, rest * columns)
                for target, maps in step.get(irrep, {}).items():
                    new, dimension = maps.shape[:2]
                    flat = _cast(maps, x).reshape(new * dimension, d * size)
                    shape = (copies * new, dimension, rest * columns)
                    parts.setdefault(target, []).append((flat @ y).reshape(shape))
            current = {
                target: found[0] if len(found) == 1 else xp.concatenate(found)
                for target, found in sorted(parts.items())
            }
        return current

    def backward(self, y: Mapping[int, Num[Any, "_ _ _"]], columns: int) -> Num[Any, "n c"]:
        """Return Uy for the result y of `forward`, with this many columns."""
        current, rest = dict(y), columns
        for i in range(len(self.steps) - 1, -1, -1):
            size, taken = self.sizes[i], dict.fromkeys(self.levels[i + 1], 0)
            before: dict[int, Array] = {}
            for irrep, copies in self.levels[i].items():
                d, total = self.dimensions[irrep], None
                for target, maps in self.steps[i].get(irrep, {}).items():
                    new, dimension = maps.shape[:2]
                    start = taken[target]
                    taken[target] += copies * new
                    if target not in current:
                        continue
                    part = current[target][start : start + copies * new]
                    flat = _cast(maps, part).reshape(new * dimension, d * size).conj().T
                    moved = flat @ part.reshape(copies, new * dimension, rest)
                    total = moved if total is None else total + moved
                if total is not None:
                    before[irrep] = total.reshape(copies, d, size * rest)
            current, rest = before, rest * size
        if 0 not in current:
            raise ValueError("a transform without irreps cannot be applied backward")
        return current[0].reshape(self.size, columns)

    def only(self, irreps: set[int]) -> Transform:
        """Return the part that leads to some irreps."""
        steps: list[Step] = []
        for step in reversed(self.steps):
            kept = {
                irrep: {target: maps for target, maps in found.items() if target in irreps}
                for irrep, found in step.items()
            }
            kept = {irrep: found for irrep, found in kept.items() if found}
            irreps = set(kept)
            steps.append(kept)
        return Transform(self.sizes, steps[::-1])

    @property
    def arrays(self) -> list[Inexact[np.ndarray, "..."]]:
        """The distinct arrays of all steps."""
        found = {
            id(maps): maps for step in self.steps for by in step.values() for maps in by.values()
        }
        return list(found.values())

    def write(self, put: Put) -> dict[str, Any]:
        """Write the slots' sizes, and for each step its maps as [λ, ν, array]."""
        names: dict[int, str] = {}
        for maps in self.arrays:
            names[id(maps)] = put("maps", maps)
        steps = [
            [
                [irrep, target, names[id(maps)]]
                for irrep, found in sorted(step.items())
                for target, maps in sorted(found.items())
            ]
            for step in self.steps
        ]
        return {"sizes": list(self.sizes), "steps": steps}

    @classmethod
    def read(cls, meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> Transform:
        """Read the transform that `write` described. Raises `FormatError` if its shapes do not
        match.
        """
        sizes = [read_count(size, "the size of a slot", 1) for size in meta["sizes"]]
        dimensions, steps = {0: 1}, []
        for size, listed in zip(sizes, meta["steps"], strict=True):
            step: dict[int, dict[int, Any]] = {}
            reached: dict[int, int] = {}
            for irrep, target, name in listed:
                maps = arrays[name]
                source = dimensions[read_count(irrep, "an irrep")]
                if maps.ndim != 4 or maps.shape[2:] != (source, size) or 0 in maps.shape:
                    raise FormatError(
                        f"maps of shape {maps.shape} are not (m, d, {source}, {size})"
                    )
                dimension = maps.shape[1]
                if reached.setdefault(read_count(target, "an irrep"), dimension) != dimension:
                    raise FormatError(f"the irrep {target} has two dimensions")
                step.setdefault(irrep, {})[target] = maps
            steps.append(step)
            dimensions = reached
        return cls(sizes, steps)


def _cast(maps: Inexact[np.ndarray, "..."], like: Array) -> Array:
    return constant(maps, like, working_dtype(like, maps.dtype))
