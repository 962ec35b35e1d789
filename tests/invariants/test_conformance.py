"""Every case whose rank is known: right size, right rank, and evidence recomputed by the oracle."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import pytest
from helpers.oracle import assert_proven, examine, examine_permuted, orbit_count, projector_distance
from helpers.support import (
    BACKENDS,
    CASES,
    METHODS,
    ORIGINAL_RANKS,
    RANKS,
    Case,
    case,
    run_python,
)
from intertwine.errors import MethodNotApplicable
from intertwine.groups import parse_group
from intertwine.reps import T

#: The largest size solved by `auto`, and the largest for which every method is compared.
LARGEST, EVERY_METHOD = 20_000, 1_000
#: Cases that take more than a few seconds; `make test` leaves them out.
_SLOW = {("SO(3)", "T(9)"), ("SO(2)", "T(12)"), ("O(2)", "T(12)"), ("SO(7)", "T(5)")}
#: A few cases for what is slow in number: compiling costs JAX a second or two a shape.
_FEW = [case("U(2)", "T(1,1)"), case("O(2)", "T(2)"), case("S(3)", "T(2)")]


def _cases(largest: int) -> list[Any]:
    return [
        pytest.param(c, id=str(c), marks=[pytest.mark.slow] if (c.group, c.rep) in _SLOW else [])
        for c in CASES
        if c.size <= largest
    ]


def _few_fast(cases: list[Case]) -> list[Any]:
    return [
        pytest.param(c, id=str(c), marks=[] if c in _FEW else [pytest.mark.slow]) for c in cases
    ]


@pytest.mark.skipif(not ORIGINAL_RANKS.exists(), reason="the original lies beside the checkout")
def test_the_ranks_in_this_repository_are_the_original_ones() -> None:
    assert RANKS.read_bytes() == ORIGINAL_RANKS.read_bytes()


def test_the_cases_are_read_completely() -> None:
    assert len(CASES) == 190
    assert len({(c.group, c.rep) for c in CASES}) == 190


@pytest.mark.parametrize("c", [pytest.param(c, id=str(c)) for c in CASES])
def test_the_rep_has_the_size_that_is_known(c: Case) -> None:
    assert c.build().size() == c.size


@pytest.mark.parametrize("c", _cases(LARGEST))
@pytest.mark.sampled(8)
def test_auto_finds_every_invariant_in_time_and_proves_it(c: Case) -> None:
    rep = c.build()
    started = time.process_time()
    basis = rep.equivariant_basis()
    seconds = time.process_time() - started
    assert basis.shape == (c.size, c.rank)
    assert_proven(examine(rep, basis))
    assert seconds < (60 if c.size <= 7_000 else 120)
    certificate = basis.certificate
    assert (certificate.size, certificate.rank) == basis.shape
    assert certificate.residual <= 1e-10
    assert certificate.orthonormality <= 1e-10


@pytest.mark.parametrize("c", _cases(EVERY_METHOD))
@pytest.mark.sampled(12)
def test_svd_and_krylov_find_the_same_on_numpy(c: Case) -> None:
    _assert_methods_agree(c, "numpy")


@pytest.mark.slow
@pytest.mark.parametrize("c", _few_fast([c for c in CASES if c.size <= EVERY_METHOD]))
def test_svd_and_krylov_find_the_same_on_jax(c: Case) -> None:
    _assert_methods_agree(c, "jax")


def _assert_methods_agree(c: Case, backend: str) -> None:
    rep = c.build()
    reference = rep.equivariant_basis()
    for method in ("svd", "krylov"):
        basis = rep.equivariant_basis(method=method, backend=backend)
        assert (basis.certificate.method, basis.certificate.backend) == (method, backend)
        assert basis.shape == (c.size, c.rank)
        assert_proven(examine(rep, basis))
        assert projector_distance(basis, reference) <= 1e-10


@pytest.mark.parametrize(
    "c",
    [
        pytest.param(c, id=str(c), marks=[pytest.mark.slow] if c.size > 2_000_000 else [])
        for c in CASES
        if c.permutes or c.permutes_with_signs
    ],
)
@pytest.mark.sampled(5)
def test_orbits_solves_permutations(c: Case) -> None:
    rep = c.build()
    basis = rep.equivariant_basis(method="orbits")
    assert basis.shape == (c.size, c.rank)
    assert basis.certificate.method == "orbits"
    judge = examine if c.size <= LARGEST else examine_permuted
    assert_proven(judge(rep, basis))
    if c.size <= EVERY_METHOD:
        assert projector_distance(basis, rep.equivariant_basis(method="svd")) <= 1e-10


@pytest.mark.parametrize("group", ["C(4)", "D(4)"])
@pytest.mark.parametrize("power", range(1, 9))
def test_orbits_whose_signs_contradict_carry_nothing(group: str, power: int) -> None:
    rep = T(power)(parse_group(group))
    basis = rep.equivariant_basis(method="orbits")
    other = rep.equivariant_basis(method="svd")
    assert basis.shape == other.shape
    assert_proven(examine_permuted(rep, basis))
    assert projector_distance(basis, other) <= 1e-10


@pytest.mark.parametrize(
    "c", [case("SO(3)", "T(2)"), case("C(3)", "T(2)"), case("O(3)", "T(3)")], ids=str
)
def test_orbits_refuses_other_generators(c: Case) -> None:
    with pytest.raises(MethodNotApplicable, match="permute"):
        c.build().equivariant_basis(method="orbits")


@pytest.mark.slow
@pytest.mark.parametrize(("power", "rank"), [(3, 51), (4, 350)])
def test_the_cube_of_rubik_is_solved_in_seconds_and_little_memory(power: int, rank: int) -> None:
    done = run_python(
        f"""
        import time
        from intertwine.groups import RubiksCube
        from intertwine.reps import T
        started = time.process_time()
        basis = T({power})(RubiksCube()).equivariant_basis(method="orbits")
        seconds = time.process_time() - started
        answer([list(basis.shape), basis.certificate.method, seconds])
        """
    )
    assert done.status == 0, done.stderr
    shape, method, seconds = done.value
    assert (shape, method) == ([48**power, rank], "orbits")
    assert seconds < 20
    assert done.peak_bytes < 4 * 10**9


def test_the_orbits_of_rubiks_cube_are_counted_without_the_solver() -> None:
    rep = T(3)(parse_group("RubiksCube"))
    basis = rep.equivariant_basis(method="orbits")
    assert basis.rank == orbit_count(rep) == 51
    assert_proven(examine_permuted(rep, basis))


# -- a method asked for by name is the one that runs


class _Calls:
    """What Python runs while a basis is found: the solver's functions, and the modules beneath."""

    def __init__(self) -> None:
        self.functions: set[str] = set()
        self.modules: set[str] = set()

    def __enter__(self) -> _Calls:
        self._before = sys.getprofile()
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(self._before)

    @property
    def methods(self) -> set[str]:
        """The methods that functions of the solver are named after."""
        return {m for m in METHODS if any(m in function for function in self.functions)}

    def _note(self, frame: Any, event: str, argument: object) -> None:
        if event == "call":
            module = frame.f_globals.get("__name__") or ""
            self.modules.add(module)
            if module.startswith("intertwine.invariants"):
                self.functions.add(frame.f_code.co_name)


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("method", METHODS)
def test_the_requested_method_runs(method: str, backend: str) -> None:
    rep = case("S(3)", "T(3)").build()
    stages: list[str] = []
    with _Calls() as calls:
        basis = rep.equivariant_basis(
            method=method, backend=backend, progress=lambda p: stages.append(p.stage)
        )
    assert basis.certificate.method == method
    assert calls.methods == {method}
    assert stages
    assert all(stage.startswith(method) for stage in stages)
    if method not in ("orbits", "irreps"):  # integers and small matrices, found by NumPy
        assert basis.certificate.backend == backend
        used = any(module.startswith("jax._src.numpy") for module in calls.modules)
        assert used == (backend == "jax")


@pytest.mark.parametrize("method", METHODS)
def test_every_part_of_a_sum_is_solved_by_the_method_asked_for(method: str) -> None:
    rep = case("S(5)", "10*T(1)+5*T(2) >> 3*T(0)+T(2)").build()
    with _Calls() as calls:
        basis = rep.equivariant_basis(method=method)
    assert basis.shape == (4900, 185)
    assert calls.methods == {method}
    assert basis.certificate.method == method
    assert {part.method for part in basis.certificate.parts.values()} == {method}


def test_auto_names_its_choice() -> None:
    chosen = {
        name: case(*name).build().equivariant_basis().certificate.method
        for name in [("S(5)", "T(3)"), ("D(4)", "T(4)"), ("SO(3)", "T(2)"), ("SO(7)", "T(4)")]
    }
    assert chosen == {
        ("S(5)", "T(3)"): "orbits",
        ("D(4)", "T(4)"): "orbits",
        ("SO(3)", "T(2)"): "svd",
        ("SO(7)", "T(4)"): "irreps",
    }


# -- the judge itself can fail a basis


def test_the_oracle_sees_a_vector_that_is_not_invariant() -> None:
    rep = case("SO(3)", "T(2)").build()
    wrong = np.eye(9)[:, :1]
    evidence = examine(rep, wrong)
    assert evidence.residual > 0.5
    assert evidence.invariance > 0.1
    assert evidence.orthonormality == 0.0


def test_the_oracle_sees_columns_that_are_not_orthonormal() -> None:
    rep = case("SO(3)", "T(2)").build()
    evidence = examine(rep, np.eye(3).reshape(9, 1))
    assert evidence.residual < 1e-15
    assert evidence.orthonormality == pytest.approx(2.0)


def test_the_oracle_sees_a_tiny_error() -> None:
    rep = case("S(3)", "T(2)").build()
    basis = rep.equivariant_basis().dense()
    basis[0, 0] += 1e-8
    assert 1e-9 < examine(rep, basis).residual < 1e-7


def test_the_oracle_agrees_with_itself_on_permutations() -> None:
    for c in (case("S(4)", "T(3)"), case("D(4)", "T(4)"), case("Cube()", "T(3)")):
        rep = c.build()
        basis = rep.equivariant_basis(method="orbits")
        assert max(vars(examine(rep, basis)).values()) < 1e-14
        assert max(vars(examine_permuted(rep, basis)).values()) < 1e-14
