"""Interrupted fits resume with the same result, or are refused with the reason."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers.crashing_fits import Crash, crash_at
from helpers.example_training import Small, affine, lengths, pairs
from intertwine.errors import FormatError, InvalidSetting
from intertwine.groups import SO
from intertwine.nn import Linear, Standardize
from intertwine.reps import V
from intertwine.training import Trained, fit

FILE = "checkpoint.safetensors"


def assert_same(a: Trained, b: Trained) -> None:
    """Assert that two results are equal bit for bit, except for the clock."""
    for one, other in ((a.model, b.model), (a.best, b.best)):
        for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
            assert np.asarray(x).tobytes() == np.asarray(y).tobytes()
    rows = [[{**row, "seconds": 0} for row in t.history.to_json()] for t in (a, b)]
    assert rows[0] == rows[1]
    assert (a.best_epoch, a.stopped) == (b.best_epoch, b.stopped)


def small_fit(**more: Any) -> Trained:
    settings = {"epochs": 20, "batch_size": 16, "schedule": "cosine", "test": pairs(20, 1)}
    return fit(Small(3, 2), pairs(), **{**settings, **more})


@pytest.mark.parametrize(
    "more",
    [
        {},
        pytest.param(
            {"optimizer": optax.sgd, "learning_rate": 0.05, "batch_size": 10},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"optimizer": optax.adamw(1e-3), "schedule": "constant"}, marks=pytest.mark.slow
        ),
        {"patience": 50, "validation": pairs(30, 2), "evaluate_every": 3},
    ],
    ids=["adam", "sgd, uneven batches", "own rate", "best"],
)
def test_an_interrupted_fit_resumes_with_the_same_result(tmp_path: Path, more: Any) -> None:
    whole = small_fit(**more)
    kept = {**more, "checkpoint": tmp_path, "checkpoint_every": 4}
    for epoch in (6, 15):
        with pytest.raises(Crash):
            small_fit(**kept, callback=crash_at(epoch))
    assert_same(small_fit(**kept), whole)


@pytest.mark.slow
def test_an_augmented_fit_resumes_with_the_same_elements(tmp_path: Path) -> None:
    def run(**more: Any) -> Trained:
        return fit(Small(3, 1), lengths(30), epochs=12, batch_size=15, augment=SO(3), **more)

    whole = run()
    with pytest.raises(Crash):
        run(checkpoint=tmp_path, checkpoint_every=5, callback=crash_at(8))
    assert_same(run(checkpoint=tmp_path, checkpoint_every=5), whole)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128], ids=["64", "128"])
def test_weights_of_every_kind_are_saved_exactly(tmp_path: Path, dtype: Any) -> None:
    with jax.enable_x64(True):
        model = affine(3, 2, dtype)

    def run(**more: Any) -> Trained:
        return fit(model, pairs(), epochs=8, batch_size=16, **more)

    with pytest.raises(Crash):
        run(checkpoint=tmp_path, checkpoint_every=3, callback=crash_at(4))
    again = run(checkpoint=tmp_path, checkpoint_every=3)
    assert again.model.matrix.dtype == dtype
    assert_same(again, run())


@pytest.mark.slow
def test_another_process_finishes_the_fit_of_a_killed_one(tmp_path: Path) -> None:
    program = textwrap.dedent(
        f"""
        import os, signal
        from helpers.example_training import Small, pairs
        from intertwine.training import fit

        def kill(event):
            if event.epoch == 11:
                os.kill(os.getpid(), signal.SIGKILL)

        fit(Small(3, 2), pairs(), epochs=20, batch_size=16, schedule="cosine", test=pairs(20, 1),
            checkpoint={str(tmp_path)!r}, checkpoint_every=8, callback=kill)
        """
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    seen: list[int] = []
    resumed = small_fit(checkpoint=tmp_path, callback=lambda event: seen.append(event.epoch))
    assert seen == list(range(9, 21))
    assert_same(resumed, small_fit())


def test_a_finished_fit_is_not_run_again(tmp_path: Path) -> None:
    first = small_fit(checkpoint=tmp_path)
    again = small_fit(checkpoint=tmp_path, callback=crash_at(20))
    assert again.history == first.history
    assert_same(again, first)


@pytest.mark.slow
def test_exhausted_patience_persists(tmp_path: Path) -> None:
    X, Y = pairs()
    how: Any = {"validation": (X, -Y), "patience": 2, "checkpoint": tmp_path, "epochs": 500}
    first = fit(Small(3, 2), (X, Y), **how)
    assert first.stopped == "patience"
    assert_same(fit(Small(3, 2), (X, Y), **how), first)


@pytest.mark.parametrize("epochs", [8, 9, 10])
def test_a_resumed_longer_fit_equals_an_uninterrupted_one(tmp_path: Path, epochs: int) -> None:
    """Also if the short one ended between two evaluations, and its last loss was the best."""
    how: Any = {"schedule": "constant", "evaluate_every": 3, "validation": pairs(20, 2)}
    short = small_fit(**how, epochs=epochs, checkpoint=tmp_path)
    assert short.history.column("test_loss")[-1][0] == epochs
    assert_same(small_fit(**how, epochs=epochs, checkpoint=tmp_path), short)
    longer = small_fit(**how, epochs=14, checkpoint=tmp_path)
    assert [epoch for epoch, _ in longer.history.column("test_loss")] == [3, 6, 9, 12, 14]
    assert_same(longer, small_fit(**how, epochs=14))


def test_a_longer_fit_resumes_if_its_learning_rates_agree(tmp_path: Path) -> None:
    short = {"schedule": "constant", "checkpoint": tmp_path, "epochs": 5}
    small_fit(**short)
    assert_same(small_fit(**{**short, "epochs": 9}), small_fit(schedule="constant", epochs=9))
    with pytest.raises(InvalidSetting, match=r"its 9 epochs had other learning rates"):
        small_fit(**{**short, "schedule": "cosine", "epochs": 20})
    with pytest.raises(InvalidSetting, match=r"or are more than those here"):
        small_fit(**short)


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        ({"seed": 1}, "seed is 0 there and 1 here"),
        ({"batch_size": 32}, "batch_size is 16 there and 32 here"),
        ({"learning_rate": 0.1}, "had other learning rates"),
        ({"loss": "mae"}, "loss is .*mean_squared_error there and .*mean_absolute_error here"),
        ({"optimizer": optax.sgd}, "optimizer is .*adam there and .*sgd here"),
        (
            {"optimizer": functools.partial(optax.adam, b1=0.8)},
            r"optimizer is .*adam there and .*adam\(b1=0.8\) \(\w+\) here",
        ),
        ({"test": pairs(20, 3)}, "test is [0-9a-f]{64} there"),
        ({"patience": 3}, "patience is None there and 3 here"),
    ],
    ids=[
        *("seed", "batch size", "learning rate", "loss", "optimizer", "hyperparameters"),
        *("test data", "patience"),
    ],
)
def test_the_checkpoint_of_another_fit_is_refused(
    tmp_path: Path, other: Any, complaint: str
) -> None:
    small_fit(epochs=2, checkpoint=tmp_path, schedule="constant")
    kept = (tmp_path / FILE).read_bytes()
    with pytest.raises(InvalidSetting, match=complaint) as caught:
        small_fit(**{"epochs": 2, "schedule": "constant", "checkpoint": tmp_path, **other})
    assert "is of another fit" in str(caught.value)
    assert str(tmp_path / FILE) in str(caught.value)
    assert (tmp_path / FILE).read_bytes() == kept


def test_initial_weights_may_differ_by_rounding(tmp_path: Path) -> None:
    model = Small(3, 2)
    rounded = eqx.tree_at(lambda m: m.first, model, model.first * (1 + 1e-6))
    first = fit(model, pairs(), epochs=2, checkpoint=tmp_path)
    assert_same(fit(rounded, pairs(), epochs=2, checkpoint=tmp_path), first)


def test_the_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    fit(Small(3, 2), pairs(), epochs=1, checkpoint=tmp_path)
    with pytest.raises(InvalidSetting, match=r"the initial weights differ"):
        fit(Small(3, 2, seed=1), pairs(), epochs=1, checkpoint=tmp_path)
    with pytest.raises(InvalidSetting, match=r"weights is float32.* there and float32.* here"):
        fit(affine(3, 2), pairs(), epochs=1, checkpoint=tmp_path)


@pytest.mark.slow
def test_the_checkpoint_of_another_model_with_the_same_weights_is_refused(tmp_path: Path) -> None:
    layer, data = Linear(V, V, SO(3)), (np.eye(3), 2 * np.eye(3))
    stats = {scale: Standardize(layer, (0, scale)) for scale in (1, 2)}
    fit(layer, data, epochs=1, checkpoint=tmp_path / "bare")
    fit(stats[1], data, epochs=1, checkpoint=tmp_path / "standardized")
    for folder, kept in (("bare", "Linear"), ("standardized", "Standardize")):
        complaint = rf"model is .*{kept} \(\w+\) there and .*Standardize \(\w+\) here"
        with pytest.raises(InvalidSetting, match=complaint):
            fit(stats[2], data, epochs=1, checkpoint=tmp_path / folder)


@pytest.mark.slow
def test_the_checkpoint_of_another_loss_or_optimiser_of_the_same_name_is_refused(
    tmp_path: Path,
) -> None:
    def run(weight: float, rate: float) -> Trained:
        return fit(
            Small(3, 2),
            pairs(),
            loss=lambda model, x, y: weight * jnp.mean((model(x) - y) ** 2),
            optimizer=optax.adam(rate),
            epochs=1,
            checkpoint=tmp_path,
        )

    assert_same(run(1.0, 1e-3), run(1.0, 1e-3))
    with pytest.raises(InvalidSetting, match=r"loss is .*<lambda> \(\w+\) there and .*<lambda>"):
        run(2.0, 1e-3)
    with pytest.raises(InvalidSetting, match=r"optimizer is .* \(\w+\) there and .* here"):
        run(1.0, 1e-1)


class TestDamage:
    def damaged(self, tmp_path: Path, change: Any) -> None:
        path = tmp_path / FILE
        small_fit(epochs=2, schedule="constant", checkpoint=tmp_path)
        path.write_bytes(change(path.read_bytes()))
        with pytest.raises(FormatError, match=f"{FILE} cannot be read: .* Delete it to start"):
            small_fit(epochs=2, schedule="constant", checkpoint=tmp_path)

    @pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
    def test_a_truncated_file(self, tmp_path: Path, share: float) -> None:
        self.damaged(tmp_path, lambda blob: blob[: int(share * len(blob))])

    def test_a_flipped_bit(self, tmp_path: Path) -> None:
        self.damaged(tmp_path, lambda blob: blob[:-3] + bytes([blob[-3] ^ 1]) + blob[-2:])

    def test_an_edited_history(self, tmp_path: Path) -> None:
        self.damaged(tmp_path, lambda blob: blob.replace(b'epoch\\": 2', b'epoch\\": 3', 1))

    def test_a_file_of_another_kind(self, tmp_path: Path) -> None:
        from safetensors.numpy import save

        self.damaged(tmp_path, lambda blob: save({"a": np.zeros(3)}))


def test_a_failed_save_leaves_the_previous_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full when the second checkpoint is synced."""
    syncs: list[int] = []

    def sync(descriptor: int) -> None:
        syncs.append(descriptor)
        if len(syncs) == 3:  # file, folder, file
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(OSError, match="No space left"):
        small_fit(checkpoint=tmp_path, checkpoint_every=8)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert_same(small_fit(checkpoint=tmp_path, checkpoint_every=8), small_fit())


def test_each_save_is_told_with_its_epoch(tmp_path: Path) -> None:
    told: list[int] = []

    def tell(epoch: int) -> None:
        assert (tmp_path / FILE).exists()
        told.append(epoch)

    small_fit(checkpoint=tmp_path, checkpoint_every=8, on_checkpoint=tell)
    assert told == [8, 16, 20]
