"""Reps made of another rep by a functor on matrices: ρ(g) ↦ F(ρ(g)), with F(MN) = F(M)F(N).

Here, and in `intertwine.reps.index_symmetry` and `intertwine.reps.young`:

=============================  ===========================================================
`Sym(k, R)`, `Alt(k, R)`       symmetric and alternating powers, in orthonormal bases
`Schur(λ, R)`                  tensors with the symmetry of a Young diagram λ
`Indexed(R, "ij=ji")`          tensors with a symmetry of their indices
`Det(R)`                       g ↦ det ρ(g)
`Conj(R)`                      g ↦ the complex conjugate of ρ(g)
`Sign`                         the determinant of V, over groups where it is ±1
=============================  ===========================================================

Each F satisfies F(Mᵀ) = F(M)ᵀ: the dual of F(ρ) is F(ρ*), and F(ρ) is orthogonal if ρ is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import FrozenInstanceError
from fractions import Fraction
from functools import lru_cache
from math import comb, log10
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Num

from intertwine.arrays import Array, namespace
from intertwine.errors import InvalidRep, TooLarge
from intertwine.groups import Group
from intertwine.operators import CoordinateMatrix, Permutation, dense
from intertwine.reps.parsing import register_function, register_name
from intertwine.reps.powers import (
    alternating_power,
    determinant,
    index_tuples,
    power_derivative,
    power_of_permutation,
    symmetric_power,
)
from intertwine.reps.syntax import (
    MAX_EXPONENT,
    MAX_TOLD,
    Base,
    Dual,
    Element,
    GroupOfParts,
    Rep,
    Scalar,
    ScalarRep,
    Sum,
    Tensor,
    V,
    atoms,
    direct_sum,
    drho_of,
    groups_of,
    is_a,
    rho_of,
    tensor,
)
from intertwine.reps.tensor_subspace import TensorSubspace, flat_index, flat_tuples

if TYPE_CHECKING:
    from typing_extensions import TypeIs

_KEPT = 32
_UNIT = 1e-9
"""A determinant this near to ±1 is rounded to it."""

#: The size as a polynomial in the part's size n: coefficients by degree.
SizePolynomial = tuple[Fraction, ...]


class Functor(Rep):
    """A rep F(ρ) made of a rep ρ, its `part`, of one group.

    Values are frozen, and equal if they are the same functor of equal parts. The images of
    generators are those of the part under F, and need no check: F(ρ) is a rep if ρ is.
    """

    __match_args__: tuple[str, ...] = ("part",)
    """The names of the fields, in the order of the arguments of `rebuilt`."""

    part: Rep
    G: Any = GroupOfParts()

    def __init__(self, part: Rep, **fields: Any) -> None:
        self.__dict__.update(fields, part=part)

    def rebuilt(self, part: Rep) -> Rep:
        """Return the same functor of another part."""
        raise NotImplementedError

    def of_matrix(self, matrix: Num[Array, "n n"]) -> Num[Array, "N N"]:
        """Return F(M), in the array library of M."""
        raise NotImplementedError

    def of_derivative(self, matrix: Num[Array, "n n"]) -> Num[Array, "N N"]:
        """Return dF(M), the derivative of F at 1 in the direction of M."""
        raise NotImplementedError

    def of_permutation(self, move: Permutation) -> Permutation | None:
        """Return F of a signed permutation if that is known to be one too, else None."""
        return None

    @property
    def size_polynomial(self) -> SizePolynomial:
        """The size as a polynomial in the size of the part."""
        raise NotImplementedError

    # -- derived from these

    def _parts(self) -> Sequence[Rep]:
        return (self.part,) if "part" in vars(self) else ()

    @property
    def is_concrete(self) -> bool:
        """Whether the part has its group."""
        return self.part.is_concrete

    def __call__(self, G: Group) -> Rep:
        """Return the same functor of the part over G."""
        return self.rebuilt(self.part(G))

    def rho(self, M: Element) -> Array:
        """F(ρ(g))."""
        return self.of_matrix(dense(rho_of(self.part, M)))

    def drho(self, A: Element) -> Array:
        """dF(dρ(A))."""
        return self.of_derivative(dense(drho_of(self.part, A)))

    def size(self) -> int:
        """Return the size, from that of the part."""
        self._require_group()
        return self.size_over(self.part.size())

    def size_over(self, n: int) -> int:
        """Return the size for a part of size n. Raises `TooLarge` beyond `MAX_TOLD`."""
        total = Fraction(0)
        for coefficient in reversed(self.size_polynomial):
            total = total * n + coefficient
        return _told(int(total))

    @property
    def T(self) -> Rep:
        """F(ρ*)."""
        return self.rebuilt(self.part.T)

    def _fields(self) -> tuple[Any, ...]:
        return tuple(vars(self)[name] for name in type(self).__match_args__)

    def __setattr__(self, name: str, value: Any) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, Functor):
            return NotImplemented if not isinstance(other, Rep) else False
        return self is other or self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash((type(self).__name__, *self._fields()))

    @property
    def _is_over_complex_numbers(self) -> bool:
        inner = (atom.rep if is_a(atom, Dual) else atom for atom in atoms(self.part))
        return any(atom._is_over_complex_numbers for atom in inner)

    @property
    def name(self) -> str:
        """F and its fields other than the part, which identify the functor."""
        others = [str(vars(self)[n]) for n in type(self).__match_args__ if n != "part"]
        return " ".join([type(self).__name__, *others])

    @property
    def _identity(self) -> str | None:
        """F and the part as written: cheaper than the matrices, which may be large."""
        if not is_functor(self):
            return None
        return f"functor 1 {self.name} of {structure(self.part)}"


def is_functor(rep: Rep) -> TypeIs[Functor]:
    """Return whether a rep is a functor of its part: a subclass with another action is not."""
    return isinstance(rep, Functor) and all(
        getattr(type(rep), name) is getattr(Functor, name) for name in ("rho", "drho", "size")
    )


def structure(rep: Rep) -> str:
    """Return the identity of a concrete rep of one group in its written order, as text; the group
    itself plays no part.
    """
    from intertwine.reps.generator_images import atom_digest

    if is_a(rep, Base):
        return "V"
    if is_a(rep, ScalarRep):
        return "1"
    if is_a(rep, Dual):
        return f"dual({structure(rep.rep)})"
    if is_a(rep, Tensor):
        return f"tensor({', '.join(map(structure, rep.factors))})"
    if is_a(rep, Sum):
        return f"sum({', '.join(f'{m} {structure(term)}' for m, term in rep.terms)})"
    return atom_digest(rep)


def checked_part(rep: Any) -> Rep:
    """Return the rep that a functor is applied to. Raises `InvalidRep` for one of several groups,
    and for other values.
    """
    if isinstance(rep, bool | int | np.integer):
        rep = rep * Scalar
    if not isinstance(rep, Rep):
        raise InvalidRep(f"{rep!r} is not a rep; give one, as in Sym(2, V)")
    groups = groups_of(rep)
    if len(groups) > 1:
        product = "*".join(repr(group) for group in groups)
        raise InvalidRep(
            f"{rep} is over several groups, and this is made of a rep of one group: use a rep of "
            f"their product, such as V({product})"
        )
    return rep


def is_scalar(rep: Rep) -> bool:
    """Return whether a rep is a number of scalars, of no group."""
    return next(atoms(rep), None) is None


def checked_degree(k: Any, name: str) -> int:
    """Return a degree from 0 to `MAX_EXPONENT`. Raises `InvalidRep` or `TooLarge`."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 0:
        raise InvalidRep(f"the degree of {name} is an integer from 0 on, not {k!r}: {name}(2, V)")
    if k > MAX_EXPONENT:
        raise TooLarge(f"the degree {k:,} of {name} is too large; at most {MAX_EXPONENT}")
    return int(k)


def _told(size: int) -> int:
    if size > MAX_TOLD:
        raise TooLarge(f"the rep has about 10^{log10(size):.0f} dimensions")
    return size


# -- symmetric and alternating powers


class TensorFunctor(Functor):
    """A functor whose vectors are some of the full tensors ρ ⊗ … ⊗ ρ."""

    @property
    def degree(self) -> int:
        """k, the number of slots of the full tensors."""
        raise NotImplementedError

    def subspace_of(self, n: int) -> TensorSubspace:
        """Return the subspace of the full tensors over slots of size n."""
        raise NotImplementedError

    @property
    def full(self) -> Rep:
        """The full tensors ρ ⊗ … ⊗ ρ."""
        return tensor([self.part] * self.degree)

    @property
    def embed(self) -> CoordinateMatrix:
        """The isometry E from this rep into the full tensors, of shape (nᵏ, N), as an operator.

        E F(ρ(g)) = (ρ(g) ⊗ … ⊗ ρ(g)) E and EᵀE = 1: an entry that occurs m times in the full tensor
        has the weight √m here, as in Mandel's notation (Mandel, 1965). Raises `NotConcrete`, and
        `TooLarge` for more than ten million entries of the full tensors.
        """
        self._require_group()
        return self.subspace_of(self.part.size()).embedding

    @property
    def project(self) -> CoordinateMatrix:
        """Eᵀ, of shape (N, nᵏ): the coordinates of the nearest tensor of this rep."""
        return self.embed.transposed


class Power(TensorFunctor):
    """Symᵏ(ρ) or Λᵏ(ρ): see `SymmetricPower` and `AlternatingPower`."""

    __match_args__ = ("k", "part")
    k: int
    strict: bool
    letter: str

    @property
    def degree(self) -> int:
        """k."""
        return self.k

    def of_derivative(self, matrix: Num[Array, "n n"]) -> Num[Array, "N N"]:
        """Return the derivative, which has entries for pairs of tuples with k − 1 equal indices."""
        return power_derivative(matrix, self.k, strict=self.strict)

    def of_permutation(self, move: Permutation) -> Permutation | None:
        """Return the signed permutation of sorted tuples."""
        return power_of_permutation(move, self.k, strict=self.strict)

    @property
    def indices(self) -> Num[np.ndarray, "N k"]:
        """The sorted index tuples of the basis, in lexicographic order, of shape (N, k)."""
        self._require_group()
        return index_tuples(self.part.size(), self.k, self.strict).tuples.copy()

    def subspace_of(self, n: int) -> TensorSubspace:
        """Return the symmetric or alternating tensors."""
        return _power_subspace(n, self.k, self.strict)

    def __str__(self) -> str:
        return f"{self.letter}({self.k}, {self.part})"


class SymmetricPower(Power):
    """Symᵏ(ρ), the symmetric tensors of k slots; made by `Sym`."""

    strict = False
    letter = "Sym"

    def rebuilt(self, part: Rep) -> Rep:
        """Return Symᵏ of another part."""
        return Sym(self.k, part)

    def of_matrix(self, matrix: Num[Array, "n n"]) -> Num[Array, "N N"]:
        """Symᵏ(M)."""
        return symmetric_power(matrix, self.k)

    def size_over(self, n: int) -> int:
        """C(n + k − 1, k)."""
        return _told(comb(n + self.k - 1, self.k)) if n else 0

    @property
    def size_polynomial(self) -> SizePolynomial:
        """n(n + 1)⋯(n + k − 1) / k!."""
        return product_polynomial([(j, j + 1) for j in range(self.k)])

    def latex_name(self) -> str:
        r"""\operatorname{Sym}^{k} of the part."""
        return rf"\operatorname{{Sym}}^{{{self.k}}}{latex_part(self.part)}"


class AlternatingPower(Power):
    """Λᵏ(ρ), the alternating tensors of k slots; made by `Alt`."""

    strict = True
    letter = "Alt"

    def rebuilt(self, part: Rep) -> Rep:
        """Return Λᵏ of another part."""
        return Alt(self.k, part)

    def of_matrix(self, matrix: Num[Array, "n n"]) -> Num[Array, "N N"]:
        """Λᵏ(M), the minors."""
        return alternating_power(matrix, self.k)

    def size_over(self, n: int) -> int:
        """C(n, k)."""
        return _told(comb(n, self.k))

    @property
    def size_polynomial(self) -> SizePolynomial:
        """n(n − 1)⋯(n − k + 1) / k!."""
        return product_polynomial([(-j, j + 1) for j in range(self.k)])

    def latex_name(self) -> str:
        r"""\Lambda^{k} of the part."""
        return rf"\Lambda^{{{self.k}}}{latex_part(self.part)}"


def Sym(k: int, rep: Any) -> Rep:
    """Return the symmetric power Symᵏ(ρ), of size C(n + k − 1, k).

    The basis is orthonormal in the full tensors, by index tuples i₁ ≤ … ≤ i_k in lexicographic
    order: for a symmetric 3 × 3 matrix, (s₁₁, √2 s₁₂, √2 s₁₃, s₂₂, √2 s₂₃, s₃₃). `embed` and
    `project` map to the full tensors and back. Sym(0, ρ) is the scalar and Sym(1, ρ) is ρ. Raises
    `InvalidRep` for a rep of several groups, and `TooLarge` for k over `MAX_EXPONENT`.
    """
    k, part = checked_degree(k, "Sym"), checked_part(rep)
    if k == 0:
        return tensor(())
    if is_scalar(part):
        size = part.size()
        return direct_sum([(comb(size + k - 1, k) if size else 0, Scalar)])
    found: Rep = part if k == 1 else SymmetricPower(part, k=k)
    return found


def Alt(k: int, rep: Any) -> Rep:
    """Return the alternating power Λᵏ(ρ), of size C(n, k).

    The basis is orthonormal in the full tensors, by index tuples i₁ < … < i_k in lexicographic
    order: for an alternating 3 × 3 matrix, √2 (a₁₂, a₁₃, a₂₃). The matrices are those of the k × k
    minors. Alt(0, ρ) is the scalar and Alt(1, ρ) is ρ. Raises the errors of `Sym`.
    """
    k, part = checked_degree(k, "Alt"), checked_part(rep)
    if k == 0:
        return tensor(())
    if is_scalar(part):
        return direct_sum([(comb(part.size(), k), Scalar)])
    found: Rep = part if k == 1 else AlternatingPower(part, k=k)
    return found


@lru_cache(_KEPT)
def _power_subspace(n: int, k: int, strict: bool) -> TensorSubspace:
    tuples = flat_tuples(n, k)
    order = np.sort(tuples, axis=1)
    table = index_tuples(n, k, strict)
    values = np.ones(len(tuples), dtype=np.int64)
    if strict:
        kept = np.all(order[:, 1:] > order[:, :-1], axis=1)
        tuples, order, values = tuples[kept], order[kept], values[kept]
        for place in range(k):
            values *= (-1) ** (tuples[:, place, None] > tuples[:, place + 1 :]).sum(axis=1)
    return TensorSubspace(
        n, k, table.count, flat_index(tuples, n), table.rank(order), values.astype(float)
    )


# -- reps of size 1, and conjugates


class Determinant(Functor):
    """det ρ; made by `Det`."""

    def rebuilt(self, part: Rep) -> Rep:
        """Return the determinant of another part."""
        return Det(part)

    def of_matrix(self, matrix: Num[Array, "n n"]) -> Num[Array, "1 1"]:
        """Det M."""
        return determinant(matrix)

    def of_derivative(self, matrix: Num[Array, "n n"]) -> Num[Array, "1 1"]:
        """Tr M."""
        return namespace(matrix).trace(matrix).reshape(1, 1)

    def of_permutation(self, move: Permutation) -> Permutation | None:
        """Return the sign of the permutation, times its signs."""
        return _sign_of(move)

    @property
    def size_polynomial(self) -> SizePolynomial:
        """1."""
        return (Fraction(1),)

    def __str__(self) -> str:
        return f"Det({self.part})"

    def latex_name(self) -> str:
        r"""\det of the part."""
        from intertwine.reps.printing import latex

        return rf"\det\left({latex(self.part)}\right)"


class SignRep(Determinant):
    """The determinant of V over a group where it is ±1, exactly; see `Sign`."""

    def rebuilt(self, part: Rep) -> Rep:
        """Return the sign over the group of another base rep. Raises `InvalidRep` if determinants
        differ from ±1.
        """
        if part.is_concrete:
            _require_signs(part.G)
        return SignRep(part)

    def of_matrix(self, matrix: Num[Array, "n n"]) -> Num[Array, "1 1"]:
        """Return the sign of det M."""
        return namespace(matrix).sign(determinant(matrix).real)

    def of_derivative(self, matrix: Num[Array, "n n"]) -> Num[Array, "1 1"]:
        """Return 0."""
        return namespace(matrix).zeros((1, 1), dtype=matrix.real.dtype)

    @property
    def T(self) -> Rep:
        """It is its own dual."""
        return self

    def __str__(self) -> str:
        return "Sign"

    def latex_name(self) -> str:
        """Return sgn."""
        return r"\operatorname{sgn}"


def Det(rep: Any) -> Rep:
    """Return the determinant g ↦ det ρ(g), of size 1. Raises `InvalidRep` for several groups."""
    part = checked_part(rep)
    found: Rep = Scalar if is_scalar(part) else Determinant(part)
    return found


Sign = SignRep(V)
"""The sign det(g) = ±1 of O(n), of a point group or of permutations: a pseudo-scalar. Over a group
with other determinants a call raises `InvalidRep`; `Det(V)` is meant there."""
PseudoScalar = Parity = Sign
"""Other names of `Sign`: it changes under reflections."""
PseudoVector = Sign * V
"""Sign ⊗ V, vectors that reflections turn like axes of rotations: torque, magnetic field."""


def _require_signs(group: Group) -> None:
    """Raise `InvalidRep` unless all determinants of a group's elements are ±1."""
    for generator in group.lie_generators:
        matrix = np.asarray(dense(generator))
        if not abs(np.trace(matrix)) <= _UNIT * max(1.0, float(np.abs(matrix).max(initial=0.0))):
            raise _no_sign(group, f"a Lie generator has trace {np.trace(matrix):.3g}")
    for generator in group.group_generators:
        if isinstance(generator, Permutation):
            continue
        value = np.linalg.det(np.asarray(dense(generator)))
        if not min(abs(value - 1), abs(value + 1)) <= _UNIT:
            raise _no_sign(group, f"a generator has determinant {value:.3g}")


def _no_sign(group: Group, why: str) -> InvalidRep:
    return InvalidRep(
        f"Sign is for groups with determinants ±1, and of {group!r} {why}: use Det(V)"
    )


def _sign_of(move: Permutation) -> Permutation:
    """Return det of a signed permutation."""
    n, seen, sign = len(move.indices), np.zeros(len(move.indices), dtype=bool), 1
    for start in range(n):
        length, place = 0, start
        while not seen[place]:
            seen[place], place, length = True, int(move.indices[place]), length + 1
        if length:
            sign *= (-1) ** (length - 1)
    if move.signs is not None:
        sign *= int(np.prod(move.signs, dtype=np.int64))
    return Permutation(np.zeros(1, dtype=np.int64), np.array([sign]))


class Conjugate(Functor):
    """The complex conjugate of ρ; made by `Conj`."""

    def rebuilt(self, part: Rep) -> Rep:
        """Return the conjugate of another part."""
        return Conj(part)

    def of_matrix(self, matrix: Num[Array, "n n"]) -> Num[Array, "n n"]:
        """Return the conjugate of M."""
        return matrix.conj()

    of_derivative = of_matrix

    def of_permutation(self, move: Permutation) -> Permutation | None:
        """Return the same permutation."""
        return move

    @property
    def size_polynomial(self) -> SizePolynomial:
        """n."""
        return (Fraction(0), Fraction(1))

    def __str__(self) -> str:
        return f"Conj({self.part})"

    def latex_name(self) -> str:
        r"""\overline{…}."""
        from intertwine.reps.printing import latex

        return rf"\overline{{{latex(self.part)}}}"


def Conj(rep: Any) -> Rep:
    """Return the complex conjugate of ρ, of the same size: ρ itself where its matrices are real,
    and its dual where they are unitary. Raises `InvalidRep` for several groups.
    """
    from intertwine.reps.generator_images import act_by_complex_numbers, act_unitarily

    part = checked_part(rep)
    if is_scalar(part) or isinstance(part, SignRep):
        return part
    if is_a(part, Tensor):
        return tensor([Conj(factor) for factor in part.factors])
    if is_a(part, Sum):
        return direct_sum([(m, Conj(term)) for m, term in part.terms])
    if isinstance(part, Conjugate):
        return part.part
    if part.is_concrete and not act_by_complex_numbers([part]):
        return part
    if part.is_concrete and act_unitarily([part]):
        return part.T
    return Conjugate(part)


# -- helpers


def product_polynomial(factors: Sequence[tuple[int, int]]) -> SizePolynomial:
    """Return Π (n + c)/h for pairs (c, h): for a Young diagram's contents and hook lengths the
    size of its Schur functor (Stanley, *Enumerative Combinatorics* 2, 1999, theorem 7.21.2).
    """
    found = [Fraction(1)]
    for content, hook in factors:
        raised = [Fraction(0), *found]
        lowered = [content * c for c in found] + [Fraction(0)]
        found = [(a + b) / hook for a, b in zip(raised, lowered, strict=True)]
    return tuple(found)


def latex_part(part: Rep) -> str:
    """Return the LaTeX of a functor's argument, in parentheses unless it is one symbol."""
    from intertwine.reps.printing import latex

    text = latex(part)
    return text if is_a(part, Base) else rf"\left({text}\right)"


for _name, _build in (("Sym", Sym), ("Alt", Alt), ("Λ", Alt), ("Det", Det), ("Conj", Conj)):
    register_function(_name, _build)
for _name, _rep in (
    ("Sign", Sign), ("Parity", Parity), ("PseudoScalar", PseudoScalar),
    ("PseudoVector", PseudoVector),
):  # fmt: skip
    register_name(_name, _rep)
