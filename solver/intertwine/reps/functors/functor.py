"""A rep made of another rep by a functor on matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import FrozenInstanceError
from fractions import Fraction
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float, Num

from intertwine.arrays import Array
from intertwine.errors import InvalidRep
from intertwine.groups import Group
from intertwine.operators import Permutation, dense
from intertwine.reps.syntax import (
    Base,
    Dual,
    Element,
    GroupOfParts,
    Rep,
    Scalar,
    ScalarRep,
    Sum,
    Tensor,
    atoms,
    checked_size,
    drho_of,
    groups_of,
    is_a,
    rho_of,
)
from intertwine.torch_compilation import one_operation

if TYPE_CHECKING:
    from typing_extensions import TypeIs

#: The size as a polynomial in the part's size n: coefficients by degree.
SizePolynomial = tuple[Fraction, ...]


class Functor(Rep):
    """A rep g ↦ F(ρ(g)) made of a rep ρ of one group, its `part`, with F(MN) = F(M)F(N).

    Values are frozen, and equal if they are the same functor of equal parts. The images of
    generators are those of the part under F, and need no check: F(ρ) is a rep if ρ is. That holds
    for this library's classes, which are declared with ``built_in=True``. Others, also subclasses
    of these, are checked, and identified by their images, as any rep of the user's own: their names
    do not say what they compute.
    """

    _is_built_in: ClassVar[bool] = False

    __match_args__: tuple[str, ...] = ("part",)
    """The names of the fields, in the order of the arguments of `rebuilt`."""

    part: Rep
    G: Any = GroupOfParts()

    def __init__(self, part: Rep, **fields: Any) -> None:
        self.__dict__.update(fields, part=part)

    def __init_subclass__(cls, *, built_in: bool = False, **kwargs: Any) -> None:
        """Declare whether the class is one of this library's; subclasses do not inherit this."""
        super().__init_subclass__(**kwargs)
        cls._is_built_in = built_in

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

    def weights_over(self, n: int) -> Float[np.ndarray, " N"]:
        """Return weights w > 0 for a part of size n, by default 1.

        If M is rational, so are w_α⁻¹ F(M)_αβ w_β.
        """
        return np.ones(self.size_over(n))

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

    @one_operation
    def rho(self, M: Element) -> Array:
        """Return F(ρ(g))."""
        return self.of_matrix(dense(rho_of(self.part, M)))

    @one_operation
    def drho(self, A: Element) -> Array:
        """Return dF(dρ(A))."""
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
        return checked_size(int(total))

    @property
    def T(self) -> Rep:
        """F(ρ*); of a functor of the user's own, whose basis may be oblique, the dual of F(ρ)."""
        return self.rebuilt(self.part.T) if is_functor(self) else super().T

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
    """Return whether a rep is one of this library's functors: a subclass elsewhere is not."""
    return isinstance(rep, Functor) and type(rep)._is_built_in


def rational_weights(rep: Rep) -> Float[np.ndarray, " n"]:
    """Return weights w > 0 with which ρ(g) is rational for a rational g: w_α⁻¹ ρ(g)_αβ w_β.

    ρ is made of V by functors, whose matrices have square roots in orthonormal bases.
    """
    if is_a(rep, Dual):
        return 1 / rational_weights(rep.rep)
    if is_a(rep, Tensor):
        product: Float[np.ndarray, " n"] = reduce(np.kron, map(rational_weights, rep.factors))
        return product
    if is_a(rep, Sum):
        parts = [rational_weights(term) for m, term in rep.terms for _ in range(m)]
        return np.concatenate(parts) if parts else np.ones(0)
    if is_functor(rep):
        inner = np.diag(rational_weights(rep.part))
        found: Float[np.ndarray, " n"] = np.diag(rep.of_matrix(inner)) * rep.weights_over(
            len(inner)
        )
        return found
    return np.ones(rep.size())


def structure(rep: Rep) -> str:
    """Return a text that identifies a concrete rep of one group, except for the group.

    Terms and factors are in their written order.
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
    """Return the rep that a functor is applied to.

    Raises `InvalidRep` for a rep of several groups, and for values that are no reps.
    """
    if isinstance(rep, bool | int | np.integer):
        rep = rep * Scalar
    if not isinstance(rep, Rep):
        raise InvalidRep(f"{rep!r} is not a rep; give one, as in Sym(2, V)")
    groups = groups_of(rep)
    if len(groups) > 1:
        product = "*".join(repr(group) for group in groups)
        raise InvalidRep(
            f"{rep} is over several groups, and a functor takes a rep of one group: use a rep of "
            f"their product, such as V({product})"
        )
    return rep


def is_scalar(rep: Rep) -> bool:
    """Return whether a rep is a multiple of `Scalar`, without a group."""
    return next(atoms(rep), None) is None


def latex_part(part: Rep) -> str:
    """Return the LaTeX of a functor's argument, in parentheses unless it is one symbol."""
    from intertwine.reps.printing import latex

    text = latex(part)
    return text if is_a(part, Base) else rf"\left({text}\right)"
