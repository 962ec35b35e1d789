"""The matrices with which the reps of a group are decomposed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.errors import InvalidRep
from intertwine.groups.enumeration import independent_generators
from intertwine.groups.group import Group
from intertwine.groups.lie_span import LieSpan
from intertwine.irreps.actions import Action, MatrixRep, adjoint
from intertwine.memory import require_memory
from intertwine.operators import dense, exponential
from intertwine.reps.generator_images import act_by_complex_numbers, images
from intertwine.reps.syntax import Rep

_UNITARY = 1e-12
_CLOSED = 1e-8
_FEW = 4
"""This many random elements of a compact group constrain like the whole (gap of an expander)."""
_LETTERS = 16
"""The generators in a random word. A product of m factors carries m rounding errors, so words are
short, although longer ones would mix better and save a few steps."""


def given_action(
    atom: Rep, span: LieSpan, combinations: Float[np.ndarray, "j k"], dtype: np.dtype[np.inexact]
) -> Action:
    """Return the images of an orthonormal basis of the Lie algebra, then of the discrete
    generators.

    Raises `TooLarge` if their dense matrices do not fit into memory, and `InvalidRep` for a complex
    atom if the dtype is real.
    """
    if not np.issubdtype(dtype, np.complexfloating) and act_by_complex_numbers([atom]):
        raise InvalidRep(f"{atom!r} is complex, and has no irreps over ℝ: leave is_complex out")
    found, n = images(atom), atom.size()
    count = len(found.lie) + len(found.discrete) + 1
    require_memory(2 * count * n * n * dtype.itemsize, f"{atom!r} in dense matrices")
    lie = [span.scaled(k, np.asarray(dense(a))) for k, a in enumerate(found.lie)]
    units = np.array(lie, dtype=dtype).reshape(len(lie), n, n)
    discrete = np.array([np.asarray(dense(h)) for h in found.discrete], dtype=dtype)
    matrices = [np.tensordot(combinations, units, (1, 0)), discrete.reshape(-1, n, n)]
    return Action(np.concatenate(matrices), len(combinations))


def is_unitary(action: Action) -> bool:
    """Return whether the Lie part is anti-Hermitian and the discrete part unitary."""
    lie, discrete = action.matrices[: action.lie_count], action.matrices[action.lie_count :]
    crooked = np.abs(lie + adjoint(lie)).max(initial=0.0)
    stretched = np.abs(discrete @ adjoint(discrete) - np.eye(action.size)).max(initial=0.0)
    return bool(max(crooked, stretched) <= _UNITARY)


@dataclass(frozen=True)
class SolvingPlan:
    """The elements that replace a group's generators while its reps are solved.

    `independent` are discrete generators that generate the same group as all of them. For a compact
    group a few random elements are used, each with a product of `exponentials` random elements of
    the Lie algebra: one if the generators' span is closed under brackets, else as many as there are
    generators, since exponentials of a span alone may miss most of its group.
    """

    is_compact: bool
    independent: tuple[int, ...]
    exponentials: int

    def constrain(self, given: Action) -> MatrixRep:
        """Return the rep with the constraints that it is solved with."""
        lie = range(given.lie_count)
        kept = given.select([*lie, *(given.lie_count + k for k in self.independent)])
        if self.is_compact and kept.count > _FEW and is_unitary(given):
            kept = Action(_random_elements(kept, self.exponentials), 0)
        return MatrixRep(given, kept)


def solving_plan(group: Group, base: Action) -> SolvingPlan:
    """Return the plan for a group, from the action on its base representation."""
    found = independent_generators(group)
    everything = tuple(range(len(group.group_generators)))
    independent = everything if found is None else found
    exponentials = 1 if _spans_an_algebra(base) else base.lie_count
    return SolvingPlan(is_unitary(base), independent, exponentials)


def _spans_an_algebra(base: Action) -> bool:
    """Return whether the bracket of two random elements of a Lie span is in it.

    The span is given by a basis as in `LieSpan.combinations`, whose real vectors are orthogonal and
    of equal length.
    """
    lie = base.matrices[: base.lie_count]
    if len(lie) < 2:
        return True
    rng = np.random.default_rng(12)
    x, y = np.tensordot(rng.standard_normal((2, len(lie))), lie, (1, 0)) / np.sqrt(len(lie))
    bracket, flat = x @ y - y @ x, lie.reshape(len(lie), -1)
    if np.iscomplexobj(flat):
        inside = np.linalg.lstsq(flat.T, bracket.ravel(), rcond=None)[0]
    else:  # orthonormal up to a factor
        inside = flat @ bracket.ravel() / np.vdot(flat[0], flat[0])
    outside = np.linalg.norm(inside @ flat - bracket.ravel())
    return bool(outside <= _CLOSED * np.linalg.norm(x) * np.linalg.norm(y))


def trivial_rep(
    group: Group,
    lie_count: int,
    dtype: np.dtype[np.inexact],
    plan: SolvingPlan,
) -> MatrixRep:
    """Return the trivial rep of size 1."""
    discrete = np.ones((len(group.group_generators), 1, 1), dtype=dtype)
    matrices = np.concatenate([np.zeros((lie_count, 1, 1), dtype=dtype), discrete])
    return plan.constrain(Action(matrices, lie_count))


def _random_elements(given: Action, exponentials: int) -> Inexact[np.ndarray, "r n n"]:
    """Return images of random elements of a compact group: words of bounded length in the discrete
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
        for _ in range(exponentials if len(lie) else 0):
            direction = np.tensordot(3 * rng.standard_normal(len(lie)), lie, (0, 0))
            element = element @ exponential(direction, "antihermitian")
        u, _, vh = np.linalg.svd(element)
        found.append(u @ vh)
    return np.array(found)


def _word(
    discrete: Inexact[np.ndarray, "l n n"], rng: np.random.Generator
) -> Inexact[np.ndarray, "n n"]:
    """Return a product of random generators and their adjoints."""
    word = np.eye(discrete.shape[1], dtype=discrete.dtype)
    for k in rng.integers(2 * len(discrete), size=_LETTERS):
        letter = discrete[k // 2]
        word = word @ (adjoint(letter) if k % 2 else letter)
    return word
