"""Linear algebra over 𝔽ₚ, for primes below 2²²: products of float64 are exact there."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from intertwine.exact.recognition import Entry, Surd

_BLOCK = 96


def residues(rows: list[list[Entry]], p: int) -> Int[np.ndarray, "m n"]:
    """Return a matrix of exact entries modulo a prime ideal above p.

    Raises ValueError if p divides a denominator, or a square root does not exist modulo p.
    """
    roots = {m: _root(m, p) for row in rows for entry in row for m in entry.roots}
    i = roots.get(-1, 0)
    found = [
        [(_residue(entry.real, roots, p) + i * _residue(entry.imag, roots, p)) % p for entry in row]
        for row in rows
    ]
    return np.array(found, dtype=np.int64)


def _root(m: int, p: int) -> int:
    """Return √m as the product of its prime factors' roots, so that √2·√3 is √6."""
    from sympy import factorint, sqrt_mod

    root = 1
    for factor in factorint(m):  # square-free; −1 is a factor
        found = sqrt_mod(factor, p)
        if found is None:
            raise ValueError(f"{factor} has no square root modulo {p}")
        root = root * int(found) % p
    return root


def _residue(number: Surd, roots: dict[int, int], p: int) -> int:
    a, b = (x.numerator * pow(x.denominator, -1, p) for x in (number.a, number.b))
    return a + b * roots[number.m] if number.b else a


def multiply(
    a: Int[np.ndarray, "l m"], b: Int[np.ndarray, "m n"], p: int
) -> Int[np.ndarray, "l n"]:
    """Return ab modulo p, in slices whose sums stay below 2⁵³."""
    total = np.zeros((a.shape[0], b.shape[1]))
    for start in range(0, a.shape[1], 2**9):
        part = a[:, start : start + 2**9].astype(float) @ b[start : start + 2**9].astype(float)
        total = np.mod(total + np.mod(part, p), p)
    return total.astype(np.int64)


def rank(matrix: Int[np.ndarray, "m n"], p: int) -> int:
    """Return the rank over 𝔽ₚ, by elimination in blocks of columns; the columns after a block are
    updated by one matrix product.
    """
    a, found = np.mod(matrix, p), 0
    for start in range(0, a.shape[1], _BLOCK):
        if found >= len(a):
            break
        block, rest = a[found:, start : start + _BLOCK], a[found:, start + _BLOCK :]
        order, lower, pivots = _eliminate(block, p)
        if not pivots:
            continue
        rest = rest[order]
        for i in range(1, pivots):  # forward substitution in the pivot rows
            rest[i] = (rest[i] - multiply(lower[i : i + 1, :i], rest[:i], p)[0]) % p
        rest[pivots:] = (rest[pivots:] - multiply(lower[pivots:, :pivots], rest[:pivots], p)) % p
        a[found:, start + _BLOCK :] = rest
        found += pivots
    return found


def nullspace(matrix: Int[np.ndarray, "m n"], p: int) -> Int[np.ndarray, "n k"]:
    """Return a basis of {x : Ax = 0}, for small matrices."""
    a, n = np.mod(matrix, p), matrix.shape[1]
    pivots: list[int] = []
    for column in range(n):
        row = len(pivots)
        below = np.flatnonzero(a[row:, column]) if row < len(a) else np.zeros(0)
        if not len(below):
            continue
        swap = row + int(below[0])
        a[[row, swap]] = a[[swap, row]]
        a[row] = a[row] * pow(int(a[row, column]), -1, p) % p
        others = np.arange(len(a)) != row
        a[others] = (a[others] - np.outer(a[others, column], a[row])) % p
        pivots.append(column)
    free = [column for column in range(n) if column not in pivots]
    found = np.zeros((n, len(free)), dtype=np.int64)
    for k, column in enumerate(free):
        found[column, k] = 1
        found[pivots, k] = -a[: len(pivots), column] % p
    return found


def inverse(matrix: Int[np.ndarray, "n n"], p: int) -> Int[np.ndarray, "n n"]:
    """Return A⁻¹ over 𝔽ₚ. Raises ZeroDivisionError for a singular matrix."""
    n = len(matrix)
    both = np.concatenate([matrix, -np.eye(n, dtype=np.int64)], axis=1)
    found = nullspace(both, p)
    if found.shape[1] != n or not np.array_equal(found[n:], np.eye(n, dtype=np.int64)):
        raise ZeroDivisionError(f"a matrix is singular modulo {p}")
    return found[:n]


def eigenbasis(
    matrix: Int[np.ndarray, "n n"], p: int
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, "n n"]] | None:
    """Return eigenvalues in 𝔽ₚ and a basis of eigenvectors; None if they do not span."""
    from sympy import GF
    from sympy.polys.factortools import dup_factor_list
    from sympy.polys.matrices import DomainMatrix

    field, n = GF(p), len(matrix)
    rows = [[field(int(x)) for x in row] for row in matrix]
    polynomial = DomainMatrix(rows, (n, n), field).charpoly()
    values: list[int] = []
    vectors: list[Int[np.ndarray, "n _"]] = []
    for factor, _ in dup_factor_list(polynomial, field)[1]:
        if len(factor) > 2:  # irreducible of a higher degree
            return None
        value = -int(factor[1]) * pow(int(factor[0]), -1, p) % p
        space = nullspace(matrix - value * np.eye(n, dtype=np.int64), p)
        values += [value] * space.shape[1]
        vectors.append(space)
    if len(values) != n:
        return None
    return np.array(values, dtype=np.int64), np.concatenate(vectors, axis=1)


def _eliminate(
    block: Int[np.ndarray, "m b"], p: int
) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, "m c"], int]:
    """Eliminate a block of columns: return the row order, L's multipliers, the number of pivots."""
    a, order = block.copy(), np.arange(len(block))
    lower, k = np.zeros((len(a), a.shape[1]), dtype=np.int64), 0
    for column in range(a.shape[1]):
        below = np.flatnonzero(a[k:, column])
        if not len(below):
            continue
        swap = k + int(below[0])
        for array in (a, lower):
            array[[k, swap]] = array[[swap, k]]
        order[[k, swap]] = order[[swap, k]]
        factors = a[k + 1 :, column] * pow(int(a[k, column]), -1, p) % p
        lower[k + 1 :, k] = factors
        a[k + 1 :, column:] = (a[k + 1 :, column:] - np.outer(factors, a[k, column:])) % p
        k += 1
    return order, lower, k
