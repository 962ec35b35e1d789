"""Every part of the input takes part, even with few copies, and linear networks warn."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import numpy as np
import pytest
from helpers.oblique_groups import conjugate
from intertwine.architecture.products import couplings
from intertwine.errors import InvalidRep, ReachWarning
from intertwine.groups import O13, SO, Group, O, S, U
from intertwine.nn import EMLP
from intertwine.nn.irrep_network import IrrepNetwork
from intertwine.reps import Rep, Scalar, T, V

#: Reps of the input with few copies of an irrep, and narrow or high-dimensional hidden layers.
RARE = [
    (V**2, SO(3), 64),
    (5 * Scalar + 2 * V, SO(3), 16),
    (Scalar + 2 * V, O(3), 20),
    (2 * V, O(3), 32 * V + Scalar),
    *(
        pytest.param(*some, marks=pytest.mark.slow)
        for some in (
            (V**2, SO(6), 96),
            (V**2, S(6), 64),
            (V + V**2, O13(), 64),
            (V + V.T, U(2), 24),
        )
    ),
]


def inside(model: EMLP) -> IrrepNetwork:
    assert isinstance(model.network, IrrepNetwork)
    return model.network


@pytest.mark.slow
@pytest.mark.parametrize(("rep", "group", "ch"), RARE, ids=str)
@pytest.mark.sampled(3)
def test_a_scalar_depends_on_every_irrep_of_the_input(rep: Rep, group: Group, ch: Any) -> None:
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("ignore", ReachWarning)  # of products that are too large
        model = EMLP(rep, Scalar, group, ch=ch, dtype=np.float64)
        network = inside(model)
        space = network.space_in
        x = np.random.default_rng(0).standard_normal((1, space.size))
        features = space.enter(x + 0j if space.is_complex else x)
        before = np.asarray(network(space.leave(features, x)))
        for name in space.multiplicities:
            longer = {**features, name: [2 * component for component in features[name]]}
            after = np.asarray(network(space.leave(longer, x)))
            assert np.abs(after - before) > 1e-7 * np.abs(before), name


@pytest.mark.slow
def test_graphs_of_equal_degrees_have_different_outputs() -> None:
    def graph(*edges: tuple[int, int]) -> np.ndarray:
        matrix = np.zeros((6, 6))
        for i, j in edges:
            matrix[i, j] = matrix[j, i] = 1
        return matrix.reshape(-1)

    hexagon = graph((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0))
    triangles = graph((0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3))
    model = EMLP(V**2, Scalar, S(6), ch=128)
    one, other = (float(model(x)[0]) for x in (hexagon, triangles))
    assert abs(one - other) > 1e-4 * abs(one)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("group", [O(3), SO(5)], ids=repr)
def test_gates_depend_on_the_input_without_hidden_scalars(group: Group) -> None:
    with jax.enable_x64(True):
        model = EMLP(2 * V, V, group, ch=32 * V, dtype=np.float64)
        x, y = np.random.default_rng(0).standard_normal((2, 2 * group.d))
        bend = np.asarray(model(x + y) - model(x) - model(y))
        assert np.abs(bend).max() > 1e-4 * np.abs(np.asarray(model(x))).max()


@pytest.mark.slow
def test_a_linear_network_warns_and_gives_the_reason() -> None:
    crooked = conjugate(U(2), np.array([[1.0, 0.5], [0.0, 1.0]]))
    reason = "products have no conjugates, since the input's matrices are not unitary"
    with pytest.warns(UserWarning, match=f"the network is linear: .*{reason}"):
        EMLP(2 * V, V, crooked, ch=24)
    with pytest.raises(InvalidRep, match=reason):
        EMLP(2 * V, Scalar, crooked, ch=24)


class TestLargeIrreps:
    @pytest.mark.slow
    def test_products_of_large_irreps_are_their_invariant_forms(self) -> None:
        """It has as many terms as dimensions; decomposing the whole product would take minutes."""
        space = inside(EMLP(V, Scalar, SO(30), ch=16)).space_in
        [name] = space.multiplicities
        [form] = couplings(
            [name], space.kinds, inside(EMLP(Scalar, Scalar, SO(30), ch=4)).space_in.kinds, SO(30)
        )
        assert form.coefficients.shape == (1, 30, 30)
        assert form.operations == 30
        np.testing.assert_allclose(
            np.abs(form.coefficients[0]), np.eye(30) / np.sqrt(30), atol=1e-12
        )

    @pytest.mark.slow
    def test_a_network_of_many_dimensions(self) -> None:
        model = EMLP(5 * Scalar + 2 * V, Scalar, O(30), ch=128)
        x = np.random.default_rng(0).standard_normal(65)
        longer = np.concatenate([x[:5], 2 * x[5:]])
        assert abs(float(model(x)[0] - model(longer)[0])) > 1e-5


def test_reps_over_another_group_are_refused() -> None:
    reps = (5 * Scalar + 5 * V)(SO(3)), T(2)(SO(3))
    with pytest.raises(
        InvalidRep, match=r"\(5V⁰\+5V\)\(SO\(3\)\) is over SO\(3\), and the network over O\(3\)"
    ):
        EMLP(*reps, O(3), ch=64)
