"""The Hilbert series of invariants and covariants: how many there are of each degree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np

from intertwine.errors import InvalidSetting, TooLarge
from intertwine.integers import is_integer
from intertwine.memory import require_memory
from intertwine.polynomials.components import components_of
from intertwine.polynomials.finite_series import spectra_of
from intertwine.polynomials.joint_groups import MATRICES, JointAction, joint_action, joint_size
from intertwine.polynomials.monomials import MAX_MONOMIALS, JointSymmetricPower, power_of
from intertwine.polynomials.torus_series import series_of
from intertwine.reps import Rep, Scalar
from intertwine.reps.generator_images import images_once
from intertwine.scanner import superscript

MAX_DEGREE = 1_000
"""The largest degree of a series."""
MAX_UNKNOWNS = 12_000
"""The most coefficients of an equivariant polynomial that are solved for."""


@dataclass(frozen=True)
class HilbertSeries:
    """The power series Σₖ aₖtᵏ up to a degree: `coefficients` has a₀, a₁, ….

    `method` says how they were found: by ``characters``, by ``weights``, or by a ``solve`` for each
    degree. For a finite group, the whole series
    is `numerator` / ∏ᵢ(1 − t^dᵢ) for the dᵢ in `denominator`, with the numerator's coefficients
    lowest first; both are None if that is not known.
    """

    coefficients: tuple[int, ...]
    method: str = "characters"
    numerator: tuple[int, ...] | None = None
    denominator: tuple[int, ...] | None = None

    @property
    def degree(self) -> int:
        """The largest degree."""
        return len(self.coefficients) - 1

    @property
    def closed_form(self) -> Any:
        """The generating function, as a SymPy expression in t; None if it is not known."""
        if self.numerator is None or self.denominator is None:
            return None
        from sympy import Integer, Mul, Poly, Symbol

        t = Symbol("t")
        over = Mul(*(1 - t**d for d in self.denominator))
        return Poly([Integer(a) for a in reversed(self.numerator)], t).as_expr() / over

    def __getitem__(self, k: Any) -> Any:
        return self.coefficients[k]

    def __len__(self) -> int:
        return len(self.coefficients)

    def __iter__(self) -> Iterator[int]:
        return iter(self.coefficients)

    def __repr__(self) -> str:
        def power(k: int) -> str:
            return "t" if k == 1 else f"t{superscript(k)}"

        return self._sum(power, "O(" + power(len(self)) + ")")

    def latex(self) -> str:
        """Return the series in LaTeX."""

        def power(k: int) -> str:
            return "t" if k == 1 else f"t^{{{k}}}"

        return self._sum(power, f"O({power(len(self))})")

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def _sum(self, power: Any, rest: str) -> str:
        terms = [
            str(a) if not k else ("" if a == 1 else str(a)) + power(k)
            for k, a in enumerate(self.coefficients)
            if a
        ]
        return " + ".join([*terms, rest])


def molien(rep: Rep, degree: Any, rep_out: Rep | None = None) -> HilbertSeries:
    """Return how many invariant polynomials of each degree up to `degree` a concrete rep has.

    The coefficient of tᵏ is the dimension of the homogeneous polynomials p of degree k with
    p(ρ(g)x) = p(x) for all g: the space Hom(Sym^k ρ, 1). With `rep_out` it is that of the
    covariants, p(ρ(g)x) = ρ_out(g) p(x), the space Hom(Sym^k ρ, ρ_out). Dimensions are real for
    real reps and complex for complex ones, whose polynomials are in x and not in its conjugate.

    Finite groups are counted by Molien's formula (Molien, 1897) over the eigenvalues of all
    elements, in exact arithmetic, which also gives the generating function. Reductive groups with a
    Lie algebra are counted by their weights, component by component (Weyl's integration formula).
    Others, such as SE(2), are solved degree by degree, with a certified rank. Several groups act
    jointly.

    Raises `NotConcrete`, `InvalidSetting` for a degree that is not between 0 and 1,000, and
    `TooLarge` if no method is possible within its bounds.
    """
    rep_out = Scalar if rep_out is None else rep_out
    degree = checked_degree(degree, MAX_DEGREE)
    action = joint_action((rep, rep_out))
    size, generators = joint_size((rep, rep_out))
    require_memory(16 * (generators + MATRICES) * size**2, f"the Hilbert series of {rep!r}")
    spectra = spectra_of(action, rep, rep_out)
    if spectra is not None:
        numerator, denominator = spectra.generating_function() or (None, None)
        found = spectra.coefficients(degree)
        return HilbertSeries(found, "characters", numerator, denominator)
    components = components_of(action, rep, rep_out)
    by_weights = None if components is None else series_of(components, degree)
    if by_weights is not None:
        return HilbertSeries(by_weights, "weights")
    require_solvable(degree, rep, rep_out)
    return HilbertSeries(
        tuple(solved(action, k, rep, rep_out).shape[1] for k in range(degree + 1)), "solve"
    )


def solved(action: JointAction, k: int, rep: Rep, rep_out: Rep) -> Any:
    """Return the certified basis of Hom(Sym^k ρ, ρ_out), with the maps flattened by rows.

    The monomials are in the order `order_of`. Raises `TooLarge` for more than `MAX_UNKNOWNS`
    coefficients.
    """
    if not require_solvable(k, rep, rep_out):
        return np.zeros((0, 0))
    action = action.near_identity(k)
    with images_once():
        maps = power_of(k, rep, action) >> JointSymmetricPower(1, rep_out, action)
        return maps.equivariant_basis(progress=False)


def require_solvable(k: int, rep: Rep, rep_out: Rep) -> int:
    """Return the number of coefficients in degree k. Raises `TooLarge` for too many."""
    n = rep.size()
    count = comb(n + k - 1, k) if n or k else 1
    unknowns = count * rep_out.size()
    if count > MAX_MONOMIALS or unknowns > MAX_UNKNOWNS:
        raise TooLarge(
            f"polynomials of degree {k} in {n} variables with {rep_out.size()} components have "
            f"{unknowns:,} coefficients; at most {MAX_UNKNOWNS:,}, and {MAX_MONOMIALS:,} a "
            f"component, are solved for: give a lower degree, or smaller reps"
        )
    return unknowns


def checked_degree(degree: Any, largest: int) -> int:
    """Return a degree as an integer. Raises `InvalidSetting` for anything else."""
    if not is_integer(degree) or not 0 <= degree <= largest:
        raise InvalidSetting(f"the degree is an integer from 0 to {largest:,}, not {degree!r}")
    return int(degree)
