"""Bases: what was found, how it is stored, and the evidence for it."""

from intertwine.bases.basis import Basis, Projector
from intertwine.bases.certificate import Certificate
from intertwine.bases.files import check_suffix, load_basis, save_basis
from intertwine.bases.format import from_arrays, to_arrays
from intertwine.bases.storage import Dense, Kronecker, Orbits, Permuted, Storage, Sum

__all__ = [
    "Basis",
    "Certificate",
    "Dense",
    "Kronecker",
    "Orbits",
    "Permuted",
    "Projector",
    "Storage",
    "Sum",
    "check_suffix",
    "from_arrays",
    "load_basis",
    "save_basis",
    "to_arrays",
]
