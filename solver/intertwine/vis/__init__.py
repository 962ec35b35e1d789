"""Pictures of bases and weights, tables and sparse forms of bases, and clusters of entries that are
equal up to sign.
"""

from intertwine.vis.clusters import Clusters, orbit_labels
from intertwine.vis.picture import (
    TermMatrix,
    draw_basis,
    draw_invariants,
    draw_maps,
    term_matrices,
    vis,
)
from intertwine.vis.sparsity import sparsify_basis
from intertwine.vis.tables import TensorTable, tensor_table
from intertwine.vis.tile import draw_tile
from intertwine.vis.weight_diagrams import draw_weights

__all__ = [
    "Clusters",
    "TensorTable",
    "TermMatrix",
    "draw_basis",
    "draw_invariants",
    "draw_maps",
    "draw_tile",
    "draw_weights",
    "orbit_labels",
    "sparsify_basis",
    "tensor_table",
    "term_matrices",
    "vis",
]
