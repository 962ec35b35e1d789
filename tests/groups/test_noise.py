"""Group elements from numbers that the caller draws."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from intertwine.groups import SO, Group, O, S, SO13p, U, noise2sample, noise2samples
from intertwine.verify import rel_err


def noise(G: Group, n: int) -> tuple[Any, Any]:
    numbers = np.random.default_rng(0)
    z = 0.3 * numbers.standard_normal((n, len(G.lie_algebra)))
    return z, numbers.integers(-5, 5, size=(n, len(G.discrete_generators), 3))


def samples(G: Group, z: Any, k: Any) -> Any:
    return noise2samples(z, k, G.lie_algebra, G.discrete_generators)


@pytest.mark.parametrize("G", [O(3), S(4), U(2)], ids=repr)
def test_every_sample_is_an_element(G: Group) -> None:
    found = samples(G, *noise(G, 20))
    assert found.shape == (20, G.d, G.d)
    np.testing.assert_allclose(found @ found.conj().swapaxes(1, 2), [np.eye(G.d)] * 20, atol=1e-13)
    if G.is_permutation:
        assert np.all((found == 0) | (found == 1))
    else:
        assert len(np.unique(found.round(6), axis=0)) == 20


def test_one_generator_is_raised_to_the_sum_of_its_powers() -> None:
    z, k = noise(O(3), 30)
    signs = np.linalg.det(samples(O(3), z, k))
    np.testing.assert_allclose(signs, (-1.0) ** k.sum(axis=(1, 2)))
    rotations = samples(O(3), z, 0 * k)
    np.testing.assert_allclose(rotations[4], SO(3).exp(np.tensordot(z[4], SO(3).lie_algebra, 1)))


@pytest.mark.parametrize(
    "G",
    [O(3), U(2), *(pytest.param(G, marks=pytest.mark.slow) for G in (SO13p(), S(4)))],
    ids=repr,
)
def test_a_compiled_sample_is_that_of_numpy(G: Group) -> None:
    z, k = noise(G, 5)
    found = jax.jit(lambda z, k: samples(G, z, k))(jnp.asarray(z), jnp.asarray(k))
    assert isinstance(found, jax.Array)
    assert rel_err(np.asarray(found), samples(G, z, k)) <= 1e-6
    one = noise2sample(z[1], k[1], G.lie_algebra, G.discrete_generators)
    np.testing.assert_allclose(one, samples(G, z, k)[1], atol=1e-14)


def test_the_seed_determines_the_order_of_the_generators() -> None:
    z, k = np.zeros((1, 0)), np.ones((1, 4, 3), int)
    elements = {noise2samples(z, k, [], S(5).group_generators, seed=s).tobytes() for s in range(9)}
    assert len(elements) > 1
    again = noise2samples(z, k, [], S(5).group_generators, seed=0)
    np.testing.assert_array_equal(again, noise2samples(z, k, [], S(5).group_generators))


@pytest.mark.parametrize(("G", "count"), [(O(3), 4), (S(5), 4), (SO13p(), 6)])
def test_constraints_are_counted_and_the_exponential_is_that_of_the_matrix(G: Any, count: int):
    assert G.num_constraints() == count
    A = np.diag(np.arange(3.0))
    np.testing.assert_allclose(G.exp(A), np.diag(np.exp([0, 1, 2])))
    assert isinstance(G.exp(jnp.asarray(A)), jax.Array)
