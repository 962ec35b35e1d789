"""Permutations of coordinates, with signs and without; and how a matrix is recognised as one."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.groups import C, RubiksCube
from intertwine.operators import Kronecker, LinearOperator, Permutation, as_signed_permutation
from intertwine.operators.permutation import exact_permutation


@st.composite
def signed(draw: Any) -> tuple[list[int], list[int]]:
    """A permutation and its signs."""
    indices = draw(st.integers(1, 8).flatmap(lambda n: st.permutations(range(n))))
    signs = draw(st.lists(st.sampled_from([-1, 1]), min_size=len(indices), max_size=len(indices)))
    return list(indices), signs


@laws
@given(signed())
def test_entry_i_is_entry_p_of_i_with_its_sign(drawn: tuple[list[int], list[int]]) -> None:
    indices, signs = drawn
    x = np.random.default_rng(0).standard_normal(len(indices))
    plain, with_signs = Permutation(indices), Permutation(indices, signs)
    np.testing.assert_array_equal(plain @ x, [x[p] for p in indices])
    np.testing.assert_array_equal(
        with_signs @ x, [s * x[p] for s, p in zip(signs, indices, strict=True)]
    )


@laws
@given(signed())
def test_the_adjoint_is_the_inverse(drawn: tuple[list[int], list[int]]) -> None:
    P = Permutation(*drawn)
    x = np.random.default_rng(0).standard_normal((len(drawn[0]), 3))
    assert isinstance(P.H, Permutation)
    np.testing.assert_array_equal(P.H @ (P @ x), x)
    np.testing.assert_array_equal(P.inverse @ (P @ x), x)
    np.testing.assert_array_equal(P @ (P.inverse @ x), x)
    np.testing.assert_array_equal(np.asarray(P.H), np.linalg.inv(np.asarray(P)))


@laws
@given(signed())
def test_the_order_is_the_least_power_that_is_one(drawn: tuple[list[int], list[int]]) -> None:
    matrix = np.asarray(Permutation(*drawn))
    power, order = matrix, 1
    while not np.array_equal(power, np.eye(len(matrix))):
        power, order = power @ matrix, order + 1
    assert Permutation(*drawn).order == order


@laws
@given(signed())
def test_its_matrix_is_recognised(drawn: tuple[list[int], list[int]]) -> None:
    P = Permutation(*drawn)
    noise = 1e-13 * np.random.default_rng(0).standard_normal(P.shape)
    for matrix in (np.asarray(P), np.asarray(P) + noise, np.asarray(P) + 0j):
        found = as_signed_permutation(matrix)
        assert found is not None
        np.testing.assert_array_equal(found.indices, P.indices)
        np.testing.assert_array_equal(np.asarray(found), np.asarray(P))
        assert (found.signs is None) == all(s > 0 for s in drawn[1])


def test_a_permutation_is_recognised_as_itself() -> None:
    P = Permutation([1, 0])
    assert as_signed_permutation(P) is P


def test_signs_that_are_all_positive_are_none() -> None:
    assert Permutation([1, 0], [1, 1]).signs is None
    assert Permutation([1, 0], [1.0, -1.0]).signs is not None


def test_an_operator_that_permutes_is_recognised() -> None:
    class Swap(LinearOperator):
        shape = (2, 2)

        def _matmat(self, X: Any) -> Any:
            return X[::-1]

        def _adjoint(self) -> LinearOperator:
            return self

    for operator in (Swap(), Kronecker([Permutation([1, 0]), Permutation([1, 0], [1, -1])])):
        found = as_signed_permutation(operator)
        assert found is not None
        np.testing.assert_array_equal(np.asarray(found), np.asarray(operator))


def test_a_quarter_turn_is_a_signed_permutation() -> None:
    """Its cosine is 6e-17, and means zero."""
    (turn,) = C(4).discrete_generators
    assert turn[0, 0] != 0
    found = as_signed_permutation(turn)
    assert found is not None
    np.testing.assert_array_equal(found.indices, [1, 0])
    np.testing.assert_array_equal(found.signs, [1, -1])


NO_PERMUTATIONS = {
    "a rotation": np.array([[0.6, -0.8], [0.8, 0.6]]),
    "two in a row": np.array([[1.0, 1.0], [0.0, 0.0]]),
    "two in a column": np.array([[1.0, 0.0], [1.0, 0.0]]),
    "a row of nothing": np.diag([1.0, 0.0]),
    "twos": np.diag([2.0, 1.0]),
    "cancelling twos": np.array([[2.0, -1.0], [-1.0, 2.0]]),
    "a phase": np.diag([1j, 1.0]),
    "nearly": np.diag([1.0, 1.0 - 1e-11]),
    "a trace of something else": np.array([[1.0, 1e-9], [0.0, 1.0]]),
    "a trace of a phase": np.array([[1.0, 1e-9j], [0.0, 1.0]]),
    "not a number": np.array([[np.nan, 1.0], [1.0, 0.0]]),
    "infinite": np.array([[np.inf, 1.0], [1.0, 0.0]]),
}


@pytest.mark.filterwarnings("ignore:invalid value encountered in subtract")  # ∞ − ∞
@pytest.mark.parametrize("name", NO_PERMUTATIONS)
def test_other_matrices_are_not(name: str) -> None:
    assert as_signed_permutation(NO_PERMUTATIONS[name]) is None


@pytest.mark.parametrize(
    "indices", [[0, 0], [1, 2], [-1, 0], [0.0, 1.0], [[0, 1]], ["a"], [None], [2**70, 0]]
)
def test_invalid_permutations_are_refused(indices: Any) -> None:
    with pytest.raises(ValueError, match="permutation") as error:
        Permutation(indices)
    assert str(error.value) == f"{indices!r} is not a permutation of 0 … n − 1"


@pytest.mark.parametrize("signs", [[5, -5], [2, 1], [0, 1], [1], [1, 1, 1], [-1.5, 1], [[1, 1]]])
def test_signs_are_one_or_minus_one_each(signs: Any) -> None:
    with pytest.raises(ValueError, match="sign"):
        Permutation([1, 0], signs)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "bool", "int8", "float16", "float32"])
def test_a_sign_is_a_sign_in_every_type(dtype: str) -> None:
    """Not 255 for −1, as in the arithmetic of bytes."""
    P, x = Permutation([1, 0], [-1, 1]), np.array([0, 1]).astype(dtype)
    np.testing.assert_array_equal(P @ x, [-1, 0])
    np.testing.assert_array_equal(P @ np.stack([x, x], axis=1), [[-1, -1], [0, 0]])


def test_without_signs_the_type_is_kept() -> None:
    P = Permutation([1, 0])
    for dtype in (np.uint8, np.bool_, np.float32, np.complex128, np.int64):
        assert (P @ np.zeros(2, dtype)).dtype == dtype
    assert (P @ jnp.zeros(2, jnp.float16)).dtype == jnp.float16


def test_an_empty_permutation_moves_nothing() -> None:
    P = Permutation([])
    assert P.shape == (0, 0)
    assert (P @ np.zeros((0, 2))).shape == (0, 2)


def test_permutations_work_under_jit() -> None:
    P = Permutation([1, 2, 0], [1, -1, 1])
    x = np.arange(3.0)
    np.testing.assert_array_equal(jax.jit(lambda v: P @ v)(x), P @ x)
    np.testing.assert_array_equal(jax.vmap(lambda v: P @ v)(np.stack([x, x]))[1], P @ x)


def test_applying_a_large_permutation_takes_no_matrix() -> None:
    n = 2 * 10**6
    P = Permutation(np.roll(np.arange(n), 1))
    np.testing.assert_array_equal((P @ np.arange(n))[:3], [n - 1, 0, 1])


def test_what_is_given_is_not_kept() -> None:
    """A permutation does not change when the array that it was made from does."""
    indices = np.array([1, 0], dtype=np.intp)
    signs = np.array([1, -1], dtype=np.int8)
    P = Permutation(indices, signs)
    indices[:], signs[:] = [0, 1], [1, 1]
    np.testing.assert_array_equal(np.asarray(P), [[0, 1], [-1, 0]])


def test_the_turns_of_rubiks_cube_are_of_order_four() -> None:
    x = np.arange(48.0)
    for turn in RubiksCube().group_generators:
        moved = turn @ x
        assert not np.array_equal(moved, x)
        np.testing.assert_array_equal(turn @ (turn @ (turn @ moved)), x)


@laws
@given(signed())
def test_an_exact_permutation_is_recognised_in_every_form(
    drawn: tuple[list[int], list[int]],
) -> None:
    P = Permutation(*drawn)
    matrix = np.asarray(P)
    forms = [matrix, matrix.astype(int), matrix + 0j, scipy.sparse.csr_array(matrix), P]
    for form in [*forms, scipy.sparse.coo_matrix(matrix)]:
        found = exact_permutation(form)
        assert found is not None
        np.testing.assert_array_equal(np.asarray(found), matrix)


@laws
@given(signed(), st.integers(0, 63), st.sampled_from([1e-13, 1.0, -2.0, np.nan]))
def test_other_matrices_are_not_exact_permutations(
    drawn: tuple[list[int], list[int]], place: int, change: float
) -> None:
    matrix = np.asarray(Permutation(*drawn)).copy()
    entry = divmod(place % matrix.size, len(matrix))
    matrix[entry] += change
    if np.isin(matrix, (-1, 0, 1)).all() and np.array_equal(abs(matrix.sum(0)), abs(matrix).sum(0)):
        return  # a sign was changed: another permutation, or the entry vanished
    assert exact_permutation(matrix) is None
    assert exact_permutation(scipy.sparse.csr_array(matrix)) is None
    assert exact_permutation(matrix + 0j) is None


def test_arrays_of_other_shapes_are_not_permutations() -> None:
    for array in (np.ones(3), np.ones((2, 3)), np.array(1.0), np.array([["a"]])):
        assert exact_permutation(array) is None
