"""Fixed words in a rep's generators, which distinguish irreps and fix their bases.

Words are polynomials a, b, c in fixed random combinations of the generators' matrices. Traces of
words are equal for equivalent irreps; for inequivalent ones some word differs, but it may be longer
than the first ones tried: equal traces only suggest a search for an intertwiner. (Casimir values
do not distinguish all irreps either, and discrete groups have none.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.errors import SplitError
from intertwine.irreps.actions import MatrixRep, adjoint

_LETTERS = 3
_LEVELS = 12  # the last has letters of 12 factors, in 36 combinations
_TOGETHER = 1e-9  # of the spread: eigenvalues along one line over ℝ, ℂ or ℍ differ by rounding
_APART = 1e-7  # of the spread: eigenvalues of different lines differ by more
_LONGEST = 64  # the largest power of a word that is traced
_SAME, _DIFFERENT = 1e-9, 1e-6  # rounding reaches 1e-14; the smallest difference observed is 1e-3


class Words:
    """Words for one number of generators."""

    def __init__(self, count: int) -> None:
        rng = np.random.default_rng(7)
        self._combinations = rng.standard_normal((_LETTERS, count)) / np.sqrt(max(count, 1))

    def letters(self, rep: MatrixRep, level: int = 0) -> Inexact[np.ndarray, "3 n n"]:
        """Return a, b and c on a rep; at each further level ax + b, by + c and cz + a of those
        below it with new combinations x, y and z (over ℂ, the second terms times i).

        Three combinations do not always generate enough: of γ₁γ₂, …, γ₁γₙ they generate the
        spinors of so(4), and real ones of SU(2) are quaternions, whose Hermitian parts are scalars.
        """
        generators = rep.given.matrices
        found: Inexact[np.ndarray, "3 n n"] = np.tensordot(self._combinations, generators, (1, 0))
        i = 1j if np.iscomplexobj(found) else 1
        for k in range(1, level + 1):
            fresh = np.random.default_rng((7, k)).standard_normal(self._combinations.shape)
            new = np.tensordot(fresh / np.sqrt(max(fresh.shape[1], 1)), generators, (1, 0))
            found = np.matmul(found, new) + i * np.roll(found, -1, axis=0)
            found = found / max(1.0, float(np.linalg.norm(found, 2, axis=(1, 2)).max()))
        return found

    def fingerprint(self, rep: MatrixRep) -> Float[np.ndarray, " f"]:
        """Return traces of nine words over the dimension, as real numbers."""
        a, b, c = self.letters(rep)
        ab, aa, bc = a @ b, a @ a, b @ c
        pairs = ((a, a), (a, b), (ab, c), (ab, bc), (aa, ab), (aa, bc), (ab @ c, ab))
        traces = [np.trace(a), np.trace(b), *(np.vdot(x.T.conj(), y) for x, y in pairs)]
        found = np.array(traces) / rep.size
        return np.concatenate([found.real, found.imag]) if np.iscomplexobj(found) else found

    def further(self, rep: MatrixRep) -> Float[np.ndarray, " g"]:
        """Return traces of longer words, for irreps with equal `fingerprint`.

        Powers of two words up to the dimension: half-spin reps of so(2n) differ first in words of
        n letters, irreps of the shift and clock matrices of order p in words of p.
        """
        a, b, c = self.letters(rep)
        traces = []
        for word in (a + b @ c, b - 2 * c @ a):
            word = word / max(1.0, float(np.linalg.norm(word, 2)))
            power = np.eye(rep.size)
            for _ in range(min(rep.size, _LONGEST)):
                power = power @ word
                traces.append(np.trace(power))
        found = np.array(traces)
        return np.concatenate([found.real, found.imag]) if np.iscomplexobj(found) else found

    def hermitian(self, rep: MatrixRep, level: int = 0) -> Inexact[np.ndarray, "n n"]:
        """Return a Hermitian word, whose eigenvectors are a basis.

        On large irreps a polynomial of low degree has exponentially close eigenvalues
        (on the 39-dimensional irrep of SO(3) two of the first level differ by rounding): further
        levels are products of oscillating functions, whose eigenvalues repel each other as those
        of random matrices do.
        """
        a, b, c = self.letters(rep, level)
        word = adjoint(a) @ a + b @ c + a
        if level:
            word = _oscillating(word) @ _oscillating(adjoint(b) @ b + c @ a + b)
        found: Inexact[np.ndarray, "n n"] = word + adjoint(word)
        return found

    def separating_level(self, rep: MatrixRep, fields: int) -> int:
        """Return the first level whose Hermitian word has the most distinct eigenvalues possible on
        an irrep: d over the dimension of its endomorphisms. Raises `SplitError` if none has.
        """
        for level in range(_LEVELS):
            values = np.linalg.eigvalsh(self.hermitian(rep, level))
            if len(values) % fields:
                break
            lines = values.reshape(-1, fields)
            spread = max(values[-1] - values[0], np.abs(values).max(), np.finfo(float).tiny)
            together = (lines[:, -1] - lines[:, 0]).max() <= _TOGETHER * spread
            if together and np.all(lines[1:, 0] - lines[:-1, -1] > _APART * spread):
                return level
        raise SplitError(
            f"words have no {len(lines)} different eigenvalues on a subspace of dimension "
            f"{rep.size} with {fields} endomorphisms"
            if not len(values) % fields
            else f"a subspace of dimension {rep.size} has {fields} endomorphisms"
        )

    def phasing(self, rep: MatrixRep, level: int = 0) -> tuple[Inexact[np.ndarray, "n n"], ...]:
        """Return two more words, to fix the phases of that basis."""
        a, b, c = self.letters(rep, level)
        return b + a @ c + c @ b @ a, c + b @ a + a @ c @ b


def _oscillating(matrix: Inexact[np.ndarray, "n n"]) -> Inexact[np.ndarray, "n n"]:
    """Return the cosine of a matrix's Hermitian part, scaled to about one radian per eigenvalue."""
    values, vectors = np.linalg.eigh(matrix + adjoint(matrix))
    size = max(float(np.abs(values).max(initial=0.0)), np.finfo(float).tiny)
    cosines = np.cos(1 + len(values) * values / size)
    found: Inexact[np.ndarray, "n n"] = (vectors * cosines) @ adjoint(vectors)
    return found


def same(left: Float[np.ndarray, " f"], right: Float[np.ndarray, " f"]) -> bool:
    """Return whether two fingerprints are equal, as for equivalent irreps. Raises `SplitError` if
    this is ambiguous.
    """
    distance = np.abs(left - right).max(initial=0.0) / (1 + np.abs(right).max(initial=0.0))
    if _SAME < distance < _DIFFERENT:
        raise SplitError(f"traces differ by {distance:.1e}, neither equal nor clearly different")
    return bool(distance <= _SAME)


def similar(
    known: Sequence[Float[np.ndarray, " f"]], fingerprint: Float[np.ndarray, " f"]
) -> list[int]:
    """Return the indices of the known fingerprints that are not clearly different from this one."""
    if not known:
        return []
    distances = np.abs(np.array(known) - fingerprint).max(axis=1, initial=0.0)
    near = distances <= _DIFFERENT * (1 + np.abs(fingerprint).max(initial=0.0))
    return [int(k) for k in np.flatnonzero(near)]


def order_of(fingerprint: Float[np.ndarray, " f"]) -> float:
    """Return a fixed combination of the traces, which orders irreps of equal dimension."""
    return float(np.random.default_rng(8).standard_normal(len(fingerprint)) @ fingerprint)
