"""A basis of patterns of equal indices, compared with a basis of labels for all tuples."""

from __future__ import annotations

import time
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.laws import laws
from hypothesis import given
from hypothesis import strategies as st
from intertwine.bases import EqualityPatterns, Orbits, from_arrays, patterns, to_arrays
from intertwine.bases.patterns import pattern_labels
from intertwine.errors import FormatError
from intertwine.groups import Group, S, Z
from intertwine.groups.full_permutations import count_equality_patterns
from intertwine.invariants.tuple_orbits import signed_labels
from intertwine.operators import Permutation
from intertwine.reps import T, V


def labelled(storage: EqualityPatterns) -> Orbits:
    """The same basis with one label for each tuple."""
    return Orbits(storage.labels, None, storage.shape[1])


sizes = st.tuples(st.integers(1, 5), st.integers(1, 6)).filter(
    lambda pair: pair[0] ** pair[1] < 2000
)


@laws
@given(sizes)
def test_labels_are_those_of_the_components_of_all_tuples(pair: tuple[int, int]) -> None:
    size, slots = pair
    moves = [
        np.roll(np.arange(size), 1),
        np.array([1, 0, *range(2, size)][:size] if size > 1 else [0]),
    ]
    generators = [[Permutation(move)] * slots for move in moves]
    expected = signed_labels(generators, [size] * slots, most_calls=10**6).ravel() - 1
    np.testing.assert_array_equal(pattern_labels(size, slots), expected)


@laws
@given(sizes, st.integers(0, 3), st.booleans(), st.integers(0, 10**6))
def test_products_are_those_with_labels(
    pair: tuple[int, int], k: int, is_complex: bool, seed: int
) -> None:
    storage, rng = EqualityPatterns(*pair), np.random.default_rng(seed)
    other, (n, r) = labelled(storage), storage.shape
    w, v = rng.standard_normal((r, k)), rng.standard_normal((n, k))
    if is_complex:
        w, v = w + 1j * rng.standard_normal((r, k)), v + 1j * rng.standard_normal((n, k))
    np.testing.assert_allclose(storage.apply(w), other.apply(w), atol=1e-14)
    np.testing.assert_allclose(storage.adjoint(v), other.adjoint(v), atol=1e-12)


@laws
@given(sizes, st.data())
def test_tuples_keep_their_patterns_as_they_keep_their_labels(
    pair: tuple[int, int], data: st.DataObject
) -> None:
    storage, (size, slots) = EqualityPatterns(*pair), pair
    first = data.draw(st.permutations(range(size)))
    moves = []
    for _ in range(slots):
        other = first if data.draw(st.booleans()) else data.draw(st.permutations(range(size)))
        sign = data.draw(st.sampled_from([None, [-1] * size, [-1] + [1] * (size - 1)]))
        moves.append(Permutation(other, sign))
    assert storage.keeps(moves) == labelled(storage).keeps(moves)


@pytest.mark.parametrize("pair", [(4, 1), (5, 3), (3, 5)], ids=str)
def test_products_in_jax_are_the_same(pair: tuple[int, int]) -> None:
    storage = EqualityPatterns(*pair)
    other, (n, r) = labelled(storage), storage.shape
    w, v = np.random.default_rng(0).standard_normal((2, max(n, r), 2))
    with jax.enable_x64(True):
        found = jax.jit(storage.apply)(jnp.asarray(w[:r]))
        back = jax.jit(storage.adjoint)(jnp.asarray(v[:n]))
        assert found.dtype == back.dtype == jnp.float64
    np.testing.assert_allclose(found, other.apply(w[:r]), atol=1e-14)
    np.testing.assert_allclose(back, other.adjoint(v[:n]), atol=1e-12)


def test_large_values_of_other_patterns_add_no_rounding_errors() -> None:
    storage = EqualityPatterns(4, 3)
    for j in range(storage.shape[1]):
        for large in (1e17, np.inf):
            v = np.where(storage.labels == j, large, 1.0)[:, None]
            expected = labelled(storage).adjoint(v)
            np.testing.assert_allclose(storage.adjoint(v), expected, rtol=1e-15)


def test_sums_in_blocks_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    storage, v = EqualityPatterns(5, 3), np.random.default_rng(1).standard_normal((125, 2))
    expected = storage.adjoint(v)
    monkeypatch.setattr(patterns, "_BLOCK", 100)
    np.testing.assert_allclose(storage.adjoint(v), expected, atol=1e-14)


def test_neither_memory_nor_file_has_arrays() -> None:
    basis = T(4)(S(18)).equivariant_basis(store=False)
    assert isinstance(basis.storage, EqualityPatterns)
    assert basis.storage.nbytes == 0
    arrays, metadata = to_arrays(basis)
    assert arrays == {}
    assert metadata["storage"] == {"kind": "patterns", "size": 18, "slots": 4}
    found = from_arrays(arrays, metadata)
    assert found.shape == basis.shape == (18**4, 15)
    assert isinstance(found.storage, EqualityPatterns)


@pytest.mark.parametrize(
    ("size", "slots"), [(3, 7), (3, 0), (0, 3), (10**6, 2), (2.0, 2), (3, True), ("3", 2)]
)
def test_a_file_with_other_numbers_is_refused(size: object, slots: object) -> None:
    basis = T(4)(S(18)).equivariant_basis(store=False)
    arrays, metadata = to_arrays(basis)
    metadata["storage"] |= {"size": size, "slots": slots}
    with pytest.raises(FormatError):
        from_arrays(arrays, metadata)


def test_a_large_basis_is_found_and_applied_in_the_memory_of_its_vectors() -> None:
    begun = time.process_time()
    basis = T(4)(S(100)).equivariant_basis(store=False)
    assert basis.shape == (10**8, 15)
    assert time.process_time() - begun < 1
    basis = T(4)(S(30)).equivariant_basis(store=False)
    n, r = basis.shape
    v, w = np.ones(n), np.ones(r)
    tracemalloc.start()
    basis @ w
    basis.T @ v
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 2 * v.nbytes


def test_the_solver_takes_patterns_where_the_group_is_all_permutations_of_every_slot() -> None:
    even = Group(discrete_generators=[[1, 2, 0, *range(3, 20)], [0, *range(2, 20), 1]])
    assert isinstance(T(4)(even).equivariant_basis(store=False).storage, EqualityPatterns)
    for G, slots in (
        (S(4), 9),
        (Z(20), 4),
        (Group(discrete_generators=[np.roll(np.eye(18), 1, 0)]), 4),
    ):
        basis = T(slots)(G).equivariant_basis(store=False)
        assert isinstance(basis.storage, Orbits)
    many = T(9)(S(4)).equivariant_basis(store=False)
    assert many.rank == count_equality_patterns(9, 4) == 11_051
    assert many.certificate.residual == 0


def test_sums_and_products_are_assembled_from_patterns() -> None:
    rep = T(4)(S(18)) + 2 * T(3)(S(18)) + T(4)(S(18)) * V(Z(3))
    basis = rep.equivariant_basis(store=False)
    assert basis.rank == 15 + 2 * 5 + 15
    w = np.random.default_rng(0).standard_normal(basis.rank)
    np.testing.assert_allclose(basis.T @ (basis @ w), w, atol=1e-12)
