"""The root system of a reductive group's Lie algebra, found from its generators.

A random Hermitian element of the complexified algebra is regular: it commutes with a Cartan
subalgebra, whose eigenvalues on the algebra are the roots (Humphreys, *Introduction to Lie Algebras
and Representation Theory*, 1972, §§8-11). This is done in the frame where the algebra is closed
under adjoints. Cartan elements are Hermitian there, and all eigenvalues are real.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import permutations, product
from math import factorial, gcd, prod

import numpy as np
from jaxtyping import Complex, Float, Inexact, Int

from intertwine.errors import MethodNotApplicable, TooLarge
from intertwine.groups.group import Group
from intertwine.groups.lie_closure import close
from intertwine.groups.rounding import require_exact
from intertwine.integers import is_integer
from intertwine.irreps.actions import adjoint
from intertwine.irreps.maximal_torus import (
    ComplexAlgebra,
    UnclearWeights,
    integer_weights,
    joint_eigenvalues,
)
from intertwine.irreps.reductivity import REDUCTIVE, verdict_of
from intertwine.operators import dense

_LARGEST_ALGEBRA = 200
"""The largest dimension of a Lie algebra whose roots are computed, in about a second."""
_LARGEST_CLOSED = 64  # algebras of more generators are tested by random brackets, which is quick
_WORK = 1e10  # the most multiplications for the brackets of fewer generators: a few seconds
_MOST_ORDERS = 5_040
"""The most orders of simple roots that are compared."""
_INTEGER = 1e-6  # the largest distance of a label from an integer
_SAME = 1e-6  # shorter roots of elements of norm 1 are 0, and nearer ones are equal
_KEPT = 64


@dataclass(frozen=True, eq=False)
class RootSystem:
    """The root system of the complexified Lie algebra of a reductive group.

    `type` is a text such as ``A2``, ``A1 × A1`` or ``B2 × U(1)``, with ``U(1)`` for each dimension
    of the centre, compact or not. Weights have `rank` Dynkin
    labels, their values on the simple coroots, and then `charges` values on a basis of the centre.

    Simple roots are in the order of Bourbaki (*Groupes et algèbres de Lie*, 1968, VI, plates I-IX),
    component by component. Where several orders remain, the weights of V decide: its list of
    weights, sorted, is the largest possible. So V of SU(3) is (1, 0), and not (0, 1). `orders` has
    the orders that V does not distinguish, each as a permutation of the labels, the identity first.
    For example, a reflection exchanges the last two labels of SO(8).

    A charge is that of a generator as given: the k-th is the eigenvalue of −i times the part in the
    centre of the k-th generator that has an independent one, scaled so that the charges of V are
    integers without a common divisor. (For a generator with real eigenvalues, such as a dilation,
    it is the eigenvalue itself.)
    """

    group: Group
    type: str
    cartan_matrix: Int[np.ndarray, "r r"]
    """⟨αᵢ, αⱼ^∨⟩: row i has the Dynkin labels of the simple root αᵢ."""
    positive_roots: Int[np.ndarray, "p r"]
    """Dynkin labels, by height: first the simple roots."""
    charges: int
    """The dimension of the centre."""
    weights_of_base: Int[np.ndarray, "d w"]
    """The weights of V, each with its labels and charges."""
    orders: tuple[tuple[int, ...], ...]
    is_compact: bool
    """Whether all elements of the Lie algebra have imaginary eigenvalues."""
    basis: Inexact[np.ndarray, "m d d"] = field(repr=False)
    """A basis over ℝ of the Lie algebra."""
    elements: Complex[np.ndarray, "w m"] = field(repr=False)
    """The simple coroots, then the basis of the centre, in complex coordinates of `basis`."""

    @property
    def rank(self) -> int:
        """The number of simple roots."""
        return len(self.cartan_matrix)

    @property
    def dimension(self) -> int:
        """The dimension of the Lie algebra: roots, Cartan subalgebra and centre."""
        return 2 * len(self.positive_roots) + self.rank + self.charges

    @property
    def simple_roots(self) -> Int[np.ndarray, "r r"]:
        """The Dynkin labels of the simple roots: the rows of the Cartan matrix."""
        return self.cartan_matrix

    @property
    def roots(self) -> Int[np.ndarray, "n r"]:
        """The Dynkin labels of all roots: the positive ones, then their negatives."""
        return np.concatenate([self.positive_roots, -self.positive_roots])

    @cached_property
    def coefficients(self) -> Int[np.ndarray, "p r"]:
        """The positive roots as sums of simple roots."""
        if not self.rank:
            return np.zeros((0, 0), np.int64)
        found = np.linalg.solve(self.cartan_matrix.T.astype(float), self.positive_roots.T)
        return np.rint(found.T).astype(np.int64)

    @cached_property
    def squared_lengths(self) -> Int[np.ndarray, " r"]:
        """(αᵢ, αᵢ)/2 of the simple roots, where a component's shortest roots have 1."""
        a, n = self.cartan_matrix, self.rank
        found = np.zeros(n)
        for component in _components(a):
            found[component[0]] = 1.0
            queue = [component[0]]
            for i in queue:  # grows as it is walked
                for j in range(n):
                    if a[i, j] and not found[j]:
                        found[j] = found[i] * a[j, i] / a[i, j]
                        queue.append(j)
            found[component] /= found[component].min()
        return np.rint(found).astype(np.int64)

    @cached_property
    def heights(self) -> Float[np.ndarray, " r"]:
        """⟨ωᵢ, ρ^∨⟩ of the fundamental weights: simple roots have the height 1."""
        if not self.rank:
            return np.zeros(0)
        found: Float[np.ndarray, " r"] = np.linalg.solve(
            self.cartan_matrix.astype(float), np.ones(self.rank)
        )
        return found

    def dimension_of(self, labels: Sequence[int]) -> int:
        """Return the dimension of the irrep of a highest weight, by Weyl's formula.

        `labels` are its Dynkin labels; charges may follow, and do not matter. Raises
        `MethodNotApplicable` for labels that are not integers from 0 on.
        """
        own = [int(a) for a in labels[: self.rank] if is_integer(a) and a >= 0]
        if len(own) != self.rank:
            raise MethodNotApplicable(
                f"{tuple(labels)} is not a highest weight of {self.type}: give {self.rank} Dynkin "
                f"labels from 0 on"
            )
        lengths = self.squared_lengths.tolist()
        over = under = 1
        for row in self.coefficients.tolist():
            factors = [k * length for k, length in zip(row, lengths, strict=True)]
            over *= sum(k * (a + 1) for k, a in zip(factors, own, strict=True))
            under *= sum(factors)
        return over // under

    def reflected(self, weights: Int[np.ndarray, "k w"], i: int) -> Int[np.ndarray, "k w"]:
        """Return weights reflected by the i-th simple root: w − ⟨w, αᵢ^∨⟩ αᵢ."""
        found = weights.copy()
        found[:, : self.rank] -= weights[:, i : i + 1] * self.cartan_matrix[i]
        return found

    def joint_eigenvalues(self, matrices: Complex[np.ndarray, "w n n"]) -> Int[np.ndarray, "n w"]:
        """Return the weights of a rep from the images of `elements`.

        Raises `UnclearWeights` unless they are clearly integers.
        """
        found = joint_eigenvalues(list(matrices), np.random.default_rng(43))
        if np.abs(found.imag).max(initial=0.0) > _INTEGER:
            raise UnclearWeights
        return _integers(found.real)

    def __repr__(self) -> str:
        return f"<root system {self.type} of {self.group!r}>"


def root_system(group: Group) -> RootSystem:
    """Return the root system of a reductive group with a Lie algebra.

    Raises `MethodNotApplicable` for a finite group, for a group that is not found to be reductive,
    and for a Lie algebra that is not that of an algebraic group, such as a spiral's. Raises
    `TooLarge` for more than 200 dimensions and for brackets that take too long,
    and `RoundedGenerators` for rounded generators.
    """
    found = _root_system(group)
    # an equal group may have another name
    return found if found.group is group else replace(found, group=group)


@lru_cache(_KEPT)
def _root_system(group: Group) -> RootSystem:
    if len(group.lie_generators) > _LARGEST_ALGEBRA:
        raise _too_large(group)
    require_exact(group)
    verdict = verdict_of(group)
    if verdict.kind != REDUCTIVE:
        raise MethodNotApplicable(
            f"weights need a group whose reps are completely reducible, and {group!r} is "
            f"{verdict.kind}: {verdict.reason}. Take a reductive subgroup, such as the rotations "
            f"in SE(n)"
        )
    lie = [np.asarray(dense(a)) for a in group.lie_generators]
    lie = [a / np.abs(a).max() for a in lie if np.any(a)]
    if not lie:
        raise MethodNotApplicable(
            f"{group!r} has no Lie generators, and so no weights: irreps of finite groups have "
            f"characters, see character_table"
        )
    discrete = [np.asarray(dense(h)) for h in group.group_generators]
    try:
        return _Finder(group, lie, discrete).found()
    except (UnclearWeights, np.linalg.LinAlgError) as error:
        raise MethodNotApplicable(
            f"the weights of {group!r} are not clearly integer multiples of a few numbers, as "
            f"those of an algebraic group are: take a closed group, such as a whole torus instead "
            f"of a line in it"
        ) from error


def _too_large(group: Group) -> TooLarge:
    return TooLarge(
        f"the roots of {group!r} are not computed: its Lie algebra has more than "
        f"{_LARGEST_ALGEBRA} dimensions, or its brackets take too long. Take a smaller group of "
        f"the same kind, or the factors of a product"
    )


class _Finder:
    """Finds a root system in a frame where the Lie algebra is closed under adjoints.

    Complex matrices X + iY act as [[X, −Y], [Y, X]], so that elements that are independent over ℝ
    are independent over ℂ.
    """

    def __init__(
        self,
        group: Group,
        lie: Sequence[Inexact[np.ndarray, "d d"]],
        discrete: Sequence[Inexact[np.ndarray, "d d"]],
    ) -> None:
        d, self.is_doubled = group.d, group.is_complex
        own = group
        if self.is_doubled:
            lie, discrete = [_real_form(a) for a in lie], [_real_form(h) for h in discrete]
            own = Group(lie_algebra=lie, discrete_generators=discrete or None, d=2 * d, refine=0)
        verdict = verdict_of(own)
        if verdict.kind != REDUCTIVE:
            raise UnclearWeights
        self.frame = np.eye(own.d) if verdict.frame is None else np.real(verdict.frame)
        self.given = self._straightened(lie)
        self.given = self.given / np.linalg.norm(self.given, axis=(1, 2), keepdims=True)
        work = _WORK if len(lie) <= _LARGEST_CLOSED else np.inf
        closure = close(self.given, self._straightened(discrete), work=work)
        if closure is None or len(closure.basis) > _LARGEST_ALGEBRA:
            raise _too_large(group)
        if closure.leaks:
            raise UnclearWeights
        self.group, self.closed = group, closure.basis
        self.algebra = ComplexAlgebra(self.closed.astype(complex))
        self.algebra.coordinates(adjoint(self.algebra.basis))  # it is closed under adjoints
        off = np.abs(self.closed + adjoint(self.closed)).max()
        self.is_compact = bool(off <= _SAME)
        self.basis = self.frame @ self.closed @ np.linalg.inv(self.frame)
        if self.is_doubled:
            self.basis = self.basis[:, :d, :d] + 1j * self.basis[:, d:, :d]

    def _straightened(
        self, matrices: Sequence[Float[np.ndarray, "e e"]]
    ) -> Float[np.ndarray, "k e e"]:
        stack = np.array(matrices, float).reshape(-1, *self.frame.shape)
        found: Float[np.ndarray, "k e e"] = np.linalg.solve(self.frame, stack) @ self.frame
        return found

    def found(self) -> RootSystem:
        """Return the root system."""
        torus = self._torus()
        values = self.algebra.joint_eigenvalues(self.algebra.adjoint_action(torus)).real
        lengths = np.linalg.norm(values, axis=1)
        roots, scale = values[lengths > _SAME], float(lengths.max(initial=0.0))
        if len(values) - len(roots) != len(torus):
            raise UnclearWeights
        simple = _simple(roots / scale) * scale
        n = len(simple)
        cartan = _integers(2 * simple @ simple.T / (simple**2).sum(axis=1)[:, None].T)
        coroots = 2 * simple / (simple**2).sum(axis=1)[:, None]
        coordinates = self.algebra.coordinates(torus).T
        base = self.algebra.joint_eigenvalues(list(np.tensordot(coordinates, self.basis, 1))).real
        centre, numbers = self._centre(torus, roots, base)
        if n + len(centre) != len(torus):
            raise UnclearWeights
        labels = np.column_stack([_integers(base @ coroots.T), numbers])
        order, rest, name = _ordered(cartan, labels)
        columns = [*order, *range(n, len(torus))]
        elements = np.concatenate([coroots[list(order)], centre])
        all_labels = _integers(roots @ coroots[list(order)].T)
        cartan = cartan[np.ix_(order, order)]
        return RootSystem(
            self.group,
            " × ".join([*name, *["U(1)"] * len(centre)]),
            cartan,
            _positive(all_labels, cartan),
            len(centre),
            labels[:, columns],
            rest,
            self.is_compact,
            self.basis,
            elements @ coordinates,
        )

    def _torus(self) -> Complex[np.ndarray, "r n n"]:
        """Return a Hermitian basis of a Cartan subalgebra, orthonormal for tr XY."""
        generic = self.algebra.generic(self.algebra.basis)
        torus = self.algebra.torus(self.algebra.basis, generic + adjoint(generic))
        parts = np.concatenate([torus + adjoint(torus), 1j * (torus - adjoint(torus))])
        flat = parts.reshape(len(parts), -1)
        rows = np.concatenate([flat.real, flat.imag], axis=1)
        _, values, vectors = np.linalg.svd(rows, full_matrices=False)
        r, half = len(torus), flat.shape[1]
        if not values[r - 1] > _SAME * values[0] or np.any(values[r:] > _SAME * values[0]):
            raise UnclearWeights
        found: Complex[np.ndarray, "r n n"] = vectors[:r, :half] + 1j * vectors[:r, half:]
        return found.reshape(r, *torus.shape[1:])

    def _centre(
        self,
        torus: Complex[np.ndarray, "r e e"],
        roots: Float[np.ndarray, "n r"],
        base: Float[np.ndarray, "d r"],
    ) -> tuple[Float[np.ndarray, "c r"], Int[np.ndarray, "d c"]]:
        """Return the elements of the centre that charges belong to, and the charges of V."""
        flat = torus.reshape(len(torus), -1)
        parts = self.given.reshape(len(self.given), -1) @ flat.conj().T
        if len(roots):
            _, values, vectors = np.linalg.svd(roots, full_matrices=True)
            away = vectors[int((values > _SAME * values[0]).sum()) :]
        else:
            away = np.eye(len(torus))
        wanted, units = len(away), np.zeros((0, len(torus)))
        found, charges = list[Float[np.ndarray, " r"]](), list[Int[np.ndarray, " d"]]()
        for part in parts @ away.T @ away:
            for candidate in (part.imag, part.real):
                left = candidate - (candidate @ units.T) @ units
                size = float(np.linalg.norm(left))
                if len(found) == wanted or size <= _SAME:
                    continue
                units = np.concatenate([units, left[None] / size])
                values = base @ candidate
                rows = integer_weights(values[:, None].astype(complex))
                numbers = np.array([row[0] for row in rows])
                numbers //= gcd(*numbers.tolist())
                largest = int(np.argmax(np.abs(numbers)))
                scale = float(numbers[largest] / values[largest])
                numbers, scale = (numbers, scale) if scale > 0 else (-numbers, -scale)
                found.append(candidate * scale)
                charges.append(numbers)
        if len(found) != wanted:
            raise UnclearWeights
        return (
            np.array(found).reshape(wanted, len(torus)),
            np.array(charges, np.int64).reshape(wanted, len(base)).T,
        )


def _real_form(matrix: Inexact[np.ndarray, "d d"]) -> Float[np.ndarray, "e e"]:
    """Return [[X, −Y], [Y, X]] for X + iY."""
    return np.block([[matrix.real, -matrix.imag], [matrix.imag, matrix.real]])


def _integers(values: Float[np.ndarray, "..."]) -> Int[np.ndarray, "..."]:
    """Return values as integers. Raises `UnclearWeights` unless they are."""
    found = np.rint(values)
    if not np.abs(values - found).max(initial=0.0) <= _INTEGER:
        raise UnclearWeights
    integers: Int[np.ndarray, "..."] = found.astype(np.int64)
    return integers


def _simple(roots: Float[np.ndarray, "n r"]) -> Float[np.ndarray, "s r"]:
    """Return the simple roots for a fixed generic order: positive roots that are not sums of two.

    The longest root has length 1.
    """
    if not len(roots):
        return roots
    levels = roots @ np.random.default_rng(37).standard_normal(roots.shape[1])
    positive = roots[levels > 0][np.argsort(levels[levels > 0])]
    if 2 * len(positive) != len(roots):
        raise UnclearWeights
    simple: list[Float[np.ndarray, " r"]] = []
    for k, root in enumerate(positive):
        differences = root - positive[:k]
        distances = np.abs(differences[:, None] - positive[None, :k]).max(axis=2, initial=0.0)
        if not np.any(distances <= _SAME):
            simple.append(root)
    return np.array(simple)


def _positive(
    roots: Int[np.ndarray, "n r"], cartan: Int[np.ndarray, "r r"]
) -> Int[np.ndarray, "p r"]:
    """Return the positive roots by height; of equal heights, the first simple roots first."""
    if not len(roots):
        return np.zeros((0, len(cartan)), np.int64)
    coefficients = _integers(np.linalg.solve(cartan.T.astype(float), roots.T.astype(float)).T)
    chosen = coefficients.min(axis=1) >= 0
    heights = coefficients[chosen].sum(axis=1)
    order = np.lexsort([*-coefficients[chosen].T[::-1], heights])
    found: Int[np.ndarray, "p r"] = roots[chosen][order]
    return found


def _components(cartan: Int[np.ndarray, "r r"]) -> list[list[int]]:
    """Return the connected components of a Dynkin diagram."""
    left, found = set(range(len(cartan))), []
    while left:
        component = [min(left)]
        for i in component:  # grows as it is walked
            component += [int(j) for j in np.flatnonzero(cartan[i]) if j not in component]
        found.append(sorted(component))
        left -= set(component)
    return found


def _standard(rank: int) -> Iterator[tuple[str, Int[np.ndarray, "r r"]]]:
    """Yield the Cartan matrices of a rank, with simple roots in the order of Bourbaki."""

    def chain(changes: dict[tuple[int, int], int] | None = None) -> Int[np.ndarray, "r r"]:
        found = 2 * np.eye(rank, dtype=np.int64)
        for i in range(rank - 1):
            found[i, i + 1] = found[i + 1, i] = -1
        for place, value in (changes or {}).items():
            found[place] = value
        return found

    yield "A", chain()
    last = rank - 1
    if rank == 2:
        yield "G", chain({(1, 0): -3})
    if rank >= 2:
        yield "B", chain({(last - 1, last): -2})
    if rank >= 3:
        yield "C", chain({(last, last - 1): -2})
    if rank >= 4:
        cut = {(last - 1, last): 0, (last, last - 1): 0}
        yield "D", chain({**cut, (last - 2, last): -1, (last, last - 2): -1})
    if rank == 4:
        yield "F", chain({(1, 2): -2})
    if rank in (6, 7, 8):  # 1-3-4-5-…, and 2-4
        branch = {(0, 1): 0, (1, 0): 0, (1, 2): 0, (2, 1): 0}
        yield "E", chain({**branch, (0, 2): -1, (2, 0): -1, (1, 3): -1, (3, 1): -1})


def _isomorphisms(
    standard: Int[np.ndarray, "r r"], cartan: Int[np.ndarray, "r r"]
) -> list[tuple[int, ...]]:
    """Return all orders of the simple roots in which a Cartan matrix is the standard one."""
    found: list[tuple[int, ...]] = [()]
    for i in range(len(standard)):
        found = [
            (*order, j)
            for order in found
            for j in range(len(cartan))
            if j not in order
            and all(
                cartan[j, k] == standard[i, m] and cartan[k, j] == standard[m, i]
                for m, k in enumerate(order)
            )
        ]
    return found


def _ordered(
    cartan: Int[np.ndarray, "r r"], labels: Int[np.ndarray, "d w"]
) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...], list[str]]:
    """Return the order of the simple roots, the relabellings that V does not distinguish, and the
    type of each component.
    """
    parts: dict[tuple[str, int], list[list[tuple[int, ...]]]] = {}
    for component in _components(cartan):
        own = cartan[np.ix_(component, component)]
        for letter, standard in _standard(len(component)):
            found = _isomorphisms(standard, own)
            if found:
                orders = [tuple(component[k] for k in order) for order in found]
                parts.setdefault((letter, len(component)), []).append(orders)
                break
        else:
            raise UnclearWeights
    kinds = sorted(parts)
    count = prod(factorial(len(parts[kind])) * prod(map(len, parts[kind])) for kind in kinds)
    if count > _MOST_ORDERS:
        raise TooLarge(
            f"the Dynkin diagram has {count:,} symmetries: at most {_MOST_ORDERS:,} orders of "
            f"simple roots are compared. Take the reps of its factors"
        )
    charges = tuple(range(len(cartan), labels.shape[1]))
    best: list[tuple[int, ...]] = []
    largest: list[tuple[int, ...]] = []
    for arranged in product(*(permutations(parts[kind]) for kind in kinds)):
        for chosen in product(*(orders for group in arranged for orders in group)):
            order = tuple(i for part in chosen for i in part)
            rows = sorted(map(tuple, labels[:, [*order, *charges]].tolist()), reverse=True)
            if rows > largest:
                largest, best = rows, [order]
            elif rows == largest:
                best.append(order)
    first = best[0]
    rest = tuple(tuple(first.index(i) for i in order) for order in best)
    names = [f"{letter}{rank}" for letter, rank in kinds for _ in parts[letter, rank]]
    return first, rest, names
