"""A basis looks like the matrix Q of shape (n, r), whatever it is stored as."""

from __future__ import annotations

import logging
import tracemalloc
from typing import Any

import numpy as np
import pytest
from helpers.example_bases import BASES, Plan, basis_of, build, matrix_of, orthonormal, plans
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.bases import Basis, Dense, Orbits
from intertwine.errors import TooLarge
from intertwine.groups import SO, U
from intertwine.operators import LinearOperator
from intertwine.reps import V

each = pytest.mark.parametrize("basis", BASES.values(), ids=BASES.keys())
rng = np.random.default_rng(20210419)


def close(left: Any, right: Any) -> None:
    """Both are arrays of one shape, with the same entries."""
    assert np.shape(left) == np.shape(right)
    np.testing.assert_allclose(left, right, atol=1e-12)


class TestAsAMatrix:
    @each
    def test_it_has_the_shape_type_and_length_of_the_matrix(self, basis: Basis) -> None:
        matrix = matrix_of(basis.storage)
        assert basis.shape == matrix.shape
        assert basis.dtype == matrix.dtype
        assert basis.ndim == matrix.ndim == 2
        assert len(basis) == len(matrix)
        assert basis.rank == matrix.shape[1]

    @each
    def test_asarray_and_dense_write_it_out(self, basis: Basis) -> None:
        matrix = matrix_of(basis.storage)
        close(np.asarray(basis), matrix)
        close(basis.dense(), matrix)
        assert type(basis.dense()) is np.ndarray
        assert basis.dense().dtype == basis.dtype
        assert basis.dense_bytes == matrix.nbytes

    def test_asarray_takes_a_type(self) -> None:
        single = np.asarray(BASES["kronecker"], dtype=np.float32)
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, matrix_of(BASES["kronecker"].storage), atol=1e-6)

    @each
    def test_the_columns_are_orthonormal(self, basis: Basis) -> None:
        identity = np.eye(basis.rank)
        close(np.asarray(basis.H @ basis), identity)
        close(basis.H @ np.asarray(basis), identity)
        close(np.asarray(basis.H) @ np.asarray(basis), identity)

    @each
    def test_sparse_writes_its_nonzero_entries(self, basis: Basis) -> None:
        close(basis.sparse().toarray(), matrix_of(basis.storage))

    @each
    def test_it_takes_the_bytes_of_its_storage(self, basis: Basis) -> None:
        assert basis.nbytes == basis.storage.nbytes

    def test_what_dense_returns_is_the_callers_own(self) -> None:
        for basis in BASES.values():
            before = basis.dense()
            basis.dense()[...] = 7.0
            np.asarray(basis)[...] = 7.0
            close(basis.dense(), before)

    def test_a_number_of_bytes_that_is_allowed_is_not_passed(self) -> None:
        basis = BASES["dense"]
        assert basis.dense_bytes == 12 * 3 * 8
        assert basis.dense(max_bytes=288).shape == (12, 3)
        with pytest.raises(TooLarge) as refused:
            basis.dense(max_bytes=287)
        assert str(refused.value) == (
            "a dense basis of shape (12, 3) takes 2.88e-07 GB, more than the 2.87e-07 GB allowed; "
            "apply it with @"
        )

    def test_what_is_not_allowed_is_refused_before_memory_is_taken(self) -> None:
        labels = np.arange(3_000_000, dtype=np.int32)
        huge = basis_of(Orbits(labels, None, len(labels)))
        with pytest.raises(TooLarge, match=r"takes 7\.2e\+04 GB, more than the 1 GB allowed"):
            huge.dense(max_bytes=10**9)

    @pytest.mark.slow
    def test_a_large_matrix_is_announced_in_the_log(self, caplog: Any) -> None:
        n = 2**27 + 1
        constant = Dense(np.full((n, 1), n**-0.5))
        with caplog.at_level(logging.WARNING, logger="intertwine"):
            basis_of(constant).dense()
        assert caplog.messages == [f"a dense basis of shape ({n}, 1) takes 1.07 GB"]

    def test_a_small_matrix_is_not_worth_a_word(self, caplog: Any) -> None:
        with caplog.at_level(logging.DEBUG, logger="intertwine"):
            BASES["dense"].dense()
        assert caplog.messages == []


class TestApplied:
    @each
    @pytest.mark.parametrize(
        "shape", [(), (0,), (1,), (3,)], ids=["vector", "none", "one", "three"]
    )
    def test_to_vectors_and_matrices(self, basis: Basis, shape: tuple[int, ...]) -> None:
        matrix = matrix_of(basis.storage)
        w = rng.standard_normal((basis.shape[1], *shape))
        v = rng.standard_normal((basis.shape[0], *shape))
        close(basis @ w, matrix @ w)
        close(basis.T @ v, matrix.T @ v)
        close(basis.H @ v, matrix.conj().T @ v)

    @each
    @pytest.mark.parametrize("batch", [(2,), (0,), (2, 3), (1, 0, 2)], ids=str)
    def test_to_batches_of_matrices(self, basis: Basis, batch: tuple[int, ...]) -> None:
        matrix = matrix_of(basis.storage)
        w = rng.standard_normal((*batch, basis.shape[1], 4))
        v = rng.standard_normal((*batch, basis.shape[0], 4))
        close(basis @ w, matrix @ w)
        close(basis.T @ v, matrix.T @ v)
        close(basis.H @ v, matrix.conj().T @ v)

    @each
    def test_from_the_right(self, basis: Basis) -> None:
        matrix = matrix_of(basis.storage)
        for shape in [(), (2,), (3, 2), (0,)]:
            v = rng.standard_normal((*shape, basis.shape[0]))
            w = rng.standard_normal((*shape, basis.shape[1]))
            close(v @ basis, v @ matrix)
            close(w @ basis.T, w @ matrix.T)
            close(w @ basis.H, w @ matrix.conj().T)

    @each
    def test_to_complex_arguments(self, basis: Basis) -> None:
        matrix = matrix_of(basis.storage)
        w = rng.standard_normal(basis.shape[1]) + 1j * rng.standard_normal(basis.shape[1])
        v = rng.standard_normal(basis.shape[0]) + 1j * rng.standard_normal(basis.shape[0])
        close(basis @ w, matrix @ w)
        close(basis.T @ v, matrix.T @ v)
        close(basis.H @ v, matrix.conj().T @ v)
        close(v @ basis, v @ matrix)
        close(v @ basis.H.T, v @ matrix.conj())

    @each
    def test_to_integers(self, basis: Basis) -> None:
        matrix = matrix_of(basis.storage)
        w = np.arange(basis.shape[1])
        v = np.arange(2 * basis.shape[0]).reshape(basis.shape[0], 2)
        close(basis @ w, matrix @ w)
        close(basis.T @ v, matrix.T @ v)
        close(basis.project(v), matrix @ (matrix.conj().T @ v))

    def test_to_lists(self) -> None:
        basis = BASES["dense"]
        close(basis @ [1.0, 2.0, 3.0], matrix_of(basis.storage) @ [1.0, 2.0, 3.0])
        close(np.eye(12)[11].tolist() @ basis, basis[11])

    def test_float32_is_answered_in_float32_and_float64_in_float64(self) -> None:
        for name, basis in BASES.items():
            is_complex = "complex" in name
            for given_dtype, real, complicated in (
                (np.float32, np.float32, np.complex64),
                (np.float64, np.float64, np.complex128),
            ):
                w = np.ones(basis.shape[1], given_dtype)
                v = np.ones((2, basis.shape[0], 3), given_dtype)
                for answer in (
                    basis @ w,
                    basis.T @ v,
                    basis.H @ v,
                    basis.project(v),
                    v[0].T @ basis,
                ):
                    assert answer.dtype == (complicated if is_complex else real), name

    def test_to_np_matmul(self) -> None:
        basis = BASES["sum, with multiplicities"]
        matrix, w, v = basis.dense(), np.arange(8.0), np.arange(25.0)
        close(np.matmul(basis, w), matrix @ w)
        close(np.matmul(v, basis), v @ matrix)
        close(np.dot(basis, w), matrix @ w)

    def test_an_argument_of_the_wrong_size_is_refused_with_both_shapes(self) -> None:
        basis = BASES["dense"]
        for wrong in (np.ones(4), np.ones((4, 3)), np.ones((3, 4, 3)), np.ones(0)):
            with pytest.raises(
                ValueError, match=r"shape \(12, 3\).* cannot be applied to an array"
            ):
                basis @ wrong
        with pytest.raises(ValueError, match="cannot be applied to an array of shape"):
            basis.T @ np.ones(3)

    def test_a_number_is_no_argument_of_the_matrix_product(self) -> None:
        for number in (2.0, 2, np.float64(2), np.array(2.0)):
            with pytest.raises(ValueError, match="cannot be applied"):
                BASES["dense"] @ number

    @settings(deadline=None, max_examples=50)
    @given(plans(), st.lists(st.integers(0, 2), max_size=2), st.integers(0, 2))
    def test_any_basis_to_any_batch(self, plan: Plan, batch: list[int], k: int) -> None:
        storage = build(plan)
        basis, matrix = basis_of(storage), matrix_of(storage)
        w = np.ones((*batch, basis.shape[1], k))
        v = np.ones((*batch, basis.shape[0], k))
        close(basis @ w, matrix @ w)
        close(basis.H @ v, matrix.conj().T @ v)
        close(basis.project(v), matrix @ (matrix.conj().T @ v))


class TestTransposed:
    @each
    def test_t_is_the_plain_transpose_and_h_the_adjoint(self, basis: Basis) -> None:
        matrix = matrix_of(basis.storage)
        assert basis.T.shape == basis.H.shape == matrix.T.shape
        assert basis.T.dtype == basis.H.dtype == matrix.dtype
        close(np.asarray(basis.T), matrix.T)
        close(np.asarray(basis.H), matrix.conj().T)

    @each
    def test_twice_is_the_basis_again(self, basis: Basis) -> None:
        matrix = matrix_of(basis.storage)
        close(np.asarray(basis.T.T), matrix)
        close(np.asarray(basis.H.H), matrix)
        close(np.asarray(basis.H.T), matrix.conj())
        close(np.asarray(basis.T.H), matrix.conj())

    def test_for_a_complex_basis_the_two_differ(self) -> None:
        basis = BASES["dense, complex"]
        v = rng.standard_normal(6) + 1j * rng.standard_normal(6)
        assert not np.allclose(basis.T @ v, basis.H @ v)
        close(basis.H @ (basis @ np.ones(2)), np.ones(2))

    def test_products_of_operators_are_operators(self) -> None:
        basis = BASES["nested"]
        matrix = basis.dense()
        projector = basis @ basis.T
        assert isinstance(projector, LinearOperator)
        assert projector.shape == (len(basis), len(basis))
        close(np.asarray(projector), matrix @ matrix.T)
        close(projector @ np.ones(len(basis)), matrix @ matrix.T @ np.ones(len(basis)))


class TestColumns:
    @each
    def test_each_column_is_that_of_the_matrix(self, basis: Basis) -> None:
        matrix = matrix_of(basis.storage)
        for i in range(-basis.rank, basis.rank):
            close(basis[:, i], matrix[:, i])
            assert basis[:, i].dtype == basis.dtype

    @pytest.mark.parametrize(
        "columns",
        [
            slice(None),
            slice(1, 3),
            slice(None, None, -1),
            slice(5, 5),
            [0, 2],
            [],
            np.array([2, 0, 0]),
            np.array([True, False, True, False, True, False, True, False]),
            np.int64(1),
            np.array(1),
            ...,
            None,
            [[0, 1], [2, 3]],
            -1,
        ],
        ids=repr,
    )
    def test_columns_are_chosen_as_numpy_chooses_them(self, columns: Any) -> None:
        for basis in (basis_of(Dense(orthonormal(9, 8))), BASES["sum, with multiplicities"]):
            close(basis[:, columns], basis.dense()[:, columns])
            close(basis[0 : len(basis), columns], basis.dense()[:, columns])

    @pytest.mark.parametrize(
        "key",
        [
            0,
            -1,
            slice(None),
            slice(1, 3),
            ...,
            (0, 1),
            (slice(1, 2), 0),
            (slice(None, None, -1), 0),
            (slice(None), slice(None)),
            (..., 0),
            ([0, 1], [1, 0]),
            None,
            (slice(None),),
            (),
        ],
        ids=repr,
    )
    def test_rows_and_entries_are_those_of_the_matrix(self, key: Any) -> None:
        for name in ("dense", "orbits", "sum", "kronecker", "permuted", "dense, complex"):
            close(BASES[name][key], BASES[name].dense()[key])

    def test_a_column_that_is_not_there_is_an_index_error(self) -> None:
        for basis in (BASES["dense"], BASES["orbits"], BASES["kronecker"]):
            for i in (basis.rank, -basis.rank - 1, [0, basis.rank]):
                with pytest.raises(IndexError, match="out of bounds"):
                    basis[:, i]

    def test_a_basis_without_columns_has_empty_slices(self) -> None:
        for name in ("dense, without columns", "sum, without columns", "orbits, all vanishing"):
            basis = BASES[name]
            assert basis[:, :].shape == basis.shape
            assert basis[:, []].shape == basis.shape
            with pytest.raises(IndexError):
                basis[:, 0]

    def test_a_column_of_a_huge_basis_takes_little_more_than_itself(self) -> None:
        n = 1_000_000  # the dense matrix would take 800 GB, and a square one of its rank 80 GB
        storage = Orbits(np.arange(n, dtype=np.int32) // 10, None, n // 10)
        basis = basis_of(storage)
        tracemalloc.start()
        column = basis[:, 7]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert column.shape == (n,)
        assert np.flatnonzero(column).tolist() == list(range(70, 80))
        assert peak <= 20 * column.nbytes

    def test_rows_can_be_iterated(self) -> None:
        basis = BASES["dense"]
        close(np.array(list(basis)), basis.dense())


class TestInArithmetic:
    @each
    def test_it_is_the_matrix(self, basis: Basis) -> None:
        matrix = matrix_of(basis.storage)
        x = rng.standard_normal(basis.shape)
        close(basis - x, matrix - x)
        close(x - basis, x - matrix)
        close(basis + x, matrix + x)
        close(2 * basis, 2 * matrix)
        close(basis / 2, matrix / 2)
        close(-basis, -matrix)
        close(basis**2, matrix**2)
        close(np.abs(basis), np.abs(matrix))
        close(abs(basis), np.abs(matrix))
        close(np.conj(basis), matrix.conj())
        close(basis - basis, 0 * matrix)
        close(np.linalg.norm(basis), np.linalg.norm(matrix))
        close(np.allclose(basis, matrix, atol=1e-12), True)

    @each
    def test_reductions_are_those_of_the_matrix(self, basis: Basis) -> None:
        matrix = matrix_of(basis.storage)
        close(np.sum(basis), np.sum(matrix))
        close(np.sum(basis, axis=0), np.sum(matrix, axis=0))
        close(np.max(basis, axis=1, initial=-9), np.max(matrix, axis=1, initial=-9))

    def test_comparison_with_an_array_is_entry_by_entry(self) -> None:
        basis = BASES["orbits"]
        assert np.array_equal(basis > 0, basis.dense() > 0)
        assert np.array_equal(basis == basis.dense(), np.ones(basis.shape, bool))

    def test_it_can_be_hashed_and_is_equal_to_itself_alone(self) -> None:
        basis = BASES["dense"]
        assert basis == basis
        assert basis != BASES["orbits"]
        assert {basis: 1}[basis] == 1

    def test_the_action_of_a_group_element_leaves_it_alone(self) -> None:
        rep = (V**2 >> V)(SO(3))
        basis = rep.equivariant_basis()
        for g in SO(3).samples(3, seed=1):
            rho = rep.rho_dense(g)
            difference = basis - rho @ basis
            assert difference.shape == basis.shape
            assert np.abs(difference).max() <= 1e-12
            close(basis - rep.rho(g) @ basis, np.zeros(basis.shape))
            close((basis - rho @ basis) ** 2, np.zeros(basis.shape))

    def test_so_for_a_complex_group(self) -> None:
        rep = (V >> V)(U(2))
        basis = rep.equivariant_basis()
        assert basis.dtype == np.complex128
        for g in U(2).samples(3, seed=1):
            assert np.abs(basis - rep.rho_dense(g) @ basis).max() <= 1e-12

    def test_it_cannot_be_changed_in_place(self) -> None:
        basis = BASES["dense"]
        before = basis.dense()
        with pytest.raises(TypeError):
            basis[0, 0] = 1.0
        with pytest.raises(TypeError):
            basis += 1.0
        with pytest.raises(TypeError):
            np.add(before, 1.0, out=basis)
        close(basis.dense(), before)


class TestProjecting:
    @each
    @pytest.mark.parametrize("shape", ["n", "nk", "bnk", "abnk", "n0"])
    def test_the_nearest_invariant_has_the_shape_of_the_argument(
        self, basis: Basis, shape: str
    ) -> None:
        sizes = {"n": basis.shape[0], "k": 4, "b": 2, "a": 3, "0": 0}
        v = rng.standard_normal([sizes[axis] for axis in shape])
        matrix = matrix_of(basis.storage)
        close(basis.project(v), matrix @ (matrix.conj().T @ v))
        close(basis.project(basis.project(v)), basis.project(v))

    @each
    def test_the_projector_does_the_same_as_an_operator(self, basis: Basis) -> None:
        projector, matrix = basis.projector, matrix_of(basis.storage)
        right = matrix @ matrix.conj().T
        v = rng.standard_normal((basis.shape[0], 2))
        assert projector.shape == right.shape
        assert projector.dtype == basis.dtype
        close(np.asarray(projector), right)
        close(projector @ v, right @ v)
        close(projector @ v[:, 0], right @ v[:, 0])
        close(np.asarray(projector.H), right)
        close(np.asarray(projector.T), right.T)
        close(projector.T @ v, right.T @ v)
        close(v.T @ projector, v.T @ right)
        close(projector - right, np.zeros(right.shape))


class TestShown:
    def test_it_says_its_shape_type_method_and_residual(self) -> None:
        basis = BASES["kronecker, of real and complex factors"]
        assert repr(basis) == (
            "<Basis of shape (12, 4), complex128, by krylov+orbits, residual 3.5e-15>"
        )

    def test_a_notebook_shows_the_certificate(self) -> None:
        html = BASES["dense"]._repr_html_()
        assert html.startswith("<b>Basis</b> of 3 invariants in 12 dimensions<table>")
        assert "krylov+orbits on numpy (cpu)" in html
        assert html.count("<tr>") == html.count("</tr>") == 7
