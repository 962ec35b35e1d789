"""Clebsch–Gordan coefficients, as arrays and as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape

import numpy as np
from jaxtyping import Inexact

from intertwine.errors import InvalidRep, InvalidSetting, MethodNotApplicable
from intertwine.irreps.e3nn_gauge import GAUGES, phased
from intertwine.irreps.irrep import Irrep, decomposer_for
from intertwine.irreps.surds import number_text

_ZERO = 1e-12  # smaller coefficients are not printed
_MOST_ROWS = 400
"""The most coefficients that are printed."""


class ClebschGordan(dict[Irrep, Inexact[np.ndarray, "a b m c"]]):
    """The Clebsch–Gordan coefficients of a ⊗ b: a dict from each irrep c in it to its maps.

    Each value has shape (dₐ, d_b, copies, d_c). ``str`` and notebooks list the nonzero
    coefficients, exactly if they are square roots of simple rationals, as in e3nn's gauge.
    """

    def __init__(
        self, a: Irrep, b: Irrep, maps: Mapping[Irrep, Inexact[np.ndarray, "a b m c"]]
    ) -> None:
        super().__init__(maps)
        self.factors = a, b

    def _rows(self) -> list[tuple[str, str, str, str, str]]:
        """Return the irrep, the indices of a, b and c, and the coefficient, of those not 0."""
        found: list[tuple[str, str, str, str, str]] = []
        for irrep, maps in self.items():
            for i, j, copy, k in np.argwhere(np.abs(np.moveaxis(maps, (2, 3), (0, 1))) > _ZERO)[
                :, [2, 3, 0, 1]
            ].tolist():
                name = irrep.label if maps.shape[2] == 1 else f"{irrep.label} ({copy + 1})"
                value = number_text(complex(maps[i, j, copy, k]))
                found.append((name, str(i), str(j), str(k), value))
                if len(found) == _MOST_ROWS:
                    return [*found, ("…", "", "", "", "")]
        return found

    @property
    def _titles(self) -> tuple[str, str, str, str, str]:
        a, b = self.factors
        return ("in", f"{a.label} at", f"{b.label} at", "at", "coefficient")

    def __str__(self) -> str:
        table = [self._titles, *self._rows()]
        widths = [max(len(row[k]) for row in table) for k in range(5)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if k == 0 else cell.rjust(width)
                for k, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in table
        )

    def __repr__(self) -> str:
        a, b = self.factors
        parts = " + ".join(
            f"{f'{maps.shape[2]} × ' if maps.shape[2] > 1 else ''}{irrep.label}"
            for irrep, maps in self.items()
        )
        return f"<Clebsch–Gordan coefficients of {a.G!r}: {a.label} ⊗ {b.label} = {parts}>"

    def _repr_html_(self) -> str:
        def row(cells: tuple[str, ...], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        body = "".join(row(cells, "td") for cells in self._rows())
        return f"<table>{row(self._titles, 'th')}{body}</table>"


def clebsch_gordan(a: Irrep, b: Irrep, *, gauge: str = "own") -> ClebschGordan:
    """Return the Clebsch–Gordan coefficients of a ⊗ b, as a dict from each irrep c in it.

    The values are isometric equivariant maps c → a ⊗ b, as arrays of shape (dₐ, d_b, copies, d_c).
    All maps together are orthonormal and complete. They intertwine the irreps' own matrices, in any
    frame of the group; with ``gauge="e3nn"``, those of e3nn (see `Irrep.to_e3nn`), for SO(3), O(3)
    and integral spins of SU(2). Over ℂ, these are real: the phase of each copy is such that the
    first of its largest coefficients is positive. Raises `InvalidRep` for other reps than irreps
    with a group, and `MethodNotApplicable` for irreps of different groups.
    """
    if gauge not in GAUGES:
        raise InvalidSetting(f"the gauge is one of {', '.join(GAUGES)}, not {gauge!r}")
    for given in (a, b):
        if not isinstance(given, Irrep) or given.G is None:
            raise InvalidRep(
                f"Clebsch–Gordan coefficients are those of two irreps with their group, and "
                f'{given!r} is not one: write Irrep("l=1", SO(3)), or take an irrep of '
                "decompose(rep).multiplicities"
            )
    if a.G != b.G or a.is_over_complex_numbers != b.is_over_complex_numbers:
        raise MethodNotApplicable(f"{a!r} and {b!r} are not of one group and field")
    decomposer = decomposer_for(a.G, is_complex=a.is_over_complex_numbers)
    found = decomposer.catalogue.product(a.entry.index, b.entry.index)
    change: Callable[[Irrep], Inexact[np.ndarray, "d d"]] = Irrep.to_e3nn
    maps = {}
    for index, flat in found.items():
        irrep = Irrep(decomposer.catalogue.irreps[index].name, a.G)
        own = flat.reshape(a.size(), b.size(), *flat.shape[1:])
        if gauge == "e3nn":
            left, right, inner = change(a), change(b), change(irrep).conj()
            own = np.einsum("ia,jb,abmc,kc->ijmk", left, right, own, inner, optimize=True)
            if a.is_over_complex_numbers:
                own = np.stack([phased(copy) for copy in np.moveaxis(own, 2, 0)], axis=2)
        maps[irrep] = own.copy()
    return ClebschGordan(a, b, maps)
