"""Models of PyTorch in the memory of the service."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from intertwine.errors import FormatError
from intertwine.groups import SO, SU
from intertwine.reps import Scalar, V
from intertwine_api.server.loaded_model import LoadedModel, load
from intertwine_api.wire.problems import ProblemError

torch = pytest.importorskip("torch")
modules = pytest.importorskip("intertwine.torch")
saving = pytest.importorskip("intertwine.torch.saving")

SIZES = (1, 2, 4)


def network(key: int = 0, rep: Any = 2 * Scalar + 2 * V, group: Any = None, **more: Any) -> Any:
    return modules.EMLP(rep, V, group or SO(3), ch=12, num_layers=1, key=key, **more)


@pytest.fixture(scope="module")
def model() -> Any:
    return network()


@pytest.fixture(scope="module")
def ready(model: Any) -> LoadedModel:
    return load(*saving.to_config(model), SIZES)


def rows(count: int, width: int = 8) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, width)).astype(np.float32)


def test_it_answers_as_the_module_does_without_gradients(model: Any, ready: LoadedModel) -> None:
    x = rows(4)
    expected = model(torch.from_numpy(x)).detach().numpy()
    for count in (1, 2, 3, 4):
        y = ready(ready.rows(x[:count]))
        assert isinstance(y, np.ndarray)
        assert (y.shape, y.dtype) == ((count, 3), np.float32)
        np.testing.assert_allclose(y, expected[:count], rtol=1e-5, atol=1e-6)
    assert (ready.empty.shape, ready.empty.dtype) == ((0, 3), np.float32)
    assert torch.is_grad_enabled()


def test_all_sizes_are_ready_at_once(ready: LoadedModel) -> None:
    assert ready.compiled == set(SIZES)
    x = rows(1)
    before = ready(x)
    ready.compile(1)
    np.testing.assert_array_equal(ready(x), before)


def test_weights_in_float64_are_computed_in_float64() -> None:
    model = network(dtype=torch.float64)
    ready = load(*saving.to_config(model), (4,))
    assert ready.dtype == np.float64
    x = np.random.default_rng(0).normal(size=(3, 8))
    y = ready(ready.rows(x))
    assert y.dtype == np.float64
    expected = model(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-14)


def test_complex_reps_take_complex_vectors() -> None:
    model = network(rep=V, group=SU(2))
    ready = load(*saving.to_config(model), (1,))
    y = ready(ready.rows(np.array([[1 + 2j, 3 - 1j]])))
    assert (y.shape, y.dtype, ready.dtype) == ((1, 2), np.complex64, np.complex64)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_inputs_that_are_not_finite_in_its_precision_are_refused(
    ready: LoadedModel, value: float
) -> None:
    x = np.ones((2, 8))
    x[1, 3] = value
    with pytest.raises(ProblemError, match="not finite in float32"):
        ready.rows(x)


@pytest.mark.filterwarnings("error:The given NumPy array is not writable")
def test_rows_may_be_read_only(ready: LoadedModel) -> None:
    x = np.frombuffer(rows(4).tobytes(), np.float32).reshape(4, 8)
    np.testing.assert_array_equal(ready(ready.rows(x)), ready(rows(4)))


def test_its_bytes_are_those_of_its_weights_and_a_constant() -> None:
    small, wide = (
        load(*saving.to_config(modules.MLP(V, V, SO(3), ch=ch, num_layers=2)), (1, 64))
        for ch in (4, 600)
    )
    assert 600**2 * 4 < wide.nbytes - small.nbytes < 600**2 * 4 + 50_000
    assert small.nbytes - small.overhead(small.sizes) < 1000


def test_threads_may_call_it_at_the_same_time(model: Any) -> None:
    ready = load(*saving.to_config(model), SIZES)
    x = [rows(4) * (1 + k) for k in range(16)]
    expected = [ready(each) for each in x]
    with ThreadPoolExecutor(4) as threads:
        for found, own in zip(threads.map(ready, x * 4), expected * 4, strict=True):
            np.testing.assert_array_equal(found, own)
    assert torch.get_num_threads() == 1


def test_weights_of_another_model_are_refused() -> None:
    with pytest.raises(FormatError):
        load(saving.to_config(network(1))[0], saving.to_config(network(2))[1], SIZES)


def test_dropped_models_are_freed() -> None:
    found = load(*saving.to_config(network(3)), SIZES)
    gone = weakref.ref(found)
    del found
    gc.collect()
    assert gone() is None
