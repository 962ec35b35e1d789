"""The laws of engines: what `fit` relies on, for JAX and PyTorch alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.example_training import affine, pairs
from intertwine.errors import FormatError
from intertwine.training.batches import Batches, order_of
from intertwine.training.engine import Engine, Orders, State, Steps, engine_of
from intertwine.training.losses import mean_squared_error

torch = pytest.importorskip("torch")

EPOCHS, BATCHES = 4, Batches.of(20, 8)
DATA = pairs(20)


def linear() -> Any:
    layer = torch.nn.Linear(3, 2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    return layer


MODELS = {"jax": lambda: affine(3, 2), "torch": linear}
ORDERS = Orders(
    np.stack([order_of(epoch, 20, 0) for epoch in range(EPOCHS)]),
    None,
    np.linspace(0.1, 0.01, EPOCHS * BATCHES.count).reshape(EPOCHS, BATCHES.count),
)


@pytest.fixture(params=MODELS)
def engine(request: pytest.FixtureRequest) -> Engine:
    return engine_of(MODELS[request.param]())


@pytest.fixture
def steps(engine: Engine) -> Steps:
    return steps_of(engine)


def steps_of(engine: Engine, loss: Any = mean_squared_error) -> Steps:
    return engine.steps(loss, engine.default_optimizer(), BATCHES, None, 0)


def run(engine: Engine, steps: Steps, state: State, first: int, last: int) -> Any:
    orders = Orders(np.roll(ORDERS.samples, -first, 0), None, np.roll(ORDERS.rates, -first, 0))
    return steps.advance(state, engine.samples_of(DATA), None, orders, range(first, last))


def numbers(steps: Steps, tree: Any) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in steps.to_arrays(tree).items()}


def restored(steps: Steps, state: State, like: State) -> State:
    """Write a state and read it again."""
    parts = zip(state, like, strict=True)
    return State(*(steps.from_arrays(steps.to_arrays(part), one) for part, one in parts))


def test_both_are_engines(engine: Engine, steps: Steps) -> None:
    assert isinstance(engine, Engine)
    assert isinstance(steps, Steps)
    assert engine.has_weights
    assert len(engine.versions().keys() & MODELS.keys()) == 1


def test_samples_have_the_dtype_of_the_weights_and_labels_stay_integers(engine: Engine) -> None:
    samples = engine.samples_of((DATA[0], np.arange(20)))
    assert "float32" in str(samples.x.dtype)
    assert "int" in str(samples.y.dtype)
    assert engine.output_shape(samples.x) == (20, 2)


def test_steps_do_not_change_the_model(engine: Engine, steps: Steps) -> None:
    before = [array.copy() for array in engine.weight_arrays()]
    run(engine, steps, steps.start(), 0, EPOCHS)
    for one, other in zip(before, engine.weight_arrays(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_epochs_one_by_one_are_those_of_one_call(engine: Engine) -> None:
    whole, apart = steps_of(engine), steps_of(engine)
    expected = run(engine, whole, whole.start(), 0, EPOCHS)
    state, losses = apart.start(), []
    for epoch in range(EPOCHS):
        found = run(engine, apart, state, epoch, epoch + 1)
        state, losses = found.state, [*losses, np.asarray(found.losses)[0]]
    np.testing.assert_array_equal(np.asarray(expected.losses)[:EPOCHS], losses)
    for one, other in zip(expected.state, state, strict=True):
        assert numbers(whole, one) == numbers(apart, other)


def test_a_written_state_continues_with_the_same_numbers(engine: Engine) -> None:
    whole = steps_of(engine)
    middle = run(engine, whole, whole.start(), 0, 2).state
    other = steps_of(engine)
    state = restored(other, middle, other.start())
    expected = run(engine, whole, middle, 2, EPOCHS)
    found = run(engine, other, state, 2, EPOCHS)
    np.testing.assert_array_equal(np.asarray(expected.losses), np.asarray(found.losses))
    for one, two in zip(expected.state, found.state, strict=True):
        assert numbers(whole, one) == numbers(other, two)


def test_arrays_of_other_shapes_and_missing_ones_are_refused(engine: Engine) -> None:
    steps = steps_of(engine)
    weights = steps.start().weights
    arrays = steps.to_arrays(weights)
    name = next(iter(arrays))
    with pytest.raises(FormatError, match=r"shape \(1,\), not .*\(\d, \d\)"):
        steps.from_arrays({**arrays, name: np.zeros(1, np.float32)}, weights)
    with pytest.raises(KeyError):
        steps.from_arrays({key: one for key, one in arrays.items() if key != name}, weights)


def test_copies_and_models_stay_as_they_are(engine: Engine, steps: Steps) -> None:
    state = run(engine, steps, steps.start(), 0, 1).state
    loss = steps.mean_loss(state, engine.samples_of(DATA), 8)
    copied, model = steps.copy(state.weights), steps.model(state.weights)
    before = numbers(steps, copied)
    assert run(engine, steps, state, 1, EPOCHS).sound
    assert numbers(steps, copied) == before
    for one in (model, steps.model(copied)):
        found = engine_of(one)
        assert found.mean_loss(found.samples_of(DATA), mean_squared_error, 8) == loss


def test_measuring_changes_nothing(engine: Engine) -> None:
    plain, measured = steps_of(engine), steps_of(engine)
    samples = engine.samples_of(DATA)
    state = measured.start()
    measured.mean_loss(state, samples, 6)
    engine.outputs(DATA[0], 6)
    found = run(engine, measured, state, 0, EPOCHS)
    expected = run(engine, plain, plain.start(), 0, EPOCHS)
    assert numbers(plain, expected.state.weights) == numbers(measured, found.state.weights)


def test_a_loss_that_is_not_finite_ends_the_call_with_the_state_before_it(engine: Engine) -> None:
    def loss(model: Any, x: Any, y: Any) -> Any:
        error = mean_squared_error(model, x, y)
        return error / (error > 0.05 * len(x))  # infinite or NaN as soon as the error is small

    steps, plain = steps_of(engine, loss), steps_of(engine)
    orders = ORDERS._replace(rates=np.full(ORDERS.rates.shape, 0.3))
    samples = engine.samples_of(DATA)
    found = steps.advance(steps.start(), samples, None, orders, range(EPOCHS))
    losses = np.asarray(found.losses).ravel()
    step = int(np.argmax(~np.isfinite(losses)))
    assert not found.sound
    assert steps.are_finite(found.state.weights)
    assert 0 < step < BATCHES.count * EPOCHS - BATCHES.count
    assert not np.isfinite(losses[step])
    assert not losses[(step // BATCHES.count + 1) * BATCHES.count :].any()
    epochs, batch = divmod(step, BATCHES.count)
    rates = np.where(np.arange(ORDERS.rates.size) < step, 0.3, 0).reshape(ORDERS.rates.shape)
    expected = plain.advance(
        plain.start(), samples, None, ORDERS._replace(rates=rates), range(epochs + (batch > 0))
    )
    expected_weights = plain.to_arrays(expected.state.weights)
    for name, array in steps.to_arrays(found.state.weights).items():
        np.testing.assert_allclose(array, expected_weights[name], rtol=1e-5, atol=1e-7)
