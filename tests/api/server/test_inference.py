from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from helpers.example_models import TrainedModel, bytes_only, small_model, trained
from intertwine.nn import Standardize
from intertwine.nn.saving import to_config
from intertwine_api.server.inference import Answer, Inference
from intertwine_api.storage.database import Database
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.storage.models import Models
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work.service_metrics import ServiceMetrics
from intertwine_api.work.settings import Settings


class Lab:
    """A registry, and inference on it, with small batches."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.database = Database(f"sqlite:///{folder / 'intertwine.db'}")
        self.database.migrate()
        self.objects = FolderObjects(folder / "objects")
        self.models = Models(self.database, self.objects)
        self.metrics = ServiceMetrics()
        self.settings = Settings(data=folder, **{"batch_rows": 2, "forward_rows": 5, **settings})

    def publish(self, name: str, model: TrainedModel) -> None:
        self.models.publish(name, "ada", None, model)

    def run(self, act: Callable[[Inference], Awaitable[Any]]) -> Any:
        async def inside() -> Any:
            inference = Inference(self.models, self.objects, self.settings, self.metrics)
            try:
                return await act(inference)
            finally:
                await inference.end()

        return asyncio.run(inside())

    def metric(self, name: str) -> float:
        value = self.metrics.registry.get_sample_value(f"intertwine_{name}")
        assert value is not None
        return value


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.database.close()


@pytest.fixture(scope="module")
def first() -> Any:
    return small_model(key=1)


@pytest.fixture(scope="module")
def second() -> Any:
    return small_model(key=2)


X = np.random.default_rng(0).normal(size=(3, 8))


def outputs(model: Any, x: Any) -> Any:
    return jax.jit(model)(np.asarray(x, np.float32))


def code(act: Callable[[], Any]) -> str:
    with pytest.raises(ProblemError) as caught:
        act()
    return caught.value.problem.code


def test_a_model_is_called_by_its_name(lab: Lab, first: Any, second: Any) -> None:
    lab.publish("inertia", trained(first))
    lab.publish("inertia", trained(second))

    async def act(inference: Inference) -> list[Answer]:
        return [await inference.forward("inertia", number, X) for number in (None, 1, 2)]

    newest, one, two = lab.run(act)
    assert [a.version.version for a in (newest, one, two)] == [2, 1, 2]
    np.testing.assert_allclose(one.outputs, outputs(first, X), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(two.outputs, outputs(second, X), rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(newest.outputs, two.outputs)


def test_concurrent_callers_get_their_own_outputs(lab: Lab, first: Any) -> None:
    lab.publish("inertia", trained(first))
    x = np.random.default_rng(1).normal(size=(20, 1, 8))

    async def act(inference: Inference) -> list[Answer]:
        return await asyncio.gather(*(inference.forward("inertia", None, row) for row in x))

    answers = lab.run(act)
    found = np.concatenate([answer.outputs for answer in answers])
    np.testing.assert_allclose(found, outputs(first, x[:, 0]), rtol=1e-5, atol=1e-7)
    assert lab.metric("forward_batch_rows_sum") == 20
    assert lab.metric("forward_batch_rows_count") < 20
    assert lab.metric("forward_seconds_count") == 20
    assert lab.metric("forward_queue_rows") == 0


def test_a_bad_input_among_good_ones_fails_alone(lab: Lab, first: Any) -> None:
    lab.publish("inertia", trained(first))
    bad = [np.ones((1, 7)), np.full((1, 8), np.nan), np.ones((1, 8), complex)]

    async def act(inference: Inference) -> list[Any]:
        calls = [inference.forward("inertia", None, x) for x in (X[:1], *bad, X[1:2])]
        return await asyncio.gather(*calls, return_exceptions=True)

    good, *refused, also_good = lab.run(act)
    np.testing.assert_allclose(good.outputs, outputs(first, X[:1]), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(also_good.outputs, outputs(first, X[1:2]), rtol=1e-5, atol=1e-7)
    assert [error.problem.code for error in refused] == ["invalid-request"] * 3


def test_a_model_whose_framework_is_not_installed_is_unavailable(
    lab: Lab, first: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, blob = to_config(first)
    lab.publish("of-torch", TrainedModel({**config, "framework": "torch"}, blob))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ProblemError) as caught:
        lab.run(lambda inference: inference.forward("of-torch", None, X))
    assert caught.value.problem.code == "unavailable"
    assert caught.value.problem.detail == (
        "this service cannot compute of-torch, version 1: models of PyTorch need packages that are "
        "not installed here (torch): pip install 'intertwine[torch]'; or download the model and "
        "call it on your machine"
    )


def test_no_vectors_have_no_outputs(lab: Lab, first: Any) -> None:
    lab.publish("inertia", trained(first))
    answer = lab.run(lambda inference: inference.forward("inertia", None, np.zeros((0, 8))))
    assert answer.outputs.shape == (0, 3)


def test_too_many_vectors_at_once_are_refused(lab: Lab) -> None:
    assert (
        code(lambda: lab.run(lambda i: i.forward("inertia", None, np.ones((6, 8))))) == "too-large"
    )


def test_overflowing_outputs_are_an_error(lab: Lab, first: Any) -> None:
    lab.publish("inertia", trained(Standardize(first, (0.0, 1.0, 0.0, 1e38))))
    x = 1e9 * np.random.default_rng(0).normal(size=(5, 8))
    assert code(lambda: lab.run(lambda i: i.forward("inertia", None, x))) == "invalid-request"


def test_unknown_models_are_not_found(lab: Lab, first: Any) -> None:
    lab.publish("inertia", trained(first))
    assert code(lambda: lab.run(lambda i: i.forward("other", None, X))) == "not-found"
    assert code(lambda: lab.run(lambda i: i.forward("inertia", 2, X))) == "not-found"


def test_a_forgotten_model_is_not_found_at_once(lab: Lab, first: Any) -> None:
    lab.publish("inertia", trained(first))

    async def act(inference: Inference) -> None:
        await inference.forward("inertia", None, X)
        lab.models.delete("inertia")
        inference.invalidate("inertia")
        with pytest.raises(ProblemError) as caught:
            await inference.forward("inertia", None, X)
        assert caught.value.problem.code == "not-found"

    lab.run(act)


def test_a_reused_name_is_another_model(lab: Lab, first: Any, second: Any) -> None:
    lab.publish("inertia", trained(first))

    async def act(inference: Inference) -> Answer:
        await inference.forward("inertia", 1, X)
        lab.models.delete("inertia")
        lab.publish("inertia", trained(second))
        inference.invalidate("inertia")
        return await inference.forward("inertia", 1, X)

    np.testing.assert_allclose(lab.run(act).outputs, outputs(second, X), rtol=1e-5, atol=1e-7)


def test_weights_that_are_gone_or_are_none_are_lost(lab: Lab) -> None:
    lab.publish("none", bytes_only(b"no weights"))
    assert code(lambda: lab.run(lambda i: i.forward("none", None, X))) == "gone"
    lab.objects.remove(lab.models.get("none").weights)
    assert code(lambda: lab.run(lambda i: i.forward("none", None, X))) == "gone"


def test_too_many_waiting_rows_are_refused_and_others_are_not(tmp_path: Path, first: Any) -> None:
    lab = Lab(tmp_path, forward_queue_rows=8)
    lab.publish("inertia", trained(first))

    async def act(inference: Inference) -> list[Any]:
        await inference.forward("inertia", None, X)
        calls = [inference.forward("inertia", None, X) for _ in range(10)]
        return await asyncio.gather(*calls, return_exceptions=True)

    found = lab.run(act)
    lab.database.close()
    refused = [error for error in found if isinstance(error, ProblemError)]
    assert {(error.problem.code, error.headers["Retry-After"]) for error in refused} == {
        ("busy", "1")
    }
    answered = [answer.outputs for answer in found if isinstance(answer, Answer)]
    assert len(refused) + len(answered) == 10
    assert answered
    for outputs_ in answered:
        np.testing.assert_allclose(outputs_, outputs(first, X), rtol=1e-5, atol=1e-7)
