"""Vectors beside their conjugates, over unitary matrices.

Linear maps, products and real gates cannot make |v|² from a complex v alone, and over U(n) they
make only linear functions of it: v ⊗ v holds no scalar, v̄ ⊗ v does. The conjugate of a unitary rep
ρ is the dual, ρ̄ = ρ*, so that (x, x̄) is a vector of ρ + ρ*, and a network is as free as one over
the real and imaginary parts.
"""

from __future__ import annotations

from jaxtyping import Inexact

from intertwine.arrays import Array, namespace
from intertwine.reps import Rep
from intertwine.reps.generator_images import act_by_complex_numbers, act_unitarily
from intertwine.reps.syntax import atoms


def with_dual(rep: Rep) -> Rep:
    """Return the rep of (x, x̄), ρ + ρ*, if ρ acts by complex unitary matrices; else ρ."""
    found = {*atoms(rep)}
    return rep + rep.T if act_by_complex_numbers(found) and act_unitarily(found) else rep


def with_conjugate(x: Inexact[Array, "b n"], size: int) -> Inexact[Array, "b _"]:
    """Return (x, x̄) if vectors of this `size` hold both; else x."""
    if x.shape[1] == size:
        return x
    return namespace(x).concatenate([x, x.conj()], axis=1)
