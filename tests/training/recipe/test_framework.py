"""The frameworks that train, and what is said where one is not installed."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from helpers.example_trainings import a_request, material_of
from intertwine.errors import InvalidSetting, Unavailable
from intertwine.groups import SO
from intertwine.nn import MLP, MLPH, Standardize
from intertwine.reps import Scalar, V
from intertwine.training.recipe.description import TrainRequest
from intertwine.training.recipe.framework import (
    Framework,
    framework_named,
    framework_of,
    framework_of_model,
)
from intertwine.training.recipe.run import run_training

BOTH = pytest.mark.parametrize("name", ["jax", "torch"])


@pytest.fixture
def _without(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation with neither framework."""
    for package in ("jax", "torch"):
        monkeypatch.setitem(sys.modules, package, None)


@BOTH
def test_a_framework_has_a_name_a_title_and_an_extra(name: str) -> None:
    found = framework_named(name)
    assert found.name == name
    titles = {"jax": ("JAX", "nn"), "torch": ("PyTorch", "torch")}
    assert (found.title, found.extra) == titles[name]


def test_another_name_is_refused() -> None:
    expected = "there is no framework 'keras': give one of jax, torch"
    with pytest.raises(InvalidSetting, match=expected):
        framework_named("keras")


def test_requests_and_saved_models_without_a_framework_are_of_jax() -> None:
    assert a_request().framework == "jax"
    assert framework_of({"format": "intertwine-model"}).name == "jax"
    assert framework_of({"framework": "torch"}).name == "torch"
    assert "framework" not in a_request().model_dump(exclude_unset=True)


@pytest.mark.usefixtures("_without")
def test_a_missing_framework_is_named_with_its_extra() -> None:
    with pytest.raises(Unavailable) as caught:
        framework_named("torch").require()
    assert str(caught.value) == (
        "models of PyTorch need packages that are not installed here (torch): "
        "pip install 'intertwine[torch]'"
    )
    assert framework_named("jax").missing == ("jax",)


def test_the_other_framework_is_named_where_it_can_be_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(Unavailable, match=r"\[torch\]', or use JAX: download\('jax'\)$"):
        framework_named("torch").require("download('{}')")
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(Unavailable, match=r"\[torch\]'$"):
        framework_named("torch").require("download('{}')")


@BOTH
@pytest.mark.usefixtures("_without")
def test_a_training_without_its_framework_does_not_start(name: str) -> None:
    request = TrainRequest.model_validate({**a_request().model_dump(), "framework": name})
    with pytest.raises(Unavailable, match=r"pip install 'intertwine\[(nn|torch)\]'"):
        run_training(request, material_of(request))


def test_a_saved_model_with_layers_of_jax_alone_is_refused_for_pytorch() -> None:
    model = MLPH(V, Scalar, SO(3), ch=2, num_layers=1)
    config, _ = framework_named("jax").saving.to_config(model)
    framework_named("jax").require_layers(config)
    with pytest.raises(InvalidSetting) as caught:
        framework_named("torch").require_layers(config)
    assert str(caught.value) == (
        "the saved model has layers that do not exist for PyTorch: MLPH. "
        "Train it with the framework 'jax'"
    )


def test_a_network_of_jax_is_known_whether_torch_is_loaded_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Module:
        pass

    class Torch:
        class nn:
            pass

    model = MLP(Scalar + V, V, SO(3), ch=2, num_layers=1)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert framework_of_model(model).name == "jax"
    Torch.nn.Module = Module  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", Torch)  # type: ignore[arg-type]
    assert framework_of_model(model).name == "jax"
    assert framework_of_model(Module()).name == "torch"


def test_the_default_framework_standardizes_and_saves_with_its_own_classes() -> None:
    jax: Framework = framework_named("jax")
    stats: Any = (0.0, 1.0, 0.0, 1.0)
    model = jax.layer("Standardize")(MLP(Scalar + V, V, SO(3), ch=2, num_layers=1), stats)
    assert isinstance(model, Standardize)
    assert isinstance(jax.from_config(*jax.saving.to_config(model)), Standardize)
