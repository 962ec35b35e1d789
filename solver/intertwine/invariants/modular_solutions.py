"""The number of solutions modulo a prime: a check of ranks without floating point.

Over 𝔽ₚ, equations have at least as many solutions as over ℚ for every prime p, and as many for all
but a few primes. `intertwine.exact` proves bounds for larger problems and more kinds of entries, in
tens of milliseconds; this module checks small problems in a few, at every solve.
"""

from __future__ import annotations

from math import prod

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.groups.generators import Generator
from intertwine.invariants.problem import Problem
from intertwine.operators import dense
from intertwine.reps.functors.functor import is_functor, rational_weights
from intertwine.reps.syntax import Base, Dual, Rep, atoms, is_a

PRIMES = ((4194301, 1530975), (4194277, 1684722))
"""Primes below 2²², each with a square root of −1: sums of 2¹¹ products of residues are exact."""
MAX_SIZE = 128
"""The largest size for which solutions are counted."""
MAX_PRODUCTS = 2**21
"""The largest number of multiplications to build the equations."""

_DENOMINATORS = np.arange(1, 65)
_LARGEST = 2**20
_ROUNDED = 1e-12  # entries this near to a fraction are rounded to it
_MOST_GENERATORS = 2**9
_SPARE_ROWS = 8
_PANEL = 32

_Stack = Float[np.ndarray, "_ _ _"]  # one matrix of residues per generator; slots differ in size
_Prime = tuple[int, int]


def modular_nullity(problem: Problem, prime: _Prime) -> int | None:
    """Count the solutions modulo a prime of `PRIMES`: at least as many as there are invariants.

    Entries are read as fractions of a common denominator up to 64 (Gaussian ones if complex), those
    of a group's own Lie generator up to their scale, and only if the fractions equal the given
    entries up to rounding. None if an entry cannot be read so, or the problem is too large for a
    fast check.
    """
    n, p = problem.size, prime[0]
    if not 0 < n <= MAX_SIZE or not _is_little_work(problem):
        return None
    rng = np.random.default_rng(n)
    # row j is yⱼᵀ Σ cⱼₖCₖ for random yⱼ and cⱼ: they span all rows unless the prime is unlucky
    y = _random(rng, (n + _SPARE_ROWS, n), p)
    rows = np.zeros_like(y)
    if problem.lie_count:
        stacks = _lie(problem, prime)
        if stacks is None:
            return None
        rows += _lie_rows(stacks, problem.sizes, y, _random(rng, (len(y), problem.lie_count), p), p)
    if problem.discrete_count:
        sides = _discrete(problem, prime)
        if sides is None:
            return None
        change = _moved(sides[0], problem.sizes, y, p) - _moved(sides[1], problem.sizes, y, p)
        weights = _random(rng, (problem.discrete_count, len(y), 1), p)
        rows += _reduced(_reduced(change, p) * weights, p).sum(axis=0)
    return n - _rank(_reduced(rows, p), p)


def _is_little_work(problem: Problem) -> bool:
    """Return whether the equations need few products, and sums over generators stay exact."""
    lie = problem.lie_count * sum(size**2 for size in problem.sizes)
    discrete = problem.discrete_count * problem.size * sum(problem.sizes)
    is_few = 0 < problem.lie_count + problem.discrete_count <= _MOST_GENERATORS
    return is_few and (problem.size + _SPARE_ROWS) * (lie + discrete) <= MAX_PRODUCTS


def _lie(problem: Problem, prime: _Prime) -> list[_Stack] | None:
    """Return dρᵢ(Aₖ) modulo p in each slot i, scaled by one number for each k."""
    distinct = dict(zip(problem.atoms, problem.images, strict=True))
    stacks = [_rational(atom, image.lie, lie=True) for atom, image in distinct.items()]
    entries = np.concatenate([stack.reshape(len(stack), -1) for stack in stacks], axis=1)
    residues = _residues(entries, prime)
    if residues is None and all(map(_is_given, distinct)):
        sizes = np.where(entries == 0, np.inf, np.abs(entries))
        smallest = np.take_along_axis(entries, sizes.argmin(axis=1)[:, None], axis=1)
        residues = _residues(entries / np.where(smallest == 0, 1, smallest), prime)
    if residues is None:
        return None
    ends = np.cumsum([stack[0].size for stack in stacks])
    parts = zip(distinct, np.split(residues, ends[:-1], axis=1), stacks, strict=True)
    known = {atom: part.reshape(stack.shape) for atom, part, stack in parts}
    return [known[atom] for atom in problem.atoms]


def _is_given(atom: Rep) -> bool:
    """Return whether an atom's matrices are the group's own. Zeros in other matrices may be
    rounding errors, which after scaling to 1 look like numbers.
    """
    return is_a(atom.rep if is_a(atom, Dual) else atom, Base)


def _discrete(problem: Problem, prime: _Prime) -> tuple[list[_Stack], list[_Stack]] | None:
    """Return matrices Lᵢ and Rᵢ in the slots, for which ρ(hₖ)v = v is (⊗Lᵢ)v = (⊗Rᵢ)v.

    A slot of V* has Rᵢ = hᵀ and Lᵢ = 1, so that nothing is inverted.
    """
    known: dict[object, tuple[_Stack, _Stack]] = {}
    for atom, image in zip(problem.atoms, problem.images, strict=True):
        if atom in known:
            continue
        is_inverted = is_a(atom, Dual) and is_a(atom.rep, Base)
        given = atom.G.group_generators if is_inverted else image.discrete
        stack = _rational(atom, given, lie=False)
        residues = _residues(stack, prime)
        if residues is None:
            return None
        ones = np.broadcast_to(np.eye(stack.shape[1]), stack.shape)
        known[atom] = (ones, residues.swapaxes(1, 2)) if is_inverted else (residues, ones)
    left, right = zip(*(known[atom] for atom in problem.atoms), strict=True)
    return list(left), list(right)


def _is_of_given(rep: Rep) -> bool:
    """Return whether an expression consists of V, V* and functors of them."""
    return all(
        _is_of_given(atom.part) if is_functor(atom) else _is_given(atom) for atom in atoms(rep)
    )


def _rational(
    atom: Rep, generators: tuple[Generator, ...], *, lie: bool
) -> Inexact[np.ndarray, "k d d"]:
    """Return matrices; those of a functor are in a basis without square roots.

    They are rounded to fractions only if the entries of the group's own generators are fractions,
    integers for discrete ones: then they are fractions themselves.
    """
    stack, inner = _stack(generators), atom.rep if is_a(atom, Dual) else atom
    if not is_functor(inner) or not _is_of_given(inner.part):
        return stack
    given = _stack(atom.G.lie_generators if lie else atom.G.group_generators)
    # a discrete one's image is a polynomial: fractions could have large denominators
    if _residues(given, PRIMES[0]) is None or not (lie or np.array_equal(given, np.rint(given))):
        return stack
    weights = rational_weights(atom)
    scaled: Inexact[np.ndarray, "k d d"] = stack * (weights[None, :] / weights[:, None])
    values = np.unique(np.concatenate([scaled.real.ravel(), scaled.imag.ravel()]))
    for denominator in _DENOMINATORS:
        nearest = np.rint(values * denominator) / denominator
        if np.all(np.abs(nearest - values) <= _ROUNDED * np.maximum(1.0, np.abs(values))):
            found: Inexact[np.ndarray, "k d d"] = np.rint(scaled.real * denominator) / denominator
            if np.iscomplexobj(scaled):
                found = found + 1j * (np.rint(scaled.imag * denominator) / denominator)
            return found
    return scaled


def _stack(generators: tuple[Generator, ...]) -> Inexact[np.ndarray, "k d d"]:
    return np.array([np.asarray(dense(generator)) for generator in generators])


def _residues(entries: Inexact[np.ndarray, "*s"], prime: _Prime) -> Float[np.ndarray, "*s"] | None:
    """Return entries modulo p if they are fractions of a small common denominator, else None."""
    p, i = prime
    values = np.unique(np.concatenate([entries.real.ravel(), entries.imag.ravel()]))
    if not np.abs(values).max(initial=0.0) <= _LARGEST:
        return None
    numerators = np.rint(values * _DENOMINATORS[:, None])
    is_read = np.all(numerators / _DENOMINATORS[:, None] == values, axis=1)
    if not is_read.any():
        return None
    denominator = int(_DENOMINATORS[is_read.argmax()])
    found = _reduced(np.rint(entries.real * denominator), p)
    if np.iscomplexobj(entries):
        found = _reduced(found + i * _reduced(np.rint(entries.imag * denominator), p), p)
    return _reduced(found * pow(denominator, -1, p), p)


def _lie_rows(
    stacks: list[_Stack],
    sizes: tuple[int, ...],
    y: Float[np.ndarray, "r n"],
    weights: Float[np.ndarray, "r k"],
    p: int,
) -> Float[np.ndarray, "r n"]:
    """Return yⱼᵀ dρ(Bⱼ) for the combinations Bⱼ of the generators with these weights."""
    rows, known = np.zeros_like(y), dict[int, _Stack]()
    for slot, stack in enumerate(stacks):
        if id(stack) not in known:
            flat = weights @ stack.reshape(len(stack), -1)
            known[id(stack)] = _reduced(flat, p).reshape(len(y), *stack.shape[1:])
        x = y.reshape(len(y), prod(sizes[:slot]), sizes[slot], -1)
        rows += _reduced(np.einsum("rde,rbda->rbea", known[id(stack)], x), p).reshape(y.shape)
    return rows


def _moved(
    stacks: list[_Stack], sizes: tuple[int, ...], y: Float[np.ndarray, "r n"], p: int
) -> Float[np.ndarray, "_ r n"]:
    """Return yⱼᵀ times the product of the slots' matrices for each generator; once if all are 1."""
    x = y[None]
    for slot, stack in enumerate(stacks):
        if not stack.strides[0]:  # ones
            continue
        parts = x.reshape(len(x), len(y) * prod(sizes[:slot]), sizes[slot], -1)
        x = _reduced(np.matmul(stack.swapaxes(1, 2)[:, None], parts), p)
        x = x.reshape(len(stack), *y.shape)
    return x


def _rank(a: Float[np.ndarray, "m n"], p: int) -> int:
    """Return the rank modulo p of a matrix with more rows than columns, which is overwritten.

    Elimination in panels of columns; the columns right of a panel are updated by matrix products.
    """
    found = 0
    for start in range(0, a.shape[1], _PANEL):
        block = a[found:, start:]
        width = min(_PANEL, block.shape[1])
        panel, lower, k = block[:, :width], np.zeros((len(block), width)), 0
        for j in range(width):
            column = _reduced(panel[k:, j], p)
            if not column[0]:
                below = np.flatnonzero(column)
                if not len(below):
                    continue
                for array in (column, block[k:], lower[k:]):
                    array[[0, below[0]]] = array[[below[0], 0]]
            factors = _reduced(column[1:] * pow(int(column[0]), -1, p), p)
            lower[k + 1 :, k] = factors
            # sums of a panel's products stay below 2⁵³: they are reduced lazily
            panel[k + 1 :, j + 1 :] -= factors[:, None] * _reduced(panel[k, j + 1 :], p)
            k += 1
        right = block[:, width:]
        right[:k] = _reduced(_unit_inverse(lower[:k, :k], p) @ right[:k], p)
        right[k:] = _reduced(right[k:] - lower[k:, :k] @ right[:k], p)
        found += k
    return found


def _unit_inverse(strict: Float[np.ndarray, "k k"], p: int) -> Float[np.ndarray, "k k"]:
    """Return (1 + N)⁻¹ = (1 − N)(1 + N²)(1 + N⁴)… for a strictly triangular N."""
    one = np.eye(len(strict))
    found: Float[np.ndarray, "k k"] = one - strict
    power = _reduced(strict @ strict, p)
    while power.any():
        found = _reduced(found @ (one + power), p)
        power = _reduced(power @ power, p)
    return found


def _random(rng: np.random.Generator, shape: tuple[int, ...], p: int) -> Float[np.ndarray, "..."]:
    return np.asarray(rng.integers(-(p // 2), p // 2 + 1, shape), dtype=np.float64)


def _reduced(x: Float[np.ndarray, "*s"], p: int) -> Float[np.ndarray, "*s"]:
    """Reduce integers below 2⁵³ modulo p, to [−p/2, p/2]."""
    rest: Float[np.ndarray, "*s"] = x - np.rint(x * (1 / p)) * p
    return rest
