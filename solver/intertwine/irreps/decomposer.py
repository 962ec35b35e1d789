"""Decompose products of reps of one group step by step, with error bounds."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Inexact

from intertwine.bases.transform import Transform
from intertwine.groups.group import Group
from intertwine.irreps.actions import Action, MatrixRep, ProductAction, adjoint
from intertwine.irreps.catalogue import Catalogue
from intertwine.irreps.generators import given_action, solving_plan, trivial_rep
from intertwine.irreps.irreducible import Isometries
from intertwine.reps.canonical_form import Atoms, atom_order
from intertwine.reps.generator_images import act_by_complex_numbers, lie_span_of
from intertwine.reps.syntax import Base, Rep

_NULL, _DISTINCT = 1e-12, 1e-7
_SPECTRAL_UP_TO = 300  # for larger matrices the spectral norm is bounded by the Frobenius norm
_REMEMBERED = 32

_Key = tuple[str, int, str]


@dataclass(frozen=True)
class CheckedStep:
    """λ ⊗ atom → irreps ν as maps (copies, d_ν, d_λ, slot), with bounds on ‖M U − U D‖ for each
    generator and on ‖UᴴU − 1‖.
    """

    maps: dict[int, Inexact[np.ndarray, "_ _ _ _"]]
    errors: Float[np.ndarray, " K"]
    defect: float


@dataclass(frozen=True)
class Decomposed:
    """A product of atoms: its transform U, with bounds on ‖ρ U − U D‖ and ‖ρ‖ for each generator,
    and on ‖UᴴU − 1‖.
    """

    transform: Transform
    errors: Float[np.ndarray, " K"]
    norms: Float[np.ndarray, " K"]
    defect: float


class Decomposer:
    """The catalogue of a group, and its steps λ ⊗ atom → irreps. Use `decomposer_of`."""

    def __init__(self, group: Group, dtype: np.dtype[np.inexact]) -> None:
        self.group, self.dtype = group, dtype
        self.span = lie_span_of(group)
        self.combinations = self.span.combinations(_NULL, _DISTINCT)
        self._plan = solving_plan(group, self.base())
        trivial = trivial_rep(group, len(self.combinations), dtype, self._plan)
        self.catalogue = Catalogue(trivial, dtype, group.precision)
        self._atoms: dict[_Key, tuple[MatrixRep, Isometries]] = {}
        self._steps: dict[tuple[int, _Key], CheckedStep] = {}
        self.lock = threading.RLock()
        self.kept = 0  # the size of the catalogue saved in a store (see `decomposition_store`)

    def base(self) -> Action:
        """Return the group's own matrices, which may be complex although its reps are real."""
        base = Base(self.group)
        own = np.dtype(np.complex128) if act_by_complex_numbers([base]) else self.dtype
        return given_action(base, self.span, self.combinations, own)

    def atom(self, atom: Rep) -> tuple[MatrixRep, Isometries]:
        """Return an atom's matrices and its irreps. Raises `SplitError`."""
        key = atom_order(atom)
        with self.lock:
            if key not in self._atoms:
                given = given_action(atom, self.span, self.combinations, self.dtype)
                rep = self._plan.constrain(given)
                self._atoms[key] = rep, self.catalogue.decompose(rep, atom)
            return self._atoms[key]

    def step(self, irrep: int, atom: Rep) -> CheckedStep:
        """Decompose λ ⊗ atom through the irreps of the atom. Raises `SplitError`."""
        key = irrep, atom_order(atom)
        with self.lock:
            if key not in self._steps:
                self._steps[key] = self._decompose(irrep, atom)
            return self._steps[key]

    def decompose(self, atoms: Atoms) -> Decomposed:
        """Decompose a product of atoms. Raises `SplitError`."""
        count = self.catalogue.irreps[0].rep.given.count
        lie = np.arange(count) < len(self.combinations)
        errors, defect = np.zeros(count), 0.0
        norms = np.where(lie, 0.0, 1.0)
        reached, steps = {0}, []
        for atom in atoms:
            found = {irrep: self.step(irrep, atom) for irrep in sorted(reached)}
            # U' = (U ⊗ 1)S: M'U' − U'D' = (MU − UD) ⊗ m S + (U ⊗ 1)(M_λ S − SD'), m of the slot
            slot = self.atom(atom)[0].given.norms
            stretch = np.sqrt(1 + max(step.defect for step in found.values()))
            new = np.max([step.errors for step in found.values()], axis=0)
            errors = errors * stretch * np.where(lie, 1.0, slot) + np.sqrt(1 + defect) * new
            norms = np.where(lie, norms + slot, norms * slot)
            defect = (1 + defect) * stretch**2 - 1
            steps.append({irrep: step.maps for irrep, step in found.items()})
            reached = {target for step in found.values() for target in step.maps}
        return Decomposed(Transform([a.size() for a in atoms], steps), errors, norms, defect)

    def _decompose(self, irrep: int, atom: Rep) -> CheckedStep:
        source, (rep, parts) = self.catalogue.irreps[irrep], self.atom(atom)
        found: dict[int, list[Inexact[np.ndarray, "_ _ _ _"]]] = {}
        for part, isometries in parts.items():
            inner = self.catalogue.irreps[part].dimension
            for target, cg in self.catalogue.product(irrep, part).items():
                cg = cg.reshape(source.dimension, inner, *cg.shape[1:])
                maps = np.einsum("aimk,vci->cmkav", cg, isometries, optimize=True).conj()
                found.setdefault(target, []).append(maps.reshape(-1, *maps.shape[2:]))
        joined = {target: np.concatenate(maps) for target, maps in sorted(found.items())}
        n = source.dimension * rep.size
        u = adjoint(np.concatenate([maps.reshape(-1, n) for maps in joined.values()]))
        moved = ProductAction(source.rep.given, rep.given).left(u)
        at = 0
        for target, maps in joined.items():
            copies, d = maps.shape[:2]
            block = u[:, at : at + copies * d].reshape(n * copies, d)
            within = self.catalogue.irreps[target].rep.given.right(block)
            moved[:, :, at : at + copies * d] -= within.reshape(-1, n, copies * d)
            at += copies * d
        errors = np.array([_norm_bound(error) for error in moved])
        return CheckedStep(joined, errors, _norm_bound(adjoint(u) @ u - np.eye(u.shape[1])))


_decomposers: OrderedDict[tuple[Group, str], Decomposer] = OrderedDict()
_decomposers_lock = threading.Lock()


def decomposer_of(group: Group, dtype: np.dtype[np.inexact]) -> Decomposer:
    """Return the process-wide decomposer of a group, which keeps its results for later reps."""
    key = group, np.dtype(dtype).str
    with _decomposers_lock:
        if key not in _decomposers:
            _decomposers[key] = Decomposer(group, dtype)
            while len(_decomposers) > _REMEMBERED:
                _decomposers.popitem(last=False)
        _decomposers.move_to_end(key)
        return _decomposers[key]


def _norm_bound(matrix: Inexact[np.ndarray, "m n"]) -> float:
    small = max(matrix.shape, default=0) <= _SPECTRAL_UP_TO
    return float(np.linalg.norm(matrix, 2 if small and matrix.size else None))
