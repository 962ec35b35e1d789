"""The base class of layers and networks."""

from __future__ import annotations

import equinox as eqx


class Layer(eqx.Module):
    """A function of vectors, with its reps `rep_in` and `rep_out`.

    It is hashed by identity (a plain `equinox.Module` by its arrays, which have no hash), so that
    ``jax.jit(model)`` is a compiled function with the weights as constants. For training use
    `equinox.filter_jit`, which takes the weights as arguments.
    """

    def __hash__(self) -> int:
        return id(self)
