"""Recipes that PyTorch trains: as those of JAX, and without JAX."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.example_trainings import a_request, material_of
from helpers.program import python
from intertwine.errors import InvalidSetting
from intertwine.nn.saving import from_config
from intertwine.nn.saving import to_config as to_config_of_jax
from intertwine.training import checkpoint_policy
from intertwine.training.recipe import reporter
from intertwine.training.recipe.framework import framework_named, framework_of_model
from intertwine.training.recipe.run import Outcome, run_training
from intertwine.training.recipe.training_data import TrainingData

torch = pytest.importorskip("torch")
modules = pytest.importorskip("intertwine.torch")
saving = pytest.importorskip("intertwine.torch.saving")


in_pytorch = partial(a_request, framework="torch")
REQUEST = in_pytorch()


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return run_training(REQUEST, material_of(REQUEST))


def continued(config: Mapping[str, Any], blob: bytes, folder: Path, **changes: Any) -> Outcome:
    """Train a saved model further."""
    (folder / "weights").write_bytes(blob)
    saved = {"config": dict(config), "weights": config["sha256"]}
    request = a_request(model=saved, **changes)
    new = material_of(request)
    data = TrainingData(new.info, new.split, new.source, folder / "weights")
    return run_training(request, data)


def test_the_history_is_that_of_jax(outcome: Outcome) -> None:
    request = a_request(training={"dtype": "float64"})
    there = run_training(in_pytorch(training={"dtype": "float64"}), material_of(request))
    here = run_training(request, material_of(request))
    for name in ("train_loss", "test_loss"):
        both = zip(there.history.column(name), here.history.column(name), strict=True)
        for (epoch, loss), (own_epoch, own) in both:
            assert epoch == own_epoch
            assert loss == pytest.approx(own, rel=1e-8)
    assert there.equivariance_error < 1e-12
    assert there.is_equivariant
    assert there.metrics.keys() == here.metrics.keys()
    assert outcome.is_equivariant


def test_it_records_its_framework_versions_and_device(outcome: Outcome) -> None:
    told = json.loads(json.dumps(outcome.provenance))
    assert told["framework"] == "torch"
    assert told["versions"]["torch"] == torch.__version__
    assert "jax" not in told["versions"]
    assert told["device"].startswith("cuda" if torch.cuda.is_available() else "cpu")
    assert outcome.config["framework"] == "torch"


def test_both_frameworks_read_the_model(outcome: Outcome) -> None:
    X = material_of(REQUEST).split.test.X
    assert isinstance(outcome.model, modules.Standardize)
    assert framework_of_model(outcome.model).name == "torch"
    own = framework_named("torch").from_config(outcome.config, outcome.blob)
    with torch.no_grad():
        expected = own(torch.from_numpy(X)).numpy()
    other = from_config(json.loads(json.dumps(outcome.config)), outcome.blob)
    np.testing.assert_allclose(np.asarray(other(X)), expected, rtol=1e-4, atol=1e-5)


def test_a_model_of_either_framework_continues_in_the_other(
    outcome: Outcome, tmp_path: Path
) -> None:
    still = {"epochs": 1, "learning_rate": 1e-9}
    in_jax = continued(outcome.config, outcome.blob, tmp_path, training=still)
    assert in_jax.config["framework"] == "jax"
    parts = in_jax.config, in_jax.blob
    again = continued(*parts, tmp_path, training=still, framework="torch")
    assert again.config["framework"] == "torch"
    for found in (in_jax, again):
        expected = outcome.metrics["test_loss"]
        assert found.metrics["test_loss"] == pytest.approx(expected, rel=1e-4)


def test_an_interrupted_training_resumes_to_the_same_weights(
    outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((reporter, "_INTERVAL"), (checkpoint_policy, "_FIRST")):
        monkeypatch.setattr(module, name, 0.0)
    monkeypatch.setattr(checkpoint_policy, "_SHARE", 0.0)

    def end(rows: Sequence[Mapping[str, Any]]) -> None:
        if rows[-1]["epoch"] >= 4:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run_training(REQUEST, material_of(REQUEST), folder=tmp_path, callback=end)
    told: list[Any] = []
    again = run_training(REQUEST, material_of(REQUEST), folder=tmp_path, callback=told.append)
    assert told[0][0]["epoch"] == 4
    assert again.blob == outcome.blob


def test_limits_of_its_network_are_reported() -> None:
    narrow = in_pytorch(model={"ch": "8V0+8V"}, training={"epochs": 1})
    heard: list[str] = []
    found = run_training(narrow, material_of(narrow), warned=heard.append)
    assert found.metrics["warnings"] == heard
    assert "the parts that transform as 1 × W5_72e3b4 do not depend on the input" in heard[0]


def test_other_settings() -> None:
    plain = in_pytorch(
        model={"type": "MLP"},
        training={
            **{"augment": True, "weight_decay": 0.1, "epochs": 2, "standardize": False},
            "early_stopping": {"patience": 50, "fraction": 0.3},
        },
    )
    found = run_training(plain, material_of(plain))
    assert not found.is_equivariant
    assert isinstance(found.model, modules.MLP)
    cube = in_pytorch(dataset={"name": "InvertedCube", "size": 8}, training={"epochs": 2})
    found = run_training(cube, material_of(cube))
    assert (found.metrics["loss"], found.is_equivariant) == ("cross-entropy", True)


def test_each_framework_lacks_the_saved_classes_of_the_other() -> None:
    from intertwine.nn.saving import JAX
    from intertwine.torch.saving import TORCH

    assert framework_named("torch").lacks == JAX.classes.keys() - TORCH.classes.keys()
    assert framework_named("jax").lacks == TORCH.classes.keys() - JAX.classes.keys()


def test_weights_of_jax_in_another_precision_are_refused(tmp_path: Path) -> None:
    from intertwine.groups import SO
    from intertwine.nn import MLP
    from intertwine.reps import Scalar, V

    config, blob = to_config_of_jax(MLP(5 * Scalar + 5 * V, V**2, SO(3), ch=4, num_layers=1))
    with pytest.raises(InvalidSetting, match="weights in float32, and dtype is float64"):
        continued(config, blob, tmp_path, training={"dtype": "float64"}, framework="torch")


def test_it_needs_no_jax() -> None:
    program = textwrap.dedent("""
        import sys

        class Missing:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in ("jax", "jaxlib", "equinox", "optax"):
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        sys.meta_path.insert(0, Missing())
        from intertwine.training.recipe.description import TrainRequest
        from intertwine.training.recipe.run import run_training
        from intertwine.training.recipe.training_data import TrainingData
        request = TrainRequest.model_validate({
            "dataset": {"name": "Inertia", "size": 30},
            "model": {"ch": 8, "num_layers": 1},
            "training": {"epochs": 2, "batch_size": 16},
            "framework": "torch",
        })
        data = TrainingData.built_in(request, request.dataset)
        print(run_training(request, data).is_equivariant)
    """)
    assert python(program).strip() == "True"
