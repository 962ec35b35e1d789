"""`sparsify_basis`: the basis that a textbook would write."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from helpers.processors import available_kernels
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.errors import FormatError, NotConverged
from intertwine.groups import SO, S, SO13p, Sp, U, parse_group
from intertwine.reps import T, V, parse
from intertwine.vis import sparsify_basis
from intertwine.vis import sparsity as module


def distance(a: Any, b: Any) -> float:
    """Return the distance between the projectors on two spans."""
    (u, _), (v, _) = np.linalg.qr(a), np.linalg.qr(b)
    return float(np.linalg.norm(u @ u.conj().T - v @ v.conj().T, 2))


def nonzeros(matrix: Any) -> int:
    return int(np.sum(np.abs(matrix) > 1e-12))


def fewest(basis: Any) -> int:
    """Return the number of nonzeros of the sparsest basis, by exhaustion: vectors of minimal
    support vanish on r − 1 independent rows, and the greedy choice among them is the best (Rado and
    Edmonds).
    """
    rank = basis.shape[1]
    rows = basis[np.linalg.norm(basis, axis=1) > 1e-9]
    rows = rows / np.linalg.norm(rows, axis=1)[:, None]
    rows = (
        rows * np.sign(rows[np.arange(len(rows)), np.argmax(np.abs(rows) > 1e-6, axis=1)])[:, None]
    )
    different = np.unique(np.round(rows, 9), axis=0)
    found = []
    for chosen in combinations(range(len(different)), rank - 1):
        _, s, vh = np.linalg.svd(different[list(chosen)].reshape(rank - 1, rank))
        if rank == 1 or s[-1] > 1e-6:
            found.append(vh[-1])
    candidates = sorted(found, key=lambda w: int(np.sum(np.abs(basis @ w) > 1e-6)))
    kept: list[Any] = []
    for vector in candidates:
        if np.linalg.matrix_rank(np.array([*kept, vector]), tol=1e-6) > len(kept):
            kept.append(vector)
    return sum(int(np.sum(np.abs(basis @ w) > 1e-6)) for w in kept)


def test_the_maps_between_matrices_of_rotations_are_the_three_contractions() -> None:
    sparse = sparsify_basis((V**2 >> V**2)(SO(3)))
    d = np.eye(3)
    contractions = [np.einsum(f"ab,cd->{to}", d, d).ravel() for to in ("abcd", "acbd", "acdb")]
    assert {tuple(column) for column in sparse.T} == {tuple(c) for c in contractions}


def test_the_product_of_vectors_is_the_tensor_of_levi_civita() -> None:
    sparse = sparsify_basis((V**2 >> V)(SO(3)))
    expected = np.zeros((3, 3, 3))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        expected[i, j, k], expected[i, k, j] = 1, -1
    np.testing.assert_array_equal(sparse[:, 0], expected.ravel())


def test_orbits_are_their_own_sparsest_basis() -> None:
    basis = (V**2)(S(4)).equivariant_basis()
    sparse = sparsify_basis(basis)
    diagonal = np.eye(4).ravel()
    np.testing.assert_array_equal(sparse, np.stack([diagonal, 1 - diagonal], axis=1))


def test_a_complex_group_with_real_maps_has_a_real_basis() -> None:
    sparse = sparsify_basis((V * V.T >> V * V.T)(U(2)))
    assert sparse.dtype == np.float64
    d = np.eye(2)
    identity, trace = np.eye(4).ravel(), np.outer(d, d).ravel()
    assert {tuple(column) for column in sparse.T} == {tuple(identity), tuple(trace)}


def test_a_span_without_real_vectors_keeps_a_complex_basis() -> None:
    turned = np.array([[1, 1], [1j, 1j], [0, 1], [0, 1 + 1j]]) @ np.array([[1, 2], [1j, -1]])
    sparse = sparsify_basis(turned)
    assert sparse.dtype == np.complex128
    assert distance(turned, sparse) < 1e-12
    assert nonzeros(sparse) == 4
    np.testing.assert_allclose(np.abs(sparse).max(axis=0), 1)


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("V**2>>V**2", "SO(3)"),
        ("V>>V**3", "O(3)"),
        ("V**4", "Sp(2)"),
        ("V**2>>V**2", "SO(2)"),
        ("V*V.T>>V*V.T", "SO13p"),
        ("V**2*V.T**2", "SL(3)"),
        ("V**4", "D(5)"),
        ("2V+3V0>>V+V**2+V0", "SO(3)"),
        ("V**3*V.T**3", "U(2)"),
    ],
)
def test_no_other_basis_is_sparser(text: str, group: str) -> None:
    basis = parse(text)(parse_group(group)).equivariant_basis()
    sparse = sparsify_basis(basis)
    assert distance(basis.dense(), sparse) < 1e-10
    assert nonzeros(sparse) == np.count_nonzero(sparse) == fewest(sparse) <= nonzeros(basis.dense())
    assert np.all(np.abs(sparse).max(axis=0) == 1)


@pytest.mark.slow
def test_products_of_contractions_are_found_among_thousands_of_entries() -> None:
    six = sparsify_basis((V**3 >> V**3)(SO(3)))  # 15 pairings of six indices
    assert sorted((six != 0).sum(axis=0)) == [27] * 15
    lorentz = sparsify_basis(T(6)(SO13p()))  # and ten products of ε with a metric
    assert sorted((lorentz != 0).sum(axis=0)) == [64] * 15 + [96] * 10
    symplectic = sparsify_basis(T(6)(Sp(2)))  # of 15 pairings 14 are independent
    assert sorted((symplectic != 0).sum(axis=0)) == [64] * 14


def test_a_combination_of_the_columns_distinguishes_them() -> None:
    # EMLP's own test of its sparsify_basis
    sparse = sparsify_basis((V**2 >> V)(SO(3)).equivariant_basis())
    combined = sparse @ (1 + np.arange(sparse.shape[1]))
    assert len(np.unique(np.abs(combined))) in (sparse.shape[1], sparse.shape[1] + 1)


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 6), st.booleans())
def test_any_matrix_gets_a_basis_of_its_own_span(
    seed: int, n: int, r: int, is_complex: bool
) -> None:
    rng = np.random.default_rng(seed)
    given = rng.integers(-2, 3, (n + r, r)) * (rng.random((n + r, r)) < 0.5) + np.eye(n + r, r)
    mixing = rng.standard_normal((r, r)) + 3 * np.eye(r)
    if is_complex:
        given, mixing = given * (1 + 1j), mixing + 1j * rng.standard_normal((r, r))
    if np.linalg.cond(given) > 1e6 or np.linalg.cond(mixing) > 1e6:
        return
    sparse = sparsify_basis(given @ mixing)
    assert sparse.dtype == np.float64
    assert distance(given, sparse) < 1e-8
    assert np.linalg.matrix_rank(sparse) == r
    assert nonzeros(sparse) <= nonzeros(given @ mixing)


def test_the_order_of_columns_and_the_gauge_do_not_matter() -> None:
    basis = (V**2 >> V**2)(SO(3)).equivariant_basis()
    turned, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))
    expected = sparsify_basis(basis)
    np.testing.assert_array_equal(sparsify_basis(basis.dense() @ turned), expected)
    np.testing.assert_array_equal(sparsify_basis(5 * basis.dense()[:, ::-1], seed=3), expected)


def test_no_invariants_have_a_basis_of_no_columns() -> None:
    assert sparsify_basis(V(SO(3))).shape == (3, 0)


@pytest.mark.parametrize(
    ("matrix", "complaint"),
    [
        (
            np.ones((3, 2)),
            "the 2 columns are not a basis: they span 1 dimensions. Remove those that depend on "
            "others",
        ),
        (
            np.eye(2)[:, [0, 1, 1]],
            "the 3 columns are not a basis: they span 2 dimensions. Remove those that depend on "
            "others",
        ),
        (
            np.full((3, 1), np.nan),
            "a basis is a finite matrix of shape (n, r), not an array of shape (3, 1) with NaN or "
            "infinities",
        ),
    ],
)
def test_matrices_that_are_not_bases_are_refused(matrix: Any, complaint: str) -> None:
    with pytest.raises(FormatError, match=f"^{re.escape(complaint)}$"):
        sparsify_basis(matrix)


def test_a_result_of_another_span_is_an_error() -> None:
    given = np.eye(3)[:, :2]
    module._require_same_span(given, np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]))
    with pytest.raises(NotConverged, match="the search overflowed"):
        module._require_same_span(given, np.full((3, 2), np.nan))
    with pytest.raises(NotConverged, match="a smallest singular value of"):
        module._require_same_span(given, np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]))
    with pytest.raises(
        NotConverged,
        match=re.escape(
            "no sparse basis was found: the best spans another space, at a distance of 1 (at most "
            "1e-08 is allowed), with a smallest singular value of 1. Try another seed"
        ),
    ):
        module._require_same_span(given, np.eye(3)[:, 1:])


SPARSE_BASES = """
import numpy as np
from intertwine.groups import parse_group
from intertwine.reps import parse
from intertwine.vis import sparsify_basis

for text, group in (
    ("V*V.T>>V*V.T", "U(2)"),
    ("V**3*V.T**3", "U(2)"),
    ("V**2>>V**2", "SO(2)"),
    ("V**4", "D(5)"),
    ("V**6", "Sp(2)"),
    ("V*V.T>>V*V.T", "SO13p"),
    ("V**2>>V**2", "SU(3)"),
    ("2V+3V0>>V+V**2+V0", "SO(3)"),
):
    basis = sparsify_basis(parse(text)(parse_group(group)))
    print(text, group, basis.shape, [(*map(int, at), float(basis[tuple(at)].round(9)))
        for at in np.argwhere(basis)])
"""


@pytest.mark.slow
def test_the_result_is_the_same_on_every_processor() -> None:
    """Under the BLAS kernels that this processor can run, with one and two threads."""
    found = {
        subprocess.run(
            [sys.executable, "-c", SPARSE_BASES],
            env={
                **os.environ,
                "OPENBLAS_CORETYPE": kernel,
                "OPENBLAS_NUM_THREADS": threads,
                "OMP_NUM_THREADS": threads,
                "INTERTWINE_CACHE": "off",
            },
            capture_output=True,
            check=True,
        ).stdout
        for kernel in available_kernels()
        for threads in ("1", "2")
    }
    assert len(found) == 1
    assert found.pop().count(b"\n") == 8
