"""Judge whether a matrix's eigenvalues are near roots of unity, given their errors.

An eigenvalue is judged only where the matrix determines it: its condition κ, times an error of
`EXACT` in the matrix, bounds its own error. Eigenvalues of a defective block carry errors of
ε^(1/m), so only their mean is judged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float, Inexact

EXACT = 3e-12
"""Relative errors up to this occur in exact generators, from a dozen digits or a frame."""
MAX_ORDER = 360
"""The largest order that is recognised; rotations by whole degrees have such orders."""
SURPRISE = 1e-4
"""A phase of t turns within this / k² of j/k is near it, a tenth of that for k > `COMMON_ORDER`.
One in 2,600 random phases is near one of order up to `MAX_ORDER`."""
COMMON_ORDER = 24
"""Orders up to this are common in the groups that users define."""
SURPRISE_OF_PRODUCTS = 1e-5
"""The same for products of two generators: there are more of them."""
SURPRISE_OF_DIGITS = 1e-3
"""The same for generators of few digits, which certainly were rounded."""
_LOW_ORDER = 12  # as in crystals
_IDENTITY = 1e-5  # only smaller rotations are taken for rounding errors
_MODULUS = 1e-4  # a modulus nearer to 1 is taken for 1
_CLUSTER = 3e-3  # eigenvalues this close are judged together
_JUDGED = 1e-6  # eigenvalues of larger errors are not judged
_OBLIQUE_UP_TO = 40
"""The largest non-unitary matrix whose spectrum is judged."""
_ORDERS = np.arange(1, MAX_ORDER + 1)


@dataclass(frozen=True)
class NearRoot:
    """An eigenvalue that misses a root of unity, or the unit circle, by `distance`."""

    distance: float
    order: int | None
    """The root's order; None where only the modulus is near 1."""

    def __str__(self) -> str:
        if self.order is None:
            return f"has an eigenvalue of modulus 1 to {self.distance:.1e}, no better"
        what = "1" if self.order == 1 else f"a root of unity of order {self.order}"
        return f"has an eigenvalue that is {what} to {self.distance:.1e}, no better"


@dataclass(frozen=True)
class Spectrum:
    """The worst near miss among the eigenvalues of a matrix, and whether all are roots of unity."""

    miss: NearRoot | None
    is_of_finite_order: bool


def nearest_root(value: complex, surprise: float) -> tuple[complex, int] | None:
    """Return the root of unity of least order near a number, and its order."""
    distances, roots = _distances(value)
    bounds = 2 * np.pi * surprise / _ORDERS**2
    bounds[COMMON_ORDER:] /= 10
    bounds[0] = _IDENTITY
    numerators = np.rint(np.angle(value) / (2 * np.pi) * _ORDERS).astype(np.int64)
    bounds[np.gcd(numerators, _ORDERS) > 1] = -1.0  # a root of smaller order
    near = np.flatnonzero(distances <= bounds)
    return (complex(roots[near[0]]), int(_ORDERS[near[0]])) if near.size else None


def is_surprising(distance: float, order: int) -> bool:
    """Return whether elements of at most this order are nearer than chance explains."""
    surprise = 10.0 if order <= _LOW_ORDER else 1.0 if order <= COMMON_ORDER else 0.1
    return distance * order**2 <= 2 * np.pi * SURPRISE_OF_DIGITS * surprise


def judge_value(value: complex, error: float, surprise: float) -> NearRoot | bool:
    """Return a near miss, or whether the number is a root of unity up to its error."""
    if not abs(abs(value) - 1) <= 1e-2:
        return False
    if float(_distances(value)[0].min()) <= error:
        return True
    found = nearest_root(value, surprise)
    if found is not None:
        return NearRoot(abs(value - found[0]), found[1])
    modulus = abs(abs(value) - 1)
    return NearRoot(modulus, None) if error < modulus <= _MODULUS else False


def judge_unitary(matrix: Inexact[np.ndarray, "d d"], surprise: float) -> Spectrum:
    """Judge the spectrum of a unitary matrix: its eigenvalues have the matrix's own error."""
    values = np.linalg.eigvals(matrix)
    return _together([judge_value(complex(value), EXACT, surprise) for value in values])


def judge_oblique(matrix: Inexact[np.ndarray, "d d"], surprise: float) -> Spectrum:
    """Judge the spectrum of any other matrix, cluster by cluster."""
    if len(matrix) > _OBLIQUE_UP_TO:
        return Spectrum(None, False)
    from scipy.linalg import eig

    values, left, right = eig(matrix, left=True, right=True)
    overlaps = np.abs((left.conj() * right).sum(axis=0))
    with np.errstate(divide="ignore"):
        conditions = np.linalg.norm(left, axis=0) * np.linalg.norm(right, axis=0) / overlaps
    error = EXACT * float(np.linalg.norm(matrix, 2))
    verdicts: list[NearRoot | bool] = []
    for members in _clusters(values):
        if not np.abs(np.abs(values[members]) - 1).min() <= 2 * _CLUSTER:
            verdicts.append(False)
        elif len(members) > 1:
            verdicts += _judge_cluster(matrix, values, members, conditions, error, surprise)
        else:
            verdicts.append(_judge_single(values, conditions, members[0], error, surprise))
    return _together(verdicts)


def _judge_single(
    values: Complex[np.ndarray, " d"],
    conditions: Float[np.ndarray, " d"],
    index: int,
    error: float,
    surprise: float,
) -> NearRoot | bool:
    own = max(EXACT, error * float(conditions[index]))
    return judge_value(complex(values[index]), own, surprise) if own <= _JUDGED else False


def _judge_cluster(
    matrix: Inexact[np.ndarray, "d d"],
    values: Complex[np.ndarray, " d"],
    members: list[int],
    conditions: Float[np.ndarray, " d"],
    error: float,
    surprise: float,
) -> list[NearRoot | bool]:
    """Judge a cluster: a multiple eigenvalue, a defective block, or several eigenvalues.

    The block in an orthonormal basis of the cluster's invariant subspace distinguishes them.
    """
    block, projector = _invariant_block(matrix, values[members])
    mean, m = complex(np.trace(block) / len(members)), len(members)
    own = max(EXACT, error * projector) * m
    if not own <= _JUDGED:
        return [False]
    found = nearest_root(mean, surprise)
    if found is not None:
        root, order = found
        distance = float(np.linalg.norm(block - root * np.eye(m), 2))
        if distance <= own:
            return [True]
        if distance <= _IDENTITY:
            return [NearRoot(distance, order)]
    spread = float(np.abs(values[members] - mean).max())
    defect = float(np.linalg.norm(block - mean * np.eye(m), 2))
    if spread <= (10 * own * defect ** (m - 1)) ** (1 / m):  # as rounding spreads a Jordan block
        verdict = judge_value(mean, own, surprise)
        return [verdict if isinstance(verdict, NearRoot) else False]  # of infinite order
    return [_judge_single(values, conditions, index, error, surprise) for index in members]


def _invariant_block(
    matrix: Inexact[np.ndarray, "d d"], cluster: Complex[np.ndarray, " m"]
) -> tuple[Complex[np.ndarray, "m m"], float]:
    """Return the matrix on the invariant subspace of some eigenvalues, and its projector's norm."""
    from scipy.linalg import schur, solve_sylvester

    m = len(cluster)

    # a lambda: LAPACK's wrapper reads the number of arguments off the function's code
    belongs = lambda value: bool(np.abs(cluster - value).min() <= 1e-9 * max(1.0, abs(value)))  # noqa: E731
    triangle, _, count = schur(matrix.astype(np.complex128), output="complex", sort=belongs)
    if count != m:  # eigenvalues of the two computations differ: they are too ill-conditioned
        return triangle[:m, :m], np.inf
    if m == len(matrix):
        return triangle, 1.0
    coupling = solve_sylvester(triangle[:m, :m], -triangle[m:, m:], triangle[:m, m:])
    return triangle[:m, :m], float(np.hypot(1.0, np.linalg.norm(coupling, 2)))


def _clusters(values: Complex[np.ndarray, " d"]) -> list[list[int]]:
    """Return the indices of eigenvalues that lie together, by single linkage."""
    left, found = set(range(len(values))), []
    while left:
        members, new = [], [left.pop()]
        while new:
            members += new
            near = np.abs(values[:, None] - values[new]).min(axis=1) <= _CLUSTER
            new = [int(i) for i in np.flatnonzero(near) if int(i) in left]
            left -= set(new)
        found.append(sorted(members))
    return found


def _distances(value: complex) -> tuple[Float[np.ndarray, " k"], Complex[np.ndarray, " k"]]:
    """Return a number's distance from the nearest root of unity of each order, and these roots."""
    turns = np.angle(value) / (2 * np.pi)
    roots = np.exp(2j * np.pi * np.rint(turns * _ORDERS) / _ORDERS)
    return np.abs(value - roots), roots


def _together(verdicts: list[NearRoot | bool]) -> Spectrum:
    misses = [verdict for verdict in verdicts if isinstance(verdict, NearRoot)]
    worst = max(misses, key=lambda miss: miss.distance, default=None)
    return Spectrum(worst, all(verdict is True for verdict in verdicts))
