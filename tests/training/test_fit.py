"""`fit`: the promises of training, for any model."""

from __future__ import annotations

import functools
import inspect
import itertools
import re
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers.example_training import Affine, Small, affine, pairs
from intertwine.errors import InvalidSetting, NonFiniteLoss, UnknownMethod
from intertwine.training import Event, Trained, evaluate, fit, mean_squared_error
from intertwine.training.epochs import train_epochs
from intertwine.training.optimizers import transformation


def leaves(model: Any) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(model) if isinstance(leaf, jax.Array)]


def same(a: Any, b: Any) -> bool:
    return all(x.tobytes() == y.tobytes() for x, y in zip(leaves(a), leaves(b), strict=True))


def as_users_have_it(function: Any) -> Any:
    """Remove the checks of annotations that tests have."""
    return inspect.unwrap(function)


def losses(trained: Trained) -> list[float]:
    return [row.train_loss for row in trained.history]


class TestLearning:
    def test_a_linear_map_is_learned(self) -> None:
        X = np.random.default_rng(0).standard_normal((50, 3))
        A = np.array([[1.0, 2.0], [0.0, -1.0], [3.0, 0.5]])
        trained = fit(affine(3, 2), (X, X @ A + 1), epochs=600, learning_rate=0.03)
        np.testing.assert_allclose(trained.model.matrix, A, atol=1e-4)
        np.testing.assert_allclose(trained.model.bias, 1, atol=1e-4)
        assert trained.history[-1].train_loss < 1e-8
        assert trained.stopped == "all epochs"

    def test_the_given_model_does_not_change(self) -> None:
        model = Small(3, 2)
        before = [leaf.copy() for leaf in leaves(model)]
        fit(model, pairs(), epochs=3)
        assert all(np.array_equal(a, b) for a, b in zip(before, leaves(model), strict=True))

    @pytest.mark.slow
    def test_a_step_of_adam_equals_that_of_optax(self) -> None:
        X, Y = map(jnp.float32, pairs(20))
        model, trained = Small(3, 2), fit(Small(3, 2), (X, Y), epochs=3, learning_rate=0.01)
        optimizer = optax.adam(0.01)
        weights, rest = eqx.partition(model, eqx.is_inexact_array)
        state = optimizer.init(weights)
        for _ in range(3):  # one batch an epoch: the order of its samples changes rounding alone
            gradient = jax.grad(lambda w: jnp.mean((eqx.combine(w, rest)(X) - Y) ** 2))(weights)
            updates, state = optimizer.update(gradient, state, weights)
            weights = optax.apply_updates(weights, updates)
        for ours, theirs in zip(leaves(trained.model), leaves(weights), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)

    @pytest.mark.slow
    def test_complex_weights_descend(self) -> None:
        rng = np.random.default_rng(0)
        X = rng.standard_normal((40, 2)) + 1j * rng.standard_normal((40, 2))
        A = np.array([[1 + 2j, -1j], [0.5, 2 - 1j]])
        model = affine(2, 2, np.complex64)
        trained = fit(model, (X, X @ A), epochs=600, learning_rate=0.03)
        np.testing.assert_allclose(trained.model.matrix, A, atol=1e-3)

    def test_only_inexact_arrays_are_trained_and_other_leaves_are_kept(self) -> None:
        class Mixed(eqx.Module):
            weight: Any
            order: Any
            shift: Any
            function: Any

            def __call__(self, x: Any) -> Any:
                return self.function(x[..., self.order] * self.weight + self.shift)

        model = Mixed(jnp.ones(3), jnp.array([2, 0, 1]), np.full(3, 0.5), jnp.sin)
        X, _ = pairs()
        trained = fit(model, (X, X), epochs=3).model
        assert not np.allclose(trained.weight, 1)
        np.testing.assert_array_equal(trained.order, [2, 0, 1])
        np.testing.assert_array_equal(trained.shift, 0.5)
        assert trained.function is jnp.sin

    def test_zero_epochs_do_not_train(self) -> None:
        model = Small(3, 2)
        trained = fit(model, pairs(), epochs=0)
        assert same(trained.model, model)
        assert len(trained.history) == 0


class TestPrecision:
    def test_float64_weights_are_trained_in_float64(self) -> None:
        with jax.enable_x64(True):
            model = affine(3, 2, np.float64)
        X = np.random.default_rng(0).standard_normal((50, 3))
        trained = fit(model, (X, 2 * X[:, :2] + 1), epochs=1500, learning_rate=0.03)
        assert trained.model.matrix.dtype == np.float64
        assert trained.history[-1].train_loss < 1e-20
        assert not jax.config.jax_enable_x64

    @pytest.mark.slow
    def test_float32_weights_stay_float32_with_x64_enabled(self) -> None:
        with jax.enable_x64(True):
            trained = fit(Small(3, 2, dtype=np.float32), pairs(), epochs=2)
        assert {leaf.dtype for leaf in leaves(trained.model)} == {np.dtype(np.float32)}


class TestEpochs:
    @pytest.mark.parametrize("batch_size", [64, 20])
    def test_losses_are_means_over_the_samples_whatever_the_batches(self, batch_size: int) -> None:
        model, data = Small(3, 2), pairs(64)
        trained = fit(model, data, epochs=2, batch_size=batch_size, learning_rate=0.0, test=data)
        expected = np.mean((np.asarray(model(np.float32(data[0]))) - data[1]) ** 2)
        for row in trained.history:
            assert row.train_loss == pytest.approx(expected, rel=1e-5)
            assert row.test_loss == pytest.approx(expected, rel=1e-5)
        assert evaluate(model, data, batch_size=batch_size) == pytest.approx(expected, rel=1e-5)

    def test_every_sample_is_seen_once_an_epoch(self) -> None:
        """The gradient of the mean of w·x is the mean of x, and SGD adds what it has seen."""

        def loss(model: Any, x: Any, y: Any) -> Any:
            return jnp.mean(x @ model.matrix) * len(x) + 0 * jnp.sum(model.bias)

        trained = fit(
            affine(10, 1),
            (np.eye(10), np.zeros((10, 1))),
            loss=loss,
            optimizer=optax.sgd,
            learning_rate=1.0,
            batch_size=4,
            epochs=3,
        )
        np.testing.assert_allclose(trained.model.matrix, -3 * np.ones((10, 1)), rtol=1e-6)

    def test_equal_seeds_give_equal_fits_and_others_do_not(self) -> None:
        def run(seed: int) -> Any:
            return fit(Small(3, 2), pairs(), epochs=5, batch_size=16, seed=seed)

        a, b, c = run(0), run(0), run(1)
        assert same(a.model, b.model)
        assert losses(a) == losses(b)
        assert losses(a) != losses(c)

    def test_evaluation_does_not_change_the_fit(self) -> None:
        def run(**looks: Any) -> Trained:
            return fit(Small(3, 2), pairs(), epochs=12, batch_size=16, **looks)

        plain = run()
        for looks in (
            {"test": pairs(9)},
            {"callback": print},
            {"test": pairs(9), "evaluate_every": 5},
        ):
            assert same(plain.model, run(**looks).model)
            assert losses(plain) == losses(run(**looks))


class TestCompiling:
    @pytest.mark.slow
    def test_fits_of_one_shape_are_compiled_once(self) -> None:
        class Own(Small):
            """A class that no other test has compiled."""

        def run(**arguments: Any) -> None:
            fit(Own(3, 2, width=11, seed=arguments.get("seed", 0)), pairs(), **arguments)

        run(epochs=2)
        before = train_epochs._cache_size()
        run(epochs=7, seed=3, learning_rate=0.1, schedule="cosine", evaluate_every=2)
        run(epochs=3, test=pairs(10), callback=lambda event: False)
        assert train_epochs._cache_size() == before
        run(epochs=2, optimizer=optax.sgd)
        run(epochs=4, optimizer=optax.sgd, learning_rate=0.5)
        assert train_epochs._cache_size() == before + 1


class TestLosses:
    def test_a_custom_loss(self) -> None:
        def loss(model: Any, x: Any, y: Any) -> Any:
            return jnp.mean(jnp.abs(model(x) - y) ** 3)

        trained = fit(affine(3, 2), pairs(), loss=loss, epochs=300, learning_rate=0.03)
        assert trained.history[-1].train_loss < 0.9 * trained.history[0].train_loss
        assert evaluate(trained.model, pairs(), loss) <= trained.history[-1].train_loss * 1.01

    def test_the_mean_absolute_error_finds_the_median(self) -> None:
        Y = np.array([[0.0], [0.0], [0.0], [100.0]])
        model = fit(affine(1, 1), (0 * Y, Y + 1), loss="mae", epochs=900, learning_rate=0.01).model
        assert float(model.bias[0]) == pytest.approx(1, abs=0.05)

    @pytest.mark.sampled(3)
    @pytest.mark.parametrize("form", ["labels", "column", "probabilities"])
    def test_cross_entropy_separates_classes(self, form: str) -> None:
        X = np.random.default_rng(0).standard_normal((100, 2))
        labels = (X[:, 0] > 0).astype(int)
        Y = {"labels": labels, "column": labels[:, None], "probabilities": np.eye(2)[labels]}[form]
        fitted = fit(affine(2, 2), (X, Y), loss="cross-entropy", epochs=300, learning_rate=0.05)
        assert fitted.history[0].train_loss == pytest.approx(np.log(2), rel=1e-5)
        accuracy = np.mean(np.argmax(fitted.model(np.float32(X)), axis=1) == labels)
        assert accuracy > 0.97

    def test_the_square_of_a_complex_difference_is_that_of_its_magnitude(self) -> None:
        model = affine(1, 1, np.complex64)
        assert evaluate(model, (np.zeros((2, 1)), np.array([[3 + 4j], [0]]))) == pytest.approx(12.5)

    @pytest.mark.parametrize(
        ("label", "said"),
        [
            (-1, "the label in row 2 of the data is -1, and the model tells 2 classes apart: "),
            (7, "the label in row 2 of the data is 7, and the model tells 2 classes apart: "),
        ],
    )
    def test_labels_out_of_range_are_refused(self, label: int, said: str) -> None:
        X, Y = np.eye(4, 3), np.array([0, 1, label, 0])
        for run in (fit, evaluate):
            for labels in (Y, Y[:, None]):
                with pytest.raises(InvalidSetting) as caught:
                    run(affine(3, 2), (X, labels), loss="cross-entropy")
                assert str(caught.value) == f"{said}labels are integers from 0 to 1"
        with pytest.raises(InvalidSetting, match="in row 2 of the test data"):
            fit(affine(3, 2), (X, abs(Y) % 2), test=(X, Y), loss="cross-entropy")

    def test_integers_of_the_shape_of_the_classes_are_probabilities(self) -> None:
        loss = evaluate(affine(3, 2), (np.eye(2, 3), np.eye(2, dtype=int)), "cross-entropy")
        assert loss == pytest.approx(np.log(2))

    @pytest.mark.slow
    @pytest.mark.parametrize("has_hash", [True, False])
    def test_loss_optimiser_and_schedule_may_be_objects(self, has_hash: bool) -> None:
        class Called:
            def __init__(self, function: Any) -> None:
                self.function = function

            def __call__(self, *args: Any) -> Any:
                return self.function(*args)

        if not has_hash:
            Called.__hash__ = None  # type: ignore[assignment]
        parts = {"loss": mean_squared_error, "optimizer": optax.sgd, "schedule": lambda step: 0.1}
        objects = {name: Called(function) for name, function in parts.items()}
        ours = fit(Small(3, 2), pairs(), epochs=3, **objects)
        assert losses(ours) == losses(fit(Small(3, 2), pairs(), epochs=3, **parts))
        for name in parts:
            assert "Called" in ours.record[name]
        assert evaluate(Small(3, 2), pairs(), objects["loss"]) == evaluate(Small(3, 2), pairs())

    def test_an_unknown_name_is_refused(self) -> None:
        with pytest.raises(UnknownMethod, match="no loss 'mes': there are mse, mae, cross-entropy"):
            fit(affine(3, 2), pairs(), loss="mes")

    def test_targets_that_would_be_broadcast_are_refused(self) -> None:
        X, Y = pairs()
        with pytest.raises(
            InvalidSetting, match=r"\(64, 1\), and its targets have the shape \(64,\)"
        ):
            fit(affine(3, 1), (X, Y[:, 0]))


class TestOptimizers:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        "factory",
        [
            optax.adamw,
            pytest.param(optax.sgd, marks=pytest.mark.slow),
            functools.partial(optax.sgd, momentum=0.9),
            pytest.param(optax.lion, marks=pytest.mark.slow),
        ],
        ids=["adamw", "sgd", "momentum", "lion"],
    )
    def test_an_optimiser_factory_equals_its_result_with_that_learning_rate(
        self, factory: Any
    ) -> None:
        def run(**how: Any) -> Any:
            return fit(Small(3, 2), pairs(), epochs=4, batch_size=16, **how).model

        ours, theirs = run(optimizer=factory, learning_rate=0.02), run(optimizer=factory(0.02))
        for a, b in zip(leaves(ours), leaves(theirs), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)

    def test_two_learning_rates_are_refused(self) -> None:
        with pytest.raises(InvalidSetting, match="its own learning rate"):
            fit(affine(3, 2), pairs(), optimizer=optax.adam(0.1), learning_rate=0.1)
        with pytest.raises(InvalidSetting, match="is the learning rate"):
            fit(affine(3, 2), pairs(), schedule=lambda step: 0.1, learning_rate=0.1)

    @pytest.mark.slow
    def test_the_history_has_the_learning_rate_if_known(self) -> None:
        history = fit(affine(3, 2), pairs(), schedule="cosine", learning_rate=0.5, epochs=4).history
        rates = [row.learning_rate for row in history]
        np.testing.assert_allclose(rates, 0.25 * (1 + np.cos(np.pi * np.arange(4) / 4)))
        own = fit(affine(3, 2), pairs(), optimizer=optax.adam(0.1), epochs=1).history
        assert own[0].learning_rate is None


class TestStopping:
    def overfitting(self) -> dict[str, Any]:
        """A validation loss that falls and then rises: the targets are opposite."""
        X, Y = pairs(32)
        return {"data": (X, Y), "validation": (X, 0.3 * Y)}

    def test_patience_keeps_the_best_model_and_its_epoch(self) -> None:
        given = self.overfitting()
        trained = fit(Small(3, 2), epochs=3000, learning_rate=0.01, patience=20, **given)
        validation = [loss for _, loss in trained.history.column("validation_loss")]
        assert trained.stopped == "patience"
        assert len(trained.history) == trained.best_epoch + 20
        assert trained.best_epoch == int(np.argmin(validation)) + 1
        assert evaluate(trained.best, given["validation"]) == pytest.approx(min(validation))
        assert evaluate(trained.model, given["validation"]) == pytest.approx(validation[-1])
        assert not same(trained.best, trained.model)

    def test_patience_watches_the_test_loss_without_validation_data(self) -> None:
        X, Y = pairs(32)
        trained = fit(Small(3, 2), (X, Y), test=(X, 0.3 * Y), patience=5, epochs=3000)
        assert trained.stopped == "patience"
        assert trained.test_loss == trained.history[-1].test_loss

    def test_patience_runs_out_only_at_evaluations(self) -> None:
        X, Y = pairs(32)
        how: dict[str, Any] = {"patience": 5, "evaluate_every": 8, "epochs": 3000}
        trained = fit(Small(3, 2), (X, Y), validation=(X, -Y), **how)
        assert trained.best_epoch == 8
        assert len(trained.history) == 16

    def test_without_patience_a_test_loss_chooses_nothing(self) -> None:
        X, Y = pairs(32)
        trained = fit(Small(3, 2), (X, Y), test=(X, 0.3 * Y), epochs=200)
        assert trained.best is trained.model
        assert trained.best_epoch == 200

    def test_patience_without_data_is_refused(self) -> None:
        with pytest.raises(InvalidSetting, match="give validation= or test= data"):
            fit(affine(3, 2), pairs(), patience=3)

    def test_a_callback_sees_every_epoch_and_may_stop(self) -> None:
        seen: list[Event] = []

        def watch(event: Event) -> bool:
            seen.append(event)
            return event.epoch == 4

        trained = fit(Small(3, 2), pairs(), test=pairs(20), epochs=100, callback=watch)
        assert trained.stopped == "callback"
        assert [event.epoch for event in seen] == [1, 2, 3, 4]
        assert [event.train_loss for event in seen] == losses(trained)
        assert all(e.test_loss == r.test_loss for e, r in zip(seen, trained.history, strict=True))
        for event in seen:  # the models are alive, although training went on
            assert evaluate(event.model, pairs(20)) == pytest.approx(event.test_loss, rel=1e-6)

    def test_only_true_from_a_callback_stops(self) -> None:
        for answer in (None, 1, "yes", np.ones(2, bool), [True], np.False_):
            trained = fit(affine(3, 2), pairs(), epochs=3, callback=lambda event, a=answer: a)
            assert len(trained.history) == 3

    @pytest.mark.parametrize("answer", [np.True_, np.array(True), jnp.array(True)], ids=repr)
    def test_true_of_numpy_and_jax_stops(self, answer: Any) -> None:
        trained = fit(affine(3, 2), pairs(), epochs=3, callback=lambda event: answer)
        assert (trained.stopped, len(trained.history)) == ("callback", 1)

    def test_it_evaluates_every_few_epochs_and_at_the_end(self) -> None:
        seen: list[int] = []
        trained = fit(
            affine(3, 2),
            pairs(),
            test=pairs(9),
            epochs=8,
            evaluate_every=3,
            callback=lambda event: seen.append(event.epoch),
        )
        assert seen == [3, 6, 8]
        assert [epoch for epoch, _ in trained.history.column("test_loss")] == [3, 6, 8]
        assert len(trained.history) == 8


class TestNonFiniteNumbers:
    def test_a_diverging_fit_says_where_and_what_to_do(self) -> None:
        X, Y = pairs(40)
        with pytest.raises(NonFiniteLoss) as caught:
            fit(affine(3, 2), (X, Y), optimizer=optax.sgd, learning_rate=50.0, batch_size=16)
        message = str(caught.value)
        for part in (
            r"the loss is inf in epoch ",
            r" of 3, at a learning rate of 50 \(the last finite loss is \d.*e\+3\d",
            r"The data are finite; the weights were finite before it, so the model's output or",
            r"lower the learning rate",
        ):
            assert re.search(part, message), message

    def test_the_first_bad_batch_is_named(self) -> None:
        """The loss is that of batch k at step k, with weights that count steps."""

        def loss(model: Any, x: Any, y: Any) -> Any:
            return jnp.where(model.bias[0] < 6.5, jnp.sum(model.bias), jnp.nan)

        model = Affine(jnp.zeros((3, 1)), jnp.full(1, 0.0))
        optimizer = optax.GradientTransformation(
            lambda weights: (),
            lambda g, state, weights=None: (jax.tree.map(jnp.ones_like, g), state),
        )
        with pytest.raises(
            NonFiniteLoss, match=r"nan in epoch 3, batch 2 of 3.* \(the last finite"
        ):
            fit(
                model,
                (np.ones((9, 3)), np.ones((9, 1))),
                loss=loss,
                optimizer=optimizer,
                batch_size=3,
            )

    @pytest.mark.slow
    def test_weights_that_overflow_before_the_loss_are_named(self) -> None:
        optimizer = optax.GradientTransformation(
            lambda weights: (),
            lambda g, state, weights=None: (jax.tree.map(lambda a: a * jnp.inf, g), state),
        )
        with pytest.raises(NonFiniteLoss, match="weights were not finite before it"):
            fit(affine(3, 2), pairs(), optimizer=optimizer, batch_size=16)
        with pytest.raises(
            NonFiniteLoss, match="weights are no longer finite after epoch 1, though"
        ):
            fit(affine(3, 2), pairs(), optimizer=optimizer, epochs=1)

    def test_an_overflowing_test_loss_is_an_error(self) -> None:
        X, Y = pairs()
        with pytest.raises(NonFiniteLoss, match="the test loss is inf after epoch 1"):
            fit(Affine(jnp.ones((3, 2)), jnp.ones(2)), (X, Y), test=(X * 1e30, Y), epochs=3)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
    @pytest.mark.parametrize("part", [0, 1])
    def test_data_that_are_not_finite_are_refused_at_once(self, bad: float, part: int) -> None:
        data = pairs()
        data[part][[17, 40], 1] = bad
        name = ("inputs", "targets")[part]
        with pytest.raises(InvalidSetting, match=rf"{name} of the data .* row 17 \(2 of 64 rows"):
            fit(affine(3, 2), data)
        with pytest.raises(InvalidSetting, match=rf"{name} of the test data"):
            fit(affine(3, 2), pairs(), test=data)


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            ({"epochs": -1}, "epochs is an integer from 0 on, not -1"),
            ({"batch_size": 0}, "batch_size is an integer from 1 on, not 0"),
            ({"patience": 0}, "patience is an integer from 1 on, not 0"),
            ({"evaluate_every": 0}, "evaluate_every is an integer from 1 on"),
            ({"learning_rate": float("nan")}, "the learning rate is nan at step 0"),
            ({"learning_rate": -1.0}, "the learning rate is -1.0 at step 0"),
            ({"augment": True}, "give data with rep_in, rep_out"),
            ({"epochs": 2.0}, "^epochs is an integer from 0 on, not 2.0$"),
            ({"batch_size": 10.0}, "^batch_size is an integer from 1 on, not 10.0$"),
            ({"seed": True}, "^seed is an integer from 0 on, not True$"),
        ],
        ids=str,
    )
    def test_invalid_arguments_are_refused(self, arguments: Any, complaint: str) -> None:
        with pytest.raises(InvalidSetting, match=complaint):
            as_users_have_it(fit)(affine(3, 2), pairs(), **arguments)

    def test_objects_other_than_optimisers_are_refused(self) -> None:
        with pytest.raises(InvalidSetting, match=r"such as optax.adam, .*, not 'adam'$"):
            as_users_have_it(transformation)("adam")

    def test_a_model_without_weights_is_refused(self) -> None:
        with pytest.raises(InvalidSetting, match="function has no weights"):
            fit(lambda x: x, pairs())

    @pytest.mark.parametrize("shapes", [((4, 3), (5, 2)), ((0, 3), (0, 2))], ids=str)
    def test_empty_data_and_unequal_lengths_are_refused(self, shapes: Any) -> None:
        with pytest.raises(InvalidSetting, match="as many targets as inputs"):
            fit(affine(3, 2), tuple(map(np.zeros, shapes)))

    @pytest.mark.parametrize(
        ("data", "what"),
        [([*pairs()], "list of 2"), ((*pairs(), 3), "tuple of 3"), (np.eye(3), "ndarray")],
        ids=["a list", "a triple", "an array"],
    )
    def test_objects_other_than_data_are_refused(self, data: Any, what: str) -> None:
        for run in (fit, evaluate):
            with pytest.raises(InvalidSetting) as caught:
                as_users_have_it(run)(affine(3, 2), data)
            assert str(caught.value) == (
                "the data are a tuple (X, Y) of inputs and targets, or an object with X and Y such "
                f"as those of intertwine.datasets, not a {what}"
            )

    def test_numpy_integers_are_accepted(self, tmp_path: Path) -> None:
        two = np.int64(2)
        how: Any = {"epochs": two, "seed": two, "checkpoint": tmp_path}
        trained = as_users_have_it(fit)(affine(3, 2), pairs(), **how)
        assert len(trained.history) == 2

    def test_the_record_has_settings_and_versions(self) -> None:
        record = fit(affine(3, 2), pairs(), epochs=2, seed=5).record
        assert record["seed"] == 5
        assert record["epochs"] == 2
        assert record["optimizer"].endswith("adam")
        assert record["jax"] == jax.__version__
        assert {"intertwine", "equinox", "optax", "device"} <= set(record)


class TestProgress:
    def test_a_bar_shows_epochs_and_losses(self, capfd: pytest.CaptureFixture[str]) -> None:
        trained = fit(affine(3, 2), pairs(), test=pairs(9), epochs=4, progress=True)
        shown = capfd.readouterr().err
        assert "4/4" in shown
        assert f"test={trained.test_loss:.3g}" in shown

    def test_no_bar_is_shown_in_a_pipe(self, capfd: pytest.CaptureFixture[str]) -> None:
        fit(affine(3, 2), pairs(), epochs=2)
        assert capfd.readouterr() == ("", "")


def test_the_seconds_only_grow() -> None:
    seconds = [row.seconds for row in fit(affine(3, 2), pairs(), epochs=9).history]
    assert all(a < b for a, b in itertools.pairwise([0.0, *seconds]))
