"""The coordinates of a rep in e3nn: its irreps as text, and the change of basis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Inexact

from intertwine.arrays import for_products, namespace, working_dtype
from intertwine.errors import InvalidRep, MethodNotApplicable, TooLarge
from intertwine.irreps.decomposition import decompose
from intertwine.irreps.irrep import Irrep
from intertwine.reps import Rep
from intertwine.reps.syntax import ScalarRep, Sum, groups_of, is_a

_MAX_SIZE = 10_000
"""The largest size of a rep, because the change of basis is a dense matrix."""


@dataclass(frozen=True, eq=False)
class E3nnFrame:
    """A rep ρ in e3nn's irreps: ρ(g) = X⁻¹ D(g) X, with D(g) e3nn's matrix of `irreps`.

    `irreps` is e3nn's text, such as ``1x1o+1x0e+1x2e``: for each term of a sum, as it is written,
    its irreps in e3nn's order. `blocks` has their multiplicities, degrees and parities. `matrix` is
    the unitary X.
    """

    rep: Rep
    blocks: tuple[tuple[int, int, str], ...]
    matrix: Inexact[np.ndarray, "n n"]

    @property
    def irreps(self) -> str:
        """The irreps as e3nn writes them."""
        return "+".join(f"{count}x{degree}{parity}" for count, degree, parity in self.blocks)

    def to_e3nn(self, x: Any) -> Any:
        """Return vectors of ρ, of shape (…, n), in e3nn's coordinates. Arrays of NumPy, JAX
        or PyTorch.
        """
        return self._times(self.matrix, x)

    def from_e3nn(self, x: Any) -> Any:
        """Return vectors in e3nn's coordinates, of shape (…, n), as vectors of ρ."""
        return self._times(self.matrix.conj().T, x)

    def _times(self, matrix: Inexact[np.ndarray, "n n"], x: Any) -> Any:
        x = namespace(x).asarray(x)
        if not x.ndim or x.shape[-1] != len(matrix):
            raise InvalidRep(
                f"{self.rep!r} has size {len(matrix)}, and an array has the shape {x.shape}: give "
                f"one of shape (…, {len(matrix)})"
            )
        x = for_products(x, matrix.dtype)
        return x @ namespace(x).asarray(matrix.T, dtype=working_dtype(x, matrix.dtype))

    def __repr__(self) -> str:
        return f"<{self.rep!r} in e3nn: {self.irreps}>"


def e3nn_frame(rep: Rep) -> E3nnFrame:
    """Return a rep of SO(3), O(3) or SU(2) in the irreps of e3nn.

    Terms of a sum keep their order, so that ``3x1o + 2x0e`` stays as it is, and X is 1 for V. A
    term that is not an irrep is decomposed, as by ``decompose(term, gauge="e3nn")``. Irreps without
    a parity are even. Raises `NotConcrete`, `TooLarge` above 10,000 dimensions, and
    `MethodNotApplicable` for other groups and half-integral spins.
    """
    rep._require_group()
    groups, n = groups_of(rep), rep.size()
    if len(groups) != 1:
        raise MethodNotApplicable(
            f"e3nn_frame takes a rep of one group, and {rep!r} has {len(groups)} groups"
        )
    if n > _MAX_SIZE:
        raise TooLarge(
            f"{rep!r} has {n:,} dimensions; e3nn_frame takes at most {_MAX_SIZE:,}: take the terms "
            f"of the rep one by one"
        )
    terms = rep.terms if is_a(rep, Sum) else ((1, rep),)
    blocks: list[tuple[int, int, str]] = []
    found: list[tuple[int, Inexact[np.ndarray, "_ _"]]] = []
    for count, term in terms:
        own, matrix = _of_term(term)
        # the copies of a single irrep are one block, as those of e3nn are
        blocks += [(count * own[0][0], *own[0][1:])] if len(own) == 1 else own * count
        found.append((count, matrix))
    dtype = np.result_type(float, *(matrix for _, matrix in found))
    whole, at = np.zeros((n, n), dtype), 0
    for count, matrix in found:
        for _ in range(count):
            place = slice(at, at + len(matrix))
            whole[place, place] = matrix
            at += len(matrix)
    return E3nnFrame(rep, tuple(blocks), whole)


def _of_term(term: Rep) -> tuple[list[tuple[int, int, str]], Inexact[np.ndarray, "_ _"]]:
    if is_a(term, ScalarRep):
        return [(1, 0, "e")], np.eye(1)
    if isinstance(term, Irrep):
        return [_block(1, term)], term.to_e3nn()
    parts = decompose(term, gauge="e3nn")
    found = [_block(count, irrep) for irrep, count in parts.multiplicities.items()]
    return found, parts.matrix().conj().T


def _block(count: int, irrep: Irrep) -> tuple[int, int, str]:
    name = irrep.e3nn_name
    return count, int(name[:-1]), name[-1]
