"""Linear layers: every equivariant affine map, and nothing else."""

from __future__ import annotations

import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.complex_groups import COMPLEX, Phase, Rotations
from helpers.example_networks import CASES, OBLIQUE, double_precision, images
from intertwine.architecture.linear_maps import BasisMaps, SchurMaps, bound, linear_maps_of
from intertwine.errors import InvalidRep
from intertwine.groups import SO, SU, Group, O, S
from intertwine.irreps import decompose
from intertwine.nn import Linear
from intertwine.reps import Rep, Scalar, T, V
from intertwine.verify import equivariance_error


def unit_maps(layer: Linear) -> np.ndarray:
    """Return W and b, of shape (·, m, n + 1), for each weight being 1 and the others 0."""
    n, kind = layer.rep_in.size(), layer.bias.dtype
    inputs = jnp.concatenate([jnp.zeros((1, n)), jnp.eye(n)]).astype(kind)
    flat, shaped = jax.flatten_util.ravel_pytree((layer.weights, layer.bias))
    images = jax.jit(jax.vmap(lambda w: layer.maps.apply(*shaped(w), inputs)))(np.eye(len(flat)))
    constant, columns = images[:, :1], images[:, 1:] - images[:, :1]
    return np.concatenate([columns, constant], axis=1).swapaxes(1, 2)


def projector(rows: np.ndarray) -> np.ndarray:
    """Return the projector on the span of the rows, which must be independent."""
    q, r = np.linalg.qr(rows.reshape(len(rows), rows[0].size).T)
    if len(rows):
        assert np.abs(np.diag(r)).min() > 1e-3 * np.abs(np.diag(r)).max()
    return q @ q.conj().T


@pytest.mark.parametrize("name", CASES)
@pytest.mark.sampled(12)
def test_maps_span_exactly_the_equivariant_affine_maps(name: str) -> None:
    case = CASES[name]
    rep_in = case.rep_in + case.rep_out  # to which some lead
    with double_precision() as dtype:
        layer = Linear(rep_in, case.rep_out, dtype=dtype)
        maps = unit_maps(layer)
    free = len(layer.bias)
    linear, constant = maps[: len(maps) - free, :, :-1], maps[len(maps) - free :, :, -1]
    hom = rep_in >> case.rep_out
    expected = hom.equivariant_projector() @ np.eye(hom.size())
    np.testing.assert_allclose(projector(linear), expected, atol=1e-10)
    np.testing.assert_allclose(np.abs(maps[: len(maps) - free, :, -1]).max(), 0, atol=1e-12)
    invariants = case.rep_out.equivariant_projector() @ np.eye(case.rep_out.size())
    if free:
        np.testing.assert_allclose(projector(constant), invariants, atol=1e-10)
    else:
        assert np.abs(invariants).max() < 1e-12


def require_all_maps(rep_in: Rep, rep_out: Rep, group: Group) -> None:
    """Check that a layer has as many weights as there are equivariant maps, and that they span the
    same space; it is refused only if there are none.
    """
    rep_in, rep_out = bound(rep_in, group), bound(rep_out, group)
    basis = (rep_in >> rep_out).equivariant_basis(store=False)
    with jax.enable_x64(True):
        if not basis.rank:
            with pytest.raises(InvalidRep, match=r"the only equivariant linear map .* is zero"):
                Linear(rep_in, rep_out, group)
            return
        layer = Linear(rep_in, rep_out, group, dtype=np.float64)
        maps = unit_maps(layer)
    free = len(layer.bias)
    assert len(maps) == basis.rank + free
    assert free == rep_out.equivariant_basis(store=False).rank
    dense = basis.dense()
    np.testing.assert_allclose(
        projector(maps[: basis.rank, :, :-1]), dense @ dense.conj().T, atol=1e-10
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPLEX)
@pytest.mark.sampled(6)
def test_real_irreps_of_complex_groups_have_all_maps(
    name: str,
) -> None:
    """They are found in complex reps, and are the same beside those, beside scalars and alone."""
    group = COMPLEX[name]
    found = decompose(V(group) * V(group).T + V(group) ** 2).multiplicities
    small = sorted(found, key=lambda irrep: irrep.size())[:2]
    for irrep in small:
        for rep_in, rep_out in (
            (2 * Scalar, irrep),
            (irrep, Scalar + irrep),
            (V * V.T, irrep),
            (irrep, V**2),
            (irrep * irrep.T, Scalar),
            (V, V + irrep),
        ):
            require_all_maps(rep_in, rep_out, group)


@pytest.mark.slow
@pytest.mark.parametrize("group", [SU(2), COMPLEX["Q8"]], ids=repr)
@pytest.mark.sampled(4)
def test_real_reps_of_complex_groups_are_mapped_to_complex_ones(group: Group) -> None:
    real = Rotations()(group)
    part = next(iter(decompose(real).multiplicities))
    for rep_in, rep_out in (
        (real, V * V.T),
        (V**2, real + Scalar),
        (part, V * V.T),
        (real, Scalar + part),
        (V, real),
        (V + real, V + part),
    ):
        require_all_maps(rep_in, rep_out, group)
    assert Linear(real, part).bias.dtype == np.float32  # between real reps all is real


@pytest.mark.slow
def test_complex_reps_of_real_groups_are_mapped_to_real_ones() -> None:
    phase = Phase()(SO(2))
    for rep_in, rep_out in (
        (V, phase),
        (phase, 2 * V + phase),
        (phase * phase.T, Scalar),
        (V, V + phase * phase.T),
    ):
        require_all_maps(rep_in, rep_out, SO(2))


def test_irreps_are_used_if_possible() -> None:
    forms = {name: linear_maps_of(c.rep_in, c.rep_in) for name, c in CASES.items()}
    by_basis = {name for name, maps in forms.items() if isinstance(maps, BasisMaps)}
    assert by_basis == {"several groups", "a set of vectors", "not reductive"}


@pytest.mark.parametrize("group", [SO(3), OBLIQUE], ids=["SO(3)", "an oblique frame"])
def test_reps_too_large_for_one_matrix_have_all_maps(group: Any) -> None:
    layer = Linear(T(5) + V, 2 * V, group)
    assert isinstance(layer.maps, SchurMaps)
    matrix = images(layer, np.eye(246)).T
    assert equivariance_error(matrix, layer.rep_in, layer.rep_out) < 1e-5
    assert np.linalg.matrix_rank(matrix, tol=1e-4) == 6


def test_initial_outputs_have_the_mean_square_of_the_inputs() -> None:
    x = np.random.default_rng(0).standard_normal((200, 240))
    hidden = 60 * Scalar + 30 * V + 10 * T(2)
    y = images(Linear(hidden, hidden, SO(3)), x)
    assert 0.8 < np.mean(y**2) < 1.25
    mixed = 8 * V(S(3)) * V(SO(3))
    y = images(Linear(mixed, mixed), x[:, :72])
    assert 0.7 < np.mean(y**2) < 1.4


def test_a_change_of_basis_is_one_matrix_product_also_in_the_gradient() -> None:
    """XLA would replace a constant times joined arrays by a sum of products with each of them."""
    rep = 2 * Scalar + 2 * V + 2 * V**2
    layer = Linear(rep, rep, SO(3))
    irreps, x = len(layer.weights), jnp.ones((64, layer.rep_in.size()))
    assert irreps == 3

    def products(function: Any) -> int:
        return jax.jit(function).lower(layer.weights, x).compile().as_text().count(" dot(")

    def image(weights: Any, x: Any) -> Any:
        return layer.maps.apply(weights, layer.bias, x)

    def energy(weights: Any, x: Any) -> Any:
        return jnp.sum(image(weights, x) ** 2)

    assert products(image) == 1 + irreps + 1
    # the same, back again, and the gradients of the weights
    assert products(jax.grad(energy, (0, 1))) == 2 * (1 + irreps + 1) + irreps


def test_the_matrix_is_exact_for_a_large_bias() -> None:
    layer = Linear(V + Scalar, V + Scalar, SO(3))
    matrix, _ = layer.matrix()
    far = jax.tree.map(lambda w: w, layer)
    object.__setattr__(far, "bias", layer.bias + 1e6)
    np.testing.assert_array_equal(far.matrix()[0], matrix)
    assert far.matrix()[1].max() == 1e6


@pytest.mark.parametrize(
    ("rep_in", "rep_out"),
    [(0 * V, V), (V, 0 * V), (0 * V, Scalar), (0 * V, 0 * V)],
    ids=["nothing → V", "V → nothing", "nothing → V⁰", "nothing → nothing"],
)
def test_reps_of_size_0(rep_in: Any, rep_out: Any) -> None:
    layer = Linear(rep_in, rep_out, SO(3))
    y = layer(np.ones((2, layer.rep_in.size())))
    np.testing.assert_array_equal(y, np.zeros((2, layer.rep_out.size())))
    assert layer.matrix()[0].shape == (layer.rep_out.size(), layer.rep_in.size())


def test_multiplicity_0_is_ignored() -> None:
    layer = Linear(0 * V + 2 * Scalar, 0 * T(2) + V**0 + 0 * V, SO(3))
    assert layer(np.ones(2)).shape == (1,)


def test_scalars_alone_need_no_group() -> None:
    layer = Linear(2 * Scalar, 3 * Scalar)
    assert layer.matrix()[0].shape == (3, 2)
    assert np.linalg.matrix_rank(layer.matrix()[0]) == 2


def test_integers_are_scalars_and_texts_are_parsed() -> None:
    assert Linear(2, 1, SO(3)).maps is Linear(2 * Scalar, Scalar, SO(3)).maps
    assert Linear(2, "2", SO(3)).rep_out == 2 * Scalar
    assert Linear("2V + V**2", V, SO(3)).maps is Linear(2 * V + T(2), V, SO(3)).maps


@pytest.mark.parametrize("wrong", [-1, 2.0, True, None, [V]], ids=repr)
def test_objects_other_than_reps_are_refused(wrong: Any) -> None:
    at_runtime: Any = inspect.unwrap(bound)  # without a test's checks of annotations
    assert at_runtime(np.int64(2), SO(3)) == 2 * Scalar
    with pytest.raises(InvalidRep) as caught:
        at_runtime(wrong, SO(3))
    assert str(caught.value) == (
        f"a layer takes reps such as V or 2*V + Scalar, their texts, or numbers of scalars, not "
        f"{wrong!r}"
    )


def test_irreps_that_the_input_lacks_are_initially_zero() -> None:
    x = np.random.default_rng(0).standard_normal((200, 3))
    y = images(Linear(V, V + Scalar, SO(3)), x)
    assert np.mean(y[:, :3] ** 2) > 0
    np.testing.assert_array_equal(y[:, 3], 0)


def test_invalid_arguments_are_refused() -> None:
    with pytest.raises(InvalidRep) as caught:
        Linear(V, Scalar, O(3))
    assert str(caught.value) == (
        "the only equivariant linear map from V(O(3)) to V⁰ is zero: a layer between them would "
        "be constant"
    )
    with pytest.raises(InvalidRep) as caught:
        Linear(V, V)
    assert str(caught.value) == "V has no group: give the layer `group=`, or write V(SO(3))"
    with pytest.raises(InvalidRep, match=r"^V\(SO\(3\)\) has size 3, and the input has the shape"):
        Linear(V, V, SO(3))(1.0)


def test_equal_reps_share_their_maps_and_so_one_compilation() -> None:
    assert Linear(V, V, SO(3)).maps is Linear(V(SO(3)), V + 0 * V, SO(3)).maps
