"""The paper's bilinear layer as a function."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from intertwine.errors import InvalidRep
from intertwine.groups import SO, Group, S, SO13p, U
from intertwine.nn import BiLinear, bilinear_weights
from intertwine.reps import Rep, Scalar, T, V
from intertwine.reps import bilinear_weights as of_reps
from intertwine.verify import rel_err, sampled_elements

CASES: list[tuple[Group | None, Rep, Rep]] = [
    (SO(3), 5 * T(0) + 5 * T(1) + T(2), 3 * T(0) + T(2) + 2 * T(1) + T(1)),
    (SO13p(), 2 * T(1) + T(1, 1) + T(0, 1), T(1) + T(0) + T(1, 1) + T(1)),
    (U(2), 2 * V + V * V.T, V + Scalar + V.T),
    (S(4), V**2 + V + V**2, V + Scalar),
    (None, V(SO(3)) * V(S(3)) + V(S(3)) + 2 * V(SO(3)), V(S(3)) + V(SO(3)) + V(SO(3))),
]


def case(number: int) -> tuple[Rep, Rep]:
    group, *reps = CASES[number]
    rep_in, rep_out = (rep if group is None else rep(group) for rep in reps)
    return rep_in, rep_out


def numbers(shape: tuple[int, ...], like: Any = float) -> Any:
    drawn = np.random.default_rng(0).standard_normal((2, *shape))
    return drawn[0] + 1j * drawn[1] if np.iscomplexobj(like) else drawn[0]


@pytest.mark.parametrize(
    "number",
    [pytest.param(0, marks=pytest.mark.slow), 1, pytest.param(2, marks=pytest.mark.slow), 3, 4],
)
def test_the_matrices_are_equivariant_and_make_the_layer(number: int) -> None:
    rep_in, rep_out = case(number)
    count, project = bilinear_weights(rep_out, rep_in)
    with jax.enable_x64(True):
        layer = BiLinear(rep_in, rep_out, bilinear="paper", dtype="float64")
        w = jnp.concatenate([layer.weights[name].ravel() for name in layer.maps.weight_spec])
        assert w.shape == (count,) != (0,)
        x = numbers((4, rep_in.size()), w)
        W = project(w, x)
        assert W.shape == (4, rep_out.size(), rep_in.size())
        assert rel_err(0.1 * (W @ x[..., None])[..., 0], layer(x)) <= 1e-14
        for g in sampled_elements((rep_in, rep_out), 2, seed=1):
            before, after = (np.asarray(rep.rho_dense(g)) for rep in (rep_in, rep_out))
            assert rel_err(project(w, x @ before.T) @ before, after @ W) <= 1e-12


def test_the_matrix_is_linear_in_both_and_one_vector_has_one() -> None:
    count, project = bilinear_weights(*reversed(case(0)))
    w, x = numbers((count,)), numbers((2, 3, 29))
    found = jax.jit(project)(w, x)
    assert rel_err(project(2 * w, 3 * x), 6 * found) <= 1e-6
    assert rel_err(project(w, x[1, 2]), found[1, 2]) <= 1e-6


def test_wrong_coordinates_are_refused_and_the_name_is_emlps() -> None:
    count, project = bilinear_weights(*reversed(case(0)))
    with pytest.raises(InvalidRep, match=f"have {count} coordinates, and the array the shape"):
        project(np.ones(count + 1), np.ones(29))
    with pytest.raises(InvalidRep, match="has size 29"):
        project(np.ones(count), np.ones(28))
    assert of_reps is bilinear_weights


def test_reps_without_products_have_no_coordinates() -> None:
    count, project = bilinear_weights(V(SO13p()) ** 2, V(SO13p()))
    assert count == 0
    np.testing.assert_array_equal(project(np.zeros(0), np.ones((2, 4))), np.zeros((2, 16, 4)))
