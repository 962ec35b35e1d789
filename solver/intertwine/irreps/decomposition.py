"""A rep as a sum of irreps, with the change of basis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Inexact, Num

from intertwine.arrays import Array, constant, for_products, namespace, working_dtype
from intertwine.bases.store import BasisStore, find_store
from intertwine.bases.transform import Transform
from intertwine.errors import (
    InvalidRep,
    InvalidSetting,
    MethodNotApplicable,
    SplitError,
    TooLarge,
)
from intertwine.groups.group import Group
from intertwine.irreps import decomposition_store
from intertwine.irreps.e3nn_gauge import GAUGES, order_of_e3nn
from intertwine.irreps.irrep import Irrep, decomposer_for, in_straight_frame
from intertwine.operators import Kronecker, LinearOperator
from intertwine.reps.canonical_form import Canonical, canonical, canonical_terms
from intertwine.reps.generator_images import act_by_complex_numbers
from intertwine.reps.syntax import Base, Rep

_MAX_SIZE = 2**62
"""The largest rep that is decomposed: larger arrays cannot be indexed."""


@dataclass(frozen=True)
class _Term:
    """`multiplicity` copies of a product of atoms, decomposed in the straight frame.

    `frame` maps the straight frame to the given one.
    """

    multiplicity: int
    transform: Transform
    frame: LinearOperator | None
    back: LinearOperator | None

    @property
    def size(self) -> int:
        return self.multiplicity * self.transform.size


@dataclass(frozen=True, eq=False)
class Decomposition:
    """ρ ≅ ⊕ m_λ λ: multiplicities, and the change of basis U with U⁻¹ρ(g)U = ⊕ 1 ⊗ λ(g).

    U is unitary if the group is closed under adjoints in its given frame (else it has the frame's
    condition). Its columns are ordered by irrep (as in `multiplicities`), copy, component. It is
    applied slot by slot; `matrix()` builds it. `residual` bounds ‖ρ(A)U − U(⊕ …)‖ over
    an orthonormal basis of the Lie algebra and the discrete generators, `orthonormality`
    ‖UᴴU − 1‖, both in the straight frame. In the `gauge` ``e3nn``, the matrices λ(g) are e3nn's.
    """

    rep: Rep
    multiplicities: Mapping[Irrep, int]
    residual: float
    orthonormality: float
    _indices: tuple[int, ...]
    _terms: tuple[_Term, ...]
    _form: Canonical
    gauge: str = "own"
    _changes: tuple[Inexact[np.ndarray, "_ _"], ...] = ()
    """The unitary change to the gauge for each irrep, if it is not the irreps' own."""

    def to_irreps(self, x: Num[Array, "n c"]) -> dict[Irrep, Num[Array, "m d c"]]:
        """Return U⁻¹x, irrep by irrep: copies, components, columns.

        Arrays of NumPy, JAX and PyTorch.
        """
        x = for_products(x, self._dtype)
        xp, columns = namespace(x), x.shape[1]
        x = x if self._form.is_identity else self._form.permutation @ x
        found: dict[int, list[Array]] = {index: [] for index in self._indices}
        at = 0
        for term in self._terms:
            for _ in range(term.multiplicity):
                part = x[at : at + term.transform.size]
                at += term.transform.size
                part = part if term.back is None else term.back @ part
                for index, block in term.transform.forward(part).items():
                    found[index].append(block.reshape(-1, block.shape[1], columns))
        parts = {index: xp.concatenate(found[index]) for index in self._indices}
        for index, change in zip(self._indices, self._changes, strict=False):
            parts[index] = _changed(change, parts[index])
        return dict(zip(self.multiplicities, parts.values(), strict=True))

    def from_irreps(self, parts: Mapping[Irrep, Num[Array, "m d c"]]) -> Num[Array, "n c"]:
        """Ux."""
        given = (for_products(parts[irrep], self._dtype) for irrep in self.multiplicities)
        by_index = dict(zip(self._indices, given, strict=True))
        for index, change in zip(self._indices, self._changes, strict=False):
            by_index[index] = _changed(change.conj().T, by_index[index])
        some = next(iter(by_index.values()))
        xp, columns = namespace(some), some.shape[2]
        taken = dict.fromkeys(by_index, 0)
        blocks = []
        for term in self._terms:
            for _ in range(term.multiplicity):
                rows = {}
                for index, copies in term.transform.multiplicities.items():
                    rows[index] = by_index[index][taken[index] : taken[index] + copies]
                    taken[index] += copies
                block = term.transform.backward(rows, columns)
                blocks.append(block if term.frame is None else term.frame @ block)
        x = xp.concatenate(blocks)
        return x if self._form.is_identity else self._form.permutation.H @ x

    @cached_property
    def _dtype(self) -> np.dtype[Any]:
        """The dtype of U."""
        dtypes = [maps.dtype for term in self._terms for maps in term.transform.arrays]
        dtypes += [term.frame.dtype for term in self._terms if term.frame is not None]
        return np.result_type(float, *dtypes, *(change.dtype for change in self._changes))

    def matrix(self) -> Inexact[np.ndarray, "n n"]:
        """U, written out."""
        n = self.rep.size()
        parts, at = {}, 0
        for irrep, m in self.multiplicities.items():
            d = irrep.size()
            unit = np.zeros((m * d, n))
            unit[:, at : at + m * d] = np.eye(m * d)
            parts[irrep] = unit.reshape(m, d, n)
            at += m * d
        if not parts:
            return np.zeros((0, 0))
        found: Inexact[np.ndarray, "n n"] = np.asarray(self.from_irreps(parts))
        return found

    @cached_property
    def _rows(self) -> list[tuple[str, int, str, int, str]]:
        return [(i.name, i.size(), i.type, m, i.label) for i, m in self.multiplicities.items()]

    def __str__(self) -> str:
        header = f"{'irrep':<16} {'dimension':>9} {'type':>5} {'multiplicity':>13}  label"
        rows = (
            f"{name:<16} {d:>9,} {kind:>5} {m:>13,}  {label}"
            for name, d, kind, m, label in self._rows
        )
        return "\n".join([header, *rows])

    @property
    def e3nn_irreps(self) -> str:
        """The irreps as e3nn writes them, such as ``2x0e+1x1o``, in the order of U's columns.

        Irreps of SO(3) and SU(2), which have no parity, are written as even. Raises
        `MethodNotApplicable` for other groups and half-integral spins.
        """
        return "+".join(
            f"{count}x{irrep.e3nn_name}" for irrep, count in self.multiplicities.items()
        )

    def to_json(self) -> dict[str, Any]:
        """Return the decomposition as JSON values."""
        names = ("name", "dimension", "type", "multiplicity", "label")
        return {
            "rep": str(self.rep),
            "group": repr(self.rep.G),
            "size": self.rep.size(),
            "irreps": [dict(zip(names, row, strict=True)) for row in self._rows],
            "residual": self.residual,
            "orthonormality": self.orthonormality,
        }

    def __repr__(self) -> str:
        parts = "+".join(f"{m if m > 1 else ''}{name}" for name, _, _, m, _ in self._rows)
        if all(name == label for name, _, _, _, label in self._rows):
            return f"<{self.rep!r} = {parts or '0'}>"
        labels = " + ".join(
            f"{f'{m} × ' if m > 1 else ''}{label}" for _, _, _, m, label in self._rows
        )
        return f"<{self.rep!r} = {labels}, or {parts}>"

    def _repr_html_(self) -> str:
        titles = ("irrep", "dimension", "type", "multiplicity", "label")
        head = "<tr>" + "".join(f"<th>{title}</th>" for title in titles) + "</tr>"
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>"
            for row in self._rows
        )
        return f"<table>{head}{body}</table>"


def _changed(change: Inexact[np.ndarray, "d d"], part: Num[Array, "m d c"]) -> Num[Array, "m d c"]:
    """Return the components of all copies in another basis."""
    matrix = constant(change, part, working_dtype(part, change.dtype))
    return namespace(part).einsum("ij,mjc->mic", matrix, part)


def decompose(
    rep: Rep,
    *,
    group: Group | None = None,
    store: BasisStore | bool = True,
    is_complex: bool | None = None,
    gauge: str = "own",
) -> Decomposition:
    """Decompose a concrete rep of one group into irreps.

    Scalars alone are a rep of any group; only for them, `group` is required.
    A `store` keeps irreps between processes: True means the installed and enabled one, False
    none.

    The irreps are over ℂ if the rep has complex matrices or irreps over ℂ (for scalars alone, if
    the group is complex), else over ℝ. An irrep has different names over ℝ and ℂ: to compare
    reps, decompose them with the same `is_complex`, which selects the field.

    The matrices of the irreps are this library's own, or with ``gauge="e3nn"`` those of e3nn, on
    the components of `SphericalHarmonics`, with the irreps in e3nn's order: 0e, 0o, 1o, 1e, 2e, ….
    This gauge exists for SO(3), O(3) and integral spins of SU(2); see `Irrep.to_e3nn`.

    Raises `NotConcrete`, `InvalidRep` for a complex rep with ``is_complex=False``, and
    `MethodNotApplicable` for a rep of several groups, or of a group whose reps are not found to be
    completely reducible. Raises `TooLarge` above 2⁶² dimensions, and if an irrep times a slot
    does not fit into memory. Arrays of the rep's full size are only allocated to transform vectors.
    """
    if gauge not in GAUGES:
        raise InvalidSetting(f"the gauge is one of {', '.join(GAUGES)}, not {gauge!r}")
    rep._require_group()
    if rep.size() > _MAX_SIZE:
        raise TooLarge("the rep has more than 2^62 dimensions: it is not decomposed")
    form = canonical(rep)
    terms = canonical_terms(form.rep)
    groups = {atom.G for _, atoms in terms for atom in atoms}
    if not groups and group is not None:
        groups = {group}
    if len(groups) != 1:
        raise MethodNotApplicable(
            f"a rep of one group is decomposed, and {rep} has {len(groups) or 'no'} groups"
        )
    (group,) = groups
    atoms_used = {atom for _, atoms in terms for atom in atoms}
    if is_complex is None:
        is_complex = act_by_complex_numbers(atoms_used or {Base(group)})
    elif not is_complex and act_by_complex_numbers(atoms_used):
        raise InvalidRep(f"{rep!r} is complex, and has no irreps over ℝ: leave is_complex out")
    decomposer = decomposer_for(group, is_complex=is_complex)
    chosen = find_store() if store is True else store
    if chosen:
        decomposition_store.load(decomposer, chosen)
    found, residual, orthonormality = [], 0.0, 0.0
    for multiplicity, atoms in terms:
        straight = [in_straight_frame(atom) for atom in atoms]
        try:
            result = decomposer.decompose(tuple(atom for atom, _ in straight))
        except SplitError as error:
            raise MethodNotApplicable(
                f"{rep!r} is not seen to be a sum of irreps: {error}"
            ) from error
        frames = [frame for _, frame in straight]
        crooked = any(frame is not None for frame in frames)
        eyes = [np.eye(a.size()) if f is None else f for a, f in straight]
        found.append(
            _Term(
                multiplicity,
                result.transform,
                Kronecker(eyes) if crooked else None,
                Kronecker([np.linalg.inv(x) for x in eyes]) if crooked else None,
            )
        )
        residual = max(residual, float(result.errors.max(initial=0.0)))
        orthonormality = max(orthonormality, result.defect)
    if chosen:
        decomposition_store.save(decomposer, chosen)
    counts: dict[int, int] = {}
    for term in found:
        for index, copies in term.transform.multiplicities.items():
            counts[index] = counts.get(index, 0) + term.multiplicity * copies
    indices = tuple(sorted(counts))
    multiplicities = {Irrep(decomposer.catalogue.irreps[i].name, group): counts[i] for i in indices}
    changes: tuple[Inexact[np.ndarray, "_ _"], ...] = ()
    if gauge == "e3nn":
        ordered = sorted(
            zip(multiplicities, indices, strict=True),
            key=lambda pair: order_of_e3nn(pair[0].e3nn_name),
        )
        multiplicities = {irrep: counts[i] for irrep, i in ordered}
        indices = tuple(i for _, i in ordered)
        changes = tuple(irrep.to_e3nn() for irrep in multiplicities)
    return Decomposition(
        rep, multiplicities, residual, orthonormality, indices, tuple(found), form, gauge, changes
    )
