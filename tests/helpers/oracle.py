"""An independent check of bases: their equations, recomputed from first principles.

From Q and the group's generators as written-out matrices, by NumPy alone: nothing here goes
through `intertwine.invariants`, or through the library's own actions of reps and images of
generators. Of the library it reads only the tree of a rep (`factors`, `terms`, `rep`), a group's
generators and samples, and Q as a matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from intertwine.groups import Group
from intertwine.reps import Base, Dual, Rep, ScalarRep, Sum, Tensor
from scipy.sparse import csr_array

Matrix = np.ndarray[Any, Any]
#: An element of a product of groups, by group; one that is not named is the identity (or 0).
Elements = Mapping[Group, Matrix]


@dataclass(frozen=True)
class Evidence:
    """How far Q of shape (n, r) is from being an orthonormal basis of invariants.

    `residual` is the largest spectral norm ‖CQ‖ over the generators, the Lie ones scaled to
    spectral norm 1 and the discrete constraints ρ(h) − 1 divided by max(1, ‖ρ(h)‖);
    `orthonormality` is ‖QᴴQ − 1‖; `invariance` the largest ‖ρ(g)Q − Q‖ / ‖ρ(g)‖ over sampled g.
    """

    residual: float
    orthonormality: float
    invariance: float


def examine(rep: Rep, Q: Any, *, samples: int = 5, seed: int = 1) -> Evidence:
    """The evidence for a basis, from its matrix. Memory: a few times that of the matrix."""
    q = np.asarray(Q.dense() if hasattr(Q, "dense") else Q)
    groups = groups_in(rep)
    residuals = [0.0]
    for group in groups:
        for a in lie_generators(group):
            norm = spectral_norm(a)
            if norm > 0:
                residuals.append(spectral_norm(act_lie(rep, {group: a / norm}, q)))
        for h in discrete_generators(group):
            moved = act(rep, {group: h}, q) - q
            residuals.append(spectral_norm(moved) / max(1.0, norm_of(rep, {group: h})))
    drawn = {group: np.asarray(group.samples(samples, seed)) for group in groups}
    invariances = [0.0]
    for i in range(samples):
        g = {group: elements[i] for group, elements in drawn.items()}
        invariances.append(spectral_norm(act(rep, g, q) - q) / (norm_of(rep, g) or 1.0))
    return Evidence(
        residual=_largest(residuals),
        orthonormality=spectral_norm(q.conj().T @ q - np.eye(q.shape[1])),
        invariance=_largest(invariances),
    )


def examine_permuted(rep: Rep, Q: Any, *, samples: int = 5, seed: int = 1) -> Evidence:
    """The same for a tensor product over one group of (signed) permutations, of any size.

    Q is read as a sparse matrix whose rows the generators permute.
    """
    (group,) = groups_in(rep)
    q = csr_array(Q.sparse())

    def moved(element: Matrix) -> Any:
        indices, signs = _signed_permutation_of(rep, {group: element})
        return csr_array(q[indices]).multiply(signs[:, None]).tocsr() - q

    elements = [*discrete_generators(group), *np.asarray(group.samples(samples, seed))]
    norms = [_sparse_norm(moved(element)) for element in elements]
    gram = (q.conj().T @ q).toarray()
    return Evidence(
        residual=_largest(norms[:-samples]),
        orthonormality=spectral_norm(gram - np.eye(q.shape[1])),
        invariance=_largest(norms[-samples:]),
    )


def assert_proven(evidence: Evidence) -> None:
    """The bounds that every basis keeps, in float64."""
    assert evidence.residual <= 1e-10
    assert evidence.orthonormality <= 1e-10
    assert evidence.invariance <= 1e-9


def groups_in(rep: Rep) -> tuple[Group, ...]:
    """The different groups of a rep, in order of appearance."""
    if isinstance(rep, Tensor):
        parts: Sequence[Rep] = rep.factors
    elif isinstance(rep, Sum):
        parts = [term for _, term in rep.terms]
    else:
        return () if isinstance(rep, ScalarRep) else (rep.G,)
    return tuple(dict.fromkeys(group for part in parts for group in groups_in(part)))


def lie_generators(group: Group) -> list[Matrix]:
    """The Lie generators as matrices, from the attribute that EMLP's users read."""
    return [np.asarray(a) for a in group.lie_algebra]


def discrete_generators(group: Group) -> list[Matrix]:
    """The discrete generators as matrices: operators are applied to the identity."""
    return [
        h if isinstance(h, np.ndarray) else np.asarray(h @ np.eye(group.d))
        for h in group.discrete_generators
    ]


def act(rep: Rep, elements: Elements, x: Matrix) -> Matrix:
    """ρ(g)x for x of shape (n, k), slot by slot."""
    if isinstance(rep, Tensor):
        return _in_turn(rep, x, lambda factor, block: act(factor, elements, block))
    if isinstance(rep, Sum):
        return _by_blocks(rep, x, lambda term, block: act(term, elements, block))
    matrix = _matrix(rep, elements)
    return x if matrix is None else matrix @ x


def act_lie(rep: Rep, elements: Elements, x: Matrix) -> Matrix:
    """dρ(A)x for x of shape (n, k), by the product rule."""
    if isinstance(rep, Tensor):
        total = np.zeros_like(x)
        for slot, factor in enumerate(rep.factors):
            total = total + _in_slot(
                rep, slot, x, lambda block, factor=factor: act_lie(factor, elements, block)
            )
        return total
    if isinstance(rep, Sum):
        return _by_blocks(rep, x, lambda term, block: act_lie(term, elements, block))
    if isinstance(rep, ScalarRep) or rep.G not in elements:
        return np.zeros_like(x)
    if isinstance(rep, Base):
        return elements[rep.G] @ x
    inner = rep.rep if isinstance(rep, Dual) else rep
    if isinstance(inner, Base):
        return -elements[rep.G].T @ x
    # a rep of the user's own: the derivative of an analytic rho of real A, by a complex step
    step = 1e-30
    moved = np.eye(rep.G.d) + step * 1j * elements[rep.G]
    derivative = np.imag(np.asarray(inner.rho(moved))) / step
    return (derivative if inner is rep else -derivative.T) @ x


def norm_of(rep: Rep, elements: Elements) -> float:
    """The spectral norm of ρ(g): products multiply, of sums it is the largest."""
    if isinstance(rep, Tensor):
        return prod(norm_of(factor, elements) for factor in rep.factors)
    if isinstance(rep, Sum):
        return max((norm_of(term, elements) for _, term in rep.terms), default=0.0)
    matrix = _matrix(rep, elements)
    return 1.0 if matrix is None else spectral_norm(matrix)


def spectral_norm(matrix: Matrix) -> float:
    """The largest singular value; NaN for a matrix with one."""
    if matrix.size == 0:
        return 0.0
    scale = float(np.abs(matrix).max())
    if not 0 < scale < np.inf:
        return scale
    scaled = matrix / scale  # squares of 1e-170 would vanish
    small = scaled if scaled.shape[0] < scaled.shape[1] else scaled.conj().T
    return scale * float(np.sqrt(np.linalg.eigvalsh(small @ small.conj().T)[-1]))


def projector_distance(Q: Any, R: Any) -> float:
    """‖QQᴴ − RRᴴ‖ of two orthonormal matrices, without writing out the projectors.

    For subspaces of one dimension it is ‖(1 − QQᴴ)R‖, the sine of the largest angle between them.
    """
    q, r = (np.asarray(m.dense() if hasattr(m, "dense") else m) for m in (Q, R))
    if q.shape != r.shape:
        return 1.0
    return max(spectral_norm(b - a @ (a.conj().T @ b)) for a, b in ((q, r), (r, q)))


def constraints(rep: Rep, *, scaled: bool = True) -> Matrix:
    """The constraints of all generators as one matrix with n columns, for small reps."""
    identity = np.eye(rep.size())
    blocks = [np.zeros((0, rep.size()))]
    for group in groups_in(rep):
        for a in lie_generators(group):
            norm = spectral_norm(a) if scaled else 1.0
            blocks.append(act_lie(rep, {group: a / (norm or 1.0)}, identity))
        for h in discrete_generators(group):
            norm = max(1.0, norm_of(rep, {group: h})) if scaled else 1.0
            blocks.append((act(rep, {group: h}, identity) - identity) / norm)
    return np.concatenate(blocks)


def null_space(rep: Rep) -> Matrix:
    """An orthonormal basis of the invariants of a small rep, by one dense null space."""
    matrix = constraints(rep)
    if not matrix.size:
        return np.eye(rep.size())
    _, values, rows = np.linalg.svd(matrix, full_matrices=True)
    found: Matrix = rows[int((values > 1e-9).sum()) :].conj().T
    return found


def exact_rank(rep: Rep, prime: int = 2**31 - 1) -> int:
    """The rank for generators with integer entries (and integer inverses), without rounding.

    Gaussian elimination modulo a prime on the constraints of every generator; over the rationals
    the nullity is at most this, and for all but finitely many primes equal.
    """
    n = rep.size()
    entries = constraints(rep, scaled=False)
    rounded = np.rint(entries)
    assert np.abs(entries - rounded).max(initial=0) < 1e-9, "exact_rank needs integer entries"
    matrix = rounded.astype(np.int64) % prime
    rank = 0
    for column in range(n):
        candidates = np.flatnonzero(matrix[rank:, column])
        if not candidates.size:
            continue
        pivot = rank + int(candidates[0])
        matrix[[rank, pivot]] = matrix[[pivot, rank]]
        matrix[rank] = matrix[rank] * pow(int(matrix[rank, column]), -1, prime) % prime
        below = np.flatnonzero(matrix[rank + 1 :, column]) + rank + 1
        matrix[below] = (matrix[below] - matrix[below, column][:, None] * matrix[rank]) % prime
        rank += 1
    return n - rank


def orbit_count(rep: Rep) -> int:
    """The number of orbits of index tuples under a group of permutations, by spreading labels."""
    (group,) = groups_in(rep)
    moves = [_signed_permutation_of(rep, {group: h})[0] for h in discrete_generators(group)]
    labels = np.arange(rep.size())
    while True:
        before = labels
        for move in moves:
            labels = np.minimum(labels, labels[move])
        if np.array_equal(labels, before):
            return int(np.unique(labels).size)


# -- one slot of many, one block of many


def _in_slot(rep: Tensor, slot: int, x: Matrix, move: Callable[[Matrix], Matrix]) -> Matrix:
    sizes = [factor.size() for factor in rep.factors]
    tensor = x.reshape(*sizes, x.shape[1])
    front = np.moveaxis(tensor, slot, 0)
    moved = move(np.ascontiguousarray(front).reshape(sizes[slot], -1))
    return np.moveaxis(moved.reshape(front.shape), 0, slot).reshape(x.shape)


def _in_turn(rep: Tensor, x: Matrix, move: Callable[[Rep, Matrix], Matrix]) -> Matrix:
    for slot, factor in enumerate(rep.factors):
        x = _in_slot(rep, slot, x, lambda block, factor=factor: move(factor, block))
    return x


def _by_blocks(rep: Sum, x: Matrix, move: Callable[[Rep, Matrix], Matrix]) -> Matrix:
    terms = [term for multiplicity, term in rep.terms for _ in range(multiplicity)]
    ends = np.cumsum([0, *(term.size() for term in terms)])
    assert ends[-1] == len(x)
    parts = [move(term, x[i:j]) for term, (i, j) in zip(terms, pairwise(ends), strict=True)]
    return np.concatenate([np.zeros((0, x.shape[1])), *parts])


def _matrix(atom: Rep, elements: Elements) -> Matrix | None:
    """ρ(g) of an atom; None for the identity."""
    if isinstance(atom, ScalarRep) or atom.G not in elements:
        return None
    if isinstance(atom, Base):
        return elements[atom.G]
    if isinstance(atom, Dual):
        inner = _matrix(atom.rep, elements)
        return None if inner is None else np.linalg.inv(inner).T
    return np.asarray(atom.rho(elements[atom.G]))  # a rep of the user's own


def _signed_permutation_of(rep: Rep, elements: Elements) -> tuple[Matrix, Matrix]:
    """The signed permutation by which g acts on index tuples: (ρ(g)v)ᵢ = sᵢ v_{p(i)}."""
    factors = rep.factors if isinstance(rep, Tensor) else (rep,)
    indices, signs = np.zeros(1, dtype=np.int64), np.ones(1)
    for factor in factors:
        matrix = _matrix(factor, elements)
        assert matrix is not None
        own = np.argmax(np.abs(matrix), axis=1)
        own_signs = np.rint(matrix[np.arange(len(matrix)), own])
        written = np.zeros_like(matrix)
        written[np.arange(len(matrix)), own] = own_signs
        assert np.abs(matrix - written).max() < 1e-9, "this is no signed permutation"
        indices = np.add.outer(indices * len(matrix), own).ravel()
        signs = np.multiply.outer(signs, own_signs).ravel()
    return indices, signs


def _sparse_norm(matrix: Any) -> float:
    gram = (matrix.conj().T @ matrix).toarray()
    return float(np.sqrt(max(0.0, np.linalg.eigvalsh(gram)[-1]))) if gram.size else 0.0


def _largest(values: Sequence[float]) -> float:
    """The largest, and NaN if any is."""
    return float(np.max(np.asarray(values)))
