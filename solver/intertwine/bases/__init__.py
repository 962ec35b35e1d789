"""Bases of invariants, their storage, and their certificates.

`Dense` and `Kronecker` are the earlier names of `DenseStorage` and `KroneckerStorage`.
"""

from intertwine.bases.assembled import Combined, KroneckerStorage, Permuted, Sum
from intertwine.bases.basis import Basis, Projector
from intertwine.bases.certificate import ApproximateCertificate, Certificate
from intertwine.bases.files import check_suffix, from_bytes, load_basis, save_basis, to_bytes
from intertwine.bases.format import from_arrays, to_arrays
from intertwine.bases.intertwiners import Intertwiners
from intertwine.bases.matrix import DenseStorage
from intertwine.bases.orbits import Orbits
from intertwine.bases.patterns import EqualityPatterns
from intertwine.bases.row_order import RowOrder
from intertwine.bases.sparse import SparseStorage
from intertwine.bases.storage import Storage
from intertwine.bases.transform import Transform

Dense = DenseStorage
Kronecker = KroneckerStorage

__all__ = [
    "ApproximateCertificate",
    "Basis",
    "Certificate",
    "Combined",
    "Dense",
    "DenseStorage",
    "EqualityPatterns",
    "Intertwiners",
    "Kronecker",
    "KroneckerStorage",
    "Orbits",
    "Permuted",
    "Projector",
    "RowOrder",
    "SparseStorage",
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
