"""A basis that is kept as its matrix."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.example_bases import orthonormal
from intertwine.bases import Dense


def test_the_matrix_is_kept_as_it_is() -> None:
    matrix = orthonormal(4, 2)
    storage = Dense(matrix)
    assert storage.matrix is matrix
    assert (storage.shape, storage.dtype, storage.nbytes) == ((4, 2), np.float64, 64)


def test_the_sparse_form_omits_rounding_errors() -> None:
    matrix = np.eye(3)[:, :2] + np.array([[0, 6e-17], [-1e-15, 0], [1e-16, 0]])
    sparse = Dense(matrix).sparse()
    assert sparse.nnz == 2
    assert np.array_equal(sparse.toarray(), np.eye(3)[:, :2])


def test_the_sparse_form_of_a_complex_matrix_is_complex() -> None:
    matrix = orthonormal(4, 2, is_complex=True)
    assert np.array_equal(Dense(matrix).sparse().toarray(), matrix)


@pytest.mark.parametrize("is_complex", [False, True], ids=["real", "complex"])
def test_the_adjoint_conjugates(is_complex: bool) -> None:
    matrix = orthonormal(3, 1, is_complex=is_complex)
    v = np.array([[1.0], [2.0], [3.0]])
    np.testing.assert_allclose(Dense(matrix).adjoint(v), matrix.conj().T @ v)
