"""An invariant subspace of a rep, and the quotient by it, as reps."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.arrays import Array, is_sparse, namespace
from intertwine.errors import AmbiguousRank, InvalidRep
from intertwine.groups.digest import matrix_parts
from intertwine.groups.generators import Generator
from intertwine.operators import DirectSum, Kronecker, KroneckerSum, LinearOperator, dense
from intertwine.operators.permutation import exact_permutation
from intertwine.reps.generator_images import Images, images
from intertwine.reps.generator_rep import GeneratorRep
from intertwine.reps.syntax import (
    Rep,
    ScalarRep,
    Sum,
    Tensor,
    drho_of,
    is_a,
    rho_of,
)
from intertwine.torch_compilation import one_operation

_DEPENDENT, _INDEPENDENT = 1e-12, 1e-7  # of the largest singular value of the vectors
_ORTHONORMAL = 1e-12  # columns that are orthonormal to this are kept as they are
_INVARIANT = 1e-10  # the largest part of an image outside the subspace, relative to the image


class _Compression(GeneratorRep):
    """Eᴴ R(g) E for orthonormal columns E that span an invariant subspace, or the complement of
    one: a homomorphism in either case, because R(g) is block-triangular.
    """

    def __init__(self, R: Rep, e: Inexact[np.ndarray, "n m"], name: str | None) -> None:
        e.flags.writeable = False
        group = R.G
        lie = [
            _restricted(generator_image(R, k, lie=True), e)
            for k in range(len(group.lie_generators))
        ]
        discrete = [
            _restricted(generator_image(R, k, lie=False), e)
            for k in range(len(group.group_generators))
        ]
        discrete = [exact_permutation(h) or h for h in discrete]
        super().__init__(group, Images(tuple(lie), tuple(discrete)), e.shape[1], name)
        where = hashlib.sha256(b"".join(matrix_parts(e))).hexdigest()
        self.__dict__.update(whole=R, embed=e, _where=where)

    whole: Rep
    """The rep R."""
    embed: Inexact[np.ndarray, "n m"]
    """The orthonormal columns E, of shape (R.size(), size())."""

    @property
    def project(self) -> Inexact[np.ndarray, "m n"]:
        """Eᴴ, of shape (size(), R.size())."""
        return self.embed.conj().T

    @one_operation
    def rho(self, M: Any) -> Array:
        """Return Eᴴ R(g) E."""
        return self._compressed(rho_of(self.whole, M), M)

    @one_operation
    def drho(self, A: Any) -> Array:
        """Return Eᴴ dR(A) E."""
        return self._compressed(drho_of(self.whole, A), A)

    def _compressed(self, operator: Any, element: Any) -> Array:
        xp = namespace(dense(element))
        e = xp.asarray(self.embed)
        is_lazy = isinstance(operator, LinearOperator)
        moved = operator.applied_to(e) if is_lazy else xp.matmul(operator, e)
        return xp.matmul(e.conj().T, moved)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rep):
            return NotImplemented
        if not isinstance(other, _Compression) or type(other) is not type(self):
            return False
        return bool(self.whole == other.whole and vars(self)["_where"] == vars(other)["_where"])

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.whole, vars(self)["_where"]))


class Sub(_Compression):
    """The invariant subspace of R that some vectors span, as a rep of its own.

    `basis` is a matrix with the vectors of R as columns, a `Basis`, or a projector on the subspace.
    Its columns are made orthonormal, E; then ρ(g) = Eᴴ R(g) E. `embed` is E, of shape (R.size(),
    size()), and equivariant. `project` is its adjoint, which gives the coordinates of the
    orthogonal projection. Both are matrices. `quotient` is the quotient of R by the subspace.

    >>> traceless = np.eye(9) - np.eye(3).reshape(9, 1) * np.eye(3).reshape(1, 9) / 3
    >>> Sub((V**2)(SO(3)), traceless).size()
    8

    Raises `InvalidRep` if a generator moves the vectors out of their span by more than 1e-10 of
    their images, and `AmbiguousRank` if they are nearly, but not quite, dependent.
    """

    def __init__(self, R: Rep, basis: Any, name: str | None = None) -> None:
        super().__init__(R, _invariant(R, basis), name)

    @property
    def quotient(self) -> QuotientRep:
        """The quotient of R by this subspace; see `QuotientRep`."""
        return QuotientRep(self.whole, self.embed)


class QuotientRep(_Compression):
    """The quotient R/S of a rep by an invariant subspace S.

    S is given as the `basis` of `Sub`. The orthogonal complement of S, with an orthonormal basis E,
    has one vector of each coset v + S, and ρ(g) = Eᴴ R(g) E. The map `project`, Eᴴ of shape
    (size(), R.size()), is equivariant and its kernel is S. `embed`, E, maps a coset to its shortest
    vector; it is equivariant only if the complement is invariant, as it is for unitary R. The basis
    depends on S alone. The dual of R/S is the annihilator of S in R*.

    >>> QuotientRep(V(SE(3)), np.eye(4)[:, :3]).size()
    1

    Raises the errors of `Sub`, and `InvalidRep` if S is all of R.
    """

    def __init__(self, R: Rep, basis: Any, name: str | None = None) -> None:
        super().__init__(R, _complement(_invariant(R, basis), R), name)


def _invariant(R: Rep, basis: Any) -> Inexact[np.ndarray, "n m"]:
    """Return an orthonormal basis of an invariant subspace. Raises the errors of `Sub`."""
    if not isinstance(R, Rep) or R.G is None:
        raise InvalidRep(f"{R!r} is not a rep of one group: write it over one, as in V(G)")
    e = _orthonormal(_matrix(basis, R), R)
    for k, generator in enumerate(R.G.lie_generators):
        image = generator_image(R, k, lie=True)
        _require_invariant(image, e, f"the {k}-th Lie generator", R, _norm(generator))
    for k in range(len(R.G.group_generators)):
        image = generator_image(R, k, lie=False)
        _require_invariant(image, e, f"the {k}-th discrete generator", R)
    return e


def _complement(e: Inexact[np.ndarray, "n m"], R: Rep) -> Inexact[np.ndarray, "n k"]:
    """Return an orthonormal basis of the orthogonal complement, which depends on the span alone.

    It is made from the columns of the projector by a pivoted QR decomposition.
    """
    from scipy.linalg import qr

    n, m = e.shape
    if n == m:
        raise InvalidRep(
            f"the subspace is all of {R!r}, and the quotient has size 0: give fewer vectors"
        )
    q, r, pivots = qr(np.eye(n) - e @ e.conj().T, pivoting=True)
    order = np.argsort(pivots[: n - m])
    diagonal = np.diag(r)[order]
    found: Inexact[np.ndarray, "n k"] = q[:, order] * (diagonal / np.abs(diagonal))
    return found


def _matrix(basis: Any, R: Rep) -> Inexact[np.ndarray, "n k"]:
    n = R.size()
    if is_sparse(basis):
        basis = basis.toarray()
    try:
        found = np.asarray(dense(basis) if isinstance(basis, LinearOperator) else basis)
        found = found.astype(np.result_type(found.dtype, np.float64))
    except (TypeError, ValueError):
        raise InvalidRep(f"the basis of a subspace of {R!r} is a matrix, not {basis!r}") from None
    if found.ndim == 1:
        found = found[:, None]
    if found.ndim != 2 or found.shape[0] != n or not np.all(np.isfinite(found)):
        raise InvalidRep(
            f"the basis of a subspace of {R!r} has finite vectors of length {n} as its columns; "
            f"this array has the shape {found.shape}"
        )
    return found


def _orthonormal(matrix: Inexact[np.ndarray, "n k"], R: Rep) -> Inexact[np.ndarray, "n m"]:
    """Return an orthonormal basis of the columns' span. Orthonormal columns stay as they are."""
    gram = matrix.conj().T @ matrix
    if np.abs(gram - np.eye(len(gram))).max(initial=0.0) <= _ORTHONORMAL and len(gram):
        return matrix.copy()
    from scipy.linalg import qr

    values = np.linalg.svd(matrix, compute_uv=False)
    largest = float(values.max(initial=0.0))
    rank = int((values > _INDEPENDENT * largest).sum()) if largest else 0
    doubtful = values[rank:][values[rank:] > _DEPENDENT * max(matrix.shape) * largest]
    if doubtful.size:
        raise AmbiguousRank(
            f"the rank is ambiguous: some of the vectors in {R!r} depend on the others but for "
            f"{doubtful[0] / largest:.2g} of their norm. Give more digits, or fewer vectors"
        )
    if not rank:
        raise InvalidRep(f"the vectors in {R!r} span nothing: give at least one that is not 0")
    q, r, _ = qr(matrix, mode="economic", pivoting=True)
    diagonal = np.diag(r)[:rank]
    found: Inexact[np.ndarray, "n m"] = q[:, :rank] * (diagonal / np.abs(diagonal))
    return found


def _norm(generator: Generator) -> float:
    matrix = np.asarray(dense(generator))
    largest = float(np.abs(matrix).max(initial=0.0)) or 1.0
    return largest * float(np.linalg.norm(matrix / largest))  # squares of tiny entries are 0


def _require_invariant(
    operator: Any, e: Inexact[np.ndarray, "n m"], name: str, R: Rep, least: float = 1.0
) -> None:
    """Raise `InvalidRep` unless an operator maps the span of e into itself. Its images are taken
    for as large as `least`: an operator that is zero up to rounding has no scale of its own.
    """
    moved = np.asarray(operator @ e)
    unit = max(float(np.abs(moved).max(initial=0.0)), least) or 1.0
    moved, least = moved / unit, least / unit
    scale = float(np.linalg.norm(moved, axis=0).max(initial=0.0))
    outside = moved - e @ (e.conj().T @ moved)
    defect = float(np.linalg.norm(outside, axis=0).max(initial=0.0))
    if not defect <= _INVARIANT * max(scale, least):
        raise InvalidRep(
            f"the subspace of {R!r} is not invariant: {name} moves vectors out of it by "
            f"{defect / scale:.1g} of their length. Give a basis of an invariant subspace"
        )


def _restricted(operator: Any, e: Inexact[np.ndarray, "n m"]) -> Any:
    """Return the matrix Eᴴ A E of an operator A, real if its entries are."""
    found = e.conj().T @ np.asarray(operator @ e)
    if np.iscomplexobj(found) and not np.any(found.imag):
        return found.real.copy()
    return found


def generator_image(R: Rep, k: int, *, lie: bool) -> Any:
    """Return dR(Aₖ) or R(hₖ) as a matrix or an operator, from the images of R's atoms."""
    if is_a(R, Sum):
        return DirectSum([(m, generator_image(part, k, lie=lie)) for m, part in R.terms])
    if is_a(R, Tensor):
        factors = [generator_image(factor, k, lie=lie) for factor in R.factors]
        return KroneckerSum(factors) if lie else Kronecker(factors)
    if is_a(R, ScalarRep):
        return np.zeros((1, 1)) if lie else np.eye(1)
    known = images(R)
    found: Generator = (known.lie if lie else known.discrete)[k]
    return found
