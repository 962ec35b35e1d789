"""Bases that are put together from others, and keep those alone."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from helpers.example_bases import orbits, orthonormal
from intertwine.bases import Dense, Kronecker, Permuted, Sum
from intertwine.groups import SO, S, Z
from intertwine.reps import V


def test_a_block_that_repeats_is_kept_once() -> None:
    block = Dense(orthonormal(30, 3))
    thousand = Sum([(1000, block)])
    assert thousand.shape == (30_000, 3000)
    assert thousand.nbytes == block.nbytes


def test_the_copies_of_a_block_are_side_by_side() -> None:
    block = Dense(np.array([[0.6], [0.8]]))
    matrix = Sum([(2, block), (1, orbits([0]))]).apply(np.eye(3))
    assert matrix.tolist() == [[0.6, 0, 0], [0.8, 0, 0], [0, 0.6, 0], [0, 0.8, 0], [0, 0, 1]]


def test_the_last_factor_of_a_product_moves_fastest() -> None:
    product = Kronecker([orbits([0, 1]), Dense(np.array([[0.6], [0.8]]))])
    assert product.apply(np.eye(2)).tolist() == [[0.6, 0], [0.8, 0], [0, 0.6], [0, 0.8]]


def test_a_product_keeps_its_factors_alone() -> None:
    factor = Dense(orthonormal(50, 4))
    product = Kronecker([factor, factor, factor])
    assert product.shape == (125_000, 64)
    assert product.nbytes == 3 * factor.nbytes
    tracemalloc.start()
    v = np.ones((125_000, 1))
    product.apply(product.adjoint(v))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 6 * v.nbytes


def test_row_i_of_a_permuted_basis_is_row_rows_i_of_the_inner_one() -> None:
    inner = Dense(np.eye(3)[:, :2])
    permuted = Permuted(np.array([2, 0, 1]), inner)
    assert permuted.apply(np.eye(2)).tolist() == inner.matrix[[2, 0, 1]].tolist()
    assert permuted.adjoint(np.eye(3)).tolist() == inner.matrix[[2, 0, 1]].T.tolist()


@pytest.mark.parametrize("k", [0, 1, 2])
def test_parts_without_columns_take_no_part(k: int) -> None:
    empty = Dense(np.zeros((2, 0)))
    assert Kronecker([empty, orbits([0, 1])]).apply(np.ones((0, k))).tolist() == [[0] * k] * 4
    assert Kronecker([orbits([0, 1]), empty]).adjoint(np.ones((4, k))).shape == (0, k)
    assert Sum([(3, empty)]).apply(np.ones((0, k))).tolist() == [[0] * k] * 6
    assert Sum([(3, empty)]).adjoint(np.ones((6, k))).shape == (0, k)
    mixed = Sum([(1, empty), (1, orbits([0]))])
    assert mixed.apply(np.ones((1, k))).tolist() == [[0] * k] * 2 + [[1] * k]


def test_a_solve_assembles_what_belongs_together() -> None:
    mixed = (2 * V(Z(3)) * V(S(4)) + V(SO(3)) ** 2).equivariant_basis()
    assert mixed.shape == (2 * 12 + 9, 2 + 1)
    kinds = {type(part).__name__ for part in _parts(mixed.storage)}
    assert {"Sum", "KroneckerStorage"} <= kinds
    empty = (2 * V)(SO(3)).equivariant_basis()
    assert empty.shape == (6, 0)
    assert empty.dense().shape == (6, 0)


def _parts(storage: object) -> list[object]:
    inner = []
    if isinstance(storage, Sum):
        inner = [block for _, block in storage.blocks]
    elif isinstance(storage, Kronecker):
        inner = list(storage.factors)
    elif isinstance(storage, Permuted):
        inner = [storage.inner]
    return [storage, *(part for block in inner for part in _parts(block))]
