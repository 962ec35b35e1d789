"""A catalogue of the irreps of one group found so far, and the decompositions of their products."""

from __future__ import annotations

import threading

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.errors import SplitError
from intertwine.irreps.actions import Action, MatrixRep, adjoint, norm
from intertwine.irreps.distinctness import require_distinct
from intertwine.irreps.gauge import canonical_basis
from intertwine.irreps.irreducible import Irreducible, Isometries, Origin, name_of
from intertwine.irreps.projection import project, random_block
from intertwine.irreps.simple_spectrum import Piece, split_by_spectrum
from intertwine.irreps.splitting import (
    Gap,
    endomorphisms,
    leak,
    polished,
    require_irreducible,
    split,
)
from intertwine.irreps.words import Words, order_of, same, similar
from intertwine.memory import require_memory
from intertwine.reps.syntax import Rep

_TRIES = 4
_INVARIANT = 1e-10  # the largest leak of a new irrep's subspace
_PRECISE = 1e-14  # a larger leak is polished first
_REMAINS = 1e-6  # a projected random map below this is zero
_VANISHES = 1e-9  # a projected random map between inequivalent reps of equal traces is below this
_COPY = 1e-5  # the largest error of an approximate copy
_ORTHONORMAL = 1e-10
_LARGE = 100  # reps from this size are first split by the spectrum of a generic element
_MATRICES = 8  # of shape (n, n), in memory while a rep is split

TRIVIAL = 0
"""The index of the trivial irrep."""


class Catalogue:
    """The irreps of a group found so far, in canonical bases.

    It grows as products are decomposed; its entries do not change. Irreps are referred to by
    index, 0 is the trivial one. The generators are those of `MatrixRep.given` (Lie first), in a
    frame where the group is closed under adjoints, and known to `precision` (0: exactly). It is
    thread-safe.
    """

    def __init__(
        self, trivial: MatrixRep, dtype: np.dtype[np.inexact], precision: float = 0.0
    ) -> None:
        self.dtype, self.gap, self.precision = dtype, Gap(), precision
        self.words = Words(trivial.given.count)
        self.irreps: list[Irreducible] = []
        self.products: dict[tuple[int, int], Isometries] = {}
        self._lock = threading.RLock()
        self._add(trivial, None)

    def named(self, name: str) -> Irreducible | None:
        """Return the irrep of this name, if it has been found."""
        return next((irrep for irrep in self.irreps if irrep.name == name), None)

    def decompose(self, rep: MatrixRep, inside: Rep | tuple[int, int]) -> Isometries:
        """Return, for each irrep λ in ρ, isometric equivariant maps λ → ρ, of shape (n, copies, d),
        orthonormal together and complete.

        They are computed from fixed random matrices, projected on Hom(λ, ρ): they depend on the
        multiplicities, but not on the eigenvectors that split ρ. `inside` identifies ρ: an atom,
        or the product of two irreps. Raises `SplitError`, and `TooLarge` if memory is short.
        """
        needed = _MATRICES * rep.size**2 * self.dtype.itemsize
        require_memory(needed, f"splitting a rep of {rep.size:,} dimensions")
        if not rep.given.count:
            return {TRIVIAL: np.eye(rep.size, dtype=self.dtype)[:, :, None]}
        failure = None
        with self._lock:
            for seed in range(_TRIES):
                try:
                    return self._decompose(rep, inside, seed)
                except SplitError as error:
                    failure = error
        assert failure is not None
        raise failure

    def product(self, a: int, b: int) -> Isometries:
        """Return the Clebsch–Gordan isometries of a ⊗ b, of shape (dₐd_b, copies, d)."""
        with self._lock:
            if (a, b) not in self.products:
                left, right = self.irreps[a], self.irreps[b]
                if a == TRIVIAL or b == TRIVIAL:
                    other = b if a == TRIVIAL else a
                    identity = np.eye(self.irreps[other].dimension, dtype=self.dtype)
                    self.products[a, b] = {other: identity[:, None, :]}
                else:
                    self.products[a, b] = self.decompose(left.rep.tensor(right.rep), (a, b))
            return self.products[a, b]

    def _decompose(self, rep: MatrixRep, inside: Rep | tuple[int, int], seed: int) -> Isometries:
        pieces = self._pieces(rep, seed)
        subspaces = [(piece.subspace, rep.restrict(piece.subspace)) for piece in pieces]
        prints = [self.words.fingerprint(sub) for _, sub in subspaces]
        order = self._by_content([sub for _, sub in subspaces], prints)
        copies: dict[int, list[Inexact[np.ndarray, "n _"]]] = {}
        for i in order:
            index, w = self._align(rep, inside, pieces[i], subspaces[i][1], prints[i])
            copies.setdefault(index, []).append(w)
        found = {
            index: self._isometries(rep, self.irreps[index], np.stack(spaces, axis=1))
            for index, spaces in sorted(copies.items())
        }
        u = np.concatenate([x.reshape(rep.size, -1) for x in found.values()], axis=1)
        if u.shape[1] != rep.size or not norm(adjoint(u) @ u - np.eye(rep.size)) <= _ORTHONORMAL:
            raise SplitError("the irreps found do not fill the rep")
        return found

    def _pieces(self, rep: MatrixRep, seed: int) -> list[Piece]:
        """Return irreducible subspaces, with their endomorphisms if `split_by_spectrum` finds them.

        A small rep is split by its commutant.
        """
        if rep.size >= _LARGE and self.precision == 0 and type(rep.given) is Action:
            is_complex = np.issubdtype(self.dtype, np.complexfloating)
            if is_complex == np.iscomplexobj(rep.given.matrices):
                found = split_by_spectrum(rep.given, seed, self.gap)
                if found is not None:
                    return found
        return [Piece(w, None) for w in split(rep, seed, self.dtype, self.gap)]

    def _by_content(
        self, subs: list[MatrixRep], prints: list[Float[np.ndarray, " f"]]
    ) -> list[int]:
        """Order by dimension, then traces, so that the numbering of irreps does not depend on the
        split. Equal traces are ordered by further ones.
        """
        first = sorted(range(len(subs)), key=lambda i: (subs[i].size, order_of(prints[i])))
        classes: list[list[int]] = []
        for i in first:
            other = classes[-1][0] if classes else None
            if other is None or subs[other].size != subs[i].size:
                classes.append([i])
            elif same(prints[other], prints[i]):
                classes[-1].append(i)
            else:
                classes.append([i])
        return [
            i
            for members in classes
            for i in (
                sorted(members, key=lambda i: order_of(self.words.further(subs[i])))
                if len(members) > 1 and subs[members[0]].size > 1
                else members
            )
        ]

    def _align(
        self,
        rep: MatrixRep,
        inside: Rep | tuple[int, int],
        piece: Piece,
        sub: MatrixRep,
        fingerprint: Float[np.ndarray, " f"],
    ) -> tuple[int, Inexact[np.ndarray, "n d"]]:
        """Return the irrep on a subspace, new or known, and the subspace in the irrep's basis."""
        w, proven = piece.subspace, piece.endomorphisms
        known = [irrep for irrep in self.irreps if irrep.dimension == sub.size]
        for i in similar([irrep.fingerprint for irrep in known], fingerprint):
            irrep = known[i]
            if same(irrep.fingerprint, fingerprint):
                change = self._change_of_basis(sub, irrep)
                if change is not None:
                    return irrep.index, w @ change
        if leak(rep, w) > _PRECISE:
            w, proven = polished(rep, w), None
        if not leak(rep, w) <= _INVARIANT:
            raise SplitError(f"a subspace is not invariant: {leak(rep, w):.1e}")
        irrep, basis = self._add(rep.restrict(w), Origin(inside, w), proven)
        return irrep.index, w @ basis

    def _change_of_basis(
        self, sub: MatrixRep, irrep: Irreducible
    ) -> Inexact[np.ndarray, "d d"] | None:
        """Return the isometry from an irrep to a rep of equal traces; None if they are
        inequivalent: traces of a fixed number of words do not distinguish all irreps.
        """
        d = irrep.dimension
        x = random_block((3, irrep.index), (d, 1, d), self.dtype)
        found = project(sub.constraints, irrep.rep.constraints, x)[:, 0]
        size = norm(found)
        if size <= _VANISHES:
            return None
        if not size > _REMAINS:
            raise SplitError(
                f"a projected random map between irreps has norm {size:.1e}, neither zero nor "
                f"clearly nonzero"
            )
        aligned: Inexact[np.ndarray, "d d"] = found * (np.sqrt(d) / size)
        return aligned

    def _add(
        self,
        rep: MatrixRep,
        origin: Origin | None,
        proven: Inexact[np.ndarray, "e d d"] | None = None,
    ) -> tuple[Irreducible, Inexact[np.ndarray, "d d"]]:
        """Prove a rep irreducible and catalogue it. Return the irrep and its canonical basis.

        `proven` are its endomorphisms, if it has already been proven irreducible.
        """
        found = endomorphisms(rep, self.dtype, self.gap) if proven is None else proven
        level = self.words.separating_level(rep, len(found))
        if proven is None:
            require_irreducible(rep, self.words.hermitian(rep, level), len(found), self.gap)
        if self.precision:
            others = (irrep.rep for irrep in self.irreps)
            require_distinct(rep, len(found), others, self.precision)
        basis, found = canonical_basis(rep, found, self.words, level)
        rep = rep.restrict(basis)
        if origin is not None:
            origin = Origin(origin.inside, origin.isometry @ basis)
        fingerprint = self.words.fingerprint(rep)
        name = name_of(
            rep,
            np.iscomplexobj(found),
            fingerprint,
            lambda: self.words.further(rep),
            [irrep.name for irrep in self.irreps],
        )
        irrep = Irreducible(len(self.irreps), name, origin, rep, found, fingerprint)
        self.irreps.append(irrep)
        return irrep, basis

    def _isometries(
        self, rep: MatrixRep, irrep: Irreducible, copies: Inexact[np.ndarray, "n m d"]
    ) -> Inexact[np.ndarray, "n m d"]:
        """Return canonical copies of an irrep from approximate ones.

        Their projections span Hom(λ, ρ); its canonical basis is the Gram–Schmidt of fixed random
        matrices projected on that span, independent of eigenvectors.
        """
        n, m, d = copies.shape
        exact = project(rep.constraints, irrep.rep.constraints, copies)
        if not norm(exact - copies) <= _COPY * norm(copies):
            raise SplitError("an approximate copy of an irrep is too far from an exact one")
        span = _gram_schmidt(exact, irrep.endomorphisms)
        fixed = random_block((4, irrep.index, m, n), (n, m, d), self.dtype)
        coordinates = _coefficients(span, fixed, irrep.endomorphisms)
        projected = np.einsum("nae,abef->nbf", span, coordinates, optimize=True)
        return _gram_schmidt(projected, irrep.endomorphisms)


def _coefficients(
    u: Inexact[np.ndarray, "n a d"],
    x: Inexact[np.ndarray, "n b d"],
    endomorphisms: Inexact[np.ndarray, "e d d"],
) -> Inexact[np.ndarray, "a b d d"]:
    """Return the coefficients uₐᴴx_b, projected on the endomorphisms: those of x's part along u."""
    d = u.shape[2]
    inner = np.tensordot(u.conj(), x, (0, 0))  # a d b d
    along = np.einsum("eij,aibj->abe", endomorphisms.conj(), inner, optimize=True) / d
    found: Inexact[np.ndarray, "a b d d"] = np.einsum("abe,eij->abij", along, endomorphisms)
    return found


def _gram_schmidt(
    x: Inexact[np.ndarray, "n m d"], endomorphisms: Inexact[np.ndarray, "e d d"]
) -> Inexact[np.ndarray, "n m d"]:
    """Return isometries with orthogonal images, by Gram–Schmidt over the endomorphisms."""
    n, m, d = x.shape
    u = np.zeros((n, m, d), dtype=np.result_type(x, endomorphisms))
    for j in range(m):
        column, start = x[:, j : j + 1], norm(x[:, j])
        for _ in range(2 if j else 0):
            along = _coefficients(u[:, :j], column, endomorphisms)[:, 0]
            column = column - np.tensordot(u[:, :j], along, ((1, 2), (0, 1)))[:, None]
        if not norm(column) > 1e-7 * start:
            raise SplitError("an irrep has fewer maps into the rep than copies in it")
        u[:, j] = column[:, 0] * (np.sqrt(d) / norm(column))
    return u
