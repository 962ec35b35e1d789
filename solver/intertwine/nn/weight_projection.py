"""The paper's bilinear layer as a function, for layers of one's own."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import jax.numpy as jnp
from jaxtyping import Inexact

from intertwine.architecture.paper_maps import PaperMaps, paper_maps_of
from intertwine.arrays import Array
from intertwine.errors import InvalidRep
from intertwine.nn.layer import compiled, rows
from intertwine.reps import Rep

#: (coordinates, x) ↦ the matrices W(x) for each vector of x.
WeightProjection = Callable[[Any, Any], Inexact[Array, "*batch m n"]]


def bilinear_weights(rep_out: Rep, rep_in: Rep) -> tuple[int, WeightProjection]:
    """Return the number of coordinates c of the paper's bilinear layer, and a function (c, x) ↦ W.

    For x of shape (…, n) it returns W of shape (…, m, n): equivariant matrices made of the
    components of x, W(ρ_in(g)x) = ρ_out(g)W(x)ρ_in(g)⁻¹. So x ↦ W(x)x is equivariant and quadratic
    (Finzi, Welling and Wilson 2021, §6.2). `BiLinear` computes W(x)x without W. Both reps need
    their groups, which may be several. (EMLP's function; note that `rep_out` comes first.)
    """
    maps = paper_maps_of(rep_in, rep_out)
    shapes = {name: shape for name, (shape, _) in maps.weight_spec.items()}
    count = sum(map(prod, shapes.values()))

    def project(coordinates: Any, x: Any) -> Inexact[Array, "*batch m n"]:
        given = jnp.asarray(coordinates)
        if given.shape != (count,):
            raise InvalidRep(
                f"the bilinear maps from {rep_in!r} to {rep_out!r} have {count:,} coordinates, "
                f"and the array the shape {given.shape}"
            )
        weights, at = {}, 0
        for name, shape in shapes.items():
            weights[name] = given[at : at + prod(shape)].reshape(shape)
            at += prod(shape)
        flat, batch = rows(x, rep_in.size(), rep_in)
        return batch.images(compiled(PaperMaps.matrices, maps, weights, flat))

    return count, project
