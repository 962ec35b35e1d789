"""Pictures and tables of a basis, clusters of its entries that are equal up to sign, and a sparse
form.
"""

from intertwine.vis.clusters import Clusters, orbit_labels
from intertwine.vis.picture import draw_basis, draw_maps, vis
from intertwine.vis.sparsity import sparsify_basis
from intertwine.vis.tables import TensorTable, tensor_table

__all__ = [
    "Clusters",
    "TensorTable",
    "draw_basis",
    "draw_maps",
    "orbit_labels",
    "sparsify_basis",
    "tensor_table",
    "vis",
]
