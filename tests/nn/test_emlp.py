"""Networks are equivariant, deterministic, and at home in every transformation of JAX."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from intertwine.errors import IntertwineError, InvalidRep, InvalidSetting, MethodNotApplicable
from intertwine.groups import SO, SU, Group, O, S, Sp, Z, parse_group
from intertwine.irreps import decompose
from intertwine.nn import EMLP, uniform_rep
from intertwine.nn.irrep_network import IrrepNetwork
from intertwine.reps import Rep, Scalar, T, V

_Q8 = Group(
    discrete_generators=[
        np.kron(np.eye(2), [[0, -1], [1, 0]]),
        np.kron([[0, -1], [1, 0]], np.diag([1.0, -1.0])),
    ]
)
_OBLIQUE = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 0.5], [0.3, 0.0, 1.0]])
CASES: dict[str, tuple[Group, Rep, Rep]] = {
    "Inertia": (SO(3), 5 * Scalar + 5 * V, T(2)),
    "Inertia O(3)": (O(3), 5 * Scalar + 5 * V, T(2)),
    "O5Synthetic": (O(5), 2 * V, Scalar),
    "ParticleInteraction": (parse_group("SO13p"), 4 * V, Scalar),
    "Lorentz tensors": (parse_group("O13"), 2 * V + V.T, T(1, 1)),
    "complex type": (SO(2), V + Scalar, T(2) + V),
    "quaternionic type": (_Q8, 2 * V, T(2)),
    "symplectic": (Sp(2), 3 * V, T(1, 1)),
    "permutations": (S(4), 3 * V, T(2)),
    "cyclic": (Z(5), V, V),
    "complex field": (SU(2), 2 * V, V + T(1, 1)),
    "no scalars come out": (SO(3), 3 * V, V),
    "an oblique frame": (
        Group(lie_algebra=[np.linalg.solve(_OBLIQUE, a @ _OBLIQUE) for a in SO(3).lie_algebra]),
        3 * V,
        T(2),
    ),
}


def _network(name: str, ch: int = 48, layers: int = 2) -> EMLP:
    group, rep_in, rep_out = CASES[name]
    return EMLP(rep_in, rep_out, group, ch=ch, num_layers=layers)


def _points(group: Group, rep: Rep, count: int = 20) -> np.ndarray:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((count, rep(group).size()))
    return x + 1j * rng.standard_normal(x.shape) if np.iscomplexobj(group.sample(seed=0)) else x


def _acted(group: Group, rep: Rep, g: np.ndarray, x: np.ndarray) -> np.ndarray:
    if rep == Scalar:
        return x
    return x @ np.asarray(rep(group).rho_dense(g)).T


def _error(model: EMLP, name: str) -> float:
    """The largest ‖f(gx) − ρ(g)f(x)‖ over the sum of both, in the precision of the model."""
    group, rep_in, rep_out = CASES[name]
    x = _points(group, rep_in)
    worst = 0.0
    for g in group.samples(4, seed=7):
        y = np.asarray(eqx.filter_jit(model)(x))
        there = _acted(group, rep_out, np.asarray(g), y)
        moved = np.asarray(eqx.filter_jit(model)(_acted(group, rep_in, np.asarray(g), x)))
        scale = np.linalg.norm(there) + np.linalg.norm(moved)
        assert scale > 1e-3, "a network that is zero is no test"
        worst = max(worst, float(np.linalg.norm(there - moved) / scale))
    return worst


@contextmanager
def _double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def _trained(model: EMLP, name: str) -> EMLP:
    """A few steps of Adam towards random targets: every weight moves."""
    group, rep_in, _ = CASES[name]
    x = jnp.asarray(_points(group, rep_in))
    y = jnp.ones_like(model(x))
    optimiser = optax.adam(1e-2)
    state = optimiser.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_jit
    def step(model: EMLP, state: optax.OptState) -> tuple[EMLP, optax.OptState]:
        gradient = eqx.filter_grad(lambda m: jnp.mean(jnp.abs(m(x) - y) ** 2))(model)
        updates, state = optimiser.update(gradient, state)
        return eqx.apply_updates(model, updates), state

    for _ in range(3):
        model, state = step(model, state)
    return model


class TestEquivariance:
    @pytest.mark.parametrize("name", CASES)
    def test_before_and_after_training_in_single_precision(self, name: str) -> None:
        model = _network(name)
        assert _error(model, name) < 1e-5
        assert _error(_trained(model, name), name) < 1e-5

    @pytest.mark.parametrize("name", CASES)
    def test_in_double_precision(self, name: str) -> None:
        with _double():
            model = _network(name)
            wide = jax.tree.map(
                lambda p: p.astype(np.result_type(p.dtype, np.float64)),
                eqx.filter(model, eqx.is_inexact_array),
            )
            assert _error(eqx.combine(wide, model), name) < 1e-11

    def test_irreps_are_reps_like_others(self) -> None:
        tensor = next(i for i in decompose(T(2)(SO(3))).multiplicities if i.size() == 5)
        model = EMLP(2 * V + tensor, tensor, SO(3), ch=32)
        assert model(np.ones((3, 11))).shape == (3, 5)


class TestArrays:
    @pytest.mark.parametrize("batch", [(), (1,), (4,), (2, 0), (2, 3, 4)], ids=str)
    def test_any_batch_axes(self, batch: tuple[int, ...]) -> None:
        model = _network("Inertia")
        x = np.random.default_rng(0).standard_normal((*batch, 20))
        y = model(x)
        assert y.shape == (*batch, 9)
        assert y.dtype == jnp.float32
        flat = np.asarray(model(x.reshape(-1, 20))).reshape(y.shape)
        np.testing.assert_allclose(y, flat, atol=1e-5)

    def test_transformations(self) -> None:
        model = _network("ParticleInteraction")
        x = jnp.asarray(_points(parse_group("SO13p"), 4 * V, 5), jnp.float32)
        scalar = lambda v: model(v)[0]  # noqa: E731
        each = np.asarray([jax.grad(scalar)(v) for v in x])
        np.testing.assert_allclose(jax.vmap(jax.grad(scalar))(x), each, rtol=1e-4, atol=1e-5)
        hessian = np.asarray(jax.jit(jax.hessian(scalar))(x[0]))
        np.testing.assert_allclose(hessian, hessian.T, atol=1e-3 * np.abs(hessian).max())
        np.testing.assert_allclose(jax.vmap(model)(x), model(x), rtol=1e-4, atol=1e-5)

    def test_training_is_accepted(self) -> None:
        model, x = _network("Inertia"), np.ones(20)
        np.testing.assert_array_equal(model(x, training=True), model(x, training=False))

    def test_a_vector_of_another_size_is_refused(self) -> None:
        with pytest.raises(InvalidRep, match=r"has size 20, and the input has the shape \(19,\)"):
            _network("Inertia")(np.ones(19))


class TestConstruction:
    def test_equal_arguments_give_equal_networks_in_every_process(self) -> None:
        first, second = (
            subprocess.run(
                [sys.executable, "-c", _SCRIPT, threads], capture_output=True, text=True, check=True
            ).stdout
            for threads in ("1", "2")
        )
        np.testing.assert_allclose(json.loads(first), json.loads(second), atol=1e-5)
        here = np.asarray(_network("Inertia")(np.linspace(-1, 1, 20)))
        np.testing.assert_allclose(here, json.loads(first), atol=1e-5)

    def test_keys(self) -> None:
        x = np.ones(20)
        group, rep_in, rep_out = CASES["Inertia"]
        made = [EMLP(rep_in, rep_out, group, ch=24, key=k)(x) for k in (0, 1, jax.random.key(1))]
        assert not np.allclose(made[0], made[1])
        np.testing.assert_array_equal(made[1], made[2])

    def test_an_ensemble(self) -> None:
        group, rep_in, rep_out = CASES["Inertia"]
        keys = jax.random.split(jax.random.key(0), 3)
        models = eqx.filter_vmap(lambda k: EMLP(rep_in, rep_out, group, ch=24, key=k))(keys)
        y = eqx.filter_vmap(lambda m: m(jnp.ones(20)))(models)
        one = EMLP(rep_in, rep_out, group, ch=24, key=keys[1])(jnp.ones(20))
        np.testing.assert_allclose(y[1], one, atol=1e-5)

    @pytest.mark.parametrize(
        "ch", [24, [24, 48], 4 * Scalar + 4 * V, [uniform_rep(30, SO(3)), 24]], ids=repr
    )
    def test_hidden_layers(self, ch: object) -> None:
        model = EMLP(3 * V, T(2), SO(3), ch=ch, num_layers=2)  # type: ignore[arg-type]
        assert len(model.network.blocks) == 2
        assert repr(model).startswith("EMLP((3V)(SO(3)) → ")

    @pytest.mark.parametrize(
        ("arguments", "error", "said"),
        [
            ((V, V, SO(3), [24], 2), InvalidRep, "2 layers need"),
            ((V, V, SO(3), 24, -1), InvalidSetting, "a natural number"),
            ((Scalar, V, O(3)), InvalidRep, "no equivariant network leads from"),
        ],
        ids=["widths", "layers", "no maps"],
    )
    def test_what_cannot_be_built(
        self, arguments: tuple[object, ...], error: type[IntertwineError], said: str
    ) -> None:
        with pytest.raises(error, match=said):
            EMLP(*arguments)  # type: ignore[arg-type]

    def test_channelwise_products_need_irreps(self) -> None:
        shear = Group(lie_algebra=[[[0.0, 1.0], [0.0, 0.0]]])
        with pytest.raises(MethodNotApplicable, match="completely reducible"):
            EMLP(V, V, shear, 8, 1, bilinear="channelwise")

    @pytest.mark.parametrize("name", ["Inertia", "permutations", "symplectic", "O5Synthetic"])
    def test_features_keep_their_variance_through_depth(self, name: str) -> None:
        network = _network(name, ch=300, layers=8).network
        assert isinstance(network, IrrepNetwork)
        group, rep_in, _ = CASES[name]
        x = jnp.asarray(_points(group, rep_in, 500), jnp.float32)
        features, sizes = network.space_in.enter(x.T), []
        for block in network.blocks:
            features = block(features)
            squares = np.concatenate([np.square(c) for f in features.values() for c in f])
            sizes.append(float(squares.mean()))
        assert max(sizes) < 4 * min(sizes)
        assert 0.1 < sizes[-1] < 2


_SCRIPT = """
import json, os, sys
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = sys.argv[1]
import numpy as np
from intertwine.groups import SO
from intertwine.irreps import decompose
from intertwine.nn import EMLP
from intertwine.reps import Scalar, T, V
if sys.argv[1] == "2":
    decompose((T(4) + 2 * V)(SO(3)))  # other irreps are found first
model = EMLP(5 * Scalar + 5 * V, T(2), SO(3), ch=48, num_layers=2)
print(json.dumps(np.asarray(model(np.linspace(-1, 1, 20))).tolist()))
"""
