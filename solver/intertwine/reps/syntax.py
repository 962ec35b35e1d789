"""The algebra of representations: frozen values, built by + * ** .T >> << and calls.

========================  ==========================================================
`Base`                    V, the space on which the group's matrices act
`ScalarRep`               V⁰, the trivial rep of dimension 1
`Dual`                    ρ* of an atom, g ↦ ρ(g)⁻ᵀ
`Tensor`                  ρ₁ ⊗ ρ₂ ⊗ …, flattened row-major
`Sum`                     m₁ρ₁ ⊕ m₂ρ₂ ⊕ …
a subclass of `Rep`       a user-defined rep
========================  ==========================================================

A subclass of one of the algebra's classes that overrides `rho`, `drho` or `size` is a user-defined
rep too. `is_a` tells the two apart, ``isinstance`` does not.

Constructors normalise: nested sums and products are flattened, adjacent equal terms are merged,
V⁰ leaves products, and (kρ)⊗σ is k(ρ⊗σ), which is the same matrix. Equality is of that form.
Values hold no arrays, and compare, hash and sort by content alone.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import FrozenInstanceError
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from jaxtyping import Num

from intertwine.arrays import Array, is_torch, namespace
from intertwine.errors import InvalidGroup, InvalidRep, NotConcrete, TooLarge
from intertwine.groups import Group
from intertwine.integers import is_integer
from intertwine.operators import DirectSum, Kronecker, KroneckerSum, LinearOperator, dense
from intertwine.torch_compilation import OfTorchCompile, one_operation

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from intertwine.bases import Basis, Projector
    from intertwine.reps.generator_rep import GeneratorRep

MAX_EXPONENT = 256
"""The largest power of a rep."""
MAX_FACTORS = 1024
"""The most factors of a tensor product."""
MAX_TERMS = 10_000
"""The most terms of a sum, each with its multiplicity."""

MAX_MULTIPLICITY = 10**12
"""The most copies of one term: nested multiplicities would otherwise grow without bound."""

MAX_TOLD = 10**100
"""The largest size that is returned as a number."""

#: What to do instead of giving a rep another group.
_REBOUND = "write it without its group; in Python, Restrict(rep, H) takes it to a subgroup H"

#: A group element: a matrix, an operator, or, for reps of several groups, a dict of them.
Element = Num[Any, "d d"] | LinearOperator | Mapping[Group, Any]


class Derived:
    """A property of a rep that a subclass may set as a plain attribute, on the class or on `self`,
    as reps written for EMLP do.
    """

    def __init__(self, meaning: str, derive: Callable[[Rep], bool]) -> None:
        self.__doc__, self._derive = f"{meaning[0].upper()}{meaning[1:]}.", derive

    def __get__(self, rep: Any, owner: type | None = None) -> Any:
        return self if rep is None else self._derive(rep)


def _concrete(rep: Rep) -> bool:
    return rep.is_concrete


def _permutes(rep: Rep) -> bool:
    """Return whether groups act by permutations, without signs. Raises `NotConcrete`."""
    from intertwine.reps.generator_images import permutes

    rep._require_group()
    return all(map(permutes, dict.fromkeys(atoms(rep))))


class Rep(OfTorchCompile):
    """A finite-dimensional representation ρ of a group G.

    A rep of your own is a subclass with at least ``rho``, which gets a dense array of shape
    (d, d) and returns one of shape (n, n), with ρ(gh) = ρ(g)ρ(h) and ρ(1) = 1. Set attributes as
    you like; `G` is the group (None until the rep is called with one). Reps are
    equal if their classes and attributes are. Unless they are given, `size` and `drho` are derived
    from `rho`. The dual is g ↦ ρ(g)⁻ᵀ.
    """

    G: Any = None
    """The group; None for a rep of several groups or of no group."""

    _takes_one_shape = True

    @staticmethod
    def from_generators(
        G: Group, images: Any = (), lie: Any = (), name: str | None = None
    ) -> GeneratorRep:
        """Return the rep ρ of G with ρ(hₖ) = images[k] and dρ(Aₖ) = lie[k] for its generators.

        `images` has one square matrix for each discrete generator of G: an array, a SciPy sparse
        matrix, a `Permutation`, or a permutation p as a list of integers, (ρ(h)v)ᵢ = v_{p(i)}.
        `lie` has one matrix for each Lie generator; a connected group needs no `images`.

        >>> P = Rep.from_generators(S(3), S(3).group_generators, name="P")
        >>> P == Rep.from_generators(S(3), S(3).group_generators)
        True

        The images must satisfy the relations of the generators: those of a finite or permutation
        group are checked completely, and so are the brackets of the Lie algebra. For other infinite
        groups, short words are compared; `repr` says so. Raises `InvalidRep` with the relation that
        fails, also for wrong numbers, sizes or singular images, and for a dρ that only a covering
        group has, such as spin 1/2 over SO(3).
        """
        from intertwine.reps.generator_rep import rep_from_generators

        return rep_from_generators(G, images, lie, name)

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Restore the hash that Python (or a dataclass) drops from a class with an __eq__."""
        if cls.__hash__ is None:
            cls.__hash__ = Rep.__hash__
        return super().__new__(cls)

    # -- the action

    def rho(self, M: Element) -> Array | LinearOperator:
        """ρ(g), of shape (n, n), for a group element of shape (d, d); an array or an operator."""
        raise NotImplementedError(f"{type(self).__name__} defines no rho")

    def drho(self, A: Element) -> Array | LinearOperator:
        """dρ(A) = d/dt ρ(exp tA) at t = 0, of shape (n, n), for A in the Lie algebra."""
        from intertwine.reps.derivative import differentiate

        return differentiate(self, A)

    def size(self) -> int:
        """Return the dimension of ρ. Raises `NotConcrete` for a rep without its group."""
        from intertwine.reps.generator_images import size_of_image

        self._require_group()
        return size_of_image(self)

    @property
    def T(self) -> Rep:
        """The dual ρ*, g ↦ ρ(g)⁻ᵀ; the rep itself where every ρ(g) is real and orthogonal."""
        from intertwine.reps.generator_images import acts_orthogonally

        return self if acts_orthogonally(self) else Dual(self)

    def __call__(self, G: Group) -> Rep:
        """Return the rep over the group G, with parts that have no group bound to it."""
        return _over(self, G)

    @property
    def is_concrete(self) -> bool:
        """Whether every part has its group."""
        return self.G is not None

    concrete = Derived("whether every part has its group; EMLP's name of `is_concrete`", _concrete)
    is_permutation = Derived("whether the groups only permute the coordinates", _permutes)

    @one_operation
    def rho_dense(self, M: Element) -> Num[Any, "n n"]:
        """ρ(g) as a matrix, in the array library of g; works under `vmap` of JAX and PyTorch."""
        return _as_tensor(dense(rho_of(self, M)), M)

    @one_operation
    def drho_dense(self, A: Element) -> Num[Any, "n n"]:
        """dρ(A) as a matrix, in the array library of A."""
        return _as_tensor(dense(drho_of(self, A)), A)

    def _require_group(self) -> None:
        if not self.is_concrete:
            raise NotConcrete(
                f"{self} has no group yet: call it with one, as in rep(SO(3)), or write V(SO(3))"
            )

    # -- invariants

    def equivariant_basis(self, **options: Any) -> Basis:
        """Return the certified basis Q of shape (n, r) of all v with ρ(g)v = v, where QᴴQ = 1.

        Options are those of `intertwine.invariants.solver`: `method`, `backend`, `device`,
        `progress`, `store`, `tolerance`, and `constraints`: matrices C with Cv = 0.
        """
        from intertwine.invariants import solve

        return solve(self, **options)

    def equivariant_projector(self, **options: Any) -> Projector:
        """Return the orthogonal projector P = QQᴴ on the invariants, of shape (n, n)."""
        return self.equivariant_basis(**options).projector

    def constraint_matrix(self) -> LinearOperator:
        """Return the operator C whose kernel are the invariants: ρ(h) − 1 of each discrete
        generator above dρ(A) of each Lie generator, group by group. Raises `NotConcrete`.
        """
        from intertwine.reps.constraint_matrix import constraint_matrix_of

        return constraint_matrix_of(self)

    symmetric_basis = equivariant_basis  # EMLP's earlier names
    symmetric_projector = equivariant_projector

    # -- the algebra

    def __add__(self, other: Any) -> Rep:
        return direct_sum([(1, self), (1, _as_rep(other))])

    def __radd__(self, other: Any) -> Rep:
        return direct_sum([(1, _as_rep(other)), (1, self)])

    def __mul__(self, other: Any) -> Rep:
        if isinstance(other, Rep):
            return tensor([self, other])
        return direct_sum([(_count(other), self)])

    def __rmul__(self, other: Any) -> Rep:
        return direct_sum([(_count(other), self)])

    def __pow__(self, exponent: Any) -> Rep:
        if _count(exponent) > MAX_EXPONENT:
            raise TooLarge(f"the power {exponent:,} is too large; at most {MAX_EXPONENT}")
        return tensor([self] * int(exponent))

    def __rshift__(self, other: Any) -> Rep:
        """Linear maps from self to other: other ⊗ self*, flattened from (dim other, dim self)."""
        return tensor([_as_rep(other), self.T])

    def __rrshift__(self, other: Any) -> Rep:
        return _as_rep(other) >> self

    def __lshift__(self, other: Any) -> Rep:
        """Linear maps from other to self."""
        return _as_rep(other) >> self

    def __rlshift__(self, other: Any) -> Rep:
        return self >> _as_rep(other)

    # -- identity and printing

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rep):
            return NotImplemented
        if self is other:
            return True
        return type(self) is type(other) and frozen(vars(self)) == frozen(vars(other))

    def __hash__(self) -> int:
        return hash((type(self).__module__, type(self).__qualname__))

    def __str__(self) -> str:
        return type(self).__name__

    @property
    def _identity(self) -> str | None:
        """A name that identifies the rep over its group; None if its matrices identify it."""
        return None

    def _given_images(self) -> Any:
        """Return the checked `Images` of the generators if these define the rep, else None."""
        return None

    @property
    def _is_over_complex_numbers(self) -> bool:
        """Whether its vectors are complex even where its matrices are real."""
        return False

    def latex_name(self) -> str:
        """Return the name of a user-defined rep in LaTeX."""
        return rf"\mathrm{{{self}}}"

    def __repr__(self) -> str:
        from intertwine.reps import printing

        return printing.with_group(self)

    def _repr_latex_(self) -> str:
        from intertwine.reps import printing

        return f"${printing.latex(self)}$"


class GroupOfParts:
    """The one group of a rep's parts, or None. A `G` set on the rep itself takes precedence."""

    def __get__(self, rep: Any, owner: type | None = None) -> Any:
        if rep is None:
            return self
        parts = rep._parts()
        return parts[0].G if len(parts) == 1 else _common_group(parts)


class _Node(Rep):
    """Base class of the algebra's values: frozen fields, equality by fields, and printing (see
    `intertwine.reps.printing`).

    Subclasses that override the action use what `Rep` derives from it: each method here checks
    `is_own` first.
    """

    __match_args__: tuple[str, ...] = ()
    """The names of the fields."""

    def __setattr__(self, name: str, value: Any) -> None:
        if type(self) in _ALGEBRA:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        if type(self) in _ALGEBRA:
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        object.__delattr__(self, name)

    def __eq__(self, other: object) -> bool:
        kind = type(self)
        if kind not in _ALGEBRA or type(other) not in _ALGEBRA:
            return super().__eq__(other)
        if self is other or kind is not type(other):
            return self is other
        return all(vars(self)[name] == vars(other)[name] for name in kind.__match_args__)

    def __hash__(self) -> int:
        if type(self) in _ALGEBRA:
            return hash((type(self).__name__, *(vars(self)[n] for n in type(self).__match_args__)))
        return super().__hash__()

    def __str__(self) -> str:
        from intertwine.reps import printing

        return super().__str__() if is_own(self) else printing.as_written(self)

    def _parts(self) -> Sequence[Rep]:
        """Return the reps that this one is made of."""
        return ()

    def _with(self, field: str, value: Any) -> Rep:
        """Return a copy of the same class with another value of a field."""
        changed = copy.copy(self)
        changed.__dict__[field] = value
        return changed


class Base(_Node):
    """The base representation V: ρ(g) = g."""

    __match_args__ = ("G",)

    def __init__(self, G: Group | None = None) -> None:
        self.__dict__["G"] = G

    def rho(self, M: Element) -> Array | LinearOperator:
        """Return the element itself."""
        return element_of(self, M)

    def drho(self, A: Element) -> Array | LinearOperator:
        """Return the element of the Lie algebra itself."""
        return super().drho(A) if is_own(self) else element_of(self, A)

    def size(self) -> int:
        """Return the group's d."""
        if is_own(self):
            return super().size()
        self._require_group()
        return int(self.G.d)

    @property
    def T(self) -> Rep:
        """V*, which for a real orthogonal group is V itself."""
        if is_own(self):
            return super().T
        return self if self.G is not None and self.G.is_orthogonal else Dual(self)


class ScalarRep(_Node):
    """The scalar V⁰: ρ(g) = 1, for every group."""

    def __call__(self, G: Group) -> Rep:
        """Return the same scalar."""
        return super().__call__(G) if is_own(self) else self

    @property
    def is_concrete(self) -> bool:
        """True: a scalar needs no group."""
        return super().is_concrete if is_own(self) else True

    def rho(self, M: Element) -> Array | LinearOperator:
        """Return the matrix 1."""
        return _as_tensor(np.eye(1), M)

    def drho(self, A: Element) -> Array | LinearOperator:
        """Return the matrix 0."""
        return super().drho(A) if is_own(self) else _as_tensor(np.zeros((1, 1)), A)

    def size(self) -> int:
        """Return 1."""
        return super().size() if is_own(self) else 1

    @property
    def T(self) -> Rep:
        """V⁰ is its own dual."""
        return super().T if is_own(self) else self


class Dual(_Node):
    """The dual ρ* of a base rep or of a user-defined rep: g ↦ ρ(g)⁻ᵀ, A ↦ −dρ(A)ᵀ."""

    __match_args__ = ("rep",)
    rep: Rep
    G: Any = GroupOfParts()

    def __init__(self, rep: Rep) -> None:
        self.__dict__["rep"] = rep

    def _parts(self) -> Sequence[Rep]:
        return (self.rep,) if "rep" in vars(self) else ()

    def __call__(self, G: Group) -> Rep:
        """Return the dual over the group G."""
        if is_own(self):
            return super().__call__(G)
        return self.rep(G).T if type(self) is Dual else self._with("rep", self.rep(G))

    @one_operation
    def rho(self, M: Element) -> Array | LinearOperator:
        """ρ(g)⁻ᵀ."""
        matrix = dense(rho_of(self.rep, M))
        return namespace(matrix).linalg.inv(matrix).T

    @one_operation
    def drho(self, A: Element) -> Array | LinearOperator:
        """−dρ(A)ᵀ."""
        return super().drho(A) if is_own(self) else -dense(drho_of(self.rep, A)).T

    def size(self) -> int:
        """Return the size of the rep."""
        return super().size() if is_own(self) else self.rep.size()

    @property
    def T(self) -> Rep:
        """The rep itself."""
        return super().T if is_own(self) else self.rep


class Tensor(_Node):
    """ρ₁ ⊗ ρ₂ ⊗ …: two or more factors, none a tensor product or a scalar."""

    __match_args__ = ("factors",)
    factors: tuple[Rep, ...]
    G: Any = GroupOfParts()

    def __init__(self, factors: tuple[Rep, ...]) -> None:
        self.__dict__["factors"] = factors

    def _parts(self) -> Sequence[Rep]:
        return self.factors if "factors" in vars(self) else ()

    def __call__(self, G: Group) -> Rep:
        """Return the product, with factors that have no group bound to G."""
        if is_own(self):
            return super().__call__(G)
        bound = _bind_all(self, self.factors, G)
        return tensor(bound) if type(self) is Tensor else self._with("factors", tuple(bound))

    @property
    def is_concrete(self) -> bool:
        """Whether every factor has its group."""
        if is_own(self):
            return super().is_concrete
        return all(factor.is_concrete for factor in self.factors)

    @one_operation
    def rho(self, M: Element) -> Array | LinearOperator:
        """ρ₁(g) ⊗ ρ₂(g) ⊗ …"""
        _refuse_one_for_several(self, M)
        return Kronecker([rho_of(factor, M) for factor in self.factors])

    @one_operation
    def drho(self, A: Element) -> Array | LinearOperator:
        """Σᵢ 1 ⊗ … ⊗ dρᵢ(A) ⊗ … ⊗ 1."""
        if is_own(self):
            return super().drho(A)
        _refuse_one_for_several(self, A)
        return KroneckerSum([drho_of(factor, A) for factor in self.factors])

    def size(self) -> int:
        """Return the product of the sizes."""
        if is_own(self):
            return super().size()
        self._require_group()
        return checked_size(prod(factor.size() for factor in self.factors))

    @property
    def T(self) -> Rep:
        """The tensor product of the duals, in the same order."""
        if is_own(self):
            return super().T
        return tensor(_duals(self.factors), have_met=True)


class Sum(_Node):
    """m₁ρ₁ ⊕ m₂ρ₂ ⊕ …: terms (mᵢ, ρᵢ), none a sum. The empty sum is the rep of size 0."""

    __match_args__ = ("terms",)
    terms: tuple[tuple[int, Rep], ...]
    G: Any = GroupOfParts()

    def __init__(self, terms: tuple[tuple[int, Rep], ...]) -> None:
        self.__dict__["terms"] = terms

    def _parts(self) -> Sequence[Rep]:
        return [rep for _, rep in self.terms] if "terms" in vars(self) else ()

    def __call__(self, G: Group) -> Rep:
        """Return the sum, with terms that have no group bound to G."""
        if is_own(self):
            return super().__call__(G)
        bound = _bind_all(self, [rep for _, rep in self.terms], G)
        terms = [(m, rep) for (m, _), rep in zip(self.terms, bound, strict=True)]
        return direct_sum(terms) if type(self) is Sum else self._with("terms", tuple(terms))

    @property
    def is_concrete(self) -> bool:
        """Whether every term has its group."""
        if is_own(self):
            return super().is_concrete
        return all(rep.is_concrete for _, rep in self.terms)

    @one_operation
    def rho(self, M: Element) -> Array | LinearOperator:
        """Return the block-diagonal operator of the terms' ρ(g)."""
        _refuse_one_for_several(self, M)
        return DirectSum([(m, rho_of(rep, M)) for m, rep in self.terms])

    @one_operation
    def drho(self, A: Element) -> Array | LinearOperator:
        """Return the block-diagonal operator of the terms' dρ(A)."""
        if is_own(self):
            return super().drho(A)
        _refuse_one_for_several(self, A)
        return DirectSum([(m, drho_of(rep, A)) for m, rep in self.terms])

    def size(self) -> int:
        """Return the sum of the sizes, with multiplicities."""
        if is_own(self):
            return super().size()
        self._require_group()
        return checked_size(sum(m * rep.size() for m, rep in self.terms))

    def __iter__(self) -> Iterator[Rep]:
        """Yield each term, as often as it occurs, in the order of the coordinates."""
        return (rep for multiplicity, rep in self.terms for _ in range(multiplicity))

    def __len__(self) -> int:
        """Return the number of terms, each as often as it occurs."""
        return sum(multiplicity for multiplicity, _ in self.terms)

    def __bool__(self) -> bool:
        """Return True, like every rep, also for the empty sum."""
        return True

    def as_dict(self, v: Array) -> dict[Rep, Array]:
        """Return the parts of vectors v of shape (…, n) by rep: for each, its m copies as an array
        of shape (…, m, size). Raises `InvalidRep` for another n.
        """
        if v.shape[-1:] != (self.size(),):
            raise InvalidRep(f"{self!r} has size {self.size()}, and the vectors shape {v.shape}")
        parts: dict[Rep, list[Array]] = {}
        at = 0
        for multiplicity, rep in self.terms:
            stop = at + multiplicity * rep.size()
            part = v[..., at:stop].reshape(*v.shape[:-1], multiplicity, rep.size())
            parts.setdefault(rep, []).append(part)
            at = stop
        xp = namespace(v)
        return {rep: xp.concatenate(found, axis=-2) for rep, found in parts.items()}

    @property
    def T(self) -> Rep:
        """The sum of the duals, in the same order."""
        if is_own(self):
            return super().T
        duals = _duals(rep for _, rep in self.terms)
        copies = (m for m, _ in self.terms)
        return direct_sum(zip(copies, duals, strict=True), have_met=True)


_ALGEBRA: frozenset[type[Rep]] = frozenset({Base, ScalarRep, Dual, Tensor, Sum})
_ACTION = ("rho", "drho", "size")

_Kind = TypeVar("_Kind", bound=Rep)


def is_own(rep: Rep) -> bool:
    """Return whether a rep is user-defined: a subclass of `Rep`, or a subclass of one of the
    algebra's classes that overrides `rho`, `drho` or `size`.
    """
    kind = type(rep)
    if kind in _ALGEBRA:
        return False
    algebra = next((known for known in kind.__mro__ if known in _ALGEBRA), None)
    return algebra is None or any(
        name in vars(rep) or getattr(kind, name) is not getattr(algebra, name) for name in _ACTION
    )


def is_a(rep: object, kind: type[_Kind]) -> TypeIs[_Kind]:
    """Return whether a rep is of a class of the algebra, such as `Base`, and has its action."""
    return type(rep) is kind or (isinstance(rep, kind) and not is_own(rep))


V = Vector = Base()
Scalar = ScalarRep()


def T(p: int, q: int = 0, G: Group | None = None) -> Rep:
    """Return the tensors of type (p, q): V**p * V.T**q, over G where it is given."""
    rep = V**p * V.T**q
    return rep if G is None else rep(G)


def tensor(factors: Iterable[Rep], *, have_met: bool = False) -> Rep:
    """Return the normalised tensor product of the factors; without factors, the scalar.

    With `have_met`, the factors come from one rep: their groups are not compared again.
    """
    flat: list[Rep] = []
    multiplicity = 1
    for factor in list(factors) if have_met else _met(list(factors)):
        if isinstance(factor, Sum) and not flat and is_a(factor, Sum) and len(factor.terms) == 1:
            # (kρ)⊗σ = k(ρ⊗σ) as matrices; ρ⊗(kσ) is not
            copies, factor = factor.terms[0]
            multiplicity = _bounded(multiplicity * copies)
        if isinstance(factor, Tensor) and is_a(factor, Tensor):
            flat.extend(factor.factors)
        elif not (isinstance(factor, ScalarRep) and is_a(factor, ScalarRep)):
            flat.append(factor)
        if len(flat) > MAX_FACTORS:
            raise TooLarge(f"a tensor product has at most {MAX_FACTORS:,} factors")
    if any(isinstance(f, Sum) and is_a(f, Sum) and not f.terms for f in flat):
        return Sum(())
    product = Scalar if not flat else flat[0] if len(flat) == 1 else Tensor(tuple(flat))
    return direct_sum([(multiplicity, product)], have_met=True)


def direct_sum(terms: Iterable[tuple[int, Rep]], *, have_met: bool = False) -> Rep:
    """Return the normalised sum of the terms (multiplicity, rep); without terms, the rep of size 0.

    With `have_met`, the terms come from one rep: their groups are not compared again.
    """
    flat: list[tuple[int, Rep]] = []
    given = list(terms)
    reps = [rep for _, rep in given]
    for (multiplicity, _), rep in zip(given, reps if have_met else _met(reps), strict=True):
        inner = rep.terms if isinstance(rep, Sum) and is_a(rep, Sum) else ((1, rep),)
        if not inner:
            continue
        if len(inner) == 1:
            _add(flat, multiplicity * inner[0][0], inner[0][1])
            continue
        if len(flat) + multiplicity * len(inner) > MAX_TERMS:
            raise TooLarge(
                f"the sum has {len(flat) + multiplicity * len(inner):,} terms; at most "
                f"{MAX_TERMS:,}. Adjacent equal terms count once: write 9V+9W, not 9(V+W)"
            )
        for _ in range(multiplicity):
            for pair in inner:
                _add(flat, *pair)
    return flat[0][1] if len(flat) == 1 and flat[0][0] == 1 else Sum(tuple(flat))


def _met(parts: list[Rep]) -> list[Rep]:
    """Return the parts of a sum or product. V over a product of groups is expanded if another
    part is over one of its factors.
    """
    if len(parts) < 2 or len({id(part) for part in parts}) == 1:
        return parts
    groups = [found for part in {id(p): p for p in parts}.values() if (found := _groups_in(part))]
    if len({id(group) for found in groups for group in found}) < 2:
        return parts
    from intertwine.reps.meeting import products_to_expand, warn_of_equal_groups

    warn_of_equal_groups(groups)
    products = products_to_expand(group for found in groups for group in found)
    return [expanded(part, products) for part in parts] if products else parts


def _groups_in(rep: Rep) -> tuple[Group, ...]:
    """Return the groups of a rep, each object once. Sums and products cache theirs."""
    base = rep.rep if type(rep) is Dual else rep
    if type(base) is Base:
        return () if base.G is None else (base.G,)
    if type(rep) is not Tensor and type(rep) is not Sum:
        if is_a(rep, Tensor) or is_a(rep, Sum):
            return groups_of(rep)
        return () if rep.G is None else (rep.G,)
    known: tuple[Group, ...] | None = vars(rep).get("_groups")
    if known is None:
        parts: dict[int, Group] = {}
        for part in {id(part): part for part in rep._parts()}.values():
            parts.update((id(group), group) for group in _groups_in(part))
        known = vars(rep)["_groups"] = tuple(parts.values())
    return known


def expanded(rep: Rep, products: Mapping[Group, tuple[Group, ...]]) -> Rep:
    """Return a rep with V over a product of groups replaced by the product of V over its factors.

    Raises `InvalidRep` for another rep over such a product.
    """
    if is_a(rep, Sum):
        return direct_sum([(m, expanded(term, products)) for m, term in rep.terms])
    if is_a(rep, Tensor):
        return tensor([expanded(factor, products) for factor in rep.factors])
    if rep.G not in products:
        return rep
    if type(rep) is Dual and type(rep.rep) is Base:
        return expanded(rep.rep, products).T
    if type(rep) is not Base:
        from intertwine.reps.meeting import refuse_mixed

        refuse_mixed(rep, rep.G)
    return tensor([Base(factor) for factor in products[rep.G]])


def _add(terms: list[tuple[int, Rep]], multiplicity: int, rep: Rep) -> None:
    """Append a term, or add it to the last one if that has the same rep."""
    if multiplicity and terms and same(terms[-1][1], rep):
        terms[-1] = (_bounded(terms[-1][0] + multiplicity), rep)
    elif multiplicity:
        terms.append((_bounded(multiplicity), rep))


def rho_of(rep: Rep, M: Element) -> Array | LinearOperator:
    """Return ρ(g). A user-defined rep gets its group's element as a dense array."""
    return rep.rho(M if not is_own(rep) else dense(element_of(rep, M)))


def drho_of(rep: Rep, A: Element) -> Array | LinearOperator:
    """Return dρ(A). A user-defined rep gets A as a dense array."""
    return rep.drho(A if not is_own(rep) else dense(element_of(rep, A)))


def atoms(rep: Rep) -> Iterator[Rep]:
    """Yield the base reps, duals and user-defined reps in an expression, left to right."""
    if type(rep) is Base or type(rep) is Dual:
        yield rep
    elif is_a(rep, Tensor):
        for factor in rep.factors:
            yield from atoms(factor)
    elif is_a(rep, Sum):
        for _, term in rep.terms:
            yield from atoms(term)
    elif not is_a(rep, ScalarRep):
        yield rep


def count_atoms(rep: Rep) -> int:
    """Return the number of `atoms` in an expression. A part that occurs often is walked once."""
    if is_a(rep, Tensor) or is_a(rep, Sum):
        parts = rep._parts()
        counts = {id(part): count_atoms(part) for part in {id(p): p for p in parts}.values()}
        return sum(counts[id(part)] for part in parts)
    return 0 if is_a(rep, ScalarRep) else 1


def same(a: Rep, b: Rep) -> bool:
    """Return whether reps and groups are equal, even if a user-defined __eq__ ignores groups."""
    return a == b and all(x.G == y.G for x, y in zip(atoms(a), atoms(b), strict=True))


def groups_or_none(rep: Rep) -> tuple[Group | None, ...]:
    """Return the distinct groups in an expression, with None if a part has no group."""
    return tuple(dict.fromkeys(atom.G for atom in atoms(rep)))


def groups_of(rep: Rep) -> tuple[Group, ...]:
    """Return the distinct groups in an expression, in order of appearance."""
    return tuple(group for group in groups_or_none(rep) if group is not None)


# -- small helpers


def _duals(reps: Iterable[Rep]) -> list[Rep]:
    """Return the duals; each object's is computed once."""
    given = list(reps)
    duals = {id(rep): rep.T for rep in {id(rep): rep for rep in given}.values()}
    return [duals[id(rep)] for rep in given]


def _as_rep(value: Any) -> Rep:
    """Return a rep as it is, and an integer as that many scalars."""
    return value if isinstance(value, Rep) else direct_sum([(_count(value), Scalar)])


def _count(value: Any) -> int:
    if not is_integer(value) or value < 0:
        raise InvalidRep(
            f"multiplicities and powers are integers from 0 on, not {value!r}"
            if isinstance(value, int | float | np.number)
            else f"{value!r} is neither a rep nor an integer"
        )
    return int(value)


def _bounded(multiplicity: int) -> int:
    if multiplicity > MAX_MULTIPLICITY:
        raise TooLarge(f"there are too many copies of one rep; at most {MAX_MULTIPLICITY:,}")
    return multiplicity


def _refuse_one_for_several(rep: Rep, element: Element) -> None:
    if not isinstance(element, Mapping) and len(groups_of(rep)) > 1:
        raise InvalidRep(
            f"{rep!r} is over several groups: give a dict from each of them to its element"
        )


def _common_group(parts: Iterable[Rep]) -> Group | None:
    groups = dict.fromkeys(group for part in parts for group in groups_or_none(part))
    return next(iter(groups)) if len(groups) == 1 else None


def _over(rep: Rep, G: Group) -> Rep:
    """Return a copy of a rep over G, of the same class and with the same attributes."""
    if rep.G is not None:
        return _already_bound(rep, G)
    bound = copy.copy(rep)
    object.__setattr__(bound, "G", _require_group(G))  # frozen dataclasses too
    return bound


def _require_group(G: Any) -> Group:
    if isinstance(G, Group) and G.is_initialised:
        return G
    if isinstance(G, Group):
        raise InvalidGroup(
            f"{type(G).__name__} does not call super().__init__(...) in its __init__"
        )
    hint = f"; call it, as in {G.__name__}(3)" if isinstance(G, type) else ""
    raise InvalidGroup(f"a rep is taken over a group such as SO(3), not over {G!r}{hint}")


def checked_size(size: int) -> int:
    """Return a size. Raises `TooLarge` above `MAX_TOLD`."""
    if size > MAX_TOLD:
        raise TooLarge(f"the rep has about 10^{math.log10(size):.0f} dimensions")
    return size


def _already_bound(rep: Rep, G: Group) -> Rep:
    if rep.G == G:
        return rep
    raise InvalidRep(
        f"{rep!r} is over {rep.G!r} already, and cannot be taken over {G!r}: {_REBOUND}"
    )


def _bind_all(whole: Rep, parts: Iterable[Rep], G: Group) -> list[Rep]:
    if whole.is_concrete and groups_of(whole) and groups_of(whole) != (G,):
        raise InvalidRep(
            f"{whole!r} has its groups already, and cannot be taken over {G!r}: {_REBOUND}"
        )
    return [part if part.is_concrete else part(G) for part in parts]


def element_of(rep: Rep, M: Element) -> Array | LinearOperator:
    """Return the element of the rep's group; M is it, or a dict from groups to elements."""
    if not isinstance(M, Mapping):
        return M
    if rep.G not in M:
        raise InvalidRep(f"no element of {rep.G!r} was given for {rep!r}, only of {list(M)}")
    return M[rep.G]


def _as_tensor(matrix: Num[Any, "m n"], element: Element) -> Num[Any, "m n"]:
    """Return a matrix that does not depend on the element as a tensor of PyTorch, if the element is
    one: PyTorch does not combine its tensors with arrays of NumPy.
    """
    given = element.values() if isinstance(element, Mapping) else (element,)
    if isinstance(matrix, np.ndarray) and any(map(is_torch, given)):
        return namespace(*given).asarray(matrix)
    return matrix


def frozen(value: Any) -> Any:
    """Convert a value so that == compares its arrays by content."""
    if isinstance(value, Mapping):
        return {key: frozen(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [frozen(item) for item in value]
    if hasattr(value, "__array__") and not isinstance(value, Rep | LinearOperator):
        array = np.asarray(value)
        return ("array", array.shape, str(array.dtype), array.tobytes())
    return value
