"""EMLP's page 1, the quickstart: what its cells run, and what they show."""

import time

import intertwine
import jax.numpy as jnp
import numpy as np
import pytest
from intertwine.bases import Basis
from intertwine.groups import SO, SO13, Group, O, RubiksCube, S, Z
from intertwine.reps import Rep, V, canonical, parse
from intertwine.verify import equivariance_error

RNG = np.random.default_rng(20210419)


def vis_basis(basis, shape):
    """The page's own function, up to where it draws."""
    Q = basis @ jnp.eye(basis.shape[-1])
    v = RNG.standard_normal(Q.shape[0])
    v = Q @ (Q.T @ v)
    assert v.reshape(-1, 1).shape == (basis.shape[0], 1)
    return v.reshape(shape)


def vis(repin, repout):
    """The page's second function."""
    Q = (repin >> repout).equivariant_basis()
    return vis_basis(Q, (repout.size(), repin.size()))


def rounding(dtype):
    return 1e-5 if dtype == np.float32 else 1e-12


# -- the group acts


def test_a_sampled_element_of_Z4_shifts_a_vector_around():
    G = Z(4)
    rep = V(G)
    v = RNG.standard_normal(rep.size())
    g = G.sample()
    assert f"ρ(g) =\n{rep.rho(g)}".count("1.") == 4
    moved = rep.rho(g) @ v
    assert f"ρ(g)v = {moved:}".startswith("ρ(g)v = [")
    assert any(np.array_equal(moved, np.roll(v, shift)) for shift in range(4))


def test_the_invariant_of_Z5_is_the_constant_vector_of_length_one():
    Q = V(Z(5)).equivariant_basis()
    assert Q.shape == (5, 1)
    np.testing.assert_allclose(np.abs(Q), 1 / np.sqrt(5), rtol=1e-14)
    np.testing.assert_allclose(Q, np.full((5, 1), np.asarray(Q)[0, 0]), rtol=1e-14)


# -- the algebra of representations


WRITTEN = {
    "V+V": (V + V, "2V"),
    "V*V": (V * V, "V²"),
    "V.T": (V.T, "V*"),
    "(V+V.T)*(V*V.T+V)": ((V + V.T) * (V * V.T + V), "(V+V*)⊗(V⊗V*+V)"),
    "5*V*2": (5 * V * 2, "10V"),
    "2*V**3": (2 * V**3, "2V³"),
    "2*V(O(4))**3": (2 * V(O(4)) ** 3, "2V³"),
    "(2*V**3)(O(4))": ((2 * V**3)(O(4)), "2V³"),
    "V(SO(3)).T+V(SO(3))": (V(SO(3)).T + V(SO(3)), "2V"),
    "V(SO13()).T+V(SO13())": (V(SO13()).T + V(SO13()), "V*+V"),
}


@pytest.mark.parametrize(("rep", "printed"), WRITTEN.values(), ids=WRITTEN.keys())
def test_a_rep_prints_as_the_page_shows_it_or_as_it_was_written(rep: Rep, printed: str):
    assert str(rep) == printed


def test_taking_a_rep_over_a_group_commutes_with_the_operators():
    G = O(4)
    assert 2 * V(G) ** 3 == (2 * V**3)(G)


def test_the_order_the_page_shows_for_SO13_is_that_of_the_canonical_form():
    G = SO13()
    form = canonical(V(G).T + V(G))
    assert str(form.rep) == "V+V*"
    v = np.arange(8.0)
    np.testing.assert_array_equal(form.permutation @ v, [4, 5, 6, 7, 0, 1, 2, 3])


# -- bases, and how the page looks at them


def test_the_maps_equivariant_to_Z6_are_the_circulant_ones(precision):
    G = Z(6)
    repin = V(G)
    repout = V(G)
    conv_basis = (repin >> repout).equivariant_basis()
    assert f"Conv basis has shape {conv_basis.shape}" == "Conv basis has shape (36, 6)"
    assert conv_basis[:, 0].shape == (36,)
    np.testing.assert_allclose(np.linalg.norm(conv_basis[:, 0]), 1)
    image = vis_basis(conv_basis, (repin.size(), repout.size()))
    assert isinstance(image, jnp.ndarray)
    assert image.dtype == precision
    np.testing.assert_allclose(image, np.roll(image, (1, 1), axis=(0, 1)), atol=rounding(precision))


def test_the_maps_equivariant_to_a_product_of_cyclic_groups_are_the_bicirculant_ones(precision):
    G = Z(3) * Z(4)
    repin = V(G)
    repout = V(G)
    assert repin.size() == 12
    assert (repin >> repout).equivariant_basis().shape == (144, 12)
    image = vis(repin, repout).reshape(3, 4, 3, 4)
    for axes in [(0, 2), (1, 3)]:
        shifted = np.roll(image, (1, 1), axis=axes)
        np.testing.assert_allclose(image, shifted, atol=rounding(precision))


def test_the_product_group_has_the_maps_of_the_mixed_reps():
    product = (V(Z(3) * Z(4)) >> V(Z(3) * Z(4))).equivariant_basis()
    mixed = (V(Z(3)) * V(Z(4)) >> V(Z(3)) * V(Z(4))).equivariant_basis()
    np.testing.assert_allclose(product.projector, mixed.projector, atol=1e-12)


def test_a_set_has_two_equivariant_maps(precision):
    repin = V(S(6))
    repout = V(S(6))
    image = np.asarray(vis(repin, repout))
    assert (repin >> repout).equivariant_basis().shape == (36, 2)
    diagonal, off = np.diag(image), image[~np.eye(6, dtype=bool)]
    for entries in (diagonal, off):
        np.testing.assert_allclose(entries, entries[0], atol=rounding(precision))


def test_a_graph_has_fifteen_equivariant_maps(precision):
    repin = V(S(6)) ** 2
    repout = V(S(6)) ** 2
    image = vis(repin, repout)
    assert f"{(repin >> repout).equivariant_basis().shape}" == "(1296, 15)"
    assert len(np.unique(np.round(image, 4))) == 15  # so that the page may colour by value


def test_the_only_bilinear_map_of_rotations_is_the_cross_product(precision):
    W = V(SO(3))
    repin = W**2
    repout = W
    Q = (repin >> repout).equivariant_basis()
    assert f"Basis matrix of shape {Q.shape}" == "Basis matrix of shape (27, 1)"
    assert vis(repin, repout).shape == (3, 9)
    epsilon = np.zeros((3, 3, 3))
    for i, j, k in [(0, 1, 2), (1, 2, 0), (2, 0, 1)]:
        epsilon[i, j, k], epsilon[i, k, j] = 1, -1
    found = np.asarray(Q).reshape(3, 3, 3)
    np.testing.assert_allclose(found / found[0, 1, 2], epsilon, atol=1e-13)


# -- high dimensions


@pytest.mark.slow
def test_rotations_have_fifteen_maps_between_tensors_of_rank_three(precision):
    W = V(SO(3))
    image = vis(W**3, W**3)
    assert (W**3 >> W**3).equivariant_basis().shape == (729, 15)
    assert equivariance_error(image, W**3, W**3, SO(3)) <= rounding(precision)


@pytest.mark.slow
def test_rotations_have_ninety_one_maps_from_rank_five_to_rank_three(precision):
    W = V(SO(3))
    started = time.process_time()
    Q = (W**5 >> W**3).equivariant_basis()
    assert time.process_time() - started < 60
    assert Q.shape == (6561, 91)
    image = vis_basis(Q, ((W**3).size(), (W**5).size()))
    assert equivariance_error(image, W**5, W**3, SO(3)) <= rounding(precision)


@pytest.mark.slow
def test_the_real_cube_of_rubik_has_nine_equivariant_maps(precision):
    Q = (V(RubiksCube()) >> V(RubiksCube())).equivariant_basis()
    assert Q.shape == (2304, 9)
    image = vis(V(RubiksCube()), V(RubiksCube()))
    error = equivariance_error(image, V(RubiksCube()), V(RubiksCube()))
    assert error <= rounding(precision)


# -- composite representations


@pytest.mark.slow
def test_there_are_seven_maps_from_a_graph_to_a_set(precision):
    W = V(S(6))
    repin = W + W**2
    repout = W
    image = vis(repin, repout)
    assert f"{(repin >> repout).equivariant_basis().shape}" == "(252, 7)"
    assert equivariance_error(image, repin, repout, S(6)) <= rounding(precision)


def test_a_layer_of_many_channels_is_found_without_writing_it_out():
    W = V(S(6))
    repin = 100 * W**0 + 100 * W + 20 * W**2
    repout = repin
    rep_map = repin >> repout
    assert f"{rep_map}, of size {rep_map.size()}" == "(100V⁰+100V+20V²)², of size 2016400"
    assert str(canonical(rep_map).rep) == "10000V⁰+20000V+14000V²+4000V³+400V⁴"
    Q = rep_map.equivariant_basis()
    assert f"Basis matrix of shape {Q.shape}" == "Basis matrix of shape (2016400, 84000)"
    assert Q.nbytes < 100e6 < 1e12 < Q.dense_bytes


def assert_projected_to_an_equivariant_matrix(convert):
    W = V(S(6))
    repin = 100 * W**0 + 100 * W + 20 * W**2
    repout = repin
    P = (repin >> repout).equivariant_projector()
    v = RNG.standard_normal(P.shape[-1])
    moved = repin.rho(S(6).sample(seed=1))
    before = v.reshape(repout.size(), repin.size())
    assert np.abs(moved @ before - before @ moved).max() > 1
    argument = convert(v)
    v = P @ argument
    image = v.reshape(repout.size(), repin.size())
    assert (type(image), image.dtype) == (type(argument), argument.dtype)
    tolerance = rounding(argument.dtype)
    np.testing.assert_allclose(moved @ image, image @ moved, atol=tolerance)
    np.testing.assert_allclose(P @ v, v, atol=tolerance)


def test_the_projector_of_that_layer_makes_a_random_matrix_equivariant():
    assert_projected_to_an_equivariant_matrix(np.asarray)


@pytest.mark.slow
def test_that_projector_does_the_same_in_jax(precision):
    assert_projected_to_an_equivariant_matrix(jnp.asarray)


@pytest.mark.slow
def test_rows_and_columns_meet_a_lazy_basis_without_writing_it_out(precision, monkeypatch):
    W = V(S(6))
    Q = (W + W**2 >> W**2).equivariant_basis()
    matrix = Q.dense()

    def written_out(*_):
        raise AssertionError("the basis was written out as a dense matrix")

    monkeypatch.setattr(Basis, "dense", written_out)
    v, w = RNG.standard_normal(Q.shape[0]), RNG.standard_normal(Q.shape[1])
    for convert in (np.asarray, jnp.asarray):
        row, column = convert(v), convert(w)
        tolerance = rounding(row.dtype)
        np.testing.assert_allclose(row @ Q, v @ matrix, atol=tolerance)
        np.testing.assert_allclose(Q.T @ row, v @ matrix, atol=tolerance)
        np.testing.assert_allclose(Q @ column, matrix @ w, atol=tolerance)
        np.testing.assert_allclose(Q.project(row), matrix @ (v @ matrix), atol=tolerance)


# -- the library's own pictures


def colours(axes) -> int:
    """How many colours a picture has."""
    return len(np.unique(axes.images[0].get_array().reshape(-1, 3), axis=0))


@pytest.mark.parametrize(
    ("repin", "repout"),
    [
        (V(Z(6)), V(Z(6))),
        (V(Z(3) * Z(4)), V(Z(3) * Z(4))),
        (V(S(6)), V(S(6))),
        (V(S(6)) ** 2, V(S(6)) ** 2),
        (V(RubiksCube()), V(RubiksCube())),
        ((V + V**2)(S(6)), V(S(6))),
    ],
    ids=["convolution", "two-dimensional", "set", "graph", "cube", "graph to set"],
)
def test_permutations_have_a_colour_for_each_map(repin: Rep, repout: Rep):
    axes = intertwine.reps.vis(repin, repout)
    assert axes.images[0].get_array().shape == (repout.size(), repin.size(), 3)
    assert colours(axes) == (repin >> repout).equivariant_basis().shape[1]


def test_the_cross_product_has_three_colours_for_1_and_its_negative_and_0():
    W = V(SO(3))
    assert colours(intertwine.reps.vis(W**2, W)) == 3
    assert colours(intertwine.reps.vis(W**2, W, cluster=False)) == 3


def test_rotations_of_rank_three_are_drawn_with_the_entries_that_must_vanish():
    W = V(SO(3))
    picture = intertwine.reps.vis(W**3, W**3, cluster=False).images[0].get_array()
    allowed = np.abs((W**3 >> W**3).equivariant_basis().dense()).max(axis=1).reshape(27, 27) > 1e-12
    zero = picture[~allowed]
    np.testing.assert_array_equal(zero, np.broadcast_to(zero[0], zero.shape))
    assert not np.any(np.all(picture[allowed] == zero[0], axis=-1))


# -- where ours differs on purpose (docs/from-emlp.md)


def test_a_sample_is_the_same_at_every_call_and_another_with_another_seed():
    G = SO(3)
    np.testing.assert_array_equal(G.sample(), G.sample())
    np.testing.assert_array_equal(G.sample(), G.samples(1)[0])
    assert np.abs(G.sample() - G.sample(seed=1)).max() > 0.1
    assert len({g.tobytes() for g in G.samples(100)}) == 100


def test_a_basis_shows_its_shape_and_residual_and_is_an_array_to_whoever_asks(precision):
    Q = (V**2)(SO(3)).equivariant_basis()
    assert repr(Q).startswith("<Basis of shape (9, 1), float64, by ")
    assert jnp.asarray(Q).dtype == precision
    assert np.asarray(Q).dtype == np.float64
    np.testing.assert_array_equal(Q * np.full((9, 1), 2.0), 2 * np.asarray(Q))


@pytest.mark.parametrize(("rep", "_"), list(WRITTEN.values())[6:], ids=list(WRITTEN)[6:])
def test_a_concrete_rep_names_its_group_in_its_repr_and_is_parsed_from_it(rep: Rep, _: str):
    assert parse(repr(rep)) == rep


# -- names from before EMLP 0.8


@pytest.mark.parametrize("G", [Z(4), SO(3)], ids=repr)
def test_the_earlier_names_of_basis_and_projector_work_too(G: Group):
    rep = V(G) ** 2
    assert rep.symmetric_basis().shape == rep.equivariant_basis().shape
    assert rep.symmetric_projector().shape == rep.equivariant_projector().shape
