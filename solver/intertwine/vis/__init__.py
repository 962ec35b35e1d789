"""Pictures of bases and weights, clusters of entries equal up to sign, and sparse forms."""

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
from intertwine.vis.weight_diagrams import draw_weights

__all__ = [
    "Clusters",
    "TermMatrix",
    "draw_basis",
    "draw_invariants",
    "draw_maps",
    "draw_weights",
    "orbit_labels",
    "sparsify_basis",
    "term_matrices",
    "vis",
]
