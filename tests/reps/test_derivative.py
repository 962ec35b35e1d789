"""dρ of a user-defined rep, derived from its ρ alone."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.errors import InvalidRep
from intertwine.groups import SO, Scaling, SO13p, U, parse_group
from intertwine.reps import Rep

TURN = np.array([[0.0, -1.0], [1.0, 0.0]])


class Power(Rep):
    """ρ(R) = Rⁿ of SO(2), dρ(A) = nA."""

    def __init__(self, n: int) -> None:
        self.n = n

    def rho(self, M: Any) -> Any:
        return np.linalg.matrix_power(M, self.n)


class PowerInJax(Power):
    def rho(self, M: Any) -> Any:
        return jnp.linalg.matrix_power(M, self.n)


class Pairs(Rep):
    """ρ(g) = g ⊗ g ⊗ g⁻ᵀ, dρ(A) = A ⊗ 1 ⊗ 1 + 1 ⊗ A ⊗ 1 − 1 ⊗ 1 ⊗ Aᵀ."""

    def rho(self, M: Any) -> Any:
        return np.kron(np.kron(M, M), np.linalg.inv(M).T)

    def analytic(self, A: Any) -> Any:
        one = np.eye(len(A))
        return (
            np.kron(np.kron(A, one), one)
            + np.kron(np.kron(one, A), one)
            - np.kron(np.kron(one, one), A.T)
        )


class Conjugation(Rep):
    """ρ(g)X = gXg⁻¹ on row-major flattened matrices, dρ(A)X = AX − XA."""

    def rho(self, M: Any) -> Any:
        return np.kron(M, np.linalg.inv(M).T)

    def analytic(self, A: Any) -> Any:
        return np.kron(A, np.eye(len(A))) - np.kron(np.eye(len(A)), A.T)


class Exterior(Rep):
    """The minors of size two, written with loops and branches that nothing could trace."""

    def rho(self, M: Any) -> Any:
        n = len(M)
        pairs = [(i, j) for i in range(n) for j in range(i)]
        image = np.empty((len(pairs), len(pairs)))
        for a, (i, j) in enumerate(pairs):
            for b, (k, m) in enumerate(pairs):
                image[a, b] = float(M[i, k]) * float(M[j, m]) - float(M[i, m]) * float(M[j, k])
        return image

    def analytic(self, A: Any) -> Any:
        n = len(A)
        pairs = [(i, j) for i in range(n) for j in range(i)]
        one = np.eye(n)

        def entry(i: int, j: int, k: int, m: int) -> float:
            first = A[i, k] * one[j, m] + one[i, k] * A[j, m]
            return float(first - A[i, m] * one[j, k] - one[i, m] * A[j, k])

        return np.array([[entry(i, j, k, m) for k, m in pairs] for i, j in pairs])


@laws
@given(
    st.sampled_from([Pairs, Conjugation, Exterior]),
    st.integers(0, 1000),
    st.sampled_from(["SO(3)", "SO13p()", "Sp(1)"]),
    st.sampled_from([1e-9, 1e-3, 0.1, 1.0, 7.0, 1e4]),
)
def test_it_agrees_with_the_analytic_one_at_every_scale(
    kind: type[Any], seed: int, name: str, scale: float
) -> None:
    G = parse_group(name)
    rep = kind()(G)
    coordinates = np.random.default_rng(seed).standard_normal(len(G.lie_algebra))
    A = scale * np.tensordot(coordinates, G.lie_algebra, axes=1)
    found = rep.drho(A)
    expected = rep.analytic(A)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float64
    assert np.abs(found - expected).max() <= 1e-12 * np.abs(A).max()


@pytest.mark.parametrize("kind", [Power, PowerInJax])
@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_the_derivative_of_a_power(kind: type[Power], n: int) -> None:
    """In double precision even where ρ is written in JAX, whose default is single."""
    found = kind(n)(SO(2)).drho(TURN)
    np.testing.assert_allclose(found, n * TURN, atol=1e-12 * n)
    assert np.asarray(found).dtype == np.float64
    assert jnp.ones(1).dtype == np.float32  # and nothing global has changed


def test_at_zero_it_is_zero() -> None:
    np.testing.assert_array_equal(Power(3)(SO(2)).drho(np.zeros((2, 2))), np.zeros((2, 2)))


def test_it_is_linear_and_respects_brackets() -> None:
    G = SO13p()
    rep = Conjugation()(G)
    A, B = (
        np.tensordot(c, G.lie_algebra, axes=1) for c in np.random.default_rng(0).normal(size=(2, 6))
    )
    a, b = rep.drho(A), rep.drho(B)
    np.testing.assert_allclose(rep.drho(2 * A - B), 2 * a - b, atol=1e-11)
    np.testing.assert_allclose(rep.drho(A @ B - B @ A), a @ b - b @ a, atol=1e-10)


def test_a_complex_group_has_complex_derivatives() -> None:
    class Determinant(Rep):
        def rho(self, M: Any) -> Any:
            return np.linalg.det(M)[None, None]

    rep = Determinant()(U(2))
    for A in U(2).lie_algebra:
        np.testing.assert_allclose(rep.drho(A), [[np.trace(A)]], atol=1e-12)


def test_a_real_group_may_act_on_a_complex_space() -> None:
    class Phase(Rep):
        def rho(self, M: Any) -> Any:
            return np.array([[M[0, 0] + 1j * M[1, 0]]])

    np.testing.assert_allclose(Phase()(SO(2)).drho(TURN), [[1j]], atol=1e-12)


def test_an_unbounded_group_is_followed_only_near_the_identity() -> None:
    class Large(Rep):
        """ρ(s) = s⁴⁰, which is past every float for s = e¹⁸."""

        def rho(self, M: Any) -> Any:
            return M**40

    rep = Large()(Scaling(1))
    np.testing.assert_allclose(rep.drho(np.array([[18.0]])), [[720.0]], rtol=1e-12)


def test_jax_arrays_are_differentiated_by_jax() -> None:
    rep = PowerInJax(3)(SO(2))
    with jax.enable_x64(True):
        found = rep.drho(jnp.asarray(TURN))
        assert isinstance(found, jax.Array)
        np.testing.assert_allclose(found, 3 * TURN, atol=1e-12)
        batch = jax.jit(jax.vmap(rep.drho))(jnp.asarray([TURN, 2 * TURN]))
        np.testing.assert_allclose(batch, [3 * TURN, 6 * TURN], atol=1e-12)


def test_a_numpy_rho_can_be_given_a_jax_array_too() -> None:
    found = Power(3)(SO(2)).drho(jnp.asarray(TURN))
    np.testing.assert_allclose(np.asarray(found), 3 * TURN, atol=1e-5)


# -- what is no representation


class Symmetrised(Rep):
    def rho(self, M: Any) -> Any:
        return (M + M.T) / 2


class Doubled(Rep):
    def rho(self, M: Any) -> Any:
        return 2 * M


NOT_ONE = [
    (Symmetrised, "rho of {!r} is not multiplicative: ρ(exp 2tA) ≠ ρ(exp tA)²"),
    (Doubled, "rho of {!r} does not tend to the identity along exp(tA)"),
]


@pytest.mark.parametrize(("kind", "message"), NOT_ONE)
def test_maps_that_are_not_representations_have_no_derivative(
    kind: type[Rep], message: str
) -> None:
    rep = kind()(SO(2))
    with pytest.raises(InvalidRep) as error:
        rep.drho(TURN)
    assert str(error.value) == message.format(rep)


def test_entries_that_are_not_finite_are_refused() -> None:
    class Infinite(Rep):
        def rho(self, M: Any) -> Any:
            return np.full((2, 2), np.nan)

    rep = Infinite()(SO(2))
    with pytest.raises(InvalidRep) as error:
        rep.drho(TURN)
    assert str(error.value).startswith(
        f"rho of {rep!r} returns entries that are not finite numbers:"
    )
