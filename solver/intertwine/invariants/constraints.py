"""The constraints C of a problem as one operator, applied slot by slot.

C stacks dρ(A′ₖ) for an orthonormal basis A′ₖ of the Lie span and (ρ(h) − 1) / max(1, ‖ρ(h)‖).
Neighbouring slots are joined while their product stays small: one matrix of size 64 is applied
faster than six of size 2.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.arrays import Array
from intertwine.invariants.backends import Backend
from intertwine.invariants.problem import Problem, Slots, spectral_norms
from intertwine.invariants.tolerances import Tolerances

_JOINED = 64
_TOGETHER, _AT_ONCE = 256, 2**18
"""Generators, and entries of their images, that are computed together: for short vectors a call
for each takes longer than the product."""


@dataclass(frozen=True)
class Constraints:
    """The blocks of C: matrices of shape (K, mᵢ, mᵢ) for each joined slot i.

    `scale` bounds ‖C‖. `weights` are the divisors of the discrete blocks.
    """

    sizes: tuple[int, ...]
    lie: tuple[Array, ...]
    discrete: tuple[Array, ...]
    weights: tuple[float, ...]
    scale: float

    @property
    def count(self) -> int:
        """The number of blocks of C."""
        return (len(self.lie[0]) if self.lie else 0) + len(self.weights)


def build_constraints(problem: Problem, backend: Backend, tolerances: Tolerances) -> Constraints:
    """Return the constraints of a problem from independent generators, on a backend."""
    lie = list(problem.independent_lie(tolerances))
    return _stacked(problem, lie, problem.independent_discrete, backend.put)


def constraints_as_given(problem: Problem) -> Constraints:
    """Return the constraints of all generators as given, each scaled to norm 1, in NumPy."""
    lie = [problem.unit_lie(k) for k in range(problem.lie_count)]
    found = _stacked(problem, lie, range(problem.discrete_count), np.asarray)
    return replace(found, scale=found.scale or 1.0)  # nonzero, since it is a divisor


def remaining_constraints(
    problem: Problem, combinations: Float[np.ndarray, "j k"], discrete: Sequence[int]
) -> Constraints:
    """Return the constraints of combinations of the Lie generators (each scaled to norm 1), and of
    some of the discrete ones, in NumPy.
    """
    lie = list(problem.combined_lie(combinations))
    return _stacked(problem, lie, discrete, np.asarray)


def _stacked(
    problem: Problem, lie: Sequence[Slots], discrete: Sequence[int], put: Callable[[Any], Array]
) -> Constraints:
    spans = joined_slots(problem.sizes)
    weights = tuple(1 / max(1.0, problem.discrete_norm(k)) for k in discrete)
    square = sum(sum(spectral_norms(slots)) ** 2 for slots in lie)
    square += sum((1 + weight) ** 2 for weight in weights)

    def joined(generators: Sequence[Slots], join: Any) -> tuple[Array, ...]:
        if not generators:
            return ()
        return tuple(
            put(np.stack([reduce(join, slots[start:stop]) for slots in generators]))
            for start, stop in spans
        )

    return Constraints(
        sizes=tuple(prod(problem.sizes[start:stop]) for start, stop in spans),
        lie=joined(lie, kron_sum),
        discrete=joined([problem.discrete(k) for k in discrete], np.kron),
        weights=weights,
        scale=float(np.sqrt(square)),
    )


def joined_slots(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return groups of neighbouring slots of bounded joint size, as (start, stop)."""
    spans: list[tuple[int, int]] = []
    for slot in range(len(sizes)):
        if spans and prod(sizes[spans[-1][0] : slot + 1]) <= _JOINED:
            spans[-1] = (spans[-1][0], slot + 1)
        else:
            spans.append((slot, slot + 1))
    return spans


def joined_lie(slots: Slots, sizes: Sequence[int]) -> tuple[Slots, tuple[int, ...]]:
    """Return a Lie generator's matrices with neighbouring slots joined, and the joined sizes."""
    spans = joined_slots(sizes)
    joined = tuple(reduce(kron_sum, slots[start:stop]) for start, stop in spans)
    return joined, tuple(len(matrix) for matrix in joined)


def kron_sum(
    left: Inexact[np.ndarray, "m m"], right: Inexact[np.ndarray, "n n"]
) -> Inexact[np.ndarray, "mn mn"]:
    """left ⊗ 1 + 1 ⊗ right."""
    return np.kron(left, np.eye(len(right))) + np.kron(np.eye(len(left)), right)


def in_slot(matrix: Array, slot: int, sizes: tuple[int, ...], x: Array) -> Array:
    """Apply a matrix to one slot of x, of shape (n, k)."""
    before = prod(sizes[:slot])
    return (matrix @ x.reshape(before, sizes[slot], -1)).reshape(x.shape)


def apply_lie(slots: Sequence[Array], sizes: tuple[int, ...], x: Array) -> Array:
    """Apply the sum of the slots' matrices, each in its slot."""
    if not slots:
        return 0 * x
    return reduce(operator.add, (in_slot(m, i, sizes, x) for i, m in enumerate(slots)))


def apply_discrete(slots: Sequence[Array], sizes: tuple[int, ...], x: Array) -> Array:
    """Apply the product of the slots' matrices, each in its slot."""
    for i, matrix in enumerate(slots):
        x = in_slot(matrix, i, sizes, x)
    return x


def images_under(constraints: Constraints, x: Array) -> Iterator[Array]:
    """Yield Cx block by block."""
    for k in range(len(constraints.lie[0]) if constraints.lie else 0):
        yield apply_lie([stack[k] for stack in constraints.lie], constraints.sizes, x)
    for k, weight in enumerate(constraints.weights):
        slots = [stack[k] for stack in constraints.discrete]
        yield weight * (apply_discrete(slots, constraints.sizes, x) - x)


def gradient(constraints: Constraints, x: Array) -> tuple[Array, Array]:
    """Return CᴴCx and ‖Cxⱼ‖² for each column j, block by block: Cx, K times as large, is never
    stored.
    """
    total = 0 * x
    squares = abs(total[:1]).sum(axis=0)
    count = len(constraints.lie[0]) if constraints.lie else 0
    together = max(1, min(_TOGETHER, _AT_ONCE // max(1, x.size)))
    for k in range(0, count, together):
        slots = [stack[k : k + together] for stack in constraints.lie]
        y = reduce(operator.add, (_in_slots(m, i, constraints, x) for i, m in enumerate(slots)))
        squares = squares + (abs(y) ** 2).sum(axis=(0, 1))
        for i, m in enumerate(slots):
            total = total + _in_slots(adjoint(m), i, constraints, y).sum(axis=0)
    for k, weight in enumerate(constraints.weights):
        slots = [stack[k] for stack in constraints.discrete]
        y = weight * (apply_discrete(slots, constraints.sizes, x) - x)
        squares = squares + (abs(y) ** 2).sum(axis=0)
        back = apply_discrete([adjoint(m) for m in slots], constraints.sizes, y)
        total = total + weight * (back - y)
    return total, squares


def _in_slots(matrices: Array, slot: int, constraints: Constraints, x: Array) -> Array:
    """Apply j matrices to one slot of x, of shape (n, k), or each to its own x: (j, n, k)."""
    sizes, shape = constraints.sizes, x.shape[-2:]
    before, after = prod(sizes[:slot]), prod(sizes[slot + 1 :]) * shape[1]
    own = x.shape[:-2] or (1,)
    if after == 1:  # one product for all rows
        y = x.reshape(*own, before, sizes[slot]) @ matrices.swapaxes(1, 2)
    else:
        y = matrices[:, None] @ x.reshape(*own, before, sizes[slot], after)
    return y.reshape(len(matrices), *shape)


def adjoint(matrices: Array) -> Array:
    """Return Mᴴ; of real matrices without a copy, which `conj` makes of NumPy's."""
    swapped = matrices.swapaxes(-1, -2)
    return swapped.conj() if matrices.dtype.kind == "c" else swapped
