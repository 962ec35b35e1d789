"""The frame in which a reductive group is closed under adjoints (Mostow, 1955), by descent along
geodesics (Kempf and Ness, 1979).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.irreps.actions import adjoint, norm
from intertwine.irreps.matrix_spans import openness, orthonormal_span
from intertwine.operators import exponential

_STEPS = 200
_SMALL_GRADIENT = 1e-13
_NEARLY_THERE = 1e-6  # gradients below that no longer fall for some steps are at their end
_ALL_ROUNDING = 1e-3  # with such gradients changes of the function are: Newton is trusted
_PATIENCE = 3
_COMMUTES = 1e-7
_TURNS = 4
_FLAT = 1e-7  # of the largest curvature: directions of less are flat,
_RESTS = 1e-11  # where the gradient along them is rounding
_HALF_TURN = 1e-6  # angles nearer than this to ±π are π: rounding must not choose the sign
_IS_ONE = 1e-6
_SCALAR = 1e-10  # a line of the Lie algebra nearer than this to the scalars is the scalars
_NOT_SCALAR = 1e-3  # one farther than that has a traceless part to move along


@dataclass(frozen=True)
class Frame:
    """S, Hermitian and positive with det S = 1, such that S⁻¹GS is closed under adjoints as far
    as three numbers say: the norm of the gradient where the descent ended, how far the Lie
    algebra is from closed there, and the discrete generators' cosets from unitary.

    `cosets` has for each discrete generator h the S⁻¹hgS of an element g of the Lie algebra's
    group, unitary up to a factor and as near to 1 as was seen.
    """

    matrix: Inexact[np.ndarray, "d d"]
    cosets: Inexact[np.ndarray, "l d d"]
    gradient: float
    openness: float
    stretch: float

    @property
    def error(self) -> float:
        """How far the group is from closed under adjoints."""
        return float(np.max([self.openness, self.stretch]))


def conjugated(
    matrices: Inexact[np.ndarray, "k d d"], s: Inexact[np.ndarray, "d d"]
) -> Inexact[np.ndarray, "k d d"]:
    """S⁻¹MS of each matrix."""
    found: Inexact[np.ndarray, "k d d"] = np.linalg.solve(s, matrices) @ s
    return found


def find_frame(lie: Inexact[np.ndarray, "k d d"], discrete: Inexact[np.ndarray, "l d d"]) -> Frame:
    """The frame of the group that a Lie algebra (of an algebraic group) and elements generate.

    First the Lie algebra: S minimises ½ log det Gram(S⁻¹·lie·S), unique up to lie's own group
    and what commutes with it. Then, within what commutes, S and elements gᵢ of lie's group
    minimise Σ log ‖S⁻¹hᵢgᵢS‖ for |det hᵢ| = 1: at the minimum every hᵢgᵢ is unitary, so only the
    coset of hᵢ matters. Both are convex along geodesics.
    """
    d, dtype = lie.shape[-1], np.result_type(lie, discrete)
    directions = _hermitian_matrices(d, dtype)
    s, gradient, stretch = np.eye(d, dtype=dtype), 0.0, 0.0
    cosets, sizes = np.zeros((0, d, d), dtype=dtype), np.ones(0)
    if len(lie):
        first = _descend([orthonormal_span(lie)], directions, directions[:0])
        s, gradient = first.matrix, first.gradient
        directions = _commuting(directions, first.spaces[0])
    if len(discrete):
        own = _own_directions(first.spaces[0] if len(lie) else lie)
        moved = conjugated(discrete, s)
        sizes = np.abs(np.linalg.det(moved)) ** (1 / d)
        elements, before = _without_own_part(moved / sizes[:, None, None], own.traceless)
        second = _descend(list(elements[:, None]), directions, own.traceless)
        s, gradient = s @ second.matrix, max(gradient, second.gradient)
        cosets, stretch = _unitary(np.concatenate(second.spaces), conjugated(discrete, s))
        sizes = (
            np.ones(len(sizes))
            if own.scalars
            else sizes * np.exp((before + second.coordinates) @ own.factors)
        )
    u, values, vectors = np.linalg.svd(s)
    s = (u * (values / np.exp(np.log(values).mean()))) @ adjoint(u)  # only SSᴴ matters
    turn = u @ vectors
    straight = orthonormal_span(conjugated(lie, s))
    cosets = turn @ cosets @ adjoint(turn)
    if len(lie):
        cosets = _without_rotations(cosets, straight)
    cosets = cosets * sizes[:, None, None]
    return Frame(s, cosets, gradient, openness(straight), stretch)


@dataclass(frozen=True)
class _Reached:
    matrix: Inexact[np.ndarray, "d d"]
    spaces: list[Inexact[np.ndarray, "_ _ _"]]
    gradient: float
    coordinates: Float[np.ndarray, "n f"]


@dataclass(frozen=True)
class _Own:
    """Where a Lie algebra closed under adjoints may move an element of determinant ±1.

    Scalars do not change the function to minimise, but g must be of the algebra's group: moving
    along the traceless X is moving along X + tI in the algebra, which multiplies by exp t too.
    `factors` are these t, one for each orthonormal direction. They say nothing where the algebra
    contains the scalars.
    """

    traceless: Inexact[np.ndarray, "f d d"]
    factors: Float[np.ndarray, " f"]
    scalars: bool


def _own_directions(lie: Inexact[np.ndarray, "k d d"]) -> _Own:
    """Raises numpy's LinAlgError where it is unclear whether the scalars are in the algebra."""
    d, span = lie.shape[-1], _parts(lie, 1) if len(lie) else lie
    traces = np.trace(span, axis1=1, axis2=2).real / np.sqrt(d)
    size = norm(traces)
    if not size > _SCALAR:
        return _Own(span, np.zeros(len(span)), scalars=False)
    turn = np.linalg.qr(np.column_stack([traces, np.eye(len(span))]))[0]
    line = np.tensordot(traces / size, span, (0, 0))  # all others are traceless
    rest = np.tensordot(turn[:, 1:].T, span, (1, 0))
    slanted = line - size / np.sqrt(d) * np.eye(d)
    distance = norm(slanted)
    if distance < _SCALAR:
        return _Own(rest, np.zeros(len(rest)), scalars=True)
    if distance < _NOT_SCALAR:
        raise np.linalg.LinAlgError(f"the scalars are {distance:.1e} from its Lie algebra")
    directions = np.concatenate([slanted[None] / distance, rest])
    factors = np.zeros(len(directions))
    factors[0] = size / np.sqrt(d) / distance
    return _Own(directions, factors, scalars=False)


def _descend(
    spaces: list[Inexact[np.ndarray, "_ _ _"]],
    directions: Inexact[np.ndarray, "e d d"],
    own: Inexact[np.ndarray, "f d d"],
) -> _Reached:
    """Newton's method for Σᵢ ½ log det Gram(S⁻¹Wᵢgᵢ S), S ∈ exp span `directions`, gᵢ ∈ exp span
    `own`, both Hermitian: the best S met, and the spaces Wᵢ there, with orthonormal bases.
    """
    d, e = directions.shape[-1], len(directions)
    s = np.eye(d, dtype=directions.dtype)
    spaces = [orthonormal_span(space) for space in spaces]
    coordinates = np.zeros((len(spaces), len(own)))
    best, best_at = _Reached(s, spaces, np.inf, coordinates), 0
    for step in range(_STEPS + 1):
        gradient, hessian = _derivatives(spaces, directions, own)
        size = norm(gradient)
        if not size >= best.gradient:
            best, best_at = _Reached(s, spaces, size, coordinates), step
        stalls = best.gradient < _NEARLY_THERE and step > best_at + _PATIENCE
        if size < _SMALL_GRADIENT or stalls or not np.isfinite(size):
            break
        values, vectors = np.linalg.eigh(hessian)
        # damped: along the centraliser the function is flat, and there is no need to go far in it
        floor = _FLAT * max(values[-1], np.finfo(float).tiny)
        slope = vectors.T @ gradient
        # a rounding error over the floor would be a step of 1e-8, differently on every processor
        slope[(values < floor) & (np.abs(slope) < _RESTS)] = 0
        move = -vectors @ (slope / np.maximum(values + 0.03 * size, floor))
        frame_step = np.tensordot(move[:e], directions, (0, 0))
        own_move = move[e:].reshape(coordinates.shape)
        own_steps = [np.tensordot(x, own, (0, 0)) for x in own_move]
        largest = max(np.abs(np.linalg.eigvalsh(x)).max() for x in (frame_step, *own_steps))
        length = min(1.0, 2.0 / max(largest, np.finfo(float).tiny))
        for _ in range(30):
            forward = exponential(length * frame_step, "hermitian")
            back = exponential(-length * frame_step, "hermitian")
            moved = [
                back @ space @ forward @ exponential(length * own_step, "hermitian")
                for space, own_step in zip(spaces, own_steps, strict=True)
            ]
            if size < _ALL_ROUNDING or _volume(moved) <= 1e-4 * length * float(gradient @ move):
                break
            length /= 2
        else:
            break
        s, spaces = s @ forward, [orthonormal_span(space) for space in moved]
        coordinates = coordinates + length * own_move
    return best


def _derivatives(
    spaces: list[Inexact[np.ndarray, "_ _ _"]],
    directions: Inexact[np.ndarray, "e d d"],
    own: Inexact[np.ndarray, "f d d"],
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, "m m"]]:
    """Gradient and Hessian at S = 1, g = 1.

    For an orthonormal basis q of W and cⱼ its derivative along the j-th direction, the function's
    are Re⟨cⱼ, q⟩, and 2 Re⟨c'ⱼ, c'ₖ⟩ for c' the part of c outside W: directions act on matrices
    by Hermitian operators.
    """
    e, f = len(directions), len(own)
    gradient = np.zeros(e + f * len(spaces))
    hessian = np.zeros((len(gradient), len(gradient)))
    for i, space in enumerate(spaces):
        n, flat = len(space), space.reshape(len(space), -1)
        at = np.r_[:e, e + f * i : e + f * (i + 1)]
        by_frame = np.matmul(space[:, None], directions) - np.matmul(directions, space[:, None])
        by_own = np.matmul(space[:, None], own)
        change = np.concatenate([by_frame, by_own], axis=1).reshape(n, len(at), -1)
        gradient[at] += np.einsum("kjx,kx->j", change, flat.conj()).real
        change = change - np.matmul(change, adjoint(flat)) @ flat
        change = np.swapaxes(change, 0, 1).reshape(len(at), -1)
        hessian[np.ix_(at, at)] += 2 * (change @ adjoint(change)).real
    return gradient, hessian


def _volume(spaces: list[Inexact[np.ndarray, "_ _ _"]]) -> float:
    """Σ ½ log det Gram of bases that were orthonormal before a step: the function's change."""
    return sum(
        float(np.log(np.linalg.svd(x.reshape(len(x), -1), compute_uv=False)).sum()) for x in spaces
    )


def _hermitian_matrices(d: int, dtype: np.dtype[np.inexact]) -> Inexact[np.ndarray, "e d d"]:
    """An orthonormal basis (over ℝ) of the Hermitian matrices."""
    found = []
    for i, j in zip(*np.tril_indices(d), strict=True):
        unit = np.zeros((d, d), dtype=dtype)
        unit[i, j] = 1
        found.append(unit + unit.T)
        if np.iscomplexobj(unit) and i != j:
            found.append(1j * (unit - unit.T))
    return np.array([x / norm(x) for x in found])


def _commuting(
    directions: Inexact[np.ndarray, "e d d"], span: Inexact[np.ndarray, "k d d"]
) -> Inexact[np.ndarray, "f d d"]:
    """The part of some Hermitian matrices that commutes with a span."""
    commutators = np.matmul(span[:, None], directions) - np.matmul(directions, span[:, None])
    flat = np.swapaxes(commutators, 0, 1).reshape(len(directions), -1)
    values, vectors = np.linalg.eigh((flat @ adjoint(flat)).real)
    zero = values < _COMMUTES * max(values[-1], np.finfo(float).tiny)
    found: Inexact[np.ndarray, "f d d"] = np.tensordot(vectors[:, zero].T, directions, (1, 0))
    return found


def _parts(span: Inexact[np.ndarray, "k d d"], sign: int) -> Inexact[np.ndarray, "f d d"]:
    """An orthonormal basis (over ℝ) of the Hermitian (sign 1) or anti-Hermitian (−1) parts of a
    span's elements.
    """
    if np.iscomplexobj(span):
        span = np.concatenate([span, 1j * span])
    parts = np.ascontiguousarray((span + sign * adjoint(span)) / 2)
    flat = parts.reshape(len(parts), -1).view(np.float64)
    values, vectors = np.linalg.svd(flat, full_matrices=False)[1:]
    found: Inexact[np.ndarray, "f d d"] = np.ascontiguousarray(vectors[values > 1e-6])
    return found.view(span.dtype).reshape(-1, *span.shape[1:])


def _without_own_part(
    elements: Inexact[np.ndarray, "l d d"], own: Inexact[np.ndarray, "f d d"]
) -> tuple[Inexact[np.ndarray, "l d d"], Float[np.ndarray, "l f"]]:
    """h = k exp X for unitary k: X normalises lie, so is of lie and what commutes with it; off
    with lie's part, which may be huge. The coordinates of what h was moved by, too.
    """
    moved = np.zeros((len(elements), len(own)))
    for _ in range(2 if len(own) else 0):
        values, vectors = np.linalg.svd(elements)[1:]
        x = (adjoint(vectors) * np.log(values)[:, None, :]) @ vectors
        coordinates = np.einsum("kab,jab->jk", own.conj(), x).real
        elements = elements @ exponential(-np.tensordot(coordinates, own, (1, 0)), "hermitian")
        moved = moved - coordinates
    return elements, moved


def _without_rotations(
    elements: Inexact[np.ndarray, "l d d"], lie: Inexact[np.ndarray, "k d d"]
) -> Inexact[np.ndarray, "l d d"]:
    """Unitary elements, brought nearer to 1 by elements of the compact part of a Lie algebra
    that is closed under adjoints: one of its own group becomes 1.

    A turn by π has no logarithm of its own, so that it may be of the group and not become 1: an
    element that does not is tried once more from elsewhere.
    """
    rotations = _parts(lie, -1)
    weights = np.random.default_rng(13).standard_normal(len(rotations))
    elsewhere = _rotation(weights, rotations)
    turned = []
    for element in elements:
        nearer = _turned(element, rotations)
        if not _is_one(nearer):
            other = _turned(element @ elsewhere, rotations)
            nearer = other if _is_one(other) else nearer
        turned.append(nearer)
    return np.array(turned, dtype=elements.dtype).reshape(elements.shape)


def _is_one(element: Inexact[np.ndarray, "d d"]) -> bool:
    return norm(element - np.eye(len(element))) < _IS_ONE


def _turned(
    element: Inexact[np.ndarray, "d d"], rotations: Inexact[np.ndarray, "k d d"]
) -> Inexact[np.ndarray, "d d"]:
    one, best = np.eye(len(element)), element
    for _ in range(_TURNS):
        values, basis = np.linalg.eig(element)
        angles = np.angle(values)
        angles[angles < _HALF_TURN - np.pi] += 2 * np.pi
        logarithm = (basis * (1j * angles)) @ np.linalg.inv(basis)
        coordinates = np.einsum("kij,ij->k", rotations.conj(), logarithm).real
        element = element @ _rotation(-coordinates, rotations)
        if norm(element - one) < norm(best - one):
            best = element
    return best


def _rotation(
    coordinates: Float[np.ndarray, " k"], rotations: Inexact[np.ndarray, "k d d"]
) -> Inexact[np.ndarray, "d d"]:
    """exp Σ cₖRₖ of anti-Hermitian Rₖ."""
    found: Inexact[np.ndarray, "d d"] = exponential(
        np.tensordot(coordinates, rotations, (0, 0)), "antihermitian"
    )
    return found


def _unitary(
    cosets: Inexact[np.ndarray, "l d d"], elements: Inexact[np.ndarray, "l d d"]
) -> tuple[Inexact[np.ndarray, "l d d"], float]:
    """The unitary matrices nearest to hg that are unitary up to a factor, and the largest
    ‖h − ug⁻¹‖/‖h‖.
    """
    d = cosets.shape[-1]
    u, values, vectors = np.linalg.svd(cosets)
    values = values * np.sqrt(d)
    off = (u * (1 - 1 / values)[:, None, :]) @ adjoint(u)
    stretch = max(norm(x @ h) / norm(h) for x, h in zip(off, elements, strict=True))
    return u @ vectors, stretch
