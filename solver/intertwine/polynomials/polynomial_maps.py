"""Bases of the equivariant polynomials between two reps, as maps that evaluate arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial, prod
from typing import Any

import numpy as np
from jaxtyping import Inexact, Int

from intertwine.arrays import (
    Array,
    columns_at,
    converted,
    is_numpy,
    is_torch,
    namespace,
    working_dtype,
)
from intertwine.bases import Certificate
from intertwine.errors import InvalidRep, TooLarge
from intertwine.irreps.surds import root_of_rational
from intertwine.polynomials.hilbert_series import checked_degree, require_solvable, solved
from intertwine.polynomials.joint_groups import joint_action
from intertwine.polynomials.monomials import monomials_of, order_of
from intertwine.reps import Rep

MAX_MAPS_DEGREE = 64
"""The largest degree of a basis of polynomial maps."""
MAX_ENTRIES = 1 << 26
"""The most coefficients of all maps together (0.5 GB in double precision)."""
_TIE = 1e-6
"""Rows whose lengths differ by less, relatively, count as equal: the first of them is the pivot."""


_ZERO = 1e-12
"""Coefficients of at most this size are left out of formulas."""


@dataclass(frozen=True, eq=False)
class PolynomialMaps:
    """Homogeneous equivariant polynomials pⱼ from one rep to another, low degrees first.

    `coefficients[k]` has those of degree k, of shape (maps, n_out, N): in monomials that are
    orthonormal in the Bombieri inner product, √(k!/α!) x^α, with the exponents `exponents(k)`.
    The maps of one degree are orthonormal. `certificates[k]` is the evidence for the space of all
    equivariant polynomials of degree k.

    Calling it with x of shape (…, n_in) returns the values, of shape (…, maps, n_out). x is an
    array of NumPy, JAX or PyTorch, and so is the result, in the precision of x.
    """

    rep_in: Rep
    rep_out: Rep
    coefficients: tuple[Inexact[np.ndarray, "_ _ _"], ...]
    certificates: tuple[Certificate, ...]

    @property
    def degree(self) -> int:
        """The largest degree, even if no polynomial has it."""
        return len(self.coefficients) - 1

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of maps of each degree from 0 on."""
        return tuple(map(len, self.coefficients))

    @property
    def degrees(self) -> tuple[int, ...]:
        """The degree of each map."""
        return tuple(k for k, count in enumerate(self.counts) for _ in range(count))

    def exponents(self, k: int) -> Int[np.ndarray, "N n_in"]:
        """Return the exponents α of the monomials of degree k."""
        return monomials_of(self.rep_in.size(), k).exponents

    def formulas(self, variables: str | Sequence[str] | None = None) -> list[Any]:
        """Return each map as a SymPy expression, or as a column of n_out of them for n_out > 1.

        `variables` are names of the n_in coordinates, in a list or separated by spaces, by default
        x1, x2, …. Coefficients that are square roots of simple rationals are exact, others are
        numbers. Raises `InvalidRep` for another number of variables.
        """
        import sympy

        n = self.rep_in.size()
        names = variables.split() if isinstance(variables, str) else variables
        names = [f"x{k + 1}" for k in range(n)] if names is None else list(names)
        if len(names) != n:
            raise InvalidRep(
                f"{self.rep_in!r} has size {n}, and {len(names)} variables are named: name {n}"
            )
        x = [sympy.Symbol(name) for name in names]
        found = []
        for k, own in enumerate(self.coefficients):
            monomials = [
                (_multinomial(row), sympy.prod(map(pow, x, row)))
                for row in self.exponents(k).tolist()
            ]
            for entries in own:
                column = [
                    sympy.Add(
                        *(
                            _times_root(c, square) * monomial
                            for c, (square, monomial) in zip(row, monomials, strict=True)
                            if abs(c) > _ZERO
                        )
                    )
                    for row in entries
                ]
                found.append(column[0] if len(column) == 1 else sympy.Matrix(column))
        return found

    def __len__(self) -> int:
        return sum(self.counts)

    def __call__(self, x: Any) -> Any:
        """Return the values pⱼ(x) of all maps, of shape (…, maps, n_out).

        Raises `InvalidRep` for an array whose last axis is not that of `rep_in`.
        """
        x = np.asarray(x) if is_numpy(x) else x
        shape, n_out = tuple(x.shape), self.rep_out.size()
        if not shape or shape[-1] != self.rep_in.size():
            raise InvalidRep(
                f"{self.rep_in!r} has size {self.rep_in.size()}, and an array has the shape "
                f"{shape}: give one of shape (…, {self.rep_in.size()})"
            )
        is_complex = any(map(np.iscomplexobj, self.coefficients))
        x = converted(x, working_dtype(x, np.dtype(complex if is_complex else float)))
        xp = namespace(x)
        values = x[..., :1] ** 0 if shape[-1] else xp.ones((*shape[:-1], 1), dtype=x.dtype)
        parts = []
        for k, own in enumerate(self.coefficients):
            if k:
                these = monomials_of(shape[-1], k)
                factors = _in_precision_of(x, 1 / these.ratio)
                values = columns_at(these.rest, values) * columns_at(these.last, x) * factors
            if len(own):
                matrix = _in_precision_of(x, own.reshape(-1, own.shape[2]).T)
                parts.append((values @ matrix).reshape(*shape[:-1], len(own), n_out))
        if not parts:
            return xp.zeros((*shape[:-1], 0, n_out), dtype=x.dtype)
        return xp.concatenate(parts, axis=-2)

    def __repr__(self) -> str:
        return (
            f"<{len(self)} polynomial maps of degree up to {self.degree}, {self.rep_in!r} → "
            f"{self.rep_out!r}>"
        )


def polynomial_basis(rep_in: Rep, rep_out: Rep, degree: Any) -> PolynomialMaps:
    """Return a basis of all equivariant polynomials p(ρ_in(g)x) = ρ_out(g) p(x) up to a degree.

    The maps of each degree, from 0 on, are a basis of Hom(Sym^k ρ_in, ρ_out), orthonormal in the
    Bombieri inner product, and as many as `molien` counts. It is solved for any group, reductive or
    not, and certified. Equal arguments give equal bases up to rounding: a basis is determined by
    its span alone. Coefficients are real for real reps; polynomials of complex reps are in x, not
    in its conjugate.

    Raises `NotConcrete`, `InvalidSetting` for a degree that is not between 0 and 64, `TooLarge` for
    too many coefficients, and the errors of `rep.equivariant_basis`.
    """
    degree = checked_degree(degree, MAX_MAPS_DEGREE)
    action = joint_action((rep_in, rep_out))
    for rep in (rep_in, rep_out):
        if not rep.size():
            raise InvalidRep(f"{rep!r} has size 0: give reps with at least one dimension")
    for k in range(degree + 1):
        require_solvable(k, rep_in, rep_out)
    coefficients, certificates, entries = [], list[Certificate](), 0
    for k in range(degree + 1):
        shape = rep_out.size(), len(monomials_of(rep_in.size(), k))
        basis = solved(action, k, rep_in, rep_out)
        entries += basis.shape[0] * basis.shape[1]
        if entries > MAX_ENTRIES:
            raise TooLarge(
                f"the equivariant polynomials up to degree {k} have {entries:,} coefficients; at "
                f"most {MAX_ENTRIES:,}: give a lower degree, or smaller reps"
            )
        whole = np.asarray(basis.dense()).reshape(*shape, basis.shape[1])
        ordered = np.empty_like(whole)
        ordered[:, order_of(k, rep_in)] = whole
        rows = in_fixed_gauge(ordered.reshape(basis.shape))
        coefficients.append(rows.reshape(-1, *shape))
        certificates.append(basis.certificate)
    return PolynomialMaps(rep_in, rep_out, tuple(coefficients), tuple(certificates))


def in_fixed_gauge(basis: Inexact[np.ndarray, "n r"]) -> Inexact[np.ndarray, "r n"]:
    """Return an orthonormal basis, as rows, that depends on the span of orthonormal columns alone.

    It is made by Gram–Schmidt from the columns of the projector, the longest remaining one first.
    """
    left, chosen = basis.copy(), []
    for _ in range(basis.shape[1]):
        lengths = np.linalg.norm(left, axis=1)
        pivot = int(np.argmax(lengths >= (1 - _TIE) * lengths.max()))
        unit = left[pivot].conj() / lengths[pivot]
        chosen.append(unit)
        left = left - np.outer(left @ unit, unit.conj())
    if not chosen:
        return basis.T
    found: Inexact[np.ndarray, "r n"] = (basis @ np.stack(chosen, axis=1)).T
    return found


def _in_precision_of(x: Array, values: Inexact[np.ndarray, "..."]) -> Array:
    """Return constants in the precision of x; JAX takes them as arrays of NumPy."""
    if is_torch(x):
        return namespace(x).asarray(values, dtype=x.dtype)
    return values.astype(x.dtype)


def _multinomial(exponents: Sequence[int]) -> int:
    """Return k!/α!."""
    return factorial(sum(exponents)) // prod(map(factorial, exponents))


def _times_root(value: complex, n: int) -> Any:
    """Return value √n in SymPy: exact if the value's parts are square roots of simple rationals."""
    import sympy

    def part(x: float) -> Any:
        square = root_of_rational(x)
        if square is None:
            return sympy.Float(x * n**0.5)
        root = sympy.sqrt(sympy.Rational(abs(square.numerator) * n, square.denominator))
        return -root if square < 0 else root

    return part(float(np.real(value))) + sympy.I * part(float(np.imag(value)))
