"""Schur functors: tensors with the symmetry of a Young diagram, `Schur([2, 1], V)`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, permutations, product
from math import gcd, lcm, sqrt
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num

from intertwine.arrays import Array
from intertwine.errors import InvalidRep, TooLarge
from intertwine.integers import is_integer
from intertwine.reps.functors.functor import SizePolynomial, checked_part, is_scalar, latex_part
from intertwine.reps.functors.powers import index_tuples
from intertwine.reps.functors.tensor_powers import Alt, Sym, TensorFunctor, product_polynomial
from intertwine.reps.functors.tensor_subspace import TensorSubspace, flat_index, require_tensor_size
from intertwine.reps.parsing import register_function
from intertwine.reps.syntax import MAX_EXPONENT, Rep, Scalar, direct_sum

MAX_BOXES = 7
"""The most boxes of a diagram that is neither a row nor a column."""
_KEPT = 64
_EXACT_BELOW = 2**53  # integers that a float holds

#: The lengths of the rows of a Young diagram, or the entries of a tableau row by row.
_Partition = tuple[int, ...]


class SchurFunctor(TensorFunctor, built_in=True):
    """S_λ(ρ), one of its copies in the full tensors, made by `Schur`."""

    __match_args__ = ("partition", "part")
    partition: _Partition

    @property
    def degree(self) -> int:
        """The number of boxes of the diagram."""
        return sum(self.partition)

    def rebuilt(self, part: Rep) -> Rep:
        """Return the Schur functor of another part."""
        return Schur(self.partition, part)

    def of_matrix(self, matrix: Num[Array, "n n"]) -> Num[Array, "N N"]:
        """Eᵀ(M ⊗ … ⊗ M)E."""
        return self.subspace_of(matrix.shape[0]).image(matrix)

    def of_derivative(self, matrix: Num[Array, "n n"]) -> Num[Array, "N N"]:
        """Eᵀ(M ⊗ 1 ⊗ … + …)E."""
        return self.subspace_of(matrix.shape[0]).derivative(matrix)

    def subspace_of(self, n: int) -> TensorSubspace:
        """Return the image of the Young symmetriser over slots of size n."""
        return _subspace(n, self.partition)

    @property
    def size_polynomial(self) -> SizePolynomial:
        """The product of (n + content)/hook over the boxes."""
        return product_polynomial(_contents_and_hooks(self.partition))

    def __str__(self) -> str:
        return f"Schur({list(self.partition)}, {self.part})"

    def latex_name(self) -> str:
        """S with the partition below."""
        return rf"S_{{[{','.join(map(str, self.partition))}]}}{latex_part(self.part)}"


def Schur(partition: Sequence[int], rep: Any) -> Rep:
    """Return the Schur functor S_λ(ρ) for a partition λ, such as [2, 1], of k.

    It is one of the copies of S_λ(ρ) in the full tensors of k slots, numbered along the rows of the
    diagram: the image of the Young symmetriser that alternates the slots of each column, then
    symmetrises those of each row (Fulton, *Young Tableaux*, 1997, §8). So its tensors are symmetric
    in the slots of a row. The basis is orthonormal, from the images of the semistandard tableaux by
    Gram–Schmidt; it is in the order of the sorted entries of these, then of their rows. [k] gives
    Sym(k, ρ), and [1, …, 1] Alt(k, ρ). Raises `InvalidRep` for other lists than partitions and for
    a rep of several groups, and `TooLarge` for over `MAX_BOXES` boxes.
    """
    part, shape = checked_part(rep), _checked(partition)
    if len(shape) <= 1:
        return Sym(sum(shape), part)
    if shape[0] == 1:
        return Alt(len(shape), part)
    if sum(shape) > MAX_BOXES:
        raise TooLarge(
            f"the diagram {list(shape)} has {sum(shape)} boxes; at most {MAX_BOXES} are allowed"
        )
    found = SchurFunctor(part, partition=shape)
    if is_scalar(part):
        return direct_sum([(found.size_over(part.size()), Scalar)])
    return found


def _checked(partition: Any) -> _Partition:
    is_list = isinstance(partition, list | tuple)
    if not is_list or not all(is_integer(row) and row >= 0 for row in partition):
        raise InvalidRep(f"a partition is a list of integers such as [2, 1], not {partition!r}")
    rows = tuple(int(row) for row in partition if row)
    if list(rows) != sorted(rows, reverse=True):
        raise InvalidRep(f"the rows of a partition do not get longer: {partition!r}")
    if sum(rows) > MAX_EXPONENT:
        raise TooLarge(f"the partition is of {sum(rows):,}; at most {MAX_EXPONENT} is allowed")
    return rows


def _contents_and_hooks(shape: _Partition) -> list[tuple[int, int]]:
    columns = _conjugate(shape)
    return [
        (j - i, shape[i] - j + columns[j] - i - 1)
        for i in range(len(shape))
        for j in range(shape[i])
    ]


def _conjugate(shape: _Partition) -> _Partition:
    return tuple(sum(row > j for row in shape) for j in range(shape[0]))


@lru_cache(_KEPT)
def _subspace(n: int, shape: _Partition) -> TensorSubspace:
    """Return the image of the Young symmetriser.

    Each set of entries has its own vectors. They depend only on how often each entry occurs.
    """
    k = sum(shape)
    require_tensor_size(n, k)
    rows: list[Int[np.ndarray, " m"]] = []
    columns: list[Int[np.ndarray, " m"]] = []
    values: list[Float[np.ndarray, " m"]] = [np.zeros(0)]
    size = 0
    for entries in index_tuples(n, k, False).tuples:
        letters, counts = np.unique(entries, return_counts=True)
        tuples, vectors = _of_content(shape, tuple(counts.tolist()))
        place, column = np.nonzero(vectors)
        rows.append(flat_index(letters[tuples], n)[place])
        columns.append(size + column)
        values.append(vectors[place, column])
        size += vectors.shape[1]
    joined = [np.concatenate(parts) if parts else np.zeros(0, int) for parts in (rows, columns)]
    return TensorSubspace(n, k, size, joined[0], joined[1], np.concatenate(values))


@lru_cache(512)
def _of_content(
    shape: _Partition, counts: tuple[int, ...]
) -> tuple[Int[np.ndarray, "m k"], Float[np.ndarray, "m K"]]:
    """Return the tuples with counts[i] entries i, and orthogonal vectors on them.

    There is one vector for each semistandard tableau of this content.
    """
    tableaux = list(_semistandard(shape, counts))
    symmetriser, signs = _symmetriser(shape)
    if not tableaux:
        k = sum(shape)
        return np.zeros((0, k), dtype=np.int64), np.zeros((0, 0))
    moved = np.stack([np.array(tableau)[symmetriser] for tableau in tableaux])
    tuples, places = np.unique(moved.reshape(-1, sum(shape)), axis=0, return_inverse=True)
    vectors = np.zeros((len(tableaux), len(tuples)), dtype=np.int64)
    owner = np.repeat(np.arange(len(tableaux)), len(signs))
    np.add.at(vectors, (owner, places.ravel()), np.tile(signs, len(tableaux)))
    return tuples, _orthogonalised(vectors).T


def _orthogonalised(vectors: Int[np.ndarray, "K m"]) -> Float[np.ndarray, "K m"]:
    """Return orthogonal vectors with the same spans, by Gram–Schmidt in fractions.

    They have integer entries, or norm 1 if these integers would be too large.
    """
    gram = [[Fraction(int(entry)) for entry in row] for row in vectors @ vectors.T]
    kept: list[list[Fraction]] = []  # each as a combination of the vectors
    images: list[list[Fraction]] = []  # the Gram matrix times each, over its squared norm
    for i in range(len(vectors)):
        combination = [Fraction(int(i == j)) for j in range(len(vectors))]
        for other, image in zip(kept, images, strict=True):
            # earlier ones are orthogonal to each other: the factor is that of vector i itself
            if image[i]:
                combination = [a - image[i] * b for a, b in zip(combination, other, strict=True)]
        image = [_inner(combination, row) for row in gram]
        norm = _inner(combination, image)
        kept.append(combination)
        images.append([entry / norm for entry in image])
    found = []
    for combination in kept:
        scale = lcm(*(a.denominator for a in combination))
        vector = np.array([int(a * scale) for a in combination], dtype=object) @ vectors
        vector = vector // gcd(*map(int, vector))
        squared = int(vector @ vector)
        # integers that a float does not hold have no use: the vector is scaled to norm 1
        is_exact = squared < _EXACT_BELOW
        found.append(vector if is_exact else vector / sqrt(squared))
    return np.array(found).astype(float)


def _inner(combination: Sequence[Fraction], row: Sequence[Fraction]) -> Fraction:
    return sum((a * g for a, g in zip(combination, row, strict=True) if a), Fraction(0))


@lru_cache(_KEPT)
def _symmetriser(shape: _Partition) -> tuple[Int[np.ndarray, "t k"], Int[np.ndarray, " t"]]:
    """Return the terms of the symmetriser: its permutations of slots, and their signs.

    A permutation has, for each slot, the slot that its entry comes from. Columns are alternated
    first, then rows are symmetrised.
    """
    starts = np.cumsum([0, *shape[:-1]])
    rows = [[int(start) + j for j in range(row)] for start, row in zip(starts, shape, strict=True)]
    columns = [[int(starts[i]) + j for i in range(c)] for j, c in enumerate(_conjugate(shape))]
    by_rows = np.array([move for move, _ in _moves(rows, sum(shape))])
    by_columns = list(_moves(columns, sum(shape)))
    moves = np.array([move for move, _ in by_columns])
    signs = np.array([sign for _, sign in by_columns])
    # (row move) ∘ (column move): entry s comes from the column move's source of the row's source
    terms = moves[:, by_rows].reshape(-1, sum(shape))
    return terms, np.repeat(signs, len(by_rows))


def _moves(blocks: Sequence[Sequence[int]], k: int) -> Iterator[tuple[list[int], int]]:
    """Yield the permutations of k slots that keep blocks of them, with their signs."""
    for images in product(*(permutations(block) for block in blocks)):
        move = list(range(k))
        for block, image in zip(blocks, images, strict=True):
            for slot, source in zip(block, image, strict=True):
                move[slot] = source
        inversions = sum(move[a] > move[b] for a, b in combinations(range(k), 2))
        yield move, (-1) ** inversions


def _semistandard(shape: _Partition, counts: tuple[int, ...]) -> Iterator[_Partition]:
    """Yield the semistandard tableaux with counts[i] entries i, row by row, in order."""
    starts = np.cumsum([0, *shape]).tolist()
    boxes = [(i, j) for i, row in enumerate(shape) for j in range(row)]
    entries: list[int] = []
    left = list(counts)

    def fill() -> Iterator[_Partition]:
        if len(entries) == len(boxes):
            yield tuple(entries)
            return
        i, j = boxes[len(entries)]
        least = max(entries[-1] if j else 0, entries[starts[i - 1] + j] + 1 if i else 0)
        for entry in range(least, len(counts)):
            if left[entry]:
                left[entry] -= 1
                entries.append(entry)
                yield from fill()
                entries.pop()
                left[entry] += 1

    yield from fill()


register_function("Schur", Schur)
