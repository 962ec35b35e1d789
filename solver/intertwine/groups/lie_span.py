"""The span of a Lie algebra's generators, independent of their scale, order and number."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.errors import AmbiguousRank
from intertwine.groups.group import Group
from intertwine.operators import dense, is_monomial
from intertwine.operators.product_comparison import has_orthonormal_rows

_CLOSED = 1e-8
_MANY = 100  # for as many generators a factorisation is faster than their singular values
_INDEPENDENT = 1e-6  # generators whose singular values are all above this are independent
_LARGE = 400  # from this size on, an iteration is faster than all singular values
_LANCZOS = 1e-10
_CUBE = 1e-10  # the largest entry of a cube that vanishes, of a matrix of norm 1
_ORTHOGONAL = 5e-15  # the largest inner product of rows that need no factorisation
_CLEARLY = 1e3  # an estimate above a tolerance by this factor proves that the norm is above it
_DRAWN = 4  # random elements for an estimate
_MOSTLY_OUTSIDE, _CLEAR_CUBE = 0.1, 1e-5  # parts outside K, and their cubes, that rounding is not
_KRYLOV = 10  # vectors of a Lanczos run: images under a rep have few different singular values


def spectral_norm(matrix: Inexact[np.ndarray, "m n"]) -> float:
    """Return the spectral norm, without overflow or underflow."""
    largest = float(np.abs(matrix).max(initial=0.0))
    if not largest or is_monomial(matrix):
        return largest
    if min(matrix.shape) > _LARGE:
        return largest * _largest_singular_value(matrix / largest)
    return largest * float(np.linalg.svd(matrix / largest, compute_uv=False)[0])


def _largest_singular_value(matrix: Inexact[np.ndarray, "m n"]) -> float:
    """Return the largest singular value of a large matrix by Lanczos iteration, with n² operations
    per step; by the singular value decomposition if the iteration does not converge.
    """
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    n = matrix.shape[1]
    adjoint = matrix.conj().T
    square = LinearOperator((n, n), matvec=lambda x: adjoint @ (matrix @ x), dtype=matrix.dtype)
    start = np.random.default_rng(5).standard_normal(n)  # the same numbers in every call
    try:
        (value,) = eigsh(
            square, k=1, which="LA", v0=start, ncv=_KRYLOV, tol=_LANCZOS, return_eigenvectors=False
        )
    except ArpackNoConvergence:
        return float(np.linalg.svd(matrix, compute_uv=False)[0])
    return float(np.sqrt(value))


def orthonormal_rows(
    rows: Inexact[np.ndarray, "k n"], independent: float
) -> tuple[Inexact[np.ndarray, "k n"], Inexact[np.ndarray, "k k"]] | None:
    """Return W with orthonormal rows, and a matrix L⁻¹ with W = L⁻¹ `rows`.

    None unless all singular values are clearly above `independent` times the largest. For hundreds
    of rows this takes a fraction of the time of their singular values. Rows that are orthogonal up
    to rounding are only scaled.
    """
    count, n = rows.shape
    if not 0 < count <= n:
        return None
    lengths = np.linalg.norm(rows, axis=1)
    if lengths.min() > count * independent * lengths.max():
        units = rows / lengths[:, None]
        if has_orthonormal_rows(units, _ORTHOGONAL):
            return units, np.diag(1 / lengths).astype(rows.dtype)
    from scipy.linalg import solve_triangular

    q, r = np.linalg.qr(rows.conj().T)
    if not np.all(np.diag(r)):
        return None
    inverse = solve_triangular(r.conj().T, np.eye(count, dtype=r.dtype), lower=True)
    # the largest singular value is at most ‖R‖, and the smallest at least 1 / ‖R⁻¹‖
    if not independent * float(np.linalg.norm(r)) * float(np.linalg.norm(inverse)) < 1:
        return None
    return q.conj().T, inverse


def _real_rows(flat: Inexact[np.ndarray, "k n"]) -> Float[np.ndarray, "k m"]:
    return np.concatenate([flat.real, flat.imag], axis=1) if np.iscomplexobj(flat) else flat


def adjoint_rows(rows: Float[np.ndarray, "k m"], d: int) -> Float[np.ndarray, "k m"]:
    """Return the adjoints of matrices, as real vectors like `LieSpan.rows`."""
    return _real_rows(np.swapaxes(_matrices(rows, d), 1, 2).conj().reshape(-1, d * d))


def _matrices(rows: Float[np.ndarray, "k m"], d: int) -> Inexact[np.ndarray, "k d d"]:
    flat = rows[:, : d * d] + 1j * rows[:, d * d :] if rows.shape[1] > d * d else rows
    return flat.reshape(-1, d, d)


class LieSpan:
    """The real span of Lie generators Aₖ, each first scaled to spectral norm 1."""

    def __init__(self, group: Group) -> None:
        self._d = group.d
        self._matrices = [np.asarray(dense(generator)) for generator in group.lie_generators]
        self._largest = [float(np.abs(matrix).max(initial=0.0)) for matrix in self._matrices]
        self.norms = tuple(map(spectral_norm, self._matrices))

    def scaled(self, k: int, image: Inexact[np.ndarray, "n n"]) -> Inexact[np.ndarray, "n n"]:
        """Return the image dρ(Aₖ) scaled to that of Aₖ / ‖Aₖ‖; zero for Aₖ = 0."""
        if not self.norms[k]:
            return np.zeros_like(image)
        # in two steps, so that neither the square of a tiny number nor its inverse is out of range
        return image / self._largest[k] / (self.norms[k] / self._largest[k])

    @cached_property
    def rows(self) -> Float[np.ndarray, "k m"]:
        """The scaled generators, flattened to real vectors.

        A vector has d² real parts, and d² imaginary parts if any generator is complex.
        """
        flat = [np.ravel(self.scaled(k, matrix)) for k, matrix in enumerate(self._matrices)]
        return _real_rows(np.stack(flat)) if flat else np.zeros((0, self._d**2))

    @cached_property
    def _orthonormal(
        self,
    ) -> tuple[Float[np.ndarray, "k m"], Float[np.ndarray, "k k"]] | None:
        """`orthonormal_rows` of many generators, for any tolerance of `combinations`."""
        return orthonormal_rows(self.rows, _INDEPENDENT) if len(self.rows) >= _MANY else None

    @property
    def basis_of_many(self) -> Float[np.ndarray, "k d d"] | None:
        """An orthonormal basis of many independent real generators; else None."""
        if self._orthonormal is None or self.rows.shape[1] > self._d**2:
            return None
        return self._orthonormal[0].reshape(-1, self._d, self._d)

    def combinations(self, null: float, distinct: float) -> Float[np.ndarray, "j k"]:
        """Return coefficients c such that the Σₖ cⱼₖ Aₖ/‖Aₖ‖ are orthonormal, up to a factor √d.

        They depend on the span alone: Gram–Schmidt of fixed matrices projected on it. They are
        real, so that reps that are only real-linear in A stay correct. Raises `AmbiguousRank` if a
        generator is nearly, but not quite, a combination of the others: scaled up, a rounding
        error would become a constraint.
        """
        if not len(self.rows):
            return np.zeros((0, 0))
        if self._orthonormal is not None and max(null, distinct) <= _INDEPENDENT:
            vh, inverse = self._orthonormal
            found: Float[np.ndarray, "j k"] = self._fixed(vh) @ inverse * np.sqrt(self._d)
            return found
        u, s, vh = np.linalg.svd(self.rows, full_matrices=False)
        doubtful = s[(s > null * s[0]) & (s < distinct * s[0])]
        if doubtful.size:
            raise AmbiguousRank(
                f"the rank is ambiguous: some Lie generators are combinations of the others but "
                f"for {doubtful[0] / s[0]:.2g} of their norm. Were they rounded? Give more "
                f"digits, or exact entries"
            )
        kept = s >= max(distinct * s[0], np.finfo(float).tiny)
        u, s, vh = u[:, kept], s[kept], vh[kept]
        found = self._fixed(vh) @ (u / s).T * np.sqrt(self._d)
        return found

    def _fixed(self, vh: Float[np.ndarray, "j m"]) -> Float[np.ndarray, "j j"]:
        """Return the rotation from an orthonormal basis to one that is the same on every machine.

        Fixed matrices are projected on the span, and made orthonormal. For equal singular values
        the given basis depends on the machine.
        """
        drawn = np.random.default_rng(9).standard_normal((len(vh), 2 * self._d**2))
        q, r = np.linalg.qr(vh @ drawn[:, : vh.shape[1]].T)
        rotation: Float[np.ndarray, "j j"] = (q * np.where(np.diag(r) < 0, -1.0, 1.0)).T
        return rotation

    @cached_property
    def is_closed_under_adjoints(self) -> bool:
        """Whether Aᴴ is in the span for every A in it."""
        if all(
            np.array_equal(m.conj().T, -m) or np.array_equal(m.conj().T, m) for m in self._matrices
        ):
            return True
        rows = self.rows
        allowed = _CLOSED * float(np.linalg.norm(rows))
        if self._orthonormal is not None:
            basis = self._orthonormal[0]
            # the squared length of Σ gₖ Oₖ, for normal numbers gₖ, has the mean Σ ‖Oₖ‖²
            drawn = np.random.default_rng(6).standard_normal((_DRAWN, len(rows)))
            estimate = np.linalg.norm(_outside(basis, adjoint_rows(drawn @ rows, self._d)))
            if estimate > _CLEARLY * np.sqrt(_DRAWN) * allowed:
                return False
            outside = np.linalg.norm(_outside(basis, adjoint_rows(rows, self._d)))
        else:
            wanted = adjoint_rows(rows, self._d)
            coefficients = np.linalg.lstsq(rows.T, wanted.T, rcond=None)[0]
            outside = np.linalg.norm(rows.T @ coefficients - wanted.T)
        return bool(outside <= allowed)

    @cached_property
    def has_good_frame(self) -> bool:
        """Whether the span is K ⊕ N, for the largest subspace K that is closed under adjoints, and
        elements of N whose cubes vanish.

        The motions, the Poincaré and the Galilei group have such spans in any orthogonal frame: K
        has the rotations and the boosts of Lorentz, and N the translations and those of Galilei. A
        sum of elements of K and N may have eigenspaces that are far from orthogonal, although the
        frame is good.
        """
        if self._orthonormal is not None and self._has_an_element_outside_good_frames:
            return False
        u, s, vh = np.linalg.svd(self.rows, full_matrices=False)
        vh = vh[s > _INDEPENDENT * s.max(initial=np.finfo(float).tiny)]
        u, s, _ = np.linalg.svd(_outside(vh, adjoint_rows(vh, self._d)), full_matrices=False)
        rest = _matrices(u[:, s > _CLOSED].T @ vh, self._d)
        cubes = rest @ rest @ rest
        return bool(np.abs(cubes).max(initial=0.0) <= _CUBE)

    @property
    def _has_an_element_outside_good_frames(self) -> bool:
        """Whether one random element of N clearly has a cube: then the frame is not good, and no
        basis of N has to be computed.

        N is the image of O, the part of the adjoints outside the span, so that Og for a random g is
        in N. For an orthonormal basis B of the span, O = BP(1 − BᵀB), where P takes adjoints.
        """
        assert self._orthonormal is not None
        basis = self._orthonormal[0]
        drawn = np.random.default_rng(7).standard_normal((1, basis.shape[1]))
        coordinates = adjoint_rows(_outside(basis, drawn), self._d) @ basis.T
        size = float(np.linalg.norm(coordinates))
        if not size > _MOSTLY_OUTSIDE:
            return False  # rounding could be part of it
        element = _matrices(coordinates / size @ basis, self._d)[0]
        return bool(np.abs(element @ element @ element).max() > _CLEAR_CUBE)


def _outside(
    basis: Float[np.ndarray, "j m"], rows: Float[np.ndarray, "k m"]
) -> Float[np.ndarray, "k m"]:
    """Return the parts of rows that are orthogonal to those of an orthonormal basis."""
    found: Float[np.ndarray, "k m"] = rows - (rows @ basis.T) @ basis
    return found
