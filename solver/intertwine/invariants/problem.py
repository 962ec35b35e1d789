"""The problem that a method solves: a product of reps of one group, as matrices in slots."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.groups import Group
from intertwine.groups.enumeration import independent_generators
from intertwine.groups.generators import Generator
from intertwine.groups.lie_span import LieSpan, spectral_norm
from intertwine.invariants.tolerances import Tolerances
from intertwine.irreps.abelian_weights import Weights, commute_on_a_vector, diagonalised
from intertwine.operators import Permutation, as_signed_permutation, dense, is_monomial
from intertwine.operators.product_comparison import PRODUCTS_UP_TO, has_orthonormal_rows
from intertwine.reps.canonical_form import Atoms
from intertwine.reps.generator_images import Images, images, lie_span_of
from intertwine.reps.key import basis_key
from intertwine.reps.syntax import Base, Dual, Rep, is_a, tensor

_DEFECTIVE = 1e7  # a larger condition of eigenspaces may mean a defective matrix
_GOOD_CONDITION = 10.0  # a smaller condition of given generators needs no better basis
_TOGETHER = 1e-3  # of the norm: rounding separates a defective matrix's equal eigenvalues by less
_SCALED_FROM = 64  # powers of two: smaller scales need no care
_LARGEST_SCALE = 500
_UNITARY = 1e-11
_MANY_WEIGHTS = 24
"""The smallest slot whose weights are computed. Smaller slots have few irreps."""
_REMEMBERED = 16

#: One matrix per slot: the action of a generator on each factor of the product.
Slots = tuple[Inexact[np.ndarray, "_ _"], ...]  # slots differ in size


@dataclass(frozen=True)
class Problem:
    """Find all v in ρ₁ ⊗ … ⊗ ρ_p with dρ(A)v = 0 and ρ(h)v = v; the empty product is one scalar.

    `atoms` are the factors, all over `group` (None for the scalar).
    """

    atoms: Atoms
    group: Group | None

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The size of each slot."""
        return tuple(atom.size() for atom in self.atoms)

    @cached_property
    def size(self) -> int:
        """n, the product of the sizes."""
        return prod(self.sizes)

    @cached_property
    def images(self) -> tuple[Images, ...]:
        """The generators' images, slot by slot; equal atoms share theirs."""
        known = {atom: images(atom) for atom in self.atoms}
        return tuple(known[atom] for atom in self.atoms)

    @property
    def lie_count(self) -> int:
        """The number of Lie generators as given."""
        return len(self.group.lie_generators) if self.group else 0

    @property
    def discrete_count(self) -> int:
        """The number of discrete generators."""
        return len(self.group.group_generators) if self.group else 0

    def lie(self, k: int) -> Slots:
        """Return dρᵢ(Aₖ) in each slot i."""
        return tuple(np.asarray(dense(image.lie[k])) for image in self.images)

    def discrete(self, k: int) -> Slots:
        """Return one matrix per slot whose product is that of the ρᵢ(hₖ).

        Their scales are extracted as powers of two, which is exact, and the product of these goes
        to the first slot: large scales of V and V* cancel. A product beyond `_LARGEST_SCALE` is
        clipped there, which is still far from 1.
        """
        slots = [np.asarray(dense(image.discrete[k])) for image in self.images]
        if k not in self._exponents:
            self._exponents[k] = tuple(map(_exponent, slots))
        exponents = self._exponents[k]
        if not any(abs(e) > _SCALED_FROM for e in exponents):
            return tuple(slots)
        scaled = [np.ldexp(1.0, -e) * matrix for e, matrix in zip(exponents, slots, strict=True)]
        total = max(-_LARGEST_SCALE, min(_LARGEST_SCALE, sum(exponents)))
        return (np.ldexp(1.0, total) * scaled[0], *scaled[1:])

    def discrete_norm(self, k: int) -> float:
        """Return the spectral norm of the k-th discrete generator on the product."""
        if k not in self._discrete_norms:
            permutes = all(isinstance(image.discrete[k], Permutation) for image in self.images)
            norm = 1.0 if permutes else prod(map(spectral_norm, self.discrete(k)))
            self._discrete_norms[k] = norm
        return self._discrete_norms[k]

    @cached_property
    def _discrete_norms(self) -> dict[int, float]:
        return {}

    @cached_property
    def _exponents(self) -> dict[int, tuple[int, ...]]:
        return {}

    @property
    def independent_discrete(self) -> tuple[int, ...]:
        """Indices of discrete generators that generate what all of them do."""
        found = independent_generators(self.group) if self.group and self.discrete_count else None
        return tuple(range(self.discrete_count)) if found is None else found

    @cached_property
    def is_complex(self) -> bool:
        """Whether any image has complex entries."""
        generators = (g for image in self.images for g in (*image.lie, *image.discrete))
        return any(np.issubdtype(g.dtype, np.complexfloating) for g in generators)

    @property
    def dtype(self) -> np.dtype[Any]:
        """float64, or complex128 for a complex rep."""
        return np.dtype(np.complex128 if self.is_complex else np.float64)

    @cached_property
    def permutations(self) -> tuple[tuple[Permutation, ...], ...] | None:
        """Each discrete generator as signed permutations in the slots; None if one is not.

        Lie generators whose images all vanish are ignored.
        """
        if any(np.any(np.asarray(dense(a))) for image in self.images for a in image.lie):
            return None
        found = []
        for k in range(self.discrete_count):
            slots = [as_signed_permutation(image.discrete[k]) for image in self.images]
            if any(slot is None for slot in slots):
                return None
            found.append(tuple(slot for slot in slots if slot is not None))
        return tuple(found)

    @cached_property
    def lie_span(self) -> LieSpan:
        """The span of the Lie generators."""
        assert self.group is not None
        return lie_span_of(self.group)

    def unit_lie(self, k: int) -> Slots:
        """Return dρᵢ(Aₖ / ‖Aₖ‖) in each slot i, for Aₖ of any scale; zero for Aₖ = 0. Equal atoms
        share one array.
        """
        return self._slots({atom: self._unit_lie_of(image, k) for atom, image in self._distinct})

    @property
    def _distinct(self) -> Iterable[tuple[Rep, Images]]:
        return dict(zip(self.atoms, self.images, strict=True)).items()

    def _unit_lie_of(self, image: Images, k: int) -> Inexact[np.ndarray, "m m"]:
        return self.lie_span.scaled(k, np.asarray(dense(image.lie[k])))

    def _slots(self, matrices: Mapping[Rep, Inexact[np.ndarray, "_ _"]]) -> Slots:
        return tuple(matrices[atom] for atom in self.atoms)

    def unit_lie_norms(self, k: int) -> tuple[float, ...]:
        """Return the spectral norm of `unit_lie` in each slot."""
        if self.weights is not None:
            return tuple(float(np.abs(each.values[:, k]).max()) for each in self.weights)
        return spectral_norms(self.unit_lie(k))

    def independent_lie(self, tolerances: Tolerances) -> Iterator[Slots]:
        """Yield an orthonormal basis of the Lie span (in V, scaled to norm √d), in each slot.

        Raises `AmbiguousRank` if a generator is nearly, but not quite, a combination of the
        others.
        """
        if not self.lie_count:
            return
        yield from self.combined_lie(
            self.lie_span.combinations(tolerances.null, tolerances.distinct)
        )

    def combined_lie(self, combinations: Float[np.ndarray, "j k"]) -> Iterator[Slots]:
        """Yield combinations of the Lie generators (each scaled to norm 1), in each slot. Equal
        atoms share one array.
        """
        if not len(combinations):
            return
        combined = {}
        for atom, image in self._distinct:
            units = np.stack([self._unit_lie_of(image, k) for k in range(self.lie_count)])
            combined[atom] = np.tensordot(combinations, units, (1, 0))
        for k in range(len(combinations)):
            yield self._slots({atom: stack[k] for atom, stack in combined.items()})

    @cached_property
    def seems_diagonal(self) -> bool:
        """Whether a product with a large slot may have `weights`: a quick test finds that all its
        generators are normal and commute.
        """
        if max(self.sizes, default=0) < _MANY_WEIGHTS:
            return False
        distinct = dict(zip(self.atoms, self.images, strict=True))
        return all(_seems_diagonal(atom, image) for atom, image in distinct.items())

    @cached_property
    def weights(self) -> tuple[Weights, ...] | None:
        """The weights in each slot, of a product with a large slot over an abelian group whose
        generators are diagonal in one unitary frame; else None.
        """
        if not self.seems_diagonal:
            return None
        known: dict[Rep, Weights] = {}
        for atom, image in zip(self.atoms, self.images, strict=True):
            if atom not in known:
                if is_a(atom.rep if is_a(atom, Dual) else atom, Base):
                    found = _weights_of(atom)
                else:
                    lie = [self.lie_span.scaled(k, m) for k, m in enumerate(_dense(image.lie))]
                    found = diagonalised(lie, _dense(image.discrete), atom.size())
                if found is None:
                    return None
                known[atom] = found
        return tuple(known[atom] for atom in self.atoms)

    @cached_property
    def obliqueness(self) -> float:
        """How far the frame may push nonzero singular values of the constraints towards zero.

        For a discrete generator ∏ max(1, ‖ρᵢ(h)‖) max(1, ‖ρᵢ(h)⁻¹‖), scaled to determinant ±1; for
        a Lie generator the squared condition of its eigenspaces, slot by slot, if the span is
        not closed under adjoints (in a good frame of a reductive group it is): S⁻¹AS may have a
        singular value cond(S)² times smaller than its largest. Nilpotent and defective generators,
        which no frame makes normal, are ignored. The solve depends on the span alone: if this shows
        a good frame, no combination of its elements counts (see `LieSpan.has_good_frame`).
        """
        worst = max(self._stretches(), default=1.0)
        given = max(self._conditions(), default=1.0)
        if given > max(worst, _GOOD_CONDITION):
            given = 1.0 if self.lie_span.has_good_frame else given
        return max(worst, given)

    def is_more_oblique_than(self, limit: float) -> bool:
        """Return whether the obliqueness is above a limit, computed only up to the first generator
        that exceeds it. Hundreds of large generators would take longer than the solve.
        """
        if "obliqueness" in self.__dict__:
            return self.obliqueness > limit
        if any(found > limit for found in self._stretches()):
            return True
        is_more = any(found > limit for found in self._conditions())
        return is_more and not self.lie_span.has_good_frame

    def _stretches(self) -> Iterator[float]:
        for k in range(self.discrete_count):
            yield prod(map(_stretch, self.discrete(k)), start=1.0)

    def _conditions(self) -> Iterator[float]:
        if not self.lie_count or self.lie_span.is_closed_under_adjoints:
            return
        for k in range(self.lie_count):
            yield prod(map(_eigenvector_condition, self.unit_lie(k)), start=1.0)

    @cached_property
    def seed(self) -> int:
        """The seed of all random numbers of its solve, from the problem's key."""
        text = basis_key(tensor(self.atoms))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


@lru_cache(_REMEMBERED)
def _weights_of(atom: Rep) -> Weights | None:
    """Return the weights of V or V*, from the generators of its group.

    Lie generators are scaled to norm 1 as in `LieSpan`: the norm of a normal matrix is that of its
    largest weight.
    """
    image = images(atom)
    lie = _dense(image.lie)
    largest = [_largest_entry(a) or 1.0 for a in lie]
    found = diagonalised(lie, _dense(image.discrete), atom.size(), largest)
    if found is None:
        return None
    scales = np.ones(found.values.shape[1])
    scales[: len(lie)] = np.abs(found.values[:, : len(lie)]).max(axis=0, initial=0.0)
    scales[scales == 0] = 1.0
    return replace(found, values=found.values / scales, errors=found.errors / scales)


def _largest_entry(matrix: Inexact[np.ndarray, "m m"]) -> float:
    if np.iscomplexobj(matrix):
        return float(np.abs(matrix).max(initial=0.0))
    # without an array of n² absolute values
    return max(float(matrix.max(initial=0.0)), -float(matrix.min(initial=0.0)))


def _dense(generators: tuple[Generator, ...]) -> list[Inexact[np.ndarray, "_ _"]]:
    return [np.asarray(dense(generator)) for generator in generators]


def _seems_diagonal(atom: Rep, image: Images) -> bool:
    matrices = _dense((*image.lie, *image.discrete))
    return bool(matrices) and commute_on_a_vector(matrices, atom.size())


def spectral_norms(slots: Slots) -> tuple[float, ...]:
    """Return the spectral norm of each slot's matrix, computed once for slots that share one."""
    known = {id(matrix): spectral_norm(matrix) for matrix in {id(m): m for m in slots}.values()}
    return tuple(known[id(matrix)] for matrix in slots)


def middle(sizes: tuple[int, ...]) -> int:
    """Return the number of slots of the left half, such that the larger half is as small as
    possible. Of two such numbers, return the larger.
    """
    best, least = 0, math.inf
    for cut in range(len(sizes), -1, -1):
        larger = max(prod(sizes[:cut]), prod(sizes[cut:]))
        if larger < least:
            best, least = cut, larger
    return best


def problems_of(term: Atoms) -> list[Problem]:
    """Split a canonical term by group: invariants of G₁ × G₂ are products of those of each."""
    groups: dict[Group, list[Rep]] = {}
    for atom in term:
        groups.setdefault(atom.G, []).append(atom)
    return [Problem(tuple(atoms), group) for group, atoms in groups.items()] or [Problem((), None)]


def _exponent(matrix: Inexact[np.ndarray, "m m"]) -> int:
    """Return the power of two nearest to the geometric mean of a matrix's singular values."""
    if _is_large_unitary(matrix):
        return 0
    largest = float(np.abs(matrix).max(initial=0.0))
    if not largest:
        return 0
    unit = matrix / largest
    logarithm = _log_determinant(unit) / len(matrix)
    return round((logarithm + math.log(largest)) / math.log(2)) if np.isfinite(logarithm) else 0


def _is_large_unitary(matrix: Inexact[np.ndarray, "m m"]) -> bool:
    """Return whether a large matrix is shown to be unitary, in n² operations."""
    return len(matrix) > PRODUCTS_UP_TO and has_orthonormal_rows(matrix, _UNITARY)


def _log_determinant(matrix: Inexact[np.ndarray, "m m"]) -> float:
    """Return log |det M|; a group may have hundreds of monomial matrices, which need no LU."""
    if is_monomial(matrix) and np.count_nonzero(matrix) == len(matrix):
        return float(np.log(np.abs(matrix[matrix != 0])).sum())
    return float(np.linalg.slogdet(matrix)[1])


def _stretch(matrix: Inexact[np.ndarray, "m m"]) -> float:
    """Return max(1, ‖M‖) max(1, ‖M⁻¹‖) of a matrix scaled to determinant ±1."""
    if not matrix.size or _is_large_unitary(matrix):
        return 1.0
    values = np.linalg.svd(matrix, compute_uv=False)
    mean = math.exp(float(np.log(np.maximum(values, np.finfo(float).tiny)).mean()))
    return float(max(1.0, values[0] / mean) * max(1.0, mean / values[-1]))


def _eigenvector_condition(matrix: Inexact[np.ndarray, "m m"]) -> float:
    """Return the squared condition of a matrix's eigenspaces; near eigenvalues share one: the
    eigenvectors of equal ones depend on the machine, and a defective matrix has too few.

    An eigenspace's condition is the norm of its spectral projector: 1 for a normal matrix. One
    Schur form serves all eigenspaces: each is moved to its front in turn (Bai and Demmel, 1993).
    """
    if not matrix.size:
        return 1.0
    from scipy.linalg import schur
    from scipy.linalg.lapack import ztrsen, ztrsyl

    size = max(float(np.linalg.norm(matrix, 2)), np.finfo(float).tiny)
    triangle, frame = schur(matrix.astype(complex), output="complex")
    worst = 1.0
    for cluster in _clusters(np.diag(triangle), _TOGETHER * size):
        if len(cluster) == len(matrix):
            continue
        chosen = np.zeros(len(matrix), dtype=np.int32)
        chosen[cluster] = 1
        moved, _, _, count, *_ = ztrsen(chosen, triangle, frame, job="N", wantq=0)
        x, scale, _ = ztrsyl(
            moved[:count, :count], moved[count:, count:], -moved[:count, count:], isgn=-1
        )
        worst = max(worst, math.sqrt(1 + (float(np.linalg.norm(x, 2)) / scale) ** 2))
    return min(worst, _DEFECTIVE) ** 2


def _clusters(values: Inexact[np.ndarray, " m"], near: float) -> list[list[int]]:
    """Return the indices of numbers in clusters, whose neighbours are at most `near` apart."""
    from scipy.sparse.csgraph import connected_components

    distances = np.abs(values[:, None] - values[None, :])
    count, labels = connected_components(distances <= near, directed=False)
    return [np.flatnonzero(labels == k).tolist() for k in range(count)]
