"""The matrices with which the reps of a group are decomposed."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.groups.group import Group
from intertwine.groups.lie_span import LieSpan
from intertwine.irreps.actions import Action, MatrixRep, adjoint
from intertwine.memory import require_memory
from intertwine.operators import dense
from intertwine.reps.generator_images import images
from intertwine.reps.syntax import Rep

_UNITARY = 1e-12
_FEW = 4
"""So many random elements of a compact group constrain like the whole: an expander's gap."""
_MIXING = 60
_BETWEEN = 15


def given_action(
    atom: Rep, span: LieSpan, combinations: Float[np.ndarray, "j k"], dtype: np.dtype[np.inexact]
) -> Action:
    """The images of an orthonormal basis of the Lie algebra, then of the discrete generators.

    Raises `TooLarge` where their dense matrices do not fit into memory.
    """
    found, n = images(atom), atom.size()
    count = len(found.lie) + len(found.discrete) + 1
    require_memory(2 * count * n * n * dtype.itemsize, f"{atom!r} in dense matrices")
    lie = [span.scaled(k, np.asarray(dense(a))) for k, a in enumerate(found.lie)]
    units = np.array(lie, dtype=dtype).reshape(len(lie), n, n)
    discrete = np.array([np.asarray(dense(h)) for h in found.discrete], dtype=dtype)
    matrices = [np.tensordot(combinations, units, (1, 0)), discrete.reshape(-1, n, n)]
    return Action(np.concatenate(matrices), len(combinations))


def is_unitary(action: Action) -> bool:
    """Whether the Lie part is anti-Hermitian and the discrete one unitary: of a compact group."""
    lie, discrete = action.matrices[: action.lie_count], action.matrices[action.lie_count :]
    crooked = np.abs(lie + adjoint(lie)).max(initial=0.0)
    stretched = np.abs(discrete @ adjoint(discrete) - np.eye(action.size)).max(initial=0.0)
    return bool(max(crooked, stretched) <= _UNITARY)


def with_constraints(given: Action, group_is_compact: bool) -> MatrixRep:
    """The rep, to be solved with a few random elements where there are many generators."""
    if not group_is_compact or given.count <= _FEW or not is_unitary(given):
        return MatrixRep(given, given)
    return MatrixRep(given, Action(_random_elements(given), 0))


def trivial_rep(
    group: Group, lie_count: int, compact: bool, dtype: np.dtype[np.inexact]
) -> MatrixRep:
    """The trivial rep of size 1."""
    discrete = np.ones((len(group.group_generators), 1, 1), dtype=dtype)
    matrices = np.concatenate([np.zeros((lie_count, 1, 1), dtype=dtype), discrete])
    return with_constraints(Action(matrices, lie_count), compact)


def _random_elements(given: Action) -> Inexact[np.ndarray, "r n n"]:
    """Images of random elements of a compact group: by product replacement (Celler and others,
    1995) from the discrete generators, times exponentials of random Lie elements.

    Each discrete generator h gives h[a, b] with random a and b: what these generate is all of
    the group up to commutators, where an abelian quotient such as (ℤ₂)⁵ needs as many elements as
    it has generators. The elements are the same for every rep of the group: words and
    coefficients are fixed.
    """
    rng = np.random.default_rng(11)
    lie, discrete = given.matrices[: given.lie_count], given.matrices[given.lie_count :]
    slots = list(discrete) * (1 + 10 // max(1, len(discrete)))
    walk, found = np.eye(given.size, dtype=given.matrices.dtype), []

    def advance(steps: int) -> Inexact[np.ndarray, "n n"]:
        nonlocal walk
        for _ in range(steps if slots else 0):
            i, j = rng.choice(len(slots), 2, replace=False)
            slots[i] = slots[i] @ (slots[j] if rng.random() < 0.5 else adjoint(slots[j]))
            walk = walk @ slots[i]
        return walk

    advance(_MIXING)
    for k in range(max(_FEW, len(discrete))):
        element = advance(_BETWEEN)
        if k < len(discrete):
            other = advance(_BETWEEN)
            element = discrete[k] @ element @ other @ adjoint(element) @ adjoint(other)
        if len(lie):
            direction = np.tensordot(3 * rng.standard_normal(len(lie)), lie, (0, 0))
            element = element @ _exponential(direction)
        u, _, vh = np.linalg.svd(element)
        found.append(u @ vh)
    return np.array(found)


def _exponential(matrix: Inexact[np.ndarray, "n n"]) -> Inexact[np.ndarray, "n n"]:
    """exp of an anti-Hermitian matrix."""
    values, vectors = np.linalg.eigh(1j * matrix)
    found = (vectors * np.exp(-1j * values)) @ adjoint(vectors)
    exponential: Inexact[np.ndarray, "n n"] = found if np.iscomplexobj(matrix) else found.real
    return exponential
