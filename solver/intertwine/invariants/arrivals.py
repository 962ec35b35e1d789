"""Check a basis that comes from elsewhere, as a basis that was solved here is checked.

The claims of its sender count for nothing: it is taken apart into one basis for each product of
reps of one group, as a solve assembles it, and each is checked against the caller's own generators.
No residual shows that columns are missing: an exact count of the invariants does, or the signature
of a trusted sender.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from math import prod

import numpy as np
from jaxtyping import Inexact

from intertwine.bases import (
    ApproximateCertificate,
    Basis,
    DenseStorage,
    Intertwiners,
    KroneckerStorage,
    Orbits,
    Storage,
    Sum,
    Transform,
)
from intertwine.bases.storage import UNREADABLE
from intertwine.errors import IntertwineError, SolveError
from intertwine.invariants import evidence
from intertwine.invariants.by_irreps import middle
from intertwine.invariants.by_orbits import index_orbits
from intertwine.invariants.constraints import constraints_as_given, gradient
from intertwine.invariants.modular_solutions import PRIMES, modular_nullity
from intertwine.invariants.problem import Problem, problems_of
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
    from its kind. The certificate remains the claim of its sender.
    """
    try:
        with np.errstate(all="ignore"):
            rng = np.random.default_rng(secrets.randbits(128) if seed is None else seed)
            _require_kind(basis, is_trusted, tolerance)
            for problem, storage in _parts(rep, basis.storage):
                _require_form(problem, storage)
                _require_invariant(problem, storage, tolerance, rng)
                if not is_trusted:
                    _require_complete(problem, storage.shape[1])
    except IntertwineError:
        raise
    except (*UNREADABLE, MemoryError) as error:
        raise SolveError(f"it cannot be computed with: {error!r}") from error


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
        yield from zip(problems, factors, strict=True)


def _require_form(problem: Problem, storage: Storage) -> None:
    """Refuse a part that no method returns. This also bounds what a check of it may cost."""
    what, (size, rank) = _name(problem), storage.shape
    if not isinstance(storage, DenseStorage | Orbits | Intertwiners):
        raise SolveError(f"the basis of {what} is a {storage.kind}, which no method returns")
    if size != problem.size or rank > size:
        raise SolveError(f"{size} × {rank} is no basis in the {problem.size} dimensions of {what}")
    if np.issubdtype(storage.dtype, np.complexfloating) and not problem.is_complex:
        raise SolveError(f"the basis of {what} is complex, and {what} is real")
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
) -> None:
    """Check the columns of a part, or random combinations, like those of a solve."""
    if not storage.shape[1]:
        return
    what = _name(problem)
    shown = storage
    if not isinstance(storage, Orbits) or problem.permutations is None or tolerance is not None:
        weights = _weights(storage, rng)
        shown = DenseStorage(np.asarray(storage.apply(weights)))
        missing = float(np.linalg.norm(np.asarray(storage.adjoint(shown.matrix)) - weights))
        if not missing <= DEFAULT.residual:
            raise SolveError(f"the columns of {what} are orthonormal to {missing:.2g} only")
        if tolerance is not None:
            _require_nearly_invariant(problem, shown.matrix, tolerance)
            return
    residuals = evidence.residuals(problem, shown)
    try:
        evidence.require_proven(
            problem, shown, residuals, shown.orthonormality(), what, DEFAULT, is_confirmed=True
        )
    except SolveError as error:
        raise SolveError(
            f"the columns of {what} are not invariant: a generator moves them by "
            f"{max(residuals, default=0.0):.2g}"
        ) from error


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
    """Raise `SolveError` unless an exact count of the invariants is the rank."""
    if rank == problem.size:
        return
    what = _name(problem)
    try:
        count = _exact_count(problem, rank)
    except IntertwineError as error:
        raise SolveError(
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
    return rank_bound(product).bound


def _name(problem: Problem) -> str:
    return repr(tensor(problem.atoms))
