"""The laws that every storage keeps, of whatever kind and however deeply nested."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from helpers.example_bases import BASES, STORAGES, Plan, basis_of, build, matrix_of, orbits, plans
from helpers.program import python
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.bases import (
    Dense,
    Kronecker,
    Permuted,
    Storage,
    Sum,
    from_arrays,
    to_arrays,
)
from intertwine.operators import Permutation

each = pytest.mark.parametrize("storage", STORAGES.values(), ids=STORAGES.keys())
anything = settings(deadline=None, max_examples=150)

#: What a real basis answers, and what a complex one, to an argument of each type.
ANSWERS = {
    "float16": ("float32", "complex64"),
    "float32": ("float32", "complex64"),
    "float64": ("float64", "complex128"),
    "int32": ("float64", "complex128"),
    "int64": ("float64", "complex128"),
    "uint8": ("float64", "complex128"),
    "complex64": ("complex64", "complex64"),
    "complex128": ("complex128", "complex128"),
}


def entries(rows: int, columns: int, dtype: str = "float64", seed: int = 0) -> np.ndarray[Any, Any]:
    """Random entries, small integers so that every type holds them exactly."""
    rng = np.random.default_rng([rows, columns, seed])
    values = rng.integers(0, 5, (2, rows, columns))
    is_complex = np.issubdtype(dtype, np.complexfloating)
    return (values[0] + 1j * values[1] if is_complex else values[0]).astype(dtype)


@each
@pytest.mark.parametrize("k", [0, 1, 3])
def test_apply_is_multiplication_by_the_matrix(storage: Storage, k: int) -> None:
    w = entries(storage.shape[1], k)
    result = storage.apply(w)
    assert result.shape == (storage.shape[0], k)
    np.testing.assert_allclose(result, matrix_of(storage) @ w, atol=1e-13)


@each
@pytest.mark.parametrize("k", [0, 1, 3])
def test_adjoint_is_multiplication_by_the_conjugate_transpose(storage: Storage, k: int) -> None:
    v = entries(storage.shape[0], k)
    result = storage.adjoint(v)
    assert result.shape == (storage.shape[1], k)
    np.testing.assert_allclose(result, matrix_of(storage).conj().T @ v, atol=1e-13)


@anything
@given(plans(), st.integers(0, 3), st.booleans())
def test_any_storage_is_its_matrix(plan: Plan, k: int, is_complex: bool) -> None:
    storage = build(plan)
    matrix = matrix_of(storage)
    dtype = "complex128" if is_complex else "float64"
    w, v = entries(storage.shape[1], k, dtype), entries(storage.shape[0], k, dtype)
    assert storage.shape == matrix.shape
    np.testing.assert_allclose(storage.apply(w), matrix @ w, atol=1e-12)
    np.testing.assert_allclose(storage.adjoint(v), matrix.conj().T @ v, atol=1e-12)


@anything
@given(plans())
@pytest.mark.slow
def test_adjoint_and_apply_agree_in_the_scalar_product(plan: Plan) -> None:
    storage = build(plan)
    w = entries(storage.shape[1], 1, "complex128", seed=1)
    v = entries(storage.shape[0], 1, "complex128", seed=2)
    left = np.vdot(storage.apply(w), v)
    right = np.vdot(w, storage.adjoint(v))
    assert abs(left - right) <= 1e-12 * (1 + abs(left))


@anything
@given(plans())
def test_adjoint_undoes_apply(plan: Plan) -> None:
    storage = build(plan)
    w = entries(storage.shape[1], 2, "complex128")
    np.testing.assert_allclose(storage.adjoint(storage.apply(w)), w, atol=1e-12)


@each
@pytest.mark.parametrize("given_dtype", ANSWERS)
def test_the_precision_of_the_argument_decides_that_of_the_answer(
    storage: Storage, given_dtype: str
) -> None:
    is_complex = np.issubdtype(storage.dtype, np.complexfloating)
    matrix = matrix_of(storage)
    w = entries(storage.shape[1], 2, given_dtype)
    v = entries(storage.shape[0], 2, given_dtype)
    tolerance = 1e-4 if given_dtype in ("float16", "float32", "complex64") else 1e-12
    for answer, right in (
        (storage.apply(w), matrix @ w),
        (storage.adjoint(v), matrix.conj().T @ v),
    ):
        assert isinstance(answer, np.ndarray)
        assert answer.dtype == ANSWERS[given_dtype][is_complex]
        np.testing.assert_allclose(answer, right, atol=tolerance)


@each
def test_a_storage_knows_its_shape_and_type(storage: Storage) -> None:
    matrix = matrix_of(storage)
    assert storage.shape == matrix.shape
    assert storage.dtype == matrix.dtype
    assert all(type(size) is int for size in storage.shape)


@each
def test_sparse_is_the_matrix_in_csc_format(storage: Storage) -> None:
    from scipy.sparse import issparse

    matrix = storage.sparse()
    assert issparse(matrix)
    assert matrix.format == "csc"
    assert matrix.shape == storage.shape
    np.testing.assert_allclose(matrix.toarray(), matrix_of(storage), atol=1e-13)


@pytest.mark.slow
@anything
@given(plans())
def test_any_storage_has_a_sparse_form(plan: Plan) -> None:
    storage = build(plan)
    matrix = storage.sparse()
    assert matrix.format == "csc"
    np.testing.assert_allclose(matrix.toarray(), matrix_of(storage), atol=1e-12)


@each
def test_a_sparse_form_stores_no_zeros(storage: Storage) -> None:
    matrix = storage.sparse()
    assert np.all(np.abs(matrix.data) > 1e-14)
    assert matrix.nnz == np.count_nonzero(np.abs(matrix_of(storage)) > 1e-14)


@each
def test_the_bytes_are_those_of_the_arrays_that_are_written(storage: Storage) -> None:
    arrays, _ = to_arrays(basis_of(storage))
    assert storage.nbytes == sum(array.nbytes for array in arrays.values())


@anything
@given(plans())
def test_what_was_written_is_read_as_the_same_matrix(plan: Plan) -> None:
    storage = build(plan)
    arrays, metadata = to_arrays(basis_of(storage))
    read = from_arrays(arrays, metadata)
    assert type(read.storage) is type(storage)
    assert (read.shape, read.dtype) == (storage.shape, storage.dtype)
    assert np.array_equal(matrix_of(read.storage), matrix_of(storage))


@each
@pytest.mark.parametrize("block", [1, 100, 2**28])
def test_the_columns_side_by_side_are_the_matrix(
    storage: Storage, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("intertwine.bases.storage._BLOCK_BYTES", block)
    blocks = list(storage.columns())
    assert all(found.shape[1] > 0 for found in blocks)
    whole = np.concatenate([np.zeros((storage.shape[0], 0)), *blocks], axis=1)
    np.testing.assert_allclose(whole, matrix_of(storage), atol=1e-13)


@each
def test_a_matrix_that_is_written_out_is_the_matrix(storage: Storage) -> None:
    if storage.written_out is not None:
        assert np.array_equal(storage.written_out, matrix_of(storage))


@each
@pytest.mark.parametrize("block", [1, 2**28])
def test_columns_are_measured_to_be_as_orthonormal_as_they_are(
    storage: Storage, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("intertwine.bases.storage._BLOCK_BYTES", block)
    assert 0 <= storage.orthonormality() <= 1e-14


@anything
@given(plans(), st.sampled_from([0.0, 1e-3, 0.1, 1.0]))
def test_the_orthonormality_of_the_whole_is_bounded_by_that_of_its_parts(
    plan: Plan, error: float
) -> None:
    storage = build(plan)
    for part in dense_parts(storage):
        part.matrix = part.matrix * math.sqrt(1 + error)
    matrix = matrix_of(storage)
    gram = matrix.conj().T @ matrix - np.eye(storage.shape[1])
    bound = storage.orthonormality_of_whole(error)
    assert (np.linalg.norm(gram, 2) if gram.size else 0.0) <= bound + 1e-12 * (1 + bound)
    assert storage.orthonormality_of_whole(2 * error) >= bound


def dense_parts(storage: Storage) -> list[Dense]:
    """The dense bases that a storage was put together from, each object once."""
    inner: list[Storage] = []
    if isinstance(storage, Sum):
        inner = [block for _, block in storage.blocks]
    elif isinstance(storage, Kronecker):
        inner = list(storage.factors)
    elif isinstance(storage, Permuted):
        inner = [storage.inner]
    found = [storage] if isinstance(storage, Dense) else []
    return found + [part for one in inner for part in dense_parts(one)]


@each
def test_keeps_is_exact_where_it_is_not_none(storage: Storage) -> None:
    n, matrix, rng = storage.shape[0], matrix_of(storage), np.random.default_rng(6)
    trials = [(np.arange(n), np.ones(n, dtype=np.int8))]
    for _ in range(30):
        trials.append((rng.permutation(n), rng.choice([-1, 1], n)))
        trials.append((trials[-1][0], np.ones(n, dtype=np.int8)))
    for indices, signs in trials:
        told = storage.keeps([Permutation(indices, signs)])
        assert told is None or told == np.array_equal(signs[:, None] * matrix[indices], matrix)


def test_orbits_keep_exactly_their_permutations() -> None:
    storage = orbits([0, 1, 0, -1], [1, 1, -1, 1])
    swapped = np.array([2, 1, 0, 3])
    assert storage.keeps([Permutation(swapped, [-1, 1, -1, -1])])
    assert not storage.keeps([Permutation(swapped)])
    assert not storage.keeps([Permutation([1, 0, 2, 3])])


NEW_STORAGE = """
import numpy as np
from intertwine.bases import Storage, Sum
from intertwine.groups import S
from intertwine.invariants.evidence import residuals
from intertwine.invariants.problem import problems_of
from intertwine.reps import V

class Doubled(Storage):
    kind = "doubled"
    def __init__(self, rank):
        self.shape = (2 * rank, rank)
    def apply(self, w):
        return np.repeat(w, 2, axis=0) / np.sqrt(2)
    def adjoint(self, v):
        return (v[::2] + v[1::2]) / np.sqrt(2)
    def sparse(self):
        raise NotImplementedError
    nbytes = 0
    def write(self, put):
        return {"kind": self.kind, "rank": self.shape[1]}
    @classmethod
    def _read(cls, meta, arrays):
        return cls(meta["rank"])

(problem,) = problems_of((V(S(2)), V(S(2))))
storage = Storage.read(Doubled(2).write(None), {})
print(storage.orthonormality() < 1e-15, Sum([(2, storage)]).orthonormality_of_whole(0.5))
print(*(round(value, 12) for value in residuals(problem, storage)))
"""


def test_a_new_storage_needs_no_more_than_the_abstract_methods() -> None:
    # (|00⟩ + |01⟩)/√2 and (|10⟩ + |11⟩)/√2 change places: CQ has two columns of norm √2
    assert python(NEW_STORAGE).split() == ["True", "0.5", "2.0"]


def test_applying_changes_neither_the_argument_nor_the_storage() -> None:
    for basis in BASES.values():
        w = entries(basis.shape[1], 2)
        before, matrix = w.copy(), matrix_of(basis.storage).copy()
        result = basis.storage.apply(w)
        result[...] = 7.0
        assert np.array_equal(w, before)
        assert np.array_equal(matrix_of(basis.storage), matrix)
        v = entries(basis.shape[0], 2)
        before = v.copy()
        basis.storage.adjoint(v)[...] = 7.0
        assert np.array_equal(v, before)
        np.testing.assert_allclose(basis.storage.apply(w), matrix @ w, atol=1e-13)
