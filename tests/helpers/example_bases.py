"""Storages of bases for tests, and the plain matrix of each.

`matrix_of` is the reading of the storages' docstrings in the simplest NumPy there is: nothing of it
goes through `apply` or `adjoint`.
"""

from __future__ import annotations

import math
from functools import reduce
from itertools import product
from typing import Any

import numpy as np
from hypothesis import strategies as st
from intertwine.bases import (
    Basis,
    Certificate,
    Combined,
    Dense,
    EqualityPatterns,
    Intertwiners,
    Kronecker,
    Orbits,
    Permuted,
    SparseStorage,
    Storage,
    Sum,
    Transform,
)


def orthonormal(n: int, r: int, *, seed: int = 0, is_complex: bool = False) -> Any:
    """A random matrix of shape (n, r) with orthonormal columns."""
    rng = np.random.default_rng([n, r, seed])
    entries = rng.standard_normal((n, r))
    if is_complex:
        entries = entries + 1j * rng.standard_normal((n, r))
    return np.linalg.qr(entries)[0]


def orbits(labels: list[int], signs: list[int] | None = None) -> Orbits:
    """Orbits from lists, in the integer types that the solver writes."""
    named = np.array(labels, dtype=np.int32)
    return Orbits(
        named,
        None if signs is None else np.array(signs, dtype=np.int8),
        int(named.max(initial=-1)) + 1,
    )


def _nested() -> Storage:
    product = Kronecker(
        [orbits([0, 1, 0]), Permuted(np.array([2, 0, 1]), Dense(orthonormal(3, 2)))]
    )
    inner = Sum([(2, product), (1, Sum([(3, orbits([0, -1], [-1, 1])), (1, Dense(np.eye(2)))]))])
    order = np.random.default_rng(7).permutation(inner.shape[0])
    return Permuted(order, inner)


def _intertwiners(*, is_complex: bool = False, square: bool = True) -> Intertwiners:
    """Maps between products of two slots, along steps that are random isometries."""
    rows = orthonormal(4, 4, seed=1, is_complex=is_complex)
    first = {0: {1: orthonormal(2, 2, is_complex=is_complex).reshape(1, 2, 1, 2)}}
    second = {
        1: {0: rows[:2].reshape(2, 1, 2, 2), 5: rows[2:].reshape(1, 2, 2, 2)},
    }
    whole = Transform([2, 2], [first, second])
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    if not square:
        slot = Transform([2], [{0: {5: np.eye(2).reshape(1, 2, 1, 2)}}])
        return Intertwiners(whole.only({5}), slot, {5: np.array([np.eye(2), turn])})
    return Intertwiners(whole, whole, {0: np.ones((1, 1, 1)), 5: np.array([np.eye(2), turn])})


def _copies(transform: Transform) -> dict[int, list[np.ndarray[Any, Any]]]:
    """Uᴴ of a transform: for each irrep the rows of its copies, in order."""
    found: dict[int, list[np.ndarray[Any, Any]]] = {0: [np.ones((1, 1))]}
    for step in transform.steps:
        new: dict[int, list[np.ndarray[Any, Any]]] = {}
        for irrep in sorted(found):
            for row in found[irrep]:
                for target, maps in step.get(irrep, {}).items():
                    for one in maps:
                        product = np.einsum("kav,ax->kxv", one, row)
                        new.setdefault(target, []).append(product.reshape(len(product), -1))
        found = new
    return found


def sparse(
    *columns: dict[int, complex], sizes: list[int], frames: list[Any] | None = None
) -> SparseStorage:
    """A sparse basis whose columns have these entries, each scaled to length 1."""
    values = [
        np.array(list(column.values())) / np.linalg.norm(list(column.values()))
        for column in columns
    ]
    rows = [row for column in columns for row in column]
    return SparseStorage(
        np.array(rows, dtype=np.int64),
        np.cumsum([0, *map(len, columns)]),
        np.concatenate([np.zeros(0), *values]),
        sizes,
        [None] * len(sizes) if frames is None else frames,
    )


_FRAME = orthonormal(3, 3)
_COLUMNS: tuple[dict[int, complex], ...] = ({0: 1, 4: -2}, {1: 1}, {2: 1, 3: 1, 5: 1})

STORAGES: dict[str, Storage] = {
    "sparse": sparse(*_COLUMNS, sizes=[6]),
    "sparse, complex": sparse({0: 1, 2: 1j}, {1: 1j}, sizes=[3]),
    "sparse, without entries": sparse(sizes=[2, 2]),
    "sparse, in frames": sparse(*_COLUMNS, {6: 1, 8: 1}, sizes=[3, 3], frames=[_FRAME, _FRAME]),
    "sparse, in a frame of one slot": sparse(*_COLUMNS, sizes=[3, 2], frames=[_FRAME, None]),
    "sparse, in a complex frame": sparse(
        *_COLUMNS, sizes=[3, 2], frames=[None, orthonormal(2, 2, is_complex=True)]
    ),
    "dense": Dense(orthonormal(12, 3)),
    "dense, complex": Dense(orthonormal(6, 2, is_complex=True)),
    "dense, square": Dense(orthonormal(4, 4)),
    "dense, without columns": Dense(np.zeros((4, 0))),
    "dense, complex without columns": Dense(np.zeros((4, 0), dtype=complex)),
    "dense, without rows": Dense(np.zeros((0, 0))),
    "orbits": orbits([0, 1, 0, 2, 1, 0]),
    "orbits, each of one index": orbits([2, 0, 1]),
    "orbits, one scalar": orbits([0]),
    "orbits, signed": orbits([0, 1, 0, 1, 2], [1, -1, -1, -1, 1]),
    "orbits, signed and partly vanishing": orbits([-1, 0, -1, 0, 1, -1], [1, 1, -1, -1, 1, 1]),
    "orbits, the last ones vanishing": orbits([0, 0, 1, -1, -1], [1, -1, 1, 1, -1]),
    "orbits, all vanishing": orbits([-1, -1, -1], [1, 1, 1]),
    "orbits, of no index": orbits([]),
    "patterns": EqualityPatterns(3, 3),
    "patterns, of one slot": EqualityPatterns(4, 1),
    "patterns, of one index": EqualityPatterns(1, 2),
    "patterns, of fewer indices than slots": EqualityPatterns(2, 4),
    "sum": Sum([(1, Dense(orthonormal(5, 2))), (1, orbits([0, 1, 0]))]),
    "sum, with multiplicities": Sum(
        [(2, Dense(orthonormal(4, 2))), (1, orbits([0, 0])), (3, Dense(orthonormal(5, 1)))]
    ),
    "sum, of real and complex blocks": Sum(
        [(2, orbits([0, 1, 0])), (2, Dense(orthonormal(3, 2, is_complex=True)))]
    ),
    "sum, with a block without columns": Sum(
        [(2, Dense(np.zeros((3, 0)))), (2, orbits([0, 0, 1]))]
    ),
    "sum, without columns": Sum([(2, Dense(np.zeros((3, 0)))), (1, orbits([-1], [1]))]),
    "sum, of nothing": Sum([]),
    "kronecker": Kronecker([Dense(orthonormal(4, 2)), orbits([0, 1, 0])]),
    "kronecker, of three": Kronecker(
        [orbits([0, 0, 1]), Dense(orthonormal(3, 2)), Dense(orthonormal(2, 1))]
    ),
    "kronecker, of real and complex factors": Kronecker(
        [orbits([0, 1, 1], [1, 1, -1]), Dense(orthonormal(4, 2, is_complex=True))]
    ),
    "kronecker, with a factor without columns": Kronecker(
        [Dense(orthonormal(3, 2)), Dense(np.zeros((2, 0)))]
    ),
    "intertwiners": _intertwiners(),
    "intertwiners, complex": _intertwiners(is_complex=True),
    "intertwiners, of different halves": _intertwiners(square=False),
    "intertwiners, of scalars": Intertwiners(
        Transform([], []), Transform([], []), {0: np.ones((1, 1, 1))}
    ),
    "intertwiners, without columns": Intertwiners(
        Transform([2], [{}]), Transform([3], [{}]), {}
    ),
    "permuted": Permuted(np.array([3, 0, 4, 1, 2]), Dense(orthonormal(5, 2))),
    "permuted, complex": Permuted(
        np.array([1, 3, 0, 2]), Dense(orthonormal(4, 3, is_complex=True))
    ),
    "permuted, without columns": Permuted(np.array([1, 0, 2]), Dense(np.zeros((3, 0)))),
    "combined": Combined(Dense(orthonormal(5, 3)), orthonormal(3, 2)),
    "combined, of orbits": Combined(orbits([0, 1, 0, 2, 1, 0]), orthonormal(3, 1)),
    "combined, complex": Combined(orbits([2, 0, 1]), orthonormal(3, 2, is_complex=True)),
    "combined, without columns": Combined(orbits([0, 1, 0]), np.zeros((2, 0))),
    "nested": _nested(),
}  # fmt: skip


def matrix_of(storage: Storage) -> np.ndarray[Any, Any]:
    """The matrix that a storage represents."""
    if isinstance(storage, Dense):
        return storage.matrix
    if isinstance(storage, Orbits):
        matrix = np.zeros(storage.shape)
        for column in range(storage.shape[1]):
            members = [i for i, label in enumerate(storage.labels) if label == column]
            for i in members:
                sign = 1 if storage.signs is None else storage.signs[i]
                matrix[i, column] = sign / math.sqrt(len(members))
        return matrix
    if isinstance(storage, EqualityPatterns):
        tuples = list(product(range(storage.size), repeat=storage.slots))
        patterns = [tuple(entry.index(i) for i in entry) for entry in tuples]
        return matrix_of(orbits([list(dict.fromkeys(patterns)).index(p) for p in patterns]))
    if isinstance(storage, Sum):
        blocks = [matrix_of(block) for m, block in storage.blocks for _ in range(m)]
        return _block_diagonal(blocks)
    if isinstance(storage, Kronecker):
        return reduce(np.kron, map(matrix_of, storage.factors))
    if isinstance(storage, SparseStorage):
        matrix = np.zeros(storage.shape, dtype=storage.values.dtype)
        for column in range(storage.shape[1]):
            for k in range(storage.starts[column], storage.starts[column + 1]):
                matrix[storage.rows[k], column] = storage.values[k]
        slots = zip(storage.frames, storage.sizes, strict=True)
        return reduce(np.kron, [np.eye(n) if f is None else f for f, n in slots]) @ matrix
    if isinstance(storage, Intertwiners):
        left, right = _copies(storage.left), _copies(storage.right)
        columns = [
            (a.conj().T @ unit @ b / math.sqrt(len(unit))).ravel()
            for irrep, units in storage.endomorphisms.items()
            for a in left[irrep]
            for b in right[irrep]
            for unit in units
        ]
        return np.stack(columns, axis=1) if columns else np.zeros(storage.shape)
    if isinstance(storage, Combined):
        return matrix_of(storage.inner) @ storage.combination
    assert isinstance(storage, Permuted)
    return matrix_of(storage.inner)[storage.rows]


def _block_diagonal(blocks: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    rows, columns = (sum(block.shape[axis] for block in blocks) for axis in (0, 1))
    whole = np.zeros((rows, columns), dtype=np.result_type(np.float64, *blocks))
    row = column = 0
    for block in blocks:
        whole[row : row + block.shape[0], column : column + block.shape[1]] = block
        row, column = row + block.shape[0], column + block.shape[1]
    return whole


def certificate_for(storage: Storage, **changes: Any) -> Certificate:
    """A certificate as a solve would give it with this storage."""
    values: dict[str, Any] = {
        "method": "krylov+orbits",
        "backend": "numpy",
        "device": "cpu",
        "size": storage.shape[0],
        "rank": storage.shape[1],
        "residual": 3.5e-15,
        "orthonormality": 1.25e-15,
        "gap": 2.5e11,
        "iterations": 12,
        "seconds": 0.75,
        "residuals": {"ab" * 32: (3.5e-15, 0.0)},
        "version": "0.1.0",
    }
    return Certificate(**{**values, **changes})


def basis_of(storage: Storage) -> Basis:
    """The storage as a basis."""
    return Basis(storage, certificate_for(storage))


BASES: dict[str, Basis] = {name: basis_of(storage) for name, storage in STORAGES.items()}


#: How to build a storage, in plain values: a kind, and what it is made of. (Strategies draw plans,
#: for the type checker of the tests draws random numbers too, and the two must not mix.)
Plan = tuple[Any, ...]


def build(plan: Plan) -> Storage:
    """The storage of a plan."""
    kind, *parts = plan
    if kind == "dense":
        n, r, seed, is_complex = parts
        return Dense(orthonormal(n, r, seed=seed, is_complex=is_complex))
    if kind == "orbits":
        return orbits(*parts)
    if kind == "sum":
        return Sum([(multiplicity, build(inner)) for multiplicity, inner in parts])
    if kind == "kronecker":
        return Kronecker([build(inner) for inner in parts])
    order, inner = parts
    return Permuted(np.array(order, dtype=np.intp), build(inner))


def _rows(plan: Plan) -> int:
    kind, *parts = plan
    if kind == "dense":
        return int(parts[0])
    if kind == "orbits":
        return len(parts[0])
    if kind == "sum":
        return sum(multiplicity * _rows(inner) for multiplicity, inner in parts)
    if kind == "kronecker":
        return math.prod(map(_rows, parts))
    return _rows(parts[1])


@st.composite
def _dense(draw: st.DrawFn) -> Plan:
    n = draw(st.integers(0, 5))
    return ("dense", n, draw(st.integers(0, n)), draw(st.integers(0, 9)), draw(st.booleans()))


@st.composite
def _orbits(draw: st.DrawFn) -> Plan:
    drawn = draw(st.lists(st.integers(-1, 3), max_size=6))
    names = {label: i for i, label in enumerate(sorted({x for x in drawn if x >= 0}))}
    n = len(drawn)
    signs = draw(st.none() | st.lists(st.sampled_from([1, -1]), min_size=n, max_size=n))
    return ("orbits", [names.get(label, -1) for label in drawn], signs)


@st.composite
def _permuted(draw: st.DrawFn, inner: st.SearchStrategy[Plan]) -> Plan:
    plan = draw(inner)
    return ("permuted", draw(st.permutations(range(_rows(plan)))), plan)


def plans() -> st.SearchStrategy[Plan]:
    """Plans of any storage, nested to any depth, with at most 200 rows."""

    def assembled(inner: st.SearchStrategy[Plan]) -> st.SearchStrategy[Plan]:
        inner = inner.filter(lambda plan: _rows(plan) <= 200)
        blocks = st.lists(st.tuples(st.integers(1, 3), inner), max_size=3)
        factors = st.lists(inner, min_size=1, max_size=2)
        return (
            blocks.map(lambda parts: ("sum", *parts))
            | factors.map(lambda parts: ("kronecker", *parts))
            | _permuted(inner)
        )

    anything = st.recursive(_dense() | _orbits(), assembled, max_leaves=4)
    return anything.filter(lambda plan: _rows(plan) <= 200)
