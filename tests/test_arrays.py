"""Which array library a value belongs to, found out without importing any."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.support import run_python
from intertwine.arrays import double_precision, is_jax, namespace, working_dtype


def test_the_library_of_a_value() -> None:
    assert is_jax(jnp.ones(2))
    assert not is_jax(np.ones(2))
    assert not is_jax(3.0)
    assert namespace(np.ones(2), 3.0) is np
    assert namespace(np.ones(2), jnp.ones(2)) is jnp
    assert namespace() is np


def test_a_tracer_belongs_to_jax() -> None:
    seen = []

    @jax.jit
    def function(x: jax.Array) -> jax.Array:
        seen.append((is_jax(x), namespace(np.ones(1), x)))
        return x

    function(jnp.ones(2))
    assert seen == [(True, jnp)]


def test_jax_is_not_imported_to_find_out() -> None:
    program = """
    import sys
    import numpy as np
    from intertwine.arrays import double_precision, is_jax, namespace, working_dtype
    from intertwine.operators import Permutation
    from intertwine.reps import V
    from intertwine.groups import SO
    found = [is_jax(np.ones(2)), namespace(np.ones(2)) is np]
    with double_precision():
        V(SO(3)).rho_dense(SO(3).sample()) @ np.ones(3)
    Permutation([1, 0]) @ np.ones(2)
    answer([*found, "jax" in sys.modules])
    """
    finished = run_python(program)
    assert finished.status == 0, finished.stderr
    assert finished.value == [False, True, False]


def test_double_precision_holds_inside_and_nowhere_else() -> None:
    before = jnp.ones(1).dtype
    with double_precision():
        assert jnp.ones(1).dtype == np.float64
        assert (jnp.ones(1) * np.pi)[0] == np.pi
    assert jnp.ones(1).dtype == before


def test_double_precision_ends_with_an_error_too() -> None:
    before = jnp.ones(1).dtype

    def fail() -> None:
        with double_precision():
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert jnp.ones(1).dtype == before


REAL, COMPLEX = np.dtype(np.float64), np.dtype(np.complex128)


@pytest.mark.parametrize(
    ("argument", "own", "expected"),
    [
        ("float64", REAL, "float64"),
        ("float32", REAL, "float32"),
        ("float16", REAL, "float32"),
        ("int64", REAL, "float64"),
        ("uint8", REAL, "float64"),
        ("bool", REAL, "float64"),
        ("complex128", REAL, "complex128"),
        ("complex64", REAL, "complex64"),
        ("float64", COMPLEX, "complex128"),
        ("float32", COMPLEX, "complex64"),
        ("int32", COMPLEX, "complex128"),
    ],
)
def test_the_argument_decides_the_precision(argument: str, own: np.dtype, expected: str) -> None:
    assert working_dtype(np.zeros(1, argument), own) == expected
    with jax.enable_x64(True):
        assert working_dtype(jnp.zeros(1, argument), own) == expected
        assert working_dtype(jnp.zeros(1, "bfloat16"), REAL) == np.float32


def test_jax_answers_in_the_precision_that_it_has() -> None:
    with jax.enable_x64(False):
        assert working_dtype(jnp.zeros(1, "float32"), REAL) == np.float32
        assert working_dtype(jnp.zeros(1, "int32"), REAL) == np.float32
        assert working_dtype(jnp.zeros(1, "int32"), COMPLEX) == np.complex64
