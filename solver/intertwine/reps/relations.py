"""Check that images of a group's generators satisfy the relations of the generators.

Only the images of the generators are known. So ρ(gh) = ρ(g)ρ(h) cannot be tested on random
elements, as for a user-defined rho. Instead the relations themselves are checked:

* of permutations by a randomised stabilizer chain of the pairs (hₖ, ρ(hₖ)): no element may be
  (1, x) with x ≠ 1 (an error goes unnoticed with a probability of 2⁻⁴⁰);
* of other finite groups by every edge of the Cayley graph, on random vectors;
* of Lie generators by the brackets of the algebra's closure, the adjoint action of discrete
  generators on it, and closed loops, which rule out reps of a covering group only;
* of infinite or very large groups, by the coincidences of short words.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import combinations
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Inexact

from intertwine.errors import InvalidRep
from intertwine.groups import Group
from intertwine.groups.cayley_ball import CayleyBall, grow_ball
from intertwine.groups.element_tables import signed_points
from intertwine.groups.enumeration import enumerate_elements
from intertwine.groups.generators import Generator
from intertwine.groups.stabilizer_chain import (
    KernelFound,
    MatrixImages,
    PermutationImages,
    StabilizerChain,
)
from intertwine.operators import Permutation, as_signed_permutation, dense
from intertwine.reps.lie_images import LieImages, check_loops, exponential_image, extend

_EXACT = 1e-10
"""The largest defect of a relation, relative to its terms."""
_ON_CHAIN = 1e-6  # the same for products of many elements; short relations are checked to `_EXACT`
_ROUNDED = 1e-4  # a smaller defect may be rounding
_MOST_ELEMENTS = 20_000  # of a finite group whose Cayley graph is checked
_SHORT_WORDS = 2_000  # elements of an infinite or larger group
_COSETS = 64  # elements if there are Lie generators too: the most components that are compared
_BALL_WORK = 3e9  # the most operations for the images of words
_BALL_ENTRIES = 2e7  # the most entries of one vector under all words
_LARGEST_SPACE = 400
"""The largest d of matrices whose words are compared."""
_CHAIN_UP_TO = 150  # images of a larger size take too long to multiply
_PAIRS_OF = 12  # the most generators whose products in pairs are compared
_WORDS = 20  # random words whose order is compared
_LONGEST_ORDER = 5_000  # powers of matrices of a larger order are not computed


class Relations:
    """The images of a group's generators, as given, with their relations.

    `what` names the map in errors. `note` says what was not checked, and is empty if all was.
    """

    def __init__(
        self,
        group: Group,
        lie: Sequence[Generator],
        discrete: Sequence[Generator],
        size: int,
        what: str,
    ) -> None:
        self._group, self._what, self._size = group, what, size
        self._lie, self._discrete = tuple(lie), tuple(discrete)
        self.note = ""

    def check(self) -> None:
        """Raise `InvalidRep` with a relation that the images violate, if there is one."""
        if self._discrete:
            self._check_discrete()
        if self._lie:
            closure = self.closure
            if not closure.is_closed:
                self._note("some brackets of Lie generators are not checked")
            check_loops(closure, self._refuse)
            if self._discrete:
                self._check_components(closure)

    def image(self, element: Inexact[np.ndarray, "d d"]) -> Inexact[np.ndarray, "n n"] | None:
        """Return the image of a group element; None if it is not found among the products."""
        if self._chain is not None:
            permutation = as_signed_permutation(element)
            found = None if permutation is None else self._chain.image(permutation)
            return None if found is None else _matrix_from(found)
        closure = self.closure if self._lie else None
        ball = self._ball
        if closure is None:
            place = None if ball is None else ball.place(element)
            return None if ball is None or place is None else self._in_word(ball, place)
        for i in range(1 if ball is None else min(ball.order, _COSETS)):
            coset = np.eye(self._group.d) if ball is None else self._word(ball, i)
            moved = exponential_image(closure, np.linalg.solve(coset.T, element.T).T)
            if moved is not None:
                return moved if ball is None else moved @ self._in_word(ball, i)
        return None

    @property
    def finds_every_element(self) -> bool:
        """Whether `image` is None only for matrices that are not in the group."""
        if self._lie_of_group:
            return False
        if self._chain is not None or not self._group.group_generators:
            return True
        return self._ball is not None and self._ball.is_complete

    @cached_property
    def closure(self) -> LieImages:
        """dρ on the Lie algebra, closed under brackets and discrete generators."""
        found = extend(
            list(map(_array, self._lie_of_group)),
            list(map(_array, self._lie)),
            self._matrices,
            list(map(_array, self._discrete)),
            self._refuse,
        )
        return found

    # -- discrete generators

    def _check_discrete(self) -> None:
        self._check_invertible()
        self._check_orders()
        if self._chain is None:
            ball = self._ball
            if ball is not None:
                self._check_edges(ball)
            if not self._lie and (ball is None or not ball.is_complete):
                self._note("checked on short words only: the group is infinite or large")

    def _check_invertible(self) -> None:
        for k, image in enumerate(self._discrete):
            if isinstance(image, Permutation):
                continue
            values = np.linalg.svd(image, compute_uv=False) if len(image) <= _LARGEST_SPACE else [1]
            if not values[-1] > 1e-12 * values[0]:
                raise InvalidRep(
                    f"{self._what}: the image of h[{k}] is singular; give an invertible one"
                )

    def _check_orders(self) -> None:
        """Check wᵏ = 1 for words w of order k in permutations: of one, of two, and random ones."""
        moves = self._moves
        if moves is None:
            return
        words: list[tuple[int, ...]] = [(k,) for k in range(len(moves))]
        words += combinations(range(min(len(moves), _PAIRS_OF)), 2)
        rng = np.random.default_rng(20210419)
        words += [tuple(rng.integers(len(moves), size=3 + k % 10).tolist()) for k in range(_WORDS)]
        for word in words:
            points = _points_of([moves[k] for k in word])
            order = Permutation(points).order
            if order > _LONGEST_ORDER and not self._permutes:
                continue
            if self._permutes:
                image = Permutation(_points_of([self._discrete[k] for k in word]))
                defect = float(order % image.order != 0)
            else:
                defect = self._defect_of_power([_array(self._discrete[k]) for k in word], order)
            if not defect <= _EXACT:
                name = _product_name(word)
                power = f"({name})" if len(word) > 1 else name
                self._refuse(
                    f"{power}^{order} = 1, but the same product of the images is not 1", defect
                )

    def _defect_of_power(self, factors: Sequence[Inexact[np.ndarray, "n n"]], order: int) -> float:
        """Return by how much (M₁M₂…)ᵏ differs from 1 on a vector, relative to its terms."""
        start = np.random.default_rng(7).standard_normal(self._size)
        vector, largest = start, float(np.abs(start).max())
        stretch = max(1.0, *(float(np.abs(factor).max()) for factor in factors))
        with np.errstate(all="ignore"):
            for _ in range(order):
                for factor in factors:
                    vector = vector @ factor
                largest = max(largest, float(np.abs(vector).max()))
            return float(np.abs(vector - start).max()) / (largest * stretch)

    def _check_edges(self, ball: CayleyBall) -> None:
        """Check that words for one element have one image."""
        letters = self._letters
        start = np.random.default_rng(8).standard_normal((1, self._size))
        with np.errstate(all="ignore"):
            rows = ball.images_of(start, letters)[:, 0]
            sizes = np.abs(rows).max(axis=1)
            peaks = sizes.copy()
            for level in ball.levels:
                peaks[level] = np.maximum(peaks[level], peaks[ball.parents[level]])
            for k, letter in enumerate(letters):
                here = np.flatnonzero(ball.edges[:, k] >= 0)
                there = ball.edges[here, k]
                stretch = max(1.0, float(np.abs(letter).sum(axis=0).max(initial=0.0)))
                errors = np.abs(rows[here] @ letter - rows[there]).max(axis=1, initial=0.0)
                defects = errors / (peaks[here] * stretch + peaks[there])
                worst = int(np.argmax(defects)) if len(defects) else 0
                if len(defects) and not np.all(defects <= _EXACT):
                    worst = int(np.argmax(np.where(np.isnan(defects), np.inf, defects)))
                    first = [*ball.word(int(here[worst])), k]
                    second = ball.word(int(there[worst]))
                    self._refuse(
                        f"{self._word_name(first)} = {self._word_name(second)}, but the same "
                        f"products of the images differ",
                        float(defects[worst]),
                    )

    def _check_components(self, closure: LieImages) -> None:
        """Compare ρ with exp dρ on words in discrete generators that are exponentials."""
        ball = self._ball
        for i in range(1, min(ball.order, _COSETS) if ball is not None else 0):
            assert ball is not None
            other = exponential_image(closure, self._word(ball, i))
            if other is None:
                continue
            image = self._in_word(ball, i)
            scale = max(1.0, float(np.abs(image).max()))
            defect = float(np.abs(image - other).max()) / scale
            if not defect <= _ON_CHAIN:
                name = self._word_name(ball.word(i))
                self._refuse(f"{name} = exp A for an A of the Lie algebra, but ρ differs", defect)

    # -- elements

    @cached_property
    def _chain(self) -> StabilizerChain | None:
        """The stabilizer chain of a group of permutations; None for another or a large group."""
        moves = self._moves
        if moves is None or self._lie_of_group or not moves:
            return None
        rules: Any
        one: Any
        permuted = [image for image in self._discrete if isinstance(image, Permutation)]
        if self._permutes:
            images = list(map(signed_points, permuted))
            one, rules = np.arange(2 * self._size), PermutationImages(self._size)
        elif self._size <= _CHAIN_UP_TO:
            images = list(map(_array, self._discrete))
            largest = max(float(np.abs(image).max(initial=1.0)) for image in images)
            one, rules = np.eye(self._size), MatrixImages(self._size, _ON_CHAIN * largest**2)
        else:
            return None
        try:
            return StabilizerChain.of(moves, images, one, rules)
        except KernelFound:
            self._refuse("a product of generators is 1, but the product of their images is not", 1)

    @cached_property
    def _ball(self) -> CayleyBall | None:
        """Short words in the discrete generators; all elements of a finite group that is not too
        large.
        """
        if not self._discrete or self._group.d > _LARGEST_SPACE:
            return None
        if self._moves is not None and self._permutes and not self._lie_of_group:
            return None  # the group is too large for a chain, and so for a ball
        each = 2 * len(self._discrete) * (self._size**2 + self._group.d**2)
        most = min(_MOST_ELEMENTS, _BALL_WORK / each, _BALL_ENTRIES / max(1, self._size))
        if self._lie_of_group:
            most = min(most, _COSETS)
        elif most > _SHORT_WORDS and enumerate_elements(self._group) is None:
            most = _SHORT_WORDS  # not all elements anyway
        return grow_ball(self._matrices, max(2, int(most)))

    def _word(self, ball: CayleyBall, i: int) -> Inexact[np.ndarray, "d d"]:
        letters = [*self._matrices, *map(np.linalg.inv, self._matrices)]
        return _multiplied(ball.word(i), letters, self._group.d)

    def _in_word(self, ball: CayleyBall, i: int) -> Inexact[np.ndarray, "n n"]:
        return _multiplied(ball.word(i), self._letters, self._size)

    @cached_property
    def _letters(self) -> list[Inexact[np.ndarray, "n n"]]:
        """The images of the generators and of their inverses."""
        inverses = (
            image.inverse if isinstance(image, Permutation) else np.linalg.inv(image)
            for image in self._discrete
        )
        return list(map(_array, (*self._discrete, *inverses)))

    @cached_property
    def _matrices(self) -> list[Inexact[np.ndarray, "d d"]]:
        return list(map(_array, self._group.group_generators))

    @property
    def _lie_of_group(self) -> tuple[Generator, ...]:
        return self._group.lie_generators

    @cached_property
    def _moves(self) -> list[Permutation] | None:
        """The generators as permutations; None if one is not a permutation."""
        found = [as_signed_permutation(h) for h in self._group.group_generators]
        moves = [move for move in found if move is not None]
        return moves if len(moves) == len(found) else None

    @property
    def _permutes(self) -> bool:
        return all(isinstance(image, Permutation) for image in self._discrete)

    # -- messages

    def _word_name(self, letters: Sequence[int]) -> str:
        count = len(self._discrete)
        names = [f"h[{k}]" if k < count else f"h[{k - count}]⁻¹" for k in letters]
        if len(names) > 12:
            names = [*names[:6], "…", *names[-5:]]
        return " ".join(names) or "1"

    def _note(self, text: str) -> None:
        self.note = f"{self.note}; {text}" if self.note else text

    def _refuse(self, relation: str, defect: float) -> NoReturn:
        is_rounded = _EXACT < defect < _ROUNDED
        hint = ". If the images were rounded, give more digits" if is_rounded else ""
        raise InvalidRep(
            f"{self._what} is not a representation of {self._group!r}: {relation} (relative "
            f"difference {defect:.1g}). Here h[k] is the k-th discrete generator, and A[k] the "
            f"k-th Lie generator{hint}"
        )


def _array(generator: Generator) -> Inexact[np.ndarray, "_ _"]:
    matrix = np.asarray(dense(generator))
    return matrix.astype(np.result_type(matrix, np.float64), copy=False)


def _points_of(factors: Sequence[Any]) -> Any:
    """Return a product of signed permutations as a permutation of points."""
    found = signed_points(factors[0])
    for factor in factors[1:]:
        found = signed_points(factor)[found]
    return found


def _product_name(word: Sequence[int]) -> str:
    return " ".join(f"h[{k}]" for k in word)


def _matrix_from(image: Any) -> Inexact[np.ndarray, "n n"]:
    """Return an image of a chain as a matrix."""
    if image.ndim == 2:
        return np.asarray(image)
    n = len(image) // 2
    found = np.zeros((n, n))
    found[np.arange(n), image[:n] % n] = np.where(image[:n] < n, 1.0, -1.0)
    return found


def _multiplied(
    word: Sequence[int], letters: Sequence[Inexact[np.ndarray, "_ _"]], size: int
) -> Inexact[np.ndarray, "_ _"]:
    """Return a product of letters. A letter that occurs k times in a row is raised to a power."""
    found: Inexact[np.ndarray, "_ _"] = np.eye(size)
    start = 0
    while start < len(word):
        stop = start
        while stop < len(word) and word[stop] == word[start]:
            stop += 1
        found = found @ np.linalg.matrix_power(letters[word[start]], stop - start)
        start = stop
    return found
