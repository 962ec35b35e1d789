"""An invariant subspace of a rep, as a rep."""

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

_DEPENDENT, _INDEPENDENT = 1e-12, 1e-7  # of the largest singular value of the vectors
_ORTHONORMAL = 1e-12  # columns that are orthonormal to this are kept as they are
_INVARIANT = 1e-10  # the largest part of an image outside the subspace, relative to the image


class Sub(GeneratorRep):
    """The invariant subspace of R that some vectors span, as a rep of its own.

    `basis` is a matrix with the vectors of R as columns, a `Basis`, or a projector on the subspace.
    Its columns are made orthonormal, E; then ρ(g) = Eᴴ R(g) E. `embed` is E, of shape (R.size(),
    size()), and `project` its adjoint, both matrices.

    >>> traceless = np.eye(9) - np.eye(3).reshape(9, 1) * np.eye(3).reshape(1, 9) / 3
    >>> Sub((V**2)(SO(3)), traceless).size()
    8

    Raises `InvalidRep` if a generator moves the vectors out of their span by more than 1e-10 of
    their images, and `AmbiguousRank` if they are nearly, but not quite, dependent.
    """

    def __init__(self, R: Rep, basis: Any, name: str | None = None) -> None:
        if not isinstance(R, Rep) or R.G is None:
            raise InvalidRep(f"{R!r} is not a rep of one group: write it over one, as in V(G)")
        e = _orthonormal(_matrix(basis, R), R)
        e.flags.writeable = False
        group = R.G
        lie = [
            _restricted(
                generator_image(R, k, lie=True), e, f"the {k}-th Lie generator", R, _norm(generator)
            )
            for k, generator in enumerate(group.lie_generators)
        ]
        discrete = [
            _restricted(generator_image(R, k, lie=False), e, f"the {k}-th discrete generator", R)
            for k in range(len(group.group_generators))
        ]
        discrete = [exact_permutation(h) or h for h in discrete]
        super().__init__(group, Images(tuple(lie), tuple(discrete)), e.shape[1], name)
        where = hashlib.sha256(b"".join(matrix_parts(e))).hexdigest()
        self.__dict__.update(whole=R, embed=e, _where=where)

    whole: Rep
    """The rep R that the subspace is in."""
    embed: Inexact[np.ndarray, "n m"]
    """The orthonormal basis E of the subspace, of shape (R.size(), size())."""

    @property
    def project(self) -> Inexact[np.ndarray, "m n"]:
        """Eᴴ, the coordinates of the orthogonal projection of a vector of R."""
        return self.embed.conj().T

    def rho(self, M: Any) -> Array:
        """Return Eᴴ R(g) E."""
        return self._compressed(rho_of(self.whole, M), M)

    def drho(self, A: Any) -> Array:
        """Return Eᴴ dR(A) E."""
        return self._compressed(drho_of(self.whole, A), A)

    def _compressed(self, operator: Any, element: Any) -> Array:
        xp = namespace(dense(element))
        e = xp.asarray(self.embed)
        return e.conj().T @ (operator @ e)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rep):
            return NotImplemented
        if not isinstance(other, Sub):
            return False
        return bool(self.whole == other.whole and vars(self)["_where"] == vars(other)["_where"])

    def __hash__(self) -> int:
        return hash(("Sub", self.whole, vars(self)["_where"]))


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
    return float(np.linalg.norm(np.asarray(dense(generator))))


def _restricted(
    operator: Any, e: Inexact[np.ndarray, "n m"], name: str, R: Rep, least: float = 1.0
) -> Any:
    """Return the matrix of an operator on the subspace, which must be invariant. Its images are
    taken for as large as `least`: an operator that is zero up to rounding has no scale of its own.
    """
    moved = np.asarray(operator @ e)
    found = e.conj().T @ moved
    scale = float(np.linalg.norm(moved, axis=0).max(initial=0.0))
    defect = float(np.linalg.norm(moved - e @ found, axis=0).max(initial=0.0))
    if not defect <= _INVARIANT * max(scale, least):
        raise InvalidRep(
            f"the subspace of {R!r} is not invariant: {name} moves vectors out of it by "
            f"{defect / scale:.1g} of their length. Give a basis of an invariant subspace"
        )
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
