"""Over unitary matrices a network also sees x̄, and is as free as one of real vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.example_networks import Turned, double_precision, images, points
from helpers.oblique_groups import conjugate
from intertwine.architecture.conjugates import with_conjugate, with_dual
from intertwine.groups import SL, SO, SU, Group, S, U
from intertwine.irreps import decompose
from intertwine.nn import EMLP, bake, load, save
from intertwine.reps import Rep, Scalar, T, V
from intertwine.training import fit

#: Real matrices, of complex vectors.
TRIVIAL = next(iter(decompose(Scalar, group=SU(2)).multiplicities))
CROOKED = conjugate(U(2), np.array([[1.0, 0.5], [0.0, 1.0]]))


class TestTheDual:
    @pytest.mark.parametrize(
        "rep", [2 * V(U(2)), T(2)(SU(3)) + Scalar, V(U(1)), TRIVIAL, 2 * TRIVIAL.T], ids=repr
    )
    def test_the_dual_of_a_unitary_rep_is_its_conjugate(self, rep: Rep) -> None:
        n, x = rep.size(), points(rep, is_complex=True)
        both = with_dual(rep)
        assert both.size() == 2 * n
        for g in rep.G.samples(3):
            rho = np.asarray(rep.rho_dense(g))
            moved = with_conjugate(x @ rho.T, 2 * n)
            expected = with_conjugate(x, 2 * n) @ np.asarray(both.rho_dense(g)).T
            np.testing.assert_allclose(moved, expected, atol=1e-10)

    @pytest.mark.parametrize(
        "rep",
        [V(SO(3)), V(S(3)), V(SL(2)), V(CROOKED), Turned(2, SO(2)), 3 * Scalar],
        ids=["real", "permuted", "real, not orthogonal", "crooked", "a user's own", "scalars"],
    )
    def test_other_reps_get_no_dual(self, rep: Rep) -> None:
        assert with_dual(rep) == rep
        x = points(rep)
        assert with_conjugate(x, rep.size()) is x


@pytest.mark.parametrize(
    ("group", "rep_in", "rep_out"),
    [
        (U(2), 2 * V, V),
        (SU(3), 2 * V, Scalar),
        (U(3), 5 * Scalar + 2 * V, V),
        pytest.param(SU(4), 2 * V, Scalar, marks=pytest.mark.slow),
        pytest.param(U(1), 2 * V, V, marks=pytest.mark.slow),
    ],
    ids=lambda value: repr(value),
)
@pytest.mark.sampled(12)
def test_a_network_is_equivariant_and_not_linear(
    group: Group, rep_in: Rep, rep_out: Rep, tmp_path: Path
) -> None:
    with double_precision() as dtype:
        model = EMLP(rep_in, rep_out, group, ch=48, num_layers=2, dtype=dtype)
        x = points(model.rep_in, is_complex=True)
        y = images(model, x)
        for g in group.samples(3):
            rho_in, rho_out = (np.asarray(r.rho_dense(g)) for r in (model.rep_in, model.rep_out))
            np.testing.assert_allclose(images(model, x @ rho_in.T), y @ rho_out.T, atol=1e-11)
        assert np.abs(images(model, 2 * x) - 2 * y).max() > 1e-3 * np.abs(y).max()
        save(model, tmp_path)
        for same in (bake(model), load(tmp_path)):
            np.testing.assert_allclose(np.asarray(same(x)), y, atol=1e-12)


@pytest.mark.slow
def test_networks_from_and_to_the_trivial_irrep_are_kept(tmp_path: Path) -> None:
    with double_precision() as dtype:
        model = EMLP(V + TRIVIAL, V + TRIVIAL, SU(2), ch=8, num_layers=2, dtype=dtype)
        x = points(model.rep_in, is_complex=True)
        y = images(model, x)
        save(model, tmp_path)
        for same in (bake(model), load(tmp_path)):
            np.testing.assert_allclose(np.asarray(same(x)), y, atol=1e-12)
        assert np.abs(images(model, x.conj())[:, 2] - y[:, 2].conj()).max() > 1e-3


def test_a_network_over_determinants_of_unitary_matrices_sees_the_conjugate() -> None:
    group = U(2)
    [determinant] = [i for i in decompose(V(group) ** 2).multiplicities if i.size() == 1]
    with double_precision() as dtype:
        model = EMLP(determinant, Scalar, group, ch=12, dtype=dtype)
        w = points(model.rep_in, is_complex=True)
        turned = images(model, 1j * w)
        y = images(model, w)
        np.testing.assert_allclose(turned, y, atol=1e-12)
        assert np.abs(images(model, 2 * w) - y).max() > 1e-3


@pytest.mark.slow
def test_it_learns_a_function_of_conjugates() -> None:
    """x, y ↦ ⟨x, y⟩x over U(2)."""

    def sample(count: int, seed: int) -> tuple[Any, Any]:
        x = points(2 * V(U(2)), count, is_complex=True, seed=seed)
        a, b = x[:, :2], x[:, 2:]
        return x, np.sum(a.conj() * b, axis=1, keepdims=True) * a

    trained = fit(
        EMLP(2 * V, V, U(2), ch=48, num_layers=2), sample(1000, 0), test=sample(500, 1), epochs=60
    )
    _, targets = sample(500, 1)
    assert trained.test_loss < 0.01 * np.mean(np.abs(targets) ** 2)
