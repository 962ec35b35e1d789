"""Solve a rep: each canonical term is solved once, and the basis is assembled."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Any

import numpy as np

import intertwine
from intertwine.bases import (
    ApproximateCertificate,
    Basis,
    Certificate,
    DenseStorage,
    KroneckerStorage,
    Permuted,
    SparseStorage,
    Storage,
    Sum,
)
from intertwine.bases.store import BasisStore, find_store, obtain
from intertwine.blas_threads import one_blas_thread
from intertwine.errors import (
    AmbiguousRank,
    InvalidRep,
    MethodNotApplicable,
    NotConcrete,
    SolveError,
    TooLarge,
)
from intertwine.groups import Group
from intertwine.groups.rounding import require_exact
from intertwine.invariants import evidence
from intertwine.invariants.arrivals import require_sound
from intertwine.invariants.auto import choose_backend, choose_methods, require_known
from intertwine.invariants.backends import Backend
from intertwine.invariants.by_approximation import (
    CLEAR,
    SHOWN,
    approximate_invariants,
    require_distinguishable,
    require_tolerance,
)
from intertwine.invariants.by_blocks import BlockProblem, in_block_problems
from intertwine.invariants.by_irreps import match_irreps
from intertwine.invariants.by_krylov import Found, bytes_needed, krylov
from intertwine.invariants.by_orbits import index_orbits
from intertwine.invariants.by_svd import svd
from intertwine.invariants.cost import estimate
from intertwine.invariants.linear_constraints import constrained
from intertwine.invariants.problem import Problem, problems_of
from intertwine.invariants.progress import Report, reporting
from intertwine.invariants.reductive_part import within_reductive_part
from intertwine.invariants.tolerances import DEFAULT, Tolerances
from intertwine.memory import require_memory, require_size
from intertwine.reps.canonical_form import Atoms, canonical, canonical_terms
from intertwine.reps.document import rep_document
from intertwine.reps.generator_images import images_once
from intertwine.reps.key import basis_key
from intertwine.reps.syntax import Rep, atoms, groups_of, tensor

_LOG = logging.getLogger("intertwine")
_MOST_BYTES = 2**16
"""The largest request that is kept with a basis."""
_MOST_ENTRIES = _MOST_BYTES // 2
"""The most entries of generators that could fit into it."""
_SMALL_OPERATIONS = 1e9
"""The most estimated operations of a solve for which one BLAS thread is as fast as several."""
_QUICK_OPERATIONS = 1e7
"""The most estimated operations of a solve that takes milliseconds."""


@dataclass(frozen=True)
class Options:
    """The options of a solve."""

    method: str = "auto"
    backend: str = "auto"
    device: str | None = None
    tolerances: Tolerances = DEFAULT
    store: BasisStore | None = None
    tolerance: float | None = None


@images_once()
def solve(
    rep: Rep,
    *,
    method: str = "auto",
    backend: str = "auto",
    device: str | None = None,
    tolerances: Tolerances = DEFAULT,
    progress: Report | bool | None = None,
    store: BasisStore | bool = True,
    tolerance: Any = None,
    constraints: Any = None,
) -> Basis:
    """Return the basis Q of shape (n, r) of the invariants of a concrete rep, with its certificate.

    `method` is ``auto``, ``orbits``, ``irreps``, ``svd`` or ``krylov``; `backend` is ``auto``,
    ``numpy`` or ``jax``, on `device` (``cpu``, ``gpu``, ``gpu:1``). `progress` is called with
    `Progress`; True shows a bar, False none, and None one on a terminal. Different groups are
    solved separately and every distinct product once; the result is checked against every
    generator as given.

    A `store` keeps bases between processes: True means the installed and enabled one (see
    `INTERTWINE_CACHE`), False none. `basis.cached` names the place that had this basis, if any.
    A basis from another machine is checked first (`require_sound`). A solve with custom tolerances
    never uses a store, since its result may differ from others'.

    With a `tolerance` between 0 and 1, relative to the generators' norms, the basis spans
    approximate invariants, for generators learned from data. Its certificate is of the kind
    "approximate", and its key differs. Without a tolerance, rounded generators are rejected.

    With `constraints`, only the invariants with Cv = 0 are returned, for a matrix C (dense or
    sparse), an operator, or a list of these, each with n columns. Its certificate has their
    residuals. The invariants are solved, or taken from a store, without constraints, and the result
    is never stored.

    Raises `NotConcrete`, `UnknownMethod`, `MethodNotApplicable`, `TooLarge`, `RoundedGenerators`,
    another `AmbiguousRank` or another `SolveError`.
    """
    if not rep.is_concrete:
        raise NotConcrete(f"{rep} has no group yet: call it with one, as in rep(SO(3))")
    require_size(rep.size(), f"the rep {rep}")
    require_known(method, backend)
    if tolerance is None:
        for group in {id(atom.G): atom.G for atom in atoms(rep)}.values():
            require_exact(group)
    else:
        require_tolerance(tolerance, method, backend)
        tolerance = float(tolerance)
        if constraints is not None:
            raise MethodNotApplicable(
                "constraints are solved among exact invariants: leave the tolerance out"
            )
    form = canonical(rep)
    chosen = find_store() if store is True else store
    options = Options(method, backend, device, tolerances, chosen or None, tolerance)
    if not chosen or tolerances != DEFAULT:
        basis = _solve_canonical(form.rep, options, progress)
    else:
        key, details = basis_key(rep, method, backend, tolerance), describe(form.rep)
        basis = obtain(
            chosen,
            key,
            details,
            lambda: _solve_canonical(form.rep, options, progress),
            size=rep.size(),
            check=lambda basis, is_trusted: require_sound(
                form.rep, basis, is_trusted=is_trusted, tolerance=tolerance
            ),
            request=lambda: request_document(form.rep, method, backend, tolerance),
            is_quick=lambda: estimate(form.rep, method).operations < _QUICK_OPERATIONS,
        )
    found = in_order_of(rep, basis)
    if constraints is None:
        return found
    return constrained(rep, found, constraints, tolerances)


def describe(rep: Rep) -> dict[str, str | None]:
    """Describe a basis for a store's lists: its canonical rep and group, as text."""
    form = canonical(rep).rep
    return {"canonical": str(form), "group": None if rep.G is None else rep.G.description}


def request_document(
    rep: Rep, method: str = "auto", backend: str = "auto", tolerance: float | None = None
) -> dict[str, Any] | None:
    """Return the request for a basis as JSON: ``{rep, group?, reps?, method?, backend?,
    tolerance?}``.

    None for a user-defined rep, which text and images do not define, and for generators that would
    need more than some 64 KB.
    """
    given = [group for group in groups_of(rep) if type(group) is Group]  # others have names
    if sum(group.entries for group in given) > _MOST_ENTRIES:
        _LOG.debug("the request for %s is too large to keep", rep)
        return None
    try:
        document = rep_document(rep)
    except InvalidRep as error:
        _LOG.debug("the request is not kept: %s", error)
        return None
    options = {"method": method, "backend": backend}
    document |= {name: value for name, value in options.items() if value != "auto"}
    if tolerance is not None:
        document["tolerance"] = tolerance
    if len(json.dumps(document)) > _MOST_BYTES:
        _LOG.debug("the request for %s is too large to keep", rep)
        return None
    return document


def in_order_of(rep: Rep, basis: Basis) -> Basis:
    """Reorder the basis of a rep's canonical form to the rows of the rep as written."""
    form, storage = canonical(rep), basis.storage
    if not form.is_identity:
        require_memory(6 * 8 * rep.size(), f"reordering {rep}")
        storage = Permuted(form.permutation.inverse.indices, storage)
    return Basis(storage, basis.certificate, cached=basis.cached, of=rep)


def _solve_canonical(rep: Rep, options: Options, progress: Report | bool | None) -> Basis:
    started = time.perf_counter()
    is_small = estimate(rep, options.method).operations < _SMALL_OPERATIONS
    with reporting(progress) as report, one_blas_thread() if is_small else nullcontext():
        storage, parts = _assemble(rep, options, report)
    summary = _summary(storage, parts, time.perf_counter() - started)
    if options.tolerance is not None:
        cuts = [part for part in parts.values() if isinstance(part, ApproximateCertificate)]
        kept = sorted(value for part in cuts for value in part.kept_values)
        dropped = sorted(value for part in cuts for value in part.dropped_values)
        summary = ApproximateCertificate.of(
            summary, options.tolerance, tuple(kept[-SHOWN:]), tuple(dropped[:SHOWN])
        )
    return Basis(storage, summary, of=rep)


def _assemble(
    rep: Rep, options: Options, report: Report
) -> tuple[Storage, Mapping[str, Certificate]]:
    """Assemble the basis of a canonical rep from those of its terms, with their certificates."""
    solved: dict[Atoms, tuple[Storage, Certificate]] = {}
    blocks: list[tuple[int, Storage]] = []
    for multiplicity, term in canonical_terms(rep):
        factors = []
        for problem in problems_of(term):
            if problem.atoms not in solved:
                solved[problem.atoms] = _solve_problem(problem, options, report)
            factors.append(solved[problem.atoms][0])
        blocks.append(
            (multiplicity, factors[0] if len(factors) == 1 else KroneckerStorage(factors))
        )
    only_one = len(blocks) == 1 and blocks[0][0] == 1
    storage: Storage = blocks[0][1] if only_one else Sum(blocks)
    return storage, _by_name((repr(tensor(term)), part) for term, (_, part) in solved.items())


def _by_name(parts: Iterable[tuple[str, Certificate]]) -> dict[str, Certificate]:
    """Return certificates by the names of their parts. User-defined reps may share a name: then the
    later ones are numbered, so that no certificate is lost.
    """
    found: dict[str, Certificate] = {}
    for name, certificate in parts:
        names = chain([name], (f"{name}, {i}" for i in count(2)))
        found[next(free for free in names if free not in found)] = certificate
    return found


def _solve_problem(
    problem: Problem, options: Options, report: Report
) -> tuple[Storage, Certificate]:
    """Try the methods in turn until one has a proven answer.

    If one method finds the rank ambiguous and the next one refuses the size, the error is
    `AmbiguousRank`: `TooLarge` would hide the cause.
    """
    if options.tolerance is not None:
        return _approximate(problem, options.tolerance, options.method, report)
    blocks = in_block_problems(problem)
    if blocks is not None:
        return _solve_blocks(problem, blocks, options, report)
    *first, last = choose_methods(problem, options.method)
    notes: list[str] = []
    ambiguous: AmbiguousRank | None = None
    for method in first:
        try:
            storage, certificate = _run(method, problem, _in_brief(options), report)
            break
        except (SolveError, MethodNotApplicable) as error:
            _LOG.info("%s failed (%s); trying another method", method, error)
            applies = not isinstance(error, MethodNotApplicable)
            ambiguous = error if isinstance(error, AmbiguousRank) else ambiguous
            notes.append(f"{method} failed: {error}" if applies else str(error))
    else:
        try:
            storage, certificate = _run(last, problem, options, report)
        except TooLarge:
            if ambiguous is None:
                raise
            raise ambiguous from None
    require_distinguishable(problem, storage, report)
    return storage, replace(certificate, notes=(*notes, *certificate.notes))


def _solve_blocks(
    problem: Problem, blocks: BlockProblem, options: Options, report: Report
) -> tuple[Storage, Certificate]:
    """Solve a product block by block. The generators of a block are restrictions of those of the
    whole, so that the residual of a generator is the largest of its residuals on the blocks.
    """
    started = time.perf_counter()
    solved = [_solve_problem(each, options, report) for each in blocks.problems]
    storage = blocks.joined([found for found, _ in solved])
    names = _by_name(
        (repr(tensor(each.atoms)), part)
        for each, (_, part) in zip(blocks.problems, solved, strict=True)
    )
    whole = _summary(storage, names, time.perf_counter() - started)
    assert problem.group is not None
    values = tuple(value for value in whole.residuals.values() if value)
    residuals = {problem.group.digest: values[0]} if values else {}
    return storage, replace(whole, residuals=residuals, parts={})


def _approximate(
    problem: Problem, tolerance: float, method: str, report: Report
) -> tuple[Storage, Certificate]:
    """Return the invariants up to a tolerance, with the singular values around the cut."""
    started = time.perf_counter()
    found = approximate_invariants(problem, tolerance, report, method)
    storage = DenseStorage(found.basis)
    orthonormality = storage.orthonormality()
    what = repr(tensor(problem.atoms))
    evidence.require_orthonormal(orthonormality, what, DEFAULT)
    notes = []
    if found.gap < CLEAR:
        notes.append(
            f"the cut at {tolerance:g} has no gap: for {what} a singular value of "
            f"{found.kept[-1]:.2g} counts as zero, and one of {found.dropped[0]:.2g} does not"
        )
    residuals = evidence.residuals(problem, storage)
    certificate = ApproximateCertificate(
        method=found.method,
        backend="numpy",
        device="cpu",
        size=storage.shape[0],
        rank=storage.shape[1],
        residual=max(found.kept, default=0.0),
        orthonormality=orthonormality,
        gap=found.gap,
        iterations=found.iterations,
        seconds=time.perf_counter() - started,
        residuals={problem.group.digest: residuals} if problem.group else {},
        version=intertwine.__version__,
        notes=tuple(notes),
        tolerance=tolerance,
        kept_values=found.kept,
        dropped_values=found.dropped,
    )
    return storage, certificate


def _in_brief(options: Options) -> Options:
    """Limit the steps, if another method can take over within seconds."""
    return replace(options, tolerances=replace(options.tolerances, steps=200))


def _run(
    method: str, problem: Problem, options: Options, report: Report
) -> tuple[Storage, Certificate]:
    """Run one method and check its result."""
    started = time.perf_counter()
    what = repr(tensor(problem.atoms))
    backend = choose_backend(problem, method, options.backend, options.device)
    storage: Storage
    residuals: tuple[float, ...] | None = None
    orthonormality = None
    iterations = 0
    notes: tuple[str, ...] = ()
    if method == "orbits":
        storage, gap = index_orbits(problem, report), math.inf
    elif method == "irreps":
        factored = match_irreps(problem, backend, options.tolerances, report, options.store)
        storage, gap = factored.storage, factored.gap
        residuals, orthonormality = factored.residuals, factored.orthonormality
    else:
        require_memory(bytes_needed(problem, 0), what)
        _refuse_oblique(problem, options.tolerances)
        found = _null_space(method, problem, backend, options, report)
        storage, gap, iterations = DenseStorage(found.basis), found.gap, found.iterations
        notes = found.notes
    if residuals is None or orthonormality is None:
        residuals, orthonormality = evidence.residuals(problem, storage), storage.orthonormality()
    residual = float(np.max(residuals, initial=0.0))
    is_counted = method == "orbits" or isinstance(storage, SparseStorage)
    is_confirmed = evidence.confirmed_rank(problem, storage.shape[1], what, is_counted=is_counted)
    evidence.require_proven(
        problem, storage, residuals, orthonormality, what, options.tolerances, is_confirmed
    )
    certificate = Certificate(
        method=method,
        backend=backend.name,
        device=backend.device,
        size=storage.shape[0],
        rank=storage.shape[1],
        residual=residual,
        orthonormality=orthonormality,
        gap=gap,
        iterations=iterations,
        seconds=time.perf_counter() - started,
        residuals={problem.group.digest: residuals} if problem.group else {},
        version=intertwine.__version__,
        notes=notes,
    )
    return storage, certificate


def _null_space(
    method: str, problem: Problem, backend: Backend, options: Options, report: Report
) -> Found:
    """Run `svd` or `krylov`. Unless `krylov` was requested, it is replaced by
    `within_reductive_part` where that finds the invariants.
    """
    tolerances = options.tolerances
    if method == "svd":
        return svd(problem, backend, tolerances, report)
    within = None
    if options.method == "auto" and backend.name == "numpy":
        within = within_reductive_part(problem, backend, tolerances, report)
    return within or krylov(problem, backend, tolerances, report)


def _refuse_oblique(problem: Problem, tolerances: Tolerances) -> None:
    if not problem.obliqueness <= tolerances.oblique:
        raise AmbiguousRank(
            f"the rank is ambiguous: in the frame of these generators their images on "
            f"{tensor(problem.atoms)} have the condition {problem.obliqueness:.1e}; the limit is "
            f"{tolerances.oblique:.0e}. Conjugate the generators to an orthogonal frame"
        )


def _summary(storage: Storage, parts: Mapping[str, Certificate], seconds: float) -> Certificate:
    """Return the certificate of an assembled basis, with bounds from those of its parts.

    A direct sum's residuals are the largest of its blocks', and a Kronecker product's at most those
    of its factors, whose bases have ‖Q‖ = 1.
    """
    certificates = list(parts.values())
    residuals: dict[str, tuple[float, ...]] = {}
    for certificate in certificates:
        for group, values in certificate.residuals.items():
            known = residuals.get(group, (0.0,) * len(values))
            residuals[group] = tuple(map(max, known, values))
    return Certificate(
        method=_joined([c.method for c in certificates]),
        backend=_joined([c.backend for c in certificates]),
        device=_joined([c.device for c in certificates]),
        size=storage.shape[0],
        rank=storage.shape[1],
        residual=max((c.residual for c in certificates), default=0.0),
        orthonormality=storage.orthonormality_of_whole(
            max((c.orthonormality for c in certificates), default=0.0)
        ),
        gap=min((c.gap for c in certificates), default=math.inf),
        iterations=sum(c.iterations for c in certificates),
        seconds=seconds,
        residuals=residuals,
        parts=parts if len(parts) > 1 else {},
        version=intertwine.__version__,
        notes=tuple(dict.fromkeys(note for c in certificates for note in c.notes)),
    )


def _joined(names: list[str]) -> str:
    return "+".join(dict.fromkeys(names)) or "none"
