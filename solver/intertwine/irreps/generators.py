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
_LETTERS = 16
"""The generators in a random word. A product of m factors carries m rounding errors, so words are
short; longer ones would mix better, and save a few steps."""


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


def with_constraints(
    given: Action, group_is_compact: bool, independent: tuple[int, ...]
) -> MatrixRep:
    """The rep, to be solved with the Lie algebra and the `independent` ones of the discrete
    generators, or with a few random elements of a compact group where that is less or mixes better.
    """
    lie = range(given.lie_count)
    kept = given.select([*lie, *(given.lie_count + k for k in independent)])
    if group_is_compact and kept.count > _FEW and is_unitary(given):
        kept = Action(_random_elements(kept), 0)
    return MatrixRep(given, kept)


def trivial_rep(
    group: Group,
    lie_count: int,
    compact: bool,
    dtype: np.dtype[np.inexact],
    independent: tuple[int, ...],
) -> MatrixRep:
    """The trivial rep of size 1."""
    discrete = np.ones((len(group.group_generators), 1, 1), dtype=dtype)
    matrices = np.concatenate([np.zeros((lie_count, 1, 1), dtype=dtype), discrete])
    return with_constraints(Action(matrices, lie_count), compact, independent)


def _random_elements(given: Action) -> Inexact[np.ndarray, "r n n"]:
    """Images of random elements of a compact group: words of bounded length in the discrete
    generators, times exponentials of random Lie elements.

    Each discrete generator h gives h[a, b] with random words a and b: what these generate is all
    of the group up to commutators, where an abelian quotient such as (ℤ₂)⁵ needs as many elements
    as it has generators. The elements are the same for every rep of the group: words and
    coefficients are fixed.
    """
    rng = np.random.default_rng(11)
    lie, discrete = given.matrices[: given.lie_count], given.matrices[given.lie_count :]
    found = []
    for k in range(max(_FEW, len(discrete))):
        element = _word(discrete, rng) if len(discrete) else np.eye(given.size)
        if k < len(discrete):
            other = _word(discrete, rng)
            element = discrete[k] @ element @ other @ adjoint(element) @ adjoint(other)
        if len(lie):
            direction = np.tensordot(3 * rng.standard_normal(len(lie)), lie, (0, 0))
            element = element @ _exponential(direction)
        u, _, vh = np.linalg.svd(element)
        found.append(u @ vh)
    return np.array(found)


def _word(
    discrete: Inexact[np.ndarray, "l n n"], rng: np.random.Generator
) -> Inexact[np.ndarray, "n n"]:
    """A product of random generators and their adjoints."""
    word = np.eye(discrete.shape[1], dtype=discrete.dtype)
    for k in rng.integers(2 * len(discrete), size=_LETTERS):
        letter = discrete[k // 2]
        word = word @ (adjoint(letter) if k % 2 else letter)
    return word


def _exponential(matrix: Inexact[np.ndarray, "n n"]) -> Inexact[np.ndarray, "n n"]:
    """exp of an anti-Hermitian matrix."""
    values, vectors = np.linalg.eigh(1j * matrix)
    found = (vectors * np.exp(-1j * values)) @ adjoint(vectors)
    exponential: Inexact[np.ndarray, "n n"] = found if np.iscomplexobj(matrix) else found.real
    return exponential
