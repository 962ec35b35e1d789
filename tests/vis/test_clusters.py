"""`orbit_labels`: clusters of the coordinates of invariants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from intertwine.bases import Orbits
from intertwine.groups import SO, S, SO13p, U, parse_group
from intertwine.reps import T, V, parse
from intertwine.vis import orbit_labels


def basis_of(text: str, group: str) -> Any:
    return parse(text)(parse_group(group)).equivariant_basis()


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("V>>V", "S(4)"),
        ("V**2>>V**2", "S(4)"),
        ("V>>V", "Z(6)"),
        ("V**3", "D(4)"),
        ("V**4", "C(4)"),
    ],
)
def test_the_clusters_of_a_group_of_permutations_are_its_orbits(text: str, group: str) -> None:
    basis = basis_of(text, group)
    assert isinstance(basis.storage, Orbits)
    clusters = orbit_labels(basis)
    assert clusters.number == basis.rank
    np.testing.assert_array_equal(clusters.labels, basis.storage.labels)
    dense = basis.dense()
    tied = dense[:, np.newaxis] == clusters.signs[:, None, None] * np.abs(dense)[:, np.newaxis]
    assert np.all(tied | (clusters.labels < 0)[:, None, None])


def test_three_contractions_make_four_clusters() -> None:
    basis = ((V**2 >> V**2)(SO(3))).equivariant_basis()
    clusters = orbit_labels(basis)
    i, j, k, m = np.indices((3, 3, 3, 3)).reshape(4, -1)
    patterns = (i == j) & (k == m), (i == k) & (j == m), (i == m) & (j == k)
    expected = np.select([np.all(patterns, axis=0), *patterns], [0, 1, 2, 3], -1)
    np.testing.assert_array_equal(clusters.labels, expected)
    np.testing.assert_allclose(clusters.signs, expected >= 0)


def test_the_tensor_of_levi_civita_is_one_cluster_of_both_signs() -> None:
    labels, signs = orbit_labels((V**3)(SO(3)).equivariant_basis())
    assert sorted(np.round(signs[labels == 0])) == [-1, -1, -1, 1, 1, 1]
    assert signs[labels == 0][0] == pytest.approx(1)
    assert np.all(signs[labels == -1] == 0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rep", [T(2, 2)(SO13p()), (V**3 >> V)(S(3)), T(2, 2)(U(2))])
def test_clusters_depend_only_on_the_span(rep: Any, seed: int) -> None:
    basis = rep.equivariant_basis()
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((basis.rank, basis.rank)).astype(basis.dtype)
    if np.iscomplexobj(mixing):
        mixing += 1j * rng.standard_normal(mixing.shape)
    turned, _ = np.linalg.qr(mixing)
    expected = orbit_labels(basis)
    for other in (orbit_labels(basis.dense() @ turned), orbit_labels(basis, seed=seed)):
        np.testing.assert_array_equal(other.labels, expected.labels)
        np.testing.assert_allclose(other.signs, expected.signs, atol=1e-9)


def test_a_sign_over_the_complex_numbers_is_a_phase() -> None:
    labels, signs = orbit_labels(np.array([[1], [1j], [-1], [0], [2]]))
    np.testing.assert_array_equal(labels, [0, 0, 0, -1, 1])
    np.testing.assert_allclose(signs, [1, 1j, -1, 0, 1], atol=1e-12)


def test_a_complex_row_differs_from_its_conjugate() -> None:
    assert orbit_labels(np.array([[1, 1j], [1, -1j], [1j, -1]])).labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize(("slip", "number"), [(1e-13, 1), (1e-6, 2)])
def test_rows_equal_up_to_rounding_are_one_cluster(slip: float, number: int) -> None:
    assert orbit_labels(np.array([[1.0], [-1.0 - slip], [0.0]])).number == number


def test_without_invariants_there_are_no_clusters() -> None:
    labels, signs = orbit_labels(np.zeros((4, 0)))
    assert labels.tolist() == [-1] * 4
    assert signs.tolist() == [0] * 4
    assert orbit_labels(np.zeros((0, 0))).number == 0
