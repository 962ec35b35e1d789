"""Promises of all datasets: seeds, shapes, and the protocol of PyTorch's DataLoader."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers.program import python
from helpers.support import run_python
from intertwine.datasets import (
    BrokenRubiksCube,
    Dataset,
    DoubleSpringPendulum,
    Inertia,
    InvertedCube,
    O5Synthetic,
    ParticleInteraction,
)
from intertwine.errors import TooLarge
from intertwine.groups import O

NUMBERS = [Inertia, O5Synthetic, ParticleInteraction]


def _cube(n: int, **options: Any) -> Dataset:
    return InvertedCube(train=False, n=n, **options)


def _rubiks_cube(n: int, **options: Any) -> Dataset:
    return BrokenRubiksCube(train=False, n=n, **options)


def _pendulum(n: int, **options: Any) -> Dataset:
    return DoubleSpringPendulum(n, integration_time=4.0, **options)


MAKERS = [*NUMBERS, _cube, _rubiks_cube, _pendulum]
every_dataset = pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
Make = Callable[..., Dataset]


@every_dataset
class TestEveryDataset:
    def test_it_has_n_points_of_the_size_of_its_rep(self, make: Make) -> None:
        data = make(12)
        assert len(data) == len(data.X) == len(data.Y) == 12
        assert data.X.shape == (12, data.rep_in(data.symmetry).size())
        assert data.X.dtype == np.float32
        assert np.isfinite(data.X).all()

    def test_equal_arguments_give_equal_data_and_other_seeds_others(self, make: Make) -> None:
        first, again, other = make(12), make(12), make(12, seed=1)
        np.testing.assert_array_equal(first.X, again.X)
        np.testing.assert_array_equal(first.Y, again.Y)
        assert not np.array_equal(first.X, other.X)
        np.testing.assert_array_equal(first.X, make(12, seed=0).X)

    def test_an_index_gives_a_point_and_a_slice_or_an_array_a_batch(self, make: Make) -> None:
        data = make(12)
        for index in (3, -1, slice(2, 9, 2), np.array([5, 1, 5]), [0, 11]):
            x, y = data[index]
            x = x[0] if isinstance(x, tuple) else x
            np.testing.assert_array_equal(x, data.X[index])
            np.testing.assert_array_equal(y, data.Y[index])

    def test_iteration_ends_after_the_last_point(self, make: Make) -> None:
        data = make(5)
        with pytest.raises(IndexError):
            data[5]
        assert sum(1 for _ in data) == 5  # Python's own way through what has __getitem__

    def test_it_prints_as_the_call_that_makes_it(self, make: Make) -> None:
        data = make(4)
        written = re.fullmatch(r"(\w+)\((.*), symmetry=(.*)\)", repr(data))
        assert written
        assert written[1] == type(data).__name__
        assert written[3] == repr(data.symmetry)
        settings = dict(pair.split("=") for pair in written[2].split(", "))
        again = type(data)(**{key: _read(value) for key, value in settings.items()})
        np.testing.assert_array_equal(again.X, data.X)

    @pytest.mark.parametrize("n", [10**12, 10**30])
    def test_data_larger_than_memory_are_refused_at_once(self, make: Make, n: int) -> None:
        with pytest.raises(TooLarge, match=r"needs about .* GB of memory"):
            make(n)

    def test_points_collate_as_in_pytorch(self, make: Make) -> None:
        """DataLoader asks for len, then for each point by a Python int, and stacks the parts."""
        data = make(10)
        order = np.random.default_rng(0).permutation(len(data)).tolist()
        batch = _collate([data[i] for i in order])
        for ours, stacked in zip(_leaves(data[np.array(order)]), _leaves(batch), strict=True):
            np.testing.assert_array_equal(ours, stacked)
            assert ours.dtype == stacked.dtype


def _read(value: str) -> Any:
    """Return a bool, an int or a float from its printed form."""
    if value in ("True", "False"):
        return value == "True"
    return float(value) if "." in value else int(value)


def _collate(points: list[Any]) -> Any:
    """Collate tuples, arrays and NumPy's numbers like torch.utils.data.default_collate."""
    if isinstance(points[0], tuple):
        return tuple(_collate(list(parts)) for parts in zip(*points, strict=True))
    assert isinstance(points[0], np.ndarray | np.generic)
    assert not isinstance(points[0], np.ndarray) or points[0].flags.writeable  # else it warns
    return np.stack(points)


def _leaves(batch: Any) -> list[Any]:
    return (
        [leaf for part in batch for leaf in _leaves(part)] if isinstance(batch, tuple) else [batch]
    )


@pytest.mark.parametrize("make", NUMBERS)
@pytest.mark.parametrize("seeds", [(0, 0), (3, 3), (0, 1)])
def test_a_training_set_and_a_test_set_share_no_points(make: Make, seeds: tuple[int, int]) -> None:
    train, test = make(1000, seed=seeds[0]), make(2000, seed=seeds[1])
    rows = {row.tobytes() for row in train.X} | {row.tobytes() for row in test.X}
    assert len(rows) == 3000
    numbers = np.concatenate([train.X.ravel(), test.X.ravel()]).astype(np.float64)
    assert np.unique(numbers).size > 0.99 * numbers.size  # nor are parts of points shared


def test_datasets_draw_different_numbers() -> None:
    five = Inertia(100, k=4).X[:, 4:].ravel()
    assert not np.isin(O5Synthetic(100).X, five).any()
    assert not np.isin(Inertia(100, k=5).X[:, 5:], five).any()


@pytest.mark.slow
def test_data_are_the_same_in_every_process() -> None:
    program = """
    import hashlib
    from intertwine import datasets as d
    sets = [d.Inertia(50), d.O5Synthetic(50), d.ParticleInteraction(50),
            d.InvertedCube(False), d.BrokenRubiksCube(False),
            d.DoubleSpringPendulum(3, integration_time=2.0)]
    answer([hashlib.sha256(s.X.tobytes() + s.Y.tobytes()).hexdigest() for s in sets])
    """
    runs = [run_python(program, env={"PYTHONHASHSEED": seed}) for seed in ("1", "2")]
    assert [run.status for run in runs] == [0, 0], runs[0].stderr
    assert runs[0].value == runs[1].value
    assert len(set(runs[0].value)) == 6


def test_defaults_are_those_of_the_paper() -> None:
    shown = [repr(type(data)(3).symmetry) for data in (Inertia(1), O5Synthetic(1))]
    assert shown == ["SO(3)", "O(5)"]
    assert repr(ParticleInteraction(1).symmetry) == "SO13p()"
    assert repr(DoubleSpringPendulum(1, integration_time=1.0).symmetry) == "O2eR3()"
    assert Inertia(3, symmetry=O(3)).symmetry == O(3)
    reps = [f"{data.rep_in} → {data.rep_out}" for data in (Inertia(1), ParticleInteraction(1))]
    assert reps == ["5V⁰+5V → V²", "4V → V⁰"]
    assert len(Inertia()) == 1024


def test_importing_them_loads_nothing_heavy() -> None:
    program = "from intertwine.datasets import Inertia, Loader, BrokenRubiksCube\n"
    program += "Inertia(5); BrokenRubiksCube(False); import sys; print(*sys.modules)"
    loaded = set(python(program).split())
    assert not loaded & {"jax", "torch", "matplotlib", "sympy", "scipy", "tqdm"}
