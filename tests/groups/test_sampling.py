"""Random elements: reproducible, of the group, and of a size that keeps high tensors finite."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.errors import TooLarge
from intertwine.groups import SO, C, D, Group, O, S, Scaling, SO13p, Trivial, U, Z
from scipy.linalg import logm

GROUPS = [Trivial(2), SO(3), O(3), S(4), Z(5), D(3), SO13p(), U(2), Z(2) * SO(2)]
every_group = pytest.mark.parametrize("G", GROUPS, ids=repr)


@every_group
def test_samples_are_the_same_for_the_same_seed(G: Group) -> None:
    np.testing.assert_array_equal(G.samples(4), G.samples(4, seed=0))
    np.testing.assert_array_equal(G.samples(4, seed=7), G.samples(4, 7))
    np.testing.assert_array_equal(G.sample(), G.sample(seed=0))


@pytest.mark.parametrize("G", [Z(2), Z(4), S(3), D(3), SO(2), O(3)], ids=repr)
def test_one_sample_moves_something(G: Group) -> None:
    """Whoever tries a map on one element does not want the identity."""
    for seed in range(5):
        assert np.abs(G.sample(seed) - np.eye(G.d)).max() > 1e-6


@every_group
def test_samples_have_the_shape_of_the_group(G: Group) -> None:
    for n in (0, 1, 5):
        assert G.samples(n).shape == (n, G.d, G.d)
    assert G.sample().shape == (G.d, G.d)
    assert G.samples(2).dtype == (np.complex128 if G.is_complex else np.float64)


@pytest.mark.parametrize("G", GROUPS[1:], ids=repr)
def test_other_seeds_give_other_samples(G: Group) -> None:
    assert not np.array_equal(G.samples(5), G.samples(5, seed=1))
    assert len({g.tobytes() for g in G.samples(8)}) > 1


def test_the_global_random_state_is_left_alone() -> None:
    np.random.seed(0)
    expected = np.random.random()
    np.random.seed(0)
    found = O(3).samples(3)
    assert np.random.random() == expected
    np.testing.assert_array_equal(found, O(3).samples(3))


def test_samples_are_writable_and_their_own() -> None:
    first = Trivial(2).samples(3)
    first[0, 0, 0] = 7
    np.testing.assert_array_equal(Trivial(2).samples(3), [np.eye(2)] * 3)


def test_coordinates_in_the_lie_algebra_are_normal() -> None:
    coordinates = np.log(Scaling(1).samples(20_000)[:, 0, 0])
    assert abs(coordinates.mean()) < 0.03
    assert abs(coordinates.std() - 1) < 0.03


def test_boosts_are_drawn_smaller_as_in_emlp() -> None:
    """By 0.3, or the entries of high tensors would be huge."""
    G = SO13p()
    logarithms = np.array([np.real(logm(g)) for g in G.samples(400)])
    boosts, turns = logarithms[:, 0, 1:], logarithms[:, 1:, 1:]
    assert boosts.std() == pytest.approx(0.3, rel=0.2)
    assert turns[:, [1, 2, 2], [0, 0, 1]].std() > 0.7


def test_a_scale_of_the_users_own_is_used() -> None:
    class Small(SO):
        z_scale = 1e-3

    assert np.abs(Small(3).samples(50) - np.eye(3)).max() < 0.01


def test_every_element_of_a_small_group_is_drawn() -> None:
    drawn = {tuple(np.argmax(g, axis=1)) for g in S(3).samples(200)}
    assert len(drawn) == 6
    assert {
        round(np.angle(g[0, 0] - 1j * g[0, 1]) * 7 / 2 / np.pi) % 7 for g in C(7).samples(200)
    } == (set(range(7)))
    assert {round(np.linalg.det(g)) for g in O(3).samples(50)} == {1, -1}


@laws
@given(st.integers(0, 2**32))
def test_any_seed_will_do(seed: int) -> None:
    g = O(3).sample(seed)
    np.testing.assert_allclose(g @ g.T, np.eye(3), atol=1e-12)


def test_too_many_samples_are_refused_before_memory_is_taken() -> None:
    with pytest.raises(TooLarge) as error:
        SO(3).samples(10**9)
    assert str(error.value) == "1,000,000,000 samples of size 3 have more than 100,000,000 entries"
