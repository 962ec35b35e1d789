"""Requests that cannot be trained are refused before they are queued."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.example_models import small_model
from helpers.example_trainings import a_request, lengths
from intertwine.errors import (
    FormatError,
    IntertwineError,
    InvalidRep,
    InvalidSetting,
    MethodNotApplicable,
    NotConcrete,
    NotFound,
    ParseError,
    TooLarge,
)
from intertwine.groups import SO
from intertwine.nn import MLPH
from intertwine.nn.saving import to_config
from intertwine.reps import Scalar, V
from intertwine.training.recipe.built_in import describe_builtin
from intertwine.training.recipe.dataset_info import DatasetInfo, info_of
from intertwine.training.recipe.description import (
    BuiltIn,
    Generators,
    ModelDescription,
    TrainRequest,
)
from intertwine.training.recipe.samples import Samples
from intertwine.training.recipe.validation import complete_request

X, Y = lengths()
SENT = info_of(Samples.of(X, Y))
LABELLED = info_of(Samples.of(X, np.arange(30) % 3))
SHEAR = {"lie_algebra": [[[0, 1, 0], [0, 0, 0], [0, 0, 0]]]}  # not reductive
PLANE = {"lie_algebra": [[[0, 1, 0], [-1, 0, 0], [0, 0, 0]]]}


class Weights:
    """Files of weights in a folder, found by their digests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, blob: bytes) -> str:
        digest = hashlib.sha256(blob).hexdigest()
        (self.folder / digest).write_bytes(blob)
        return digest

    def __call__(self, digest: str) -> Path | None:
        path = self.folder / digest
        return path if path.exists() else None


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    return Weights(tmp_path)


def sent(stored: DatasetInfo = SENT, **changes: Any) -> TrainRequest:
    """Return a request for uploaded samples: vectors and their lengths under SO(3)."""
    model = {"group": "SO(3)", "rep_in": "V", "rep_out": "V0", **changes.pop("model", {})}
    known = {name: value for name, value in model.items() if value is not None}
    return a_request(dataset=stored.id, model=known, **changes)


class TestValidRequests:
    def test_a_built_in_dataset_completes_the_model(self, weights: Weights) -> None:
        request = a_request()
        assert isinstance(request.dataset, BuiltIn)
        model = complete_request(request, describe_builtin(request.dataset), weights).model
        assert isinstance(model, ModelDescription)
        assert (model.group, model.rep_in, model.rep_out) == ("SO(3)", "5V0+5V", "V**2")

    def test_the_model_overrides_the_dataset(self, weights: Weights) -> None:
        request = a_request(model={"group": "O(3)"})
        assert isinstance(request.dataset, BuiltIn)
        model = complete_request(request, describe_builtin(request.dataset), weights).model
        assert isinstance(model, ModelDescription)
        assert (model.group, model.rep_in) == ("O(3)", "5V0+5V")

    def test_generators_of_a_dataset_are_written_into_the_request(self, weights: Weights) -> None:
        stored = DatasetInfo(**{**SENT.__dict__, "group": PLANE, "rep_in": "V", "rep_out": "V0"})
        request = complete_request(a_request(dataset=SENT.id), stored, weights)
        assert isinstance(request.model, ModelDescription)
        assert isinstance(request.model.group, Generators)
        again = TrainRequest.model_validate(json.loads(request.model_dump_json()))
        assert complete_request(again, SENT, weights) == again

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
    def test_many_forms_of_a_model(self, weights: Weights, model: dict[str, Any]) -> None:
        if isinstance(model.get("ch"), list):
            model = {**model, "num_layers": 2}
        complete_request(sent(model=model), SENT, weights)

    def test_labels_are_classes_if_the_output_has_scores(self, weights: Weights) -> None:
        complete_request(sent(LABELLED, model={"rep_out": "3V0"}), LABELLED, weights)
        complete_request(
            sent(LABELLED, model={"rep_out": "V0"}), LABELLED, weights
        )  # they are numbers


class TestInvalidRequests:
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
    def test_the_reason_is_reported(
        self, weights: Weights, model: dict[str, Any], kind: type[IntertwineError], reason: str
    ) -> None:
        changes = {"rep_out": "V"} if model == {"ch": "V0"} else {}
        stored = info_of(Samples.of(X, X)) if changes else SENT
        with pytest.raises(kind, match=reason):
            complete_request(sent(stored, model={**model, **changes}), stored, weights)

    def test_labels_without_scores_are_refused(self, weights: Weights) -> None:
        with pytest.raises(InvalidSetting, match=r"the labels go from 0 to 2, .* has 2 scores"):
            complete_request(sent(LABELLED, model={"rep_out": "2V0"}), LABELLED, weights)
        with pytest.raises(InvalidRep, match="size 3, and the targets have 1"):
            complete_request(
                sent(LABELLED, model={"rep_out": "3V0"}, training={"loss": "mse"}),
                LABELLED,
                weights,
            )

    def test_requests_that_need_too_much_memory_are_refused(self, weights: Weights) -> None:
        request = sent(model={"ch": 2048, "num_layers": 3})
        complete_request(request, SENT, weights)
        with pytest.raises(TooLarge, match=r"takes about .* GB; it may have 0\.1 GB"):
            complete_request(request, SENT, weights, memory=10**8)


class TestASavedModel:
    def request(self, model: Any, weights: Weights, **changes: Any) -> TrainRequest:
        config, blob = to_config(model)
        digest = weights.put(blob)
        return a_request(model={"config": config, "weights": digest}, **changes)

    def test_a_saved_model_is_checked_with_its_weights(self, weights: Weights) -> None:
        stored = info_of(Samples.of(np.ones((30, 8)), np.ones((30, 3))))
        complete_request(self.request(small_model(), weights), stored, weights)
        with pytest.raises(InvalidRep, match="has size 8, and the inputs have 3"):
            complete_request(self.request(small_model(), weights), SENT, weights)

    def test_the_precision_is_that_of_the_weights(self, weights: Weights) -> None:
        stored = info_of(Samples.of(np.ones((30, 8)), np.ones((30, 3))))
        model = small_model(dtype="float64")
        complete_request(self.request(model, weights), stored, weights)
        wrong = self.request(model, weights, training={"dtype": "float32"})
        with pytest.raises(InvalidSetting, match="has weights in float64, and dtype is float32"):
            complete_request(wrong, stored, weights)

    def test_layers_that_only_jax_has_are_refused_for_pytorch(self, weights: Weights) -> None:
        request = self.request(MLPH(V, Scalar, SO(3), ch=2, num_layers=1), weights)
        complete_request(request, SENT, weights, thoroughly=False)
        in_pytorch = request.model_copy(update={"framework": "torch"})
        with pytest.raises(InvalidSetting, match="do not exist for PyTorch: MLPH"):
            complete_request(in_pytorch, SENT, weights, thoroughly=False)

    def test_missing_weights_are_refused(self, weights: Weights) -> None:
        config, _ = to_config(small_model())
        request = a_request(model={"config": config, "weights": config["sha256"]})
        with pytest.raises(NotFound, match="upload them first"):
            complete_request(request, SENT, weights)

    def test_an_invalid_config_is_refused(self, weights: Weights) -> None:
        digest = weights.put(b"nothing")
        request = a_request(model={"config": {"sha256": digest}, "weights": digest})
        with pytest.raises(FormatError, match="expected intertwine-model"):
            complete_request(request, SENT, weights)
