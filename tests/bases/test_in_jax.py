"""Bases applied to JAX arrays: as they are, and under jit, grad and vmap, in either precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.example_bases import BASES, basis_of, matrix_of, orbits
from intertwine.bases import Basis, Dense, Orbits, Permuted, Storage, Sum
from intertwine.groups import SO, S
from intertwine.reps import V

each = pytest.mark.parametrize("basis", BASES.values(), ids=BASES.keys())
rng = np.random.default_rng(3)

#: One of each kind, for what takes JAX long to compile.
SOME = (
    "dense, complex",
    "orbits, signed and partly vanishing",
    "orbits, all vanishing",
    "sum, of real and complex blocks",
    "sum, without columns",
    "nested",
)
some = pytest.mark.parametrize("basis", [BASES[name] for name in SOME], ids=SOME)

#: Storages that nothing was asked of yet: the first use must not depend on where it is.
FRESH: tuple[Storage, ...] = (
    orbits([0, 1, 0, -1], [1, 1, -1, 1]),
    Permuted(np.array([2, 0, 1, 3]), orbits([0, 1, 0, 1])),
    Sum([(2, Permuted(np.array([1, 0]), Dense(np.eye(2)))), (1, orbits([0, 0]))]),
)


def normal(*shape: int, dtype: Any = np.float32) -> jax.Array:
    """Normal entries as a JAX array."""
    values = rng.standard_normal(shape)
    if np.issubdtype(dtype, np.complexfloating):
        values = values + 1j * rng.standard_normal(shape)
    return jnp.asarray(values.astype(dtype))


def close(left: Any, right: Any, tolerance: float = 1e-5) -> None:
    """A JAX array on the left, with the entries of the right."""
    assert isinstance(left, jax.Array)
    assert left.shape == np.shape(right)
    np.testing.assert_allclose(np.asarray(left), np.asarray(right), atol=tolerance)


def matrices(basis: Basis) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Q and Qᴴ."""
    matrix = matrix_of(basis.storage)
    return matrix, matrix.conj().T


def everything(basis: Basis) -> Callable[[jax.Array, jax.Array], tuple[jax.Array, ...]]:
    """What a basis does to w and to v, as one compiled function: to compile each takes long."""
    return jax.jit(lambda w, v: (basis @ w, basis.H @ v, basis.T @ v, basis.project(v)))


def check_everything(basis: Basis, w: jax.Array, v: jax.Array, dtype: Any) -> None:
    """Right entries, in the type that the answers should have."""
    matrix, adjoint = matrices(basis)
    numbers, vectors = np.asarray(w), np.asarray(v)
    tolerance = 1e-12 if dtype in (np.float64, np.complex128) else 1e-4
    answers = everything(basis)(w, v)
    right = (matrix @ numbers, adjoint @ vectors, matrix.T @ vectors, matrix @ (adjoint @ vectors))
    for answer, expected in zip(answers, right, strict=True):
        close(answer, expected, tolerance)
        assert answer.dtype == dtype


@pytest.fixture(autouse=True)
def _nothing_global_changes() -> Iterator[None]:
    assert not jax.config.jax_enable_x64
    yield
    assert not jax.config.jax_enable_x64


class TestPrecision:
    @each
    @pytest.mark.sampled(10)
    def test_by_default_jax_is_answered_in_single_precision(self, basis: Basis) -> None:
        single = np.complex64 if np.iscomplexobj(matrix_of(basis.storage)) else np.float32
        w, v = normal(basis.shape[1], 2), normal(2, basis.shape[0], 3)
        check_everything(basis, w, v, single)

    @pytest.mark.slow
    @each
    def test_under_enable_x64_float64_is_answered_in_float64(self, basis: Basis) -> None:
        double = np.complex128 if np.iscomplexobj(matrix_of(basis.storage)) else np.float64
        with jax.enable_x64(True):
            w = normal(basis.shape[1], dtype=np.float64)
            v = normal(basis.shape[0], 2, dtype=np.float64)
            check_everything(basis, w, v, double)

    @some
    def test_under_enable_x64_float32_is_still_answered_in_float32(self, basis: Basis) -> None:
        single = np.complex64 if np.iscomplexobj(matrix_of(basis.storage)) else np.float32
        with jax.enable_x64(True):
            check_everything(basis, normal(basis.shape[1]), normal(basis.shape[0]), single)

    @pytest.mark.slow
    @some
    def test_complex_arguments_are_answered_in_their_precision(self, basis: Basis) -> None:
        w, v = normal(basis.rank, dtype=np.complex64), normal(len(basis), dtype=np.complex64)
        check_everything(basis, w, v, np.complex64)
        with jax.enable_x64(True):
            w, v = normal(basis.rank, dtype=np.complex128), normal(len(basis), dtype=np.complex128)
            check_everything(basis, w, v, np.complex128)

    @pytest.mark.slow
    @some
    def test_integers_are_answered_in_the_precision_that_jax_has(self, basis: Basis) -> None:
        is_complex = np.iscomplexobj(matrix_of(basis.storage))
        for enabled, dtype in (
            (False, np.complex64 if is_complex else np.float32),
            (True, np.complex128 if is_complex else np.float64),
        ):
            with jax.enable_x64(enabled):
                w, v = jnp.arange(basis.rank), jnp.arange(2 * len(basis)).reshape(len(basis), 2)
                check_everything(basis, w, v, dtype)

    @each
    def test_numpy_is_answered_by_numpy_in_float64_whatever_jax_is_set_to(
        self, basis: Basis
    ) -> None:
        for enabled in (False, True):
            with jax.enable_x64(enabled):
                answer = basis @ np.ones(basis.shape[1])
                assert type(answer) is np.ndarray
                assert answer.dtype == basis.dtype
                assert basis.dense().dtype == basis.dtype


class TestTransformed:
    @pytest.mark.slow
    @some
    @pytest.mark.parametrize(
        "x64",
        [
            pytest.param(False, id="float32", marks=pytest.mark.slow),
            pytest.param(True, id="float64"),
        ],
    )
    def test_under_jit_grad_and_vmap(self, basis: Basis, x64: bool) -> None:
        matrix, adjoint = matrices(basis)
        dtype, tolerance = (np.float64, 1e-12) if x64 else (np.float32, 1e-4)

        def energy(v: jax.Array) -> jax.Array:
            return 0.5 * jnp.sum(jnp.abs(basis.H @ v) ** 2)

        def size(w: jax.Array) -> jax.Array:
            return 0.5 * jnp.sum(jnp.abs(basis @ w) ** 2)

        with jax.enable_x64(x64):
            w, v = normal(3, basis.shape[1], dtype=dtype), normal(3, basis.shape[0], dtype=dtype)
            numbers, vectors = np.asarray(w), np.asarray(v)
            projected = vectors @ (matrix @ adjoint).real.T  # the gradient of the energy
            close(jax.vmap(lambda x: basis @ x)(w), numbers @ matrix.T, tolerance)
            close(jax.vmap(lambda x: basis.H @ x)(v), vectors @ adjoint.T, tolerance)
            close(jax.jit(jax.grad(size))(w[0]), numbers[0], tolerance)
            close(jax.jit(jax.vmap(jax.grad(energy)))(v), projected, tolerance)
            assert jax.jit(jax.vmap(jax.grad(energy)))(v).dtype == dtype

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["dense", "orbits, signed", "permuted, complex", "kronecker"])
    def test_without_jit(self, name: str) -> None:
        basis = BASES[name]
        matrix, adjoint = matrices(basis)
        w, v = normal(basis.rank), normal(2, len(basis), 2)
        close(basis @ w, matrix @ np.asarray(w))
        close(basis.project(v), matrix @ (adjoint @ np.asarray(v)))

    def test_batches_under_vmap_are_those_without(self) -> None:
        basis = BASES["nested"]
        v = normal(2, 3, len(basis), 2)
        close(jax.jit(jax.vmap(jax.vmap(basis.project)))(v), basis.project(np.asarray(v)))

    @pytest.mark.slow
    def test_forward_and_second_derivatives(self) -> None:
        for basis in (BASES["nested"], BASES["orbits, signed and partly vanishing"]):
            w = normal(basis.rank)

            def apply(x: jax.Array, basis: Basis = basis) -> jax.Array:
                return basis @ x

            def square(x: jax.Array, basis: Basis = basis) -> jax.Array:
                return jnp.sum((basis @ x) ** 2)

            value, tangent = jax.jit(lambda x, f=apply: jax.jvp(f, (x,), (2 * x,)))(w)
            close(tangent, 2 * np.asarray(value))
            close(jax.jit(jax.hessian(square))(w), 2 * np.eye(basis.rank), 1e-4)
            close(jax.jit(jax.jacobian(apply))(w), matrix_of(basis.storage))

    @pytest.mark.parametrize("storage", FRESH, ids=["orbits", "permuted", "sum"])
    def test_nothing_leaks_from_a_trace(self, storage: Storage) -> None:
        basis = basis_of(storage)
        with jax.checking_leaks():
            jax.jit(jax.grad(lambda v: jnp.sum(basis.project(v) ** 2)))(jnp.ones(len(basis)))
        np.testing.assert_allclose(basis.dense(), matrix_of(storage), atol=1e-12)
        with jax.enable_x64(True):
            w = jnp.ones(basis.rank, dtype=np.float64)
            close(jax.jit(lambda x: basis @ x)(w), matrix_of(storage).sum(axis=1), 1e-12)

    def test_a_solved_basis_is_used_like_any_other(self) -> None:
        for rep in ((V >> V**2)(SO(3)), (2 * V + V**2)(S(3))):
            basis = rep.equivariant_basis()
            w = normal(5, basis.rank)
            batched = jax.jit(jax.vmap(lambda x, basis=basis: basis @ x))(w)
            close(batched, np.asarray(w) @ basis.dense().T)


class TestArithmetic:
    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["dense", "orbits, signed", "permuted, complex", "kronecker"])
    def test_with_jax_arrays_it_is_the_matrix(self, name: str) -> None:
        basis = BASES[name]
        matrix = matrix_of(basis.storage)
        x, rho = normal(*basis.shape), normal(len(basis), len(basis))
        close(basis - x, matrix - np.asarray(x))
        close(x - basis, np.asarray(x) - matrix)
        close(basis - rho @ basis, matrix - np.asarray(rho) @ matrix, 1e-4)
        close(x.T @ basis, np.asarray(x).T @ matrix, 1e-4)
        close(jnp.asarray(basis), matrix)

    @pytest.mark.slow
    def test_from_the_right_under_jit_and_vmap(self) -> None:
        for name in ("dense, complex", "orbits, signed", "kronecker", "sum, with multiplicities"):
            basis = BASES[name]
            v = normal(4, 2, len(basis))
            right = np.asarray(v) @ matrix_of(basis.storage)
            close(jax.jit(lambda x, basis=basis: x @ basis)(v), right)
            close(jax.jit(jax.vmap(lambda x, basis=basis: x @ basis))(v), right)

    @pytest.mark.parametrize("name", ["dense, complex", "orbits, signed", "kronecker", "nested"])
    def test_a_column_may_be_chosen_inside_a_compiled_function(self, name: str) -> None:
        basis = BASES[name]
        matrix = matrix_of(basis.storage)
        column = jax.jit(lambda i: basis[:, i])
        for i in (0, basis.rank - 1, -1):
            close(column(i), matrix[:, i])
        close(jax.jit(jax.vmap(column))(jnp.arange(basis.rank)), matrix.T)
        close(jax.jit(lambda: jnp.asarray(basis[:, 0]))(), matrix[:, 0])

    def test_int64_labels_do_not_trouble_a_jax_without_int64(self) -> None:
        basis = basis_of(Orbits(np.array([0, 1, 0, -1], dtype=np.int64), None, 2))
        close(jax.jit(lambda w: basis @ w)(jnp.ones(2)), matrix_of(basis.storage).sum(axis=1))
        close(jax.jit(lambda v: basis.T @ v)(jnp.ones(4)), matrix_of(basis.storage).sum(axis=0))


@pytest.mark.parametrize("storage", ["permuted", "orbits"])
def test_both_modes_of_jax_may_meet_one_basis(storage: str) -> None:
    """A program that was traced for 64 bits leaves indices of 64 bits behind."""
    rep = {"permuted": V(SO(3)) ** 2 + V(SO(3)) + V(SO(3)) ** 2, "orbits": V(S(4)) ** 2}[storage]
    basis = rep.equivariant_basis(store=False)
    w = np.linspace(1, 2, basis.rank, dtype=np.float32)

    @jax.jit
    def both(w: Any) -> Any:
        return basis.T @ (basis @ w)

    with jax.enable_x64(True):
        np.testing.assert_allclose(both(w.astype(np.float64)), w, rtol=1e-6)
    np.testing.assert_allclose(both(w), w, rtol=1e-5)
