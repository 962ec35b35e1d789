"""Ranks from character theory, for groups recognised as one of a classical family.

An independent check of the solver's ranks, never its result. Invariants of V^p ⊗ V*^q are
counted by Schur–Weyl duality and branching (Weyl, *The Classical Groups*, 1939): with f^λ the
number of standard tableaux of a partition λ,

    GL(n), U(n)     Σ f^λ f^λ            λ ⊢ p = q, at most n rows
    SL(n), SU(n)    Σ f^λ f^(λ + kⁿ)     λ ⊢ q, p − q = kn
    O(n)            Σ f^λ                λ ⊢ p + q, at most n rows, every row even
    SO(n)           the same, and those with n rows that are all odd
    Sp(m)           Σ f^λ                λ ⊢ p + q, at most 2m rows, every column even

The character of functors of V and V*, such as Symᵏ(V), is a polynomial Σ c(μ, ν) p_μ q_ν in power
sums p_m = χ(g^m) and their conjugates q_m; there f^λ f^κ becomes Σ c(μ, ν) χ^λ(μ) χ^κ(ν), with
characters of symmetric groups. A finite group is counted by the mean of the character over its
elements (`finite_rank`, which takes reps of any kind).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import cache
from math import comb, factorial

from intertwine.errors import InvalidGroup, NotConcrete, TooLarge
from intertwine.groups import CATALOGUE, Group
from intertwine.reps.canonical_form import canonical_terms
from intertwine.reps.finite_characters import finite_rank
from intertwine.reps.functors.functor import is_functor
from intertwine.reps.functors.power_sums import in_power_sums, partitions, symmetric_group_character
from intertwine.reps.syntax import Base, Dual, Rep, ScalarRep, Sum, Tensor, is_a

_MAX_POWER = 40
_MAX_DEGREE = 14  # of a polynomial in power sums: it may have thousands of terms

_Partition = tuple[int, ...]
#: Pairs λ, κ of irreps of symmetric groups that contribute to the rank of V^p ⊗ V*^q.
_Pairs = Iterator[tuple[_Partition, _Partition]]
#: A polynomial in power sums, as coefficients of p_μ q_ν.
_PowerSums = dict[tuple[_Partition, _Partition], Fraction]


def character_rank(rep: Rep) -> int | None:
    """Return the rank of a concrete rep, or None if a group is not recognised.

    Reps of finite groups may be of any kind. Reps of the families above are made of V and V*, also
    by functors of a total degree up to 14.
    None for infinite groups that are not in the table, such as those with a discrete generator
    diag(2, 1/2) or a shear.
    """
    if not rep.is_concrete:
        raise NotConcrete(f"{rep} has no group yet, so it has no rank")
    total = 0
    for multiplicity, term in canonical_terms(rep):
        groups: dict[Group, list[Rep]] = {}
        for atom in term:
            groups.setdefault(atom.G, []).append(atom)
        found = 1
        for group, factors in groups.items():
            rank = _rank(group, factors)
            if rank is None:
                return None
            found *= rank
        total += multiplicity * found
    return total


def _rank(group: Group, factors: list[Rep]) -> int | None:
    inner = [atom.rep if is_a(atom, Dual) else atom for atom in factors]
    if not all(is_a(atom, Base) for atom in inner):
        of_functors = _rank_of_functors(group, factors)
        return finite_rank(factors) if of_functors is None else of_functors
    q = sum(is_a(atom, Dual) for atom in factors)
    p = len(factors) - q
    if p + q > _MAX_POWER:
        return None
    family = _family(group)
    if family in _COUNTS:
        return _COUNTS[family](group.d, p, q)
    if family is not None:
        return sum(_tableaux(λ) * _tableaux(κ) for λ, κ in _FAMILIES[family][1](group.d, p, q))
    if not group.lie_generators and not group.group_generators:
        everything: int = group.d ** (p + q)
        return everything
    return finite_rank(factors)


def _family(group: Group) -> str | None:
    """Return the family of the catalogue that a group is a member of."""
    for name, size in _SIZES.items():
        if size(group.d) is None:
            continue
        try:
            member = CATALOGUE[name](*_arguments(name, size(group.d)))
        except (InvalidGroup, TooLarge):
            continue
        if member.content_digest == group.content_digest:  # copies have the same characters
            return name
    return None


def _arguments(name: str, size: int | None) -> tuple[int, ...]:
    return () if name in ("SO13p", "SO13", "O13", "SO11p", "O11") else (size or 0,)


def _rank_of_functors(group: Group, factors: list[Rep]) -> int | None:
    """Return the rank of functors of V and V* of a family; None for other reps and groups."""
    terms: _PowerSums | None = {((), ()): Fraction(1)}
    for atom in factors:
        terms = _product(terms, _power_sums(atom, 1))
    family = _family(group) if terms is not None else None
    if terms is None or family not in _FAMILIES:
        return None
    has_duals, pairs = _FAMILIES[family]
    total = Fraction(0)
    for (μ, ν), coefficient in terms.items():
        if not has_duals:  # V* has the character of V
            μ, ν = tuple(sorted(μ + ν, reverse=True)), ()
        total += coefficient * sum(
            symmetric_group_character(λ, μ) * symmetric_group_character(κ, ν)
            for λ, κ in pairs(group.d, sum(μ), sum(ν))
        )
    return int(total)


def _power_sums(rep: Rep, power: int) -> _PowerSums | None:
    """Return the character at g^power as a polynomial in power sums of V and V*.

    None if the rep is not made of these, or has a degree over `_MAX_DEGREE`.
    """
    if is_a(rep, Base):
        return {((power,), ()): Fraction(1)}
    if is_a(rep, ScalarRep):
        return {((), ()): Fraction(1)}
    if is_a(rep, Dual):
        inner = _power_sums(rep.rep, power)
        return None if inner is None else {(ν, μ): c for (μ, ν), c in inner.items()}
    if is_a(rep, Sum):
        return _total((Fraction(m), _power_sums(term, power)) for m, term in rep.terms)
    if is_a(rep, Tensor):
        found: _PowerSums | None = {((), ()): Fraction(1)}
        for factor in rep.factors:
            found = _product(found, _power_sums(factor, power))
        return found
    if not is_functor(rep):
        return None
    outer = in_power_sums(rep, rep.part.size())
    if outer is None:
        return None
    terms = []
    for cycles, coefficient in outer.items():
        product: _PowerSums | None = {((), ()): Fraction(1)}
        for length in cycles:
            product = _product(product, _power_sums(rep.part, power * length))
        terms.append((coefficient, product))
    return _total(terms)


def _total(terms: Iterable[tuple[Fraction, _PowerSums | None]]) -> _PowerSums | None:
    total: _PowerSums = {}
    for coefficient, part in terms:
        if part is None:
            return None
        for key, value in part.items():
            total[key] = total.get(key, Fraction(0)) + coefficient * value
    return total


def _product(left: _PowerSums | None, right: _PowerSums | None) -> _PowerSums | None:
    if left is None or right is None:
        return None
    product: _PowerSums = {}
    for (μ, ν), a in left.items():
        for (ρ, σ), b in right.items():
            if sum(μ) + sum(ν) + sum(ρ) + sum(σ) > _MAX_DEGREE:
                return None
            key = tuple(sorted(μ + ρ, reverse=True)), tuple(sorted(ν + σ, reverse=True))
            product[key] = product.get(key, Fraction(0)) + a * b
    return product


def _general_linear(n: int, p: int, q: int) -> _Pairs:
    if p == q:
        yield from ((λ, λ) for λ in partitions(p, rows=n))


def _special_linear(n: int, p: int, q: int) -> _Pairs:
    if p < q:
        yield from ((λ, κ) for κ, λ in _special_linear(n, q, p))
        return
    k, rest = divmod(p - q, n)
    if rest:
        return
    for κ in partitions(q, rows=n):
        padded = κ + (0,) * (n - len(κ))
        yield tuple(x + k for x in padded if x + k), κ


def _orthogonal(n: int, p: int, q: int) -> _Pairs:
    yield from ((λ, ()) for λ in partitions(p + q, rows=n) if all(x % 2 == 0 for x in λ))


def _special_orthogonal(n: int, p: int, q: int) -> _Pairs:
    yield from _orthogonal(n, p, q)
    odd = (λ for λ in partitions(p + q, rows=n) if len(λ) == n and all(x % 2 for x in λ))
    yield from ((λ, ()) for λ in odd)


def _symplectic(n: int, p: int, q: int) -> _Pairs:
    for λ in partitions(p + q, rows=n):
        if len(λ) % 2 == 0 and all(λ[i] == λ[i + 1] for i in range(0, len(λ), 2)):
            yield λ, ()


def _with_total_inversion(n: int, p: int, q: int) -> _Pairs:
    """Yield the pairs for SO(3,1) with −1, under which no odd tensor is invariant."""
    if (p + q) % 2 == 0:
        yield from _special_orthogonal(n, p, q)


def _symmetric(n: int, p: int, q: int) -> int:
    """Count the set partitions of the slots into at most n blocks."""
    return sum(_stirling(p + q, k) for k in range(n + 1))


def _cyclic(n: int, p: int, q: int) -> int:
    """Count the orbits of the shifts on index tuples, all of n elements."""
    return n ** (p + q - 1) if p + q else 1


#: The catalogue's argument for a group of matrices of size d, by the name of the family.
_SIZES: dict[str, Callable[[int], int | None]] = {
    **dict.fromkeys(("SO", "O", "S", "Z", "SL", "GL", "SU", "U"), lambda d: d),
    "Sp": lambda d: None if d % 2 else d // 2,
    **dict.fromkeys(("SO13p", "SO13", "O13"), lambda d: 4 if d == 4 else None),
}
#: The ranks of V^p ⊗ V*^q for (d, p, q), of families of finite groups.
_COUNTS: dict[str | None, Callable[[int, int, int], int]] = {"S": _symmetric, "Z": _cyclic}
#: Whether V* has other characters than V, and the pairs for (d, p, q). Complexified, SO(3,1) is
#: SO(4).
_FAMILIES: dict[str | None, tuple[bool, Callable[[int, int, int], _Pairs]]] = {
    "SO": (False, _special_orthogonal),
    "O": (False, _orthogonal),
    "SL": (True, _special_linear),
    "GL": (True, _general_linear),
    "SU": (True, _special_linear),
    "U": (True, _general_linear),
    "Sp": (False, _symplectic),
    "SO13p": (False, _special_orthogonal),
    "SO13": (False, _with_total_inversion),
    "O13": (False, _orthogonal),
}


def _tableaux(λ: _Partition) -> int:
    """Return f^λ, by hook lengths (Frame, Robinson, Thrall, 1954)."""
    λ = tuple(x for x in λ if x)
    columns = [sum(1 for x in λ if x > j) for j in range(λ[0] if λ else 0)]
    hooks = 1
    for i, row in enumerate(λ):
        for j in range(row):
            hooks *= row - j + columns[j] - i - 1
    return factorial(sum(λ)) // hooks


@cache
def _stirling(n: int, k: int) -> int:
    terms = ((-1) ** j * comb(k, j) * (k - j) ** n for j in range(k + 1))
    total: int = sum(terms) // factorial(k)
    return total
