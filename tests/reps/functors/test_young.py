"""Schur functors: hook lengths, their copies in the full tensors, and the basis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy
from intertwine.groups import GL, SL, SO
from intertwine.reps import Alt, Schur, Sym, V, dimension
from sympy.utilities.iterables import partitions


def all_partitions(k: int) -> list[tuple[int, ...]]:
    return [
        tuple(sorted((row for row, count in found.items() for _ in range(count)), reverse=True))
        for found in partitions(k)
    ]


def standard(shape: tuple[int, ...]) -> int:
    """The number of standard tableaux, by removing corners."""
    if sum(shape) <= 1:
        return 1
    smaller = []
    for i, row in enumerate(shape):
        if row > (shape[i + 1] if i + 1 < len(shape) else 0):
            smaller.append((*shape[:i], row - 1, *shape[i + 1 :]))
    return sum(standard(tuple(r for r in rows if r)) for rows in smaller)


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_copies_fill_the_full_tensors(k: int) -> None:
    d = sympy.Symbol("d")
    total = sum(standard(shape) * dimension(Schur(shape, V)) for shape in all_partitions(k))
    assert sympy.expand(total - d**k) == 0


@pytest.mark.parametrize("k", [3, 4])
@pytest.mark.parametrize("n", [2, 3])
def test_every_functor_is_an_isometric_subrep(k: int, n: int) -> None:
    rng = np.random.default_rng(k)
    g = np.eye(n) + 0.3 * rng.standard_normal((n, n))
    for shape in all_partitions(k):
        rep: Any = Schur(shape, V(GL(n)))
        e = np.asarray(rep.embed.dense())
        assert e.shape == (n**k, rep.size())
        np.testing.assert_allclose(e.T @ e, np.eye(rep.size()), atol=1e-14)
        np.testing.assert_allclose(rep.full.rho_dense(g) @ e, e @ rep.rho(g), atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape", [(3, 2, 1), (4, 2), (2, 2, 1, 1), (4, 2, 1), (3, 2, 1, 1)], ids=str
)
def test_larger_diagrams(shape: tuple[int, ...]) -> None:
    rep: Any = Schur(shape, V)
    subspace = rep.subspace_of(3)
    e = np.asarray(subspace.embedding.dense())
    assert e.shape[1] == rep.size_over(3)
    np.testing.assert_allclose(e.T @ e, np.eye(e.shape[1]), atol=1e-13)
    g = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    h = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
    np.testing.assert_allclose(
        rep.of_matrix(g) @ rep.of_matrix(h), rep.of_matrix(g @ h), atol=1e-12
    )


def test_rows_are_symmetric_slots() -> None:
    rep: Any = Schur([2, 1], V(SO(3)))
    for column in np.asarray(rep.embed.dense()).T:
        tensor = column.reshape(3, 3, 3)
        np.testing.assert_allclose(tensor, tensor.swapaxes(0, 1), atol=1e-15)
        cyclic = tensor + tensor.transpose(1, 2, 0) + tensor.transpose(2, 0, 1)
        np.testing.assert_allclose(cyclic, 0, atol=1e-15)


def test_rows_and_columns_are_powers() -> None:
    assert Schur([3], V) == Sym(3, V)
    assert Schur([1, 1], V) == Alt(2, V)
    assert Schur([], V) == V**0
    assert Schur([1], V) == V
    assert Schur([2, 1, 0], V) == Schur((2, 1), V)


def test_curvature_tensors_have_their_number_of_components() -> None:
    # Riemann tensors in n dimensions: n²(n² − 1)/12; only the scalar curvature is invariant
    assert [Schur([2, 2], V).size_over(n) for n in (2, 3, 4)] == [1, 6, 20]  # type: ignore[attr-defined]
    assert Schur([2, 2], V(SO(3))).equivariant_basis(store=False).shape[1] == 1


def test_a_diagram_of_more_rows_than_dimensions_is_zero() -> None:
    assert Schur([2, 1, 1], V(SL(2))).size() == 0
    assert (Schur([2, 1, 1], V) + V)(SL(2)).equivariant_basis(store=False).shape == (2, 0)
