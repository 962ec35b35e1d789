"""Batches are those of PyTorch's DataLoader."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from intertwine.datasets import DoubleSpringPendulum, Inertia, Loader


class Numbers:
    """A custom dataset: y = x, for x from 0 to n − 1."""

    def __init__(self, n: int) -> None:
        self.X = np.arange(n)

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, i: Any) -> tuple[Any, Any]:
        return self.X[i], self.X[i]


def _order(loader: Loader) -> list[int]:
    return [int(x) for xs, _ in loader for x in xs]


@given(
    n=st.integers(0, 40), batch_size=st.integers(1, 50), shuffle=st.booleans(), drop=st.booleans()
)
def test_every_point_comes_once_in_batches_of_the_size(
    n: int, batch_size: int, shuffle: bool, drop: bool
) -> None:
    loader = Loader(Numbers(n), batch_size, shuffle, drop_last=drop)
    sizes = [len(x) for x, _ in loader]
    whole, rest = divmod(n, batch_size)
    assert sizes == [batch_size] * whole + [rest] * (rest > 0 and not drop)
    assert len(loader) == len(sizes)
    seen = _order(loader)
    assert len(set(seen)) == len(seen) == sum(sizes)
    if not drop:
        assert sorted(seen) == list(range(n))


def test_batches_hold_the_points_of_the_data() -> None:
    data = Inertia(10)
    (x1, y1), (x2, y2), (x3, y3) = Loader(data, batch_size=4)
    np.testing.assert_array_equal(np.vstack([x1, x2, x3]), data.X)
    np.testing.assert_array_equal(np.vstack([y1, y2, y3]), data.Y)
    assert x3.shape == (2, 20)


def test_inputs_and_targets_stay_together_when_shuffled() -> None:
    for x, y in Loader(Inertia(100), batch_size=32, shuffle=True):
        np.testing.assert_allclose(Inertia.target(x), y, rtol=1e-5, atol=1e-5)


def test_without_shuffle_the_order_is_that_of_the_data_each_time() -> None:
    loader = Loader(Numbers(10), batch_size=3)
    assert _order(loader) == _order(loader) == list(range(10))


def test_with_shuffle_each_pass_has_its_own_order_and_each_seed_its_own_passes() -> None:
    loader = Loader(Numbers(50), batch_size=7, shuffle=True)
    passes = [_order(loader) for _ in range(3)]
    again = Loader(Numbers(50), batch_size=7, shuffle=True)
    assert passes == [_order(again) for _ in range(3)]
    other = Loader(Numbers(50), batch_size=7, shuffle=True, seed=1)
    passes += [_order(other) for _ in range(3)]
    assert len(set(map(tuple, passes))) == 6
    assert list(range(50)) not in passes


def test_a_pass_can_be_repeated_by_its_number() -> None:
    through = Loader(Numbers(50), batch_size=7, shuffle=True)
    passes = [_order(through) for _ in range(4)]
    assert through.epoch == 4
    resumed = Loader(Numbers(50), batch_size=7, shuffle=True)
    resumed.epoch = 2
    assert [_order(resumed), _order(resumed)] == passes[2:]


def test_two_passes_at_once_do_not_disturb_each_other() -> None:
    loader = Loader(Numbers(20), batch_size=1, shuffle=True)
    first, second = iter(loader), iter(loader)
    together = list(zip(first, second, strict=True))
    apart = Loader(Numbers(20), batch_size=1, shuffle=True)
    assert [int(x[0]) for (x, _), _ in together] == _order(apart)
    assert [int(x[0]) for _, (x, _) in together] == _order(apart)


def test_batches_of_pendulums_have_times_for_each_point() -> None:
    pendulums = DoubleSpringPendulum(6, integration_time=2.0)
    for (z0, ts), zs in Loader(pendulums, batch_size=3):
        assert (z0.shape, ts.shape, zs.shape) == ((3, 12), (3, 5), (3, 5, 12))


def test_the_default_is_one_point_a_batch() -> None:
    assert [x.shape for x, _ in Loader(Inertia(3))] == [(1, 20)] * 3


def test_it_prints_its_settings() -> None:
    assert repr(Loader(Inertia(9), 4, True)) == (
        "Loader(Inertia(n=9, k=5, seed=0, symmetry=SO(3)), batch_size=4, shuffle=True, "
        "drop_last=False, seed=0)"
    )
