"""The loop over the epochs of a fit, with few calls of the engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from intertwine.training.augmentation import Augmentation, Pool, Pools
from intertwine.training.batches import Batches, order_of
from intertwine.training.checkpoint_policy import CheckpointPolicy
from intertwine.training.data import DeviceSamples
from intertwine.training.engine import Orders, Steps
from intertwine.training.failure import not_finite, require_finite_loss
from intertwine.training.history import Epoch
from intertwine.training.trained import Event, Stopped
from intertwine.training.training_state import Best, TrainingState

#: Called after an epoch; a return value of True (Python, NumPy or JAX) ends the fit.
Callback = Callable[[Event], Any]

_INDICES = 2**16
_MOST_EPOCHS = 128
"""The largest numbers of sample indices and of epochs in one call of the engine."""
_SECONDS = 0.5
"""The longest call of the engine: between calls the bar moves and Ctrl-C takes effect."""


@dataclass(frozen=True)
class Loop:
    """The constant parts of a fit: its steps, its data, and when it measures losses."""

    steps: Steps
    batches: Batches
    samples: DeviceSamples
    watched: Mapping[str, DeviceSamples]
    batch_size: int
    seed: int
    augmentation: Augmentation | None
    rates: Float[np.ndarray, "epochs batches"]
    shows_rates: bool
    patience: int | None
    evaluate_every: int
    callback: Callback | None

    def run(
        self,
        training: TrainingState,
        policy: CheckpointPolicy,
        show: Callable[[Epoch], None],
    ) -> Stopped:
        """Run the remaining epochs. Return why the fit ended."""
        self._look_at_the_end(training)  # a resumed fit may have no epochs left
        pace, pools = 1, Pools(self.augmentation, self.samples)
        while (stopped := self._stopped(training)) is None:
            looks = [len(self.rates), pools.until(training.epoch, len(self.rates))]
            looks += policy.looks(training.epoch)
            if self.watched or self.callback:
                looks.append(_next(training.epoch, self.evaluate_every))
            count = min(pace, self._capacity, min(looks) - training.epoch)
            seconds = self._advance(training, count, pools.at(training.epoch))
            pace = max(1, int(_SECONDS * count / seconds))
            resumable = self._look_at_the_end(training)
            show(training.rows[-1])
            asked_to_stop = self._callback_stops(training)
            ends = asked_to_stop or self._stopped(training) is not None
            policy.keep(resumable, self.rates, ends=ends)
            if asked_to_stop:
                return "callback"
        return stopped

    def _stopped(self, training: TrainingState) -> Stopped | None:
        if training.epoch >= len(self.rates):
            return "all epochs"
        is_stale = self._looks_at(training.epoch) and training.is_stale(self.patience)
        return "patience" if is_stale else None

    def _looks_at(self, epoch: int) -> bool:
        """Return whether losses are measured and the callback is called after an epoch."""
        return self._is_due(epoch) or epoch == len(self.rates)

    def _is_due(self, epoch: int) -> bool:
        return epoch % self.evaluate_every == 0

    def _look_at_the_end(self, training: TrainingState) -> TrainingState:
        """Measure losses after the last epoch if that is no multiple of `evaluate_every`.

        Return the state without them: a longer fit that resumes from it does not measure there.
        """
        if training.epoch != len(self.rates) or self._is_due(training.epoch):
            return training
        before = replace(training, rows=[*training.rows])
        measured = self._measure(training, training.epoch)
        training.rows[-1] = replace(
            training.rows[-1],
            test_loss=measured.get("test"),
            validation_loss=measured.get("validation"),
        )
        return before

    @property
    def _capacity(self) -> int:
        """Return the largest number of epochs of one call. It depends on the data alone: all
        fits share compiled code.
        """
        return int(np.clip(_INDICES // self.batches.samples, 1, _MOST_EPOCHS))

    @property
    def _measured_at_once(self) -> int:
        """Return the largest number of samples whose test loss is computed at once."""
        return min(self.batch_size, self.steps.microbatch_size or self.batch_size)

    def _advance(self, training: TrainingState, count: int, pool: Pool | None) -> float:
        """Run `count` epochs, write their rows, and return the seconds they took."""
        begun, first, last = time.perf_counter(), training.epoch, training.epoch + count
        orders, epochs = self._orders(first, count), range(first, last)
        outcome = self.steps.advance(training.state, self.samples, pool, orders, epochs)
        training.state = outcome.state
        losses = np.asarray(outcome.losses)[:count]
        if not outcome.sound:
            are_finite = self.steps.are_finite(outcome.state.weights)
            rates = self.rates[first:last]
            raise not_finite(losses, rates, training, weights_are_finite=are_finite)
        measured = self._measure(training, last) if self._is_due(last) else {}
        seconds, before = time.perf_counter() - begun, training.seconds
        for i in range(count):
            known = measured if i == count - 1 else {}
            training.rows.append(
                Epoch(
                    epoch=first + i + 1,
                    train_loss=self.batches.mean(losses[i]),
                    test_loss=known.get("test"),
                    validation_loss=known.get("validation"),
                    learning_rate=float(self.rates[first + i, 0]) if self.shows_rates else None,
                    seconds=before + seconds * (i + 1) / count,
                )
            )
        return seconds

    def _orders(self, first: int, count: int) -> Orders:
        """Return order, slots and rates of `count` epochs, in arrays of the full capacity."""
        n, epochs = self.batches.samples, range(first, first + count)
        orders = np.zeros((self._capacity, n), np.int32)
        rates = np.zeros((self._capacity, self.batches.count))
        slots = None if self.augmentation is None else np.zeros_like(orders)
        for i, epoch in enumerate(epochs):
            orders[i], rates[i] = order_of(epoch, n, self.seed), self.rates[epoch]
            if self.augmentation is not None and slots is not None:
                slots[i] = self.augmentation.slots(epoch)
        return Orders(orders, slots, rates)

    def _measure(self, training: TrainingState, epoch: int) -> dict[str, float]:
        """Return the watched losses, and record the best weights."""
        measured = {
            name: self.steps.mean_loss(training.state, samples, self._measured_at_once)
            for name, samples in self.watched.items()
        }
        for name, loss in measured.items():
            require_finite_loss(loss, name, epoch)
        watched = "validation" if self.patience is None or "validation" in measured else "test"
        deciding = measured.get(watched)
        if deciding is not None and (training.best is None or deciding < training.best.loss):
            training.best = Best(self.steps.copy(training.state.weights), deciding, epoch)
        return measured

    def _callback_stops(self, training: TrainingState) -> bool:
        """Call the callback if it is due. Return whether it ends the fit."""
        if self.callback is None or not self._looks_at(training.epoch):
            return False
        model = self.steps.model(training.state.weights)
        answer = self.callback(Event(**asdict(training.rows[-1]), model=model))
        is_array = getattr(answer, "dtype", None) == np.bool_ and np.shape(answer) == ()
        return bool(answer) if is_array else answer is True


def _next(epoch: int, every: int) -> int:
    """Return the first multiple of `every` after an epoch."""
    return (epoch // every + 1) * every
