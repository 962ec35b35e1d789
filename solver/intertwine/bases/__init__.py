"""Bases: what was found, how it is stored, and the evidence for it."""

from intertwine.bases.assembled import Kronecker, Permuted, Sum
from intertwine.bases.basis import Basis, Projector
from intertwine.bases.certificate import ApproximateCertificate, Certificate
from intertwine.bases.files import check_suffix, from_bytes, load_basis, save_basis, to_bytes
from intertwine.bases.format import from_arrays, to_arrays
from intertwine.bases.intertwiners import Intertwiners
from intertwine.bases.matrix import Dense
from intertwine.bases.orbits import Orbits
from intertwine.bases.row_order import RowOrder
from intertwine.bases.storage import Storage
from intertwine.bases.transform import Transform

__all__ = [
    "ApproximateCertificate",
    "Basis",
    "Certificate",
    "Dense",
    "Intertwiners",
    "Kronecker",
    "Orbits",
    "Permuted",
    "Projector",
    "RowOrder",
    "Storage",
    "Sum",
    "Transform",
    "check_suffix",
    "from_arrays",
    "from_bytes",
    "load_basis",
    "save_basis",
    "to_arrays",
    "to_bytes",
]
