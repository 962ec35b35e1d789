"""The images of a group's generators under the factors of a rep: all that a solver needs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.arrays import double_precision
from intertwine.errors import InvalidRep, NotConcrete
from intertwine.groups.digest import matrix_bytes
from intertwine.groups.generators import Generator
from intertwine.operators import LinearOperator, Permutation, as_signed_permutation, dense
from intertwine.reps.syntax import Base, Dual, Rep

_HOMOMORPHISM_TOLERANCE = 1e-6


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
    if isinstance(atom, Base):
        return Images(atom.G.lie_generators, atom.G.group_generators)
    if isinstance(atom, Dual):
        inner = images(atom.rep)
        return Images(
            tuple(-np.asarray(dense(a)).T for a in inner.lie),
            tuple(_contragredient(h) for h in inner.discrete),
        )
    _check_homomorphism(atom)
    lie = tuple(_image(atom, a, lie=True) for a in atom.G.lie_generators)
    discrete = tuple(_image(atom, h, lie=False) for h in atom.G.group_generators)
    return Images(lie, discrete)


def atom_digest(atom: Rep) -> str:
    """The identity of a rep of the user's own: a digest of the images of its generators."""
    if atom.G is None:
        return f"{type(atom).__module__}.{type(atom).__qualname__} {atom}"
    found = images(atom)
    sha = hashlib.sha256(f"intertwine images 1\n{atom.size()}\n".encode())
    for kind, generators in (("lie", found.lie), ("discrete", found.discrete)):
        for generator in generators:
            sha.update(f"{kind}\n".encode())
            sha.update(matrix_bytes(generator))
    return sha.hexdigest()


def _contragredient(generator: Generator) -> Generator:
    permutation = as_signed_permutation(generator)
    if permutation is not None:
        return permutation if isinstance(generator, LinearOperator) else generator
    return np.linalg.inv(np.asarray(dense(generator))).T


def _image(atom: Rep, generator: Generator, *, lie: bool) -> Inexact[np.ndarray, "n n"]:
    element = np.asarray(dense(generator))
    with double_precision():
        found = dense(atom.drho(element) if lie else atom.rho(element))
    matrix = np.asarray(found)
    size = atom.size()
    if matrix.shape != (size, size):
        name = "drho" if lie else "rho"
        raise InvalidRep(f"{name} of {atom!r} has shape {matrix.shape} for a rep of size {size}")
    if not np.all(np.isfinite(matrix)):
        raise InvalidRep(f"{atom!r} maps a generator to a matrix that is not finite:\n{matrix}")
    return matrix.astype(np.result_type(matrix.dtype, np.float64))


def _check_homomorphism(atom: Rep) -> None:
    """ρ(gh) = ρ(g)ρ(h) on two samples: a slip in a user's rho would otherwise solve nonsense."""
    g, h = atom.G.samples(2, seed=20210419)
    with double_precision():
        left: Any = np.asarray(dense(atom.rho(g @ h)))
        right: Any = np.asarray(dense(atom.rho(g))) @ np.asarray(dense(atom.rho(h)))
    scale = max(1.0, float(np.abs(right).max(initial=0.0)))
    if (
        left.shape != right.shape
        or not np.abs(left - right).max() <= _HOMOMORPHISM_TOLERANCE * scale
    ):
        raise InvalidRep(
            f"rho of {atom!r} is no representation: ρ(gh) differs from ρ(g)ρ(h) for sampled "
            f"elements of {atom.G!r}"
        )


__all__ = ["Images", "Permutation", "atom_digest", "images"]
