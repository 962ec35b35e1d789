"""From a rep to its basis: canonical terms are solved once each, and assembled."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

import intertwine
from intertwine.bases import Basis, Certificate, Dense, Kronecker, Permuted, Storage, Sum
from intertwine.errors import NotConcrete, SolveError
from intertwine.groups import Group
from intertwine.invariants import certify
from intertwine.invariants.auto import choose_backend, choose_methods
from intertwine.invariants.krylov import krylov
from intertwine.invariants.memory import require_size
from intertwine.invariants.orbits import orbits
from intertwine.invariants.problem import Problem
from intertwine.invariants.progress import Report, reporting
from intertwine.invariants.svd import svd
from intertwine.invariants.tolerances import DEFAULT, Tolerances
from intertwine.reps.canonical import Atoms, canonical, canonical_terms
from intertwine.reps.syntax import Rep, tensor

_LOG = logging.getLogger("intertwine")


@dataclass(frozen=True)
class Options:
    """What a caller may choose of a solve."""

    method: str = "auto"
    backend: str = "auto"
    device: str | None = None
    tolerances: Tolerances = DEFAULT


def solve(
    rep: Rep,
    *,
    method: str = "auto",
    backend: str = "auto",
    device: str | None = None,
    tolerances: Tolerances = DEFAULT,
    progress: Report | bool | None = None,
) -> Basis:
    """The basis Q of shape (n, r) of the invariants of a concrete rep, with its certificate.

    `method` is ``auto``, ``orbits``, ``svd`` or ``krylov``; `backend` is ``auto``, ``numpy`` or
    ``jax``, on `device` (``cpu``, ``gpu``, ``gpu:1``). `progress` is called with `Progress`;
    True shows a bar, False none, and None one on a terminal. Different groups are solved apart
    and every different product once; the result is checked against every generator as given.

    Raises `NotConcrete`, `UnknownMethod`, `MethodNotApplicable`, `TooLarge`, `AmbiguousRank` or
    another `SolveError`.
    """
    if not rep.is_concrete:
        raise NotConcrete(f"{rep} has no group yet: call it with one, as in rep(SO(3))")
    require_size(rep.size(), f"the rep {rep}")
    started = time.perf_counter()
    options = Options(method, backend, device, tolerances)
    with reporting(progress) as report:
        storage, parts = _assemble(rep, options, report)
    seconds = time.perf_counter() - started
    return Basis(storage, _summary(storage, parts, seconds))


def _assemble(
    rep: Rep, options: Options, report: Report
) -> tuple[Storage, Mapping[str, Certificate]]:
    """The basis of a rep from those of its canonical terms, and their certificates."""
    solved: dict[Atoms, tuple[Storage, Certificate]] = {}
    blocks: list[tuple[int, Storage]] = []
    for multiplicity, term in canonical_terms(rep):
        factors = []
        for problem in _by_group(term):
            if problem.atoms not in solved:
                solved[problem.atoms] = _solve_problem(problem, options, report)
            factors.append(solved[problem.atoms][0])
        blocks.append((multiplicity, factors[0] if len(factors) == 1 else Kronecker(factors)))
    only_one = len(blocks) == 1 and blocks[0][0] == 1
    storage: Storage = blocks[0][1] if only_one else Sum(blocks)
    form = canonical(rep)
    if not form.is_identity:
        storage = Permuted(form.permutation.inverse.indices, storage)
    return storage, {repr(tensor(atoms)): part for atoms, (_, part) in solved.items()}


def _by_group(term: Atoms) -> list[Problem]:
    """The factors group by group: invariants of G₁ × G₂ are those of each, tensored."""
    groups: dict[Group, list[Rep]] = {}
    for atom in term:
        groups.setdefault(atom.G, []).append(atom)
    return [Problem(tuple(atoms), group) for group, atoms in groups.items()] or [Problem((), None)]


def _solve_problem(
    problem: Problem, options: Options, report: Report
) -> tuple[Storage, Certificate]:
    """The methods in turn, until one has a proven answer."""
    *first, last = choose_methods(problem, options.method)
    for method in first:
        try:
            return _run(method, problem, options, report)
        except SolveError as error:
            _LOG.info("%s failed (%s); trying another method", method, error)
    return _run(last, problem, options, report)


def _run(
    method: str, problem: Problem, options: Options, report: Report
) -> tuple[Storage, Certificate]:
    """One method's answer, checked."""
    started = time.perf_counter()
    backend = choose_backend(problem, method, options.backend, options.device)
    storage: Storage
    if method == "orbits":
        storage, gap, iterations = orbits(problem, report), math.inf, 0
    else:
        find = {"svd": svd, "krylov": krylov}[method]
        found = find(problem, backend, options.tolerances, report)
        storage, gap, iterations = Dense(found.basis), found.gap, found.iterations
    residuals = certify.residuals(problem, storage)
    residual = float(np.max(residuals, initial=0.0))
    orthonormality = certify.orthonormality(storage)
    what = repr(tensor(problem.atoms))
    certify.require_proven(residual, orthonormality, what, options.tolerances)
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
    )
    return storage, certificate


def _summary(storage: Storage, parts: Mapping[str, Certificate], seconds: float) -> Certificate:
    """The certificate of the whole: bounds for an assembled basis follow from its parts'.

    A direct sum's norms are the largest of its blocks', those of a Kronecker product of bases
    with ‖Q‖ = 1 at most multiply: (1 + ε₁)(1 + ε₂) − 1.
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
        orthonormality=_orthonormality(storage, certificates),
        gap=min((c.gap for c in certificates), default=math.inf),
        iterations=sum(c.iterations for c in certificates),
        seconds=seconds,
        residuals=residuals,
        parts=parts if len(parts) > 1 else {},
        version=intertwine.__version__,
    )


def _joined(names: list[str]) -> str:
    return "+".join(dict.fromkeys(names)) or "none"


def _orthonormality(storage: Storage, parts: list[Certificate]) -> float:
    worst = max((c.orthonormality for c in parts), default=0.0)
    factors = max((len(s.factors) for s in _kroneckers(storage)), default=1)
    return worst if factors == 1 else math.expm1(factors * math.log1p(worst))


def _kroneckers(storage: Storage) -> list[Kronecker]:
    if isinstance(storage, Permuted):
        return _kroneckers(storage.inner)
    if isinstance(storage, Sum):
        return [k for _, block in storage.blocks for k in _kroneckers(block)]
    return [storage] if isinstance(storage, Kronecker) else []
