"""Spans of matrices: orthonormal bases, the algebras that generators generate, Dickson's test."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.irreps.actions import adjoint, norm

_INDEPENDENT = 1e-9
_ZERO_EIGENVALUE = 1e-6
_ROUNDED = 1e-9  # eigenvectors that amplify rounding beyond this say nothing
_WORDS = 6
_BETWEEN = 4  # generators in a random word
_WELL_CONDITIONED = 1e5


def orthonormal_span(matrices: Inexact[np.ndarray, "k d d"]) -> Inexact[np.ndarray, "j d d"]:
    """An orthonormal basis (tr XᴴY) of the span of some matrices."""
    if not len(matrices):
        return matrices
    if len(matrices) == 1:  # with its own sign
        return matrices / norm(matrices) if norm(matrices) else matrices[:0]
    flat = matrices.reshape(len(matrices), -1)
    values, vectors = np.linalg.svd(flat, full_matrices=False)[1:]
    found: Inexact[np.ndarray, "j d d"] = vectors[values > _INDEPENDENT * values[0]]
    return found.reshape(-1, *matrices.shape[1:])


def outside_span(
    span: Inexact[np.ndarray, "j d d"], matrices: Inexact[np.ndarray, "k d d"]
) -> Inexact[np.ndarray, "k d2"]:
    """The parts of matrices orthogonal to an orthonormal span, flattened; twice, for rounding."""
    d = matrices.shape[-1]
    basis, x = span.reshape(-1, d * d), matrices.reshape(-1, d * d)
    for _ in range(2):
        x = x - (x @ adjoint(basis)) @ basis
    return x


def openness(span: Inexact[np.ndarray, "j d d"]) -> float:
    """How far an orthonormal span is from closed under adjoints."""
    return norm(outside_span(span, adjoint(span))) / sqrt(max(len(span), 1))


@dataclass(frozen=True)
class TraceForm:
    """Dickson's test: the form tr(XY) on the associative algebra that a group generates is
    nondegenerate exactly when its rep is completely reducible (Dickson, 1923).

    `values` are the form's singular values over the largest, `pivot` is the least singular value
    that counted as a new dimension of the algebra.
    """

    values: Float[np.ndarray, " m"]
    pivot: float

    _SURE_ZERO, _SURE, _CLEAR_PIVOT = 1e-11, 1e-7, 1e-6

    @property
    def is_clear(self) -> bool:
        """Whether the form's rank is beyond doubt."""
        doubtful = (self.values > self._SURE_ZERO) & (self.values < self._SURE)
        return self.pivot > self._CLEAR_PIVOT and not doubtful.any()

    @property
    def radical(self) -> int:
        """The dimension of the form's kernel: the algebra's radical."""
        return int((self.values <= self._SURE_ZERO).sum())


def trace_form(
    lie: Inexact[np.ndarray, "k d d"], discrete: Inexact[np.ndarray, "l d d"]
) -> TraceForm:
    """The trace form of the algebra that 1, Lie elements, group elements and inverses generate."""
    d = lie.shape[-1]
    generators = np.concatenate([lie, discrete, np.linalg.inv(discrete)])
    generators = generators / np.maximum(
        np.linalg.norm(generators, axis=(1, 2), keepdims=True), np.finfo(float).tiny
    )
    span = np.eye(d, dtype=generators.dtype)[None] / sqrt(d)
    new, pivot = span, 1.0
    while len(new) and len(generators) and len(span) < d * d:
        products = np.matmul(new[:, None], generators).reshape(-1, d, d)
        values, vectors = np.linalg.svd(outside_span(span, products), full_matrices=False)[1:]
        kept = values > _INDEPENDENT
        pivot = min(pivot, float(values[kept].min(initial=1.0)))
        new = vectors[kept].reshape(-1, d, d)
        span = np.concatenate([span, new])
    values = np.linalg.svd(np.einsum("aij,bji->ab", span, span), compute_uv=False)
    return TraceForm(values / values[0], pivot)


@dataclass(frozen=True)
class LieClosure:
    """A Lie algebra within that of a group's Zariski closure, with the least singular value that
    counted as a new dimension and the largest that did not.
    """

    span: Inexact[np.ndarray, "j d d"]
    kept: float
    dropped: float

    @property
    def is_clear(self) -> bool:
        """Whether its dimension is beyond doubt."""
        return self.kept > 1e-4 and self.dropped < 1e-9


class _Growing:
    """An orthonormal span that grows by what is new in given matrices.

    Brackets of unit matrices are never rescaled: one that vanishes would become a generator made
    of rounding errors, which lowers ranks and shows in no residual.
    """

    _NEW = 1e-8

    def __init__(self, d: int, dtype: np.dtype[np.inexact]) -> None:
        self.span = np.zeros((0, d, d), dtype=dtype)
        self.kept, self.dropped = 1.0, 0.0

    def add(self, matrices: Inexact[np.ndarray, "k d d"]) -> Inexact[np.ndarray, "j d d"]:
        """The dimensions that are new."""
        x = outside_span(self.span, matrices)
        values, vectors = np.linalg.svd(x, full_matrices=False)[1:]
        new = values > self._NEW
        self.kept = min(self.kept, float(values[new].min(initial=1.0)))
        self.dropped = max(self.dropped, float(values[~new].max(initial=0.0)))
        found: Inexact[np.ndarray, "j d d"] = vectors[new].reshape(-1, *matrices.shape[1:])
        self.span = np.concatenate([self.span, found])
        return found


def lie_of_closure(
    lie: Inexact[np.ndarray, "k d d"], discrete: Inexact[np.ndarray, "l d d"]
) -> LieClosure:
    """Of the Lie algebra of the Zariski closure what is seen: the given one, logarithms of the
    hyperbolic and unipotent parts of words in the discrete generators, brackets, images under
    Ad(h), and hyperbolic parts of the centre.

    It serves to find a frame, and is never solved as equations.
    """
    d = lie.shape[-1]
    growing = _Growing(d, np.result_type(lie, discrete))
    seeds = [x / norm(x) for x in (*lie, *_logarithms(discrete)) if norm(x) > 0]
    new = growing.add(np.array(seeds, dtype=growing.span.dtype).reshape(-1, d, d))
    movers = [(h, np.linalg.inv(h)) for h in discrete if np.linalg.cond(h) < _WELL_CONDITIONED]
    while len(new) and len(growing.span) < d * d:
        brackets = _commutators(new, growing.span).reshape(-1, d, d)
        new = growing.add(np.concatenate([brackets, *(h @ new @ inv for h, inv in movers)]))
    span = growing.span
    brackets = _commutators(span, span).reshape(len(span), len(span), d * d)
    squares = np.einsum("abx,cbx->ac", brackets, brackets.conj())
    values, vectors = np.linalg.eigh(squares)
    # [lie, lie] is algebraic; a spiral in the centre is not, but both of its parts are
    for central in np.tensordot(vectors[:, values < 1e-12].conj(), span, (0, 0)):
        eigenvalues, basis = np.linalg.eig(central)
        parts = (eigenvalues.real, eigenvalues.imag)
        for part in parts if np.iscomplexobj(span) else parts[:1]:
            growing.add(_with_eigenvalues(part, basis, span.dtype)[None])
    return LieClosure(growing.span, growing.kept, growing.dropped)


def _commutators(
    a: Inexact[np.ndarray, "j d d"], b: Inexact[np.ndarray, "k d d"]
) -> Inexact[np.ndarray, "j k d d"]:
    found: Inexact[np.ndarray, "j k d d"] = np.matmul(a[:, None], b) - np.matmul(b, a[:, None])
    return found


def _with_eigenvalues(
    values: Float[np.ndarray, " d"],
    basis: Inexact[np.ndarray, "d d"],
    dtype: np.dtype[np.inexact],
) -> Inexact[np.ndarray, "d d"]:
    values = np.where(np.abs(values) < _ZERO_EIGENVALUE, 0, values)
    found: Inexact[np.ndarray, "d d"] = (basis * values) @ np.linalg.inv(basis)
    return found if np.issubdtype(dtype, np.complexfloating) else found.real


def _logarithms(discrete: Inexact[np.ndarray, "l d d"]) -> list[Inexact[np.ndarray, "d d"]]:
    """log of the hyperbolic part of words that are semisimple, and of unipotent words."""
    if not len(discrete):
        return []
    d, found = discrete.shape[-1], []
    rng = np.random.default_rng(3)
    for k in range(max(_WORDS, len(discrete))):
        if k < len(discrete):
            h = discrete[k]
        else:
            h = np.linalg.multi_dot(
                [discrete[i] for i in rng.integers(len(discrete), size=_BETWEEN)]
            )
        if norm(h @ adjoint(h) - np.eye(d)) < _ROUNDED:
            continue
        values, basis = np.linalg.eig(h)
        rounding = np.finfo(float).eps * np.linalg.cond(h) * np.linalg.cond(basis)
        if rounding < _ROUNDED:
            found.append(_with_eigenvalues(np.log(np.abs(values)), basis, h.dtype))
            continue
        nilpotent = [h - np.eye(d)]
        for _ in range(d - 1):
            nilpotent.append(nilpotent[-1] @ nilpotent[0])
        if max(abs(np.trace(x)) for x in nilpotent) < _ZERO_EIGENVALUE:
            terms = [(-1) ** j * x / (j + 1) for j, x in enumerate(nilpotent)]
            found.append(np.sum(terms, axis=0))
    return found
