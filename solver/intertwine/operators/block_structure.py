"""The blocks of coordinates that matrices do not mix."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Int, Num

from intertwine.operators.base import LinearOperator
from intertwine.operators.graph_components import components_of
from intertwine.operators.permutation import Permutation

_MOSTLY_FILLED = 4  # a matrix whose first row is a quarter filled may be one block


def coordinate_blocks(
    matrices: Iterable[LinearOperator | Num[np.ndarray, "n n"]], n: int
) -> list[Int[np.ndarray, "_ _"]]:
    """Return the finest partition of n coordinates for which all matrices are block-diagonal.

    The result has one array for each size of blocks, in increasing order, with a row of increasing
    coordinates for each block. Rows are ordered by their first coordinate. Entries count as zero
    only if they are exactly zero.
    """
    rows, columns = [np.zeros(0, dtype=np.intp)], [np.zeros(0, dtype=np.intp)]
    for matrix in matrices:
        if isinstance(matrix, Permutation):
            rows.append(np.arange(n))
            columns.append(matrix.indices)
            continue
        nonzero = np.asarray(matrix) != 0
        if n > 1 and _is_whole(nonzero):
            return [np.arange(n)[None]]
        row, column = np.divmod(np.flatnonzero(nonzero), n)
        rows.append(row)
        columns.append(column)
    labels = components_of(np.concatenate(rows), np.concatenate(columns), n)
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    starts = np.cumsum(sizes) - sizes
    found = []
    for size in np.unique(sizes):
        blocks = order[starts[sizes == size][:, None] + np.arange(size)]
        found.append(blocks[np.argsort(blocks[:, 0])])
    return found


def _is_whole(nonzero: Bool[np.ndarray, "n n"]) -> bool:
    """Return whether the first coordinate is mixed with all others: then there is one block."""
    n = len(nonzero)
    if not np.count_nonzero(nonzero[0]) * _MOSTLY_FILLED >= n:
        return False
    return bool(np.all(nonzero[0, 1:] | nonzero[1:, 0]))


def diagonal_blocks(
    matrix: LinearOperator | Num[np.ndarray, "n n"], blocks: Int[np.ndarray, "b s"]
) -> Num[np.ndarray, "b s s"]:
    """Return the diagonal blocks of a matrix, one for each row of coordinates."""
    found: Num[np.ndarray, "b s s"] = np.asarray(matrix)[blocks[:, :, None], blocks[:, None, :]]
    return found
