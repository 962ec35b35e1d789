"""Irreps whose traces agree, or whose names would, are told apart."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from intertwine import nn
from intertwine.errors import ReachWarning
from intertwine.groups import Group
from intertwine.irreps import Irrep, clebsch_gordan, decompose
from intertwine.reps import V

_X = np.array([[0, 1], [1, 0]], dtype=complex)
_Y = np.array([[0, -1j], [1j, 0]])
_Z = np.diag([1.0 + 0j, -1])


def _clock_and_shift(p: int) -> Group:
    clock = np.diag(np.exp(2j * np.pi * np.arange(p) / p))
    return Group(discrete_generators=[np.roll(np.eye(p), 1, axis=0), clock])


def _spinors(n: int) -> Group:
    """so(n) on both of its half-spin reps, by γ₁γ₂, …, γ₁γₙ."""
    half = n // 2
    gammas = [
        reduce(np.kron, [_Z] * k + [pauli] + [np.eye(2)] * (half - k - 1))
        for k in range(half)
        for pauli in (_X, _Y)
    ]
    return Group(lie_algebra=[gammas[0] @ gamma / 2 for gamma in gammas[1:]])


@pytest.mark.sampled(3)
@pytest.mark.parametrize("p", [3, 5, 7])
def test_shift_and_clock_matrices(p: int) -> None:
    group = _clock_and_shift(p)
    found = decompose((V + V.T)(group), store=False)
    assert [(irrep.size(), m) for irrep, m in found.multiplicities.items()] == [(p, 1), (p, 1)]
    first, second = found.multiplicities
    assert first.name != second.name
    assert sum(m.shape[2] * m.shape[3] for m in clebsch_gordan(first, second).values()) == p**2
    for irrep in (first, second):
        assert Irrep(irrep.name, group).size() == p
    assert (V(group) >> V.T(group)).equivariant_basis(store=False).rank == 0


@pytest.mark.slow
def test_a_network_over_them() -> None:
    group = _clock_and_shift(5)
    with pytest.warns(
        ReachWarning, match=r"the input's parts .* are turned relative to"
    ):  # 1 layer
        model = nn.EMLP(V(group) * V.T(group), V(group) * V.T(group), group, ch=16, num_layers=1)
    g, x = group.sample(), np.random.default_rng(0).standard_normal((5, 5)) + 0j
    moved = np.asarray(model((g @ x @ g.conj().T).ravel())).reshape(5, 5)
    expected = g @ np.asarray(model(x.ravel())).reshape(5, 5) @ g.conj().T
    np.testing.assert_allclose(moved, expected, atol=1e-4)


@pytest.mark.parametrize("n", [8, 12, pytest.param(14, marks=pytest.mark.slow)])
def test_half_spin_reps(n: int) -> None:
    found = decompose(V(_spinors(n)), store=False)
    sizes = [(irrep.size(), m) for irrep, m in found.multiplicities.items()]
    assert sizes == [(2 ** (n // 2 - 1), 1)] * 2


def test_names_do_not_collide() -> None:
    charges = [1, 4, 18, 31, 34, 38, 39, 43, 51, 53, 56, 57]
    found = decompose(V(Group(lie_algebra=[np.diag(1j * np.array(charges))])), store=False)
    assert len(found.multiplicities) == 12
    assert set(found.multiplicities.values()) == {1}
    lengths = sorted(len(irrep.name) for irrep in found.multiplicities)
    assert lengths[0] == lengths[-2] < lengths[-1]  # one of two that would be equal is longer


@pytest.mark.parametrize(
    "seed",
    [seed if seed < 6 else pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 31)],
)
def test_layers_take_the_basis_where_irreps_fail(seed: int) -> None:
    noise = 0.03 * np.random.default_rng(seed).standard_normal((6, 6))
    group = Group(lie_algebra=[np.kron(np.eye(3), [[0, 1], [-1, 0]]) + noise])
    layer = nn.Linear(V, V, group)
    g, x = group.sample(), np.random.default_rng(0).standard_normal(6)
    np.testing.assert_allclose(layer(g @ x), g @ np.asarray(layer(x)), rtol=1e-3, atol=1e-3)
