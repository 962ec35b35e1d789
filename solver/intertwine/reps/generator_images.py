"""The images of a group's generators under the factors of a rep: all that a solver needs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.arrays import double_precision
from intertwine.errors import InvalidRep, NotConcrete
from intertwine.groups.digest import matrix_bytes
from intertwine.groups.generators import Generator
from intertwine.operators import LinearOperator, as_signed_permutation, dense
from intertwine.reps.syntax import Base, Dual, Rep, frozen, is_a

_HOMOMORPHISM_TOLERANCE = 1e-6
_CHECKED_SAMPLES = 6
_ORTHOGONAL = 1e-11
_CHECKED_GENERATORS = 6


@dataclass(frozen=True)
class Images:
    """dρ(Aₖ) for the Lie generators and ρ(hᵢ) for the discrete ones of ρ's group, as given."""

    lie: tuple[Generator, ...]
    discrete: tuple[Generator, ...]


def images(atom: Rep) -> Images:
    """The images of the generators under a base rep, a dual, or a rep of the user's own.

    Raises `NotConcrete` without a group, and `InvalidRep` for a rep of the user's own that is no
    homomorphism.
    """
    if atom.G is None:
        raise NotConcrete(f"{atom} has no group yet: call the rep with one, as in rep(SO(3))")
    if is_a(atom, Base):
        return Images(atom.G.lie_generators, atom.G.group_generators)
    if is_a(atom, Dual):
        inner = images(atom.rep)
        return Images(
            tuple(-np.asarray(dense(a)).T for a in inner.lie),
            tuple(_contragredient(h) for h in inner.discrete),
        )
    _check_homomorphism(atom)
    lie = tuple(_image(atom, a, lie=True) for a in atom.G.lie_generators)
    discrete = tuple(_image(atom, h, lie=False) for h in atom.G.group_generators)
    return Images(lie, discrete)


def act_by_complex_numbers(atoms: Iterable[Rep]) -> bool:
    """Whether a generator of any of the atoms is a complex matrix."""
    return any(
        np.issubdtype(generator.dtype, np.complexfloating)
        for found in map(images, dict.fromkeys(atoms))
        for generator in (*found.lie, *found.discrete)
    )


def act_unitarily(atoms: Iterable[Rep]) -> bool:
    """Whether all generators of the atoms are unitary, those of Lie algebras anti-Hermitian: then
    the conjugate of each atom is its dual.
    """
    for found in map(images, dict.fromkeys(atoms)):
        for a in map(np.asarray, map(dense, found.lie)):
            if np.abs(a + a.conj().T).max(initial=0.0) > _ORTHOGONAL * np.abs(a).max(initial=0.0):
                return False
        for h in map(np.asarray, map(dense, found.discrete)):
            if np.abs(h @ h.conj().T - np.eye(len(h))).max(initial=0.0) > _ORTHOGONAL:
                return False
    return True


def atom_digest(atom: Rep) -> str:
    """The identity of a rep of the user's own: a digest of the images of its generators, or of
    the name by which it identifies itself.
    """
    if atom.G is None:
        own = atom.rep if is_a(atom, Dual) else atom
        return f"{type(own).__module__}.{type(own).__qualname__} {atom} {frozen(vars(own))!r}"
    inner = atom.rep if is_a(atom, Dual) else atom
    if inner._identity is not None:
        text = f"intertwine {'dual of ' if inner is not atom else ''}{inner._identity}\n"
        return hashlib.sha256(text.encode()).hexdigest()
    found = images(atom)
    sha = hashlib.sha256(f"intertwine images 1\n{atom.size()}\n".encode())
    for kind, generators in (("lie", found.lie), ("discrete", found.discrete)):
        for generator in generators:
            sha.update(f"{kind}\n".encode())
            sha.update(matrix_bytes(generator))
    return sha.hexdigest()


def acts_orthogonally(atom: Rep) -> bool:
    """Whether a rep of the user's own is, over its group, real and orthogonal: its own dual."""
    if atom.G is None:
        return False
    found = images(atom)
    lie = [np.asarray(dense(a)) for a in found.lie]
    discrete = [np.asarray(dense(h)) for h in found.discrete]
    if any(np.iscomplexobj(matrix) for matrix in (*lie, *discrete)):
        return False
    return all(
        np.abs(a + a.T).max(initial=0.0) <= _ORTHOGONAL * np.abs(a).max(initial=0.0) for a in lie
    ) and all(np.abs(h @ h.T - np.eye(len(h))).max(initial=0.0) <= _ORTHOGONAL for h in discrete)


def _contragredient(generator: Generator) -> Generator:
    permutation = as_signed_permutation(generator)
    if permutation is not None:
        return generator
    return np.linalg.inv(np.asarray(dense(generator))).T


def _image(atom: Rep, generator: Generator, *, lie: bool) -> Inexact[np.ndarray, "n n"]:
    element = np.asarray(dense(generator))
    matrix = matrix_of(atom, "drho" if lie else "rho", element)
    if matrix.shape[0] != atom.size():
        raise InvalidRep(f"{atom!r} has size {atom.size()}, and matrices of shape {matrix.shape}")
    real = np.iscomplexobj(matrix) and not np.any(matrix.imag)
    image: Inexact[np.ndarray, "n n"] = matrix.real.copy() if real else matrix
    return image  # equal images make equal keys, and equal bases


def matrix_of(atom: Rep, name: str, element: Inexact[np.ndarray, "d d"]) -> Any:
    """ρ(g) or dρ(A) as a finite square matrix in double precision.

    Raises `InvalidRep` where a rep of the user's own returns anything else.
    """
    with double_precision():
        found = getattr(atom, name)(element)
        matrix = np.asarray(dense(found) if isinstance(found, LinearOperator) else found)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InvalidRep(f"{name} of {atom!r} returns an array of shape {matrix.shape}, not (n, n)")
    if not np.issubdtype(matrix.dtype, np.number) or not np.all(np.isfinite(matrix)):
        raise InvalidRep(
            f"{name} of {atom!r} returns entries that are no finite numbers:\n{matrix}"
        )
    return matrix.astype(np.result_type(matrix.dtype, np.float64))


def _check_homomorphism(atom: Rep) -> None:
    """ρ(gh) = ρ(g)ρ(h) on samples and generators, and dρ is ρ's derivative along one direction.

    A slip in a user's rho would otherwise solve nonsense, with a perfect certificate.
    """
    group = atom.G
    discrete = [np.asarray(dense(h)) for h in group.group_generators[:_CHECKED_GENERATORS]]
    elements = [*group.samples(_CHECKED_SAMPLES, seed=20210419), *discrete]
    found = [matrix_of(atom, "rho", g) for g in elements]
    identity = matrix_of(atom, "rho", np.eye(group.d))
    _require_close(atom, identity, np.eye(len(identity)), "ρ(1) is not the identity")
    for i, g in enumerate(elements):
        for j in {(i + 1) % len(elements), i, *range(_CHECKED_SAMPLES, len(elements))}:
            product = matrix_of(atom, "rho", g @ elements[j])
            _require_close(atom, product, found[i] @ found[j], "ρ(gh) differs from ρ(g)ρ(h)")
    if group.lie_generators:
        from scipy.linalg import expm

        weights = np.random.default_rng(1).standard_normal(len(group.lie_generators))
        algebra = [np.asarray(dense(a)) for a in group.lie_generators]
        direction = sum(
            w * a / (np.abs(a).max() or 1.0) for w, a in zip(weights, algebra, strict=True)
        )
        direction = direction / (np.linalg.norm(direction) or 1.0)
        exponential = expm(matrix_of(atom, "drho", direction))
        along = matrix_of(atom, "rho", expm(direction))
        _require_close(atom, along, exponential, "ρ(exp A) differs from exp dρ(A)")


def _require_close(atom: Rep, left: Any, right: Any, slip: str) -> None:
    scale = max(1.0, float(np.abs(right).max(initial=0.0)))
    if left.shape != right.shape or not np.all(
        np.abs(left - right) <= _HOMOMORPHISM_TOLERANCE * scale
    ):
        raise InvalidRep(f"{atom!r} is no representation of {atom.G!r}: {slip}")
