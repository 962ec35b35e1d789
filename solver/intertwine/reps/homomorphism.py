"""Check that a user-defined ρ is a homomorphism, and return the images of the generators.

An error in a user's rho would give a wrong basis with a perfect certificate. So ρ(gh) is compared
with ρ(g)ρ(h) on random elements and on every generator, and dρ with ρ's derivative.

Large matrices are compared on random vectors, which takes n² operations instead of n³ (see
`bound_on_difference`). The result is an upper bound on the largest error. If the bound is not small
enough, the products themselves are computed and compared.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import reduce

import numpy as np
from jaxtyping import Inexact, Int

from intertwine.errors import AmbiguousRank, InvalidRep
from intertwine.groups import Group
from intertwine.groups.generators import Generator
from intertwine.operators import Permutation, as_signed_permutation, dense, exponential
from intertwine.operators.matrix_exponential import estimated_norm, exponential_times
from intertwine.operators.product_comparison import (
    PRODUCTS_UP_TO,
    bound_from_images,
    bound_on_difference,
    has_orthonormal_rows,
    normal_vectors,
)
from intertwine.reps.derivative import derivatives_of_equal_degree
from intertwine.reps.own_matrices import (
    IdentityImage,
    difference_from_one,
    image_of,
    matrix_of,
    refuse_large,
)
from intertwine.reps.syntax import Rep

_HOMOMORPHISM_TOLERANCE = 1e-3
_ROUNDING = 1e-11  # homomorphisms up to this are exact
_COARSE = 1e-9  # … and above this never are, however sensitive rho is
_PERTURBATION = 1e-6
_ALLOWANCE = 1000
_LINEAR = 1e-6
_AGREEMENT = 1e-10  # a larger error shows that frequencies are in other ratios
_PRECISE = 1e-9  # ranks are decided at 1e-7: errors of dρ above this could change them
_DIRECTIONS, _TURNS = 6, (3.4, 10.0)
_SLOW, _STEADY = 0.03, 1e-6  # of directions of norm 1, and relative to that
_CHECKED_SAMPLES = 6
_CHECKED_GENERATORS = 6
_WORD_PAIRS = 8  # words of permutations that are compared, two at a time
_WORD_PAIRS_OF_MATRICES = 3  # the same for words of unitary matrices
_LARGEST_POWER = 500
_LONG = 100.0  # of a dρ(A) with a larger norm, the exponential itself is computed
_UNITARY = 1e-10  # elements that are unitary up to this have long words without large entries
_FACTORS_UP_TO = 60  # in a word of unitary matrices


def checked_images(
    atom: Rep, identity: Callable[[], IdentityImage]
) -> tuple[tuple[Generator, ...], tuple[Generator, ...]]:
    """Return dρ of the Lie generators and ρ of the discrete ones of a user-defined rep.

    `identity` measures ρ(1), or returns an earlier measurement. Raises `InvalidRep` if ρ(gh) and
    ρ(g)ρ(h), or exp dρ(A) and ρ(exp A), differ by more than 1e-3, and `AmbiguousRank` if they
    differ by more than rounding: then ρ has too few digits. Images that are exactly permutations
    are returned as such.
    """
    group, n = atom.G, atom.size()
    refuse_large(atom, n)
    error = identity().error
    if error is None:
        error = difference_from_one(image_of(atom, np.eye(group.d)))
    if not error <= _HOMOMORPHISM_TOLERANCE:
        raise _not_a_representation(atom, "ρ(1) is not the identity")
    discrete = tuple(image_of(atom, h) for h in group.group_generators)
    moves = [as_signed_permutation(h) for h in group.group_generators]
    known = [move for move in moves if move is not None]
    permuted = [image for image in discrete if isinstance(image, Permutation)]
    permutes = not group.lie_generators and len(known) == len(permuted) == len(moves)
    direction = _direction(group)
    rho_of_exp = None if direction is None else matrix_of(atom, "rho", exponential(direction))
    if not (permutes and _are_exact_on_words(atom, known, permuted)) and not (
        n > PRODUCTS_UP_TO and _are_precise_on_words(atom, discrete, rho_of_exp)
    ):
        _check_products(atom, discrete)
    discrete = tuple(_sized(atom, n, image) for image in discrete)
    if direction is None or rho_of_exp is None:
        return (), discrete
    lie, error = _checked_derivatives(atom, rho_of_exp)
    if n <= PRODUCTS_UP_TO or not error <= _PRECISE:
        along = matrix_of(atom, "drho", direction)
        _require_exponential(atom, _error_of_exponential(rho_of_exp, along))
        _check_linear(atom, lie, along)
    if not error <= _PRECISE:
        raise AmbiguousRank(
            f"the rank is ambiguous: exp drho(A) of {atom!r} is rho(exp A) only to {error:.1g}, "
            f"too coarse to decide a rank. If drho computes in float32 or by differences, leave "
            f"it out: it is then computed from rho"
        )
    if n <= PRODUCTS_UP_TO or _turning(group, most_growth=_STEADY) is None:
        _check_long_turns(atom, lie)
    return lie, discrete


def _array(generator: Generator) -> Inexact[np.ndarray, "n n"]:
    return np.asarray(dense(generator))


def _sized(atom: Rep, n: int, image: Generator) -> Generator:
    """Return an image, which must have the rep's size n. Complex entries that are real become real,
    so that equal images give equal keys and bases.
    """
    if image.shape[0] != n:
        raise InvalidRep(f"{atom!r} has size {n}, and matrices of shape {image.shape}")
    if isinstance(image, Permutation) or not np.iscomplexobj(image) or np.any(image.imag):
        return image
    return image.real.copy()


# -- permutations: words, exactly


def _are_exact_on_words(
    atom: Rep, moves: Sequence[Permutation], images: Sequence[Permutation]
) -> bool:
    """Check ρ(w) = w(ρ(h₁), ρ(h₂), …) for random words w in generators that permute coordinates.

    Return whether all ρ(w) are permutations exactly; if not, their digits have to be checked too.

    Both sides are computed by composing indices, so that rho is called once for each word. In
    exactly one word of each pair, the powers of a generator have an odd sum: a wrong sign of one
    generator is always found. A word may be too short to show that some power of hₖ is 1, so orders
    are compared as well.
    """
    orders = [move.order for move in moves]
    if any(order % image.order for order, image in zip(orders, images, strict=True)):
        raise _not_a_representation(
            atom, "ρ(h)ᵏ is not the identity for some generator h with hᵏ = 1"
        )
    are_exact = True
    rng = np.random.default_rng(20210419)
    for _ in range(_WORD_PAIRS if moves else 0):
        odd = rng.integers(0, 2, len(moves))
        for parity in (odd, 1 - odd):
            word = list(_random_word(rng, parity))
            found = image_of(atom, in_word(moves, orders, word))
            expected = in_word(images, orders, word)
            if isinstance(found, Permutation) and _is_same(found, expected):
                continue
            _require_product(atom, found, (expected,))
            are_exact = False
    return are_exact


def _random_word(
    rng: np.random.Generator, parity: Int[np.ndarray, " k"]
) -> Iterator[tuple[int, int]]:
    """Yield (generator, power) of a random word: each generator occurs twice, in random order, with
    powers whose sum has the given parity.
    """
    first = rng.integers(-_LARGEST_POWER, _LARGEST_POWER + 1, len(parity))
    second = rng.integers(-_LARGEST_POWER, _LARGEST_POWER, len(parity))
    second += (first + second + parity) % 2
    for powers in (first, second):
        for k in rng.permutation(len(parity)):
            yield int(k), int(powers[k])


def in_word(
    moves: Sequence[Permutation], orders: Sequence[int], word: Sequence[tuple[int, int]]
) -> Permutation:
    """Return a product of powers of permutations. The order of the k-th divides `orders[k]`."""
    found = Permutation(np.arange(moves[0].shape[0]))
    for k, power in word:
        left = power % orders[k]
        factor = moves[k]
        if 2 * left > orders[k]:
            left, factor = orders[k] - left, factor.inverse
        while left:
            found = _composed(found, factor) if left % 2 else found
            left //= 2
            factor = _composed(factor, factor) if left else factor
    return found


def _composed(left: Permutation, right: Permutation) -> Permutation:
    """Return the product of two permutations: (LRx)ᵢ = sᵢ t_{p(i)} x_{q(p(i))}."""
    indices = right.indices[left.indices]
    if left.signs is None and right.signs is None:
        return Permutation(indices)
    signs = np.ones(len(indices), dtype=np.int8) if left.signs is None else left.signs
    return Permutation(indices, signs if right.signs is None else signs * right.signs[left.indices])


def _is_same(left: Permutation, right: Permutation) -> bool:
    if not np.array_equal(left.indices, right.indices):
        return False
    if left.signs is None or right.signs is None:
        return left.signs is right.signs
    return np.array_equal(left.signs, right.signs)


# -- matrices: words of unitary ones, then products of pairs


def _are_precise_on_words(
    atom: Rep, images: Sequence[Generator], rho_of_exp: Inexact[np.ndarray, "n n"] | None
) -> bool:
    """Return whether ρ(w) = w(ρ(g₁), ρ(g₂), …) up to rounding for random words w.

    The words are in unitary elements: the discrete generators, a random element, and the
    exponential of `_direction`, whose image is `rho_of_exp`. Each element is in each word once or
    twice. In one word of each pair, its powers have an odd sum. So rho is called once for many
    products, and both sides are compared on random vectors. If a word differs by more than
    rounding, the result is False, and the products of pairs decide. They also decide for elements
    that are not unitary: ρ(w) could have large entries, which hide errors.
    """
    group = atom.G
    elements = [*map(_array, group.group_generators), group.sample(seed=20210419)]
    found = [*images, image_of(atom, elements[-1])]
    direction = _direction(group)
    if direction is not None and rho_of_exp is not None:
        elements.append(exponential(direction))
        found.append(rho_of_exp)
    are_unitary = all(has_orthonormal_rows(g, _UNITARY) for g in elements)
    if not are_unitary or 2 * len(elements) > _FACTORS_UP_TO:
        return False
    rng = np.random.default_rng(20210419)
    for _ in range(_WORD_PAIRS_OF_MATRICES):
        odd = rng.integers(0, 2, len(elements))
        for parity in (odd, 1 - odd):
            word = [*rng.permutation(len(elements)), *rng.permutation(np.flatnonzero(parity))]
            image = _array(image_of(atom, reduce(np.matmul, (elements[k] for k in word))))
            factors = [found[k] for k in word]
            if any(image.shape != factor.shape for factor in factors):
                return False
            largest = float(np.abs(image).max(initial=0.0))
            if not bound_on_difference(image, factors) <= _ROUNDING * largest:
                return False
    return True


def _check_products(atom: Rep, images: Sequence[Generator]) -> None:
    """Check ρ(gh) = ρ(g)ρ(h) for random elements and every discrete generator. Errors above 1e-3
    are rejected. With errors above rounding, rho has too few digits: ranks are decided at 1e-7 and
    finer, and images known to 1e-7 (float32) would have no invariants.

    Digits are compared for elements near the generators, whose products lose none.
    """
    group = atom.G
    generators = [_array(h) for h in group.group_generators]
    samples = list(group.samples(_CHECKED_SAMPLES, seed=20210419))
    found = [image_of(atom, g) for g in samples]
    direction = _direction(group)
    near = []
    if direction is not None:
        unit = direction / (np.linalg.norm(direction) or 1.0)
        near = [exponential(t * unit) for t in (0.37, -0.61, 0.83)]
    elements = [*samples, *generators, *near]
    every = [*found, *images, *(image_of(atom, g) for g in near)]
    precise = _Precise(atom)
    for (i, j), (is_compared, is_precise) in _pairs(len(generators), len(near)).items():
        g, h, product = elements[i], elements[j], image_of(atom, elements[i] @ elements[j])
        if is_compared:
            _require_product(atom, product, (every[i], every[j]))
        if is_precise:
            precise.compare(g, h, product, every[i], every[j])
    precise.require()


def _pairs(generators: int, near: int) -> dict[tuple[int, int], tuple[bool, bool]]:
    """Return the pairs of elements whose products are checked, by their numbers: samples are first,
    then generators, then elements near 1. For each pair: whether it is compared up to 1e-3, and
    whether its digits are compared.
    """
    first = _CHECKED_SAMPLES
    few = first + min(generators, _CHECKED_GENERATORS)
    compared = [(i, j) for i in range(few) for j in sorted({(i + 1) % few, i, *range(first, few)})]
    for k, i in enumerate(range(few, first + generators)):
        compared += [(i, k % first), (i, i)]
    close = range(first, first + generators + near)
    counted = [*((i, i) for i in close), *itertools.pairwise(close)]
    found = dict.fromkeys([*compared, *counted], (False, False))
    for pair in compared:
        found[pair] = True, False
    for pair in counted:
        found[pair] = found[pair][0], True
    return found


def _require_product(atom: Rep, product: Generator, factors: Sequence[Generator]) -> None:
    """Raise `InvalidRep` unless a matrix is the product of others, up to 1e-3 of its scale or the
    rounding of the product's terms.
    """
    left = _array(product)
    if any(left.shape != factor.shape for factor in factors):
        raise _not_a_representation(atom, "ρ(gh) differs from ρ(g)ρ(h)")
    bound = bound_on_difference(left, factors)
    scale = max(1.0, float(np.abs(left).max(initial=0.0)) - bound)
    if bound <= _HOMOMORPHISM_TOLERANCE * scale:
        return
    exact = reduce(np.matmul, map(_array, factors))
    scale = max(1.0, float(np.abs(exact).max(initial=0.0)))
    difference = np.abs(left - exact)
    if np.all(difference <= _HOMOMORPHISM_TOLERANCE * scale):
        return
    # terms that cancel, such as those of ρ(g) and ρ(g⁻¹) for a g that grows, leave their rounding
    terms = float(reduce(np.matmul, (np.abs(_array(factor)) for factor in factors)).max())
    if not (np.isfinite(terms) and np.all(difference <= _ROUNDING * terms)):
        raise _not_a_representation(atom, "ρ(gh) differs from ρ(g)ρ(h)")


class _Precise:
    """Find the largest error of ρ(gh) = ρ(g)ρ(h) that rounding does not explain.

    Errors are relative to the product's terms. An error is allowed if perturbing gh by its rounding
    error has as large an effect.
    """

    def __init__(self, atom: Rep) -> None:
        self._atom, self._worst = atom, 0.0
        self._rng = np.random.default_rng(2)

    def compare(
        self,
        g: Inexact[np.ndarray, "d d"],
        h: Inexact[np.ndarray, "d d"],
        product: Generator,
        left: Generator,
        right: Generator,
    ) -> None:
        """Compare ρ(gh) with ρ(g)ρ(h)."""
        if all(isinstance(image, Permutation) for image in (product, left, right)):
            return  # compared exactly already
        whole, a, b = _array(product), _array(left), _array(right)
        largest = float(np.abs(whole).max(initial=0.0))
        if len(whole) > PRODUCTS_UP_TO and bound_on_difference(whole, (a, b)) <= (
            _ROUNDING * max(largest, _mean_of_terms(a, b))
        ):
            return
        magnitude = np.abs(a) @ np.abs(b)
        scale = max(float(magnitude.max(initial=0.0)), largest)
        if not scale:
            return
        defect = float(np.abs(whole - a @ b).max()) / scale
        if defect <= _ROUNDING:
            return
        noise = _PERTURBATION * (np.abs(g) @ np.abs(h)) * self._rng.standard_normal(g.shape)
        with np.errstate(all="ignore"):
            moved = matrix_of(self._atom, "rho", g @ h + noise)
        sensitivity = float(np.abs(moved - whole).max()) / scale / _PERTURBATION
        if not defect <= min(_ALLOWANCE * np.finfo(float).eps * sensitivity, _COARSE):
            self._worst = max(self._worst, defect)

    def require(self) -> None:
        """Raise `AmbiguousRank` if an error was found."""
        if self._worst:
            raise AmbiguousRank(
                f"the rank is ambiguous: rho of {self._atom!r} is a homomorphism only to "
                f"{self._worst:.1g}, too coarse to decide a rank. If it computes in float32, use "
                f"float64"
            )


def _mean_of_terms(a: Inexact[np.ndarray, "n n"], b: Inexact[np.ndarray, "n n"]) -> float:
    """Return the largest mean of a row of |a||b|: a lower bound on the largest entry."""
    sums = np.abs(a) @ np.abs(b).sum(axis=1)
    return float(sums.max(initial=0.0)) / max(1, len(a))


# -- the Lie algebra


def _checked_derivatives(
    atom: Rep, rho_of_exp: Inexact[np.ndarray, "n n"]
) -> tuple[tuple[Generator, ...], float]:
    """Return dρ of the Lie generators, and the error of exp dρ(A) as ρ(exp A) for `_direction`.

    The generators of a large rep without a drho of its own often have frequencies in one ratio,
    which takes few images. That error shows whether they do.
    """
    n, weights = atom.size(), _weights(atom.G)
    generators = [_array(a) for a in atom.G.lie_generators]
    has_own = type(atom).drho is not Rep.drho or "drho" in vars(atom)
    if n > PRODUCTS_UP_TO and len(generators) > 1 and not has_own:
        quick = derivatives_of_equal_degree(atom, generators)
        if quick is not None and all(image.shape == (n, n) for image in quick):
            lie = tuple(_sized(atom, n, image) for image in quick)
            error = _error_of_exponential(rho_of_exp, _combined(lie, weights))
            if error <= _AGREEMENT:
                return lie, error
    lie = tuple(_sized(atom, n, matrix_of(atom, "drho", a)) for a in generators)
    return lie, _error_of_exponential(rho_of_exp, _combined(lie, weights))


def _combined(
    lie: Sequence[Generator], weights: Inexact[np.ndarray, " k"]
) -> Inexact[np.ndarray, "n n"]:
    """Return Σ wₖ dρ(Aₖ)."""
    found: Inexact[np.ndarray, "n n"] = weights[0] * _array(lie[0])
    for weight, image in zip(weights[1:], lie[1:], strict=True):
        found = found + weight * _array(image)
    return found


def _error_of_exponential(
    found: Inexact[np.ndarray, "m m"], along: Inexact[np.ndarray, "n n"]
) -> float:
    """Return the largest error of `found` as exp A, relative to its scale; of large matrices an
    upper bound, if that is small. Infinite for other shapes.
    """
    if found.shape != along.shape:
        return np.inf
    norm = estimated_norm(along) if len(found) > PRODUCTS_UP_TO else np.inf
    if norm < _LONG:
        vectors = normal_vectors(len(found))
        bound = bound_from_images(found @ vectors - exponential_times(along, vectors, norm))
        scale = max(1.0, float(np.abs(found).max(initial=0.0)) - bound)
        if bound <= _PRECISE * scale:
            return bound / scale
    image = exponential(along)
    scale = max(1.0, float(np.abs(image).max(initial=0.0)))
    return float(np.abs(found - image).max(initial=0.0)) / scale


def _require_exponential(atom: Rep, error: float) -> None:
    """Raise `InvalidRep` for a large error of ρ(exp A) = exp dρ(A)."""
    if not error <= _HOMOMORPHISM_TOLERANCE:
        raise _not_a_representation(atom, "ρ(exp A) differs from exp dρ(A)")


def _check_long_turns(atom: Rep, lie: Sequence[Generator]) -> None:
    """Check ρ(exp A) = exp dρ(A) for elements A that turn by more than π: a rho that belongs to a
    covering group, such as a spin by a principal logarithm, passes all checks on shorter ones.
    """
    found = _turning(atom.G, most_growth=1.0)
    if found is None:
        return
    weights, direction = found
    along = _combined(lie, weights)
    for turn in _TURNS:
        image = matrix_of(atom, "rho", exponential(turn * direction))
        _require_exponential(atom, _error_of_exponential(image, turn * along))


def _turning(
    group: Group, most_growth: float
) -> tuple[Inexact[np.ndarray, " k"], Inexact[np.ndarray, "d d"]] | None:
    """Return weights and Σ wₖAₖ with eigenvalues of imaginary part up to 1, and a real part up to
    some growth; None if six random combinations have none.
    """
    algebra = np.array(list(map(_array, group.lie_generators)))
    for seed in range(1, _DIRECTIONS + 1):
        weights = _unit_weights(group, seed)
        direction = np.tensordot(weights, algebra, axes=1)
        values = np.linalg.eigvals(direction)
        fastest = float(np.abs(values.imag).max(initial=0.0))
        if fastest > _SLOW and float(np.abs(values.real).max()) <= most_growth * fastest:
            return weights / fastest, direction / fastest
    return None


def _check_linear(atom: Rep, lie: Sequence[Generator], along: Inexact[np.ndarray, "n n"]) -> None:
    """Check that dρ is linear on a combination of all Lie generators."""
    difference, terms = along, 0.0
    for weight, image in zip(_weights(atom.G), map(_array, lie), strict=True):
        difference = difference - weight * image
        terms += abs(weight) * float(np.abs(image).max(initial=0.0))
    if not np.abs(difference).max(initial=0.0) <= _LINEAR * max(1.0, terms):
        raise _not_a_representation(atom, "dρ is not linear on the Lie algebra")


def _direction(group: Group) -> Inexact[np.ndarray, "d d"] | None:
    """Return a fixed combination of all Lie generators; None without Lie generators.

    It turns by more than π without growing if one is found that does (see `_check_long_turns`);
    else its norm is 1.
    """
    if not group.lie_generators:
        return None
    algebra = np.array([_array(a) for a in group.lie_generators])
    direction: Inexact[np.ndarray, "d d"] = np.tensordot(_weights(group), algebra, axes=1)
    return direction


def _weights(group: Group) -> Inexact[np.ndarray, " k"]:
    """Return the coefficients of `_direction`."""
    turning = _turning(group, most_growth=_STEADY)
    return _unit_weights(group) if turning is None else _TURNS[0] * turning[0]


def _unit_weights(group: Group, seed: int = 1) -> Inexact[np.ndarray, " k"]:
    """Return random coefficients of the Lie generators, for a combination of norm 1."""
    algebra = [_array(a) for a in group.lie_generators]
    largest = np.array([np.abs(a).max() or 1.0 for a in algebra])
    weights = np.random.default_rng(seed).standard_normal(len(algebra)) / largest
    norm = np.linalg.norm(np.tensordot(weights, np.array(algebra), axes=1))
    found: Inexact[np.ndarray, " k"] = weights / (norm or 1.0)
    return found


def _not_a_representation(atom: Rep, reason: str) -> InvalidRep:
    return InvalidRep(f"{atom!r} is not a representation of {atom.G!r}: {reason}")
