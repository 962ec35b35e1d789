"""EMLP's page 4, new representations: irreps of SO(2) and pseudotensors as subclasses of Rep.

The page exists in two editions: in the later one a rep needs `rho` and `__str__` alone, in the
earlier it also gave its size, equality, hash and dual. Every test here runs on both.
"""

from itertools import permutations
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from intertwine.groups import SO, Group, O, S
from intertwine.reps import Rep, Scalar, T, V, canonical, equivariance_error
from intertwine.verify import assert_equivariant

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class SO2Irreps(Rep):
    def __init__(self, order):
        assert order > 0, "Use Scalar for 𝜓₀"
        self.G = SO(2)
        self.order = order

    def rho(self, M):
        return jnp.linalg.matrix_power(M, self.order)

    def __str__(self):
        return f"𝜓{self.order}".translate(SUBSCRIPTS)


class PseudoScalar(Rep):
    def __init__(self, G=None):
        self.G = G

    def __str__(self):
        return "P"

    def rho(self, M):
        sign = jnp.linalg.slogdet(M @ jnp.eye(M.shape[0]))[0]
        return sign * jnp.eye(1)

    def __call__(self, G):
        return PseudoScalar(G)


class EarlierSO2Irreps(SO2Irreps):
    is_regular = False

    def size(self):
        return 2

    def __eq__(self, other):
        return type(self) is type(other) and self.G == other.G and self.order == other.order

    def __hash__(self):
        return hash((type(self), self.G, self.order))

    @property
    def T(self):
        return self


class EarlierPseudoScalar(PseudoScalar):
    is_regular = False

    def __call__(self, G):
        return EarlierPseudoScalar(G)

    def size(self):
        return 1

    def __eq__(self, other):
        return type(self) is type(other) and self.G == other.G

    def __hash__(self):
        return hash((type(self), self.G))

    @property
    def T(self):
        return self


EDITIONS = {
    "later edition": SimpleNamespace(irrep=SO2Irreps, pseudoscalar=PseudoScalar),
    "earlier edition": SimpleNamespace(irrep=EarlierSO2Irreps, pseudoscalar=EarlierPseudoScalar),
}


@pytest.fixture(params=EDITIONS.values(), ids=EDITIONS.keys())
def page(request):
    return request.param


def tolerance(dtype):
    return 1e-6 if dtype == np.float32 else 1e-13


# -- irreps of SO(2)


def test_irreps_print_as_they_were_written(page):
    psi1, psi2, psi3 = page.irrep(1), page.irrep(2), page.irrep(3)
    assert str(psi1 * psi2 + psi3) == "𝜓₁⊗𝜓₂+𝜓₃"
    assert [psi1.size(), (psi1 * psi2 + psi3).size()] == [2, 6]


def test_irreps_are_values(page):
    assert page.irrep(2) == page.irrep(2)
    assert hash(page.irrep(2)) == hash(page.irrep(2))
    assert page.irrep(2) != page.irrep(3)
    assert {page.irrep(2): "two"}[page.irrep(2)] == "two"


@pytest.mark.sampled(2)
def test_schurs_lemma_there_are_no_maps_between_different_irreps(page, precision):
    psi1, psi2, psi3 = page.irrep(1), page.irrep(2), page.irrep(3)
    for Q in (
        (psi1 >> psi2).equivariant_basis(),
        (psi2 >> psi3).equivariant_basis(),
        (psi1 >> psi3).equivariant_basis(),
    ):
        assert Q.shape == (4, 0)
        assert f"{np.asarray(Q)}" == "[]"  # as the page prints it


def test_schurs_lemma_a_real_irrep_of_a_circle_has_two_maps_to_itself(page):
    psi = page.irrep(3)
    Q = (psi >> psi).equivariant_basis()
    J = np.array([[0, -1], [1, 0]]).ravel() / np.sqrt(2)
    identity = np.eye(2).ravel() / np.sqrt(2)
    np.testing.assert_allclose(
        Q.projector, np.outer(identity, identity) + np.outer(J, J), atol=1e-12
    )


def test_there_are_eight_maps_from_tensors_of_rank_four_to_the_second_irrep(page, vis):
    psi2 = page.irrep(2)
    assert vis(V(SO(2)) ** 4, psi2).shape == (2, 16)
    Wrep = V(SO(2)) ** 4 >> psi2
    Q = Wrep.equivariant_basis()
    text = f"{Wrep} equivariant maps with r={Q.shape[-1]} basis elements"
    assert text == "𝜓₂⊗V⁴ equivariant maps with r=8 basis elements"


@pytest.mark.sampled(2)
def test_a_random_map_among_them_is_equivariant(page, precision):
    psi2 = page.irrep(2)
    Q = (V(SO(2)) ** 4 >> psi2).equivariant_basis()
    W = Q @ np.random.default_rng(0).standard_normal(Q.shape[-1])
    error = equivariance_error(W, V(SO(2)) ** 4, psi2, SO(2))
    assert f"With equivariance error {error:.2e}".endswith(("e-07", "e-08", "e-15", "e-16"))
    assert error <= tolerance(precision)
    assert equivariance_error(np.roll(W, 1), V(SO(2)) ** 4, psi2, SO(2)) > 0.1
    assert_equivariant(W, V(SO(2)) ** 4, psi2, SO(2))


def test_the_derivative_of_an_irrep_is_found_by_the_library(page):
    (A,) = SO(2).lie_algebra
    np.testing.assert_allclose(page.irrep(3).drho(A), 3 * A, atol=1e-14)
    np.testing.assert_allclose(page.irrep(3).drho_dense(jnp.asarray(A)), 3 * A, atol=1e-6)


@pytest.mark.slow
def test_a_rep_of_ones_own_maps_over_samples_in_jax(page, precision):
    gs = SO(2).samples(4)
    rep = page.irrep(2) * V(SO(2)) + page.irrep(3)
    images = jax.vmap(rep.rho_dense)(gs)
    assert (images.shape, images.dtype) == ((4, 6, 6), precision)
    expected = [rep.rho_dense(g) for g in gs]
    np.testing.assert_allclose(images, expected, atol=tolerance(precision))


@pytest.mark.slow
def test_the_dual_of_an_orthogonal_rep_of_ones_own_is_the_rep_itself(page):
    psi2 = page.irrep(2)
    assert psi2 == psi2.T
    assert page.pseudoscalar(O(3)) == page.pseudoscalar(O(3)).T


def test_the_dual_of_an_oblique_rep_of_an_orthogonal_group_is_another_rep():
    class Oblique(SO2Irreps):
        def rho(self, M):
            slanted = jnp.array([[1.0, 1.0], [0.0, 1.0]])
            return slanted @ super().rho(M) @ jnp.linalg.inv(slanted)

    rep = Oblique(1)
    assert rep != rep.T
    assert rep == rep.T.T
    Q = (rep >> rep).equivariant_basis()
    assert Q.shape == (4, 2)
    np.testing.assert_allclose(Q.project(np.eye(2).ravel()), np.eye(2).ravel(), atol=1e-12)


# -- pseudotensors


def test_a_rep_is_written_before_its_group_is_known(page):
    P = page.pseudoscalar()
    assert str((P + V * P)(S(4))) == "P+V⊗P"
    assert (P + V * P)(S(4)) == page.pseudoscalar(S(4)) + V(S(4)) * page.pseudoscalar(S(4))
    assert (P + V * P)(S(4)).size() == 5


def test_pseudovectors_change_sign_under_odd_permutations(page, precision):
    G = S(4)
    P = page.pseudoscalar(G)
    W = V(G)
    pseudovector = P * W
    g = G.sample()
    assert f"Sample g = \n{g}".count("1.") == 4
    assert f"Pseudovector ρ = \n{pseudovector.rho_dense(g)}".count("1.") == 4
    signs = set()
    for g in G.samples(20):
        sign = round(np.linalg.det(g))
        signs.add(sign)
        np.testing.assert_allclose(pseudovector.rho_dense(g), sign * g, atol=1e-6)
        np.testing.assert_allclose(pseudovector.rho_dense(jnp.asarray(g)), sign * g, atol=1e-6)
    assert signs == {1, -1}


def test_pseudoscalars_mix_with_other_reps(page):
    P, W = page.pseudoscalar(S(4)), V(S(4))
    rep = P * (W**2 + P) + W.T
    assert str(rep) == "P⊗(V²+P)+V"
    assert rep.size() == 21
    assert {str(term) for _, term in canonical(rep).rep.terms} == {"V", "P²", "V²⊗P"}


def invariants_by_counting(character):
    """The rank by Burnside: the mean over all of S(4) of the character."""
    group = [np.eye(4)[list(p)] for p in permutations(range(4))]
    return round(np.mean([character(round(np.linalg.det(g)), np.trace(g)) for g in group]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("maps", "character"),
    [
        (lambda P, W: (W**2, P * W), lambda sign, fixed: sign * fixed**3),
        (lambda P, W: (W**2, W), lambda sign, fixed: fixed**3),
        (lambda P, W: (P * W**2, W**2), lambda sign, fixed: sign * fixed**4),
    ],
    ids=["W² to P⊗W", "W² to W", "P⊗W² to W²"],
)
def test_maps_to_pseudotensors_are_as_many_as_characters_say(page, vis, maps, character):
    repin, repout = maps(page.pseudoscalar(S(4)), V(S(4)))
    Q = (repin >> repout).equivariant_basis()
    assert Q.shape == (repin.size() * repout.size(), invariants_by_counting(character))
    assert equivariance_error(vis(repin, repout), repin, repout, S(4)) <= 1e-6


@pytest.mark.sampled(2)
def test_a_whole_basis_is_checked_at_once(page, precision):
    G = S(4)
    P, W = page.pseudoscalar(G), V(G)
    rin = P * W**2
    rout = W**2
    Q = (rin >> rout).equivariant_basis()
    assert Q.shape == (256, 7)
    error = equivariance_error(Q, rin, rout, G)
    assert f"With equivariance error {error:.2e}".startswith("With equivariance error ")
    assert error <= tolerance(precision)
    assert equivariance_error(np.asarray(Q)[::-1], W, W**3, G) > 0.1


@pytest.mark.sampled(2)
def test_irreps_and_pseudoscalars_of_one_group_mix(page, precision):
    P = page.pseudoscalar(SO(2))
    W = V(SO(2))
    rep = page.irrep(2) >> P * W**2
    assert str(rep) == "P⊗V²⊗𝜓₂"
    assert f"{rep.equivariant_basis().shape}" == "(8, 2)"


def test_the_scalars_and_tensors_that_the_page_imports_mix_too(page):
    P = page.pseudoscalar(O(3))
    rep = T(1)(O(3)) * P + 2 * Scalar
    assert (str(rep), rep.size()) == ("V⊗P+2V⁰", 5)
    epsilon = (P >> T(3)(O(3))).equivariant_basis()
    assert epsilon.shape == (27, 1)
    assert T(3)(O(3)).equivariant_basis().shape == (27, 0)


# -- what a rep of one's own may be besides


def test_rho_may_be_written_in_numpy_alone(precision):
    class Third(Rep):
        def __init__(self):
            self.G = SO(2)

        def rho(self, M):
            return np.linalg.matrix_power(np.asarray(M), 3)

    (A,) = SO(2).lie_algebra
    np.testing.assert_allclose(Third().drho(A), 3 * A, atol=1e-13)
    assert (Third() >> SO2Irreps(3)).equivariant_basis().shape == (4, 2)
    assert (Third() >> SO2Irreps(2)).equivariant_basis().shape == (4, 0)


def test_a_derivative_of_ones_own_is_the_one_that_is_used():
    seen = []

    class WithDerivative(SO2Irreps):
        def drho(self, A):
            seen.append(A.shape)
            return self.order * A

    assert (WithDerivative(2) >> SO2Irreps(2)).equivariant_basis().shape == (4, 2)
    assert set(seen) == {(2, 2)}


@pytest.mark.parametrize("G", [S(4), O(3), SO(3)], ids=repr)
def test_a_pseudoscalar_is_fixed_by_the_groups_without_reflections(page, G: Group):
    rank = page.pseudoscalar(G).equivariant_basis().shape[1]
    assert rank == int(SO(3) == G)
