"""Models as StableHLO programs, which run without intertwine, by `jax.export`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from intertwine.errors import InvalidRep, Unavailable
from intertwine.nn.settings import working
from intertwine.reps.generator_images import act_by_complex_numbers
from intertwine.reps.syntax import atoms


def export(
    model: Any, path: str | os.PathLike[str] | None = None, *, platforms: Sequence[str] = ("cpu",)
) -> bytes:
    """Return the model as StableHLO for any batch size, weights included. Write it to `path` if
    given.

    ``jax.export.deserialize(blob).call(x)`` runs it in any process that has JAX, for x of shape
    (batch, n) in the dtype of the weights, or the complex one if the rep is complex. `platforms`
    are among "cpu", "cuda", "rocm" and "tpu". JAX keeps such programs readable for some months, not
    for years: use `save` for storage. Raises `Unavailable` if the package flatbuffers is missing.
    """
    if not (callable(model) and hasattr(model, "rep_in")):
        raise InvalidRep(f"{model!r} cannot be exported: give a model with rep_in")
    from jax import export as jax_export

    weights = [leaf for leaf in jax.tree.leaves(model) if eqx.is_inexact_array(leaf)]
    is_complex = act_by_complex_numbers(atoms(model.rep_in))
    dtype = working(weights[0].dtype if weights else None, is_complex)
    (batch,) = jax_export.symbolic_shape("batch")
    x = jax.eval_shape(lambda: jnp.zeros((batch, model.rep_in.size()), dtype))
    program = jax_export.export(jax.jit(lambda x: model(x)), platforms=list(platforms))(x)
    try:
        blob = bytes(program.serialize())
    except ImportError as error:
        raise Unavailable(
            "exporting needs the package flatbuffers: pip install 'intertwine[nn]'"
        ) from error
    if path is not None:
        Path(path).write_bytes(blob)
    return blob
