"""dρ on the Lie algebra that generators span with their brackets, from its values on them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.arrays import Array, namespace
from intertwine.groups.lie_closure import matrices_from, obliqueness, real_rows
from intertwine.operators import exponential
from intertwine.operators.matrix_exponential import exponential_times

_INDEPENDENT = 1e-6  # a unit bracket farther than this from the span extends it
_IN_SPAN = 1e-9  # … and one nearer than this is in it
_EXACT = 1e-10
"""The largest defect of a relation, relative to its terms."""
_EXPONENTIATED = 1e-8  # the same for exponentials, whose rounding errors are larger
_PER_CONDITION = 1e-11  # … and grow with the squared condition of a frame
_OBLIQUE = 1e-4  # … in any frame
_LARGEST = 64  # more basis elements are not closed under brackets
_WHOLE = 200  # images of a larger size are compared on vectors
_WORK = 5e9  # the most operations for the brackets
_LOOPS = 6  # random elements whose exponentials are compared
_SHIFTS, _SHIFT = 4, 0.6  # elements that an element without a logarithm is multiplied by
_FREQUENCIES = 1_000  # ratios of frequencies with larger denominators are taken for irrational
_LARGE = 1e6  # larger exponentials have too few digits
_LARGEST_IMAGE = 1e4  # exponentials of larger images are not compared
_LONGEST = 100.0  # exponentials of longer elements are not compared
_LARGEST_SIZE = 2_000  # exponentials of images of a larger size are not compared

#: Called with a relation that the images violate and its defect; it raises the error.
Refuse = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class LieImages:
    """An orthonormal basis over ℝ of the Lie algebra, and dρ of each of its elements.

    `is_closed` says that all brackets have been compared, and agree with those of the images.
    """

    basis: Inexact[np.ndarray, "m d d"]
    images: tuple[Inexact[np.ndarray, "n n"], ...]
    is_closed: bool

    def coordinates(self, A: Array) -> tuple[Array, float]:
        """Return the coordinates of a matrix, and its relative distance from the algebra."""
        xp = namespace(A)
        rows = xp.asarray(real_rows(self.basis))
        flat = xp.concatenate([xp.real(A).ravel(), xp.imag(A).ravel()])[: rows.shape[1]]
        found = xp.matmul(rows, flat)
        if not isinstance(A, np.ndarray):
            return found, 0.0
        whole = self.basis.reshape(len(self.basis), -1)
        outside = float(np.linalg.norm(A.ravel() - np.asarray(found) @ whole))
        return found, outside / (float(np.linalg.norm(A)) or 1.0)

    def image(self, coordinates: Array) -> Array:
        """Return dρ(A) from the coordinates of A."""
        xp = namespace(coordinates)
        return xp.tensordot(coordinates, xp.asarray(np.stack(self.images)), axes=1)

    def logarithm(self, g: Inexact[np.ndarray, "d d"]) -> Float[np.ndarray, " m"] | None:
        """Return the coordinates of the principal logarithm of g; None if the algebra lacks it."""
        if not len(self.basis):
            return np.zeros(0) if np.abs(g - np.eye(len(g))).max() <= _IN_SPAN else None
        found = _logarithm(g)
        if found is None or (np.iscomplexobj(found) and not np.iscomplexobj(self.basis)):
            return None
        coordinates, outside = self.coordinates(found)
        size = float(np.linalg.norm(found))
        if not outside * size <= _IN_SPAN * max(1.0, size) * max(1.0, float(np.abs(g).max())):
            return None
        return np.asarray(coordinates)


def exponential_image(
    lie: LieImages, g: Inexact[np.ndarray, "d d"]
) -> Inexact[np.ndarray, "n n"] | None:
    """Return ρ(g) for g = exp(A) exp(−B) with A and B in the algebra; None if none are found.

    B is 0 or one of a few fixed elements: a half turn has no principal logarithm, but its product
    with a small rotation has one.
    """
    rng = np.random.default_rng(20210419)
    for attempt in range(_SHIFTS):
        b = np.zeros(len(lie.basis)) if not attempt else rng.standard_normal(len(lie.basis))
        if not np.any(b):
            a = lie.logarithm(g)
        else:
            shift = np.tensordot(b, lie.basis, axes=1)
            b *= _SHIFT / float(np.linalg.norm(shift, 2))
            a = lie.logarithm(g @ exponential(np.tensordot(b, lie.basis, axes=1)))
        if a is not None:
            image: Inexact[np.ndarray, "n n"] = exponential(np.asarray(lie.image(a)))
            return image @ exponential(np.asarray(lie.image(-b))) if np.any(b) else image
        if not len(lie.basis):
            break
    return None


def extend(
    lie: Sequence[Inexact[np.ndarray, "d d"]],
    images: Sequence[Inexact[np.ndarray, "n n"]],
    discrete: Sequence[Inexact[np.ndarray, "d d"]],
    moved: Sequence[Inexact[np.ndarray, "n n"]],
    refuse: Refuse,
) -> LieImages:
    """Extend dρ along brackets and the adjoint action of discrete elements, and check it.

    `refuse` is called with the first relation that dρ violates. `lie` are the
    generators A, with dρ(A) in `images`; `discrete` the generators h, with ρ(h) in `moved`.
    """
    return _Extension(lie, images, discrete, moved, refuse).run()


@dataclass(frozen=True, eq=False)
class _Product:
    """A sum of products of matrices, each with a sign."""

    terms: tuple[tuple[float, tuple[Inexact[np.ndarray, "_ _"], ...]], ...]

    def matrix(self) -> Inexact[np.ndarray, "n n"]:
        """Return the matrix."""
        return sum(sign * reduce(np.matmul, factors) for sign, factors in self.terms)  # type: ignore[return-value]

    def times(self, vectors: Inexact[np.ndarray, "n v"]) -> Inexact[np.ndarray, "n v"]:
        """Return the product with a few vectors, in n² operations."""
        total = np.zeros_like(vectors)
        for sign, factors in self.terms:
            total = total + sign * reduce(lambda x, factor: factor @ x, reversed(factors), vectors)
        return total


class _Extension:
    """Pairs (E, F) of orthonormal matrices E and their images F, grown by brackets."""

    def __init__(
        self,
        lie: Sequence[Inexact[np.ndarray, "d d"]],
        images: Sequence[Inexact[np.ndarray, "n n"]],
        discrete: Sequence[Inexact[np.ndarray, "d d"]],
        moved: Sequence[Inexact[np.ndarray, "n n"]],
        refuse: Refuse,
    ) -> None:
        norms = [float(np.linalg.norm(a)) or 1.0 for a in lie]
        dtype = np.result_type(np.float64, *lie, *discrete)
        self._like = np.stack([np.asarray(a, dtype=dtype) for a in lie])
        self._lie = [a / norm for a, norm in zip(self._like, norms, strict=True)]
        self._given = [b / norm for b, norm in zip(images, norms, strict=True)]
        inverse = np.linalg.inv
        self._discrete = [(h, inverse(h)) for h in discrete]
        self._moved = [(m, inverse(m)) for m in moved]
        self._refuse, self._n = refuse, images[0].shape[0]
        self._rows = np.zeros((0, real_rows(self._like).shape[1]))
        self._images: list[Inexact[np.ndarray, "n n"]] = []
        size = min(3, self._n)
        self._vectors = np.random.default_rng(20210419).standard_normal((self._n, size))
        self._is_closed = True

    def run(self) -> LieImages:
        """Return the closure."""
        for k, (a, b) in enumerate(zip(self._lie, self._given, strict=True)):
            self._enter(a, _Product(((1.0, (b,)),)), f"A[{k}]")
        operations = len(self._lie) + len(self._discrete)
        each = len(self._like[0]) ** 3 + min(self._n, _WHOLE) * self._n**2
        i = 0
        while i < len(self._rows):
            if len(self._rows) > _LARGEST or operations * len(self._rows) * each > _WORK:
                self._is_closed = False
                break
            self._step(i)
            i += 1
        basis = matrices_from(self._rows, self._like)
        return LieImages(basis, tuple(self._images), self._is_closed)

    def _step(self, i: int) -> None:
        """Enter the brackets of one basis element, and its conjugates by discrete generators."""
        e, f = matrices_from(self._rows[i : i + 1], self._like)[0], self._images[i]
        name = f"A[{i}]" if i < len(self._lie) else f"E[{i}]"
        for k, (a, b) in enumerate(zip(self._lie, self._given, strict=True)):
            bracket = _Product(((1.0, (b, f)), (-1.0, (f, b))))
            self._enter(a @ e - e @ a, bracket, f"[A[{k}], {name}]")
        for k, ((h, back), (m, inverse)) in enumerate(
            zip(self._discrete, self._moved, strict=True)
        ):
            moved = _Product(((1.0, (m, f, inverse)),))
            self._enter(h @ e @ back, moved, f"h[{k}] {name} h[{k}]⁻¹")

    def _enter(self, element: Inexact[np.ndarray, "d d"], image: _Product, name: str) -> None:
        """Compare the image of an element of the span, or add an element outside of it."""
        row = real_rows(element[None])[0]
        scale = max(1.0, float(np.linalg.norm(row)))
        coordinates = self._rows @ row
        rest = row - coordinates @ self._rows
        again = self._rows @ rest
        rest, coordinates = rest - again @ self._rows, coordinates + again
        distance = float(np.linalg.norm(rest)) / scale
        if distance > _INDEPENDENT:
            if len(self._rows) > _LARGEST:
                return
            whole = image.matrix()
            for c, f in zip(coordinates, self._images, strict=True):
                whole = whole - c * f
            self._rows = np.concatenate([self._rows, rest[None] / (distance * scale)])
            self._images.append(whole / (distance * scale))
            return
        if distance > _IN_SPAN:
            self._is_closed = False
            return
        found = image.times(self._vectors)
        expected = np.zeros_like(found)
        size = float(np.abs(found).max(initial=0.0))
        for c, f in zip(coordinates, self._images, strict=True):
            if c:
                term = c * (f @ self._vectors)
                expected, size = expected + term, size + float(np.abs(term).max(initial=0.0))
        # a bracket of large images that vanishes has rounding errors of their size, and an image
        # that is zero up to rounding has no scale of its own
        size = max(size, max(1.0, self._largest) ** 2 * self._stretch)
        defect = float(np.abs(found - expected).max(initial=0.0)) / size
        if not defect <= _EXACT:
            self._refuse(f"{name} is a combination of generators, but its image is another", defect)

    @property
    def _largest(self) -> float:
        return max((float(np.abs(b).max(initial=0.0)) for b in self._given), default=0.0)

    @property
    def _stretch(self) -> float:
        pairs = (float(np.abs(m).max() * np.abs(back).max()) for m, back in self._moved)
        return max(1.0, *pairs) if self._moved else 1.0


def check_loops(lie: LieImages, refuse: Refuse) -> None:
    """Compare exp dρ(A) for elements A and B of the algebra with exp A = exp B.

    dρ alone may belong to a covering group, as that of spin 1/2 over SO(3). A is a random element
    longer than half a turn, with B the principal logarithm of exp A, or an element of the basis
    after a full period, with B = 0.
    """
    if not len(lie.basis) or lie.images[0].shape[0] > _LARGEST_SIZE:
        return
    oblique = obliqueness(lie.basis)
    if lie.images[0].shape[0] <= _WHOLE:
        oblique = max(oblique, obliqueness(_units(lie.images)))
    for a, b, stretch in _equal_exponentials(lie):
        allowed = min(max(_EXPONENTIATED, _PER_CONDITION * oblique * stretch), _OBLIQUE)
        left, right = lie.image(a), lie.image(b)
        if max(np.linalg.norm(left, 1), np.linalg.norm(right, 1)) > _LARGEST_IMAGE:
            continue
        vectors = np.random.default_rng(5).standard_normal((len(left), min(3, len(left))))
        with np.errstate(all="ignore"):  # what overflows is not compared
            one, other = _exponential_on(left, vectors), _exponential_on(right, vectors)
        scale = max(1.0, float(np.abs(one).max()), float(np.abs(other).max()))
        defect = float(np.abs(one - other).max()) / scale
        if np.isfinite(scale) and scale < _LARGE and not defect <= allowed:
            refuse(
                "two elements of the Lie algebra have the same exponential on V, and their images "
                "have not (dρ belongs to a covering group)",
                defect,
            )


def _equal_exponentials(
    lie: LieImages,
) -> Iterator[tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"], float]]:
    """Yield the coordinates of A and B with exp A = exp B, and the condition of exp A."""
    m = len(lie.basis)
    rng = np.random.default_rng(20210419)
    for k in range(_LOOPS):
        a = rng.standard_normal(m)
        fastest = float(np.abs(np.linalg.eigvals(lie.basis.T @ a).imag).max())
        if not fastest > 0:
            continue
        a *= (3.5 + k) / fastest
        whole = np.tensordot(a, lie.basis, axes=1)
        if np.linalg.norm(whole) > _LONGEST:
            continue
        g = exponential(whole)
        stretch = float(np.abs(g).max() * np.abs(exponential(-whole)).max())
        if stretch < _LARGE and (b := lie.logarithm(g)) is not None:
            yield a, b, max(1.0, stretch)
    for k in range(m):
        period = _period(lie.basis[k])
        if period is not None:
            yield period * np.eye(m)[k], np.zeros(m), 1.0


def _units(images: Sequence[Inexact[np.ndarray, "n n"]]) -> Inexact[np.ndarray, "m n n"]:
    stack = np.stack(images)
    norms = np.linalg.norm(stack, axis=(1, 2), keepdims=True)
    return np.where(norms > 0, stack / np.where(norms > 0, norms, 1.0), 0.0)


def _period(a: Inexact[np.ndarray, "d d"]) -> float | None:
    """Return the least t > 0 with exp(tA) = 1, if A is diagonalisable with such a t."""
    values = np.linalg.eigvals(a)
    speeds = values.imag[np.abs(values.imag) > _IN_SPAN]
    if not len(speeds) or np.abs(values.real).max() > 1e-7:
        return None
    from fractions import Fraction

    ratios = [Fraction(float(s / speeds[0])).limit_denominator(_FREQUENCIES) for s in speeds]
    denominator = int(np.lcm.reduce([ratio.denominator for ratio in ratios]))
    counts = [int(ratio * denominator) for ratio in ratios]
    period = 2 * np.pi * denominator / int(np.gcd.reduce(counts)) / abs(float(speeds[0]))
    closed = np.abs(exponential(period * a) - np.eye(len(a))).max() <= _IN_SPAN
    return period if closed else None


def _exponential_on(
    matrix: Inexact[np.ndarray, "n n"], vectors: Inexact[np.ndarray, "n v"]
) -> Inexact[np.ndarray, "n v"]:
    if len(matrix) <= _WHOLE:
        found: Inexact[np.ndarray, "n v"] = exponential(matrix) @ vectors
        return found
    return exponential_times(matrix, vectors)


def _logarithm(g: Inexact[np.ndarray, "d d"]) -> Inexact[np.ndarray, "d d"] | None:
    """Return the principal logarithm, real for a real matrix; None if there is none."""
    if not np.all(np.isfinite(g)) or np.abs(g).max() > _LARGE:
        return None
    if np.abs(g - np.eye(len(g))).max() == 0:
        return np.zeros_like(g)
    from scipy.linalg import logm

    with warnings.catch_warnings():  # the result is compared with the algebra anyway
        warnings.simplefilter("ignore")
        found = np.asarray(logm(g))
    if not np.all(np.isfinite(found)):
        return None
    if np.iscomplexobj(found) and not np.iscomplexobj(g):
        if np.abs(found.imag).max() > _IN_SPAN * max(1.0, float(np.abs(found).max())):
            return found
        found = found.real.copy()
    return found
