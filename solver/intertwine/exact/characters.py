"""Ranks from character theory, for groups recognised as one of a classical family.

An independent check of the solver's ranks, never its result. Invariants of V^p ⊗ V*^q are
counted by Schur–Weyl duality and branching (Weyl, *The Classical Groups*, 1939): with f^λ the
number of standard tableaux of a partition λ,

    GL(n), U(n)     Σ f^λ f^λ            λ ⊢ p = q, at most n rows
    SL(n), SU(n)    Σ f^λ f^(λ + kⁿ)     λ ⊢ q, p − q = kn
    O(n)            Σ f^λ                λ ⊢ p + q, at most n rows, every row even
    SO(n)           the same, and those with n rows that are all odd
    Sp(m)           Σ f^λ                λ ⊢ p + q, at most 2m rows, every column even

A finite group is counted by the mean of χ^p χ̄^q over its elements (`finite_rank`, which takes
reps of any kind).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from math import comb, factorial

from intertwine.errors import InvalidGroup, NotConcrete, TooLarge
from intertwine.groups import CATALOGUE, Group
from intertwine.reps.canonical_form import canonical_terms
from intertwine.reps.finite_characters import finite_rank
from intertwine.reps.syntax import Base, Dual, Rep, is_a

_MAX_POWER = 40

_Partition = tuple[int, ...]


def character_rank(rep: Rep) -> int | None:
    """Return the rank of a concrete rep, or None if a group is not recognised.

    Reps of finite groups may be of any kind, those of the families above are made of V and V*.
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
        return finite_rank(factors)
    q = sum(is_a(atom, Dual) for atom in factors)
    p = len(factors) - q
    if p + q > _MAX_POWER:
        return None
    for name, size, formula in _FAMILIES:
        if size(group.d) is None:
            continue
        try:
            member = CATALOGUE[name](*_arguments(name, size(group.d)))
        except (InvalidGroup, TooLarge):
            continue
        if member.content_digest == group.content_digest:  # copies have the same characters
            return formula(group.d, p, q)
    if not group.lie_generators and not group.group_generators:
        everything: int = group.d ** (p + q)
        return everything
    return finite_rank(factors)


def _arguments(name: str, size: int | None) -> tuple[int, ...]:
    return () if name in ("SO13p", "SO13", "O13", "SO11p", "O11") else (size or 0,)


def _general_linear(n: int, p: int, q: int) -> int:
    return sum(_tableaux(λ) ** 2 for λ in _partitions(p, n)) if p == q else 0


def _special_linear(n: int, p: int, q: int) -> int:
    if p < q:
        p, q = q, p
    k, rest = divmod(p - q, n)
    if rest:
        return 0
    padded = ((λ + (0,) * (n - len(λ)), λ) for λ in _partitions(q, n))
    return sum(_tableaux(λ) * _tableaux(tuple(x + k for x in full)) for full, λ in padded)


def _orthogonal(n: int, p: int, q: int) -> int:
    return sum(_tableaux(λ) for λ in _partitions(p + q, n) if all(x % 2 == 0 for x in λ))


def _special_orthogonal(n: int, p: int, q: int) -> int:
    odd = (λ for λ in _partitions(p + q, n) if len(λ) == n and all(x % 2 for x in λ))
    return _orthogonal(n, p, q) + sum(map(_tableaux, odd))


def _symplectic(n: int, p: int, q: int) -> int:
    even = (
        λ
        for λ in _partitions(p + q, n)
        if len(λ) % 2 == 0 and all(λ[i] == λ[i + 1] for i in range(0, len(λ), 2))
    )
    return sum(map(_tableaux, even))


def _with_total_inversion(n: int, p: int, q: int) -> int:
    """Return the rank for SO(3,1) with −1: no odd tensor is invariant."""
    return 0 if (p + q) % 2 else _special_orthogonal(n, p, q)


def _symmetric(n: int, p: int, q: int) -> int:
    """Count the set partitions of the slots into at most n blocks."""
    return sum(_stirling(p + q, k) for k in range(n + 1))


def _cyclic(n: int, p: int, q: int) -> int:
    """Count the orbits of the shifts on index tuples, all of n elements."""
    return n ** (p + q - 1) if p + q else 1


#: Name, d to the catalogue's argument, and the rank for (d, p, q). Complexified, SO(3,1) is SO(4).
_FAMILIES: tuple[tuple[str, Callable[[int], int | None], Callable[[int, int, int], int]], ...] = (
    ("SO", lambda d: d, _special_orthogonal),
    ("O", lambda d: d, _orthogonal),
    ("S", lambda d: d, _symmetric),
    ("Z", lambda d: d, _cyclic),
    ("SL", lambda d: d, _special_linear),
    ("GL", lambda d: d, _general_linear),
    ("SU", lambda d: d, _special_linear),
    ("U", lambda d: d, _general_linear),
    ("Sp", lambda d: None if d % 2 else d // 2, _symplectic),
    ("SO13p", lambda d: 4 if d == 4 else None, _special_orthogonal),
    ("SO13", lambda d: 4 if d == 4 else None, _with_total_inversion),
    ("O13", lambda d: 4 if d == 4 else None, _orthogonal),
)


def _partitions(n: int, rows: int, largest: int | None = None) -> Iterator[_Partition]:
    """Yield the partitions of n into at most `rows` parts."""
    if n == 0:
        yield ()
        return
    if rows == 0:
        return
    for first in range(min(n, largest or n), 0, -1):
        for rest in _partitions(n - first, rows - 1, first):
            yield (first, *rest)


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
