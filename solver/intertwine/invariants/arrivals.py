"""Check a basis that comes from elsewhere, as a basis that was solved here is checked.

The claims of its sender count for nothing: it is taken apart into one basis for each product of
reps of one group, as a solve assembles it, and each is checked against the caller's own generators.
No residual shows that columns are missing: an exact count of the invariants does, or the signature
of a trusted sender.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Iterator, Sequence
from math import prod

import numpy as np
from jaxtyping import Inexact

import intertwine
from intertwine.bases import (
    ApproximateCertificate,
    Basis,
    Certificate,
    DenseStorage,
    EqualityPatterns,
    Intertwiners,
    KroneckerStorage,
    Orbits,
    Permuted,
    SparseStorage,
    Storage,
    Sum,
    Transform,
)
from intertwine.bases.storage import UNREADABLE
from intertwine.errors import IntertwineError, SolveError, Unproven
from intertwine.invariants import evidence
from intertwine.invariants.auto import METHODS
from intertwine.invariants.by_blocks import in_block_problems
from intertwine.invariants.by_orbits import index_orbits
from intertwine.invariants.constraints import constraints_as_given, gradient
from intertwine.invariants.modular_solutions import PRIMES, modular_nullity
from intertwine.invariants.problem import Problem, middle, problems_of
from intertwine.invariants.progress import silent
from intertwine.invariants.tolerances import DEFAULT
from intertwine.reps.canonical_form import canonical_terms
from intertwine.reps.finite_characters import finite_rank
from intertwine.reps.syntax import Rep, tensor

_MOST_ENTRIES = 2**15
"""The most entries of a basis whose columns are all checked; of larger ones, random sums are."""
_PROBES = 4
_MOST_BOUNDED = 600
"""The most dimensions in which the bound modulo a prime is computed: it takes 0.1 seconds there, a
few times as long as a solve by irreps."""
_MOST_ENDOMORPHISMS = 4
"""The largest dimension of an irrep's commutant: ℝ, ℂ or the quaternions."""
_SLACK = 1.01
"""By how much rounding may exceed the tolerance of an approximate basis."""


def require_sound(
    rep: Rep,
    basis: Basis,
    *,
    is_trusted: bool = False,
    tolerance: float | None = None,
    seed: int | None = None,
) -> None:
    """Raise `SolveError` unless a basis is one that a solve of this canonical rep could return.

    It is `Unproven` if only the count of the invariants is missing.

    - It is assembled as a solve assembles it: from one dense basis, orbits or intertwiners for each
      product of reps of one group, and it is real if the generators' images are.
    - Its columns are orthonormal, and invariant under every generator as given, to the tolerances
      of a solve (`evidence.require_proven`). Of a part with more than 2¹⁵ entries that is not
      orbits, four random orthonormal combinations of the columns are checked, drawn with `seed`; by
      default nobody can foresee them. There, an error of one of r columns counts 1/√r.
    - It has all invariants: an exact count for each part is its rank. Orbits are counted again,
      other invariants by characters or modulo primes, for generators read as exact numbers. An
      `is_trusted` basis is not counted.

    A basis whose invariants cannot be counted is refused: of generators that are rounded, or in an
    oblique frame of a condition above `Tolerances.oblique`, or of no classical family and with
    irrational entries or more than 600 dimensions. With a `tolerance`, the basis is an approximate
    one: its columns must be invariant up to it, and `is_trusted`, since nothing counts them.

    Not checked: labels and orders (`read_basis` checks those of a file), and the certificate apart
    from its kind. The certificate remains the claim of its sender (see `certified`).
    """
    _measure(rep, basis, is_trusted=is_trusted, tolerance=tolerance, seed=seed)


def certified(rep: Rep, basis: Basis) -> Basis:
    """Return an exact basis of a canonical rep with a certificate of what is measured here.

    Nothing that its sender claims remains, apart from the names of the methods. Raises the errors
    of `require_sound`.
    """
    started = time.perf_counter()
    measured = _measure(rep, basis)
    residuals: dict[str, tuple[float, ...]] = {}
    for problem, values, _ in measured:
        if problem.group is not None:
            known = residuals.get(problem.group.digest, (0.0,) * len(values))
            residuals[problem.group.digest] = tuple(map(max, known, values))
    size, rank = basis.storage.shape
    methods = [name for name in METHODS if name in basis.certificate.method.split("+")]
    certificate = Certificate(
        method="+".join(methods) or "unknown",
        backend="numpy",
        device="cpu",
        size=size,
        rank=rank,
        residual=max((max(values, default=0.0) for _, values, _ in measured), default=0.0),
        orthonormality=basis.storage.orthonormality_of_whole(
            max((deviation for _, _, deviation in measured), default=0.0)
        ),
        gap=math.inf,
        iterations=0,
        seconds=time.perf_counter() - started,
        residuals=residuals,
        version=intertwine.__version__,
        notes=("found elsewhere, and checked here",),
        rank_bound=rank,
    )
    return Basis(basis.storage, certificate, of=rep)


#: A problem, how far its generators move the columns of its basis, and how far these are from
#: orthonormal.
_Measured = tuple[Problem, tuple[float, ...], float]


def _measure(
    rep: Rep,
    basis: Basis,
    *,
    is_trusted: bool = False,
    tolerance: float | None = None,
    seed: int | None = None,
) -> list[_Measured]:
    measured: list[_Measured] = []
    try:
        with np.errstate(all="ignore"):
            rng = np.random.default_rng(secrets.randbits(128) if seed is None else seed)
            _require_kind(basis, is_trusted, tolerance)
            parts = list(_parts(rep, basis.storage))
            for problem, storage in parts:
                _require_form(problem, storage)
                measured.append((problem, *_require_invariant(problem, storage, tolerance, rng)))
            if not is_trusted:
                for problem, storage in parts:
                    _require_complete(problem, storage.shape[1])
    except IntertwineError:
        raise
    except (*UNREADABLE, MemoryError) as error:
        raise SolveError(f"it cannot be computed with: {error!r}") from error
    return measured


def _require_kind(basis: Basis, is_trusted: bool, tolerance: float | None) -> None:
    if isinstance(basis.certificate, ApproximateCertificate) != (tolerance is not None):
        wanted = "exact" if tolerance is None else "approximate"
        raise SolveError(f"its certificate is {basis.certificate.kind}, not {wanted}")
    if tolerance is not None and not is_trusted:
        raise SolveError("no trusted key has signed it, and approximate invariants are not counted")


def _parts(rep: Rep, storage: Storage) -> Iterator[tuple[Problem, Storage]]:
    """Yield each problem of a canonical rep with the part of its basis, as a solve assembles it."""
    terms = canonical_terms(rep)
    multiplicities = [multiplicity for multiplicity, _ in terms]
    blocks: Sequence[Storage] = [storage]
    if multiplicities != [1]:
        if not isinstance(storage, Sum) or [m for m, _ in storage.blocks] != multiplicities:
            raise SolveError(f"it is not a direct sum of {multiplicities} blocks, as {rep!r} is")
        blocks = [block for _, block in storage.blocks]
    for (_, term), block in zip(terms, blocks, strict=True):
        problems = problems_of(term)
        factors: Sequence[Storage] = [block]
        if len(problems) > 1:
            if not isinstance(block, KroneckerStorage) or len(block.factors) != len(problems):
                raise SolveError(f"{tensor(term)!r} is a product over {len(problems)} groups")
            factors = block.factors
        for problem, factor in zip(problems, factors, strict=True):
            yield from _blocks(problem, factor)


def _blocks(problem: Problem, storage: Storage) -> Iterator[tuple[Problem, Storage]]:
    """Yield a problem with its basis, or those of its blocks if a solve splits it into blocks."""
    split = in_block_problems(problem)
    if split is None:
        yield problem, storage
        return
    inner = storage.inner if isinstance(storage, Permuted) else None
    if (
        not isinstance(storage, Permuted)
        or not isinstance(inner, Sum)
        or not np.array_equal(storage.rows, split.rows)
        or [m for m, _ in inner.blocks] != list(split.multiplicities)
    ):
        raise SolveError(f"it is not the direct sum of the blocks of {_name(problem)}")
    yield from zip(split.problems, (block for _, block in inner.blocks), strict=True)


def _require_form(problem: Problem, storage: Storage) -> None:
    """Refuse a part that no method returns. This also bounds what a check of it may cost."""
    what, (size, rank) = _name(problem), storage.shape
    found = DenseStorage | Orbits | EqualityPatterns | Intertwiners | SparseStorage
    if not isinstance(storage, found):
        raise SolveError(f"the basis of {what} is a {storage.kind}, which no method returns")
    if size != problem.size or rank > size:
        raise SolveError(f"{size} × {rank} is no basis in the {problem.size} dimensions of {what}")
    if np.issubdtype(storage.dtype, np.complexfloating) and not problem.is_complex:
        raise SolveError(f"the basis of {what} is complex, and {what} is real")
    if isinstance(storage, SparseStorage) and storage.sizes != problem.sizes:
        raise SolveError(f"the slots of {what} have the sizes {problem.sizes}")
    if isinstance(storage, Intertwiners):
        cut = middle(problem.sizes)
        for half, sizes in (
            (storage.left, problem.sizes[:cut]),
            (storage.right, problem.sizes[cut:]),
        ):
            if half.sizes != sizes or not _is_no_larger(half):
                raise SolveError(f"the halves of {what} are not decomposed into irreps")
        if any(len(units) > _MOST_ENDOMORPHISMS for units in storage.endomorphisms.values()):
            raise SolveError(f"an irrep of {what} has too many endomorphisms")


def _is_no_larger(transform: Transform) -> bool:
    """Return whether no step has more rows than the slots so far, as an isometry has not."""
    size = 1
    for slot, step, level in zip(transform.sizes, transform.steps, transform.levels, strict=False):
        size *= slot
        rows = sum(
            copies * prod(maps.shape[:2])
            for irrep, copies in level.items()
            for maps in step.get(irrep, {}).values()
        )
        if rows > size:
            return False
    return True


def _require_invariant(
    problem: Problem, storage: Storage, tolerance: float | None, rng: np.random.Generator
) -> tuple[tuple[float, ...], float]:
    """Check the columns of a part, or random combinations, like those of a solve.

    Return their residuals and their deviation from orthonormality.
    """
    if not storage.shape[1]:
        return (), 0.0
    what = _name(problem)
    shown = storage
    is_exact = isinstance(storage, Orbits | EqualityPatterns) and problem.permutations is not None
    if not is_exact or tolerance is not None:
        weights = _weights(storage, rng)
        shown = DenseStorage(np.asarray(storage.apply(weights)))
        missing = float(np.linalg.norm(np.asarray(storage.adjoint(shown.matrix)) - weights))
        if not missing <= DEFAULT.residual:
            raise SolveError(f"the columns of {what} are orthonormal to {missing:.2g} only")
        if tolerance is not None:
            _require_nearly_invariant(problem, shown.matrix, tolerance)
            return (), missing
    residuals, orthonormality = evidence.residuals(problem, shown), shown.orthonormality()
    try:
        evidence.require_proven(
            problem, shown, residuals, orthonormality, what, DEFAULT, is_confirmed=True
        )
    except SolveError as error:
        raise SolveError(
            f"the columns of {what} are not invariant: a generator moves them by "
            f"{max(residuals, default=0.0):.2g}"
        ) from error
    return residuals, orthonormality


def _weights(storage: Storage, rng: np.random.Generator) -> Inexact[np.ndarray, "r k"]:
    """Return orthonormal coordinates of the vectors to check: all columns, or random sums."""
    size, rank = storage.shape
    if size * rank <= _MOST_ENTRIES or rank <= _PROBES:
        return np.eye(rank, dtype=storage.dtype)
    drawn: Inexact[np.ndarray, "r k"] = np.linalg.qr(rng.standard_normal((rank, _PROBES)))[0]
    return drawn


def _require_nearly_invariant(
    problem: Problem, vectors: Inexact[np.ndarray, "n k"], tolerance: float
) -> None:
    constraints = constraints_as_given(problem)
    if not constraints.count:
        return
    gram = vectors.conj().T @ gradient(constraints, vectors)[0]
    moved = float(np.linalg.norm(gram, 2)) ** 0.5 / constraints.scale
    if not moved <= _SLACK * tolerance:
        raise SolveError(
            f"the columns of {_name(problem)} are invariant up to {moved:.2g}, not {tolerance:g}"
        )


def _require_complete(problem: Problem, rank: int) -> None:
    """Raise `SolveError` unless an exact count of the invariants is the rank.

    It is `Unproven` if they cannot be counted.
    """
    if rank == problem.size:
        return
    what = _name(problem)
    try:
        count = _exact_count(problem, rank)
    except IntertwineError as error:
        raise Unproven(
            f"no trusted key has signed it, and that {rank} invariants of {what} are all of them "
            f"is not proven: {error}"
        ) from error
    if count != rank:
        raise SolveError(
            f"it has {rank} invariants of {what}; no trusted key has signed it, and there may be "
            f"{count}"
        )


def _exact_count(problem: Problem, rank: int) -> int:
    """Count the invariants, or bound their number, without thresholds. The cheapest count that
    applies is used; none uses the rank to find its result.
    """
    from intertwine.exact import character_rank, rank_bound

    if problem.permutations is not None:
        return index_orbits(problem, silent).shape[1]
    if problem.group is not None and problem.group.precision:
        raise SolveError(f"its generators are known to {problem.group.precision:.1g} only")
    if not problem.obliqueness <= DEFAULT.oblique:  # vectors far from invariants hardly move
        raise SolveError(f"the condition of its generators is {problem.obliqueness:.1e}")
    known = finite_rank(problem.atoms)
    if known is None:
        known = modular_nullity(problem, PRIMES[0])
        if known not in (None, rank):  # this prime may divide a minor of the constraints
            known = modular_nullity(problem, PRIMES[1])
    product = tensor(problem.atoms)
    if known is None:
        known = character_rank(product)
    if known is not None:
        return known
    if problem.size > _MOST_BOUNDED:
        raise SolveError(f"they are not counted above {_MOST_BOUNDED:,} dimensions")
    bound = rank_bound(product).bound
    if bound > rank:  # it may be larger than the number of invariants
        raise SolveError(f"there may be {bound}")
    return bound


def _name(problem: Problem) -> str:
    return repr(tensor(problem.atoms))
