"""The weights of a rep of an abelian group: eigenvalues in a unitary frame that diagonalises it.

(These are not the weights of a network.) Over ℂ the irreps of such a group are characters, of
dimension one. A large rep has hundreds of them: its generators are diagonalised together, and
weights are compared as numbers, without a catalogue of irreps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float, Inexact, Int, Num

from intertwine.operators import coordinate_blocks, diagonal_blocks

_COMMUTE = 1e-9  # relative: a larger commutator on a random vector is not rounding
_DIAGONAL = 1e-12  # the largest part of a generator of norm 1 outside the diagonal
_UNITARY = 1e-12
_ZERO, _NONZERO = 1e-12, 1e-7  # imaginary parts between these have no clear sign
_WRITTEN_OUT = 4  # in larger blocks, vectors are columns of a dense frame
_ROUNDS = 4
_GOOD = 1e-13  # smaller parts outside the diagonal need no further round
_SHIFT = 10.0
_LARGE, _FEW = 200, 20  # the size, and the share of entries other than 0, of a sparse matrix
_LARGEST = 1e-6  # entries this near to the largest one count as largest


@dataclass(frozen=True, eq=False)
class Weights:
    """An orthonormal basis of weight vectors: Mₖuⱼ = `values[j, k]` uⱼ for each generator k.

    Vector j has the entries `entries[j]` at `places[j]`, in the coordinates of `frame`, a unitary
    matrix (None: in the rep's own). In a real rep the frame is real, and `partners[j]` is the
    vector conjugate to uⱼ; in a complex one `partners` is None. `errors` bound
    ‖MₖU − U diag(values)‖, and `defect` bounds ‖UᴴU − 1‖.
    """

    values: Complex[np.ndarray, "n K"]
    places: Int[np.ndarray, "n s"]
    entries: Complex[np.ndarray, "n s"]
    frame: Inexact[np.ndarray, "n n"] | None
    partners: Int[np.ndarray, " n"] | None
    errors: Float[np.ndarray, " K"]
    defect: float


@dataclass(frozen=True, eq=False)
class _Diagonalised:
    """The weight vectors u of the blocks of one size, as columns."""

    blocks: Int[np.ndarray, "b s"]
    vectors: Complex[np.ndarray, "b s s"]
    values: Complex[np.ndarray, "b K s"]
    partners: Int[np.ndarray, "b s"]
    errors: Float[np.ndarray, " K"]
    defect: float


def diagonalised(
    lie: Sequence[Inexact[np.ndarray, "n n"]],
    discrete: Sequence[Inexact[np.ndarray, "n n"]],
    n: int,
    scales: Sequence[float] | None = None,
) -> Weights | None:
    """Return the weights of normal Lie generators and unitary discrete ones, in this order. With
    `scales`, each Lie generator is divided by its own.

    None unless all matrices commute, and Lie generators are normal and discrete ones unitary, up to
    rounding. None also for a real rep with a weight that is neither clearly real nor clearly not.
    Matrices are split into blocks of coordinates first. `commute_on_a_vector` is a faster test of
    whether the result may be other than None.
    """
    matrices = [*lie, *discrete]
    if not matrices:
        return None
    is_real = not any(map(np.iscomplexobj, matrices))
    divisors = [*(scales or [1.0] * len(lie)), *[1.0] * len(discrete)]
    found = []
    for blocks in coordinate_blocks(matrices, n):
        stack = np.zeros((len(blocks), len(matrices), *[blocks.shape[1]] * 2), dtype=complex)
        for k, (matrix, divisor) in enumerate(zip(matrices, divisors, strict=True)):
            stack[:, k] = diagonal_blocks(matrix, blocks) / divisor
        part = _diagonalised(blocks, stack, is_real)
        if part is None:
            return None
        found.append(part)
    values = np.concatenate([_flat(np.swapaxes(part.values, 1, 2)) for part in found])
    phases = np.abs(values[:, len(lie) :])
    if not np.abs(phases - 1).max(initial=0.0) <= _UNITARY:
        return None
    written = _written_out if max(part.blocks.shape[1] for part in found) <= _WRITTEN_OUT else None
    places, entries, frame = written(found, n) if written else _in_a_frame(found, n, is_real)
    starts = np.cumsum([0, *(part.blocks.size for part in found)])
    partners = np.concatenate(
        [_flat(part.partners) + start for part, start in zip(found, starts, strict=False)]
    )
    return Weights(
        values,
        places,
        entries,
        frame,
        partners if is_real else None,
        np.max([part.errors for part in found], axis=0),
        max(part.defect for part in found),
    )


def _flat(x: Num[np.ndarray, "b s ..."]) -> Num[np.ndarray, "bs ..."]:
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


def commute_on_a_vector(matrices: Sequence[Inexact[np.ndarray, "n n"]], n: int) -> bool:
    """Return whether two random combinations, and their adjoints, commute on a random vector.

    This test is quick. Matrices that are not normal or do not commute fail it almost surely.
    """
    if not matrices:
        return False
    rng = np.random.default_rng(21)
    x, y = rng.standard_normal((2, len(matrices)))
    v = rng.standard_normal(n) + 1j * rng.standard_normal(n)
    entries = [_few_entries(matrix) for matrix in matrices]
    largest = np.array(
        [
            np.abs(matrix if few is None else few[2]).max(initial=0.0) or 1.0
            for matrix, few in zip(matrices, entries, strict=True)
        ]
    )
    x, y = x / largest, y / largest

    def moved(
        c: Float[np.ndarray, " K"], u: Complex[np.ndarray, " n"]
    ) -> Complex[np.ndarray, " n"]:
        total = np.zeros(n, dtype=complex)
        both = np.stack([u.real, u.imag], axis=1)
        for each, matrix, few in zip(c, matrices, entries, strict=True):
            if few is None:
                image = matrix @ both
                total += each * (image[:, 0] + 1j * image[:, 1])
            else:
                rows, columns, values = few
                total += each * _summed(rows, values * u[columns], n)
        return total

    def back(c: Float[np.ndarray, " K"], u: Complex[np.ndarray, " n"]) -> Complex[np.ndarray, " n"]:
        # Mᴴu is the conjugate of uᴴM
        total = np.zeros(n, dtype=complex)
        both = np.stack([u.real, -u.imag])
        for each, matrix, few in zip(c, matrices, entries, strict=True):
            if few is None:
                image = both @ matrix
                total += each * (image[0] + 1j * image[1]).conj()
            else:
                rows, columns, values = few
                total += each * _summed(columns, values.conj() * u[rows], n)
        return total

    def are_near(first: Complex[np.ndarray, " n"], second: Complex[np.ndarray, " n"]) -> bool:
        size = max(float(np.linalg.norm(first)), float(np.linalg.norm(second)))
        return bool(np.linalg.norm(first - second) <= _COMMUTE * size)

    along = moved(x, v)
    if not are_near(moved(x, moved(y, v)), moved(y, along)):
        return False
    return are_near(moved(x, back(x, v)), back(x, along))


def _few_entries(
    matrix: Inexact[np.ndarray, "n n"],
) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"], Inexact[np.ndarray, " m"]] | None:
    """Return the rows, columns and values of the nonzero entries of a large matrix that has few."""
    n = len(matrix)
    if n < _LARGE:
        return None
    places = np.flatnonzero(matrix != 0)
    if len(places) * _FEW > n * n:
        return None
    rows, columns = np.divmod(places, n)
    return rows, columns, matrix[rows, columns]


def _summed(
    places: Int[np.ndarray, " m"], values: Complex[np.ndarray, " m"], n: int
) -> Complex[np.ndarray, " n"]:
    found: Complex[np.ndarray, " n"] = np.empty(n, dtype=complex)
    found.real = np.bincount(places, values.real, minlength=n)
    found.imag = np.bincount(places, values.imag, minlength=n)
    return found


def _diagonalised(
    blocks: Int[np.ndarray, "b s"], stack: Complex[np.ndarray, "b K s s"], is_real: bool
) -> _Diagonalised | None:
    """Diagonalise the blocks of one size; None if they are not diagonal in one unitary frame."""
    count, s = blocks.shape
    rng = np.random.default_rng(22)
    hermitian, rest = rng.standard_normal((2, stack.shape[1]))
    adjoints = np.swapaxes(stack, 2, 3).conj()
    mixed = np.einsum("k,bkij->bij", hermitian, stack + adjoints, optimize=True)
    mixed = mixed - 1j * np.einsum("k,bkij->bij", rest, stack - adjoints, optimize=True)
    vectors = np.linalg.eigh(mixed)[1] if s > 1 else np.ones((count, 1, 1), dtype=complex)
    for _ in range(_ROUNDS):
        moved, values, errors = _moved(stack, vectors)
        if np.all(errors <= _GOOD * _sizes(values)):
            break
        vectors = _improved(vectors, moved, values)
    partners = np.broadcast_to(np.arange(s), (count, s)).copy()
    if is_real:
        paired = _paired(vectors, values)
        if paired is None:
            return None
        vectors, partners = paired
    partners = partners + s * np.arange(count)[:, None]
    moved, values, errors = _moved(stack, vectors)
    if not np.all(errors <= _DIAGONAL * _sizes(values)):
        return None
    gram = np.swapaxes(vectors, 1, 2).conj() @ vectors - np.eye(s)
    defect = float(np.sqrt((np.abs(gram) ** 2).sum(axis=(1, 2))).max(initial=0.0))
    return _Diagonalised(blocks, vectors, values, partners, errors, defect)


def _moved(
    stack: Complex[np.ndarray, "b K s s"], vectors: Complex[np.ndarray, "b s s"]
) -> tuple[Complex[np.ndarray, "b K s s"], Complex[np.ndarray, "b K s"], Float[np.ndarray, " K"]]:
    """Return Mₖuⱼ, the values uⱼᴴMₖuⱼ, and for each k the largest distance of a block from
    diagonal.
    """
    moved = stack @ vectors[:, None]
    values = (vectors[:, None].conj() * moved).sum(axis=2)
    outside = moved - vectors[:, None] * values[:, :, None, :]
    errors = np.sqrt((np.abs(outside) ** 2).sum(axis=(2, 3))).max(axis=0, initial=0.0)
    return moved, values, errors


def _sizes(values: Complex[np.ndarray, "b K s"]) -> Float[np.ndarray, " K"]:
    """Return the norm of each generator on these blocks, at least 1."""
    found: Float[np.ndarray, " K"] = np.maximum(1.0, np.abs(values).max(axis=(0, 2), initial=0.0))
    return found


def _improved(
    vectors: Complex[np.ndarray, "b s s"],
    moved: Complex[np.ndarray, "b K s s"],
    values: Complex[np.ndarray, "b K s"],
) -> Complex[np.ndarray, "b s s"]:
    """Return eigenvectors corrected to first order by all generators.

    Two weights may be close in the combination that was diagonalised, and distinct in another: the
    rotation between their vectors is the least-squares solution over all generators.
    """
    s = vectors.shape[1]
    off = (np.swapaxes(vectors, 1, 2).conj()[:, None] @ moved) * (1 - np.eye(s))
    size = max(1.0, float(np.abs(values).max(initial=0.0)))
    steps = values[..., :, None] - values[..., None, :]
    squares = (np.abs(steps) ** 2).sum(axis=1)
    is_apart = squares > (_NONZERO * size) ** 2
    turn = -(steps.conj() * off).sum(axis=1) / np.where(is_apart, squares, 1.0) * is_apart
    turn = (turn - np.swapaxes(turn, 1, 2).conj()) / 2
    vectors = vectors + vectors @ turn
    gram = np.swapaxes(vectors, 1, 2).conj() @ vectors
    found: Complex[np.ndarray, "b s s"] = vectors @ (3 * np.eye(s) - gram) / 2
    return found


def _paired(
    vectors: Complex[np.ndarray, "b s s"], values: Complex[np.ndarray, "b K s"]
) -> tuple[Complex[np.ndarray, "b s s"], Int[np.ndarray, "b s"]] | None:
    """Return weight vectors of real matrices that are real or in conjugate pairs, and the partner
    of each. None for a weight that is neither clearly real nor clearly not.
    """
    count, s, _ = vectors.shape
    imaginary = values.imag / max(1.0, float(np.abs(values).max(initial=0.0)))
    is_clear = np.abs(imaginary) >= _NONZERO
    first = np.argmax(is_clear, axis=1)
    leading = np.take_along_axis(imaginary, first[:, None], axis=1)[:, 0]
    is_real = ~is_clear.any(axis=1)
    if np.any(np.abs(imaginary).max(axis=1, initial=0.0)[is_real] > _ZERO):
        return None
    sign = np.where(is_real, 0, np.sign(leading)).astype(int)
    order = np.argsort(sign, axis=1, kind="stable")
    vectors = np.take_along_axis(vectors, order[:, None], axis=2)
    values = np.take_along_axis(values, order[:, None], axis=2)
    pairs = (sign > 0).sum(axis=1)
    if np.any(pairs != (sign < 0).sum(axis=1)):
        return None
    partners = np.broadcast_to(np.arange(s), (count, s)).copy()
    found = vectors.copy()
    for q in np.unique(pairs):
        at = np.flatnonzero(pairs == q)
        if q:
            above = _phased(vectors[at][:, :, s - q :])
            found[at, :, s - q :] = above
            found[at, :, :q] = above.conj()
            partners[at, :q] = np.arange(s - q, s)
            partners[at, s - q :] = np.arange(q)
        if s > 2 * q:
            middle = slice(q, s - q)
            found[at, :, middle] = _real_vectors(vectors[at][:, :, middle], values[at][..., middle])
    return found, partners


def _phased(vectors: Complex[np.ndarray, "b s q"]) -> Complex[np.ndarray, "b s q"]:
    """Return the vectors with phases for which the first of the largest entries is positive."""
    sizes = np.abs(vectors)
    first = np.argmax(sizes >= sizes.max(axis=1, keepdims=True) - _LARGEST, axis=1)
    entry = np.take_along_axis(vectors, first[:, None], axis=1)
    found: Complex[np.ndarray, "b s q"] = vectors * (entry.conj() / np.abs(entry))
    np.put_along_axis(found, first[:, None], np.abs(entry), axis=1)
    return found


def _real_vectors(
    vectors: Complex[np.ndarray, "b s z"], values: Complex[np.ndarray, "b K z"]
) -> Float[np.ndarray, "b s z"]:
    """Return real weight vectors with the same span as these, whose weights are real."""
    z, scale = vectors.shape[2], max(1.0, float(np.abs(values).max(initial=0.0)))
    weights = np.random.default_rng(23).standard_normal(values.shape[1])
    combined = np.einsum("k,bkz->bz", weights, values.real) / (scale * np.abs(weights).sum())
    heights = combined + _SHIFT  # the other directions have height 0
    matrix = ((vectors * heights[:, None]) @ np.swapaxes(vectors, 1, 2).conj()).real
    return _phased(np.linalg.eigh(matrix)[1][:, :, -z:].astype(complex)).real


def _written_out(
    found: list[_Diagonalised], n: int
) -> tuple[Int[np.ndarray, "n s"], Complex[np.ndarray, "n s"], None]:
    """Return vectors by their entries, padded with zeros."""
    width = max(part.blocks.shape[1] for part in found)
    places, entries = np.zeros((n, width), dtype=np.intp), np.zeros((n, width), dtype=complex)
    at = 0
    for part in found:
        count, s = part.blocks.shape
        rows = slice(at, at + count * s)
        places[rows, :s] = np.repeat(part.blocks, s, axis=0)
        entries[rows, :s] = _flat(np.swapaxes(part.vectors, 1, 2))
        at += count * s
    return places, entries, None


def _in_a_frame(
    found: list[_Diagonalised], n: int, is_real: bool
) -> tuple[Int[np.ndarray, "n s"], Complex[np.ndarray, "n s"], Inexact[np.ndarray, "n n"]]:
    """Return vectors in the coordinates of a frame. Its columns are the vectors themselves, or in a
    real rep √2 Re u and √2 Im u for each pair.
    """
    frame = np.zeros((n, n), dtype=float if is_real else complex)
    width = 2 if is_real else 1
    places, entries = np.zeros((n, width), dtype=np.intp), np.zeros((n, width), dtype=complex)
    places[:, 0], entries[:, 0] = np.arange(n), 1
    at = 0
    for part in found:
        count, s = part.blocks.shape
        columns = np.arange(at, at + count * s).reshape(count, s)
        vectors = part.vectors
        if is_real:
            partners = part.partners + at
            is_first = partners > columns
            is_second = partners < columns
            scaled = np.where((is_first | is_second)[:, None], np.sqrt(2) * vectors, vectors)
            # u and ū are (x ∓ iy) / √2 for x = √2 Re u and y = ∓√2 Im u: y has the second's place
            vectors = np.where(is_second[:, None], scaled.imag, scaled.real)
            for chosen, unit in ((is_first, -1j), (is_second, 1j)):
                own = columns[chosen]
                x, y = np.minimum(own, partners[chosen]), np.maximum(own, partners[chosen])
                places[own, 0], places[own, 1] = x, y
                entries[own, 0], entries[own, 1] = 1 / np.sqrt(2), unit / np.sqrt(2)
        frame[part.blocks[:, :, None], columns[:, None, :]] = vectors
        at += count * s
    return places, entries, frame
