"""Learning rates, batches and orders: the arithmetic around the loop."""

from __future__ import annotations

import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.errors import InvalidSetting, UnknownMethod
from intertwine.training.batches import Batches, order_of
from intertwine.training.schedules import learning_rates


class TestLearningRates:
    def test_the_constant_schedule(self) -> None:
        np.testing.assert_array_equal(learning_rates("constant", 0.1, 3, 2), np.full((3, 2), 0.1))

    def test_the_cosine_equals_that_of_optax(self) -> None:
        ours = learning_rates("cosine", 0.1, 5, 4).ravel()
        theirs = [optax.cosine_decay_schedule(0.1, 20)(step) for step in range(20)]
        np.testing.assert_allclose(ours, theirs, atol=1e-8)

    def test_a_warm_up_rises_over_a_twentieth_and_then_falls(self) -> None:
        rates = learning_rates("warmup cosine", 1.0, 10, 20).ravel()
        np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 10)
        assert rates[10] == 1.0
        assert (np.diff(rates[10:]) < 0).all()
        assert 0 < rates[-1] < 1e-3

    @given(st.sampled_from(["constant", "cosine", "warmup cosine"]), st.integers(0, 9))
    def test_rates_are_never_more_than_the_one_given(self, name: str, epochs: int) -> None:
        rates = learning_rates(name, 0.5, epochs, 1)
        assert rates.shape == (epochs, 1)
        assert (rates > 0).all()
        assert (rates <= 0.5).all()

    @pytest.mark.parametrize(
        "schedule",
        [
            optax.exponential_decay(0.1, 10, 0.5),
            optax.piecewise_constant_schedule(0.1, {5: 0.1}),
            optax.constant_schedule(0.1),
            lambda step: 0.1 if step < 3 else 0.01,
            lambda step: 0.1,
        ],
        ids=["decay", "pieces", "constant", "python", "number"],
    )
    def test_a_function_is_the_rate_itself(self, schedule: object) -> None:
        rates = learning_rates(schedule, 7.0, 4, 2).ravel()
        np.testing.assert_allclose(rates, [float(schedule(t)) for t in range(8)], rtol=1e-6)

    def test_invalid_schedules_are_refused(self) -> None:
        with pytest.raises(UnknownMethod, match="constant, cosine, warmup cosine, or give"):
            learning_rates("linear", 0.1, 1, 1)
        with pytest.raises(InvalidSetting, match=r"-0\.5 at step 3"):
            learning_rates(lambda step: 1 - step / 2, 0.1, 5, 1)


@given(st.integers(1, 2000), st.integers(1, 700))
def test_batch_sizes_differ_by_at_most_one_and_cover_every_sample(n: int, batch_size: int) -> None:
    sizes = Batches.of(n, batch_size).sizes
    assert sizes.sum() == n
    assert len(sizes) == -(-n // batch_size)
    assert sizes.max() <= batch_size
    assert sizes.max() - sizes.min() <= 1
    assert (np.diff(sizes) <= 0).all()


@pytest.mark.slow
@settings(deadline=None, max_examples=15)  # each is compiled
@given(st.integers(1, 50), st.integers(1, 50))
def test_a_scan_sees_each_batch_once_in_order(n: int, batch_size: int) -> None:
    batches = Batches.of(n, batch_size)

    def step(carry: int, rows: np.ndarray, batch: np.ndarray) -> tuple[int, np.ndarray]:
        return carry + rows.sum(), rows.sum() * 1000 + batch

    numbers, labels = np.arange(n, dtype=np.int32), np.arange(batches.count, dtype=np.int32)
    total, out = batches.scan(step, np.int32(0), numbers, labels)
    parts = np.split(numbers, np.cumsum(batches.sizes)[:-1])
    assert total == numbers.sum()
    assert list(out) == [part.sum() * 1000 + i for i, part in enumerate(parts)]


def test_orders_are_permutations_that_depend_on_seed_and_epoch_alone() -> None:
    orders = {(seed, epoch): order_of(epoch, 50, seed) for seed in (0, 1) for epoch in (0, 1, 2)}
    for order in orders.values():
        assert sorted(order) == list(range(50))
    assert len({tuple(order) for order in orders.values()}) == 6
    np.testing.assert_array_equal(orders[1, 2], order_of(2, 50, 1))
