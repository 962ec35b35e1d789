"""Layers one after another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from intertwine.errors import InvalidRep, NotEquivariant


def require_chain(layers: Sequence[Any]) -> None:
    """Raise `NotEquivariant` for a layer without reps, and `InvalidRep` unless the output rep of
    each layer is the input rep of the next, and for no layer at all.
    """
    if not layers:
        raise InvalidRep("a Sequential needs at least one layer")
    for layer in layers:
        if not (hasattr(layer, "rep_in") and hasattr(layer, "rep_out")):
            raise NotEquivariant(
                f"{layer!r} has no rep_in and rep_out: take GatedNonlinearity, or Pointwise if "
                f"coordinates are only permuted"
            )
    for before, after in pairwise(layers):
        if before.rep_out != after.rep_in:
            raise InvalidRep(
                f"{before!r} gives {before.rep_out!r}, and {after!r} takes {after.rep_in!r}"
            )
