"""Group elements from random numbers that the caller draws: EMLP's sampling, under JAX too."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Inexact, Integer, Num

from intertwine.arrays import Array, is_jax, namespace
from intertwine.operators import LinearOperator, dense, exponential


def noise2samples(
    zs: Inexact[Any, "n K"],
    ks: Integer[Any, "n M R"],
    lie_algebra: Any,
    discrete_generators: Any,
    seed: int = 0,
) -> Num[Any, "n d d"]:
    """Return n group elements of shape (n, d, d), in the array library of `zs`.

    Element i is exp(Σₖ zs[i, k] Aₖ), times, in each of R rounds, the power ks[i, j, r] of each
    discrete generator hⱼ. `seed` determines the order of the generators in each round, which is
    the same for all elements. The function is pure, and works in `jax.jit` and `jax.vmap`.
    `lie_algebra` and `discrete_generators` are those of a `Group`.
    """
    xp = namespace(zs, ks)
    size = _size_of(lie_algebra, discrete_generators)
    algebra = _stacked(lie_algebra, size, xp, zs.dtype)
    steps = _stacked(discrete_generators, size, xp, zs.dtype)
    if len(algebra):
        elements = exponential_of(xp.tensordot(zs, algebra, axes=1))
    else:
        elements = xp.broadcast_to(xp.eye(size, dtype=steps.dtype), (len(ks), size, size))
    orders = np.random.default_rng(seed)
    for r in range(ks.shape[2]):
        for j in orders.permutation(len(steps)):
            elements = _times_powers(elements, steps[j], ks[:, j, r])
    return elements


def noise2sample(
    z: Inexact[Any, " K"],
    ks: Integer[Any, "M R"],
    lie_algebra: Any,
    discrete_generators: Any,
    seed: int = 0,
) -> Num[Any, "d d"]:
    """Return one group element of shape (d, d); see `noise2samples`."""
    return noise2samples(z[None], ks[None], lie_algebra, discrete_generators, seed)[0]


def exponential_of(matrices: Inexact[Any, "*n d d"]) -> Inexact[Any, "*n d d"]:
    """Return exp of a matrix, or of each in a stack, in its array library."""
    if not is_jax(matrices):
        return exponential(np.asarray(matrices))
    from jax.scipy.linalg import expm

    return expm(matrices)


def _size_of(*stacks: Any) -> int:
    shapes = [np.shape(stack) or stack.shape for stack in stacks if not _is_list(stack)]
    shapes += [item.shape for stack in stacks if _is_list(stack) for item in stack]
    return int(shapes[0][-1])


def _is_list(stack: Any) -> bool:
    return isinstance(stack, list | tuple)


def _stacked(generators: Any, size: int, xp: Any, dtype: Any) -> Array:
    """Return generators, which may be operators, as one array, complex if they are."""
    if not len(generators):
        return xp.zeros((0, size, size), dtype)
    given = [dense(g) if isinstance(g, LinearOperator) else g for g in generators]
    whole = xp.stack([xp.asarray(g) for g in given])
    is_complex = xp.issubdtype(whole.dtype, xp.complexfloating)
    return whole.astype(xp.result_type(dtype, xp.complex64) if is_complex else dtype)


def _times_powers(
    elements: Num[Any, "n d d"], step: Num[Any, "d d"], powers: Integer[Any, " n"]
) -> Num[Any, "n d d"]:
    """Return gᵢ h^kᵢ for each element. JAX need not know the powers when it compiles."""
    xp = namespace(elements, powers)
    inverse = xp.linalg.inv(step)

    def multiplied(i: Any, found: Array) -> Array:
        moved = xp.where((powers > 0)[:, None, None], found @ step, found @ inverse)
        return xp.where((i < abs(powers))[:, None, None], moved, found)

    if xp is np:
        for i in range(int(abs(powers).max(initial=0))):
            elements = multiplied(i, elements)
        return elements
    from jax.lax import fori_loop

    return fori_loop(0, abs(powers).max(initial=0), multiplied, elements)
