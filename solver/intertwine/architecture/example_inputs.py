"""Inputs for exporting a model, and for checking the exported program."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.architecture.initialization import example_vectors
from intertwine.arrays import Array
from intertwine.errors import InvalidRep
from intertwine.reps.generator_images import act_by_complex_numbers
from intertwine.reps.syntax import atoms

PYTORCH_ENDINGS = (".onnx", ".pt2")
"""Endings of files that PyTorch writes."""
_ROWS = 7
BATCHES = (1, 5)
"""The sizes of the batches with which an exported program is compared to its model."""


def random_inputs(model: Any) -> Inexact[np.ndarray, "b n"]:
    """Return a few standard normal vectors of the model's `rep_in` in double precision, the same in
    each call. They are complex if the rep acts by complex matrices.

    Raises `InvalidRep` for a model without `rep_in`.
    """
    if not (callable(model) and hasattr(model, "rep_in")):
        raise InvalidRep(
            f"{_named(model)} cannot be exported: give a model with rep_in, or example=x, a batch "
            f"of its inputs"
        )
    rep = model.rep_in
    return example_vectors(rep.size(), act_by_complex_numbers(atoms(rep)))[:_ROWS]


def as_batches(example: Any) -> tuple[Array, ...]:
    """Return the arrays of an example: one array, or a tuple or list with an array per argument.

    Raises `InvalidRep` unless their first axes have one size, at least two.
    """
    arrays = tuple(example) if isinstance(example, tuple | list) else (example,)
    shapes = [tuple(getattr(array, "shape", ())) for array in arrays]
    counts = {shape[:1] for shape in shapes}
    if len(counts) != 1 or () in counts or min(counts)[0] < 2:
        found = ", ".join(map(str, shapes)) or "no array"
        raise InvalidRep(
            f"an example is an array with a batch of at least two inputs as its first axis, or a "
            f"tuple of such arrays with one batch; found {found}"
        )
    return arrays


def batch_of(arrays: tuple[Array, ...], count: int) -> tuple[Array, ...]:
    """Return a batch of this many of the inputs, repeated if there are fewer."""
    places = np.arange(count) % len(arrays[0])
    return tuple(array[places] for array in arrays)


def _named(model: Any) -> str:
    return f"a model of class {type(model).__qualname__}" if callable(model) else repr(model)
