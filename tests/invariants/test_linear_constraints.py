"""Invariants with further linear constraints."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from helpers.laws import laws
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.bases import Combined, Intertwiners, Orbits, load_basis, save_basis
from intertwine.errors import AmbiguousRank, InvalidRep, MethodNotApplicable, SolveError
from intertwine.exact import prove
from intertwine.groups import SO, SU, Group, O, S, Z
from intertwine.invariants.arrivals import require_sound
from intertwine.operators import Kronecker, Permutation
from intertwine.reps import Rep, T, V, basis_key
from intertwine_cache import Store

TRACE = np.eye(3).reshape(1, 9)


def _null_space(matrix: Any) -> Any:
    _, values, rows = np.linalg.svd(matrix)
    return rows[int((values > 1e-9).sum()) :].conj().T


def _by_brute_force(rep: Rep, constraints: Any) -> Any:
    """The projector on invariants with Cv = 0, from one stacked dense matrix."""
    q = rep.equivariant_basis().dense()
    outside = np.eye(len(q)) - q @ q.conj().T
    n = _null_space(np.concatenate([outside, constraints / np.linalg.norm(constraints)]))
    return n @ n.conj().T


def _elasticity() -> Any:
    """The equations for the symmetries ijkl = jikl = klij."""
    one = np.eye(9)
    swap = one.reshape(3, 3, 3, 3).swapaxes(0, 1).reshape(9, 9)
    return [
        np.kron(one - swap, one),
        np.kron(one, one - swap),
        np.eye(81) - np.eye(81).reshape(9, 9, 9, 9).swapaxes(0, 1).reshape(81, 81),
    ]


# -- known numbers


def test_a_traceless_invariant_matrix_is_zero() -> None:
    basis = (V**2)(SO(3)).equivariant_basis(constraints=TRACE)
    assert basis.shape == (9, 0)
    assert (V**2)(SO(3)).equivariant_basis(constraints=TRACE[0]).rank == 0


def test_isotropic_elasticity_has_two_constants_and_one_without_a_trace() -> None:
    rep = (V**4)(SO(3))
    symmetric = _elasticity()
    assert rep.equivariant_basis(constraints=symmetric).rank == 2
    traceless = [*symmetric, np.kron(TRACE, np.eye(9))]  # C_iikl = 0
    basis = rep.equivariant_basis(constraints=traceless)
    assert basis.rank == 1
    tensor = basis.dense().reshape(3, 3, 3, 3)
    assert np.abs(np.einsum("iikl", tensor)).max() < 1e-14
    assert np.abs(tensor - tensor.transpose(1, 0, 2, 3)).max() < 1e-14
    assert len(basis.certificate.constraints) == 4
    assert max(basis.certificate.constraints) < 1e-14


@pytest.mark.parametrize("n", [4, 5])
def test_springs_on_a_ring_obey_the_acoustic_sum_rule(n: int) -> None:
    """Circulants have n parameters, and those with Σⱼ Kᵢⱼ = 0 one less."""
    springs = (V >> V)(Z(n))
    sum_rule = np.kron(np.eye(n), np.ones((1, n)))
    basis = springs.equivariant_basis(constraints=sum_rule)
    assert basis.rank == n - 1
    assert np.abs(basis.dense().reshape(n, n, n - 1).sum(axis=1)).max() < 1e-14


def test_of_a_symmetric_group_only_the_laplacian_remains() -> None:
    n = 6
    basis = (V >> V)(S(n)).equivariant_basis(
        constraints=scipy.sparse.kron(scipy.sparse.eye_array(n), np.ones((1, n)))
    )
    laplacian = n * np.eye(n) - np.ones((n, n))
    found = basis.dense().reshape(n, n)
    assert np.abs(found / found[0, 0] - laplacian / laplacian[0, 0]).max() < 1e-12


# -- laws


@settings(laws, max_examples=4)
@given(seed=st.integers(0, 2**16), rows=st.integers(0, 12))
@pytest.mark.parametrize(
    "rep",
    [(V**3)(S(3)), (V**2 + 2 * V + 1)(O(2)), (V * V.T)(SU(2)), V(S(3)) * V(Z(3)) + V(Z(3))],
    ids=str,
)
def test_the_result_is_that_of_one_dense_null_space(rep: Rep, seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    q = rep.equivariant_basis().dense()
    # random equations that are not independent on the invariants
    matrix = rng.standard_normal((rows, 2)) @ rng.standard_normal((2, rep.size()))
    matrix = matrix + rng.standard_normal(matrix.shape) @ (np.eye(len(q)) - q @ q.conj().T).real
    basis = rep.equivariant_basis(constraints=matrix)
    expected = _by_brute_force(rep, matrix) if rows else q @ q.conj().T
    assert basis.rank == round(float(np.trace(expected).real))
    assert np.abs(basis.projector.dense() - expected).max() < 1e-8
    gram = basis.dense().conj().T @ basis.dense()
    assert np.abs(gram - np.eye(basis.rank)).max(initial=0.0) < 1e-12
    assert np.abs(matrix @ basis.dense()).max(initial=0.0) < 1e-11 * max(1, np.abs(matrix).sum())


def test_matrices_operators_and_lists_are_the_same_constraints() -> None:
    rep = (V**4)(SO(3))
    matrix = np.kron(TRACE, np.eye(9))
    operator = Kronecker([TRACE.T @ TRACE / 3, np.eye(9)])
    given_as = [
        matrix,
        matrix.tolist(),
        scipy.sparse.csr_array(matrix),
        scipy.sparse.linalg.aslinearoperator(matrix),
        operator,
        [operator, matrix],
        [1e9 * matrix, 1e-9 * matrix],
        1j * matrix,
    ]
    expected = rep.equivariant_basis(constraints=matrix).projector.dense()
    for constraints in given_as:
        found = rep.equivariant_basis(constraints=constraints)
        assert found.dtype == np.float64
        assert np.abs(found.projector.dense() - expected).max() < 1e-12


def test_constraints_are_on_the_rep_as_it_is_written() -> None:
    rep = (2 * V + V**2 + 1)(S(3))
    last = np.zeros((1, rep.size()))
    last[0, -1] = 1
    basis = rep.equivariant_basis(constraints=last)
    assert basis.rank == rep.equivariant_basis().rank - 1
    assert np.abs(basis.dense()[-1]).max() < 1e-14
    assert basis.rep == rep


def test_none_and_zero_constraints_leave_everything() -> None:
    rep = (V**2)(S(3))
    for constraints in ([], np.zeros((3, 9)), np.zeros((0, 9))):
        assert rep.equivariant_basis(constraints=constraints).rank == 2


# -- what stays as it is


def test_structure_is_kept() -> None:
    """3⁸ × 91: the columns stay in factors, and a permutation's in orbits."""
    maps = T(8)(SO(3))
    swap = np.arange(3**8).reshape(9, -1, order="C")
    order = swap.reshape(3, 3, -1).swapaxes(0, 1).ravel()
    symmetric = scipy.sparse.eye_array(3**8).tocsr() - scipy.sparse.eye_array(3**8).tocsr()[order]
    basis = maps.equivariant_basis(constraints=symmetric)
    assert isinstance(basis.storage, Combined)
    assert isinstance(basis.storage.inner, Intertwiners)
    assert basis.rank == 15 + 40  # l = 0 and l = 2 in V⁶, since S²V is 0 + 2
    assert basis.nbytes < 1e6
    points = (V**2)(S(5)).equivariant_basis(constraints=np.ones((1, 25)))
    assert isinstance(points.storage, Combined)
    assert isinstance(points.storage.inner, Orbits)


def test_a_saved_basis_is_read_back(tmp_path: Path) -> None:
    basis = (V**4)(SO(3)).equivariant_basis(constraints=np.kron(TRACE, np.eye(9)))
    path = tmp_path / "basis.safetensors"
    save_basis(basis, path)
    again = load_basis(path)
    assert again.certificate == basis.certificate
    assert again.certificate.constraints
    assert np.abs(again.dense() - basis.dense()).max() < 1e-15


def test_a_constrained_basis_is_no_answer_for_the_rep_alone() -> None:
    rep = (V**2)(S(3))
    basis = rep.equivariant_basis(constraints=np.ones((1, 9)))
    with pytest.raises(SolveError):
        require_sound(rep, basis)
    with pytest.raises(InvalidRep, match="this basis has further constraints"):
        prove(rep, basis)


def test_it_says_so_in_its_certificate() -> None:
    text = str((V**2)(S(3)).equivariant_basis(constraints=np.ones((1, 9))).certificate)
    assert "constraints leave 1 of 2 invariants" in text
    assert re.search(r"^constraints +\d\.\de-1\d", text, re.MULTILINE)


# -- what is refused


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        (np.ones((1, 4)), "matrices with 9 columns"),
        (Permutation([1, 0]), "matrices with 9 columns"),
        (np.full((1, 9), np.nan), "not finite"),
        ("trace", "matrices with 9 columns"),
        ([np.ones((1, 9)), np.ones((2, 3))], "matrices with 9 columns"),
    ],
    ids=["columns", "operator", "nan", "text", "list"],
)
def test_other_constraints_are_refused(constraints: Any, message: str) -> None:
    with pytest.raises(InvalidRep, match=message):
        (V**2)(SO(3)).equivariant_basis(constraints=constraints)


@pytest.mark.parametrize("size", [1e-9, 1e-10])
def test_a_constraint_that_nearly_vanishes_on_invariants_is_ambiguous(size: float) -> None:
    other = np.array([[0, 1, 0, -1, 0, 0, 0, 0, 0.0]]) / np.sqrt(2)
    with pytest.raises(AmbiguousRank, match="on the invariants of"):
        (V**2)(SO(3)).equivariant_basis(constraints=other + size * TRACE)


@pytest.mark.parametrize("kind", [np.asarray, scipy.sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("size", [1e-13, 1e-200])
def test_a_row_that_is_tiny_beside_others_is_ambiguous(size: float, kind: Any) -> None:
    rep = (2 * V**2)(SO(3))
    first, second = np.kron(np.eye(2), TRACE)
    with pytest.raises(AmbiguousRank, match="row 1 of the constraints"):
        rep.equivariant_basis(constraints=kind(np.stack([first, size * second])))
    assert (
        rep.equivariant_basis(constraints=[kind(first[None]), kind(size * second[None])]).rank == 0
    )
    follows = kind(np.stack([first, size * first, size * np.eye(18)[1]]))  # the third holds anyway
    assert rep.equivariant_basis(constraints=follows).rank == 1


def test_constraints_need_exact_invariants() -> None:
    group = Group(discrete_generators=[[[0.0, 1], [1, 0]]])
    with pytest.raises(MethodNotApplicable, match="leave the tolerance out"):
        (V**2)(group).equivariant_basis(tolerance=1e-3, constraints=np.ones((1, 4)))


def test_a_store_keeps_only_all_invariants(tmp_path: Path) -> None:
    rep, store = (V**2)(S(4)), Store(tmp_path)
    for _ in range(2):
        assert rep.equivariant_basis(constraints=np.ones((1, 16)), store=store).rank == 1
        whole = rep.equivariant_basis(store=store)
        assert whole.rank == 2
        assert not whole.certificate.constraints
    assert whole.cached
    assert [manifest.key for manifest in store.manifests()] == [basis_key(rep)]
