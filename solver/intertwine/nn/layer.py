"""What layers and networks have in common."""

from __future__ import annotations

import equinox as eqx


class Layer(eqx.Module):
    """A function of vectors that says its reps, `rep_in` and `rep_out`.

    It is hashed by identity (a plain `equinox.Module` by its arrays, which have no hash), so that
    ``jax.jit(model)`` is a compiled function, with the weights as constants. To train, take
    `equinox.filter_jit`, which takes them as arguments.
    """

    def __hash__(self) -> int:
        return id(self)
