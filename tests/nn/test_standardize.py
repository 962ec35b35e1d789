"""Standardization of a model, with statistics that keep it equivariant."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from intertwine.errors import InvalidRep, NotEquivariant
from intertwine.groups import SO, SU, S, Z
from intertwine.nn import MLP, Linear, Standardize
from intertwine.reps import Rep, Scalar, V


def test_it_computes_its_formula() -> None:
    model = Linear(V + Scalar, V + Scalar, SO(3))
    stats = [0, 0, 0, 5.0], [2.0, 2, 2, 3], [0, 0, 0, -1.0], [7.0, 7, 7, 0.5]
    x = np.array([1.0, 2, 3, 4])
    expected = np.array(stats[3]) * model((x - stats[0]) / stats[1]) + np.array(stats[2])
    np.testing.assert_allclose(Standardize(model, stats)(x), expected, rtol=1e-5)
    np.testing.assert_allclose(
        Standardize(model, stats[:2])(x), model((x - stats[0]) / stats[1]), rtol=1e-5
    )


def test_statistics_may_be_single_numbers_and_iterators() -> None:
    model = Linear(V, V, SO(3))
    x = np.ones(3)
    np.testing.assert_allclose(Standardize(model, iter((0, 2)))(x), model(x / 2), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float16, np.int32, np.float64, np.complex128])
def test_inputs_of_other_dtypes(dtype: Any) -> None:
    model = Standardize(Linear(V, V, SO(3)), (0, 2))
    np.testing.assert_allclose(model(np.ones(3, dtype)), model(np.ones(3)), rtol=1e-5)


def test_means_of_complex_features_are_complex() -> None:
    model = Linear(V + Scalar, V + Scalar, SU(2))
    mean, scale = np.array([0, 0, 1 - 2j]), np.array([2.0, 2, 3])
    x = np.array([1.0, 1j, 2 + 1j])
    expected = scale * model((x - mean) / scale) + mean
    found = Standardize(model, (mean, scale, mean, scale.astype(complex)))(x)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    wide = Linear(Scalar, Scalar, dtype="complex64")
    assert Standardize(wide, (1j, 1)).shift_in == (1j,)


@pytest.mark.parametrize(
    ("rep", "mean", "scale", "said"),
    [
        (V(SO(3)), [1.0, 0, 0], 1, "a mean of V(SO(3)) that the group moves"),
        (V(SO(3)), 0, [1.0, 1, 2], "scales of V(SO(3)) that differ within an irrep"),
        (V(Z(2)), [1.0, 0], 1, "a mean of V(Z(2)) that the group moves"),
        (V(Z(2)), 0, [1.0, 2], "scales of V(Z(2)) that differ within an irrep"),
        (V(SU(2)), 1.0, 1, "a mean of V(SU(2)) that the group moves"),
    ],
)
def test_statistics_that_break_equivariance_are_refused(
    rep: Rep, mean: Any, scale: Any, said: str
) -> None:
    with pytest.raises(NotEquivariant) as caught:
        Standardize(Linear(rep, rep), (mean, scale))
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("stats", "said"),
    [
        ((0, 1, 2), "stats are two arrays or four (means, scales), not 3"),
        ((0, 0.0), "means are finite, and scales finite and positive: 0, 0.0"),
        ((0, -1.0), "means are finite, and scales finite and positive: 0, -1.0"),
        ((float("nan"), 1.0), "means are finite, and scales finite and positive: nan, 1.0"),
        (([0, 0], 1), "statistics of V(S(3)) are 3 real numbers, or one for all, not [0, 0]"),
        ((1j, 1), "statistics of V(S(3)) are 3 real numbers, or one for all, not 1j"),
        (
            (np.full(3, 1j), 1),
            f"statistics of V(S(3)) are 3 real numbers, or one for all, not {np.full(3, 1j)!r}",
        ),
        ((0, 1j), "statistics of V(S(3)) are 3 real numbers, or one for all, not 1j"),
        (("a", 1), "statistics of V(S(3)) are 3 real numbers, or one for all, not 'a'"),
    ],
)
def test_invalid_statistics_are_refused(stats: Any, said: str) -> None:
    with pytest.raises(InvalidRep) as caught:
        Standardize(MLP(V, V, S(3), 4, 1), stats)
    assert str(caught.value) == said


def test_a_function_without_reps_is_refused() -> None:
    with pytest.raises(NotEquivariant, match="has no rep_in and rep_out: give a layer with reps"):
        Standardize(np.tanh, (0, 1))
