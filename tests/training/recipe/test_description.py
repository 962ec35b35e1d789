"""Valid and invalid descriptions of trainings."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.example_trainings import DATASET, a_request
from hypothesis import given
from hypothesis import strategies as st
from intertwine.training.recipe.description import (
    MOST_ROWS,
    BuiltIn,
    ModelDescription,
    SavedModel,
    TrainingDescription,
    TrainRequest,
)
from pydantic import BaseModel, ValidationError

DIGEST = "0" * 64


def test_a_dataset_is_enough() -> None:
    request = TrainRequest.model_validate({"dataset": {"name": "Inertia"}})
    assert request.dataset == BuiltIn(name="Inertia", size=1000, seed=0)
    assert request.model == ModelDescription(type="EMLP", ch=384, num_layers=3)
    training = request.training
    assert (training.epochs, training.batch_size, training.learning_rate) == (100, 500, 0.01)
    assert (training.schedule, training.test_fraction) == ("warmup cosine", 0.1)
    assert (training.standardize, training.dtype) == (True, "float32")


def test_an_uploaded_dataset_is_named_by_its_digest() -> None:
    assert TrainRequest.model_validate({"dataset": DIGEST}).dataset == DIGEST


@pytest.mark.parametrize(
    "document",
    [
        {"dataset": "Inertia"},
        {"dataset": {"name": "MNIST"}},
        {"dataset": {"name": "Inertia", "size": 10**7}},
        {"dataset": {"name": "Inertia", "size": 1}},
        {"dataset": {"name": "Inertia", "n": 3}},
        {"model": {"type": "ResNet"}},
        {"model": {"ch": 0}},
        {"model": {"ch": True}},
        {"model": {"ch": 10**6}},
        {"model": {"ch": []}},
        {"model": {"ch": [8] * 33}},
        {"model": {"ch": 1.5}},
        {"model": {"ch": "V" * 2000}},
        {"model": {"num_layers": 0}},
        {"model": {"num_layers": 33}},
        {"model": {"key": -1}},
        {"model": {"depth": 3}},
        {"training": {"epochs": 0}},
        {"training": {"epochs": 10**7}},
        {"training": {"epochs": "many"}},
        {"training": {"batch_size": 0}},
        {"training": {"learning_rate": 0}},
        {"training": {"learning_rate": float("nan")}},
        {"training": {"learning_rate": float("inf")}},
        {"training": {"schedule": "linear"}},
        {"training": {"optimizer": "lion"}},
        {"training": {"weight_decay": -1}},
        {"training": {"test_fraction": 0}},
        {"training": {"test_fraction": 1}},
        {"training": {"early_stopping": {"patience": 0}}},
        {"training": {"early_stopping": {}}},
        {"training": {"dtype": "float16"}},
        {"training": {"loss": "hinge"}},
        {"training": {"learning_rte": 0.1}},
        {"name": "../etc"},
        {"name": "a/b"},
        {"name": ""},
        {"owner": "me"},
    ],
    ids=str,
)
def test_invalid_requests_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrainRequest.model_validate({"dataset": DATASET, **document})


@pytest.mark.parametrize("ch", [8, "2V+3V0", [8, 16], ["V", "2V"], [8, "V"]], ids=str)
def test_channels_are_a_width_or_a_rep_or_a_list_of_either(ch: Any) -> None:
    model = a_request(model={"ch": ch, "num_layers": 2 if isinstance(ch, list) else 1}).model
    assert isinstance(model, ModelDescription)
    assert model.ch == ch


def test_a_list_of_channels_determines_the_number_of_layers() -> None:
    assert ModelDescription(ch=[8, 16]).num_layers == 2
    with pytest.raises(ValidationError, match="ch lists 2 layers, and num_layers is 3"):
        ModelDescription(ch=[8, 16], num_layers=3)


def test_a_group_is_a_text_or_generators() -> None:
    generators = {"discrete_generators": [[1, 0]], "name": "swap"}
    model = a_request(model={"group": generators}).model
    assert isinstance(model, ModelDescription)
    assert isinstance(model.group, BaseModel)
    assert model.group.model_dump(exclude_none=True) == generators


def test_a_saved_model_is_given_by_its_config() -> None:
    document = {"dataset": DIGEST, "model": {"config": {"sha256": DIGEST}, "weights": DIGEST}}
    assert isinstance(TrainRequest.model_validate(document).model, SavedModel)
    with pytest.raises(ValidationError, match="weights"):
        TrainRequest.model_validate({"dataset": DIGEST, "model": {"config": {}}})


def _deep(levels: int) -> Any:
    document: Any = 1
    for _ in range(levels):
        document = [document]
    return document


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({}, "not that of these weights"),
        ({"sha256": "1" * 64}, "not that of these weights"),
        ({"sha256": DIGEST, "x": _deep(100)}, "more than 64 deep"),
        ({"sha256": DIGEST, "x": _deep(100_000)}, "more than 64 deep"),
        ({"sha256": DIGEST, "x": "y" * 300_000}, "300,0.. characters"),
    ],
    ids=["none", "of others", "deep", "deeper than calls go", "long"],
)
def test_an_invalid_config_is_refused(config: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        SavedModel(config=config, weights=DIGEST)


class TestHowOftenLossesAreMeasured:
    @given(st.integers(1, 10**6))
    def test_the_default_is_about_a_hundred_times(self, epochs: int) -> None:
        training = TrainingDescription(epochs=epochs)
        assert epochs / training.looks_every <= 400
        assert epochs // training.looks_every >= min(epochs, 200)

    def test_the_number_of_rows_is_bounded(self) -> None:
        TrainingDescription(epochs=MOST_ROWS, evaluate_every=1)
        with pytest.raises(ValidationError, match="make it 2 at least"):
            TrainingDescription(epochs=MOST_ROWS + 1, evaluate_every=1)


def test_descriptions_round_trip() -> None:
    request = a_request(
        model={"ch": ["V", 8], "num_layers": 2, "group": {"lie_algebra": [[[0, 1], [-1, 0]]]}},
        training={"early_stopping": {"patience": 3}},
    )
    again = TrainRequest.model_validate_json(request.model_dump_json())
    assert again == request


def test_every_setting_is_explained() -> None:
    for model in (BuiltIn, ModelDescription, SavedModel, TrainingDescription, TrainRequest):
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
