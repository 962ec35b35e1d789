"""Gradients accumulated over microbatches: those of the whole batch, up to rounding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.example_training import Affine, Small, affine, pairs
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.errors import InvalidSetting
from intertwine.groups import SO
from intertwine.nn import EMLP, MLP, Linear, Sequential, Standardize
from intertwine.reps import Scalar, V
from intertwine.training import fit, mean_squared_error, value_and_grad_in_microbatches
from intertwine.training.checkpoint import Checkpoint
from intertwine.training.losses import LOSSES
from intertwine.training.microbatches import MICROBATCH, microbatch_size_of


def squared(model: Any, x: Any, y: Any) -> Any:
    return jnp.mean((model(x) - y) ** 2)


class Watched:
    """A loss that keeps the sizes of the batches it was called with; `fit` knows nothing of it."""

    def __init__(self) -> None:
        self.sizes: set[int] = set()

    def __call__(self, model: Any, x: Any, y: Any) -> Any:
        self.sizes.add(len(x))
        return squared(model, x, y)


class TestGradients:
    @pytest.mark.slow
    @settings(deadline=None, max_examples=6)
    @given(samples=st.integers(1, 40), size=st.integers(1, 45))
    def test_value_and_gradient_are_those_of_the_whole_batch(self, samples: int, size: int) -> None:
        loss, (X, Y) = Watched(), map(jnp.float32, pairs(samples))
        model = Affine(jnp.ones((3, 2)), jnp.arange(2.0))
        value, gradient = value_and_grad_in_microbatches(loss, size)(model, X, Y)
        expected, whole = jax.value_and_grad(squared)(model, X, Y)
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        for ours, theirs in zip(jax.tree.leaves(gradient), jax.tree.leaves(whole), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
        assert max(loss.sizes) <= size
        assert max(loss.sizes) - min(loss.sizes) <= 1

    def test_microbatches_are_of_one_size_where_a_few_more_allow_it(self) -> None:
        for samples, sizes in ((4096, {512}), (600, {300}), (4095, {455}), (1031, {343, 344})):
            loss, X = Watched(), jnp.ones((samples, 3))
            jax.eval_shape(value_and_grad_in_microbatches(loss), affine(3, 2), X, X[:, :2])
            assert loss.sizes == sizes

    def test_a_batch_that_fits_is_computed_as_a_whole(self) -> None:
        X, Y = map(jnp.float32, pairs(MICROBATCH))
        model = Small(3, 2)
        ours = jax.jit(value_and_grad_in_microbatches(squared))(model, X, Y)
        whole = jax.jit(jax.value_and_grad(squared))(model, X, Y)
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(whole), strict=True):
            assert a.tobytes() == b.tobytes()

    @pytest.mark.slow
    def test_a_model_may_have_leaves_that_are_not_trained(self) -> None:
        class Mixed(eqx.Module):
            weight: Any
            order: Any
            function: Any

            def __call__(self, x: Any) -> Any:
                return self.function(x[..., self.order] @ self.weight)

        X, Y = map(jnp.float32, pairs(10))
        model = Mixed(jnp.ones((3, 2)), jnp.array([2, 0, 1]), jnp.sin)
        _, gradient = eqx.filter_jit(value_and_grad_in_microbatches(squared, 3))(model, X, Y)
        expected = eqx.filter_grad(squared)(model, X, Y)
        np.testing.assert_allclose(gradient.weight, expected.weight, rtol=1e-5)
        assert gradient.order is None

    @pytest.mark.slow
    def test_complex_weights_and_mixed_precision(self) -> None:
        def loss(weights: Any, x: Any) -> Any:
            return jnp.mean(jnp.abs(x @ weights["a"] + weights["b"].astype(jnp.float32)) ** 2)

        weights = {"a": jnp.array([1 + 2j, 3 - 1j, 1j], np.complex64), "b": jnp.float16(0.5)}
        X = jnp.float32(pairs(20)[0])
        value, gradient = value_and_grad_in_microbatches(loss, 6)(weights, X)
        expected, whole = jax.value_and_grad(loss)(weights, X)
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        for name, one in whole.items():
            assert gradient[name].dtype == one.dtype
            np.testing.assert_allclose(gradient[name], one, rtol=2e-3)

    @pytest.mark.parametrize("batch", [(np.ones((4, 3)), np.ones((5, 2))), (np.float32(1),), ()])
    def test_arrays_of_unequal_lengths_are_refused(self, batch: Any) -> None:
        with pytest.raises(InvalidSetting, match="one row for each sample"):
            value_and_grad_in_microbatches(squared)(affine(3, 2), *batch)

    def test_a_size_of_zero_is_refused(self) -> None:
        with pytest.raises(InvalidSetting, match="size is an integer from 1 on, not 0"):
            value_and_grad_in_microbatches(squared, 0)


class TestFit:
    def test_only_means_over_samples_are_split(self) -> None:
        emlp = EMLP(V, Scalar, SO(3), ch=4, num_layers=1)

        class OwnModel(Affine):
            """A model that is no layer of this library."""

            rep_in: Any = eqx.field(static=True, default=V(SO(3)))
            rep_out: Any = eqx.field(static=True, default=Scalar(SO(3)))

        class Extended(MLP):
            """A subclass may do anything in its `__call__`."""

        class OwnLayer(Linear):
            """So may a layer."""

        own = OwnModel(jnp.ones((3, 1)), jnp.ones(1))
        extended = Extended(V, Scalar, SO(3), ch=4, num_layers=1)
        mixed = Sequential(Linear(V, V, SO(3)), OwnLayer(V, V, SO(3)))
        standardized = Standardize(own, (np.zeros(3), np.ones(3)))
        for loss in LOSSES.values():
            assert microbatch_size_of(loss, emlp, None) == MICROBATCH
            assert microbatch_size_of(loss, mixed.layers[0], None) == MICROBATCH
            for model in (own, extended, mixed, standardized, lambda x: x):
                assert microbatch_size_of(loss, model, None) is None
                assert microbatch_size_of(loss, model, 64) == 64
        assert microbatch_size_of(squared, emlp, None) is None

    def test_whole_batches_are_computed_on_a_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = MLP(V, Scalar, SO(3), ch=4, num_layers=1)
        monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
        assert microbatch_size_of(mean_squared_error, model, None) is None
        assert microbatch_size_of(mean_squared_error, model, 64) == 64

    @pytest.mark.slow
    @pytest.mark.parametrize(("size", "expected"), [(None, {150}), (64, {50})])
    def test_a_loss_of_ones_own_is_split_on_request(self, size: Any, expected: set[int]) -> None:
        loss = Watched()
        fit(affine(3, 2), pairs(150), loss=loss, epochs=1, microbatch_size=size)
        assert loss.sizes == expected

    def test_a_maximum_over_the_batch_is_kept(self) -> None:
        def largest(model: Any, x: Any, y: Any) -> Any:
            return jnp.max((model(x) - y) ** 2)

        data = pairs(1100)
        how: dict[str, Any] = {"loss": largest, "epochs": 1, "batch_size": 1100}
        expected = np.max(data[1] ** 2)
        found = fit(affine(3, 2), data, **how).history[0].train_loss
        assert found == pytest.approx(expected, rel=1e-5)

    @pytest.mark.slow
    def test_a_fit_in_microbatches_equals_one_of_whole_batches(self) -> None:
        X = np.random.default_rng(0).standard_normal((2400, 3))
        data = X, np.sum(X**2, axis=1, keepdims=True)
        model = MLP(V, Scalar, SO(3), ch=16, num_layers=1)
        how: dict[str, Any] = {"epochs": 5, "batch_size": 1200, "test": data}
        ours, whole = fit(model, data, **how), fit(model, data, microbatch_size=1200, **how)
        for a, b in zip(ours.history, whole.history, strict=True):
            assert a.train_loss == pytest.approx(b.train_loss, rel=1e-5)
            assert a.test_loss == pytest.approx(b.test_loss, rel=1e-5)
        for a, b in zip(jax.tree.leaves(ours.model), jax.tree.leaves(whole.model), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4)

    @pytest.mark.slow
    def test_a_resumed_fit_has_the_same_result(self, tmp_path: Path) -> None:
        how: dict[str, Any] = {"microbatch_size": 20, "batch_size": 50}
        for epochs in (3, 7):
            resumed = fit(Small(3, 2), pairs(100), epochs=epochs, checkpoint=tmp_path, **how)
        whole = fit(Small(3, 2), pairs(100), epochs=7, **how)
        for a, b in zip(jax.tree.leaves(resumed.model), jax.tree.leaves(whole.model), strict=True):
            assert a.tobytes() == b.tobytes()
        with pytest.raises(InvalidSetting, match="microbatch_size is 20 there and None here"):
            fit(Small(3, 2), pairs(100), epochs=7, batch_size=50, checkpoint=tmp_path)

    def test_a_checkpoint_from_before_microbatches_is_resumed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        save = Checkpoint.save

        def save_as_before(checkpoint: Any, *arguments: Any) -> None:
            del checkpoint.settings["microbatch_size"]
            save(checkpoint, *arguments)

        with monkeypatch.context() as patched:
            patched.setattr(Checkpoint, "save", save_as_before)
            fit(Small(3, 2), pairs(), epochs=3, checkpoint=tmp_path, checkpoint_every=3)
        written = (tmp_path / "checkpoint.safetensors").read_bytes()
        assert b"microbatch_size" not in written
        assert b"batch_size" in written
        trained = fit(Small(3, 2), pairs(), epochs=5, checkpoint=tmp_path)
        assert len(trained.history) == 5

    def test_the_record_has_the_size_that_was_given(self) -> None:
        record = fit(affine(3, 2), pairs(), epochs=1, microbatch_size=16).record
        assert json.loads(json.dumps(record["microbatch_size"])) == 16

    def test_an_invalid_size_is_refused(self) -> None:
        with pytest.raises(InvalidSetting, match="microbatch_size is an integer from 1 on, not 0"):
            fit(affine(3, 2), pairs(), loss=mean_squared_error, microbatch_size=0)
