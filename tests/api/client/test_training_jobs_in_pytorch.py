"""Trainings with PyTorch at a real service, and models that go from one framework to the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.program import intertwine
from helpers.service import running_service
from intertwine import nn
from intertwine.datasets import Inertia
from intertwine_api.client import Client, Job

torch = pytest.importorskip("torch")
modules = pytest.importorskip("intertwine.torch")
pytest.importorskip("intertwine.torch.saving")

DATA = Inertia(60)
X = Inertia(5, seed=1).X
SMALL = {"type": "EMLP", "ch": 8, "num_layers": 1}
STILL = {"epochs": 1, "learning_rate": 1e-9}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("in_pytorch") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # programs run once
        with running_service(folder) as http, Client(str(http.base_url)) as lab:
            yield lab


@pytest.fixture(scope="module")
def job(lab: Client) -> Job:
    """A training with PyTorch that has succeeded."""
    return lab.train(SMALL, DATA, name="small", epochs=3, framework="torch").wait(120)


def outputs(model: Any) -> np.ndarray:
    """What a downloaded model of either framework answers."""
    if not isinstance(model, torch.nn.Module):
        return np.asarray(model(X))
    with torch.no_grad():
        return np.asarray(model(torch.from_numpy(X)))


def close(found: Any, expected: Any) -> bool:
    return np.allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_the_model_comes_back_as_a_module_and_the_service_computes_it(
    lab: Client, job: Job
) -> None:
    assert job.state == "succeeded", job.reason
    model, there = job.result(), lab.model("small")
    assert isinstance(model, modules.Standardize)
    assert there.framework == "torch"
    assert there.is_equivariant
    answers = there(X)
    assert answers.dtype == np.float32
    assert close(answers, outputs(model))
    assert close(answers, outputs(there.download("jax")))
    assert "framework PyTorch" in repr(there)


def test_its_record_and_history_are_those_of_any_training(lab: Client, job: Job) -> None:
    assert [row.epoch for row in job.history()] == [1, 2, 3]
    provenance = lab.model("small").provenance()
    assert provenance["framework"] == "torch"
    assert provenance["versions"]["torch"] == torch.__version__
    assert lab.models()[0].document["framework"] == "torch"


def test_a_model_of_each_framework_continues_in_the_other(lab: Client, job: Job) -> None:
    module = job.result()
    in_jax = lab.train(module, DATA, name="across", framework="jax", **STILL).result(120)
    assert isinstance(in_jax, nn.Standardize)
    assert lab.model("across").framework == "jax"
    back = lab.train(in_jax, DATA, name="across", framework="torch", **STILL).result(120)
    assert isinstance(back, modules.Standardize)
    assert close(lab.model("across")(X), lab.model("small")(X))


def test_a_module_continues_in_pytorch_unless_another_framework_is_given(
    lab: Client, job: Job
) -> None:
    following = lab.train(job.result(), DATA, **STILL)
    assert following.document["request"]["framework"] == "torch"
    following.cancel()


def test_the_command_line_trains_here_and_saves_for_both(tmp_path: Path) -> None:
    config = tmp_path / "small.toml"
    config.write_text(
        'dataset = {name = "Inertia", size = 30}\n'
        "model = {ch = 8, num_layers = 1}\n"
        "training = {epochs = 2}\n"
    )
    ended = intertwine("train", config, "--framework", "torch", "--json", cwd=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert ended.json["provenance"]["framework"] == "torch"
    model = modules.load(tmp_path / "small")
    assert close(outputs(model), outputs(nn.load(tmp_path / "small")))
