"""A model of inputs that random elements of its group move."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from intertwine.datasets import Inertia, ParticleInteraction
from intertwine.errors import InvalidRep, InvalidSetting
from intertwine.groups import SO, S, Trivial
from intertwine.nn import EMLP, MLP, GroupAugmentation, load, save
from intertwine.reps import Scalar, V
from intertwine.verify import rel_err

DATA = Inertia(20)
SMALL: dict[str, Any] = {"ch": 16, "num_layers": 1}


def network(kind: Any) -> Any:
    return kind(DATA.rep_in, DATA.rep_out, DATA.symmetry, **SMALL)


@pytest.fixture(scope="module")
def plain() -> Any:
    return network(MLP)


def test_the_elements_are_those_of_the_key(plain: Any) -> None:
    model = DATA.default_aug(plain)
    apply = jax.jit(lambda x, key: model(x, training=True, key=key))
    first, again, other = (apply(DATA.X, jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert rel_err(first, other) > 0.01
    np.testing.assert_allclose(
        model(DATA.X, training=True, key=jax.random.key(0)), first, atol=1e-5
    )


def test_without_training_it_is_the_model(plain: Any) -> None:
    np.testing.assert_array_equal(DATA.default_aug(plain)(DATA.X), plain(DATA.X))


def test_an_equivariant_model_stays_as_it_is() -> None:
    model = network(EMLP)
    found = DATA.default_aug(model)(DATA.X, training=True, key=jax.random.key(0))
    assert rel_err(found, model(DATA.X)) <= 1e-5


def test_each_vector_gets_an_element_of_its_own(plain: Any) -> None:
    model, x = DATA.default_aug(plain), np.stack([DATA.X[0]] * 5)
    rows = model(x, training=True, key=jax.random.key(0))
    assert len(np.unique(np.round(rows, 4), axis=0)) == 5
    one = model(DATA.X[0], training=True, key=jax.random.key(0))
    assert one.shape == (9,)


def test_the_output_is_moved_back() -> None:
    """So that the identity stays the identity, and a constant map does not stay constant."""
    identity = GroupAugmentation(lambda x, training: x, DATA.rep_in, DATA.rep_in, DATA.symmetry)
    found = identity(DATA.X, training=True, key=jax.random.key(0))
    assert rel_err(found, DATA.X) <= 1e-6
    constant = GroupAugmentation(lambda x, training: 0 * x + 1, V, V, DATA.symmetry)
    found = constant(np.zeros((5, 3)), training=True, key=jax.random.key(0))
    np.testing.assert_allclose((found**2).sum(axis=1), np.full(5, 3.0), rtol=1e-5)
    assert np.std(found, axis=0).min() > 0.1


@pytest.mark.parametrize(
    ("rep_in", "group"), [(V(SO(3)) * V(S(3)) + V(S(3)), None), (2 * V, Trivial(4))]
)
def test_several_groups_and_none_are_moved(rep_in: Any, group: Any) -> None:
    model = GroupAugmentation(lambda x, training: x[..., :1], rep_in, Scalar, group)
    x = np.random.default_rng(0).standard_normal((7, model.rep_in.size()))
    y = model(x, training=True, key=jax.random.key(0))
    assert bool(np.allclose(y, x[:, :1], atol=1e-6)) == (group is not None)


def test_boosts_are_as_small_as_those_of_samples() -> None:
    data = ParticleInteraction(20)
    model = GroupAugmentation(lambda x, training: x[..., :1], data.rep_in, Scalar, data.symmetry)
    x = np.zeros((500, 16), np.float32)
    x[:, 0] = 1
    energies = np.asarray(model(x, training=True, key=jax.random.key(0)))
    assert 1 - 1e-5 <= energies.min() < 1.01 < energies.max() < 5


def test_it_is_saved_with_its_model(plain: Any, tmp_path: Path) -> None:
    model = DATA.default_aug(plain)
    save(model, tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model")(DATA.X), plain(DATA.X))
    assert repr(model) == f"GroupAugmentation({plain!r})"


def test_training_without_a_key_and_wrong_vectors_are_refused(plain: Any) -> None:
    model = DATA.default_aug(plain)
    with pytest.raises(InvalidSetting, match=r"call model\(x, training=True, key=jax.random.key"):
        model(DATA.X, training=True)
    with pytest.raises(InvalidRep, match=r"has size 20, x shape \(3,\)"):
        model(np.ones(3), training=True, key=jax.random.key(0))
