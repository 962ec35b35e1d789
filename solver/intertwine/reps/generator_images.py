"""The images of a group's generators under the factors of a rep, as a solver needs them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Inexact

from intertwine.errors import NotConcrete
from intertwine.groups import Group
from intertwine.groups.digest import matrix_parts
from intertwine.groups.generators import Generator
from intertwine.groups.lie_span import LieSpan
from intertwine.operators import (
    DirectSum,
    Kronecker,
    KroneckerSum,
    Permutation,
    as_signed_permutation,
    dense,
)
from intertwine.operators.permutation import exact_permutation
from intertwine.operators.product_comparison import has_orthonormal_rows
from intertwine.reps.functors.functor import Functor, is_functor
from intertwine.reps.homomorphism import checked_images
from intertwine.reps.own_matrices import IdentityImage, measured_identity, refuse_large_images
from intertwine.reps.syntax import Base, Dual, Rep, ScalarRep, Sum, Tensor, atoms, frozen, is_a

_ORTHOGONAL = 1e-11


@dataclass(frozen=True)
class Images:
    """dρ(Aₖ) for the Lie generators and ρ(hᵢ) for the discrete ones of ρ's group, as given."""

    lie: tuple[Generator, ...]
    discrete: tuple[Generator, ...]


#: Properties of reps and groups computed in this block, by kind and their id. They are kept alive.
_known: ContextVar[dict[tuple[str, int], tuple[Rep | Group, Any]] | None] = ContextVar(
    "known images", default=None
)
_T = TypeVar("_T")


@contextmanager
def images_once() -> Iterator[None]:
    """Compute the images of each user-defined rep, and the span of each group's Lie generators,
    only once in the block.

    They may take most of the time of a solve. Nothing is remembered after the block, as a rep may
    change, and spans of large groups need much memory.
    """
    if _known.get() is not None:
        yield
        return
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


def _once(kind: str, owner: Rep | Group, compute: Callable[[], _T]) -> _T:
    """Return a property of a rep or a group, computed once in a block of `images_once`."""
    known = _known.get()
    if known is None:
        return compute()
    place = kind, id(owner)
    if place not in known:
        known[place] = owner, compute()
    found: _T = known[place][1]
    return found


def images(atom: Rep) -> Images:
    """Return the images of the generators under a base rep, a dual, a functor of a rep, or a
    user-defined rep.

    Images that are exactly permutations are returned as such. Raises `NotConcrete` without a group,
    and `InvalidRep` for a user-defined rep that is not a homomorphism.
    """
    if atom.G is None:
        raise NotConcrete(f"{atom} has no group yet: call the rep with one, as in rep(SO(3))")
    if is_a(atom, Base):
        return Images(atom.G.lie_generators, atom.G.group_generators)
    if is_a(atom, Dual):
        return _once("dual", atom.rep, lambda: _dual_of(images(atom.rep)))
    if is_functor(atom):
        return _once("images", atom, lambda: _images_of_functor(atom))
    given: Images | None = atom._given_images()
    if given is not None:
        return given
    return _once("images", atom, lambda: Images(*checked_images(atom, partial(_identity, atom))))


def _images_of_functor(atom: Functor) -> Images:
    """Return F of the images of the part's generators. They need no check: F(MN) = F(M)F(N)."""
    group, part = atom.G, atom.part
    refuse_large_images(atom, part, [*group.lie_generators, *group.group_generators])
    known = {inner: images(inner) for inner in dict.fromkeys(atoms(part))}
    lie, discrete = [], []
    for k in range(len(group.lie_generators)):
        slots = {inner: np.asarray(dense(found.lie[k])) for inner, found in known.items()}
        lie.append(
            _real_if_real(atom.of_derivative(matrix_of_expression(part, slots, is_lie=True)))
        )
    for k in range(len(group.group_generators)):
        moves = {inner: exact_permutation(found.discrete[k]) for inner, found in known.items()}
        image: Generator | None = None
        if all(move is not None for move in moves.values()):
            whole = exact_permutation(np.asarray(matrix_of_expression(part, moves)))
            image = None if whole is None else atom.of_permutation(whole)
        if image is None:
            slots = {inner: np.asarray(dense(found.discrete[k])) for inner, found in known.items()}
            matrix = _real_if_real(atom.of_matrix(matrix_of_expression(part, slots)))
            image = exact_permutation(matrix)
            image = matrix if image is None else image
        discrete.append(image)
    return Images(tuple(lie), tuple(discrete))


def matrix_of_expression(
    rep: Rep, slots: Mapping[Rep, Any], *, is_lie: bool = False
) -> Inexact[np.ndarray, "n n"]:
    """Return the matrix of sums and products of atoms from the matrices of these in `slots`.

    Products are Kronecker products, or Kronecker sums if the matrices are those of a Lie generator.
    """

    def whole(part: Rep) -> Any:
        if is_a(part, ScalarRep):
            return np.zeros((1, 1)) if is_lie else np.eye(1)
        if is_a(part, Tensor):
            factors = [whole(factor) for factor in part.factors]
            return KroneckerSum(factors) if is_lie else Kronecker(factors)
        if is_a(part, Sum):
            return DirectSum([(m, whole(term)) for m, term in part.terms])
        return slots[part]

    found: Inexact[np.ndarray, "n n"] = np.asarray(dense(whole(rep)))
    return found


def _real_if_real(matrix: Inexact[np.ndarray, "n n"]) -> Inexact[np.ndarray, "n n"]:
    if not np.iscomplexobj(matrix) or np.any(matrix.imag):
        return matrix
    return matrix.real.copy()


def _dual_of(inner: Images) -> Images:
    return Images(
        tuple(-np.asarray(dense(a)).T for a in inner.lie),
        tuple(_contragredient(h) for h in inner.discrete),
    )


def lie_span_of(group: Group) -> LieSpan:
    """Return the span of the group's Lie generators."""
    return _once("span", group, lambda: LieSpan(group))


def size_of_image(atom: Rep) -> int:
    """Return the size of a user-defined rep that does not state it: that of ρ(1)."""
    return _identity(atom).size


def _identity(atom: Rep) -> IdentityImage:
    return _once("identity", atom, lambda: measured_identity(atom))


def act_by_complex_numbers(atoms: Iterable[Rep]) -> bool:
    """Return whether any of the atoms acts on complex vectors: a generator is a complex matrix, or
    the atom is an irrep over ℂ, such as the trivial one of a complex group.
    """
    return any(_acts_by_complex_numbers(atom, images(atom)) for atom in dict.fromkeys(atoms))


def _acts_by_complex_numbers(atom: Rep, found: Images) -> bool:
    own = atom.rep if is_a(atom, Dual) else atom
    return own._is_over_complex_numbers or any(
        np.issubdtype(generator.dtype, np.complexfloating)
        for generator in (*found.lie, *found.discrete)
    )


def act_unitarily(atoms: Iterable[Rep]) -> bool:
    """Return whether all generators of the atoms are unitary (Lie generators anti-Hermitian): then
    each atom's conjugate is its dual.
    """
    return all(map(acts_unitarily, dict.fromkeys(atoms)))


def atom_digest(atom: Rep) -> str:
    """Return the identity of a user-defined rep: a digest of the images of its generators, or
    of the name given as its identity.
    """
    if atom.G is None:
        own = atom.rep if is_a(atom, Dual) else atom
        return f"{type(own).__module__}.{type(own).__qualname__} {atom} {frozen(vars(own))!r}"
    inner = atom.rep if is_a(atom, Dual) else atom
    if inner._identity is not None:
        text = f"intertwine {'dual of ' if inner is not atom else ''}{inner._identity}\n"
        return hashlib.sha256(text.encode()).hexdigest()
    return _once("digest", atom, lambda: _digest_of(atom))


def _digest_of(atom: Rep) -> str:
    return digest_of_images(atom.size(), images(atom))


def digest_of_images(size: int, found: Images) -> str:
    """Return a digest of a rep of this size by the images of its generators, rounded to 1e-12."""
    sha = hashlib.sha256(f"intertwine images 1\n{size}\n".encode())
    for kind, generators in (("lie", found.lie), ("discrete", found.discrete)):
        for generator in generators:
            sha.update(f"{kind}\n".encode())
            for part in matrix_parts(generator):
                sha.update(part)
    return sha.hexdigest()


@lru_cache(maxsize=1024)
def permutes(atom: Rep) -> bool:
    """Return whether an atom's group only permutes its coordinates, without signs."""
    found = images(atom)
    return not any(np.any(dense(a)) for a in found.lie) and all(
        _is_permutation(np.asarray(dense(h))) for h in found.discrete
    )


def _is_permutation(matrix: Inexact[np.ndarray, "n n"]) -> bool:
    ones = matrix == 1
    return bool(
        np.all(ones | (matrix == 0)) and np.all(ones.sum(0) == 1) and np.all(ones.sum(1) == 1)
    )


def acts_unitarily(atom: Rep) -> bool:
    """Return whether the generators of an atom are unitary (Lie generators anti-Hermitian)."""
    return _is_unitary(atom, images(atom))


def acts_orthogonally(atom: Rep) -> bool:
    """Return whether a user-defined rep is real and orthogonal over its group: its own dual."""
    if atom.G is None:
        return False
    found = images(atom)
    if any(
        np.issubdtype(matrix.dtype, np.complexfloating) for matrix in (*found.lie, *found.discrete)
    ):
        return False
    return _is_unitary(atom, found)


def _is_unitary(atom: Rep, found: Images) -> bool:
    """Return whether the images of an atom's generators are unitary (Lie: anti-Hermitian).

    Large matrices are compared on random vectors first; see `has_orthonormal_rows`. The tolerance
    for a Lie generator is relative to its image or to itself: an image that is zero up to rounding,
    such as su(2)'s under the determinant, has no scale of its own.
    """
    for generator, image in zip(atom.G.lie_generators, found.lie, strict=True):
        a = np.asarray(dense(image))
        scale = max(_largest(a), _largest(np.asarray(dense(generator))))
        if _largest(a + a.conj().T) > _ORTHOGONAL * scale:
            return False
    return all(
        isinstance(h, Permutation) or has_orthonormal_rows(np.asarray(dense(h)), _ORTHOGONAL)
        for h in found.discrete
    )


def _largest(matrix: Inexact[np.ndarray, "m n"]) -> float:
    return float(np.abs(matrix).max(initial=0.0))


def _contragredient(generator: Generator) -> Generator:
    permutation = as_signed_permutation(generator)
    if permutation is not None:
        return generator
    return np.linalg.inv(np.asarray(dense(generator))).T
