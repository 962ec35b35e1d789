"""The base class of layers and networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax


class Layer(eqx.Module):
    """A function of vectors, with its reps `rep_in` and `rep_out`.

    It is hashed by identity (a plain `equinox.Module` by its arrays, which have no hash), so that
    ``jax.jit(model)`` is a compiled function with the weights as constants. For training use
    `equinox.filter_jit`, which takes the weights as arguments.
    """

    def __hash__(self) -> int:
        return id(self)


def compiled(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return function(*arguments), compiled for their shapes unless they are traced already.

    Called eagerly, each small operation of a network would be a program of its own. Compiling one
    program takes no longer than compiling those, and it runs about 30 times as fast.
    """
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(arguments)):
        return function(*arguments)
    return _compiled(function, *arguments)


@eqx.filter_jit
def _compiled(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)
