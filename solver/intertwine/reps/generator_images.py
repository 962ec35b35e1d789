"""The images of a group's generators under the factors of a rep, as a solver needs them."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.arrays import double_precision, is_sparse
from intertwine.errors import AmbiguousRank, InvalidRep, NotConcrete, TooLarge
from intertwine.groups import Group
from intertwine.groups.digest import matrix_bytes
from intertwine.groups.generators import Generator
from intertwine.memory import require_memory
from intertwine.operators import LinearOperator, as_signed_permutation, dense, exponential
from intertwine.reps.syntax import Base, Dual, Rep, frozen, is_a

MAX_OWN_SIZE = 20_000
"""The largest user-defined rep: its matrices are dense (3.2 GB each at this size)."""
_HOMOMORPHISM_TOLERANCE = 1e-3
_ROUNDING = 1e-11  # homomorphisms up to this are exact
_COARSE = 1e-9  # … and above this never are, however sensitive rho is
_PERTURBATION = 1e-6
_ALLOWANCE = 1000
_LINEAR = 1e-6
_AT_ONCE = 24  # matrices of one rep in memory while it is checked
_CHECKED_SAMPLES = 6
_ORTHOGONAL = 1e-11
_CHECKED_GENERATORS = 6


@dataclass(frozen=True)
class Images:
    """dρ(Aₖ) for the Lie generators and ρ(hᵢ) for the discrete ones of ρ's group, as given."""

    lie: tuple[Generator, ...]
    discrete: tuple[Generator, ...]


def images(atom: Rep) -> Images:
    """Return the images of the generators under a base rep, a dual, or a user-defined rep.

    Raises `NotConcrete` without a group, and `InvalidRep` for a user-defined rep that is not a
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
    _check_linear(atom, lie)
    return Images(lie, discrete)


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
    return all(_is_unitary(atom, images(atom)) for atom in dict.fromkeys(atoms))


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
    found = images(atom)
    sha = hashlib.sha256(f"intertwine images 1\n{atom.size()}\n".encode())
    for kind, generators in (("lie", found.lie), ("discrete", found.discrete)):
        for generator in generators:
            sha.update(f"{kind}\n".encode())
            sha.update(matrix_bytes(generator))
    return sha.hexdigest()


def acts_orthogonally(atom: Rep) -> bool:
    """Return whether a user-defined rep is real and orthogonal over its group: its own dual."""
    if atom.G is None:
        return False
    found = images(atom)
    if any(np.iscomplexobj(dense(matrix)) for matrix in (*found.lie, *found.discrete)):
        return False
    return _is_unitary(atom, found)


def _is_unitary(atom: Rep, found: Images) -> bool:
    """Return whether the images of an atom's generators are unitary (Lie: anti-Hermitian).

    The tolerance for a Lie generator is relative to its image or to itself: an image that is zero
    up to rounding, such as su(2)'s under the determinant, has no scale of its own.
    """
    for generator, image in zip(atom.G.lie_generators, found.lie, strict=True):
        a = np.asarray(dense(image))
        scale = max(_largest(a), _largest(np.asarray(dense(generator))))
        if _largest(a + a.conj().T) > _ORTHOGONAL * scale:
            return False
    discrete = map(np.asarray, map(dense, found.discrete))
    return all(_largest(h @ h.conj().T - np.eye(len(h))) <= _ORTHOGONAL for h in discrete)


def _largest(matrix: Inexact[np.ndarray, "m n"]) -> float:
    return float(np.abs(matrix).max(initial=0.0))


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
    return image  # so that equal images give equal keys and bases


def matrix_of(atom: Rep, name: str, element: Inexact[np.ndarray, "d d"]) -> Any:
    """Return ρ(g) or dρ(A) as a finite square matrix in double precision.

    Raises `InvalidRep` if a user-defined rep returns anything else, and `TooLarge` if its matrix
    does not fit into memory.
    """
    try:
        with double_precision():
            found = getattr(atom, name)(element)
            matrix = _as_array(atom, name, found)
        return _checked_matrix(atom, name, matrix)
    except MemoryError as error:
        raise TooLarge(
            f"{name} of {atom!r} needs more memory than there is: its matrices are dense"
        ) from error


def size_of_image(atom: Rep) -> int:
    """Return n, from ρ(1); of a lazy operator only the shape is read."""
    element = np.eye(atom.G.d)
    try:
        with double_precision():
            found = atom.rho(element)
    except MemoryError as error:
        raise TooLarge(f"rho of {atom!r} needs more memory than there is, for ρ(1)") from error
    if isinstance(found, LinearOperator):
        return int(found.shape[0])
    matrix = _as_array(atom, "rho", found)
    if matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] > MAX_OWN_SIZE:
        return int(matrix.shape[0])
    return len(_checked_matrix(atom, "rho", matrix))


def _as_array(atom: Rep, name: str, found: Any) -> Any:
    """Convert the result of rho or drho to an array; operators past `MAX_OWN_SIZE` are rejected."""
    if isinstance(found, LinearOperator) or is_sparse(found):
        _refuse_large(atom, int(max(found.shape)))
        return np.asarray(dense(found) if isinstance(found, LinearOperator) else found.toarray())
    try:
        return np.asarray(found)
    except ValueError as error:
        raise InvalidRep(f"{name} of {atom!r} does not return a matrix: {error}") from None


def _checked_matrix(atom: Rep, name: str, matrix: Any) -> Any:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InvalidRep(f"{name} of {atom!r} returns an array of shape {matrix.shape}, not (n, n)")
    _refuse_large(atom, matrix.shape[0])
    if not np.issubdtype(matrix.dtype, np.number) or not np.all(np.isfinite(matrix)):
        raise InvalidRep(
            f"{name} of {atom!r} returns entries that are not finite numbers:\n{matrix}"
        )
    return matrix.astype(np.result_type(matrix.dtype, np.float64))


def _refuse_large(atom: Rep, n: int) -> None:
    """Raise `TooLarge` if a user-defined rep of this size has matrices that do not fit."""
    if n > MAX_OWN_SIZE:
        raise TooLarge(
            f"{atom!r} has {n:,} dimensions, and its matrices are dense; at most "
            f"{MAX_OWN_SIZE:,} are allowed for a user-defined rep. Write it as a sum or product of "
            f"smaller ones"
        )
    kept = len(atom.G.lie_generators) + len(atom.G.group_generators) + _AT_ONCE
    require_memory(16 * kept * n * n, f"{atom!r} in dense matrices")


def _check_homomorphism(atom: Rep) -> None:
    """Check ρ(gh) = ρ(g)ρ(h) on samples and every generator, and dρ against ρ's derivative along
    one direction. Above 1e-3, rho is rejected; above rounding, it has too few digits.

    Otherwise an error in a user's rho would give a wrong basis with a perfect certificate.
    """
    group = atom.G
    _refuse_large(atom, atom.size())
    identity = matrix_of(atom, "rho", np.eye(group.d))
    _require_close(atom, identity, np.eye(len(identity)), "ρ(1) is not the identity")
    generators = [np.asarray(dense(h)) for h in group.group_generators]
    samples = [*group.samples(_CHECKED_SAMPLES, seed=20210419)]
    elements = [*samples, *generators[:_CHECKED_GENERATORS]]
    found = [matrix_of(atom, "rho", g) for g in elements]
    for i, g in enumerate(elements):
        for j in {(i + 1) % len(elements), i, *range(_CHECKED_SAMPLES, len(elements))}:
            product = matrix_of(atom, "rho", g @ elements[j])
            _require_close(atom, product, found[i] @ found[j], "ρ(gh) differs from ρ(g)ρ(h)")
    for k, h in enumerate(generators[_CHECKED_GENERATORS:]):
        image, j = matrix_of(atom, "rho", h), k % _CHECKED_SAMPLES
        product = matrix_of(atom, "rho", h @ samples[j])
        _require_close(atom, product, image @ found[j], "ρ(gh) differs from ρ(g)ρ(h)")
        square = matrix_of(atom, "rho", h @ h)
        _require_close(atom, square, image @ image, "ρ(gh) differs from ρ(g)ρ(h)")
    direction = _direction(group)
    _require_precise(atom, generators, direction)
    if direction is not None:
        image = exponential(matrix_of(atom, "drho", direction))
        along = matrix_of(atom, "rho", exponential(direction))
        _require_close(atom, along, image, "ρ(exp A) differs from exp dρ(A)")


def _check_linear(atom: Rep, lie: tuple[Inexact[np.ndarray, "n n"], ...]) -> None:
    """Check that dρ is linear on a combination of all Lie generators."""
    direction = _direction(atom.G)
    if direction is None:
        return
    expected = np.tensordot(_weights(atom.G), np.array(lie), axes=1)
    found = matrix_of(atom, "drho", direction)
    terms = [
        abs(w) * np.abs(a).max(initial=0.0) for w, a in zip(_weights(atom.G), lie, strict=True)
    ]
    if not np.abs(found - expected).max(initial=0.0) <= _LINEAR * max(1.0, sum(terms)):
        raise InvalidRep(
            f"{atom!r} is not a representation of {atom.G!r}: dρ is not linear on the Lie algebra"
        )


def _direction(group: Group) -> Inexact[np.ndarray, "d d"] | None:
    """Return a fixed combination of all Lie generators, of norm 1; None without Lie generators."""
    if not group.lie_generators:
        return None
    algebra = np.array([np.asarray(dense(a)) for a in group.lie_generators])
    direction: Inexact[np.ndarray, "d d"] = np.tensordot(_weights(group), algebra, axes=1)
    return direction


def _weights(group: Group) -> Inexact[np.ndarray, " k"]:
    """Return the coefficients of `_direction`."""
    algebra = [np.asarray(dense(a)) for a in group.lie_generators]
    largest = np.array([np.abs(a).max() or 1.0 for a in algebra])
    weights = np.random.default_rng(1).standard_normal(len(algebra)) / largest
    norm = np.linalg.norm(np.tensordot(weights, np.array(algebra), axes=1))
    found: Inexact[np.ndarray, " k"] = weights / (norm or 1.0)
    return found


def _require_precise(
    atom: Rep,
    generators: list[Inexact[np.ndarray, "d d"]],
    direction: Inexact[np.ndarray, "d d"] | None,
) -> None:
    """Raise `AmbiguousRank` for a rho that is multiplicative only to a few digits.

    Ranks are decided at 1e-7 and finer: with images known to 1e-7 (float32), no invariants would
    be left. ρ(gh) is compared with ρ(g)ρ(h) for elements near the generators, whose products lose
    no digits, relative to the effect of perturbing gh by its rounding error.
    """
    elements = list(generators)
    if direction is not None:
        elements += [exponential(t * direction) for t in (0.37, -0.61, 0.83)]
    rng, worst = np.random.default_rng(2), 0.0
    found = [matrix_of(atom, "rho", g) for g in elements]
    each = range(len(elements))
    for i, j in [*((i, i) for i in each), *itertools.pairwise(each)]:
        (g, h), images = (elements[i], elements[j]), (found[i], found[j])
        product = matrix_of(atom, "rho", g @ h)
        magnitude = np.abs(images[0]) @ np.abs(images[1])
        scale = max(float(magnitude.max(initial=0.0)), float(np.abs(product).max(initial=0.0)))
        if not scale:
            continue
        defect = float(np.abs(product - images[0] @ images[1]).max()) / scale
        if defect <= _ROUNDING:
            continue
        noise = _PERTURBATION * (np.abs(g) @ np.abs(h)) * rng.standard_normal(g.shape)
        with np.errstate(all="ignore"):
            moved = matrix_of(atom, "rho", g @ h + noise)
        sensitivity = float(np.abs(moved - product).max()) / scale / _PERTURBATION
        if not defect <= min(_ALLOWANCE * np.finfo(float).eps * sensitivity, _COARSE):
            worst = max(worst, defect)
    if worst:
        raise AmbiguousRank(
            f"the rank is ambiguous: rho of {atom!r} is a homomorphism only to {worst:.1g}, "
            f"too coarse to decide a rank. If it computes in float32, use float64"
        )


def _require_close(atom: Rep, left: Any, right: Any, slip: str) -> None:
    scale = max(1.0, float(np.abs(right).max(initial=0.0)))
    if left.shape != right.shape or not np.all(
        np.abs(left - right) <= _HOMOMORPHISM_TOLERANCE * scale
    ):
        raise InvalidRep(f"{atom!r} is not a representation of {atom.G!r}: {slip}")
