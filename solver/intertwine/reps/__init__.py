"""Representations: an algebra of frozen values, written in Python or as text."""

from typing import Any

from intertwine.operators import LinearOperator
from intertwine.reps.blocks import Block, Space, Time
from intertwine.reps.canonical_form import Canonical, canonical
from intertwine.reps.description import describe_rep
from intertwine.reps.document import rep_document
from intertwine.reps.functors.conjugates import Conj
from intertwine.reps.functors.determinants import Det, Parity, PseudoScalar, PseudoVector, Sign
from intertwine.reps.functors.functor import Functor
from intertwine.reps.functors.index_symmetry import Indexed
from intertwine.reps.functors.tensor_powers import Alt, Sym
from intertwine.reps.functors.young import Schur
from intertwine.reps.generator_rep import GeneratorRep
from intertwine.reps.group_homomorphism import Homomorphism, Restrict
from intertwine.reps.induced import Induce, Quotient, Regular
from intertwine.reps.invariant_subspace import QuotientRep, Sub
from intertwine.reps.key import basis_key
from intertwine.reps.parsing import parse, read_rep
from intertwine.reps.printing import latex
from intertwine.reps.symbolic_size import dimension
from intertwine.reps.syntax import (
    Base,
    Dual,
    Rep,
    Scalar,
    ScalarRep,
    Sum,
    T,
    Tensor,
    V,
    Vector,
)

__all__ = [
    "Alt",
    "Base",
    "Block",
    "Canonical",
    "Conj",
    "Det",
    "Dual",
    "Functor",
    "GeneratorRep",
    "Homomorphism",
    "Indexed",
    "Induce",
    "LinearOperator",
    "Parity",
    "PseudoScalar",
    "PseudoVector",
    "Quotient",
    "QuotientRep",
    "Regular",
    "Rep",
    "Restrict",
    "Scalar",
    "ScalarRep",
    "Schur",
    "Sign",
    "Space",
    "Sub",
    "Sum",
    "Sym",
    "T",
    "Tensor",
    "Time",
    "V",
    "Vector",
    "basis_key",
    "canonical",
    "describe_rep",
    "dimension",
    "equivariance_error",
    "latex",
    "parse",
    "read_rep",
    "rel_err",
    "rep_document",
    "sparsify_basis",
    "vis",
]


def __getattr__(name: str) -> Any:
    """Load names that EMLP has among its reps from packages above this one."""
    if name in ("equivariance_error", "rel_err"):
        from intertwine.verify import equivariance_error, rel_err

        return rel_err if name == "rel_err" else equivariance_error
    if name == "bilinear_weights":  # not in __all__: a star import would load JAX
        from intertwine.nn import bilinear_weights

        return bilinear_weights
    if name in ("sparsify_basis", "vis"):
        from intertwine.vis import sparsify_basis, vis

        return vis if name == "vis" else sparsify_basis
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
