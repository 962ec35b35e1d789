"""Reps of finite groups on cosets: the regular rep, permutations of cosets, and induced reps.

G acts on functions f: G → R with f(hg) = R(h)f(g) for h in a subgroup H, by (xf)(g) = f(gx). Such a
function is given by its values at one g of each right coset Hg. For the trivial R these are the
functions on the cosets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from jaxtyping import Inexact, Int

from intertwine.errors import InvalidRep, TooLarge
from intertwine.groups import Group
from intertwine.groups.cayley_ball import CayleyBall, grow_ball
from intertwine.groups.element_tables import MAX_ORDER
from intertwine.groups.enumeration import enumerate_elements
from intertwine.memory import require_memory
from intertwine.operators import Permutation, dense
from intertwine.operators.permutation import exact_permutation
from intertwine.reps.generator_images import Images
from intertwine.reps.generator_rep import GeneratorRep
from intertwine.reps.group_homomorphism import subgroup_of
from intertwine.reps.invariant_subspace import generator_image
from intertwine.reps.own_matrices import MAX_OWN_SIZE
from intertwine.reps.syntax import Rep

_LARGEST_SPACE = 400  # the largest d of a group whose elements are enumerated here


def Regular(G: Group) -> GeneratorRep:
    """Return the regular rep of a finite group: permutations of its elements.

    Each irrep over ℂ occurs in it as often as its dimension. Raises `InvalidRep` for a group that
    is not finite, and `TooLarge` for one of more than 20,000 elements.
    """
    return _on_cosets(_Cosets(G, Group(d=G.d)), "Regular")


def Quotient(G: Group, H: Any, name: str | None = None) -> GeneratorRep:
    """Return the rep of a finite group G by permutations of the cosets of a subgroup H.

    H is a group of matrices of the same size, or a list of words in the generators of G, as for
    `Restrict`. Raises `InvalidRep` if H is not in G or G is not finite, and `TooLarge` for a group
    of more than 20,000 elements.
    """
    return _on_cosets(_Cosets(G, subgroup_of(G, H)), name)


def Induce(R: Rep, G: Group, name: str | None = None) -> GeneratorRep:
    """Return the rep of a finite group G that a rep R of a subgroup H induces.

    Its size is |G|/|H| times that of R. By Frobenius reciprocity, the equivariant maps from a rep W
    of G to it are those from `Restrict(W, H)` to R. H is the group of R, of matrices of G. Raises
    the errors of `Quotient`.
    """
    if not isinstance(R, Rep) or R.G is None:
        raise InvalidRep(f"{R!r} is not a rep of one group: induce a rep over one, as in V(H)")
    cosets = _Cosets(G, R.G)
    size = R.size() * cosets.index
    if size > MAX_OWN_SIZE:
        raise TooLarge(
            f"the induced rep has {size:,} dimensions; at most {MAX_OWN_SIZE:,} are allowed"
        )
    discrete = [
        np.asarray(dense(generator_image(R, k, lie=False))) for k in range(len(cosets.inner))
    ]
    require_memory(16 * (len(G.group_generators) + 2) * size**2, f"the rep that {R!r} induces")
    images = [cosets.induced(k, discrete, R.size()) for k in range(len(G.group_generators))]
    return GeneratorRep(G, Images((), tuple(images)), size, name)


def _on_cosets(cosets: _Cosets, name: str | None) -> GeneratorRep:
    if not cosets.group.group_generators:
        return GeneratorRep(cosets.group, Images((), ()), cosets.index, name)
    images = tuple(
        Permutation(cosets.moved_to(k)) for k in range(len(cosets.group.group_generators))
    )
    return GeneratorRep(cosets.group, Images((), images), cosets.index, name)


@dataclass(frozen=True, eq=False)
class _Elements:
    """All elements of a finite group, as matrices and as words."""

    ball: CayleyBall
    matrices: Inexact[np.ndarray, "n d d"]

    @staticmethod
    def of(group: Group) -> _Elements:
        if group.lie_generators:
            raise InvalidRep(f"{group!r} is not finite: cosets need a finite group")
        if group.d > _LARGEST_SPACE:
            raise TooLarge(
                f"{group!r} acts on {group.d:,} dimensions; at most {_LARGEST_SPACE} are allowed"
            )
        if enumerate_elements(group) is None:
            raise _too_large(group)
        matrices = [np.asarray(dense(h)) for h in group.group_generators]
        if not matrices:
            matrices = [np.eye(group.d)]
        ball = grow_ball(matrices, MAX_ORDER + 1)
        if not ball.is_complete:
            raise _too_large(group)
        require_memory(16 * ball.order * group.d**2, f"the elements of {group!r}")
        letters = [*matrices, *map(np.linalg.inv, matrices)]
        return _Elements(ball, ball.images_of(np.eye(group.d), letters))


def _too_large(group: Group) -> TooLarge:
    return TooLarge(
        f"{group!r} is not found to be a finite group of at most {MAX_ORDER:,} elements. If the "
        f"index is small, give the permutations of the cosets to Rep.from_generators"
    )


class _Cosets:
    """The right cosets Hg of a subgroup of a finite group."""

    def __init__(self, group: Group, subgroup: Group) -> None:
        if not isinstance(group, Group) or not group.is_initialised:
            raise InvalidRep(f"a rep is induced to a group such as S(4), not to {group!r}")
        if subgroup.d != group.d:
            raise InvalidRep(
                f"{subgroup!r} acts on {subgroup.d} dimensions, and {group!r} on {group.d}: a "
                f"subgroup has matrices of the same size"
            )
        self.group, self.inner = group, subgroup.group_generators
        self._all, self._part = _Elements.of(group), _Elements.of(subgroup)
        ball = self._all.ball
        places = [ball.place(element) for element in self._part.matrices]
        if any(place is None for place in places):
            raise InvalidRep(f"{subgroup!r} is not a subgroup of {group!r}")
        start = np.array(places)
        self.labels = np.full(ball.order, -1)
        self.firsts: list[int] = []
        for i in range(ball.order):
            if self.labels[i] < 0:
                # the elements hg for all h in H, along the word for g
                self.labels[reduce(lambda at, k: ball.edges[at, k], ball.word(i), start)] = len(
                    self.firsts
                )
                self.firsts.append(i)

    @property
    def index(self) -> int:
        """The number of cosets."""
        return len(self.firsts)

    def moved_to(self, k: int) -> Int[np.ndarray, " c"]:
        """Return the coset of gx for one g of each coset and x the k-th generator."""
        moved: Int[np.ndarray, " c"] = self.labels[self._all.ball.edges[self.firsts, k]]
        return moved

    def induced(self, k: int, images: Sequence[Inexact[np.ndarray, "m m"]], size: int) -> Any:
        """Return the k-th generator's image: block (c, c') is R(h) for g_c x = h g_{c'}."""
        x = np.asarray(dense(self.group.group_generators[k]))
        letters = [*images, *map(np.linalg.inv, images)] if images else [np.eye(size)] * 2
        dtype = np.result_type(np.float64, *letters)
        found = np.zeros((self.index, size, self.index, size), dtype=dtype)
        every = self._all.matrices
        for c, to in enumerate(self.moved_to(k).tolist()):
            h = every[self.firsts[c]] @ x @ np.linalg.inv(every[self.firsts[to]])
            place = self._part.ball.place(h)
            if place is None:
                raise InvalidRep(
                    f"rounding hides which elements of {self.group!r} are equal: give exact "
                    f"generators"
                )
            word = [letters[letter] for letter in self._part.ball.word(place)]
            found[c, :, to, :] = reduce(np.matmul, word, np.eye(size))
        matrix = found.reshape(self.index * size, self.index * size)
        return exact_permutation(matrix) or matrix
