"""What cannot be trained is told before it waits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_models import small_model
from example_trainings import a_request, lengths
from intertwine.errors import (
    FormatError,
    IntertwineError,
    InvalidRep,
    InvalidSetting,
    MethodNotApplicable,
    NotConcrete,
    ParseError,
    TooLarge,
)
from intertwine.nn.saving import to_config
from intertwine_api.objects import Objects
from intertwine_api.problems import ProblemError
from intertwine_api.schemas import Generators
from intertwine_api.training.built_in import describe_builtin
from intertwine_api.training.checking import validate
from intertwine_api.training.description import BuiltIn, ModelDescription, TrainRequest
from intertwine_api.training.material import facts_of
from intertwine_api.training.points import Points
from intertwine_api.training.stored import Stored

X, Y = lengths()
SENT = facts_of(Points.of(X, Y))
LABELLED = facts_of(Points.of(X, np.arange(30) % 3))
SHEAR = {"lie_algebra": [[[0, 1, 0], [0, 0, 0], [0, 0, 0]]]}  # not reductive
PLANE = {"lie_algebra": [[[0, 1, 0], [-1, 0, 0], [0, 0, 0]]]}


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(tmp_path / "objects")


def sent(stored: Stored = SENT, **changes: Any) -> TrainRequest:
    """A request for samples that were sent, vectors and their lengths under SO(3)."""
    model = {"group": "SO(3)", "rep_in": "V", "rep_out": "V0", **changes.pop("model", {})}
    known = {name: value for name, value in model.items() if value is not None}
    return a_request(dataset=stored.id, model=known, **changes)


class TestWhatCanBe:
    def test_a_built_in_dataset_says_what_the_model_leaves_out(self, objects: Objects) -> None:
        request = a_request()
        assert isinstance(request.dataset, BuiltIn)
        model = validate(request, describe_builtin(request.dataset), objects).model
        assert isinstance(model, ModelDescription)
        assert (model.group, model.rep_in, model.rep_out) == ("SO(3)", "5V0+5V", "V**2")

    def test_what_the_model_says_goes_before(self, objects: Objects) -> None:
        request = a_request(model={"group": "O(3)"})
        assert isinstance(request.dataset, BuiltIn)
        model = validate(request, describe_builtin(request.dataset), objects).model
        assert isinstance(model, ModelDescription)
        assert (model.group, model.rep_in) == ("O(3)", "5V0+5V")

    def test_generators_of_a_dataset_are_written_into_the_request(self, objects: Objects) -> None:
        stored = Stored(**{**SENT.__dict__, "group": PLANE, "rep_in": "V", "rep_out": "V0"})
        request = validate(a_request(dataset=SENT.id), stored, objects)
        assert isinstance(request.model, ModelDescription)
        assert isinstance(request.model.group, Generators)
        again = TrainRequest.model_validate(json.loads(request.model_dump_json()))
        assert validate(again, SENT, objects) == again

    @pytest.mark.parametrize(
        "model",
        [
            {},
            {"type": "MLP"},
            {"ch": "2V+V0"},
            {"ch": [8, "V+3V0"]},
            {"group": None, "rep_in": "V(SO(3))"},
            {"bilinear": "paper"},
            {"group": "O2eR3"},
            {"group": SHEAR},
        ],
        ids=str,
    )
    def test_many_forms_of_a_model(self, objects: Objects, model: dict[str, Any]) -> None:
        if isinstance(model.get("ch"), list):
            model = {**model, "num_layers": 2}
        validate(sent(model=model), SENT, objects)

    def test_labels_are_classes_where_there_are_scores(self, objects: Objects) -> None:
        validate(sent(LABELLED, model={"rep_out": "3V0"}), LABELLED, objects)
        validate(sent(LABELLED, model={"rep_out": "V0"}), LABELLED, objects)  # they are numbers


class TestWhatCannotBe:
    @pytest.mark.parametrize(
        ("model", "kind", "reason"),
        [
            ({"group": "SO("}, ParseError, "expected"),
            ({"group": "Monster"}, ParseError, "Monster"),
            ({"group": "U(3)"}, InvalidSetting, "acts by complex matrices"),
            ({"rep_in": "V+"}, ParseError, "expected"),
            ({"rep_in": "2V"}, InvalidRep, r"\(2V\)\(SO\(3\)\) has size 6, and the inputs"),
            ({"rep_out": "V"}, InvalidRep, "has size 3, and the targets have 1 numbers a sample"),
            ({"rep_in": None}, InvalidSetting, "give the model a rep_in and a rep_out"),
            ({"group": None}, NotConcrete, "need a group"),
            ({"rep_in": "V**40"}, TooLarge, "has size 12,157,665,459,056,928,801"),
            ({"ch": "V**12"}, TooLarge, "the hidden rep .* has size 531,441"),
            ({"ch": "V("}, ParseError, "expected"),
            ({"ch": 8192, "num_layers": 32}, TooLarge, "may have 2,080,407,552 weights"),
            ({"ch": "V0"}, InvalidRep, "every equivariant network from"),
            ({"bilinear": "channelwise", "group": SHEAR}, MethodNotApplicable, "is not reductive"),
            ({"rep_in": "V(SO(3))", "group": "O(3)"}, InvalidRep, "and cannot be taken over"),
        ],
        ids=str,
    )
    def test_it_is_said(
        self, objects: Objects, model: dict[str, Any], kind: type[IntertwineError], reason: str
    ) -> None:
        changes = {"rep_out": "V"} if model == {"ch": "V0"} else {}
        stored = facts_of(Points.of(X, X)) if changes else SENT
        with pytest.raises(kind, match=reason):
            validate(sent(stored, model={**model, **changes}), stored, objects)

    def test_labels_that_have_no_scores(self, objects: Objects) -> None:
        with pytest.raises(InvalidSetting, match=r"the labels go from 0 to 2, .* has 2 scores"):
            validate(sent(LABELLED, model={"rep_out": "2V0"}), LABELLED, objects)
        with pytest.raises(InvalidRep, match="size 3, and the targets have 1"):
            validate(
                sent(LABELLED, model={"rep_out": "3V0"}, training={"loss": "mse"}),
                LABELLED,
                objects,
            )

    def test_what_takes_more_memory_than_it_may_have(self, objects: Objects) -> None:
        request = sent(model={"ch": 2048, "num_layers": 3})
        validate(request, SENT, objects)
        with pytest.raises(TooLarge, match=r"takes about .* GB; it may have 0\.1 GB"):
            validate(request, SENT, objects, memory=10**8)


class TestASavedModel:
    def request(self, model: Any, objects: Objects, **changes: Any) -> TrainRequest:
        config, blob = to_config(model)
        digest, _ = objects.put_bytes(blob)
        return a_request(model={"config": config, "weights": digest}, **changes)

    def test_it_is_looked_at_with_its_weights(self, objects: Objects) -> None:
        stored = facts_of(Points.of(np.ones((30, 8)), np.ones((30, 3))))
        validate(self.request(small_model(), objects), stored, objects)
        with pytest.raises(InvalidRep, match="has size 8, and the inputs have 3"):
            validate(self.request(small_model(), objects), SENT, objects)

    def test_its_precision_is_that_of_its_weights(self, objects: Objects) -> None:
        stored = facts_of(Points.of(np.ones((30, 8)), np.ones((30, 3))))
        model = small_model(dtype="float64")
        validate(self.request(model, objects), stored, objects)
        wrong = self.request(model, objects, training={"dtype": "float32"})
        with pytest.raises(InvalidSetting, match="has weights in float64, and dtype is float32"):
            validate(wrong, stored, objects)

    def test_weights_that_were_not_sent(self, objects: Objects) -> None:
        config, _ = to_config(small_model())
        request = a_request(model={"config": config, "weights": config["sha256"]})
        with pytest.raises(ProblemError, match="upload them first"):
            validate(request, SENT, objects)

    def test_a_config_that_is_none(self, objects: Objects) -> None:
        digest, _ = objects.put_bytes(b"nothing")
        request = a_request(model={"config": {"sha256": digest}, "weights": digest})
        with pytest.raises(FormatError, match="expected intertwine-model"):
            validate(request, SENT, objects)
