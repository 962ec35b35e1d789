"""Gated nonlinearities: each tensor times a function of an invariant of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Inexact, Int

from intertwine.architecture.by_content import ByContent
from intertwine.architecture.features import sigmoid
from intertwine.arrays import Array, columns_at
from intertwine.errors import NotEquivariant
from intertwine.reps import Rep, Scalar, canonical
from intertwine.reps.canonical_form import Atoms, canonical_terms
from intertwine.reps.generator_images import permutes
from intertwine.reps.syntax import direct_sum


def gated(rep: Rep) -> Rep:
    """Return the rep that a `GatedNonlinearity` takes: `rep`, followed by a scalar as the gate of
    each tensor whose components the group does not only permute.

    As in Finzi, Welling and Wilson (2021, §6.2): components that a group only permutes, or leaves
    alone, may go through any function, and are their own gates.
    """
    count = sum(m for m, atoms in canonical_terms(rep) if not is_permuted(atoms))
    return direct_sum([(1, rep), (count, Scalar)])


def gate_indices(rep: Rep) -> Int[np.ndarray, " n"]:
    """Return, for each of the n coordinates of `rep`, the index of its gate in ``gated(rep)``.

    Gates are in the order of the tensors in the canonical form.
    """
    form, found, gate = canonical(rep), [], rep.size()
    for multiplicity, atoms in canonical_terms(rep):
        size = int(np.prod([atom.size() for atom in atoms], dtype=int))
        if is_permuted(atoms):
            found.append(np.zeros(multiplicity * size, dtype=int) - 1)
        else:
            found.append(np.repeat(np.arange(gate, gate + multiplicity), size))
            gate += multiplicity
    gates = np.concatenate(found) if found else np.zeros(0, dtype=int)
    if not form.is_identity:
        gates = np.asarray(form.permutation.H @ gates).astype(int)
    indices: Int[np.ndarray, " n"] = np.where(gates < 0, np.arange(len(gates)), gates)
    return indices.astype(np.int32)  # JAX's default integers


@dataclass(frozen=True, eq=False)
class Gates(ByContent):
    """`gated(rep)`, and the index of the gate of each coordinate: `gate_indices(rep)`."""

    rep: Rep
    wide: Rep
    indices: Int[np.ndarray, " n"]


@lru_cache(maxsize=256)
def gates_of(rep: Rep) -> Gates:
    """Return the gates of a rep, cached."""
    return Gates(rep, gated(rep), gate_indices(rep))


def gate(indices: Int[np.ndarray, " n"], x: Inexact[Array, "b g"]) -> Inexact[Array, "b n"]:
    """Return the first n columns of x, each times the sigmoid of its gate. A pure function."""
    opened: Inexact[Array, "b n"] = sigmoid(columns_at(indices, x).real) * x[:, : len(indices)]
    return opened


def require_permuted(rep: Rep, function: str) -> None:
    """Raise `NotEquivariant` for a rep that does more than permute coordinates."""
    if not all(is_permuted(atoms) for _, atoms in canonical_terms(rep)):
        raise NotEquivariant(
            f"{function} of each coordinate of {rep!r} breaks equivariance, since the group does "
            f"not only permute them: take GatedNonlinearity"
        )


def is_permuted(atoms: Atoms) -> bool:
    """Return whether the group only permutes the components of a product of atoms."""
    return all(permutes(atom) for atom in atoms)
