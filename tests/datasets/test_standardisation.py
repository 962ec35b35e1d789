"""Means and scales that keep equivariance."""

from __future__ import annotations

import numpy as np
import pytest
from intertwine.datasets import (
    BrokenRubiksCube,
    Dataset,
    DoubleSpringPendulum,
    Inertia,
    InvertedCube,
    O5Synthetic,
    ParticleInteraction,
)
from intertwine.datasets.standardisation import moments
from intertwine.groups import SO, O2eR3, S, SO13p
from intertwine.reps import Rep, Scalar, V

ALL = [
    Inertia(300),
    O5Synthetic(300),
    ParticleInteraction(300),
    InvertedCube(train=False),
    BrokenRubiksCube(train=False, n=60),
    DoubleSpringPendulum(20, integration_time=4.0),
]


@pytest.mark.parametrize("data", ALL, ids=lambda data: type(data).__name__)
class TestTheStatsOfEveryDataset:
    def test_stats_are_four_float32_arrays_of_the_sizes_of_the_reps(self, data: Dataset) -> None:
        Xmean, Xstd, Ymean, Ystd = data.stats
        sizes = [rep(data.symmetry).size() for rep in (data.rep_in, data.rep_out)]
        assert [s.shape for s in data.stats] == [(sizes[0],)] * 2 + [(sizes[1],)] * 2
        assert {s.dtype for s in data.stats} == {np.dtype(np.float32)}
        assert data.stats.Xmean is Xmean
        assert data.stats.Ystd is Ystd
        assert (Xstd > 0).all()
        assert (Ystd > 0).all()
        assert np.isfinite(Ymean).all()

    def test_means_are_invariant_and_scales_commute_with_the_group(self, data: Dataset) -> None:
        Xmean, Xstd, Ymean, Ystd = data.stats
        for rep, mean, scale in ((data.rep_in, Xmean, Xstd), (data.rep_out, Ymean, Ystd)):
            for g in data.symmetry.samples(5, seed=1):
                rho = rep(data.symmetry).rho_dense(g)
                np.testing.assert_allclose(rho @ mean, mean, atol=1e-5)
                np.testing.assert_allclose(rho * scale, scale[:, None] * rho)

    def test_standardised_inputs_are_of_unit_size(self, data: Dataset) -> None:
        standardised = (data.X - data.stats.Xmean) / data.stats.Xstd
        assert np.sqrt(np.mean(standardised.astype(np.float64) ** 2)) == pytest.approx(1, rel=1e-5)


def _data(*means: float, n: int = 2000) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal((n, len(means)))
    return np.array(means) + 2 * noise


@pytest.mark.parametrize(
    ("rep", "means", "kept"),
    [
        (2 * Scalar, (5, -3), (5, -3)),
        (V(SO(3)), (5, -3, 2), (0, 0, 0)),
        (V(SO13p()), (5, -3, 2, 1), (0, 0, 0, 0)),
        (V(O2eR3()), (5, -3, 2), (0, 0, 2)),
        (V(S(3)), (5, -3, 1), (1, 1, 1)),
        ((V**2)(SO(3)), (6, 1, 1, 1, 6, 1, 1, 1, 3), (5, 0, 0, 0, 5, 0, 0, 0, 5)),
        (Scalar + 2 * V(SO(2)), (4, 1, 2, 3, 4), (4, 0, 0, 0, 0)),
    ],
    ids=str,
)
def test_only_the_invariant_part_of_the_mean_is_kept(
    rep: Rep, means: tuple[float, ...], kept: tuple[float, ...]
) -> None:
    mean, _ = moments(_data(*means), rep)
    np.testing.assert_allclose(mean, kept, atol=0.2)


def test_each_copy_has_one_scale_for_all_its_components() -> None:
    data = np.random.default_rng(0).standard_normal((5000, 7)) * [10, 1, 1, 1, 4, 4, 4]
    _, scale = moments(data, Scalar + 2 * V(SO(3)))
    np.testing.assert_allclose(scale, [10, 1, 1, 1, 4, 4, 4], rtol=0.05)
    uneven = np.random.default_rng(0).standard_normal((5000, 3)) * [1, 5, 1]
    np.testing.assert_allclose(moments(uneven, V(SO(3)))[1], [3, 3, 3], rtol=0.05)


def test_constant_data_are_not_scaled() -> None:
    constant = np.full((10, 4), 0.1, np.float32)
    constant[:, 1:] = 0
    mean, scale = moments(constant, Scalar + V(SO(3)))
    np.testing.assert_allclose(mean, [0.1, 0, 0, 0])
    np.testing.assert_array_equal(scale, [1, 1, 1, 1])
    assert (Inertia(1).stats.Xstd[:5] == 1).all()
