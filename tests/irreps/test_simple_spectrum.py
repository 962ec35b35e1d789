"""Splitting large unitary reps by the spectrum of a generic element."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from intertwine.groups import Group
from intertwine.invariants import solve
from intertwine.irreps.actions import Action
from intertwine.irreps.simple_spectrum import Piece, split_by_spectrum
from intertwine.irreps.splitting import Gap
from intertwine.reps import T
from scipy.linalg import block_diag
from scipy.stats import ortho_group, unitary_group


def antisymmetric(d: int, count: int = 2, seed: int = 0) -> Any:
    entries = np.random.default_rng(seed).standard_normal((count, d, d))
    return (entries - np.swapaxes(entries, 1, 2)) / (2 * np.sqrt(d))


def pieces(matrices: Any, lie_count: int) -> list[Piece]:
    """The pieces, which must be invariant, orthonormal together and with true endomorphisms."""
    action = Action(np.asarray(matrices), lie_count)
    found = split_by_spectrum(action, 0, Gap())
    assert found is not None
    whole = np.concatenate([piece.subspace for piece in found], axis=1)
    np.testing.assert_allclose(whole.conj().T @ whole, np.eye(action.size), atol=1e-12)
    for piece in found:
        w, units = piece.subspace, piece.endomorphisms
        assert units is not None
        inside = w.conj().T @ action.matrices @ w
        np.testing.assert_allclose(action.matrices @ w, w @ inside, atol=1e-10)
        d = w.shape[1]
        gram = np.einsum("eij,fij->ef", units.conj(), units) / d
        np.testing.assert_allclose(gram, np.eye(len(units)), atol=1e-10)
        np.testing.assert_array_equal(units[0], np.eye(d))
        for unit in units:
            np.testing.assert_allclose(inside @ unit, unit @ inside, atol=1e-9)
    return found


def shape_of(found: list[Piece]) -> list[tuple[int, int]]:
    """The dimension and the number of endomorphisms of each piece."""
    return sorted((p.subspace.shape[1], len(p.endomorphisms)) for p in found)  # type: ignore[arg-type]


def test_two_generators_of_so_n_are_irreducible() -> None:
    assert shape_of(pieces(antisymmetric(9), 2)) == [(9, 1)]


def test_different_irreps_are_separated() -> None:
    q = ortho_group.rvs(12, random_state=1)
    parts = zip(antisymmetric(5), antisymmetric(4, seed=1), antisymmetric(3, seed=2), strict=True)
    matrices = [q @ block_diag(*each) @ q.T for each in parts]
    assert shape_of(pieces([(m - m.T) / 2 for m in matrices], 2)) == [(3, 1), (4, 1), (5, 1)]


def test_conjugate_pairs_are_irreps_of_type_c() -> None:
    u = np.array([1j * (x + x.T) + y for x, y in zip(*antisymmetric(3, 4).reshape(2, 2, 3, 3),
                                                     strict=True)])  # fmt: skip
    u = (u - np.swapaxes(u, 1, 2).conj()) / 2 + 1j * np.diag([1, 2, 4])
    real = np.array([np.block([[m.real, -m.imag], [m.imag, m.real]]) for m in u])
    q = ortho_group.rvs(6, random_state=2)
    turned = q @ real @ q.T
    found = pieces((turned - np.swapaxes(turned, 1, 2)) / 2, 2)
    assert shape_of(found) == [(6, 2)]
    unit = found[0].endomorphisms[1]  # type: ignore[index]
    np.testing.assert_allclose(unit @ unit, -np.eye(6), atol=1e-10)


def test_complex_matrices_have_complex_pieces() -> None:
    h = unitary_group.rvs(4, size=2, random_state=3)
    parts = [block_diag(each, np.exp(1j * k)) for k, each in enumerate(h, 1)]
    assert shape_of(pieces(parts, 0)) == [(1, 1), (4, 1)]


@pytest.mark.parametrize(
    "matrices",
    [
        [np.kron(np.eye(2), a) for a in antisymmetric(3)],  # an irrep twice
        list(antisymmetric(3) + np.eye(3)),  # not anti-Hermitian
    ],
)
def test_reps_without_a_simple_spectrum_are_not_split(matrices: Any) -> None:
    assert split_by_spectrum(Action(np.array(matrices), 2), 0, Gap()) is None


def test_a_large_group_is_solved_from_two_generators() -> None:
    group = Group(lie_algebra=antisymmetric(101))
    basis = solve(T(2)(group), method="irreps", store=False)
    assert basis.rank == 1
    np.testing.assert_allclose(abs(basis[:, 0]), np.eye(101).ravel() / np.sqrt(101), atol=1e-12)
