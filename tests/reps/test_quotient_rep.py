"""Quotients of reps by invariant subspaces, of groups that are reductive and that are not."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
from helpers.laws import laws
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.errors import InvalidRep
from intertwine.groups import SE, SO, SU, Group, O, S
from intertwine.irreps import decompose
from intertwine.nn import Linear
from intertwine.reps import QuotientRep, Rep, Sub, V, basis_key, canonical

SPACE = np.eye(4)[:, :3]
TRACE = np.eye(3).reshape(9, 1)
DIRECTIONS = np.eye(16)[:, :12]
"""The tensors of SE(3) whose first factor has no time."""


def flags() -> Group:
    """The upper triangular matrices of size 3 with a positive diagonal."""
    units = [np.eye(3)[:, [i]] @ np.eye(3)[[j]] for i in range(3) for j in range(i, 3)]
    return Group(lie_algebra=units, name="Flags")


EXAMPLES = {
    "SE(3)": (V(SE(3)), SPACE),
    "tensors of SE(3)": (V(SE(3)) ** 2, DIRECTIONS),
    "flags": (V(flags()), np.eye(3)[:, :1] * 7),
    "planes in flags": (V(flags()), np.array([[1.0, 1, 0], [2, 5, 0]]).T),
    "SO(3)": (V(SO(3)) ** 2, TRACE),
    "S(4)": (V(S(4)), np.ones((4, 1))),
    "SU(2)": (V(SU(2)) ** 2, np.array([[0.0, 1, -1, 0]]).T),
}
each = pytest.mark.parametrize("name", EXAMPLES)


def parts(name: str) -> tuple[Rep, Sub, QuotientRep]:
    whole, basis = EXAMPLES[name]
    return whole, Sub(whole, basis), QuotientRep(whole, basis)


@each
def test_subspace_whole_and_quotient_are_an_exact_sequence(name: str) -> None:
    whole, part, rest = parts(name)
    assert part.size() + rest.size() == whole.size()
    assert np.linalg.matrix_rank(rest.project) == rest.size()
    np.testing.assert_allclose(rest.project @ part.embed, 0, atol=1e-14)
    np.testing.assert_allclose(rest.project @ rest.embed, np.eye(rest.size()), atol=1e-14)
    assert part.quotient == rest


@each
def test_the_projection_is_equivariant(name: str) -> None:
    whole, part, rest = parts(name)
    group = whole.G
    for g in group.samples(3, seed=1):
        image = np.asarray(whole.rho_dense(g))
        np.testing.assert_allclose(
            rest.project @ image, np.asarray(rest.rho_dense(g)) @ rest.project, atol=1e-9
        )
        np.testing.assert_allclose(
            image @ part.embed, part.embed @ np.asarray(part.rho_dense(g)), atol=1e-9
        )
    for a in group.lie_algebra:
        image = np.asarray(whole.drho_dense(a))
        np.testing.assert_allclose(
            rest.project @ image, np.asarray(rest.drho_dense(a)) @ rest.project, atol=1e-12
        )


@each
def test_products_have_products_as_images(name: str) -> None:
    *_, rest = parts(name)
    g, h = rest.G.samples(2, seed=3)
    product = np.asarray(rest.rho_dense(g)) @ np.asarray(rest.rho_dense(h))
    np.testing.assert_allclose(np.asarray(rest.rho_dense(g @ h)), product, rtol=1e-9, atol=1e-9)


@each
def test_the_dual_is_the_annihilator_of_the_subspace(name: str) -> None:
    whole, _, rest = parts(name)
    annihilator = Sub(whole.T, rest.embed.conj())
    for g in whole.G.samples(2, seed=2):
        np.testing.assert_allclose(
            np.asarray(annihilator.rho_dense(g)), np.asarray(rest.T.rho_dense(g)), atol=1e-9
        )


@pytest.mark.parametrize("name", ["SO(3)", "S(4)", "SU(2)"])
def test_reductive_reps_are_sums_of_subspace_and_quotient(name: str) -> None:
    whole, part, rest = parts(name)
    is_complex = name == "SU(2)"
    found = [decompose(rep, is_complex=is_complex).multiplicities for rep in (whole, part, rest)]
    assert Counter(found[0]) == Counter(found[1]) + Counter(found[2])


def test_maps_of_quotients_of_a_group_that_is_not_reductive() -> None:
    whole, part, rest = parts("SE(3)")
    ranks = [(a >> b).equivariant_basis().rank for a in (part, rest) for b in (part, rest)]
    assert ranks == [1, 0, 0, 1]
    assert (whole >> rest).equivariant_basis().rank == 1
    assert (rest >> whole).equivariant_basis().rank == 0  # no invariant complement


@settings(laws, max_examples=5)
@given(seed=st.integers(0, 2**16))
def test_a_quotient_depends_on_the_span_alone(seed: int) -> None:
    whole, basis = EXAMPLES["planes in flags"]
    mixed = basis @ np.random.default_rng(seed).standard_normal((basis.shape[1], 4))
    found, given = QuotientRep(whole, mixed), QuotientRep(whole, basis)
    np.testing.assert_allclose(found.embed, given.embed, atol=1e-9)
    assert found.size() == 1


def test_quotients_by_coordinates_have_coordinates() -> None:
    whole, _ = EXAMPLES["tensors of SE(3)"]
    rest = QuotientRep(whole, DIRECTIONS)
    np.testing.assert_array_equal(rest.embed, np.eye(16)[:, 12:])


def test_quotients_are_values() -> None:
    whole, part, rest = parts("SO(3)")
    assert hash(rest) == hash(QuotientRep(whole, 2 * TRACE))
    assert rest == QuotientRep(whole, 2 * TRACE)
    assert rest != part
    assert part != Sub(whole, rest.embed)
    assert pickle.loads(pickle.dumps(rest)) == rest
    assert basis_key(rest) == basis_key(QuotientRep(whole, -TRACE))
    assert canonical(rest + V(SO(3))).rep.size() == 11
    assert str(QuotientRep(whole, TRACE, name="Traceless")) == "Traceless"


@pytest.mark.slow
def test_layers_take_quotients() -> None:
    rest = QuotientRep(V(O(3)) ** 2, TRACE)
    layer, g = Linear(rest, rest), O(3).sample(0)
    x = np.random.default_rng(0).standard_normal(8).astype(np.float32)
    image = np.asarray(rest.rho_dense(g))
    np.testing.assert_allclose(layer(image @ x), image @ np.asarray(layer(x)), atol=1e-5)


def test_wrong_subspaces_are_refused() -> None:
    with pytest.raises(InvalidRep, match="not invariant: the 0-th Lie generator"):
        QuotientRep(V(SE(3)), np.eye(4)[:, 1:])
    with pytest.raises(InvalidRep, match="the quotient has size 0: give fewer vectors"):
        QuotientRep(V(SO(3)), np.eye(3))
    with pytest.raises(InvalidRep, match="write it over one"):
        QuotientRep(V, np.eye(3))
