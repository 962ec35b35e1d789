"""Linear operators: what follows from their shape, their action and their adjoint."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.operators import (
    DirectSum,
    Kronecker,
    KroneckerSum,
    LinearOperator,
    Permutation,
    Product,
    dense,
)
from intertwine.operators.base import Conjugate, apply_in_slot
from scipy.linalg import block_diag

Matrix = np.ndarray[Any, Any]


class LazyPerm(LinearOperator):
    """As EMLP's page on new groups writes it: a shape, an action and an adjoint, no `super()`."""

    def __init__(self, perm: Any) -> None:
        self.perm = perm
        self.shape = (len(perm), len(perm))

    def _matmat(self, V: Any) -> Any:
        return V[self.perm]

    def _matvec(self, V: Any) -> Any:
        return V[self.perm]

    def _adjoint(self) -> LinearOperator:
        return LazyPerm(np.argsort(self.perm))


class Wide(LinearOperator):
    """A matrix of any shape, behind the least that a subclass has to define."""

    def __init__(self, matrix: Matrix) -> None:
        self.matrix, self.shape, self.dtype = matrix, matrix.shape, matrix.dtype

    def _matmat(self, X: Any) -> Any:
        return self.matrix @ X

    def _adjoint(self) -> LinearOperator:
        return Wide(self.matrix.conj().T)


def written_out(A: Any) -> Matrix:
    """The matrix, by definition and NumPy alone."""
    match A:
        case Permutation():
            matrix = np.eye(len(A.indices))[A.indices]
            return matrix if A.signs is None else A.signs[:, None] * matrix
        case Kronecker():
            return reduce(np.kron, map(written_out, A.factors))
        case KroneckerSum():
            factors = [written_out(factor) for factor in A.factors]
            result = np.zeros(A.shape)
            for i, factor in enumerate(factors):
                slots = [factor if j == i else np.eye(len(f)) for j, f in enumerate(factors)]
                result = result + reduce(np.kron, slots)
            return result
        case DirectSum():
            blocks = [written_out(b) for m, b in A.blocks for _ in range(m)]
            return block_diag(*blocks) if blocks else np.zeros((0, 0))
        case Product():
            return written_out(A.left) @ written_out(A.right)
        case Conjugate():
            return written_out(A.operator).conj()
        case LazyPerm():
            return np.eye(len(A.perm))[A.perm]
        case Wide():
            return A.matrix
    return np.asarray(A)


def _matrix(n: int, seed: int, is_complex: bool) -> Matrix:
    rng = np.random.default_rng([n, seed])
    real = rng.standard_normal((n, n))
    return real + 1j * rng.standard_normal((n, n)) if is_complex else real


#: An operator as it is drawn: the name of its kind, and what it is made of.
Recipe = tuple[Any, ...]

_seeds = st.integers(0, 99)
_signs = st.lists(st.sampled_from([-1, 1]), min_size=3, max_size=3)
_LEAVES: st.SearchStrategy[Recipe] = st.one_of(
    st.tuples(st.just("array"), st.integers(1, 3), _seeds, st.booleans()),
    st.tuples(st.just("wide"), st.integers(1, 3), _seeds, st.booleans()),
    st.tuples(st.just("permutation"), st.permutations(range(3)), st.none() | _signs),
    st.tuples(st.just("lazy"), st.permutations(range(2))),
)


def _extend(inner: st.SearchStrategy[Recipe]) -> st.SearchStrategy[Recipe]:
    few = st.lists(inner, min_size=1, max_size=3)
    blocks = st.lists(st.tuples(st.integers(0, 2), inner), min_size=1, max_size=3)
    return st.one_of(
        st.tuples(st.sampled_from(["product of Kronecker", "sum of Kronecker"]), few),
        st.tuples(st.just("direct sum"), blocks),
        st.tuples(st.sampled_from(["square", "conjugate"]), inner),
    )


def _size(recipe: Recipe) -> int:
    match recipe:
        case ("permutation" | "lazy", indices, *_):
            return len(indices)
        case ("array" | "wide", n, *_):
            return int(n)
        case ("direct sum", blocks):
            return sum(m * _size(block) for m, block in blocks)
        case (str(), list(parts)):
            return math.prod(map(_size, parts))
    return _size(recipe[1])


def _build(recipe: Recipe) -> Any:
    match recipe:
        case ("array", *drawn):
            return _matrix(*drawn)
        case ("wide", *drawn):
            return Wide(_matrix(*drawn))
        case ("permutation", indices, signs):
            return Permutation(indices, signs)
        case ("lazy", indices):
            return LazyPerm(np.array(indices))
        case ("product of Kronecker", parts):
            return Kronecker([_build(part) for part in parts])
        case ("sum of Kronecker", parts):
            return KroneckerSum([_build(part) for part in parts])
        case ("direct sum", blocks):
            return DirectSum([(m, _build(block)) for m, block in blocks])
    inner = operator(recipe[1])
    return Product(inner, inner.H) if recipe[0] == "square" else Conjugate(inner)


def operator(recipe: Recipe) -> LinearOperator:
    """The operator of a recipe, built in the test itself and not while it is drawn."""
    built = _build(recipe)
    return built if isinstance(built, LinearOperator) else Wide(built)


RECIPES = st.recursive(_LEAVES, _extend, max_leaves=5).filter(lambda r: 0 < _size(r) <= 60)


def _vector(shape: Any, seed: int, is_complex: bool = False) -> Matrix:
    rng = np.random.default_rng(seed)
    real = rng.standard_normal(shape)
    return real + 1j * rng.standard_normal(shape) if is_complex else real


# -- laws of all operators


@laws
@given(RECIPES)
def test_the_matrix_is_the_one_that_is_defined(recipe: Recipe) -> None:
    A = operator(recipe)
    expected = written_out(A)
    assert A.shape == expected.shape
    np.testing.assert_allclose(A.dense(), expected, atol=1e-12)
    np.testing.assert_allclose(A.to_dense(), expected, atol=1e-12)
    np.testing.assert_allclose(np.asarray(A), expected, atol=1e-12)
    np.testing.assert_allclose(dense(A), expected, atol=1e-12)
    assert np.iscomplexobj(A.dense()) == np.issubdtype(A.dtype, np.complexfloating)


@laws
@given(RECIPES, _seeds, st.booleans())
def test_applying_is_multiplying_by_the_matrix(recipe: Recipe, seed: int, is_complex: bool) -> None:
    A = operator(recipe)
    matrix, n = written_out(A), A.shape[1]
    for shape in ((n,), (n, 1), (n, 4), (2, n, 3), (2, 1, n, 2)):
        x = _vector(shape, seed, is_complex)
        expected = matrix @ x
        found = A @ x
        assert isinstance(found, np.ndarray)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-10)


@laws
@given(RECIPES, _seeds)
def test_an_array_may_stand_on_the_left(recipe: Recipe, seed: int) -> None:
    A = operator(recipe)
    matrix, n = written_out(A), A.shape[0]
    for shape in ((n,), (1, n), (4, n), (2, 3, n)):
        x = _vector(shape, seed)
        found = x @ A
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found, x @ matrix, atol=1e-10)


@laws
@given(RECIPES, _seeds)
def test_the_adjoint_moves_to_the_other_side_of_the_inner_product(
    recipe: Recipe, seed: int
) -> None:
    A = operator(recipe)
    x, y = (_vector(n, seed + i, True) for i, n in enumerate((A.shape[1], A.shape[0])))
    np.testing.assert_allclose(np.vdot(y, A @ x), np.vdot(A.H @ y, x), atol=1e-9)
    matrix = written_out(A)
    np.testing.assert_allclose(np.asarray(A.H), matrix.conj().T, atol=1e-12)
    np.testing.assert_allclose(np.asarray(A.T), matrix.T, atol=1e-12)
    np.testing.assert_allclose(np.asarray(A.H.H), matrix, atol=1e-12)
    np.testing.assert_allclose(np.asarray(A.T.T), matrix, atol=1e-12)
    assert A.H.shape == A.T.shape == A.shape[::-1]


@laws
@given(RECIPES, RECIPES)
def test_a_product_is_applied_from_right_to_left(left: Recipe, right: Recipe) -> None:
    A, B = operator(left), operator(right)
    B = A.H if B.shape[0] != A.shape[1] else B
    product = A @ B
    assert isinstance(product, LinearOperator)
    expected = written_out(A) @ np.asarray(B)
    np.testing.assert_allclose(np.asarray(product), expected, atol=1e-9)
    np.testing.assert_allclose(np.asarray(product.H), expected.conj().T, atol=1e-9)


@laws
@given(RECIPES, _seeds)
def test_arithmetic_is_that_of_the_matrix(recipe: Recipe, seed: int) -> None:
    A = operator(recipe)
    matrix, X = written_out(A), _vector(A.shape, seed)
    with np.errstate(over="ignore"):  # products of many factors may be large
        exponentials = (np.exp(A), np.exp(matrix))
    for found, expected in (
        (A + X, matrix + X),
        (X + A, X + matrix),
        (A - X, matrix - X),
        (X - A, X - matrix),
        (A * 2, matrix * 2),
        (2 * A, 2 * matrix),
        (A / 2, matrix / 2),
        (-A, -matrix),
        (A**2, matrix**2),
        (A + A, 2 * matrix),
        (A - A, 0 * matrix),
        (A * X, matrix * X),
        (np.abs(A), np.abs(matrix)),
        exponentials,
        (np.add(A, 1), matrix + 1),
        (np.float64(2) * A, 2 * matrix),
    ):
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found, expected, atol=1e-9)


@laws
@given(RECIPES, _seeds)
def test_numpys_functions_know_an_operator(recipe: Recipe, seed: int) -> None:
    A = operator(recipe)
    matrix = written_out(A)
    x, y = (_vector(n, seed) for n in A.shape[::-1])
    np.testing.assert_allclose(np.matmul(A, x), matrix @ x, atol=1e-9)
    np.testing.assert_allclose(np.matmul(y, A), y @ matrix, atol=1e-9)
    np.testing.assert_allclose(np.dot(A, x), matrix @ x, atol=1e-9)
    np.testing.assert_allclose(np.trace(A), np.trace(matrix), atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(A), np.linalg.norm(matrix), atol=1e-9)


# -- a subclass of the user's own


def test_a_subclass_needs_a_shape_an_action_and_an_adjoint() -> None:
    A = LazyPerm(np.array([2, 0, 1]))
    x = np.array([10.0, 11.0, 12.0])
    np.testing.assert_array_equal(A @ x, [12, 10, 11])
    np.testing.assert_array_equal(A @ np.eye(3), A.dense())
    np.testing.assert_array_equal(A.H @ (A @ x), x)
    np.testing.assert_array_equal(x @ A, x @ A.dense())
    np.testing.assert_array_equal(A @ [10, 11, 12], [12, 10, 11])
    np.testing.assert_array_equal([10, 11, 12] @ A, [11, 12, 10])
    assert A.dtype == np.float64
    assert repr(A) == "<LazyPerm of shape (3, 3)>"
    assert np.ndim(A) == A.ndim == 2


def test_an_action_on_vectors_follows_from_that_on_matrices() -> None:
    A = Wide(np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(A @ np.ones(3), [3.0, 12.0])
    np.testing.assert_array_equal(np.ones(2) @ A, [3.0, 5.0, 7.0])
    assert (A @ np.ones((5, 3, 4))).shape == (5, 2, 4)
    assert A.H.shape == (3, 2)


def test_what_a_subclass_does_not_define_is_named() -> None:
    class Empty(LinearOperator):
        shape = (2, 2)

    with pytest.raises(NotImplementedError) as error:
        Empty() @ np.eye(2)
    assert str(error.value) == "Empty does not define _matmat"
    with pytest.raises(NotImplementedError) as error:
        Empty().T  # noqa: B018 - the access itself is tested
    assert str(error.value) == "Empty does not define _adjoint"


def test_operators_are_compared_and_hashed_by_identity() -> None:
    A, B = Permutation([1, 0]), Permutation([1, 0])
    assert A == A
    assert A != B
    assert len({A, B, A}) == 2


@pytest.mark.parametrize("shape", [(4,), (4, 2), (2, 4, 2), ()])
def test_what_does_not_fit_is_refused_with_both_shapes(shape: tuple[int, ...]) -> None:
    A, x = Permutation([1, 2, 0]), np.ones(shape)
    with pytest.raises(ValueError, match="cannot be applied") as error:
        A @ x
    assert str(error.value) == (
        f"<Permutation of shape (3, 3)> cannot be applied to an array of shape {shape}"
    )
    with pytest.raises(ValueError, match="applied"):
        x @ A


def test_products_that_do_not_fit_are_refused() -> None:
    A, B = Permutation([1, 2, 0]), Permutation([1, 0])
    with pytest.raises(ValueError, match="cannot be multiplied") as error:
        A @ B
    assert str(error.value) == (
        "<Permutation of shape (3, 3)> and <Permutation of shape (2, 2)> cannot be multiplied"
    )


# -- in JAX

ROTATION = np.array([[0.6, -0.8], [0.8, 0.6]])
EXAMPLES: dict[str, LinearOperator] = {
    "a permutation": Permutation([1, 2, 3, 0]),
    "with signs": Permutation([1, 2, 3, 0], [1, -1, 1, -1]),
    "of the user's own": LazyPerm(np.array([3, 0, 1, 2])),
    "a product of Kronecker": Kronecker([ROTATION, Permutation([1, 0])]),
    "a sum of Kronecker": KroneckerSum([ROTATION, Permutation([1, 0])]),
    "a direct sum": DirectSum([(1, ROTATION), (2, np.ones((1, 1)))]),
    "a product": Product(Permutation([1, 0, 2, 3]), Kronecker([ROTATION, ROTATION])),
    "complex": Kronecker([ROTATION * 1j, ROTATION]),
    "its conjugate": Conjugate(Kronecker([ROTATION * 1j, ROTATION])),
}
every_example = pytest.mark.parametrize(
    "A", [pytest.param(A, id=name) for name, A in EXAMPLES.items()]
)


@pytest.mark.slow
@every_example
def test_jax_arrays_are_answered_with_jax_arrays(A: LinearOperator) -> None:
    matrix = written_out(A)
    for shape in ((4,), (4, 3), (2, 4, 3)):
        x = _vector(shape, 0)
        y = x.swapaxes(-1, -2) if x.ndim > 1 else x
        for found, expected in (
            (A @ jnp.asarray(x), matrix @ x),
            (jnp.asarray(y) @ A, y @ matrix),
            (A.H @ jnp.asarray(x), matrix.conj().T @ x),
        ):
            assert isinstance(found, jax.Array)
            np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
@every_example
def test_operators_work_under_jit_vmap_and_grad(A: LinearOperator) -> None:
    matrix, x = written_out(A), _vector((5, 4), 1)
    with jax.enable_x64(True):
        rows = jax.jit(jax.vmap(lambda v: A @ v))(x)
        np.testing.assert_allclose(rows, x @ matrix.T, atol=1e-12)
        gradient = jax.grad(lambda v: jnp.sum(jnp.abs(A @ v) ** 2))(jnp.asarray(x[0]))
        np.testing.assert_allclose(
            gradient, 2 * np.real(matrix.conj().T @ (matrix @ x[0])), atol=1e-12
        )
        jacobian = jax.jacobian(lambda v: jnp.real(A @ v))(jnp.asarray(x[0]))
        np.testing.assert_allclose(jacobian, np.real(matrix), atol=1e-12)


@every_example
def test_arithmetic_with_jax_arrays_gives_jax_arrays(A: LinearOperator) -> None:
    matrix, X = written_out(A), jnp.ones((4, 4))
    for found, expected in (
        (A - X, matrix - 1),
        (X - A, 1 - matrix),
        (X + A, 1 + matrix),
        (X * A, matrix),
    ):
        assert isinstance(found, jax.Array)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_float64_is_answered_in_float64_and_float32_in_float32_by_jax() -> None:
    A = EXAMPLES["a product"]
    assert (A @ jnp.ones(4)).dtype == np.float32
    with jax.enable_x64(True):
        assert (A @ jnp.ones(4)).dtype == np.float64
    assert (A @ np.ones(4)).dtype == np.float64


# -- the parts it is made of


def test_dense_leaves_arrays_alone() -> None:
    assert dense(ROTATION) is ROTATION


@laws
@given(st.integers(1, 4), st.integers(1, 4), _seeds)
def test_apply_in_slot_acts_on_the_middle_axis(before: int, after: int, seed: int) -> None:
    x, matrix = _vector((before, 3, after), seed), _vector((3, 3), seed + 1)
    permutation = Permutation([2, 0, 1])
    np.testing.assert_allclose(
        apply_in_slot(matrix, x), np.einsum("ij,ajb->aib", matrix, x), atol=1e-12
    )
    np.testing.assert_array_equal(apply_in_slot(permutation, x), x[:, [2, 0, 1]])
