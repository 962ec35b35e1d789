"""The classes of reps and maps that saved models of every framework contain."""

from intertwine.architecture.block_shape import BlockShape
from intertwine.architecture.change_of_basis import DenseChange
from intertwine.architecture.channelwise_maps import ChannelwiseMaps
from intertwine.architecture.equality_maps import EqualityMaps, TensorCopies
from intertwine.architecture.features import Kind
from intertwine.architecture.gates import Gates
from intertwine.architecture.irrep_space import IrrepSpace, TermwiseChange
from intertwine.architecture.linear_maps import BasisMaps, SchurMaps
from intertwine.architecture.paper_maps import Copies, PaperMaps, Path
from intertwine.architecture.products import Coupling, Products
from intertwine.irreps import Irrep
from intertwine.reps import Base, Dual, ScalarRep, Sum, Tensor
from intertwine.reps.functors.conjugates import Conjugate
from intertwine.reps.functors.determinants import Determinant, SignRep
from intertwine.reps.functors.index_symmetry import IndexSymmetric
from intertwine.reps.functors.tensor_powers import AlternatingPower, SymmetricPower
from intertwine.reps.functors.young import SchurFunctor
from intertwine.saving.framework import plain_classes

REPS_AND_MAPS = plain_classes(
    *(BlockShape, Products, Coupling, Kind, Gates),
    *(IrrepSpace, DenseChange, TermwiseChange),
    *(SchurMaps, BasisMaps, EqualityMaps, TensorCopies, ChannelwiseMaps, PaperMaps, Path, Copies),
    *(Base, Dual, ScalarRep, Sum, Tensor, Irrep),
    *(SymmetricPower, AlternatingPower, Determinant, SignRep, Conjugate),
    *(IndexSymmetric, SchurFunctor),
)
"""Classes by name."""
