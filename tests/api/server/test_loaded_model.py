from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest
from helpers.example_models import small_model, trained
from intertwine.compiled_model import PROGRAM_BYTES, CompiledModel
from intertwine.errors import FormatError
from intertwine.groups import SO, SU
from intertwine.nn import MLP, Standardize
from intertwine.nn.saving import to_config
from intertwine.reps import Scalar, V
from intertwine_api.server.loaded_model import LoadedModel, load
from intertwine_api.wire.problems import ProblemError

pytestmark = pytest.mark.slow  # real processes, or networks that are compiled

SIZES = (1, 2, 4)


def loaded(model: Any, sizes: tuple[int, ...] = SIZES) -> LoadedModel:
    found = load(*to_config(model), sizes)
    for size in sizes:
        if size not in found.compiled:
            found.compile(size)
    return found


@pytest.fixture(scope="module")
def model() -> Any:
    return small_model()


@pytest.fixture(scope="module")
def ready(model: Any) -> LoadedModel:
    return loaded(model)


def detail(ready: LoadedModel, x: Any) -> str:
    with pytest.raises(ProblemError) as caught:
        ready.rows(np.asarray(x))
    assert caught.value.problem.code == "invalid-request"
    return caught.value.problem.detail


def test_it_answers_as_the_model_does(model: Any, ready: LoadedModel) -> None:
    x = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
    expected = jax.jit(model)(x)
    for rows in (1, 2, 3, 4):
        y = ready(ready.rows(x[:rows]))
        assert (y.shape, y.dtype) == ((rows, 3), np.float32)
        np.testing.assert_allclose(y, expected[:rows], rtol=1e-5, atol=1e-7)


def test_it_is_ready_with_its_largest_program_and_the_others_change_no_answer(model: Any) -> None:
    only_largest = load(*to_config(model), SIZES)
    assert only_largest.compiled == {4}
    x = np.random.default_rng(0).normal(size=(1, 8)).astype(np.float32)
    before = only_largest(x)
    only_largest.compile(1)
    assert only_largest.compiled == {1, 4}
    np.testing.assert_allclose(only_largest(x), before, rtol=1e-5, atol=1e-7)


def test_weights_in_float64_are_computed_in_float64_and_nothing_global_changes() -> None:
    model = small_model(dtype="float64")
    ready = loaded(model, (4,))
    assert ready.dtype == np.float64
    x = np.random.default_rng(0).normal(size=(3, 8))
    y = ready(ready.rows(x))
    assert y.dtype == np.float64
    with jax.enable_x64(True):
        np.testing.assert_allclose(y, jax.jit(model)(x), rtol=1e-12, atol=1e-14)
    assert not jax.config.jax_enable_x64


def test_complex_reps_take_complex_vectors_and_real_ones() -> None:
    model = small_model(rep_in=V, rep_out=V, group=SU(2))
    ready = loaded(model, (1,))
    x = np.array([[1 + 2j, 3 - 1j]])
    y = ready(ready.rows(x))
    assert y.dtype == np.complex64
    np.testing.assert_allclose(y, jax.jit(model)(x.astype(np.complex64)), rtol=1e-5, atol=1e-7)
    assert ready.rows(np.array([[1, 2]])).dtype == np.complex64


def test_a_standardised_model_and_a_plain_one_are_served_too() -> None:
    plain = MLP(Scalar + V, V, SO(3), ch=4, num_layers=1)
    model = Standardize(plain, (0.0, 2.0))
    x = np.ones((2, 4), np.float32)
    np.testing.assert_allclose(loaded(model, (2,))(x), jax.jit(model)(x), rtol=1e-5)


def test_vectors_of_another_length_are_refused(ready: LoadedModel) -> None:
    assert "vectors of 8 numbers" in detail(ready, np.ones((2, 7)))
    assert "vectors of 7" in detail(ready, np.ones((2, 7)))
    assert "(2, 2, 2)" in detail(ready, np.ones((2, 2, 2)))


def test_complex_vectors_are_refused_by_a_real_model(ready: LoadedModel) -> None:
    assert "complex" in detail(ready, np.ones((1, 8), complex))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_what_is_not_finite_in_its_precision_is_refused(ready: LoadedModel, value: float) -> None:
    x = np.ones((2, 8))
    x[1, 3] = value
    assert "not finite in float32" in detail(ready, x)


def test_integers_are_taken_as_numbers(ready: LoadedModel) -> None:
    assert ready.rows(np.ones((1, 8), np.int64)).dtype == np.float32


def test_it_knows_the_form_of_an_empty_answer(ready: LoadedModel) -> None:
    assert (ready.empty.shape, ready.empty.dtype) == ((0, 3), np.float32)


def test_its_bytes_are_those_of_weights_programs_and_buffers() -> None:
    wide = MLP(Scalar + V, V, SO(3), ch=600, num_layers=2)
    ready = load(*to_config(wide), (1, 4))
    weights = sum(array.nbytes for array in jax.tree.leaves(wide) if hasattr(array, "nbytes"))
    assert weights > 10**6
    assert weights + 2 * PROGRAM_BYTES < ready.nbytes < weights + 2 * PROGRAM_BYTES + 10**6
    before = ready.nbytes
    ready.compile(1)  # was counted before it was compiled
    assert abs(ready.nbytes - before) < 10**5


def test_programs_of_a_small_model_contain_its_weights() -> None:
    narrow = MLP(Scalar + V, V, SO(3), ch=300, num_layers=2)
    ready = load(*to_config(narrow), (1, 4))
    weights = sum(array.nbytes for array in jax.tree.leaves(narrow) if hasattr(array, "nbytes"))
    assert 3 * 10**5 < weights < 10**6
    assert ready.nbytes > weights + 2 * (PROGRAM_BYTES + weights)
    x = np.ones((1, 4), np.float32)
    np.testing.assert_allclose(ready(x), jax.jit(narrow)(x), rtol=1e-5, atol=1e-7)


class Table(eqx.Module):
    """A model with numbers that are not weights: its programs have them as constants."""

    weight: Any
    table: Callable[[], np.ndarray]
    rep_in: Any = V(SO(3))
    rep_out: Any = V(SO(3))

    def __call__(self, x: Any) -> Any:
        return x * self.weight + x @ self.table().T @ self.table()


def test_each_program_has_its_own_constants() -> None:
    table = np.ones((10**5, 3), np.float32)
    ready = CompiledModel(Table(jax.numpy.ones(()), lambda: table), (1, 2, 4))
    assert ready.nbytes > 3 * (PROGRAM_BYTES + table.nbytes)


def test_weights_of_another_model_are_refused() -> None:
    with pytest.raises(FormatError):
        load(trained(small_model(1)).config, trained(small_model(2)).blob, SIZES)


def test_what_is_let_go_leaves_no_programs_behind() -> None:
    def programs() -> int:
        gc.collect()
        return len(Path("/proc/self/maps").read_bytes().splitlines())

    def come_and_go(width: int) -> None:
        found = loaded(MLP(Scalar + V, V, SO(3), ch=width, num_layers=1), (1, 2))
        gone = weakref.ref(found)
        del found
        assert gone() is None

    come_and_go(4)
    before = programs()
    for width in range(5, 11):
        come_and_go(width)
    assert programs() - before < 60  # each of the twelve programs takes ten or more
