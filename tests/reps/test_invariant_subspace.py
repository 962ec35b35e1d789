"""Invariant subspaces as reps."""

from __future__ import annotations

import pickle
from typing import Any

import jax
import numpy as np
import pytest
import scipy.sparse
from helpers.laws import laws
from hypothesis import given, settings
from hypothesis import strategies as st
from intertwine.errors import AmbiguousRank, InvalidRep
from intertwine.groups import SO, D, Group, O, S
from intertwine.irreps import decompose
from intertwine.nn import Linear
from intertwine.operators import Permutation, dense
from intertwine.reps import Rep, Sub, V
from intertwine.reps.generator_images import images

SYMMETRIC = (np.eye(9) + np.eye(9).reshape(3, 3, 3, 3).swapaxes(0, 1).reshape(9, 9)) / 2
TRACE = np.eye(3).reshape(9, 1) @ np.eye(3).reshape(1, 9) / 3


def test_parts_of_matrices_have_the_known_sizes_and_maps() -> None:
    matrices = (V**2)(SO(3))
    parts = {
        "symmetric": Sub(matrices, SYMMETRIC),
        "antisymmetric": Sub(matrices, np.eye(9) - SYMMETRIC),
        "traceless": Sub(matrices, SYMMETRIC - TRACE),
        "trace": Sub(matrices, TRACE),
    }
    assert {name: part.size() for name, part in parts.items()} == {
        "symmetric": 6,
        "antisymmetric": 3,
        "traceless": 5,
        "trace": 1,
    }
    assert (parts["antisymmetric"] >> V(SO(3))).equivariant_basis().rank == 1
    assert (parts["traceless"] ** 2).equivariant_basis().rank == 1
    # isotropic elasticity: two constants
    assert (parts["symmetric"] >> parts["symmetric"]).equivariant_basis().rank == 2


@pytest.mark.parametrize("group", [S(4), D(5), O(3)], ids=repr)
def test_a_part_and_its_complement_are_the_whole(group: Group) -> None:
    whole = V(group) ** 2
    basis = whole.equivariant_basis()
    part = Sub(whole, basis)
    rest = Sub(whole, np.eye(whole.size()) - np.asarray(basis.projector.dense()))
    assert part.size() == basis.rank
    assert part.equivariant_basis().rank == basis.rank
    assert rest.equivariant_basis().rank == 0
    assert (rest >> rest).equivariant_basis().rank == (
        (whole >> whole).equivariant_basis().rank - basis.rank**2
    )
    assert Sub(whole, basis.projector).size() == basis.rank


@pytest.mark.parametrize("group", [S(4), SO(3)], ids=repr)
@settings(laws, max_examples=5)
@given(seed=st.integers(0, 2**16))
def test_random_invariant_subspaces_are_sums_of_irreps(group: Group, seed: int) -> None:
    """The kernel of a random equivariant map is invariant; so is its image."""
    whole = V(group) ** 2
    maps = (whole >> whole).equivariant_basis()
    rng = np.random.default_rng(seed)
    n = whole.size()
    x = np.asarray(maps @ rng.standard_normal(maps.rank)).reshape(n, n)
    values, vectors = np.linalg.eigh(x + x.T)
    chosen = vectors[:, np.abs(values - values[seed % n]) < 1e-9]
    mixed = chosen @ rng.standard_normal((chosen.shape[1], chosen.shape[1] + 1))
    part = Sub(whole, mixed)
    assert part.size() == chosen.shape[1]
    found = decompose(part).multiplicities
    assert sum(m * irrep.size() for irrep, m in found.items()) == part.size()
    g = group.sample(seed)
    moved = np.asarray(whole.rho_dense(g)) @ part.embed
    assert np.abs(moved - part.embed @ np.asarray(part.rho(g))).max() < 1e-9
    assert np.abs(part.project @ part.embed - np.eye(part.size())).max() < 1e-12
    for k, a in enumerate(group.lie_generators):
        assert np.abs(part.drho(np.asarray(dense(a))) - images(part).lie[k]).max() < 1e-12


@pytest.mark.parametrize("method", ["irreps", "svd", "krylov"])
def test_every_method_solves_it(method: str) -> None:
    part = Sub((V**2)(SO(3)), SYMMETRIC, name="S")
    assert (part >> V**2)(SO(3)).equivariant_basis(method=method).rank == 2
    assert str(part) == "S"


def test_coordinates_that_are_permuted_stay_permutations() -> None:
    diagonal = np.eye(16)[:, ::5]
    part = Sub((V**2)(S(4)), scipy.sparse.csr_array(diagonal))
    assert all(isinstance(h, Permutation) for h in images(part).discrete)
    assert (part >> V(S(4))).equivariant_basis().certificate.method == "orbits"
    assert (part >> V(S(4))).equivariant_basis().rank == 2


def test_it_is_a_value() -> None:
    whole = (V**2)(SO(3))
    part = Sub(whole, SYMMETRIC)
    assert part == Sub(whole, SYMMETRIC)
    assert hash(part) == hash(Sub(whole, SYMMETRIC))
    assert part != Sub(whole, np.eye(9) - SYMMETRIC)
    assert pickle.loads(pickle.dumps(part)) == part
    given = Rep.from_generators(SO(3), lie=images(part).lie)
    assert given != part
    assert (given >> part).equivariant_basis().rank == 2


def test_rho_is_traced_by_jax() -> None:
    part = Sub((V**2)(SO(3)), SYMMETRIC)
    elements = SO(3).samples(2)
    traced = jax.vmap(part.rho_dense)(elements)
    assert np.abs(np.asarray(traced[1]) - np.asarray(part.rho(elements[1]))).max() < 1e-5


@pytest.mark.slow
def test_layers_take_it() -> None:
    layer = Linear((V**2)(SO(3)), Sub((V**2)(SO(3)), SYMMETRIC))
    assert layer(np.ones(9)).shape == (6,)


@pytest.mark.parametrize(
    ("basis", "message"),
    [
        (np.eye(9)[:, :1], "the 0-th Lie generator moves vectors out of it by"),
        (np.eye(4), "vectors of length 9"),
        (np.full((9, 1), np.nan), "finite vectors"),
        (np.zeros((9, 2)), "span nothing"),
        ("basis", "vectors of length 9"),
    ],
    ids=["not invariant", "another length", "nan", "zero", "text"],
)
def test_other_vectors_are_refused(basis: Any, message: str) -> None:
    with pytest.raises(InvalidRep, match=message):
        Sub((V**2)(SO(3)), basis)


def test_vectors_that_are_nearly_dependent_are_ambiguous() -> None:
    vectors = np.concatenate([SYMMETRIC, SYMMETRIC + 1e-9 * TRACE[::-1]], axis=1)
    vectors[:, -1] += 1e-9 * np.arange(9)
    with pytest.raises(AmbiguousRank, match="depend on the others but for"):
        Sub((V**2)(SO(3)), vectors)


def test_a_rep_without_its_group_has_no_subspaces() -> None:
    with pytest.raises(InvalidRep, match="write it over one"):
        Sub(V**2, SYMMETRIC)


@pytest.mark.parametrize("size", [1e-11, 1e-250])
def test_generators_may_be_small(size: float) -> None:
    group = Group(lie_algebra=[size * np.asarray(a) for a in SO(3).lie_generators])
    with pytest.raises(InvalidRep, match="not invariant"):
        Sub(V(group), np.eye(3)[:, :1])
    assert Sub(V(group) + V(group), np.eye(6)[:, :3]).size() == 3
