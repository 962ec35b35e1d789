"""Errors as measured, not as bounded: orthonormality and intertwining to 1e-13."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from helpers.support import CASES, Case
from intertwine.groups import SO, parse_group
from intertwine.groups.lie_span import spectral_norm
from intertwine.invariants.constraints import apply_discrete, apply_lie
from intertwine.invariants.problem import Problem
from intertwine.irreps import decompose
from intertwine.reps import Rep, T, V
from intertwine.reps.canonical_form import canonical_terms
from intertwine.reps.syntax import tensor

PRECISE = 1e-13
SINGLE = [case for case in CASES if case.group is not None]
SMALL = [case for case in SINGLE if case.size <= 100]


def _worst(rep: Rep) -> float:
    return max(_worst_of(tensor(atoms)) for _, atoms in canonical_terms(rep))


def _worst_of(rep: Rep) -> float:
    """On a random unit vector of invariants: how far from isometric, and from invariant."""
    basis = rep.equivariant_basis(method="irreps", store=False)
    if not basis.rank or rep.G is None:
        return 0.0
    w = np.random.default_rng(0).standard_normal((basis.rank, 1))
    w /= np.linalg.norm(w)
    v = np.asarray(basis @ w)
    worst = float(np.linalg.norm(np.asarray(basis.H @ v) - w))
    ((_, atoms),) = canonical_terms(rep)
    problem = Problem(atoms, rep.G)
    for k in range(problem.lie_count):
        moved = apply_lie(problem.unit_lie(k), problem.sizes, v)
        worst = max(worst, float(np.linalg.norm(moved)))
    for k in range(problem.discrete_count):
        slots = problem.discrete(k)
        moved = apply_discrete(slots, problem.sizes, v) - v
        scale = max(1.0, prod(map(spectral_norm, slots)))
        worst = max(worst, float(np.linalg.norm(moved)) / scale)
    return worst


@pytest.mark.parametrize("case", SMALL, ids=str)
@pytest.mark.sampled(8)
def test_the_small_conformance_cases(case: Case) -> None:
    assert _worst(case.build()) <= PRECISE


@pytest.mark.slow
@pytest.mark.parametrize("case", [c for c in SINGLE if c not in SMALL], ids=str)
def test_the_large_conformance_cases(case: Case) -> None:
    assert _worst(case.build()) <= PRECISE


@pytest.mark.parametrize("power", range(1, 7))
def test_powers_of_a_vector(power: int) -> None:
    _assert_unitary(T(power)(SO(3)))


@pytest.mark.slow
def test_the_seventh_power_of_a_vector() -> None:
    _assert_unitary(T(7)(SO(3)))


def _assert_unitary(rep: Rep) -> None:
    """The whole change of basis: every entry of UᴴU − 1, and of ρ(A)U − U(⊕ λ(A))."""
    found = decompose(rep)
    u, n = found.matrix(), rep.size()
    assert np.abs(u.T @ u - np.eye(n)).max() <= PRECISE
    ((_, atoms),) = canonical_terms(rep)
    problem = Problem(atoms, rep.G)
    for k, generator in enumerate(rep.G.lie_algebra):
        moved = apply_lie(problem.unit_lie(k), problem.sizes, u)
        at = 0
        for irrep, m in found.multiplicities.items():
            d = irrep.size()
            block = u[:, at : at + m * d].reshape(n, m, d) @ np.asarray(irrep.drho(generator))
            assert np.abs(moved[:, at : at + m * d] - block.reshape(n, -1)).max() <= PRECISE
            at += m * d


@pytest.mark.parametrize("name", ["SO(3)", "O(3)", "SO13p()", "S(4)", "U(2)", "D(5)", "Sp(1)"])
@pytest.mark.parametrize("method", ["svd", "krylov"])
@pytest.mark.sampled(5)
def test_the_projectors_are_those_of_the_other_methods(name: str, method: str) -> None:
    for rep in (V**2, T(2, 1), T(2, 2)):
        concrete = rep(parse_group(name))
        one = concrete.equivariant_projector(method="irreps", store=False)
        other = concrete.equivariant_projector(method=method, store=False)
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=1e-11)
