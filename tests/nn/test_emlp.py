"""Networks are deterministic, refuse invalid arguments, and keep the size of their features."""

from __future__ import annotations

import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.example_networks import images, points
from helpers.oblique_groups import NOT_REDUCTIVE
from helpers.support import run_python
from intertwine.errors import (
    IntertwineError,
    InvalidRep,
    InvalidSetting,
    MethodNotApplicable,
    ReachWarning,
)
from intertwine.groups import SO, Group, O, S, parse_group
from intertwine.nn import EMLP, MLP, Sequential, uniform_rep
from intertwine.nn.irrep_network import IrrepNetwork
from intertwine.reps import Rep, Scalar, T, V
from jaxtyping import PRNGKeyArray

INERTIA = 5 * Scalar + 5 * V, T(2), SO(3)


def small(**settings: Any) -> EMLP:
    return EMLP(*INERTIA, ch=24, num_layers=1, **settings)


class TestDeterminism:
    @pytest.mark.slow
    def test_equal_arguments_give_equal_networks_in_every_process(self) -> None:
        env = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "2")
        there = run_python(_PROGRAM, env={"PYTHONHASHSEED": "2", **env}).value
        here = small()(np.linspace(-1, 1, 20))
        np.testing.assert_allclose(here, there, rtol=1e-5, atol=1e-7)

    def test_keys(self) -> None:
        x = np.ones(20)
        made = [images(small(key=k), x) for k in (0, 1, jax.random.key(1))]
        assert not np.allclose(made[0], made[1])
        np.testing.assert_array_equal(made[1], made[2])

    @pytest.mark.parametrize("layers", [1, 2])
    def test_a_network_can_be_built_while_jax_traces(self, layers: int) -> None:
        """This includes the tests of what the network sees."""

        @jax.jit
        def outputs(key: PRNGKeyArray, x: Any) -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ReachWarning)
                return EMLP(V + V**2, Scalar, SO(3), ch=6, num_layers=layers, key=key)(x)

        x = np.linspace(-1, 1, 12, dtype=np.float32)
        assert outputs(jax.random.key(0), x).shape == (1,)

    @pytest.mark.slow
    def test_an_ensemble(self) -> None:
        keys = jax.random.split(jax.random.key(0), 3)
        models = eqx.filter_vmap(lambda k: small(key=k))(keys)
        x = np.ones(20, np.float32)
        y = eqx.filter_jit(eqx.filter_vmap(lambda m: m(x)))(models)
        np.testing.assert_allclose(y[1], images(small(key=keys[1]), x), rtol=1e-4, atol=1e-6)


_PROGRAM = """
import numpy as np
from intertwine.groups import SO
from intertwine.irreps import decompose
from intertwine.nn import EMLP
from intertwine.reps import Scalar, T, V
decompose((T(4) + 2 * V)(SO(3)))  # other irreps are found first
model = EMLP(5 * Scalar + 5 * V, T(2), SO(3), ch=24, num_layers=1)
answer(np.asarray(model(np.linspace(-1, 1, 20))).tolist())
"""


class TestConstruction:
    @pytest.mark.parametrize(
        "ch", [[24, 48], (24, 48), 4 * Scalar + 4 * V, [uniform_rep(30, SO(3)), 24]], ids=repr
    )
    def test_hidden_layers(self, ch: Any) -> None:
        model = EMLP(3 * V, T(2), SO(3), ch=ch, num_layers=2)
        assert isinstance(model.network, IrrepNetwork)
        assert len(model.network.blocks) == 2
        assert repr(model).startswith("EMLP((3V)(SO(3)) → ")

    def test_hidden_reps_may_be_texts(self) -> None:
        model = EMLP(V, V, SO(3), ch=["2V0+3V", 24], key=1)
        again = EMLP(V, V, SO(3), ch=[2 * Scalar + 3 * V, 24], key=1)
        x = points(model.rep_in).astype(np.float32)
        np.testing.assert_array_equal(model(x), again(x))
        assert len(EMLP(V, V, SO(3), ch="4V0+4V").network.blocks) == 3  # type: ignore[union-attr]

    def test_no_hidden_layers_are_a_linear_map(self) -> None:
        for form in ("channelwise", "paper"):
            with pytest.warns(
                ReachWarning, match="linear: it has no hidden layer. Give more layers"
            ):
                model = EMLP(2 * V, V, SO(3), num_layers=0, bilinear=form)  # type: ignore[arg-type]
            x = points(model.rep_in).astype(np.float32)
            np.testing.assert_allclose(model(2 * x), 2 * model(x), rtol=1e-5)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("rep", "group", "form"),
        [
            (V, SO(3), IrrepNetwork),
            (V + V.T, NOT_REDUCTIVE["SE(2)"], Sequential),
            (V(SO(3)) * V(S(2)) + V(SO(3)), SO(3), Sequential),
        ],
        ids=["irreps", "not reductive", "several groups"],
    )
    def test_the_default_form_is_irreps_if_possible(
        self, rep: Rep, group: Group, form: type
    ) -> None:
        assert isinstance(EMLP(rep, rep, group, rep, 1).network, form)

    def test_multiplicity_0_is_ignored(self) -> None:
        hidden = 0 * T(2) + 4 * V + 4 * Scalar
        assert EMLP(V + 0 * T(2), V, SO(3), hidden, 1)(np.ones((2, 3))).shape == (2, 3)

    def test_an_output_of_size_0(self) -> None:
        assert EMLP(V, 0 * V, SO(3), 24, 1)(np.ones((2, 3))).shape == (2, 0)
        assert MLP(V, 0 * V, SO(3), 24, 1)(np.ones((2, 3))).shape == (2, 0)

    @pytest.mark.parametrize(
        ("arguments", "error", "said"),
        [
            ((V, V, SO(3), [24], 2), InvalidRep, "num_layers is 2, and ch has 1 entries: give one"),
            (
                (V, V, SO(3), 24, -1),
                InvalidSetting,
                "the number of layers is an integer from 0 on, n",
            ),
            ((V, V, SO(3), 24, True), InvalidSetting, "an integer from 0 on, not True"),
            ((V, V, SO(3), 0, 1), InvalidRep, "a hidden layer needs at least one channel: ch is 0"),
            ((Scalar, V, O(3)), InvalidRep, "every equivariant network from V⁰ to V"),
            ((V, Scalar, SO(3), 24, 0), InvalidRep, "with these hidden layers is constant"),
            ((0 * V, V, SO(3)), InvalidRep, "a network needs an input, and rep_in has size 0"),
            ((V, V(SO(3)), O(3)), InvalidRep, r"over O\(3\): give the group of the reps"),
        ],
        ids=repr,
    )
    def test_invalid_arguments_are_refused(
        self, arguments: Any, error: type[IntertwineError], said: str
    ) -> None:
        with pytest.raises(error, match=said):
            EMLP(*arguments)

    @pytest.mark.parametrize(
        "group", [NOT_REDUCTIVE["a shear"], O(3)], ids=["not reductive", "another group"]
    )
    def test_channelwise_products_need_irreps_of_one_group(self, group: Group) -> None:
        rep = V if group.d == 2 else V(SO(3)) + V(O(3))
        with pytest.raises(MethodNotApplicable):
            EMLP(rep, rep, group, 8, 1, bilinear="channelwise")


class TestStart:
    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["SO(3)", "Sp(2)"])
    def test_features_keep_their_size_through_depth(self, name: str) -> None:
        group = parse_group(name)
        network = EMLP(3 * V, T(2), group, ch=64, num_layers=5).network
        assert isinstance(network, IrrepNetwork)
        x = jnp.asarray(points(3 * V(group), 300), jnp.float32)
        sizes = [rms(features) for features in _features(network, x)]
        assert max(sizes) < 2 * min(sizes)

    @pytest.mark.parametrize("gain", [0.1, 1, 20])
    def test_outputs_have_the_requested_gain(self, gain: float) -> None:
        x = points(5 * Scalar(SO(3)) + 5 * V(SO(3)), 300)
        y = images(EMLP(5 * Scalar + 5 * V, V**2, SO(3), ch=32, gain=gain), x)
        assert 0.7 * gain < np.sqrt(np.mean(y**2)) < 1.4 * gain

    @pytest.mark.sampled(3)
    @pytest.mark.parametrize(
        ("rep_in", "rep_out", "group"),
        [
            (2 * V, V, SO(3)),
            (V(SO(3)) * V(S(2)), V(SO(3)), SO(3)),
            (V, V, NOT_REDUCTIVE["Heisenberg"]),
        ],
        ids=["irreps", "several groups", "not reductive"],
    )
    def test_outputs_of_the_paper_form_have_the_requested_gain(
        self, rep_in: Rep, rep_out: Rep, group: Group
    ) -> None:
        model = EMLP(rep_in, rep_out, group, ch=8, bilinear="paper", gain=3)
        y = images(model, points(model.rep_in, 300))
        assert 0.5 * 3 < np.sqrt(np.mean(y**2)) < 2 * 3

    def test_composed_networks_do_not_vanish(self) -> None:
        x = points(5 * V(SO(3)), 300)
        for key in range(3):
            x = images(EMLP(5 * V, 5 * V, SO(3), ch=32, key=key), x)
            assert 0.2 < np.sqrt(np.mean(x**2)) < 5

    @pytest.mark.parametrize("gain", [0, -1, float("nan"), float("inf"), True])
    def test_invalid_gains_are_refused(self, gain: Any) -> None:
        with pytest.raises(InvalidSetting, match="the gain is a positive, finite number, not"):
            EMLP(V, V, SO(3), ch=8, gain=gain)

    @pytest.mark.sampled(3)
    @pytest.mark.parametrize("layers", [1, 2, 3])
    @pytest.mark.parametrize("ch", [4, 16, 48])
    def test_a_network_of_one_vector_is_not_constant_and_does_not_amplify_rounding(
        self, ch: int, layers: int
    ) -> None:
        x = points(V(SO(3)), 50)
        y = images(EMLP(V, Scalar, SO(3), ch, layers), x)  # v × v is zero but for rounding
        assert 1e-3 < y.std() < 1
        assert np.abs(y).max() < 10

    def test_outputs_reached_only_by_vanishing_products_are_refused(self) -> None:
        axial = T(2)(O(3))  # of one vector there is no antisymmetric product
        with pytest.raises(InvalidRep, match="is constant: what they reach"):
            EMLP(V, _antisymmetric(axial), O(3), 24, 1)


def _antisymmetric(rep: Rep) -> Rep:
    from intertwine.irreps import decompose

    return next(i for i in decompose(rep).multiplicities if i.size() == 3)


def _features(network: IrrepNetwork, x: Any) -> list[Any]:
    @jax.jit
    def every(x: Any) -> list[Any]:
        features, found = network.space_in.enter(x), []
        for block in network.blocks:
            features = block(features)
            found.append(features)
        return found

    return every(x)


def rms(features: Any) -> float:
    """Return the root mean square over all components."""
    flat = np.concatenate([np.ravel(c) for parts in features.values() for c in parts])
    return float(np.sqrt(np.mean(np.abs(flat) ** 2)))
