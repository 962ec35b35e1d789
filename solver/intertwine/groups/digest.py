"""The identity of a group: a digest of its generators, the same in every process and storage.

Entries are rounded to 1e-12 of their matrix's largest entry and −0 becomes 0, so that last bits
(cos(π/2) = 6e-17) do not change the digest. Only nonzero entries are hashed, so that a permutation
and its matrix have one digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Num, Shaped

from intertwine.groups.generators import Generator
from intertwine.operators import Permutation

_STEPS = 1e12
_OFFSET = 0.137  # without it dyadic fractions lie halfway between steps, and last bits would decide


def digest_of(d: int, lie_algebra: Iterable[Generator], discrete: Iterable[Generator]) -> str:
    """Return the hex sha256 of the generators of a group of size d."""
    sha = hashlib.sha256(f"intertwine group 1\nd {d}\n".encode())
    for kind, generators in (("lie", lie_algebra), ("discrete", discrete)):
        for generator in generators:
            sha.update(f"{kind}\n".encode())
            for part in matrix_parts(generator):
                sha.update(part)
    return sha.hexdigest()


def matrix_parts(matrix: Generator | Num[np.ndarray, "m n"]) -> Iterator[bytes | memoryview]:
    """Yield the canonical bytes of a matrix: shape, scale, and nonzero entries in units of it."""
    if isinstance(matrix, Permutation):
        size = matrix.shape[0]
        positions = np.arange(size) * size + matrix.indices
        signs = np.ones(size) if matrix.signs is None else matrix.signs
        return _parts(matrix.shape, 1.0, positions, signs * _STEPS)
    values = np.asarray(matrix)
    positions = np.flatnonzero(values != 0)  # most entries of a large matrix are zero
    entries = values.ravel()[positions]
    scale = float(np.abs(entries).max(initial=0.0))
    offset = _OFFSET * (1 + 1j) if np.iscomplexobj(values) else _OFFSET
    steps = np.rint(entries / (scale or 1.0) * _STEPS + offset)
    kept = steps != 0
    if not kept.all():
        positions, steps = positions[kept], steps[kept]
    return _parts(values.shape, scale, positions, steps)


def _parts(
    shape: tuple[int, ...],
    scale: float,
    positions: Shaped[np.ndarray, "..."],
    steps: Shaped[np.ndarray, "..."],
) -> Iterator[bytes | memoryview]:
    rounded = f"{scale * (1 + 10 * _OFFSET / _STEPS):.11e}"
    yield f"{shape[0]} {shape[1]} {rounded} {len(positions)}\n".encode()
    for part in (positions, steps.real, steps.imag):
        yield np.ascontiguousarray(part, dtype="<i8").data
