"""Trainings: their results, and the effect of interruptions."""

from __future__ import annotations

import json
import logging
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from helpers.example_stores import run_with_mounts
from helpers.example_trainings import a_request, given, lengths, material_of
from intertwine.errors import FormatError, InvalidRep, NonFiniteLoss
from intertwine.nn import Standardize
from intertwine.nn.saving import from_config
from intertwine.training import checkpoint_policy, evaluate, fit
from intertwine.training.recipe import reporter
from intertwine.training.recipe.description import SavedModel, TrainRequest
from intertwine.training.recipe.run import Outcome, run_training
from intertwine.training.recipe.training_data import TrainingData

pytestmark = pytest.mark.slow  # real processes, or networks that are compiled

REQUEST = a_request()


class Interrupted(Exception):
    """Raised as by a cancelled job, or a process that ends."""


def end_at(epoch: int) -> Any:
    """Return a callback that ends a training at an epoch."""

    def tell(rows: Sequence[Mapping[str, Any]]) -> None:
        if rows[-1]["epoch"] >= epoch:
            raise Interrupted

    return tell


@pytest.fixture
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report every epoch, and save after every epoch."""
    monkeypatch.setattr(reporter, "_INTERVAL", 0.0)
    monkeypatch.setattr(checkpoint_policy, "_FIRST", 0.0)
    monkeypatch.setattr(checkpoint_policy, "_SHARE", 0.0)


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return run_training(REQUEST, material_of(REQUEST))


class TestResults:
    def test_the_network_has_learned(self, outcome: Outcome) -> None:
        losses = [row.train_loss for row in outcome.history]
        assert len(losses) == outcome.metrics["epochs"] == 6
        assert losses[-1] < losses[0]
        assert outcome.metrics["train_loss"] == losses[-1]
        assert outcome.metrics["stopped"] == "all epochs"

    def test_it_is_equivariant_and_said_to_be(self, outcome: Outcome) -> None:
        assert 0 < outcome.equivariance_error < 1e-6
        assert outcome.is_equivariant

    def test_what_its_network_cannot_represent_is_said(
        self, tmp_path: Path, outcome: Outcome
    ) -> None:
        assert "warnings" not in outcome.metrics
        narrow = a_request(model={"ch": "8V0+8V"}, training={"epochs": 1})
        heard: list[str] = []
        found = run_training(narrow, material_of(narrow), warned=heard.append)
        assert found.metrics["warnings"] == heard
        assert "the parts that transform as 1 × W5_72e3b4 do not depend on the input" in heard[0]
        (tmp_path / "weights").write_bytes(found.blob)
        saved = {"config": dict(found.config), "weights": found.config["sha256"]}
        request = a_request(model=saved, training={"epochs": 1})
        new = material_of(request)
        material = TrainingData(new.info, new.split, new.source, tmp_path / "weights")
        assert run_training(request, material).metrics["warnings"] == heard

    def test_the_test_loss_is_that_of_the_model_on_targets_as_they_are(
        self, outcome: Outcome
    ) -> None:
        test = material_of(REQUEST).split.test
        assert isinstance(outcome.model, Standardize)
        assert outcome.metrics["test_loss"] == evaluate(outcome.model, (test.X, test.Y))
        answers = np.asarray(outcome.model(test.X))
        own = np.mean((answers - test.Y) ** 2)
        assert outcome.metrics["test_loss"] == pytest.approx(own, rel=1e-5)

    def test_it_is_the_model_of_its_config_and_weights(self, outcome: Outcome) -> None:
        X = material_of(REQUEST).split.test.X
        again = from_config(json.loads(json.dumps(outcome.config)), outcome.blob)
        assert np.array_equal(again(X), outcome.model(X))

    def test_it_is_what_a_script_would_have_got(self, outcome: Outcome) -> None:
        material = material_of(REQUEST)
        train, test = material.split.train, material.split.test
        from intertwine.datasets.standardisation import moments
        from intertwine.groups import SO
        from intertwine.nn import EMLP
        from intertwine.reps import Scalar, V

        rep_in, rep_out = 5 * Scalar + 5 * V, V**2
        model = EMLP(rep_in, rep_out, SO(3), ch=8, num_layers=1, gain=0.1)
        stats = (*moments(train.X, rep_in(SO(3))), *moments(train.Y, rep_out(SO(3))))
        by_hand = fit(
            Standardize(model, stats),
            (train.X, train.Y),
            test=(test.X, test.Y),
            epochs=6,
            batch_size=16,
            seed=3,
            learning_rate=0.01,
            schedule="warmup cosine",
        )
        assert by_hand.history[-1].test_loss == outcome.metrics["test_loss"]

    def test_where_it_comes_from_is_told(self, outcome: Outcome) -> None:
        told = json.loads(json.dumps(outcome.provenance))
        assert told["seeds"] == {"training": 3, "model": 0}
        assert told["data"]["name"] == "Inertia"
        assert len(told["data"]["digest"]) == 64
        assert told["versions"]["jax"] == jax.__version__
        assert told["device"].startswith(jax.devices()[0].platform)
        assert told["model"]["group"] == "SO(3)"
        assert told["training"]["epochs"] == 6

    def test_epochs_are_reported_during_training(self, restless: None) -> None:
        told: list[Any] = []
        run_training(REQUEST, material_of(REQUEST), callback=told.append)
        rows = [row for batch in told for row in batch]
        assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
        assert all(row["test_loss"] > 0 and row["learning_rate"] >= 0 for row in rows)

    def test_the_epochs_of_a_checkpoint_are_told_before_it_is_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reporter, "_INTERVAL", 1e9)
        for name in ("_FIRST", "_SHARE"):
            monkeypatch.setattr(checkpoint_policy, name, 0.0)
        told: list[int] = []
        saved: list[tuple[int, int]] = []
        request = a_request()
        run_training(
            request,
            material_of(request),
            folder=tmp_path / "checkpoint",
            callback=lambda rows: told.extend(row["epoch"] for row in rows),
            saved=lambda epoch: saved.append((epoch, told[-1])),
        )
        assert len(saved) > 1
        assert all(epoch == last for epoch, last in saved)
        assert told == [1, 2, 3, 4, 5, 6]
        assert len(told) == 6


class TestAnInterruption:
    def test_an_interrupted_training_resumes_to_the_same_weights(
        self, tmp_path: Path, outcome: Outcome, restless: None
    ) -> None:
        with pytest.raises(Interrupted):
            run_training(REQUEST, material_of(REQUEST), folder=tmp_path, callback=end_at(4))
        told: list[Any] = []
        again = run_training(REQUEST, material_of(REQUEST), folder=tmp_path, callback=told.append)
        assert told[0][0]["epoch"] == 4  # the first three were kept
        assert again.blob == outcome.blob
        assert again.metrics["test_loss"] == outcome.metrics["test_loss"]
        assert [row.train_loss for row in again.history] == [
            row.train_loss for row in outcome.history
        ]

    def test_a_finished_training_is_not_run_again(
        self, tmp_path: Path, outcome: Outcome, restless: None
    ) -> None:
        run_training(REQUEST, material_of(REQUEST), folder=tmp_path)
        told: list[Any] = []
        again = run_training(REQUEST, material_of(REQUEST), folder=tmp_path, callback=told.append)
        assert told == []
        assert again.blob == outcome.blob

    def test_training_restarts_after_a_damaged_checkpoint(
        self,
        tmp_path: Path,
        outcome: Outcome,
        restless: None,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        folder = tmp_path / "checkpoint"
        with pytest.raises(Interrupted):
            run_training(REQUEST, material_of(REQUEST), folder=folder, callback=end_at(4))
        (kept,) = folder.iterdir()
        kept.write_bytes(kept.read_bytes()[:-5])
        with caplog.at_level(logging.WARNING):
            again = run_training(REQUEST, material_of(REQUEST), folder=folder)
        assert "the training starts anew" in caplog.text
        assert again.blob == outcome.blob

    def test_early_stopping_resumes(self, tmp_path: Path, restless: None) -> None:
        request = a_request(training={"early_stopping": {"patience": 50, "fraction": 0.3}})
        whole = run_training(request, material_of(request))
        with pytest.raises(Interrupted):
            run_training(request, material_of(request), folder=tmp_path, callback=end_at(3))
        again = run_training(request, material_of(request), folder=tmp_path)
        assert again.blob == whole.blob
        assert again.metrics["best_epoch"] == whole.metrics["best_epoch"]
        assert again.metrics["validation_loss"] == whole.metrics["validation_loss"]

    def test_a_full_disk_ends_training_and_keeps_the_last_checkpoint(self, tmp_path: Path) -> None:
        program = textwrap.dedent("""
            import errno, json
            from pathlib import Path
            import jax
            from intertwine.training import checkpoint_policy
            from intertwine.training.recipe import reporter
            from intertwine.training.recipe.run import run_training
            from helpers.example_trainings import a_request, material_of
            jax.config.update("jax_disable_most_optimizations", True)
            checkpoint_policy._FIRST = checkpoint_policy._SHARE = reporter._INTERVAL = 0.0
            mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", sys.argv[1])
            folder, request = Path(sys.argv[1]) / "checkpoint", a_request()
            filler = Path(sys.argv[1]) / "filler"

            def fill(rows):
                if rows[-1]["epoch"] == 3:
                    with filler.open("wb", buffering=0) as file:
                        for size in (65536, 4096, 1):
                            try:
                                while True:
                                    file.write(bytes(size))
                            except OSError:
                                pass

            def count(rows):
                told.extend(row["epoch"] for row in rows)

            told, found = [], []
            try:
                run_training(request, material_of(request), folder=folder, callback=fill)
            except OSError as error:
                found.append(error.errno == errno.ENOSPC)
            found.append(sorted(path.name for path in folder.iterdir()))
            filler.unlink()
            run_training(request, material_of(request), folder=folder, callback=count)
            print(json.dumps([*found, told]))
        """)
        tests = Path(__file__).resolve().parents[2]
        here = f"import sys; sys.path.insert(0, {str(tests)!r})\n"
        done = run_with_mounts(here + program, tmp_path)
        said = json.loads(done.stdout or "null")
        assert said == [True, ["checkpoint.safetensors"], [3, 4, 5, 6]], done.stderr


class TestNonEquivariantModels:
    def test_a_plain_network_is_marked(self) -> None:
        request = a_request(model={"type": "MLP"})
        found = run_training(request, material_of(request))
        assert found.equivariance_error > 0.01
        assert not found.is_equivariant

    def test_an_augmented_plain_network_is_marked(self) -> None:
        request = a_request(model={"type": "MLP"}, training={"augment": True, "epochs": 1})
        assert not run_training(request, material_of(request)).is_equivariant

    def test_a_network_under_boosts_is_not_marked(self) -> None:
        dataset = {"name": "ParticleInteraction", "size": 30}
        request = a_request(dataset=dataset, training={"epochs": 1})
        found = run_training(request, material_of(request))
        assert found.is_equivariant, found.equivariance_error


class TestOtherTrainings:
    def test_in_double_precision(self) -> None:
        request = a_request(training={"dtype": "float64", "epochs": 2})
        found = run_training(request, material_of(request))
        assert found.equivariance_error < 1e-12
        assert found.is_equivariant
        assert "float64" in {str(leaf.dtype) for leaf in jax.tree.leaves(found.model)}

    def test_in_double_precision_under_a_group_in_an_oblique_frame(self) -> None:
        """A mean that is invariant in single precision alone would spoil it."""
        swap = [[0.6, 0.64], [1.0, -0.6]]  # an involution, and not orthogonal
        X, Y = lengths()
        model = {"group": {"discrete_generators": [swap]}, "rep_in": "V+V0", "rep_out": "V0"}
        request = a_request(model=model, training={"dtype": "float64", "epochs": 2})
        found = run_training(request, given(request, X + 1, Y))
        assert found.equivariance_error < 1e-12

    def test_classes_are_learned_by_their_labels(self) -> None:
        request = a_request(dataset={"name": "InvertedCube", "size": 8}, training={"epochs": 5})
        found = run_training(request, material_of(request))
        assert found.metrics["loss"] == "cross-entropy"
        assert found.metrics["test_loss"] < 0.7
        assert found.is_equivariant

    def test_labels_are_numbers_where_the_output_is_one(self) -> None:
        X, _ = lengths()
        model = {"group": "SO(3)", "rep_in": "V", "rep_out": "V0"}
        training = {"epochs": 2, "standardize": False, "weight_decay": 0.1}
        request = a_request(model=model, training=training)
        found = run_training(request, given(request, X, np.arange(30)))
        assert found.metrics["loss"] == "mse"
        assert not isinstance(found.model, Standardize)

    def test_early_stopping_returns_the_best_weights(self) -> None:
        request = a_request(
            training={
                "epochs": 200,
                "learning_rate": 0.5,
                "schedule": "constant",
                "early_stopping": {"patience": 2},
                "evaluate_every": 1,
            }
        )
        found = run_training(request, material_of(request))
        assert found.metrics["stopped"] == "patience"
        assert found.metrics["epochs"] == found.metrics["best_epoch"] + 2 < 200
        least = min(loss for _, loss in found.history.column("validation_loss"))
        assert found.metrics["validation_loss"] == least
        best = next(r for r in found.history if r.epoch == found.metrics["best_epoch"])
        assert found.metrics["train_loss"] == best.train_loss

    def test_a_saved_model_continues_from_its_weights(
        self, tmp_path: Path, outcome: Outcome
    ) -> None:
        (tmp_path / "weights").write_bytes(outcome.blob)
        saved = {"config": dict(outcome.config), "weights": outcome.config["sha256"]}
        request = a_request(model=saved, training={"epochs": 3, "learning_rate": 1e-3})
        assert isinstance(request.model, SavedModel)
        new = material_of(request)
        material = TrainingData(new.info, new.split, new.source, tmp_path / "weights")
        found = run_training(request, material)
        assert isinstance(found.model, Standardize)
        assert not isinstance(found.model.model, Standardize)
        assert found.history[0].train_loss < outcome.history[0].train_loss
        assert found.provenance["model"] == {"weights": outcome.config["sha256"]}
        assert found.is_equivariant


class TestWhatEndsIt:
    def test_a_non_finite_loss_fails(self) -> None:
        X, Y = (1e15 * array.astype(np.float64) for array in lengths())
        model = {"group": "SO(3)", "rep_in": "V", "rep_out": "V0"}
        request = a_request(model=model, training={"standardize": False})
        with pytest.raises(NonFiniteLoss, match=r"the loss is|no longer finite"):
            run_training(request, given(request, X, Y * 1e15))

    def test_reps_that_do_not_fit_are_refused(self) -> None:
        request = a_request(model={"rep_out": "V"})
        with pytest.raises(InvalidRep, match="has size 3, and the targets have 9"):
            run_training(request, material_of(request))

    def test_missing_weights_are_reported(self, outcome: Outcome) -> None:
        saved = {"config": dict(outcome.config), "weights": outcome.config["sha256"]}
        request = TrainRequest.model_validate({"dataset": {"name": "Inertia"}, "model": saved})
        with pytest.raises(FormatError, match="there is none"):
            run_training(request, material_of(request))
