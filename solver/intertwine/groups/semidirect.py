"""Semidirect and wreath products of groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Num

from intertwine.errors import InvalidGroup, InvalidRep
from intertwine.groups.catalogue import S
from intertwine.groups.embedding import Embed, checked_group
from intertwine.groups.enumeration import enumerate_elements
from intertwine.groups.generators import refuse_large
from intertwine.groups.group import Group
from intertwine.groups.lie_closure import close, real_rows
from intertwine.operators import (
    DirectSum,
    Permutation,
    as_signed_permutation,
    coordinate_blocks,
    dense,
)

_Matrix = Num[np.ndarray, "_ _"]
_NEAR = 1e-9
"""The largest difference of equal elements, relative to the largest entry."""


class WreathProduct(Group):
    """G ≀ H = Gⁿ ⋊ H, for a group H of permutations of n blocks; an integer n means S(n).

    It acts on n blocks of G.d coordinates: each copy of G transforms one block, and H exchanges
    blocks (the imprimitive action). ``WreathProduct(O(3), 4)`` acts on four particles: it rotates
    each of them separately, and exchanges them. Raises `InvalidGroup` if H does not permute its
    coordinates.
    """

    def __init__(self, group: Group, blocks: Group | int) -> None:
        group = checked_group(group, "WreathProduct")
        top = blocks if isinstance(blocks, Group) else S(blocks)
        permutations = [as_signed_permutation(h) for h in top.group_generators]
        if not top.is_permutation:
            raise InvalidGroup(
                f"{top!r} does not permute its coordinates, and so cannot exchange the blocks of a "
                f"wreath product: give a group such as S(n) or Z(n), or an integer"
            )
        n, d = top.d, group.d
        orbits = coordinate_blocks([p for p in permutations if p is not None], n)
        firsts = sorted(int(orbit[0]) for of_one_size in orbits for orbit in of_one_size)
        count = len(group.lie_generators) + len(group.group_generators)
        refuse_large(len(firsts) * count * (n * d) ** 2, f"the wreath product of {group!r}")
        places = np.arange(n * d).reshape(n, d)
        copies = [Embed(group, n * d, places[i]) for i in firsts]
        super().__init__(
            lie_algebra=[a for own in copies for a in own.lie_generators],
            discrete_generators=[
                *(h for own in copies for h in own.group_generators),
                *(Permutation(places[p.indices].ravel()) for p in permutations if p is not None),
            ],
            d=n * d,
        )
        self.is_exact = group.is_exact
        self.known_precision = group.known_precision


class SemidirectProduct(Group):
    """N ⋊ H, for an action of H on N by conjugation with matrices of N's size.

    `action` has a matrix of N's size for each generator of H: first a(A) for each generator A of
    its Lie algebra, then a(h) for each discrete generator h. They must satisfy a(h) n a(h)⁻¹ ∈ N
    for n ∈ N. A sequence of integers stands for a permutation matrix. The product acts on
    V_N ⊕ V_H: n as n ⊕ 1, and h as a(h) ⊕ h. For example,
    ``SemidirectProduct(Klein(), S(3), [[1, 0, 2, 3], [2, 1, 0, 3]])`` is isomorphic to S(4).

    Raises `InvalidGroup` if the number or the shape of the matrices is wrong, if they do not map
    N to itself (checked for the Lie algebra of N, and for finite N), or if they do not satisfy the
    relations of H, as those of `Rep.from_generators` do: brackets of Lie generators, closed loops
    such as exp(2πA) = 1, and products of discrete generators. For finite N and H, relations up to
    elements of N are enough.
    """

    def __init__(self, normal: Group, acting: Group, action: Sequence[Any]) -> None:
        for each in (normal, acting):
            checked_group(each, "SemidirectProduct")
        matrices = _matrices(action)
        lie_count = len(acting.lie_generators)
        wanted = lie_count + len(acting.group_generators)
        n, d = normal.d, normal.d + acting.d
        if len(matrices) != wanted or any(matrix.shape != (n, n) for matrix in matrices):
            raise InvalidGroup(
                f"the action has a matrix of shape {(n, n)} for each of the {wanted} generators of "
                f"{acting!r}; found the shapes {[matrix.shape for matrix in matrices]}"
            )
        refuse_large((wanted + len(normal.lie_generators) + 1) * d * d, "the semidirect product")
        for matrix in matrices[:lie_count]:
            _require_derivation(normal, matrix)
        for matrix in matrices[lie_count:]:
            _require_automorphism(normal, matrix)
        kept = [np.asarray(dense(h)) for h in acting.lie_generators]
        moved = [np.asarray(dense(h)) for h in acting.group_generators]
        super().__init__(
            lie_algebra=[
                *(_block_sum(np.asarray(dense(a)), np.zeros((acting.d,) * 2))
                  for a in normal.lie_generators),
                *map(_block_sum, matrices[:lie_count], kept),
            ],
            discrete_generators=[
                *(_block_sum(np.asarray(dense(h)), np.eye(acting.d))
                  for h in normal.group_generators),
                *map(_block_sum, matrices[lie_count:], moved),
            ],
            d=d,
            name=f"({normal!r} ⋊ {acting!r})",
        )  # fmt: skip
        self.is_exact = normal.is_exact and acting.is_exact
        self.known_precision = max(normal.known_precision, acting.known_precision)
        _require_relations(self, normal, acting, matrices)


def _matrices(action: Any) -> list[_Matrix]:
    """Return the matrices of an action, where a sequence of integers stands for a permutation.

    Raises `InvalidGroup` for values that are not finite matrices or permutations.
    """
    if not isinstance(action, Sequence | np.ndarray) or isinstance(action, str):
        raise InvalidGroup(f"the action is a list of matrices or permutations, not {action!r}")
    found = []
    for each in action:
        try:
            value = np.asarray(each) if isinstance(each, list | tuple) else each
            if np.ndim(value) == 1 and np.issubdtype(value.dtype, np.integer):
                value = Permutation(value)
            matrix = np.asarray(dense(value))
            finite = bool(np.all(np.isfinite(matrix)))
        except (TypeError, ValueError) as error:
            raise InvalidGroup(
                f"the action has {each!r}, which is neither a matrix nor a permutation: {error}"
            ) from None
        if not finite:
            raise InvalidGroup(f"the action has entries that are not finite: {each!r}")
        found.append(matrix)
    return found


def _block_sum(a: _Matrix, b: _Matrix) -> _Matrix:
    return np.asarray(dense(DirectSum([(1, a), (1, b)])))


def _require_derivation(normal: Group, matrix: _Matrix) -> None:
    algebra = [np.asarray(dense(a)) for a in normal.lie_generators]
    _require_in_span(normal, [matrix @ a - a @ matrix for a in algebra])
    moved = [np.asarray(dense(h)) for h in normal.group_generators]
    # h exp(tA) h⁻¹ exp(−tA) is in N for all t only if hAh⁻¹ − A is in its Lie algebra
    _require_in_span(normal, [h @ matrix @ np.linalg.inv(h) - matrix for h in moved])


def _require_automorphism(normal: Group, matrix: _Matrix) -> None:
    if np.linalg.matrix_rank(matrix) < len(matrix):
        raise InvalidGroup(f"a discrete generator acts by a singular matrix: {matrix!r}")
    inverse = np.linalg.inv(matrix)
    algebra = [np.asarray(dense(a)) for a in normal.lie_generators]
    _require_in_span(normal, [matrix @ a @ inverse for a in algebra])
    known = None if algebra else enumerate_elements(normal)
    if known is None:
        return
    elements = known.elements
    for generator in normal.group_generators:
        image = matrix @ np.asarray(dense(generator)) @ inverse
        distance = np.abs(elements - image).max(axis=(1, 2)).min()
        if distance > _NEAR * max(1.0, np.abs(image).max()):
            raise _not_normal(normal)


def _require_in_span(normal: Group, matrices: Sequence[_Matrix]) -> None:
    """Raise `InvalidGroup` unless the matrices are in N's Lie algebra. An algebra that is too large
    to be closed under brackets is not checked.
    """
    lie, discrete = (
        np.reshape([np.asarray(dense(each)) for each in part], (-1, normal.d, normal.d))
        for part in (normal.lie_generators, normal.group_generators)
    )
    norms = np.linalg.norm(lie, axis=(1, 2), keepdims=True)
    closure = close(lie / np.where(norms > 0, norms, 1), discrete) if len(lie) else None
    if len(lie) and closure is None:
        return
    images = np.reshape(matrices, (-1, normal.d, normal.d))
    basis = np.zeros((1, normal.d, normal.d)) if closure is None else closure.basis
    kind = np.result_type(images, basis)
    rows, span = real_rows(images.astype(kind)), real_rows(basis.astype(kind))
    outside = np.abs(rows - (rows @ span.T) @ span).max(initial=0.0)
    if outside > _NEAR * max(1.0, np.abs(rows).max(initial=0.0)):
        raise _not_normal(normal)


def _not_normal(normal: Group) -> InvalidGroup:
    return InvalidGroup(
        f"a matrix of the action does not map {normal!r} to itself: give matrices a(h) with "
        f"a(h) n a(h)⁻¹ in {normal!r} for each of its elements n"
    )


def _require_relations(
    group: Group, normal: Group, acting: Group, matrices: Sequence[_Matrix]
) -> None:
    """Raise `InvalidGroup` unless the action is a homomorphism.

    For finite groups the relations of H may hold up to elements of N: the product has |N| · |H|
    elements. For others, a(h) itself must satisfy the relations.
    """
    orders = [
        None if each.lie_generators else enumerate_elements(each)
        for each in (normal, acting, group)
    ]
    known = [each.order for each in orders if each is not None]
    if len(known) < 3:
        from intertwine.reps.relations import Relations  # groups are loaded before reps

        lie_count = len(acting.lie_generators)
        try:
            Relations(
                acting, matrices[:lie_count], matrices[lie_count:], normal.d, "the action"
            ).check()
        except InvalidRep as error:
            raise InvalidGroup(str(error)) from None
    elif known[2] != known[0] * known[1]:
        raise InvalidGroup(
            f"the matrices of the action do not satisfy the relations of {acting!r}: the product "
            f"has {known[2]:,} elements instead of {known[0]:,} · {known[1]:,}. Give matrices that "
            f"satisfy them"
        )
