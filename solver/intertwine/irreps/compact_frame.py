"""The frame in which a compact group is unitary, from an average of Hermitian forms.

The mean of gᴴg over a compact group is an invariant form X, and S = X^(−1/2) makes the group
unitary. The mean over random elements, applied again and again, converges to one geometrically,
whatever the group.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Inexact

from intertwine.irreps.actions import adjoint, norm
from intertwine.operators import exponential

_ELEMENTS = 4  # as many as an expander needs (see `generators`)
_LETTERS = 16
_EXPONENTIALS = 2
_STEPS = 2_000
_AT_A_TIME = 20  # steps between two checks of the error
_ROUNDING = 1e-15
_ROUNDS = 4
_UNBOUNDED = 1e12  # the norm of an element of a group that is not compact
_DONE = 1e-13  # a form this near the identity needs no further round


def unitary_frame(
    lie: Inexact[np.ndarray, "k d d"], discrete: Inexact[np.ndarray, "l d d"], worst: float
) -> Inexact[np.ndarray, "d d"] | None:
    """Return S, Hermitian and positive with det S = 1, such that S⁻¹GS is unitary; None if the
    averages do not converge, or the condition of S is above `worst`. The caller checks the result.
    """
    d = lie.shape[-1]
    s = np.eye(d, dtype=np.result_type(lie, discrete))
    # in a better frame, the averages have smaller rounding errors
    for _ in range(_ROUNDS):
        inverse = np.linalg.inv(s)
        form = _invariant_form(inverse @ lie @ s, inverse @ discrete @ s)
        if form is None:
            return None
        values, vectors = np.linalg.eigh(form)
        if not values[0] > 0:
            return None
        u, scales, _ = np.linalg.svd(s @ ((vectors / np.sqrt(values)) @ adjoint(vectors)))
        if not scales[0] / scales[-1] < worst:
            return None
        s = (u * (scales / np.exp(np.log(scales).mean()))) @ adjoint(u)  # only SSᴴ matters
        if values[-1] / values[0] - 1 < _DONE * len(values):
            break
    return s


def _invariant_form(
    lie: Inexact[np.ndarray, "k d d"], discrete: Inexact[np.ndarray, "l d d"]
) -> Inexact[np.ndarray, "d d"] | None:
    """Return the limit of repeated averages of gᴴXg over random elements, from X = 1; None if the
    elements are unbounded.
    """
    elements = _random_elements(lie, discrete)
    if not np.all(np.isfinite(elements)) or not norm(elements) < _UNBOUNDED:
        return None
    x, last = np.eye(lie.shape[-1], dtype=elements.dtype), np.inf
    for step in range(_STEPS):
        moved = (adjoint(elements) @ x @ elements).sum(0)
        moved = (moved + adjoint(moved)) / np.trace(moved).real / 2 * len(x)
        error = norm(moved - x) / norm(moved)
        x = moved
        if not np.isfinite(error):
            return None
        if error < _ROUNDING:
            break
        if step % _AT_A_TIME == 0:
            if not error < last / 2:
                break  # rounding, or slow convergence: the caller checks the result
            last = error
    return x


def _random_elements(
    lie: Inexact[np.ndarray, "k d d"], discrete: Inexact[np.ndarray, "l d d"]
) -> Inexact[np.ndarray, "n d d"]:
    """Return random elements: each discrete generator times a commutator of random words, or a
    random word, times exponentials of the Lie algebra's elements.
    """
    rng = np.random.default_rng(15)
    inverses = np.linalg.inv(discrete)
    letters = np.concatenate([discrete, inverses])

    def word() -> tuple[Inexact[np.ndarray, "d d"], Inexact[np.ndarray, "d d"]]:
        there = back = np.eye(lie.shape[-1], dtype=letters.dtype)
        for k in rng.integers(len(letters), size=_LETTERS if len(letters) else 0):
            there, back = there @ letters[k], letters[k - len(discrete)] @ back
        return there, back

    found = []
    for k in range(max(_ELEMENTS, len(discrete))):
        element, inverse = word()
        if k < len(discrete):
            other, its_inverse = word()
            element = discrete[k] @ element @ other @ inverse @ its_inverse
        for _ in range(_EXPONENTIALS if len(lie) else 0):
            element = element @ exponential(
                np.tensordot(3 * rng.standard_normal(len(lie)), lie, (0, 0))
            )
        found.append(element)
    return np.array(found)
